//! A server that is killed, silent, or cuts its connections. Each call fails in time with a typed error, and the store
//! works again afterwards.

use outage_tests::{After, CONNECTIONS, HOUR, ID, REVISION, Subject, async_trait, entry};
use session_conformance::servers::{self, Server};
use session_core::{Owner, SessionId, Store, StoreError};
use session_mysql::{
    MysqlStore,
    sqlx::{self, AssertSqlSafe, Connection, MySqlConnection, Row},
};

struct Mysql {
    connections: u32,
}

const MYSQL: Mysql = Mysql { connections: CONNECTIONS };

#[async_trait]
impl Subject for Mysql {
    type Store = MysqlStore;

    const BACKEND: &'static str = "mysql";

    fn server() -> Server {
        servers::own_mysql(&[])
    }

    async fn connect(&self, url: &str) -> Result<MysqlStore, StoreError> {
        let builder = MysqlStore::builder().with_connections(self.connections).with_timeout(Self::TIMEOUT);
        builder.connect(url).await
    }

    async fn prepare(&self, store: &MysqlStore) {
        store.migrate().await.unwrap();
    }

    async fn other_calls(&self, store: &MysqlStore) -> Vec<(&'static str, Result<(), StoreError>)> {
        let (purged, migrated) = tokio::join!(store.purge(10), store.migrate());
        vec![("purge", purged.map(drop)), ("migrate", migrated)]
    }

    /// A load that meets a cut connection takes another. Some connections were just being given back to the pool. A write
    /// meets each of those once.
    async fn recover(&self, store: &MysqlStore, _: After) {
        assert!(store.load(&ID).await.unwrap().is_some(), "the session was lost");
        for _ in 0..CONNECTIONS {
            match store.touch(&ID, REVISION, HOUR).await {
                Ok(touched) => assert!(touched),
                Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}"),
            }
        }
    }
}

outage_tests::outage_tests!(MYSQL);

/// Cuts every connection of the store, and waits until they have gone.
async fn cut(server: &Server) {
    let mut other = MySqlConnection::connect(server.url()).await.unwrap();
    let others =
        "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE id <> connection_id() AND user = 'root'";
    loop {
        let ids: Vec<i64> =
            sqlx::query(others).fetch_all(&mut other).await.unwrap().iter().map(|row| row.get(0)).collect();
        if ids.is_empty() {
            return;
        }
        for id in ids {
            // The connection may have gone by itself.
            let _ = sqlx::raw_sql(AssertSqlSafe(format!("KILL CONNECTION {id}"))).execute(&mut other).await;
        }
    }
}

#[tokio::test]
async fn connections_that_the_server_cuts_are_replaced() {
    let server = Mysql::server();
    outage_tests::cut(&server, &[MYSQL], cut).await;
    outage_tests::cut_under_a_write(&server, &[MYSQL], cut).await;
}

#[tokio::test]
async fn the_only_connection_is_replaced_when_the_server_has_cut_it() {
    outage_tests::cut_between_loads(&Mysql::server(), Mysql { connections: 1 }, cut).await;
}

#[tokio::test]
async fn connecting_says_who_is_not_let_in_and_what_is_missing() {
    let server = Mysql::server();
    let mut root = MySqlConnection::connect(server.url()).await.unwrap();
    sqlx::raw_sql("CREATE USER locked@localhost ACCOUNT LOCK").execute(&mut root).await.unwrap();
    // Of users that it does not know MySQL 8.4 asks some for a kind of password that it does not have.
    for user in ["nobody:wrong", "app:wrong", "shop:wrong", "root2:wrong", "site:wrong", "web:wrong", "locked"] {
        let wrong = server.url().replace("root@", &format!("{user}@"));
        let error = MysqlStore::connect(&wrong).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{user}: {error:?}");
    }
    let missing = server.url().replace("/test", "/missing");
    let error = MysqlStore::connect(&missing).await.unwrap_err();
    assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
    // The driver's pool only says that it has waited.
    server.kill();
    let error = MysqlStore::builder().with_timeout(Mysql::TIMEOUT).connect(server.url()).await.unwrap_err();
    let StoreError::Unavailable { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("refused"), "{source}");
}

/// A replica lags behind: it may still have a session that was ended.
#[tokio::test]
async fn a_server_that_is_read_only_is_unavailable_to_reads_too() {
    let server = Mysql::server();
    let store = MysqlStore::connect(server.url()).await.unwrap();
    store.migrate().await.unwrap();
    let owner = Owner::from(42);
    store.create(&ID, entry(REVISION).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    let mut other = MySqlConnection::connect(server.url()).await.unwrap();
    // `read_only` does not bind an administrator, so the store logs in as a user who is not one.
    sqlx::raw_sql("CREATE USER app; GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO app; SET GLOBAL read_only = 1")
        .execute(&mut other)
        .await
        .unwrap();
    let app = MysqlStore::connect(&server.url().replace("root@", "app@")).await.unwrap();
    for store in [&store, &app] {
        let at_once = tokio::join!(store.load(&ID), store.load(&ID));
        let answers = [
            ("migrate", store.migrate().await),
            ("load", store.load(&ID).await.map(drop)),
            ("load of two", at_once.0.and(at_once.1).map(drop)),
            ("load of none", store.load(&SessionId::from_bytes([7; 16])).await.map(drop)),
            ("list", store.list(&owner).await.map(drop)),
            ("list of none", store.list(&Owner::from(7)).await.map(drop)),
        ];
        for (call, answer) in answers {
            let StoreError::Unavailable { source, .. } = answer.expect_err(call) else { panic!("{call}") };
            assert!(source.to_string().starts_with("the server is read-only"), "{call}: {source}");
        }
    }
    let error = app.touch(&ID, REVISION, HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    sqlx::raw_sql("SET GLOBAL read_only = 0").execute(&mut other).await.unwrap();
    assert!(app.load(&ID).await.unwrap().is_some());
    assert!(app.touch(&ID, REVISION, HOUR).await.unwrap());
}
