//! A message that the next page says once: `cargo run -p examples --bin flash`, then open <http://127.0.0.1:3000>.

use std::{env, error::Error, time::Duration};

use axum::{
    Router,
    response::{Html, Redirect},
    routing::{get, post},
};
use session_memory::MemoryStore;
use session_tower::{Key, Keyring, Session, SessionError, SessionLayer, SessionManager};
use tokio::net::TcpListener;

// ANCHOR: handlers
async fn save(session: Session) -> Result<Redirect, SessionError> {
    // The redirect leaves only once this is stored. So the next page always finds it.
    session.insert("flash", "It is saved.")?;
    Ok(Redirect::to("/"))
}

async fn home(session: Session) -> Result<Html<String>, SessionError> {
    // Of two tabs that ask at once, one gets it. A `get` and a `remove` would show it in both.
    let flash: Option<String> = session.take("flash").await?;
    let flash = flash.unwrap_or_default(); // it is our own text: one of a user would have to be escaped
    Ok(Html(format!("<p>{flash}</p><form method=post action=/save><button>Save</button></form>")))
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

    let app = Router::new().route("/", get(home)).route("/save", post(save)).layer(SessionLayer::new(manager));
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("open http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
