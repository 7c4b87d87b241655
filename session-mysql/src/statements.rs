//! The statements, word for word.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::schema::SCHEMA;

/// What each connection of the store's own begins with. The comments are MariaDB's and MySQL's way to say what the other
/// server does not know, each with the one parameter: a time-out in milliseconds.
pub(crate) const SETTINGS: &str = concat!(
    "SET autocommit = 1, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', ",
    "innodb_lock_wait_timeout = ?",
    "/*M! , tx_isolation = 'READ-COMMITTED', max_statement_time = ? / 1000 */",
    "/*!80000 , transaction_isolation = 'READ-COMMITTED', max_execution_time = ? */",
);

/// The server's clock at the start of the statement, in microseconds since 1970, whatever the time zone: an instant that
/// is the same wherever the statement asks for it.
macro_rules! start {
    () => {
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
    };
}

/// The server's clock now. A write that has waited for a row judges by it, so that it does nothing if it has waited until
/// after the expiry; the instants it writes are counted from the start.
macro_rules! now {
    () => {
        concat!("(", start!(), " + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)))")
    };
}

// How many rows were "affected" depends on a flag of the client's, and on whether anything changed. So the statements
// tell their outcome by `LAST_INSERT_ID(expression)`, which the answer carries along. The expression is of the row: no
// server can work it out unless it has found one.

/// The outcome of a write that has found its row, and of a create that has found a live one: the length of an id.
pub(crate) const FOUND: u64 = 16;

macro_rules! found {
    () => {
        "LAST_INSERT_ID(LENGTH(id))"
    };
}

/// The outcome of a create that has made a row, or written over an expired one.
pub(crate) const MADE: u64 = 1;

/// One column of a row that is written over if it has expired.
macro_rules! over {
    ($column:literal, $else:expr) => {
        concat!($column, " = IF(expires_at <= ", start!(), ", VALUES(", $column, "), ", $else, ")")
    };
}

// `expires_at` comes last: assignments may see those before them, or not (`SIMULTANEOUS_ASSIGNMENT`).
const CREATE: &str = concat!(
    "INSERT INTO `sessions` (id, revision, payload, owner, expires_at, ends_at, sweep_at) VALUES (?, ?, ?, ?, ",
    start!(),
    " + ?, ",
    start!(),
    " + ? * LAST_INSERT_ID(1), ",
    start!(),
    " + ?) ON DUPLICATE KEY UPDATE ",
    over!("revision", concat!("IF(", found!(), ", revision, revision)")),
    ", ",
    over!("payload", "payload"),
    ", ",
    over!("owner", "owner"),
    ", ",
    over!("ends_at", "ends_at"),
    ", ",
    over!("sweep_at", "sweep_at"),
    ", ",
    over!("expires_at", "expires_at"),
);

/// What a load answers for each row. The server describes each column anew in every answer: there is none too many.
macro_rules! loaded {
    ($columns:literal, $wanted:literal) => {
        concat!(
            "SELECT ",
            $columns,
            "revision, payload, expires_at - ",
            start!(),
            " AS expires_in, ends_at - ",
            start!(),
            " AS ends_in FROM `sessions` WHERE ",
            $wanted,
            " AND expires_at > ",
            start!(),
        )
    };
}

const LOAD: &str = loaded!("", "id = ?");

const LIST: &str = loaded!("id, ", "owner = ?");

/// What each replace writes, and tells.
macro_rules! replaced {
    () => {
        concat!("UPDATE `sessions` SET revision = IF(", found!(), ", ?, revision), payload = ?")
    };
}

/// Which row is written: the one of this revision, if it is live.
macro_rules! live {
    () => {
        concat!(" WHERE id = ? AND revision = ? AND expires_at > ", now!())
    };
}

const KEEP: &str = concat!(replaced!(), live!());

const EXTEND: &str = concat!(
    replaced!(),
    ", sweep_at = LEAST(sweep_at, ",
    start!(),
    " + ?), expires_at = LEAST(ends_at, ",
    start!(),
    " + ?)",
    live!(),
);

const RESTART: &str = concat!(
    replaced!(),
    ", owner = ?, sweep_at = LEAST(sweep_at, ",
    start!(),
    " + ?), expires_at = ",
    start!(),
    " + ?, ends_at = ",
    start!(),
    " + ?",
    live!(),
);

const TOUCH: &str = concat!(
    "UPDATE `sessions` SET sweep_at = LEAST(sweep_at, ",
    start!(),
    " + ?), expires_at = IF(",
    found!(),
    ", LEAST(ends_at, ",
    start!(),
    " + ?), expires_at)",
    live!(),
);

const DELETE: &str = concat!("DELETE FROM `sessions`", live!());

// Expired ones are left to `purge`, so that what is deleted is what is counted.
const REVOKE: &str = concat!("DELETE FROM `sessions` WHERE owner = ? AND NOT (id <=> ?) AND expires_at > ", now!());

// A purge goes through the sessions that are due in windows of 500 by `sweep_at`: it deletes those that have expired, and
// moves those that have been touched since to where they expire now. So none is looked at twice, however many there are.
// The start of the statement is early enough: what had expired then has expired.

const WINDOW: &str = concat!(
    "SELECT ",
    start!(),
    " AS now, (SELECT sweep_at FROM `sessions` WHERE sweep_at <= ",
    start!(),
    " ORDER BY sweep_at LIMIT 1 OFFSET 499) AS sweep_at",
);

const PURGE: &str =
    concat!("DELETE FROM `sessions` WHERE sweep_at <= ? AND expires_at <= ", start!(), " ORDER BY sweep_at LIMIT ?",);

const MOVE: &str = concat!(
    "UPDATE `sessions` SET sweep_at = expires_at WHERE sweep_at <= ? AND expires_at > ",
    start!(),
    " ORDER BY sweep_at LIMIT 500",
);

const COLUMNS: &str = "SELECT column_name AS name, column_type AS type FROM information_schema.columns \
    WHERE table_schema = DATABASE() AND table_name = 'sessions'";

/// Whoever makes the table waits for others who do. Both go with the connection, which is closed afterwards.
pub(crate) const PATIENCE: &str = "SET lock_wait_timeout = 60 /*M! , max_statement_time = 0 */";
pub(crate) const LOCK: &str = "SELECT GET_LOCK('session-mysql migrate', 60)";

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
    pub(crate) window: SqlStr,
    pub(crate) purge: SqlStr,
    pub(crate) move_on: SqlStr,
}

impl Statements {
    /// The statements for the table of this name, which has been checked: letters, digits and `_`.
    pub(crate) fn of(table: &str) -> Self {
        let text = |text: &str| {
            let text = text.replace("`sessions`", &format!("`{table}`"));
            AssertSqlSafe(text.replace("'sessions'", &format!("'{table}'"))).into_sql_str()
        };
        Self {
            columns: text(COLUMNS),
            schema: text(SCHEMA),
            create: text(CREATE),
            load: text(LOAD),
            keep: text(KEEP),
            extend: text(EXTEND),
            restart: text(RESTART),
            touch: text(TOUCH),
            delete: text(DELETE),
            list: text(LIST),
            revoke: text(REVOKE),
            window: text(WINDOW),
            purge: text(PURGE),
            move_on: text(MOVE),
        }
    }
}

#[cfg(test)]
mod tests {
    use session_conformance::servers;
    use sqlx::{Connection, MySqlConnection, Row};

    use super::*;

    /// A table of which each statement would rather not read all.
    async fn fill(table: &str) -> (MySqlConnection, Statements) {
        let mut connection = MySqlConnection::connect(servers::mysql().url()).await.unwrap();
        let sql = Statements::of(table);
        let fill = format!(
            "DROP TABLE IF EXISTS {table}; {}; INSERT INTO {table} SELECT UNHEX(LPAD(HEX(seq), 32, '0')), seq, '', seq, \
             4e15 + seq, 4e15 + seq, seq * 2e12 FROM seq_1_to_2000; ANALYZE TABLE {table}",
            sql.schema.as_str()
        );
        sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut connection).await.unwrap();
        (connection, sql)
    }

    /// How the server would go about it: the kind of access and the index, for each table that is read.
    async fn plan(connection: &mut MySqlConnection, statement: &SqlStr, parameters: &[&str]) -> Vec<(String, String)> {
        let mut text = format!("EXPLAIN {}", statement.as_str());
        for parameter in parameters {
            text = text.replacen('?', parameter, 1);
        }
        assert!(!text.contains('?'), "{text}");
        let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await.unwrap();
        let column = |row: &sqlx::mysql::MySqlRow, name| row.get::<Option<String>, _>(name).unwrap_or_default();
        let rows = rows.iter().map(|row| (column(row, "type"), column(row, "key")));
        rows.filter(|(access, _)| !access.is_empty()).collect()
    }

    fn uses(access: &str, key: &str) -> Vec<(String, String)> {
        vec![(access.into(), key.into())]
    }

    #[tokio::test]
    async fn load_and_each_write_of_one_session_find_it_by_its_id() {
        let (mut connection, sql) = fill("planned_by_id").await;
        let id = "UNHEX('0000000000000000000000000000002A')";
        assert_eq!(plan(&mut connection, &sql.load, &[id]).await, uses("const", "PRIMARY"));
        for (statement, parameters) in [
            (&sql.keep, &["1", "''", id, "1"][..]),
            (&sql.extend, &["1", "''", "1", "1", id, "1"]),
            (&sql.restart, &["1", "''", "NULL", "1", "1", "1", id, "1"]),
            (&sql.touch, &["1", "1", id, "1"]),
            (&sql.delete, &[id, "1"]),
        ] {
            assert_eq!(plan(&mut connection, statement, parameters).await, uses("range", "PRIMARY"), "{statement:?}");
        }
    }

    #[tokio::test]
    async fn list_and_revoke_find_the_owners_sessions_by_their_index() {
        let (mut connection, sql) = fill("planned_by_owner").await;
        assert_eq!(plan(&mut connection, &sql.list, &["'42'"]).await, uses("ref", "owner"));
        assert_eq!(plan(&mut connection, &sql.revoke, &["'42'", "NULL"]).await, uses("range", "owner"));
    }

    #[tokio::test]
    async fn purge_finds_the_expired_sessions_by_their_index() {
        let (mut connection, sql) = fill("planned_by_sweep").await;
        assert_eq!(plan(&mut connection, &sql.window, &[]).await, uses("range", "sweep_at"));
        assert_eq!(plan(&mut connection, &sql.purge, &["1000000000000000", "10"]).await, uses("range", "sweep_at"));
        assert_eq!(plan(&mut connection, &sql.move_on, &["1000000000000000"]).await, uses("range", "sweep_at"));
    }
}
