//! The example of the README: `cargo run -p examples --bin hello`, then open <http://127.0.0.1:3000>.

use axum::{Router, routing::get};
use session_memory::MemoryStore;
use session_tower::{Session, SessionError, SessionLayer, SessionManager};

async fn home(session: Session) -> Result<String, SessionError> {
    let visits = session.update("visits", |n: &mut u64| *n += 1)?; // none is lost, however many requests do it at once
    Ok(format!("visit {visits}"))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().init(); // the log: errors, thefts, and why a login does not stick
    let manager = SessionManager::development(MemoryStore::new()); // in production: SessionManager::new(store, keys)
    let app = Router::new().route("/", get(home)).layer(SessionLayer::new(manager));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}
