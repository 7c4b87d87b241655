//! A login, a page behind it, a logout under poem: `cargo run -p examples --bin poem`, then open
//! <http://127.0.0.1:3000>.

use std::{env, error::Error, time::Duration};

use poem::{
    EndpointExt, Route, Server, get, handler,
    listener::{Acceptor, Listener, TcpListener},
    post,
    web::{Form, Html, Redirect},
};
use serde::Deserialize; // serde = { version = "1", features = ["derive"] }
use session_memory::MemoryStore;
use session_poem::{CurrentOwner, Key, Keyring, Session, SessionError, SessionLayer, SessionManager};

#[derive(Deserialize)]
struct Password {
    user: String,
    password: String,
}

/// Write this yourself: look into your user table, and compare with the hash there by a library such as argon2.
fn is_right(form: &Password) -> bool {
    form.user == "user 42" && form.password == "password"
}

#[handler]
async fn home() -> Html<&'static str> {
    Html(
        "<form method=post action=/login><input name=user value='user 42'> <input name=password type=password> \
         <button>Log in</button></form>",
    )
}

// ANCHOR: handlers
#[handler]
async fn login(session: Session, Form(form): Form<Password>) -> Result<Redirect, SessionError> {
    if !is_right(&form) {
        return Ok(Redirect::see_other("/"));
    }
    // A fresh token; the old one is dead. A number goes in the same way: `login(42)`.
    session.login(form.user).await?;
    Ok(Redirect::see_other("/account"))
}

#[handler]
async fn account(CurrentOwner(owner): CurrentOwner) -> Html<String> {
    // This name is one of those that `is_right` accepts. A text that users choose would have to be escaped here.
    Html(format!("<p>The account of {owner}</p><form method=post action=/logout><button>Log out</button></form>"))
}

#[handler]
async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.logout().await?;
    Ok(Redirect::see_other("/"))
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

    // ANCHOR: app
    let app = Route::new()
        .at("/", get(home))
        .at("/login", post(login))
        .at("/account", get(account))
        .at("/logout", post(logout))
        .with(SessionLayer::new(manager));
    // ANCHOR_END: app
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned()));
    let listener = listener.into_acceptor().await?;
    for address in listener.local_addr().iter().filter_map(|address| address.as_socket_addr()) {
        println!("log in at http://{address}");
    }
    Server::new_with_acceptor(listener).run(app).await?;
    Ok(())
}
