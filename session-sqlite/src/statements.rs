//! The statements, word for word.
//!
//! They share some habits:
//!
//! - `{table}` is the table's name, a [`Namespace`]: letters, digits and `_`.
//! - `CAST(round(unixepoch('subsec') * 1000) AS INTEGER)` is the database's clock in whole milliseconds. SQLite reads
//!   the clock once in each step, after the wait for the lock. So a write that has waited until after the expiry does
//!   nothing.
//! - SQLite writes the page of an index wherever a statement sets its column, even if the value stays. So the statements for
//!   each request never set `sweep_at`.

use session_core::Namespace;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::schema::SCHEMA;

const CREATE: &str = r#"
INSERT INTO "{table}" AS session (id, revision, payload, owner, expires_at, ends_at, sweep_at)
VALUES (
    ?1,
    ?2,
    ?3,
    ?4,
    CAST(round(unixepoch('subsec') * 1000) AS INTEGER) + min(?5, ?6),
    CAST(round(unixepoch('subsec') * 1000) AS INTEGER) + ?6,
    CAST(round(unixepoch('subsec') * 1000) AS INTEGER) + min(?5, ?6)
)
ON CONFLICT (id) DO UPDATE SET
    revision = excluded.revision,
    payload = excluded.payload,
    owner = excluded.owner,
    expires_at = excluded.expires_at,
    ends_at = excluded.ends_at,
    sweep_at = excluded.sweep_at
WHERE session.expires_at <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
"#;

const LOAD: &str = r#"
SELECT
    revision,
    payload,
    expires_at,
    ends_at,
    CAST(round(unixepoch('subsec') * 1000) AS INTEGER) AS now
FROM "{table}"
WHERE id = ?1 AND expires_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
"#;

const LIST: &str = r#"
SELECT
    id,
    revision,
    payload,
    expires_at,
    ends_at,
    CAST(round(unixepoch('subsec') * 1000) AS INTEGER) AS now
FROM "{table}"
WHERE owner = ?1 AND expires_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
"#;

const KEEP: &str = r#"
UPDATE "{table}"
SET revision = ?3, payload = ?4
WHERE id = ?1 AND revision = ?2 AND expires_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
"#;

const EXTEND: &str = r#"
UPDATE "{table}"
SET
    revision = ?3,
    payload = ?4,
    expires_at = min(CAST(round(unixepoch('subsec') * 1000) AS INTEGER) + ?5, ends_at)
WHERE id = ?1 AND revision = ?2 AND expires_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
"#;

const RESTART: &str = r#"
UPDATE "{table}"
SET
    revision = ?3,
    payload = ?4,
    owner = ?7,
    expires_at = CAST(round(unixepoch('subsec') * 1000) AS INTEGER) + min(?5, ?6),
    ends_at = CAST(round(unixepoch('subsec') * 1000) AS INTEGER) + ?6,
    sweep_at = CAST(round(unixepoch('subsec') * 1000) AS INTEGER) + min(?5, ?6)
WHERE id = ?1 AND revision = ?2 AND expires_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
"#;

const TOUCH: &str = r#"
UPDATE "{table}"
SET expires_at = min(CAST(round(unixepoch('subsec') * 1000) AS INTEGER) + ?3, ends_at)
WHERE id = ?1 AND revision = ?2 AND expires_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
"#;

const DELETE: &str = r#"
DELETE FROM "{table}"
WHERE id = ?1 AND revision = ?2 AND expires_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
"#;

// Expired sessions are left to `purge`. So the number of deleted rows is that of live sessions.
const REVOKE: &str = r#"
DELETE FROM "{table}"
WHERE owner = ?1 AND id IS NOT ?2 AND expires_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
"#;

// A purge goes through the sessions that are due, in windows of 500 (or of the limit, if that is more) by `sweep_at`. It
// deletes those that have expired. To them come those that have expired and are not due yet.
const PURGE: &str = r#"
DELETE FROM "{table}"
WHERE rowid IN (
    SELECT number
    FROM (
        SELECT rowid AS number, expires_at
        FROM "{table}"
        WHERE sweep_at <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
        ORDER BY sweep_at
        LIMIT max(?1, 500)
    )
    WHERE expires_at <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
    UNION ALL
    SELECT rowid
    FROM "{table}"
    WHERE
        expires_at < sweep_at
        AND expires_at <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
        AND sweep_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
    LIMIT ?1
)
"#;

// The sessions of the same window that have been touched since are moved to where they expire now, so that none is looked
// at twice.
const MOVE: &str = r#"
UPDATE "{table}"
SET sweep_at = expires_at
WHERE rowid IN (
    SELECT number
    FROM (
        SELECT rowid AS number, expires_at
        FROM "{table}"
        WHERE sweep_at <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
        ORDER BY sweep_at
        LIMIT max(?1, 500)
    )
    WHERE expires_at > CAST(round(unixepoch('subsec') * 1000) AS INTEGER)
)
"#;

const COLUMNS: &str = r#"
SELECT name, type FROM pragma_table_info('{table}')
"#;

/// The statements for one table.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) columns: SqlStr,
    pub(crate) schema: SqlStr,
    pub(crate) create: SqlStr,
    pub(crate) load: SqlStr,
    pub(crate) keep: SqlStr,
    pub(crate) extend: SqlStr,
    pub(crate) restart: SqlStr,
    pub(crate) touch: SqlStr,
    pub(crate) delete: SqlStr,
    pub(crate) list: SqlStr,
    pub(crate) revoke: SqlStr,
    pub(crate) purge: SqlStr,
    pub(crate) move_on: SqlStr,
}

impl Statements {
    /// The statements for the table of this name.
    pub(crate) fn of(table: &Namespace) -> Self {
        let statement = |text: &str| AssertSqlSafe(text.trim().replace("{table}", table.as_str())).into_sql_str();
        Self {
            columns: statement(COLUMNS),
            schema: statement(&SCHEMA.replace("\"sessions", "\"{table}")),
            create: statement(CREATE),
            load: statement(LOAD),
            keep: statement(KEEP),
            extend: statement(EXTEND),
            restart: statement(RESTART),
            touch: statement(TOUCH),
            delete: statement(DELETE),
            list: statement(LIST),
            revoke: statement(REVOKE),
            purge: statement(PURGE),
            move_on: statement(MOVE),
        }
    }
}

#[cfg(test)]
mod tests;
