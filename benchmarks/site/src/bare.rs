//! A site without sessions.

use axum::{
    Router,
    routing::{get, post},
};

/// The site that does nothing.
pub(crate) fn site() -> Router {
    let pong = async || "pong";
    Router::new()
        .route("/ping", get(pong))
        .route("/read", get(pong))
        .route("/inc", post(pong))
        .route("/fill/{bytes}/{keys}", post(async || "ok"))
        .route("/login/{user}", post(async || "ok"))
}
