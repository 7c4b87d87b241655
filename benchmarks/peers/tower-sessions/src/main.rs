//! The measured site over tower-sessions, as its documentation sets it up, with signed cookies as ours.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../../../site/src/in_process.rs"]
mod in_process;
#[path = "../../../site/src/serve.rs"]
mod serve;

use axum::Router;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};
use tower_sessions_sqlx_store::sqlx::{
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// The site over the newest core.
mod newest {
    use tower_sessions::{Expiry, Session, SessionManagerLayer, SessionStore, cookie::Key, session::Error};

    include!("site.rs");
}

/// The site over the core that the stores stand on.
mod of_stores {
    use tower_sessions_14::{Expiry, Session, SessionManagerLayer, SessionStore, cookie::Key, session::Error};

    include!("site.rs");
}

/// `serve KIND [URL]`, or `in-process KIND`.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", kind, url @ ..] => serve::run(site(kind, url.first().copied().unwrap_or_default())),
        ["in-process", kind] => in_process::run(site(kind, "")),
        _ => println!("`cargo xtask bench peers` runs this"),
    }
}

async fn site(kind: &str, url: &str) -> Router {
    match kind {
        "memory" => newest::site(tower_sessions::MemoryStore::default()),
        "redis" => {
            let pool = Pool::new(Config::from_url(url).unwrap(), None, None, None, 6).unwrap();
            pool.init().await.unwrap();
            of_stores::site(tower_sessions_redis_store::RedisStore::new(pool))
        }
        "postgres" => {
            let pool = PgPoolOptions::new().max_connections(10).connect(url).await.unwrap();
            let store = tower_sessions_sqlx_store::PostgresStore::new(pool);
            store.migrate().await.unwrap();
            of_stores::site(store)
        }
        "sqlite" => {
            // As durable as ours.
            let options = SqliteConnectOptions::new()
                .filename(url)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full);
            let pool = SqlitePoolOptions::new().max_connections(10).connect_with(options).await.unwrap();
            let store = tower_sessions_sqlx_store::SqliteStore::new(pool);
            store.migrate().await.unwrap();
            of_stores::site(store)
        }
        other => panic!("there is no site over `{other}`"),
    }
}
