//! The statements, word for word.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::schema::SCHEMA;

/// The database's clock in whole milliseconds. SQLite reads it once a step, after the wait for the lock: a write that
/// waited until after the expiry does nothing.
macro_rules! now {
    () => {
        "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)"
    };
}

const CREATE: &str = concat!(
    r#"INSERT INTO "sessions" AS s (id, revision, payload, owner, expires_at, ends_at) VALUES (?1, ?2, ?3, ?4, "#,
    now!(),
    " + min(?5, ?6), ",
    now!(),
    " + ?6) ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, payload = excluded.payload, ",
    "owner = excluded.owner, expires_at = excluded.expires_at, ends_at = excluded.ends_at WHERE s.expires_at <= ",
    now!(),
);

const LOAD: &str = concat!(
    "SELECT revision, payload, expires_at, ends_at, ",
    now!(),
    r#" AS now FROM "sessions" WHERE id = ?1 AND expires_at > "#,
    now!(),
);

const KEEP: &str = concat!(
    r#"UPDATE "sessions" SET revision = ?3, payload = ?4 WHERE id = ?1 AND revision = ?2 AND expires_at > "#,
    now!(),
);

const EXTEND: &str = concat!(
    r#"UPDATE "sessions" SET revision = ?3, payload = ?4, expires_at = min("#,
    now!(),
    " + ?5, ends_at) WHERE id = ?1 AND revision = ?2 AND expires_at > ",
    now!(),
);

const RESTART: &str = concat!(
    r#"UPDATE "sessions" SET revision = ?3, payload = ?4, owner = ?7, expires_at = "#,
    now!(),
    " + min(?5, ?6), ends_at = ",
    now!(),
    " + ?6 WHERE id = ?1 AND revision = ?2 AND expires_at > ",
    now!(),
);

const TOUCH: &str = concat!(
    r#"UPDATE "sessions" SET expires_at = min("#,
    now!(),
    " + ?3, ends_at) WHERE id = ?1 AND revision = ?2 AND expires_at > ",
    now!(),
);

const DELETE: &str = concat!(r#"DELETE FROM "sessions" WHERE id = ?1 AND revision = ?2 AND expires_at > "#, now!());

const LIST: &str = concat!(
    "SELECT revision, payload, expires_at, ends_at, ",
    now!(),
    r#" AS now, id FROM "sessions" WHERE owner = ?1 AND expires_at > "#,
    now!(),
);

// Expired ones are left to `purge`, so that what is deleted is what is counted.
const REVOKE: &str = concat!(r#"DELETE FROM "sessions" WHERE owner = ?1 AND id IS NOT ?2 AND expires_at > "#, now!());

const PURGE: &str = concat!(
    r#"DELETE FROM "sessions" WHERE rowid IN (SELECT rowid FROM "sessions" WHERE expires_at <= "#,
    now!(),
    " ORDER BY expires_at LIMIT ?1)",
);

const COLUMNS: &str = "SELECT name, type FROM pragma_table_info('sessions')";

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
}

impl Statements {
    /// The statements for the table of this name, which has been checked: letters, digits and `_`.
    pub(crate) fn of(table: &str) -> Self {
        let text = |text: &str| {
            let text = text.replace("\"sessions", &format!("\"{table}")).replace("'sessions'", &format!("'{table}'"));
            AssertSqlSafe(text).into_sql_str()
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
            purge: text(PURGE),
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, Row, SqliteConnection};

    use super::*;

    /// How SQLite would go about it, one step a line.
    async fn plan(statement: SqlStr) -> String {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(Statements::of("devices").schema).execute(&mut connection).await.unwrap();
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement.as_str()));
        let rows = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail") + "\n").collect()
    }

    #[tokio::test]
    async fn load_and_each_write_of_one_session_find_it_by_its_id() {
        let sql = Statements::of("devices");
        for statement in [sql.load, sql.keep, sql.extend, sql.restart, sql.touch, sql.delete] {
            let plan = plan(statement).await;
            assert!(plan.contains("USING INDEX sqlite_autoindex_devices_1 (id=?)"), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
        }
    }

    #[tokio::test]
    async fn list_and_revoke_find_the_owners_sessions_by_their_index() {
        let sql = Statements::of("devices");
        for statement in [sql.list, sql.revoke] {
            let plan = plan(statement).await;
            assert!(plan.contains("USING INDEX devices_owner (owner=?)"), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
        }
    }

    #[tokio::test]
    async fn purge_finds_the_expired_sessions_by_their_index() {
        let plan = plan(Statements::of("devices").purge).await;
        assert!(plan.contains("USING COVERING INDEX devices_expires_at (expires_at<?)"), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
