//! The list of a user's devices, and the end of one or of all others: `cargo run -p examples --bin devices`, then open
//! <http://127.0.0.1:3000> in two browsers.

use std::{env, error::Error, fmt::Write, time::Duration};

use axum::{
    Form, Router,
    http::{HeaderMap, header},
    response::{Html, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use session_memory::MemoryStore;
use session_tower::{CurrentOwner, Key, Keyring, Session, SessionError, SessionId, SessionLayer, SessionManager};
use tokio::net::TcpListener;

// ANCHOR: handlers
async fn login(session: Session, headers: HeaderMap) -> Result<Redirect, SessionError> {
    // Check the password first: `login.rs` shows how.
    session.login(42).await?;
    // The label is a value of this session, which the list shows to the user's other sessions.
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("unknown");
    session.insert("browser", agent.split(['/', ' ']).next().unwrap_or_default())?;
    Ok(Redirect::to("/devices"))
}

async fn devices(_: CurrentOwner, session: Session) -> Result<Html<String>, SessionError> {
    let mut page = String::from("<form method=post action=/end-others><button>End all others</button></form>");
    for device in session.devices().await? {
        let label = device.get::<String>("browser")?.unwrap_or_default();
        // A browser chooses its name, so what could be a tag is left out.
        let label: String = label.chars().filter(char::is_ascii_alphanumeric).collect();
        let (id, seconds) = (device.id, device.idle_for.as_secs());
        let here = if device.is_current { " (this one)" } else { "" };
        let button = format!("<button name=id value={id}>End</button>"); // the id is no secret
        // Writing to a `String` cannot fail.
        let _ = write!(page, "<form method=post action=/end>{label}, {seconds} s ago{here} {button}</form>");
    }
    Ok(Html(page))
}

#[derive(Deserialize)]
struct One {
    id: SessionId,
}

async fn end(session: Session, Form(form): Form<One>) -> Result<Redirect, SessionError> {
    session.end(&form.id).await?; // only if it is one of this user's own
    Ok(Redirect::to("/devices"))
}

async fn end_others(session: Session) -> Result<Redirect, SessionError> {
    session.revoke_others().await?; // logins that are under way elsewhere are refused, too
    Ok(Redirect::to("/devices"))
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

    let app = Router::new()
        .route("/", get(Html("<form method=post action=/login><button>Log in as user 42</button></form>")))
        .route("/login", post(login))
        .route("/devices", get(devices))
        .route("/end", post(end))
        .route("/end-others", post(end_others))
        .layer(SessionLayer::new(manager));
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("log in at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
