//! A login, a page behind it, a logout under axum: `cargo run -p examples --bin axum`, then open
//! <http://127.0.0.1:3000>.

// ANCHOR: program
use std::{env, error::Error, time::Duration};

use axum::{
    Form, Router,
    response::{Html, Redirect},
    routing::{get, post},
};
use serde::Deserialize; // serde = { version = "1", features = ["derive"] }
use session_memory::MemoryStore;
use session_tower::{CurrentOwner, Key, Keyring, Session, SessionError, SessionLayer, SessionManager};
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Password {
    user: String,
    password: String,
}

/// Write this yourself: look into your user table, and compare with the hash there by a library such as argon2.
fn is_right(form: &Password) -> bool {
    form.user == "user 42" && form.password == "password"
}

async fn login(session: Session, Form(form): Form<Password>) -> Result<Redirect, SessionError> {
    if !is_right(&form) {
        return Ok(Redirect::to("/"));
    }
    // A fresh token; the old one is dead. A number goes in the same way: `login(42)`.
    session.login(form.user).await?;
    Ok(Redirect::to("/account"))
}

async fn account(CurrentOwner(owner): CurrentOwner) -> Html<String> {
    // This name is one of those that `is_right` accepts. A text that users choose would have to be escaped here.
    Html(format!("<p>The account of {owner}</p><form method=post action=/logout><button>Log out</button></form>"))
}

async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.logout().await?;
    Ok(Redirect::to("/"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init(); // the log: errors, thefts, and why a login does not stick
    let store = MemoryStore::new();
    let manager = match env::var("SESSION_KEY") {
        // In production, over https. `openssl rand -base64 32` makes a key.
        Ok(key) => SessionManager::new(store, Keyring::new(Key::from_base64(&key)?)),
        Err(_) => SessionManager::development(store),
    };
    manager.purge_every(Duration::from_secs(60));

    let page = "<form method=post action=/login><input name=user value='user 42'> <input name=password type=password> \
                <button>Log in</button></form>";
    let app = Router::new()
        .route("/", get(Html(page)))
        .route("/login", post(login))
        .route("/account", get(account))
        .route("/logout", post(logout))
        .layer(SessionLayer::new(manager));
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("log in at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
// ANCHOR_END: program
