//! A login, a page behind it, a logout under salvo, by way of tower: `cargo run -p examples --bin salvo`, then open
//! <http://127.0.0.1:3000>.

use std::{env, error::Error, time::Duration};

use salvo::{
    Listener, Request, Response, Router, Scribe, Server,
    conn::TcpListener,
    handler,
    http::{ReqBody, ResBody, StatusCode},
    prelude::TowerLayerCompat,
    writing::{Redirect, Text},
};
use session_memory::MemoryStore;
use session_tower::{Key, Keyring, Session, SessionError, SessionLayer, SessionManager};

/// Write this yourself: look into your user table, and compare with the hash there: `login.rs` shows how.
fn is_right(user: &str, password: &str) -> bool {
    user == "user 42" && password == "password"
}

/// The error of a handler. It becomes a response inside of the layer, which commits it as any other.
struct Failed(SessionError);

impl<E: Into<SessionError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl Scribe for Failed {
    fn render(self, response: &mut Response) {
        response.merge_hyper(self.0.answer::<ResBody>());
    }
}

#[handler]
async fn home() -> Text<&'static str> {
    Text::Html(
        "<form method=post action=/login><input name=user value='user 42'> <input name=password type=password> \
         <button>Log in</button></form>",
    )
}

#[handler]
async fn login(request: &mut Request) -> Result<Redirect, Failed> {
    let user = request.form::<String>("user").await.unwrap_or_default();
    let password = request.form::<String>("password").await.unwrap_or_default();
    if !is_right(&user, &password) {
        return Ok(Redirect::other("/"));
    }
    // A fresh token; the old one is dead. A number goes in the same way: `login(42)`.
    Session::of(request.extensions()).await?.login(user).await?;
    Ok(Redirect::other("/account"))
}

#[handler]
async fn account(request: &mut Request, response: &mut Response) -> Result<(), Failed> {
    match Session::of(request.extensions()).await?.owner() {
        // This name is one of those that `is_right` accepts. A text that users choose would have to be escaped here.
        Some(owner) => response.render(Text::Html(format!(
            "<p>The account of {owner}</p><form method=post action=/logout><button>Log out</button></form>"
        ))),
        None => response.render(StatusCode::UNAUTHORIZED),
    }
    Ok(())
}

#[handler]
async fn logout(request: &mut Request) -> Result<Redirect, Failed> {
    Session::of(request.extensions()).await?.logout().await?;
    Ok(Redirect::other("/"))
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

    let app = Router::new()
        .hoop(SessionLayer::new(manager).compat::<ReqBody>())
        .get(home)
        .push(Router::with_path("login").post(login))
        .push(Router::with_path("account").get(account))
        .push(Router::with_path("logout").post(logout));
    let listener = TcpListener::new(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).try_bind().await?;
    println!("log in at http://{}", listener.local_addr()?);
    Server::new(listener).serve(app).await;
    Ok(())
}
