//! The example of the README: `cargo run -p examples --bin hello`, then open <http://127.0.0.1:3000>.

use axum::response::{Html, Redirect};
use axum::{
    Router,
    routing::{get, post},
};
use session_memory::MemoryStore;
use session_tower::{CurrentOwner, Session, SessionError, SessionLayer, SessionManager};

async fn login(session: Session) -> Result<Redirect, SessionError> {
    session.login(42).await?; // once you have checked the password of user 42
    Ok(Redirect::to("/account"))
}

async fn account(CurrentOwner(user): CurrentOwner, session: Session) -> Result<Html<String>, SessionError> {
    let visits = session.update("visits", |n: &mut u64| *n += 1)?; // none is lost, however many tabs there are
    Ok(Html(format!("user {user}, visit {visits} <form method=post action=/logout><button>Log out</button></form>")))
}

async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.logout().await?; // a request that is still under way cannot bring it back
    Ok(Redirect::to("/"))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().init(); // the log: errors, thefts, and why a login does not stick
    let manager = SessionManager::development(MemoryStore::new()); // in production: SessionManager::new(store, keys)
    let page = "<form method=post action=/login><button>Log in as user 42</button></form>";
    let app = Router::new()
        .route("/", get(Html(page)))
        .route("/login", post(login))
        .route("/account", get(account))
        .route("/logout", post(logout))
        .layer(SessionLayer::new(manager));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}
