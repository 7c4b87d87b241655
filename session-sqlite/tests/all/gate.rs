//! A store whose one connection can be held in the middle of a statement or of a commit.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use session_core::{Entry, Revision, SessionId, Store, StoreError};
use session_sqlite::{
    SqliteStore,
    sqlx::{
        self, Connection, Row, Sqlite, SqliteConnection, SqlitePool,
        pool::PoolConnection,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
    },
};
use tempfile::TempDir;
use tokio::{runtime::Handle, sync::Notify, task::JoinHandle};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const REVISION: Revision = Revision::from_bytes([1; 8]);

pub(crate) fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

pub(crate) fn entry() -> Entry<'static> {
    Entry::new(REVISION, b"payload")
}

/// What replaces the entry.
pub(crate) fn next() -> Entry<'static> {
    Entry::new(Revision::from_bytes([2; 8]), b"next")
}

/// The application's pool of one connection, and a store in it.
pub(crate) struct Gate {
    pub(crate) store: SqliteStore,
    pool: SqlitePool,
    hooks: Arc<Hooks>,
    release: mpsc::Sender<()>,
    _folder: TempDir,
}

/// What SQLite calls in the middle of its work. Each number is counted down, and something happens at 1.
struct Hooks {
    commits: AtomicI64,
    hold_row: AtomicI64,
    hold_commit: AtomicI64,
    refuse_commit: AtomicI64,
    /// How many pages the file may have at most; 0 is no limit.
    most_pages: AtomicI64,
    held: Notify,
    released: Mutex<mpsc::Receiver<()>>,
}

impl Hooks {
    fn hold(&self) {
        self.held.notify_one();
        let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        // It is an error if the test has ended.
        let _ = released.recv();
    }

    fn row(&self) {
        if self.hold_row.fetch_sub(1, SeqCst) == 1 {
            self.hold();
        }
    }

    /// Whether the commit is to go on.
    fn commit(&self) -> bool {
        self.commits.fetch_add(1, SeqCst);
        if self.hold_commit.fetch_sub(1, SeqCst) == 1 {
            self.hold();
        }
        self.refuse_commit.fetch_sub(1, SeqCst) != 1
    }

    async fn put_on(self: Arc<Self>, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let limit = format!("PRAGMA max_page_count = {}", self.most_pages.load(SeqCst));
        sqlx::raw_sql(sqlx::AssertSqlSafe(limit)).execute(&mut *connection).await?;
        let mut handle = connection.lock_handle().await?;
        let hooks = Arc::clone(&self);
        handle.set_update_hook(move |_| hooks.row());
        handle.set_commit_hook(move || self.commit());
        Ok(())
    }
}

impl Gate {
    pub(crate) async fn new() -> Self {
        Self::with_timeout(Duration::from_secs(30)).await
    }

    pub(crate) async fn with_timeout(timeout: Duration) -> Self {
        let (release, released) = mpsc::channel();
        let [commits, hold_row, hold_commit, refuse_commit, most_pages] = [0; 5].map(AtomicI64::new);
        let (held, released) = (Notify::new(), Mutex::new(released));
        let hooks = Arc::new(Hooks { commits, hold_row, hold_commit, refuse_commit, most_pages, held, released });
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("sessions.db"))
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(30))
            .journal_mode(SqliteJournalMode::Wal);
        let hooked = Arc::clone(&hooks);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .after_connect(move |connection, _| Box::pin(Arc::clone(&hooked).put_on(connection)));
        let pool = pool.connect_with(options).await.unwrap();
        let store = SqliteStore::builder().with_timeout(timeout).with_pool(pool.clone());
        store.migrate().await.unwrap();
        hooks.commits.store(0, SeqCst);
        Self { store, pool, hooks, release, _folder: folder }
    }

    /// Begins to create session 0, and holds it.
    pub(crate) async fn hold_a_write(&self) -> JoinHandle<Result<(), StoreError>> {
        self.hold_a_write_on(&Handle::current()).await
    }

    /// The same, by a task of this runtime.
    pub(crate) async fn hold_a_write_on(&self, runtime: &Handle) -> JoinHandle<Result<(), StoreError>> {
        self.hold_at_row(1);
        let store = self.store.clone();
        let write = runtime.spawn(async move { store.create(&id(0), entry(), HOUR, 2 * HOUR).await });
        self.is_held().await;
        write
    }

    /// Holds the connection when it writes its first row from now on, or its second.
    pub(crate) fn hold_at_row(&self, row: i64) {
        self.hooks.hold_row.store(row, SeqCst);
    }

    /// Holds the commit that comes after this many others.
    pub(crate) fn hold_the_commit_after(&self, others: i64) {
        self.hooks.hold_commit.store(others + 1, SeqCst);
    }

    /// Refuses the commit that comes after this many others.
    pub(crate) fn refuse_the_commit_after(&self, others: i64) {
        self.hooks.refuse_commit.store(others + 1, SeqCst);
    }

    /// Lets the file grow by this many pages, and then be full, on this connection and later ones.
    pub(crate) async fn limit_pages(&self, more: i64) {
        let pages = self.number("PRAGMA page_count").await + more;
        self.hooks.most_pages.store(pages, SeqCst);
        self.run(&format!("PRAGMA max_page_count = {pages}")).await;
    }

    pub(crate) async fn is_held(&self) {
        self.hooks.held.notified().await;
    }

    pub(crate) fn release(&self) {
        self.release.send(()).unwrap();
    }

    pub(crate) fn commits(&self) -> i64 {
        self.hooks.commits.load(SeqCst)
    }

    pub(crate) async fn take_the_connection(&self) -> PoolConnection<Sqlite> {
        self.pool.acquire().await.unwrap()
    }

    pub(crate) async fn prepared_statements(&self) -> usize {
        self.take_the_connection().await.cached_statements_size()
    }

    pub(crate) async fn run(&self, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap().get(0)
    }

    /// In an open transaction SQLite refuses another.
    pub(crate) async fn assert_no_transaction_is_open(&self) {
        self.run("BEGIN; ROLLBACK").await;
    }
}
