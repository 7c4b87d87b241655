//! PostgreSQL on a server of its own.

use session_conformance::servers::{self, Server};
use session_core::SessionId;
use session_postgres::PostgresStore;
use sqlx::{
    AssertSqlSafe, ConnectOptions, PgPool, Row, SqlSafeStr, SqlStr,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    session::PAYLOAD,
    table::{Backend, Disk, Life, Plain, Table},
};

pub(crate) struct Postgres {
    pool: PgPool,
    _server: Server,
}

/// The store and the driver share a pool.
#[derive(Clone)]
pub(crate) struct PostgresTable {
    store: PostgresStore,
    pool: PgPool,
    name: String,
    read: SqlStr,
    write: SqlStr,
}

impl Backend for Postgres {
    const NAME: &'static str = "postgres";

    type Table = PostgresTable;

    /// Makes a pool as the store does.
    async fn start(disk: Disk) -> Self {
        let server = servers::own_postgres(match disk {
            Disk::Waits => &["fsync=on"],
            Disk::DoesNotWait => &["fsync=off"],
        });
        let options: PgConnectOptions = server.url().parse().unwrap();
        let options = options
            .extra_float_digits(None)
            .options([("statement_timeout", "2000"), ("default_transaction_isolation", "read committed")])
            .disable_statement_logging();
        let pool = PgPoolOptions::new().max_connections(10).test_before_acquire(false);
        Self { pool: pool.connect_with(options).await.unwrap(), _server: server }
    }

    async fn table(&self, name: &str) -> PostgresTable {
        let store = PostgresStore::builder().with_table(name).unwrap().with_pool(self.pool.clone());
        store.migrate().await.unwrap();
        let sql = |text: &str| AssertSqlSafe(text.replace("sessions", name)).into_sql_str();
        PostgresTable {
            store,
            pool: self.pool.clone(),
            name: name.to_owned(),
            read: sql("SELECT payload FROM sessions WHERE id = $1"),
            write: sql("UPDATE sessions SET payload = $2 WHERE id = $1"),
        }
    }
}

impl Table for PostgresTable {
    type Store = PostgresStore;

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    async fn fill(&self, sessions: u32, life: Life) {
        let (name, life) = (&self.name, life.milliseconds());
        let fill = format!(
            "BEGIN; SET LOCAL statement_timeout = 0; \
             INSERT INTO {name} (id, revision, payload, owner, expires_at, ends_at, sweep_at) \
             SELECT uuid_send(gen_random_uuid()), n, convert_to(repeat('x', {PAYLOAD}), 'UTF8'), \
             convert_to('owner ' || n / 10, 'UTF8'), at, at, at \
             FROM generate_series(1, {sessions}) n, (SELECT now() + {life} * interval '1 millisecond' AS at) i; COMMIT"
        );
        sqlx::raw_sql(AssertSqlSafe(fill)).execute(&self.pool).await.unwrap();
    }

    async fn settle(&self) {
        sqlx::raw_sql(AssertSqlSafe(format!("VACUUM ANALYZE {}", self.name))).execute(&self.pool).await.unwrap();
    }
}

impl Plain for PostgresTable {
    async fn read(&self, id: &SessionId) -> Vec<u8> {
        sqlx::query(self.read.clone()).bind(&id.as_bytes()[..]).fetch_one(&self.pool).await.unwrap().get(0)
    }

    async fn write(&self, id: &SessionId, payload: &[u8]) {
        let write = sqlx::query(self.write.clone()).bind(&id.as_bytes()[..]).bind(payload);
        write.execute(&self.pool).await.unwrap();
    }
}
