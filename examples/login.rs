//! A login with hashed passwords, a page behind it, and the way back to where a user wanted to go: `cargo run -p examples
//! --bin login`, then open <http://127.0.0.1:3000/account>. The programs of the frameworks leave the password to you.

use std::{collections::HashMap, env, error::Error, sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{Error as HashError, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use axum::{
    Form, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use session_memory::MemoryStore;
use session_tower::{
    CurrentUser, Key, Keyring, LoginPage, Owner, Session, SessionError, SessionLayer, SessionManager, is_local_target,
    login_required,
};
use tokio::{net::TcpListener, task::spawn_blocking};

#[derive(Deserialize)]
struct Password {
    user: String,
    password: String,
}

/// Where the user wanted to go.
#[derive(Deserialize)]
struct WayBack {
    next: Option<String>,
}

#[derive(Clone)]
struct User {
    number: i64,
    name: String,
    hashed: String,
}

/// Your user table, by name.
type Users = Arc<HashMap<String, User>>;

/// It goes to its own address, with the way back in the query.
const FORM: &str = "<form method=post><input name=user value='user 42'> <input name=password type=password> \
                    <button>Log in</button></form>";

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
    Query(way): Query<WayBack>,
    Form(form): Form<Password>,
) -> Result<Response, SessionError> {
    let (known, nobody) = (users.get(&form.user).cloned(), users["nobody"].clone());
    // A name that is unknown is compared, too. Else the time of the answer would tell which names exist.
    let User { number, hashed, .. } = known.unwrap_or(nobody);
    // A hash keeps a core busy, so it gets a thread where it holds up no other request.
    let is_right = spawn_blocking(move || is_right(&hashed, &form.password)).await.unwrap_or(false);
    if !is_right || number == 0 {
        // The form again, at the same address: so the way back stays in the query.
        return Ok((StatusCode::UNAUTHORIZED, Html(FORM)).into_response());
    }
    // The number stays the same when a user changes their name. The token is a fresh one; the old one is dead.
    session.login(number).await?;
    // Anybody can write the query, so it is judged each time.
    Ok(Redirect::to(way.next.as_deref().filter(|next| is_local_target(next)).unwrap_or("/account")).into_response())
}

async fn account(user: CurrentUser<User>) -> String {
    format!("the account of {}, user {}", user.name, user.number)
}

async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.logout().await?;
    Ok(Redirect::to("/login"))
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
    let user = |number, name: &str, password| {
        Ok::<_, HashError>((name.to_owned(), User { number, name: name.to_owned(), hashed: hash(password)? }))
    };
    let users = HashMap::from([user(42, "user 42", "password")?, user(0, "nobody", "nobody's")?]); // nobody has the number 0
    let users: Users = Arc::new(users);
    let table = users.clone();
    let by_number = move |owner: Owner| {
        let table = table.clone();
        async move {
            let number: i64 = owner.try_into()?; // of a table in SQL: `SELECT … FROM users WHERE id = $1`
            Ok::<_, SessionError>(table.values().find(|user| user.number == number).cloned())
        }
    };
    let app = Router::new()
        .route("/account", get(account))
        .route_layer(login_required().or_redirect_to(LoginPage::new("/login")?)) // for the routes above
        .route("/login", get(Html(FORM)).post(login))
        .route("/logout", post(logout))
        .with_state(users)
        .layer(SessionLayer::new(manager).with_users(by_number));
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("log in at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
