//! The floor: the same work by the plain statements of a driver. The cookie is the unsigned id.

use std::sync::atomic::{AtomicI64, Ordering};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, header::COOKIE, header::SET_COOKIE},
    response::{AppendHeaders, IntoResponse},
    routing::{get, post},
};
use session_redis::redis::{AsyncCommands, Client, aio::ConnectionManager};
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// What a driver does for the site.
pub(crate) trait Driver: Clone + Send + Sync + 'static {
    fn read(&self, id: i64) -> impl Future<Output = Vec<u8>> + Send;
    fn write(&self, id: i64, value: Vec<u8>) -> impl Future<Output = ()> + Send;
    fn create(&self, id: i64, value: Vec<u8>) -> impl Future<Output = ()> + Send;
}

pub(crate) fn site<D: Driver>(driver: D) -> Router {
    Router::new()
        .route("/ping", get(async || "pong"))
        .route("/read", get(read::<D>))
        .route("/count", get(count::<D>))
        .route("/inc", post(inc::<D>))
        .route("/fill/{bytes}/{keys}", post(fill::<D>))
        .route("/login/{user}", post(login::<D>))
        .with_state(driver)
}

async fn read<D: Driver>(State(driver): State<D>, headers: HeaderMap) -> String {
    (driver.read(id(&headers)).await.len() - COUNTER).to_string()
}

async fn count<D: Driver>(State(driver): State<D>, headers: HeaderMap) -> String {
    counter(&driver.read(id(&headers)).await).to_string()
}

async fn inc<D: Driver>(State(driver): State<D>, headers: HeaderMap) -> String {
    let mut value = driver.read(id(&headers)).await;
    let next = counter(&value) + 1;
    value[..COUNTER].copy_from_slice(&next.to_be_bytes());
    driver.write(id(&headers), value).await;
    next.to_string()
}

async fn fill<D: Driver>(State(driver): State<D>, Path((bytes, keys)): Path<(usize, usize)>) -> impl IntoResponse {
    create(driver, bytes * keys).await
}

async fn login<D: Driver>(State(driver): State<D>) -> impl IntoResponse {
    create(driver, 200).await
}

async fn create<D: Driver>(driver: D, bytes: usize) -> impl IntoResponse {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    // Spread like random ones.
    let id = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
    driver.create(id, vec![0; COUNTER + bytes]).await;
    (AppendHeaders([(SET_COOKIE, format!("id={id}"))]), "ok")
}

/// The first bytes of a value are its counter.
const COUNTER: usize = 8;

fn counter(value: &[u8]) -> u64 {
    u64::from_be_bytes(value[..COUNTER].try_into().unwrap())
}

fn id(headers: &HeaderMap) -> i64 {
    headers[COOKIE].to_str().unwrap().strip_prefix("id=").unwrap().parse().unwrap()
}

#[derive(Clone)]
pub(crate) struct Redis(ConnectionManager);

impl Redis {
    pub(crate) async fn connect(url: &str) -> Self {
        Self(Client::open(url).unwrap().get_connection_manager().await.unwrap())
    }
}

impl Driver for Redis {
    async fn read(&self, id: i64) -> Vec<u8> {
        self.0.clone().get(id).await.unwrap()
    }

    async fn write(&self, id: i64, value: Vec<u8>) {
        self.0.clone().set_ex(id, value, 3600).await.unwrap()
    }

    async fn create(&self, id: i64, value: Vec<u8>) {
        self.write(id, value).await;
    }
}

#[derive(Clone)]
pub(crate) struct Postgres(PgPool);

impl Postgres {
    pub(crate) async fn connect(url: &str) -> Self {
        let pool = PgPoolOptions::new().test_before_acquire(false).max_connections(10).connect(url).await.unwrap();
        let table = "CREATE TABLE raw (id int8 PRIMARY KEY, value bytea NOT NULL)";
        sqlx::query(table).execute(&pool).await.unwrap();
        Self(pool)
    }
}

impl Driver for Postgres {
    async fn read(&self, id: i64) -> Vec<u8> {
        let read = sqlx::query_scalar("SELECT value FROM raw WHERE id = $1");
        read.bind(id).fetch_one(&self.0).await.unwrap()
    }

    async fn write(&self, id: i64, value: Vec<u8>) {
        let write = sqlx::query("UPDATE raw SET value = $2 WHERE id = $1");
        write.bind(id).bind(value).execute(&self.0).await.unwrap();
    }

    async fn create(&self, id: i64, value: Vec<u8>) {
        let create = sqlx::query("INSERT INTO raw (id, value) VALUES ($1, $2)");
        create.bind(id).bind(value).execute(&self.0).await.unwrap();
    }
}

/// One connection that writes, and some that read.
#[derive(Clone)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Sqlite {
    pub(crate) async fn open(path: &str) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().test_before_acquire(false);
        let writer = pool.clone().max_connections(1).connect_with(options.clone()).await.unwrap();
        let table = "CREATE TABLE raw (id INTEGER PRIMARY KEY, value BLOB NOT NULL)";
        sqlx::query(table).execute(&writer).await.unwrap();
        Self { writer, readers: pool.max_connections(4).connect_with(options).await.unwrap() }
    }
}

impl Driver for Sqlite {
    async fn read(&self, id: i64) -> Vec<u8> {
        let read = sqlx::query_scalar("SELECT value FROM raw WHERE id = ?1");
        read.bind(id).fetch_one(&self.readers).await.unwrap()
    }

    async fn write(&self, id: i64, value: Vec<u8>) {
        let write = sqlx::query("UPDATE raw SET value = ?2 WHERE id = ?1");
        write.bind(id).bind(value).execute(&self.writer).await.unwrap();
    }

    async fn create(&self, id: i64, value: Vec<u8>) {
        let create = sqlx::query("INSERT INTO raw (id, value) VALUES (?1, ?2)");
        create.bind(id).bind(value).execute(&self.writer).await.unwrap();
    }
}
