//! The site of `before.rs` over this library.

// ANCHOR: site
use std::convert::Infallible;

use axum::{
    Router,
    extract::Path,
    routing::{get, post},
};
use session_redis::RedisStore;
use session_tower::{CurrentUser, Owner, Session, SessionError, SessionLayer, SessionManager, login_required};

struct User {
    id: Owner,
}

/// Your database.
async fn get_user(id: Owner) -> Result<Option<User>, Infallible> {
    Ok(Some(User { id }))
}

async fn log_in(session: Session, Path(id): Path<u64>) -> Result<(), SessionError> {
    // Compare the password here.
    Ok(session.login(id).await?)
}

async fn log_out(session: Session) -> Result<(), SessionError> {
    Ok(session.logout().await?)
}

async fn account(user: CurrentUser<User>) -> String {
    format!("the account of {}", user.id)
}

pub fn site(store: RedisStore) -> Router {
    let sessions = SessionLayer::new(SessionManager::development(store)).with_users(get_user);
    Router::new()
        .route("/account", get(account))
        .route_layer(login_required())
        .route("/login/{id}", post(log_in))
        .route("/logout", post(log_out))
        .layer(sessions)
}
// ANCHOR_END: site
