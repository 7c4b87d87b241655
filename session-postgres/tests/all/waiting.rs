//! Writes that wait for their row, because another transaction has it. The session expires, or changes, in the meantime.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_conformance::servers::{self, Server};
use session_core::{Entry, Expiry, Revision, SessionId, Store, StoreError};
use session_postgres::{
    PostgresStore,
    sqlx::{self, AssertSqlSafe, Connection, PgConnection, Row},
};

const HOUR: Duration = Duration::from_secs(3600);

/// What another transaction does with the rows of a table that writes wait for, and what becomes of these writes if the
/// sessions expire as they are.
#[derive(Clone, Copy, Debug)]
struct Holder {
    name: &'static str,
    change: &'static str,
    end: &'static str,
    /// Whether the writes that have waited are done.
    done: bool,
    /// The revision of the rows that are left, if the writes have done nothing.
    left: Option<i64>,
}

const OLD: Option<i64> = Some(0x0101_0101_0101_0101);

const HOLDERS: [Holder; 8] = [
    Holder { name: "locked", change: "SELECT FROM t FOR UPDATE", end: "COMMIT", done: false, left: OLD },
    Holder { name: "undone", change: "UPDATE t SET expires_at = ends_at", end: "ROLLBACK", done: false, left: OLD },
    Holder { name: "undone_deletion", change: "DELETE FROM t", end: "ROLLBACK", done: false, left: OLD },
    Holder { name: "changed", change: "UPDATE t SET payload = 'changed'", end: "COMMIT", done: false, left: OLD },
    Holder { name: "touched", change: "UPDATE t SET expires_at = ends_at", end: "COMMIT", done: true, left: None },
    Holder {
        name: "shortened",
        change: "UPDATE t SET sweep_at = now(), expires_at = now()",
        end: "COMMIT",
        done: false,
        left: OLD,
    },
    Holder {
        name: "written",
        change: "UPDATE t SET revision = 7, expires_at = ends_at",
        end: "COMMIT",
        done: false,
        left: Some(7),
    },
    Holder { name: "deleted", change: "DELETE FROM t", end: "COMMIT", done: false, left: None },
];

/// The writes that a store has. Each has a session of its own.
const WRITES: [&str; 5] = ["keep", "extend", "restart", "touch", "delete"];

fn entry(number: u8) -> Entry<'static> {
    Entry::new(Revision::from_bytes([number; 8]), b"payload")
}

fn ids() -> [SessionId; 5] {
    [1, 2, 3, 4, 5].map(|number| SessionId::from_bytes([number; 16]))
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.unwrap().get(0)
}

/// Where a store and the other transaction connect to. The other needs a connection of its own for longer than one
/// statement, so it does not go through PgBouncer.
struct Place {
    url: String,
    direct: String,
    pooled: bool,
}

impl Place {
    fn at(server: &Server, pooled: bool) -> Self {
        Self { url: server.url().into(), direct: server.url().into(), pooled }
    }

    async fn behind(pgbouncer: &Server) -> Self {
        let through = pgbouncer.url().replace("postgres+pooled", "postgres");
        let options: sqlx::postgres::PgConnectOptions = through.parse().unwrap();
        let mut connection = PgConnection::connect_with(&options.extra_float_digits(None)).await.unwrap();
        let port = number(&mut connection, "SELECT inet_server_port()::bigint").await;
        let direct = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Self { url: pgbouncer.url().into(), direct, pooled: true }
    }

    async fn open(&self, table: &str) -> PostgresStore {
        let builder = PostgresStore::builder().with_table(table).unwrap().with_pooled(self.pooled);
        let store = builder.with_timeout(Duration::from_secs(20)).with_connections(5).connect(&self.url).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.direct).await.unwrap()
    }
}

/// Runs each write of [`WRITES`] at once.
async fn write_each(store: PostgresStore) -> [Result<bool, StoreError>; 5] {
    let (ids, expected) = (ids(), entry(1).revision);
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    let answers = tokio::join!(
        store.replace(&ids[0], expected, entry(2), Expiry::Keep),
        store.replace(&ids[1], expected, entry(2), Expiry::Extend(HOUR)),
        store.replace(&ids[2], expected, entry(2), restart),
        store.touch(&ids[3], expected, HOUR),
        store.delete(&ids[4], expected),
    );
    answers.into()
}

/// Waits until each write waits for its row.
async fn until_they_wait(connection: &mut PgConnection, table: &str) {
    let sql =
        format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%\"{table}\"%'");
    let start = Instant::now();
    while number(connection, &sql).await != 5 {
        assert!(start.elapsed() < Duration::from_secs(15), "{table}: the writes do not wait for their rows");
    }
}

/// Lets the holder have the rows of fresh sessions, and each write wait for one of them. Before the holder lets go, the
/// sessions live on for this long.
async fn behind(place: &Place, holder: Holder, live: Duration) -> [bool; 5] {
    let table = format!("behind_{}_{}_{}", holder.name, place.pooled, live.as_secs());
    let store = place.open(&table).await;
    for id in ids() {
        store.create(&id, entry(1), live, 2 * HOUR).await.unwrap();
    }
    let mut other = place.connect().await;
    run(&mut other, &format!("BEGIN; {}", holder.change.replace(" t", &format!(" {table}")))).await;
    let mut clock = place.connect().await;
    let expiry = format!("SELECT pg_sleep_until((SELECT max(expires_at) FROM {table}))");
    let late = tokio::spawn(write_each(store));
    until_they_wait(&mut clock, &table).await;
    if live < HOUR {
        run(&mut clock, &expiry).await;
    }
    run(&mut other, holder.end).await;
    let answers = late.await.unwrap().map(Result::unwrap);
    if live < HOUR && !holder.done {
        let left = holder.left.map_or("false".into(), |revision| format!("revision = {revision}"));
        let rows = format!("SELECT count(*) FILTER (WHERE {left}) * 10 + count(*) FROM {table}");
        let expected = if holder.left.is_some() { 55 } else { 0 };
        assert_eq!(
            number(&mut clock, &rows).await,
            expected,
            "{holder:?}: a write that was not done has changed a row"
        );
    }
    run(&mut clock, &format!("DROP TABLE {table}")).await;
    answers
}

/// Runs all holders at once.
async fn all_holders(place: &Place, live: Duration) -> Vec<(Holder, [bool; 5])> {
    let answers = join_all(HOLDERS.map(|holder| behind(place, holder, live))).await;
    HOLDERS.into_iter().zip(answers).collect()
}

/// The sessions expire while the writes wait, unless the holder has touched them.
async fn nothing_is_written_after_the_expiry(place: &Place) {
    for (holder, answers) in all_holders(place, Duration::from_secs(2)).await {
        for (name, done) in WRITES.into_iter().zip(answers) {
            assert_eq!(done, holder.done, "{name} has waited behind {holder:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_for_its_row_until_after_the_expiry_does_nothing() {
    nothing_is_written_after_the_expiry(&Place::at(&servers::own_postgres(&[]), false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_pooled_mode_a_write_that_waits_until_after_the_expiry_does_nothing() {
    nothing_is_written_after_the_expiry(&Place::at(&servers::own_postgres(&[]), true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_pgbouncer_a_write_that_waits_until_after_the_expiry_does_nothing() {
    let pgbouncer = servers::own_pgbouncer(50, &[]);
    nothing_is_written_after_the_expiry(&Place::behind(&pgbouncer).await).await;
}

/// The sessions live on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_for_its_row_is_done_if_the_session_is_as_it_was() {
    let server = servers::own_postgres(&[]);
    for pooled in [false, true] {
        for (holder, answers) in all_holders(&Place::at(&server, pooled), HOUR).await {
            let done = !["shortened", "written", "deleted"].contains(&holder.name);
            assert_eq!(answers, [done; 5], "behind {holder:?}");
        }
    }
}

/// The purge has not yet moved `sweep_at` to where the session expires now.
#[tokio::test]
async fn a_write_needs_no_purge_before_it() {
    let server = servers::own_postgres(&[]);
    for (table, pooled) in [("lagging", false), ("lagging_pooled", true)] {
        let place = Place::at(&server, pooled);
        let store = place.open(table).await;
        for id in ids() {
            store.create(&id, entry(1), HOUR, 2 * HOUR).await.unwrap();
        }
        run(&mut place.connect().await, &format!("UPDATE {table} SET sweep_at = now() - interval '1 day'")).await;
        assert_eq!(write_each(store).await.map(Result::unwrap), [true; 5], "{table}");
    }
}
