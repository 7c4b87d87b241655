//! What the store says of a server that it should not be connected to.

use std::{error::Error, time::Duration};

use futures_util::future::join_all;
use session_conformance::servers::{self, Proxy, Server};
use session_core::{Entry, Owner, Revision, SessionId, Store, StoreError};
use session_postgres::{
    PostgresStore,
    sqlx::{
        self, Connection, PgConnection, Row,
        postgres::{PgConnectOptions, PgRow},
    },
};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);

async fn run(server: &Server, sql: &'static str) {
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

async fn pooled(server: &Server) -> PostgresStore {
    PostgresStore::builder().with_pooled(true).connect(server.url()).await.unwrap()
}

fn words(error: &StoreError) -> String {
    error.source().unwrap().to_string()
}

/// A standby lags behind: it may still have a session that was ended.
#[tokio::test]
async fn a_standby_is_unavailable_to_reads_too() {
    let server = servers::own_postgres(&[]);
    let owner = Owner::from(42);
    let entry = Entry::new(Revision::from_bytes([1; 8]), b"payload").with_owner(Some(&owner));
    let store = PostgresStore::connect(server.url()).await.unwrap();
    store.migrate().await.unwrap();
    store.create(&ID, entry, HOUR, HOUR).await.unwrap();
    // The server runs in the folder of its data.
    run(&server, "COPY (SELECT 1) TO PROGRAM 'cat > standby.signal'").await;
    server.kill();
    server.start();
    for store in [PostgresStore::connect(server.url()).await.unwrap(), pooled(&server).await, store] {
        let at_once = tokio::join!(store.load(&ID), store.load(&ID));
        let answers = [
            ("migrate", store.migrate().await),
            ("load", store.load(&ID).await.map(drop)),
            ("load of two", at_once.0.and(at_once.1).map(drop)),
            ("load of none", store.load(&SessionId::from_bytes([7; 16])).await.map(drop)),
            ("list", store.list(&owner).await.map(drop)),
            ("touch", store.touch(&ID, Revision::from_bytes([1; 8]), HOUR).await.map(drop)),
            ("revoke", store.revoke(&owner, None).await.map(drop)),
        ];
        for (call, answer) in answers {
            let error = answer.expect_err(call);
            assert!(matches!(error, StoreError::Unavailable { .. }), "{call}: {error:?}");
            let is_write = ["touch", "revoke"].contains(&call);
            assert!(is_write || words(&error).starts_with("the server is a standby"), "{call}: {error:?}");
        }
    }
    // It takes over.
    run(&server, "SELECT pg_promote()").await;
    let store = pooled(&server).await;
    store.migrate().await.unwrap();
    assert!(store.load(&ID).await.unwrap().is_some(), "the session was lost");
}

/// The standby lives on, and the connections to it stay open: nothing cuts them.
#[tokio::test]
async fn a_store_follows_its_address_to_the_server_that_takes_writes() {
    let (standby, primary) = (servers::own_postgres(&[]), servers::own_postgres(&[]));
    let (ids, revision) =
        ([1, 2, 3, 4].map(|number| SessionId::from_bytes([number; 16])), Revision::from_bytes([1; 8]));
    for server in [&standby, &primary] {
        let store = PostgresStore::connect(server.url()).await.unwrap();
        store.migrate().await.unwrap();
        for id in &ids {
            store.create(id, Entry::new(revision, b"payload"), HOUR, HOUR).await.unwrap();
        }
    }
    run(&standby, "COPY (SELECT 1) TO PROGRAM 'cat > standby.signal'").await;
    standby.kill();
    standby.start();
    for is_write in [false, true] {
        let proxy = Proxy::before(standby.url());
        let store = PostgresStore::builder().with_connections(4).connect(proxy.url()).await.unwrap();
        // As many connections as it may have, and all of them to the standby.
        let refused = join_all(ids.iter().map(async |id| match is_write {
            true => store.touch(id, revision, HOUR).await.map(drop),
            false => store.list(&Owner::from(42)).await.map(drop),
        }));
        for answer in refused.await {
            assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
        }
        proxy.lead_to(primary.url());
        for id in &ids {
            if is_write {
                assert!(store.touch(id, revision, HOUR).await.unwrap(), "touch {id}");
            } else {
                assert!(store.load(id).await.unwrap().is_some(), "load {id}");
            }
        }
    }
}

/// A pooler that shares connections, and ignores the settings of each, would mix answers up.
#[tokio::test]
async fn a_pooler_that_drops_the_timeout_is_refused() {
    for mode in ["pool_mode = session", "pool_mode = transaction"] {
        let pgbouncer = servers::own_pgbouncer(4, &[mode, "ignore_startup_parameters = options"]);
        let url = pgbouncer.url().replace("postgres+pooled", "postgres");
        let error = PostgresStore::connect(&url).await.unwrap_err();
        assert!(matches!(error, StoreError::Backend { .. }), "{mode}: {error:?}");
        assert!(words(&error).contains("postgres+pooled://"), "{mode}: {error:?}");
    }
}

/// PgBouncer answers with one code whatever it refuses.
#[tokio::test]
async fn a_pooler_that_is_full_is_not_taken_for_one_that_drops_the_timeout() {
    let pgbouncer = servers::own_pgbouncer(4, &["max_client_conn = 1"]);
    let store = PostgresStore::builder().with_connections(1).connect(pgbouncer.url()).await.unwrap();
    let error = PostgresStore::connect(pgbouncer.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(words(&error).contains("max_client_conn"), "{error:?}");
    drop(store);
}

/// The pooled mode does not need to know how PgBouncer shares its connections.
#[tokio::test]
async fn the_pooled_mode_works_behind_each_mode_of_pgbouncer() {
    for mode in ["session", "transaction", "statement"] {
        let pgbouncer = servers::own_pgbouncer(4, &[&format!("pool_mode = {mode}")]);
        let console = pgbouncer.url().replace("postgres+pooled", "postgres").replace("/postgres", "/pgbouncer");
        let options = console.parse::<PgConnectOptions>().unwrap().extra_float_digits(None);
        let mut console = PgConnection::connect_with(&options).await.unwrap();
        let settings = sqlx::raw_sql("SHOW CONFIG").fetch_all(&mut console).await.unwrap();
        let is_set = |row: &PgRow| row.get::<&str, _>("key") == "pool_mode" && row.get::<&str, _>("value") == mode;
        assert!(settings.iter().any(is_set), "PgBouncer is in another mode than {mode}");
        let store = PostgresStore::builder().with_connections(4).connect(pgbouncer.url()).await.unwrap();
        store.migrate().await.unwrap();
        let entry = Entry::new(Revision::from_bytes([1; 8]), b"payload");
        store.create(&ID, entry, HOUR, HOUR).await.unwrap();
        assert!(store.touch(&ID, Revision::from_bytes([1; 8]), HOUR).await.unwrap(), "{mode}");
        assert!(store.load(&ID).await.unwrap().is_some(), "{mode}");
        assert_eq!(store.purge(10).await.unwrap(), 0, "{mode}");
    }
}

/// The driver's pool only says that it has waited.
#[tokio::test]
async fn connecting_says_why_there_is_no_connection() {
    let server = servers::own_postgres(&["max_connections=4", "superuser_reserved_connections=0", "max_wal_senders=0"]);
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(PgConnection::connect(server.url()).await.unwrap());
    }
    let builder = PostgresStore::builder().with_timeout(Duration::from_millis(500));
    let error = builder.clone().connect(server.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(words(&error).contains("too many clients"), "{error:?}");
    drop(others);
    server.kill();
    let error = builder.connect(server.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(words(&error).contains("refused"), "{error:?}");
}
