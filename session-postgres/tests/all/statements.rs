//! The statements that reach the server: one for each operation. A touch changes no index, and no write logs what stays.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use session_conformance::servers::{self, Server};
use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store};
use session_postgres::{
    PostgresStore,
    sqlx::{self, Connection, PgConnection, Row},
};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);

/// A server that counts its statements. Each test has one of its own, because it counts those of all its clients.
async fn counting_server() -> Server {
    let server =
        servers::own_postgres(&["shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=all"]);
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    sqlx::raw_sql("CREATE EXTENSION pg_stat_statements").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    server
}

async fn open(server: &Server, table: &str, pooled: bool) -> PostgresStore {
    let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(pooled).with_connections(2);
    let store = builder.connect(server.url()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

fn revision(number: u8) -> Revision {
    Revision::from_bytes([number; 8])
}

/// Runs each operation once, and returns their names.
async fn one_of_each(store: &PostgresStore) -> Vec<&'static str> {
    let user = Owner::from(42);
    let entry = |number| Entry::new(revision(number), b"payload").with_owner(Some(&user));
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    store.create(&ID, entry(1), HOUR, HOUR).await.unwrap();
    assert!(store.load(&ID).await.unwrap().is_some());
    assert!(store.replace(&ID, revision(1), entry(2), Expiry::Keep).await.unwrap());
    assert!(store.replace(&ID, revision(2), entry(3), Expiry::Extend(HOUR)).await.unwrap());
    assert!(store.replace(&ID, revision(3), entry(4), restart).await.unwrap());
    assert!(store.touch(&ID, revision(4), HOUR).await.unwrap());
    assert_eq!(store.list(&user).await.unwrap().len(), 1);
    assert!(store.delete(&ID, revision(4)).await.unwrap());
    assert_eq!(store.revoke(&user, None).await.unwrap(), 0);
    assert_eq!(store.purge(10).await.unwrap(), 0);
    vec!["create", "load", "keep", "extend", "restart", "touch", "list", "delete", "revoke", "purge"]
}

/// The statements with this text in them, and how often each was run.
async fn calls(server: &Server, like: &str) -> BTreeMap<String, i64> {
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    let sql =
        "SELECT query, calls FROM pg_stat_statements WHERE query LIKE $1 AND query NOT LIKE '%pg_stat_statements%'";
    let rows = sqlx::query(sql).bind(format!("%{like}%")).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn sum_of_calls(server: &Server, like: &str) -> i64 {
    calls(server, like).await.values().sum()
}

#[tokio::test]
async fn each_operation_is_one_statement_in_both_modes() {
    let server = counting_server().await;
    for (table, pooled) in [("counted", false), ("counted_pooled", true)] {
        let store = open(&server, table, pooled).await;
        let name = format!("\"{table}\"");
        let before = (sum_of_calls(&server, &name).await, sum_of_calls(&server, "SET LOCAL statement_timeout").await);
        let operations = one_of_each(&store).await;
        let after = (sum_of_calls(&server, &name).await, sum_of_calls(&server, "SET LOCAL statement_timeout").await);
        assert_eq!(after.0 - before.0, i64::try_from(operations.len()).unwrap(), "{:?}", calls(&server, &name).await);
        // The setting is in the same message, so it takes no round trip of its own.
        let settings = if pooled { operations.len() } else { 0 };
        assert_eq!(after.1 - before.1, i64::try_from(settings).unwrap());
        let mut of_this_table = calls(&server, &name).await;
        of_this_table.retain(|query, _| query.starts_with("WITH") || query.contains("session.payload"));
        assert_eq!(of_this_table.len(), operations.len(), "{of_this_table:#?}");
        assert!(of_this_table.values().all(|&calls| calls == 1), "{of_this_table:#?}");
    }
}

#[tokio::test]
async fn loads_that_wait_at_the_same_moment_are_one_statement() {
    let server = counting_server().await;
    for (table, pooled) in [("shared", false), ("shared_pooled", true)] {
        let store = open(&server, table, pooled).await;
        let [first, expired, missing, last] = [1, 2, 3, 4].map(|id| SessionId::from_bytes([id; 16]));
        for id in [&first, &last] {
            store.create(id, Entry::new(revision(1), id.as_bytes()), HOUR, HOUR).await.unwrap();
        }
        store.create(&expired, Entry::new(revision(1), b"over"), Duration::ZERO, HOUR).await.unwrap();
        let like = format!("{table}%session.id = ANY");
        // The first goes alone. The others come while it is under way, unless this process has stood still for long.
        for round in 1.. {
            let asked = [&first, &expired, &missing, &last, &last, &first];
            let answers = join_all(asked.map(|id| store.load(id))).await;
            for (id, answer) in asked.into_iter().zip(answers) {
                match answer.unwrap() {
                    Some(loaded) => assert_eq!(loaded.payload, id.as_bytes()[..]),
                    None => assert!([expired, missing].contains(id), "{id}"),
                }
            }
            if sum_of_calls(&server, &like).await > 0 {
                break;
            }
            assert!(round < 100, "no loads were shared");
        }
    }
}

#[tokio::test]
async fn a_thousand_touches_of_one_session_leave_every_index_alone() {
    // No other test may use this server. An older reader would keep old versions of the row, and fill up its page.
    let server = servers::own_postgres(&["autovacuum=off"]);
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    for (table, pooled) in [("touched", false), ("touched_pooled", true)] {
        let store = open(&server, table, pooled).await;
        let user = Owner::from(42);
        store.create(&ID, Entry::new(revision(1), &[7; 200]).with_owner(Some(&user)), HOUR, 2 * HOUR).await.unwrap();
        for _ in 0..1000 {
            assert!(store.touch(&ID, revision(1), HOUR).await.unwrap());
        }
        // The server's processes report what they have done when they end.
        drop(store);
        let sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = $1";
        let (updated, hot) = loop {
            let row = sqlx::query(sql).bind(table).fetch_one(&mut connection).await.unwrap();
            let (updated, hot): (i64, i64) = (row.get(0), row.get(1));
            if updated == 1000 {
                break (updated, hot);
            }
            sqlx::query("SELECT pg_stat_clear_snapshot()").execute(&mut connection).await.unwrap();
        };
        assert_eq!(hot, updated, "{table}");
    }
}

/// How many bytes of the server's log these writes take, each.
async fn logged(connection: &mut PgConnection, times: u8, mut write: impl AsyncFnMut(u8)) -> u64 {
    let position = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    let before: i64 = sqlx::query(position).fetch_one(&mut *connection).await.unwrap().get(0);
    for number in 0..times {
        write(number).await;
    }
    let after: i64 = sqlx::query(position).fetch_one(&mut *connection).await.unwrap().get(0);
    (after - before).unsigned_abs() / u64::from(times)
}

/// The payload and the owner have 1200 bytes. A write changes the payload where a record has what was changed last: in front.
#[tokio::test]
async fn a_write_logs_nothing_that_it_has_not_changed() {
    let server = servers::own_postgres(&["autovacuum=off", "full_page_writes=off", "checkpoint_timeout=1h"]);
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    let store = open(&server, "logged", false).await;
    let owner = Owner::try_from([7; 200].as_slice()).unwrap();
    let mut payload = [8; 1000];
    store.create(&ID, Entry::new(revision(0), &payload).with_owner(Some(&owner)), HOUR, 2 * HOUR).await.unwrap();
    let replace = async |number| {
        payload[100] = number;
        let entry = Entry::new(revision(number + 1), &payload).with_owner(Some(&owner));
        assert!(store.replace(&ID, revision(number), entry, Expiry::Extend(HOUR)).await.unwrap());
    };
    let of_replace = logged(&mut connection, 200, replace).await;
    let touch = async |_| assert!(store.touch(&ID, revision(200), HOUR).await.unwrap());
    let of_touch = logged(&mut connection, 200, touch).await;
    // What each record of the log has besides the row takes about 150 bytes.
    assert!(of_replace < 300 && of_touch < 250, "{of_replace} {of_touch}");
}
