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
