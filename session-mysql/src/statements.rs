//! The statements, word for word.
//!
//! They share some habits:
//!
//! - `{table}` is the table's name, a [`Namespace`]: letters, digits and `_`.
//! - `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))` is the server's clock at the start of the statement, in
//!   microseconds since 1970. It does not depend on the time zone, and it is one instant, however often the statement asks
//!   for it. All instants that are written are counted from it.
//! - `… + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))` is the server's clock now. A write that has waited for a row
//!   judges by it, so that it does nothing if it has waited until after the expiry.
//! - `LAST_INSERT_ID(LENGTH(id))` tells the outcome of a write, because the answer brings it along. The number of
//!   "affected" rows cannot tell: it depends on a flag of the client's, and on whether anything has changed. The
//!   expression needs a column of the row, so the server computes it only if it has found a row.
//! - `LIMIT {most}` is no limit: without one, `sql_select_limit` would cut off rows, and nothing would tell.

use session_core::Namespace;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::schema::SCHEMA;

/// The outcome of a write that has found its row, and of a create that has found a live one: the length of an id.
pub(crate) const FOUND: u64 = 16;

/// How many sessions are loaded by one statement: a power of two.
pub(crate) const AT_ONCE: usize = 64;

/// The greatest number of rows that a statement can have.
const MOST: u64 = u64::MAX;

/// The outcome of a create that has made a row, or written over an expired one.
pub(crate) const MADE: u64 = 1;

// `expires_at` comes last, because the other columns ask for its old value. Whether an assignment sees those before it
// depends on the `sql_mode` (`SIMULTANEOUS_ASSIGNMENT`).
const CREATE: &str = r#"
INSERT INTO `{table}` (id, revision, payload, owner, expires_at, ends_at, sweep_at)
VALUES (
    ?,
    ?,
    ?,
    ?,
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?,
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ? * LAST_INSERT_ID(1),
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?
)
ON DUPLICATE KEY UPDATE
    revision = IF(
        expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)),
        VALUES(revision),
        IF(LAST_INSERT_ID(LENGTH(id)), revision, revision)
    ),
    payload = IF(
        expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)),
        VALUES(payload),
        payload
    ),
    owner = IF(
        expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)),
        VALUES(owner),
        owner
    ),
    ends_at = IF(
        expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)),
        VALUES(ends_at),
        ends_at
    ),
    sweep_at = IF(
        expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)),
        VALUES(sweep_at),
        sweep_at
    ),
    expires_at = IF(
        expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)),
        VALUES(expires_at),
        expires_at
    )
"#;

// The server asks its clock once, and the store compares: asking it for each column takes longer than finding the row. Each
// answer also describes its columns. So it has no more of them than needed. A replica tells no clock, and the store refuses what
// it has: that may have been ended.
const LOAD: &str = r#"
SELECT revision, payload, expires_at, ends_at, {now} AS now
FROM `{table}`
WHERE id = ?
"#;

const LOAD_ALL: &str = r#"
SELECT id, revision, payload, expires_at, ends_at, {now} AS now
FROM `{table}`
WHERE id IN ({ids})
LIMIT {most}
"#;

const LIST: &str = r#"
SELECT id, revision, payload, expires_at, ends_at, {now} AS now
FROM `{table}`
WHERE owner = ?
LIMIT {most}
"#;

const CLOCK: &str = r#"SELECT {now} AS now"#;

const KEEP: &str = r#"
UPDATE `{table}`
SET
    revision = IF(LAST_INSERT_ID(LENGTH(id)), ?, revision),
    payload = ?
WHERE id = ? AND revision = ? AND expires_at >
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))
"#;

const EXTEND: &str = r#"
UPDATE `{table}`
SET
    revision = IF(LAST_INSERT_ID(LENGTH(id)), ?, revision),
    payload = ?,
    sweep_at = LEAST(sweep_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?),
    expires_at = LEAST(ends_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?)
WHERE id = ? AND revision = ? AND expires_at >
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))
"#;

const RESTART: &str = r#"
UPDATE `{table}`
SET
    revision = IF(LAST_INSERT_ID(LENGTH(id)), ?, revision),
    payload = ?,
    owner = ?,
    sweep_at = LEAST(sweep_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?),
    expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?,
    ends_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?
WHERE id = ? AND revision = ? AND expires_at >
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))
"#;

const TOUCH: &str = r#"
UPDATE `{table}`
SET
    sweep_at = LEAST(sweep_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?),
    expires_at = IF(
        LAST_INSERT_ID(LENGTH(id)),
        LEAST(ends_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?),
        expires_at
    )
WHERE id = ? AND revision = ? AND expires_at >
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))
"#;

const DELETE: &str = r#"
DELETE FROM `{table}`
WHERE id = ? AND revision = ? AND expires_at >
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))
"#;

// Expired sessions are left to `purge`. So the number of deleted rows is that of live sessions.
const REVOKE: &str = r#"
DELETE FROM `{table}`
WHERE owner = ? AND NOT (id <=> ?) AND expires_at >
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))
"#;

// A purge goes through the sessions that are due, in windows of 500 by `sweep_at`. It deletes those that have expired.
// It moves those that have been touched since to where they expire now, so that none is looked at twice. It judges by
// the clock at the start of the statement. A session that had expired by then stays expired.

const WINDOW: &str = r#"
SELECT
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AS now,
    (
        SELECT sweep_at
        FROM `{table}`
        WHERE sweep_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
        ORDER BY sweep_at
        LIMIT 1 OFFSET 499
    ) AS sweep_at
"#;

const PURGE: &str = r#"
DELETE FROM `{table}`
WHERE sweep_at <= ? AND expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
ORDER BY sweep_at
LIMIT ?
"#;

const MOVE: &str = r#"
UPDATE `{table}`
SET sweep_at = expires_at
WHERE sweep_at <= ? AND expires_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
ORDER BY sweep_at
LIMIT 500
"#;

const COLUMNS: &str = r#"
SELECT column_name AS name, column_type AS type, {now} AS now
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = '{table}'
LIMIT {most}
"#;

/// The settings of each connection of the store's own. MariaDB reads only the first of the two comments, MySQL only the
/// second. Each has two parameters, which both are the timeout in milliseconds.
///
/// A time for locks is in whole seconds, at least one. MySQL has no time for a statement that writes, and ends a wait for a
/// lock up to a second late. So there it is a second less: the server gives its word while the store still listens.
pub(crate) const SETTINGS: &str = r#"
SET
    autocommit = 1,
    sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION',
    time_zone = '+00:00',
    sql_big_selects = 1
    /*M! ,
        tx_isolation = 'READ-COMMITTED',
        innodb_lock_wait_timeout = (? + 999) DIV 1000,
        max_statement_time = ? / 1000
    */
    /*!80000 ,
        transaction_isolation = 'READ-COMMITTED',
        innodb_lock_wait_timeout = GREATEST(1, ? DIV 1000 - 1),
        max_execution_time = ?
    */
"#;

/// The nodes of a Galera cluster apply later what one of them has written. With this a node catches up before it reads, changes
/// or deletes. Servers of other kinds may not know the variable, so it has a statement of its own.
pub(crate) const CLUSTER: &str = "SET wsrep_sync_wait = 3";

/// What an application's own pool has to have.
pub(crate) const POOL: &str =
    "SHOW SESSION VARIABLES WHERE variable_name IN ('autocommit', 'wsrep_on', 'wsrep_sync_wait')";

// Of several processes that make the table, one goes on and the others wait. The setting and the lock end with the
// connection, which is closed afterwards.

pub(crate) const PATIENCE: &str =
    "SET lock_wait_timeout = 60 /*M! , max_statement_time = 0 */ /*!80000 , max_execution_time = 0 */";

/// Whether the server ends a statement that writes when its time is over.
pub(crate) const ENDS_WRITES: &str = "SELECT 0 /*M! + 1 */";

pub(crate) const LOCK: &str = "SELECT GET_LOCK('session-mysql migrate', 60)";

/// The statements for one table.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) columns: SqlStr,
    pub(crate) schema: SqlStr,
    pub(crate) create: SqlStr,
    pub(crate) load: SqlStr,
    /// For 2, 4, 8 … ids, up to [`AT_ONCE`].
    pub(crate) load_all: Vec<SqlStr>,
    pub(crate) clock: SqlStr,
    pub(crate) keep: SqlStr,
    pub(crate) extend: SqlStr,
    pub(crate) restart: SqlStr,
    pub(crate) touch: SqlStr,
    pub(crate) delete: SqlStr,
    pub(crate) list: SqlStr,
    pub(crate) revoke: SqlStr,
    pub(crate) window: SqlStr,
    pub(crate) purge: SqlStr,
    pub(crate) move_on: SqlStr,
}

impl Statements {
    /// The statements for the table of this name.
    pub(crate) fn of(table: &Namespace) -> Self {
        // The first of the two settings is a number, or a word from MariaDB 12 on. A reader of Aurora has the second one.
        let is_read_only = "(CAST(@@global.read_only AS CHAR) NOT IN ('0', 'OFF') OR @@global.innodb_read_only)";
        let now = format!("IF({is_read_only}, NULL, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)))");
        let statement = |text: &str| {
            let text = text.trim().replace("{now}", &now).replace("{most}", &MOST.to_string());
            AssertSqlSafe(text.replace("{table}", table.as_str())).into_sql_str()
        };
        let load_all = |count: usize| statement(&LOAD_ALL.replace("{ids}", &vec!["?"; count].join(", ")));
        Self {
            columns: statement(COLUMNS),
            schema: statement(&SCHEMA.replace("`sessions`", "`{table}`")),
            create: statement(CREATE),
            load: statement(LOAD),
            load_all: (1..=AT_ONCE.ilog2()).map(|power| load_all(1 << power)).collect(),
            clock: statement(CLOCK),
            keep: statement(KEEP),
            extend: statement(EXTEND),
            restart: statement(RESTART),
            touch: statement(TOUCH),
            delete: statement(DELETE),
            list: statement(LIST),
            revoke: statement(REVOKE),
            window: statement(WINDOW),
            purge: statement(PURGE),
            move_on: statement(MOVE),
        }
    }
}

#[cfg(test)]
mod tests;
