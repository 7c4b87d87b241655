//! Questions that MariaDB and MySQL take in different words.

use session_mysql::sqlx::{self, AssertSqlSafe, MySqlConnection, Row};

pub(crate) async fn number(connection: &mut MySqlConnection, sql: &str) -> i64 {
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.unwrap().get(0)
}

pub(crate) async fn is_mariadb(connection: &mut MySqlConnection) -> bool {
    number(connection, "SELECT VERSION() LIKE '%MariaDB%'").await == 1
}

/// How many statements that are like this have been under way for longer than that.
pub(crate) async fn under_way(connection: &mut MySqlConnection, like: &str, milliseconds: u32) -> i64 {
    let sql = match is_mariadb(connection).await {
        true => format!(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '{like}' AND time_ms > {milliseconds}"
        ),
        // A picosecond is 10⁻⁹ ms.
        false => format!(
            "SELECT COUNT(*) FROM performance_schema.events_statements_current WHERE sql_text LIKE '{like}' \
             AND end_event_id IS NULL AND timer_wait > {milliseconds} * 1000000000"
        ),
    };
    number(connection, &sql).await
}

/// How many statements have waited for a lock on this table for longer than that.
pub(crate) async fn waiters(connection: &mut MySqlConnection, table: &str, milliseconds: u32) -> i64 {
    if is_mariadb(connection).await {
        // InnoDB's own list is renewed only ten times a second. A statement that does not wait takes no time at all.
        return under_way(connection, &format!("%`{table}`%"), milliseconds).await;
    }
    // MySQL 8.0 does not show the text of a prepared statement that is under way.
    let sql = format!(
        "SELECT COUNT(DISTINCT thread_id) FROM performance_schema.data_locks \
         JOIN performance_schema.events_statements_current USING (thread_id) \
         WHERE data_locks.object_name = '{table}' AND lock_status = 'WAITING' \
         AND end_event_id IS NULL AND timer_wait > {milliseconds} * 1000000000"
    );
    number(connection, &sql).await
}

/// How many statements on this table are under way.
pub(crate) async fn still_at_work(connection: &mut MySqlConnection, table: &str) -> i64 {
    let sql = match is_mariadb(connection).await {
        // The name stands in two pieces, so that the query does not find itself.
        true => format!(
            "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE info LIKE CONCAT('%`', '{table}`%') AND command <> 'Sleep'"
        ),
        false => format!("SELECT COUNT(*) FROM performance_schema.data_locks WHERE object_name = '{table}'"),
    };
    number(connection, &sql).await
}

/// How many deadlocks there have been.
pub(crate) async fn deadlocks(connection: &mut MySqlConnection) -> i64 {
    let sql = match is_mariadb(connection).await {
        true => {
            "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status \
             WHERE variable_name = 'Innodb_deadlocks'"
        }
        false => "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'",
    };
    number(connection, sql).await
}
