//! MariaDB on a server of its own.

use session_conformance::servers::{self, Server};
use session_core::SessionId;
use session_mysql::MysqlStore;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Executor, MySqlPool, Row, SqlSafeStr, SqlStr,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};

use crate::{
    session::PAYLOAD,
    table::{Backend, Disk, Life, Plain, Table},
};

pub(crate) struct Mysql {
    pool: MySqlPool,
    _server: Server,
}

/// The store and the driver share a pool.
#[derive(Clone)]
pub(crate) struct MysqlTable {
    store: MysqlStore,
    pool: MySqlPool,
    name: String,
    read: SqlStr,
    write: SqlStr,
}

/// The settings that the store makes on each connection of its own.
const SETTINGS: &str = "SET autocommit = 1, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', \
    time_zone = '+00:00', innodb_lock_wait_timeout = 2, tx_isolation = 'READ-COMMITTED', max_statement_time = 2";

impl Backend for Mysql {
    const NAME: &'static str = "mysql";

    type Table = MysqlTable;

    /// Makes a pool as the store does.
    async fn start(disk: Disk) -> Self {
        let server = servers::own_mysql(match disk {
            Disk::Waits => &["--innodb-flush-log-at-trx-commit=1"],
            Disk::DoesNotWait => &["--innodb-flush-log-at-trx-commit=2"],
        });
        let options: MySqlConnectOptions = server.url().parse().unwrap();
        let options = options.pipes_as_concat(false).no_engine_substitution(false).timezone(None);
        let pool = MySqlPoolOptions::new()
            .max_connections(10)
            .test_before_acquire(false)
            .after_connect(|connection, _| Box::pin(async { connection.execute(SETTINGS).await.map(drop) }));
        Self { pool: pool.connect_with(options.disable_statement_logging()).await.unwrap(), _server: server }
    }

    async fn table(&self, name: &str) -> MysqlTable {
        let store = MysqlStore::builder().with_table(name).unwrap().with_pool(self.pool.clone());
        store.migrate().await.unwrap();
        let sql = |text: &str| AssertSqlSafe(text.replace("sessions", name)).into_sql_str();
        MysqlTable {
            store,
            pool: self.pool.clone(),
            name: name.to_owned(),
            read: sql("SELECT payload FROM sessions WHERE id = ?"),
            write: sql("UPDATE sessions SET payload = ? WHERE id = ?"),
        }
    }
}

impl Table for MysqlTable {
    type Store = MysqlStore;

    fn store(&self) -> &MysqlStore {
        &self.store
    }

    async fn fill(&self, sessions: u32, life: Life) {
        let (name, life) = (&self.name, life.milliseconds());
        let fill = format!(
            "SET STATEMENT max_statement_time = 0 FOR \
             INSERT INTO {name} (id, revision, payload, owner, expires_at, ends_at, sweep_at) \
             SELECT UNHEX(MD5(CONCAT(RAND(), seq))), seq, REPEAT('x', {PAYLOAD}), CONCAT('owner ', seq DIV 10), at, at, at \
             FROM seq_1_to_{sessions}, \
             (SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + {life} * 1000 AS at) AS i"
        );
        sqlx::raw_sql(AssertSqlSafe(fill)).execute(&self.pool).await.unwrap();
    }

    async fn settle(&self) {
        sqlx::raw_sql(AssertSqlSafe(format!("ANALYZE TABLE {}", self.name))).execute(&self.pool).await.unwrap();
    }
}

impl Plain for MysqlTable {
    async fn read(&self, id: &SessionId) -> Vec<u8> {
        sqlx::query(self.read.clone()).bind(&id.as_bytes()[..]).fetch_one(&self.pool).await.unwrap().get(0)
    }

    async fn write(&self, id: &SessionId, payload: &[u8]) {
        let write = sqlx::query(self.write.clone()).bind(payload).bind(&id.as_bytes()[..]);
        write.execute(&self.pool).await.unwrap();
    }
}
