//! The site over our stores.

use axum::{
    Router,
    extract::Path,
    routing::{get, post},
};
use session_core::{Key, Keyring, SessionManager, Store};
use session_memory::MemoryStore;
use session_postgres::PostgresStore;
use session_redis::RedisStore;
use session_sqlite::SqliteStore;
use session_tower::{Session, SessionError, SessionLayer};

/// The site over the store of this kind.
pub(crate) async fn over(kind: &str, url: &str) -> Router {
    match kind {
        "memory" => site(MemoryStore::new()),
        "redis" => site(RedisStore::connect(url).await.unwrap()),
        "postgres" => {
            let store = PostgresStore::connect(url).await.unwrap();
            store.migrate().await.unwrap();
            site(store)
        }
        "sqlite" => site(SqliteStore::open(url).await.unwrap()),
        other => panic!("there is no site over `{other}`"),
    }
}

fn site(store: impl Store) -> Router {
    let manager = SessionManager::new(store, Keyring::new(Key::from_bytes(&[7; 32]).unwrap()));
    Router::new()
        .route("/ping", get(async || "pong"))
        .route("/read", get(read))
        .route("/count", get(count))
        .route("/inc", post(inc))
        .route("/fill/{bytes}/{keys}", post(fill))
        .route("/login/{user}", post(login))
        .layer(SessionLayer::new(manager))
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<String>("k0")?.map_or(0, |value| value.len()).to_string())
}

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<u64>("n")?.unwrap_or_default().to_string())
}

async fn inc(session: Session) -> Result<String, SessionError> {
    Ok(session.update("n", |n: &mut u64| *n += 1)?.to_string())
}

/// A new session with this many keys of this many bytes each.
async fn fill(session: Session, Path((bytes, keys)): Path<(usize, usize)>) -> Result<&'static str, SessionError> {
    for key in 0..keys {
        session.insert(&format!("k{key}"), &"x".repeat(bytes))?;
    }
    session.insert("n", &0u64)?;
    Ok("ok")
}

async fn login(session: Session, Path(user): Path<u64>) -> Result<&'static str, SessionError> {
    session.insert("k0", &"x".repeat(200))?;
    session.insert("n", &0u64)?;
    session.login(user).await?;
    Ok("ok")
}
