//! A mobile app or a program without cookies, on the routes of browsers: `cargo run -p examples --bin header_token`.
//!
//! ```sh
//! curl -i -H 'Session-Token;' -d password=password http://127.0.0.1:3000/login     # the answer has the token
//! curl -i -H 'Session-Token: …' http://127.0.0.1:3000/account
//! ```

use std::{env, error::Error, time::Duration};

use axum::{
    Form, Router,
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use session_memory::MemoryStore;
use session_tower::{CurrentOwner, Key, Keyring, Session, SessionError, SessionLayer, SessionManager, TokenHeader};
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Password {
    password: String,
}

// No handler knows which kind of client it serves. The layer reads the token and sends it.

// ANCHOR: handlers
async fn login(session: Session, Form(form): Form<Password>) -> Result<StatusCode, SessionError> {
    // Compare with a hash: `login.rs` shows how.
    if form.password != "password" {
        return Ok(StatusCode::FORBIDDEN);
    }
    session.login(42).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn account(CurrentOwner(owner): CurrentOwner) -> String {
    format!("the account of user {owner}")
}

async fn logout(session: Session) -> Result<StatusCode, SessionError> {
    session.logout().await?; // the header of the answer is empty then: forget the token
    Ok(StatusCode::NO_CONTENT)
}
// ANCHOR_END: handlers

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init(); // errors, thefts, and why a login does not stick
    let store = MemoryStore::new();
    let manager = match env::var("SESSION_KEY") {
        // In production, over https. `openssl rand -base64 32` makes a key.
        Ok(key) => SessionManager::new(store, Keyring::new(Key::from_base64(&key)?)),
        Err(_) => SessionManager::development(store),
    };
    manager.purge_every(Duration::from_secs(60));
    // ANCHOR: manager
    // `Session-Token` in both directions. A client takes the new token of any answer in place of the old one. A request
    // with this header has no cookies: they are ignored.
    let manager = manager.with_token_header(TokenHeader::default());
    // ANCHOR_END: manager

    let app = Router::new()
        .route("/login", post(login))
        .route("/account", get(account))
        .route("/logout", post(logout))
        .layer(SessionLayer::new(manager));
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("log in at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
