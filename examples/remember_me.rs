//! A login that lasts after the browser was closed: `cargo run -p examples --bin remember_me`, then open
//! <http://127.0.0.1:3000>.

use std::{env, error::Error, time::Duration};

use axum::{
    Form, Router,
    response::{Html, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use session_memory::MemoryStore;
use session_tower::{
    CurrentOwner, Key, Keyring, Lifetime, Login, Policy, Session, SessionError, SessionLayer, SessionManager,
};
use tokio::net::TcpListener;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize)]
struct Ticked {
    /// A browser sends a box only if it is ticked.
    remember: Option<String>,
}

// ANCHOR: login
async fn login(session: Session, Form(form): Form<Ticked>) -> Result<Redirect, SessionError> {
    // Check the password first: `login.rs` shows how.
    session.login(Login::new(42).remembered(form.remember.is_some())).await?;
    Ok(Redirect::to("/account"))
}
// ANCHOR_END: login

async fn account(CurrentOwner(owner): CurrentOwner) -> String {
    format!("the account of user {owner}")
}

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
    // ANCHOR: policy
    // Two times each: how long without a request, and how long at all. The cookie of a persistent login outlives the
    // browser. The other one ends with it, and on the server after these times.
    let policy = Policy::builder()
        .logged_in(Lifetime::new(DAY / 48, DAY / 2))
        .remembered(Lifetime::new(DAY * 14, DAY * 90).persistent())
        .build()?;
    let manager = manager.with_policy(policy);
    // ANCHOR_END: policy

    let page = "<form method=post action=/login><label><input type=checkbox name=remember> remember me</label> \
                <button>Log in as user 42</button></form>";
    let app = Router::new()
        .route("/", get(Html(page)))
        .route("/login", post(login))
        .route("/account", get(account))
        .layer(SessionLayer::new(manager));
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("log in at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
