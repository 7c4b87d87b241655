//! A login with hashed passwords: `cargo run -p examples --bin login`, then open <http://127.0.0.1:3000>. The programs
//! of the frameworks show the same pages with the password left to you.

use std::{collections::HashMap, env, error::Error, sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{Error as HashError, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use axum::{
    Form, Router,
    extract::State,
    response::{Html, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use session_memory::MemoryStore;
use session_tower::{CurrentOwner, Key, Keyring, Session, SessionError, SessionLayer, SessionManager};
use tokio::{net::TcpListener, task::spawn_blocking};

#[derive(Deserialize)]
struct Password {
    user: String,
    password: String,
}

/// Your user table. A row is the hash of a password, and the number of the user.
type Users = Arc<HashMap<String, (String, i64)>>;

fn hash(password: &str) -> Result<String, HashError> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

fn is_right(hashed: &str, password: &str) -> bool {
    let hashed = PasswordHash::new(hashed);
    hashed.is_ok_and(|hashed| Argon2::default().verify_password(password.as_bytes(), &hashed).is_ok())
}

async fn login(
    State(users): State<Users>,
    session: Session,
    Form(form): Form<Password>,
) -> Result<Redirect, SessionError> {
    let (known, nobody) = (users.get(&form.user).cloned(), users["nobody"].clone());
    // A name that is unknown is compared, too. Else the time of the answer would tell which names exist.
    let (hashed, number) = known.unwrap_or(nobody);
    // A hash keeps a core busy, so it gets a thread where it holds up no other request.
    let is_right = spawn_blocking(move || is_right(&hashed, &form.password)).await.unwrap_or(false);
    if !is_right || number == 0 {
        return Ok(Redirect::to("/"));
    }
    // The number stays the same when a user changes their name. The token is a fresh one; the old one is dead.
    session.login(number).await?;
    Ok(Redirect::to("/account"))
}

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
    // A user registers once, and the hash goes into your table.
    let users = HashMap::from([
        ("user 42".to_owned(), (hash("password")?, 42)),
        ("nobody".to_owned(), (hash("nobody's")?, 0)), // nobody has the number 0
    ]);
    let page = "<form method=post action=/login><input name=user value='user 42'> <input name=password type=password> \
                <button>Log in</button></form>";
    let app = Router::new()
        .route("/", get(Html(page)))
        .route("/login", post(login))
        .route("/account", get(account))
        .with_state(Arc::new(users))
        .layer(SessionLayer::new(manager));
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("log in at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
