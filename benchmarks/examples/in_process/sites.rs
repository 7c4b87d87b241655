//! The measured routes, with a session and without.

use axum::{
    Router,
    extract::Path,
    routing::{get, post},
};
use session_core::{Key, Keyring, SessionManager};
use session_memory::MemoryStore;
use session_tower::{Session, SessionError, SessionLayer};

/// The site that does nothing.
pub(crate) fn bare() -> Router {
    Router::new()
        .route("/read", get(async || "200".to_owned()))
        .route("/inc", post(async || "1".to_owned()))
        .route("/fill/{bytes}/{keys}", post(async |_: Path<(usize, usize)>| "ok"))
        .route("/login/{user}", post(async |_: Path<u64>| "ok"))
}

/// The same routes over our sessions.
pub(crate) fn ours() -> Router {
    let manager = SessionManager::new(MemoryStore::new(), Keyring::new(Key::from_bytes(&[7; 32]).unwrap()));
    Router::new()
        .route("/read", get(read))
        .route("/inc", post(inc))
        .route("/fill/{bytes}/{keys}", post(fill))
        .route("/login/{user}", post(login))
        .layer(SessionLayer::new(manager))
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<String>("k0")?.map_or(0, |value| value.len()).to_string())
}

async fn inc(session: Session) -> Result<String, SessionError> {
    Ok(session.update("n", |n: &mut u64| *n += 1)?.to_string())
}

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
