//! The purge finds expired sessions by an index, and a touch leaves every index alone.

use std::{fs, time::Duration};

use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store};
use session_sqlite::{
    SqliteStore,
    sqlx::{
        self, Row, SqlitePool,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);
const REVISION: Revision = Revision::from_bytes([1; 8]);
/// The database's clock.
const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

fn id(number: u32) -> SessionId {
    SessionId::from_bytes([[0; 12].as_slice(), &number.to_be_bytes()].concat().try_into().unwrap())
}

/// A file whose log is never written back, so that its length tells how many pages were written.
struct File {
    folder: TempDir,
    pool: SqlitePool,
    store: SqliteStore,
}

impl File {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("sessions.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Off)
            .pragma("wal_autocheckpoint", "0");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let store = SqliteStore::new(pool.clone());
        store.migrate().await.unwrap();
        Self { folder, pool, store }
    }

    /// How many pages the log has.
    fn pages(&self) -> u64 {
        const HEADER: u64 = 32;
        const PAGE: u64 = 24 + 4096;
        let length = fs::metadata(self.folder.path().join("sessions.db-wal")).unwrap().len();
        assert_eq!((length - HEADER) % PAGE, 0, "the log is {length} bytes long");
        (length - HEADER) / PAGE
    }

    async fn number(&self, sql: &str) -> i64 {
        sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap().get(0)
    }

    /// Puts in the sessions of these numbers. They expire after this many hours, and the purge looks at them this many
    /// hours ago.
    async fn insert(&self, numbers: [u32; 2], expires: i64, due: i64) {
        let [from, to] = numbers;
        let insert = format!(
            "WITH RECURSIVE n(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM n WHERE n < {to}) \
             INSERT INTO sessions (id, revision, payload, owner, expires_at, ends_at, sweep_at) \
             SELECT unhex(printf('%032x', n)), n, x'', NULL, {NOW} + {expires} * 3600000, {NOW} + {expires} * 3600000, \
             {NOW} - {due} * 3600000 FROM n"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert)).execute(&self.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_thousand_touches_and_extensions_leave_every_index_alone() {
    let file = File::new().await;
    let (store, user) = (&file.store, Owner::from(42));
    let entry = Entry::new(REVISION, b"payload").with_owner(Some(&user));
    for number in 0..10 {
        store.create(&id(number), entry, HOUR, 3 * HOUR).await.unwrap();
    }
    let before = file.pages();
    for number in 0..500 {
        // Each is longer than the one before. SQLite does not write a row that stays the same.
        let [touch, extend] = [1, 2].map(|half| 2 * HOUR + Duration::from_millis(u64::from(2 * number + half)));
        assert!(store.touch(&id(number % 10), REVISION, touch).await.unwrap());
        assert!(store.replace(&id(number % 10), REVISION, entry, Expiry::Extend(extend)).await.unwrap());
    }
    assert_eq!(file.pages() - before, 1000, "each writes the page of its row, and no other");
    // A session that now expires sooner than it was created with has to be found sooner.
    let before = file.pages();
    assert!(store.touch(&id(0), REVISION, HOUR / 2).await.unwrap());
    assert_eq!(file.pages() - before, 2, "the page of its row, and that of an index");
}

#[tokio::test]
async fn purge_passes_by_what_was_touched() {
    let file = File::new().await;
    // More touched sessions than one window holds, in front of five that have expired.
    file.insert([1, 1200], 1, 3).await;
    file.insert([1201, 1205], -1, 2).await;
    for expected in [3, 2, 0] {
        assert_eq!(file.store.purge(3).await.unwrap(), expected);
    }
    let moved = format!("SELECT COUNT(*) FROM sessions WHERE sweep_at = expires_at AND expires_at > {NOW}");
    assert_eq!(file.number(&moved).await, 1200, "the touched ones are due when they expire now");
    let before = file.pages();
    assert_eq!(file.store.purge(500).await.unwrap(), 0);
    assert_eq!(file.pages(), before, "a purge that finds nothing writes nothing");
}

/// A session that expires sooner than it was created with is not due yet by its `sweep_at`.
#[tokio::test]
async fn purge_finds_what_expires_sooner_than_it_is_due() {
    let file = File::new().await;
    file.insert([1, 20], -1, -9).await;
    file.insert([21, 30], 1, -9).await;
    // Some that are due by both.
    file.insert([31, 36], -2, 1).await;
    for expected in [7, 7, 7, 5, 0] {
        assert_eq!(file.store.purge(7).await.unwrap(), expected);
    }
    assert_eq!(file.number("SELECT COUNT(*) FROM sessions WHERE revision BETWEEN 21 AND 30").await, 10);
}
