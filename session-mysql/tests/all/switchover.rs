//! The address leads to another server than before, and servers that are not ready for this store.

use std::time::Duration;

use futures_util::future::join_all;
use session_conformance::servers::{self, Proxy, Server};
use session_core::{Entry, Expiry, Revision, SessionId, Store, StoreError};
use session_mysql::{
    MysqlStore,
    sqlx::{self, AssertSqlSafe, Connection, MySqlConnection, Row, mysql::MySqlPoolOptions},
};

use crate::words::number;

const HOUR: Duration = Duration::from_secs(3600);
const CONNECTIONS: u32 = 10;

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

fn entry(number: u8) -> Entry<'static> {
    Entry::new(Revision::from_bytes([number; 8]), b"payload")
}

async fn run(server: &Server, sql: &str) {
    let mut root = MySqlConnection::connect(server.url()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut root).await.unwrap();
}

/// The same server for a user who is no administrator.
fn as_app(url: &str) -> String {
    url.replace("root@", "app@")
}

/// A server with ten sessions, and a user for the store.
async fn server(arguments: &[&str]) -> Server {
    let server = servers::own_mysql(arguments);
    run(&server, "CREATE USER app; GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO app").await;
    let store = MysqlStore::connect(server.url()).await.unwrap();
    store.migrate().await.unwrap();
    for number in 0..10 {
        store.create(&id(number), entry(1), HOUR, HOUR).await.unwrap();
    }
    server
}

/// The old server lives on, and its connections stay open: nothing cuts them.
#[tokio::test]
async fn a_store_follows_its_address_to_the_server_that_takes_writes() {
    let (old, new) = (server(&[]).await, server(&[]).await);
    let proxy = Proxy::before(&as_app(old.url()));
    let builder = MysqlStore::builder().with_connections(CONNECTIONS);
    let store = builder.connect(proxy.url()).await.unwrap();
    for write in [false, true] {
        // As many connections as the store may have.
        for touched in
            join_all((0..10).map(async |number| store.touch(&id(number), entry(1).revision, HOUR).await)).await
        {
            assert!(touched.unwrap());
        }
        let (from, to) = if write { (&new, &old) } else { (&old, &new) };
        run(from, "SET GLOBAL read_only = 1").await;
        run(to, "SET GLOBAL read_only = 0").await;
        proxy.lead_to(to.url());
        // The first call after that, and each one that follows.
        for number in 0..10 {
            if write {
                let touched = store.touch(&id(number), entry(1).revision, HOUR).await;
                assert!(touched.unwrap(), "touch {number}");
            } else {
                assert!(store.load(&id(number)).await.unwrap().is_some(), "load {number}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_finds_no_server_that_takes_writes_says_so_in_time() {
    let server = server(&[]).await;
    let store = MysqlStore::connect(&as_app(server.url())).await.unwrap();
    run(&server, "SET GLOBAL read_only = 1").await;
    let answers = join_all((0..30).map(async |number| match number % 3 {
        0 => store.load(&id(1)).await.map(drop),
        1 => store.load(&id(77)).await.map(drop),
        _ => store.replace(&id(2), entry(1).revision, entry(2), Expiry::Keep).await.map(drop),
    }));
    for answer in answers.await {
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    }
    run(&server, "SET GLOBAL read_only = 0").await;
    assert!(store.load(&id(1)).await.unwrap().is_some());
    assert!(store.touch(&id(2), entry(1).revision, HOUR).await.unwrap());
}

/// How often somebody has tried to connect.
async fn attempts(root: &mut MySqlConnection) -> u64 {
    let status = sqlx::raw_sql("SHOW GLOBAL STATUS LIKE 'Connections'").fetch_one(root).await.unwrap();
    status.get::<String, _>(1).parse().unwrap()
}

#[tokio::test]
async fn a_server_with_too_many_clients_is_asked_again() {
    let server = server(&["--max-connections=10"]).await;
    let url = as_app(server.url());
    let mut root = MySqlConnection::connect(server.url()).await.unwrap();
    let builder = || MysqlStore::builder().with_timeout(Duration::from_secs(20));
    let lazy = builder().with_pool(MySqlPoolOptions::new().connect_lazy(&url).unwrap());
    for is_own in [true, false] {
        // Those of before are closed in the background.
        let others = "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE user IN ('root', 'app') AND id <> CONNECTION_ID()";
        while number(&mut root, others).await > 0 {}
        let mut holders = Vec::new();
        while let Ok(holder) = MySqlConnection::connect(&url).await {
            holders.push(holder);
        }
        let before = attempts(&mut root).await;
        let waiting = tokio::spawn({
            let (url, lazy) = (url.clone(), lazy.clone());
            async move {
                let store = if is_own { builder().with_connections(1).connect(&url).await? } else { lazy };
                store.load(&id(1)).await
            }
        });
        while attempts(&mut root).await < before + 2 {
            assert!(!waiting.is_finished(), "nobody asks again");
        }
        holders.pop().unwrap().close().await.unwrap();
        assert!(waiting.await.unwrap().unwrap().is_some());
        for holder in holders {
            holder.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_pool_with_settings_in_which_promises_break_is_refused() {
    let server = server(&[]).await;
    let options = MySqlPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async move { sqlx::raw_sql("SET autocommit = 0").execute(connection).await.map(drop) })
    });
    let store = MysqlStore::new(options.connect(server.url()).await.unwrap());
    let StoreError::Backend { source, .. } = store.migrate().await.unwrap_err() else { panic!("another error") };
    assert!(source.to_string().contains("run SET autocommit = 1"), "{source}");
}
