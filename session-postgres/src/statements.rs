//! The statements, word for word.
//!
//! They share some habits:
//!
//! - `{table}` is the table's name, a [`Namespace`]: letters, digits and `_`.
//! - `$1` is the nonce of the message, and `{tag}` is the statement's own number: see [`Statement`]. Each answer has at
//!   least one row, and each row begins with the XOR (`#`) of the two. So "not done" and "not there", too, prove that they
//!   belong to this message.
//! - A write may have to wait for its row, and the session may expire until then. So the write is judged twice: in `WHERE`
//!   before it waits, and in `RETURNING` when it has the row. If the session has expired by then, the statement divides
//!   by zero, so the server undoes it. See [`EXTEND`].
//! - Durations are microseconds. Adding them is exact also where a day has 23 hours.

use session_core::Namespace;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::{pooled::Mode, schema::SCHEMA};

const CREATE: &str = r#"
WITH
    clock AS MATERIALIZED (
        SELECT clock_timestamp() AS now
    ),
    written AS (
        INSERT INTO "{table}" AS session (id, revision, payload, owner, expires_at, ends_at, sweep_at)
        SELECT
            $2,
            $3,
            $4,
            $5,
            now + LEAST($6, $7) * interval '1 microsecond',
            now + $7 * interval '1 microsecond',
            now + LEAST($6, $7) * interval '1 microsecond'
        FROM clock
        ON CONFLICT (id) DO UPDATE SET
            revision = EXCLUDED.revision,
            payload = EXCLUDED.payload,
            owner = EXCLUDED.owner,
            expires_at = EXCLUDED.expires_at,
            ends_at = EXCLUDED.ends_at,
            sweep_at = EXCLUDED.sweep_at
        WHERE session.expires_at <= clock_timestamp()
        RETURNING 1 AS done
    )
SELECT $1::bigint # {tag} AS nonce, (SELECT done FROM written) AS done
"#;

// The server sends the instants, and the store subtracts them: in the server that would take as long as finding the
// row. A standby sends no clock, and the store refuses its answer: it may show a session that has been ended.
const LOAD: &str = r#"
SELECT
    message.nonce,
    session.id,
    session.revision,
    session.payload,
    session.expires_at,
    session.ends_at,
    {now} AS now
FROM (SELECT $1::bigint # {tag} AS nonce) AS message
LEFT JOIN "{table}" AS session ON session.id = $2 AND session.expires_at > statement_timestamp()
"#;

// The server finds each id in the index, as it finds one.
const LOAD_ALL: &str = r#"
SELECT
    message.nonce,
    session.id,
    session.revision,
    session.payload,
    session.expires_at,
    session.ends_at,
    {now} AS now
FROM (SELECT $1::bigint # {tag} AS nonce) AS message
LEFT JOIN "{table}" AS session ON session.id = ANY ($2) AND session.expires_at > statement_timestamp()
"#;

const LIST: &str = r#"
SELECT
    message.nonce,
    session.id,
    session.revision,
    session.payload,
    session.expires_at,
    session.ends_at,
    {now} AS now
FROM (SELECT $1::bigint # {tag} AS nonce) AS message
LEFT JOIN "{table}" AS session ON session.owner = $2 AND session.expires_at > statement_timestamp()
"#;

/// The pooled mode puts this around [`LOAD`], [`LOAD_ALL`] and [`LIST`], because its answers are text. Bytes come as hex,
/// whatever the server's `bytea_output` is. Instants come as whole microseconds from now, never rounded up. An
/// infinite instant is no error, because the answer may have the sessions of others in it.
const POOLED: &str = r#"
SELECT
    answer.nonce,
    encode(answer.id, 'hex') AS id,
    answer.revision,
    encode(answer.payload, 'hex') AS payload,
    CASE WHEN isfinite(answer.expires_at) THEN
        floor(extract(epoch FROM answer.expires_at - answer.now) * 1000000)::bigint
    END AS expires_at,
    CASE WHEN isfinite(answer.ends_at) THEN
        floor(extract(epoch FROM answer.ends_at - answer.now) * 1000000)::bigint
    END AS ends_at,
    CASE WHEN NOT pg_is_in_recovery() THEN 0::bigint END AS now
FROM ({statement}) AS answer
"#;

const KEEP: &str = r#"
WITH written AS (
    UPDATE "{table}"
    SET revision = $4, payload = $5
    WHERE id = $2 AND revision = $3 AND expires_at > clock_timestamp()
    RETURNING 1 / (expires_at > clock_timestamp())::int AS done
)
SELECT $1::bigint # {tag} AS nonce, (SELECT done FROM written) AS done
"#;

// The server reads the row, judges `WHERE`, and waits if another transaction has the row. Then it judges `RETURNING`.
//
// - The other has changed the row: the server has judged `WHERE` again by then, with the new row and the clock of that
//   moment. If the session has expired, nothing is written. So a session that was touched in time is not lost.
// - The other has changed nothing, or has been undone: the server does not judge `WHERE` again. So `RETURNING` asks for the
//   expiry that the row had until now.
//
// All instants are counted from one reading of the clock, when the statement came.
const EXTEND: &str = r#"
WITH written AS (
    UPDATE "{table}"
    SET
        revision = $4,
        payload = $5,
        previous_expires_at = expires_at,
        expires_at = LEAST(statement_timestamp() + $6 * interval '1 microsecond', ends_at),
        sweep_at = LEAST(statement_timestamp() + $6 * interval '1 microsecond', sweep_at)
    WHERE id = $2 AND revision = $3 AND expires_at > clock_timestamp()
    RETURNING 1 / (previous_expires_at > clock_timestamp())::int AS done
)
SELECT $1::bigint # {tag} AS nonce, (SELECT done FROM written) AS done
"#;

const RESTART: &str = r#"
WITH written AS (
    UPDATE "{table}"
    SET
        revision = $4,
        payload = $5,
        owner = $8,
        previous_expires_at = expires_at,
        expires_at = statement_timestamp() + LEAST($6, $7) * interval '1 microsecond',
        ends_at = statement_timestamp() + $7 * interval '1 microsecond',
        sweep_at = LEAST(statement_timestamp() + LEAST($6, $7) * interval '1 microsecond', sweep_at)
    WHERE id = $2 AND revision = $3 AND expires_at > clock_timestamp()
    RETURNING 1 / (previous_expires_at > clock_timestamp())::int AS done
)
SELECT $1::bigint # {tag} AS nonce, (SELECT done FROM written) AS done
"#;

const TOUCH: &str = r#"
WITH written AS (
    UPDATE "{table}"
    SET
        previous_expires_at = expires_at,
        expires_at = LEAST(statement_timestamp() + $4 * interval '1 microsecond', ends_at),
        sweep_at = LEAST(statement_timestamp() + $4 * interval '1 microsecond', sweep_at)
    WHERE id = $2 AND revision = $3 AND expires_at > clock_timestamp()
    RETURNING 1 / (previous_expires_at > clock_timestamp())::int AS done
)
SELECT $1::bigint # {tag} AS nonce, (SELECT done FROM written) AS done
"#;

const DELETE: &str = r#"
WITH written AS (
    DELETE FROM "{table}"
    WHERE id = $2 AND revision = $3 AND expires_at > clock_timestamp()
    RETURNING 1 / (expires_at > clock_timestamp())::int AS done
)
SELECT $1::bigint # {tag} AS nonce, (SELECT done FROM written) AS done
"#;

// It locks in the order of the ids, so that two revocations never wait for each other.
const REVOKE: &str = r#"
WITH
    locked AS MATERIALIZED (
        SELECT id FROM "{table}" WHERE owner = $2 AND id IS DISTINCT FROM $3 ORDER BY id FOR UPDATE
    ),
    deleted AS (
        DELETE FROM "{table}" AS session
        USING locked
        WHERE session.id = locked.id AND session.owner = $2
        RETURNING session.expires_at > clock_timestamp() AS live
    )
SELECT $1::bigint # {tag} AS nonce, count(*) FILTER (WHERE live) AS revoked FROM deleted
"#;

// A purge goes through the sessions that are due, in windows of 500 (or of the limit, if that is more) by `sweep_at`.
// It deletes those that have expired. It moves those that have been touched since to where they expire now, so that
// none is looked at twice. Nothing here waits for a lock, so the clock at the start of the statement will do. The ids
// are in arrays, because for a join of 500 rows with a table of some thousand, the server would read the whole table.
const PURGE: &str = r#"
WITH
    due AS MATERIALIZED (
        SELECT id, expires_at <= statement_timestamp() AS expired
        FROM "{table}"
        WHERE sweep_at <= statement_timestamp()
        ORDER BY sweep_at
        LIMIT GREATEST($2, 500)
        FOR UPDATE SKIP LOCKED
    ),
    deleted AS (
        DELETE FROM "{table}"
        WHERE id = ANY (ARRAY(SELECT id FROM due WHERE expired LIMIT $2))
        RETURNING 1
    ),
    moved AS (
        UPDATE "{table}"
        SET sweep_at = expires_at
        WHERE id = ANY (ARRAY(SELECT id FROM due WHERE NOT expired))
        RETURNING 1
    )
SELECT
    $1::bigint # {tag} AS nonce,
    (SELECT count(*) FROM deleted) AS deleted,
    (SELECT count(*) FROM moved) AS moved
"#;

// The answer is one row without a name if there is no such table.
const COLUMNS: &str = r#"
SELECT
    $1::bigint # {tag} AS nonce,
    attribute.attname::text AS name,
    format_type(attribute.atttypid, NULL) AS type,
    CASE WHEN NOT pg_is_in_recovery() THEN 0::bigint END AS now
FROM (SELECT to_regclass('"{table}"') AS oid) AS relation
LEFT JOIN pg_attribute AS attribute
    ON attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
"#;

// One message, and so one transaction. The process that makes the table holds the lock: of two that run
// `CREATE TABLE IF NOT EXISTS` at once, one fails.
const MIGRATE: &str = r#"
SET LOCAL lock_timeout = 0;
SELECT pg_advisory_xact_lock(8315168207168892787);
{schema}
SELECT $1::bigint # {tag} AS nonce
"#;

/// Leaves the server less time for what follows on this connection.
pub(crate) const HURRY: &str = "SELECT set_config('statement_timeout', $1, false)";

/// A statement, and what its answer begins with.
///
/// Behind a pooler that the store was not told of, a message may run what another client has prepared under the same name.
/// It runs with this message's values, the nonce included. So each statement has a tag of its own in its text, and answers
/// the nonce XOR the tag. That proves which statement was run.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: SqlStr,
    pub(crate) tag: i64,
}

impl Statement {
    fn new(text: &str, table: &Namespace) -> Self {
        let text = text.trim().replace("{table}", table.as_str());
        let tag = tag_of(&text);
        let text = text.replace("{tag}", &format!("({tag})::bigint"));
        Self { sql: AssertSqlSafe(text).into_sql_str(), tag }
    }
}

/// The hash of the text by FNV-1a. It is the same in each process, so each process sends the same text, and a pooler
/// can share what the server has prepared.
fn tag_of(text: &str) -> i64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash.cast_signed()
}

/// The statements for one table.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) columns: Statement,
    pub(crate) migrate: Statement,
    pub(crate) create: Statement,
    pub(crate) load: Statement,
    pub(crate) load_all: Statement,
    pub(crate) keep: Statement,
    pub(crate) extend: Statement,
    pub(crate) restart: Statement,
    pub(crate) touch: Statement,
    pub(crate) delete: Statement,
    pub(crate) list: Statement,
    pub(crate) revoke: Statement,
    pub(crate) purge: Statement,
}

impl Statements {
    /// The statements for the table of this name.
    pub(crate) fn of(table: &Namespace, mode: Mode) -> Self {
        let statement = |text: &str| Statement::new(text, table);
        let clock = "statement_timestamp()";
        let sessions = |text: &str| match mode {
            Mode::Prepared => {
                statement(&text.replace("{now}", &format!("CASE WHEN NOT pg_is_in_recovery() THEN {clock} END")))
            }
            Mode::Pooled => statement(&POOLED.replace("{statement}", text.replace("{now}", clock).trim())),
        };
        Self {
            columns: statement(COLUMNS),
            migrate: statement(&MIGRATE.replace("{schema}", &SCHEMA.replace("\"sessions", "\"{table}"))),
            create: statement(CREATE),
            load: sessions(LOAD),
            load_all: sessions(LOAD_ALL),
            keep: statement(KEEP),
            extend: statement(EXTEND),
            restart: statement(RESTART),
            touch: statement(TOUCH),
            delete: statement(DELETE),
            list: sessions(LIST),
            revoke: statement(REVOKE),
            purge: statement(PURGE),
        }
    }
}

#[cfg(test)]
mod tests;
