//! A login, a page behind it, a logout under actix-web: `cargo run -p examples --bin actix`, then open
//! <http://127.0.0.1:3000>.

use std::{env, error::Error, time::Duration};

use actix_web::{
    App, HttpServer,
    web::{self, Form, Html, Redirect},
};
use serde::Deserialize; // serde = { version = "1", features = ["derive"] }
use session_actix::{CurrentOwner, Key, Keyring, Session, SessionError, SessionLayer, SessionManager};
use session_memory::MemoryStore;

#[derive(Deserialize)]
struct Password {
    user: String,
    password: String,
}

/// Write this yourself: look into your user table, and compare with the hash there by a library such as argon2.
fn is_right(form: &Password) -> bool {
    form.user == "user 42" && form.password == "password"
}

async fn home() -> Html {
    Html::new(
        "<form method=post action=/login><input name=user value='user 42'> <input name=password type=password> \
         <button>Log in</button></form>",
    )
}

// ANCHOR: handlers
async fn login(session: Session, Form(form): Form<Password>) -> Result<Redirect, SessionError> {
    if !is_right(&form) {
        return Ok(Redirect::to("/").see_other());
    }
    // A fresh token; the old one is dead. A number goes in the same way: `login(42)`.
    session.login(form.user).await?;
    Ok(Redirect::to("/account").see_other())
}

async fn account(CurrentOwner(owner): CurrentOwner) -> Html {
    // This name is one of those that `is_right` accepts. A text that users choose would have to be escaped here.
    Html::new(format!("<p>The account of {owner}</p><form method=post action=/logout><button>Log out</button></form>"))
}

async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.logout().await?;
    Ok(Redirect::to("/").see_other())
}
// ANCHOR_END: handlers

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init(); // errors, thefts, and why a login does not stick
    let store = MemoryStore::new();
    // Outside of the closure below, which runs for each worker: they all share it.
    let manager = match env::var("SESSION_KEY") {
        // In production, over https. `openssl rand -base64 32` makes a key.
        Ok(key) => SessionManager::new(store, Keyring::new(Key::from_base64(&key)?)),
        Err(_) => SessionManager::development(store),
    };
    manager.purge_every(Duration::from_secs(60));

    // ANCHOR: app
    let server = HttpServer::new(move || {
        App::new()
            .route("/", web::get().to(home))
            .route("/login", web::post().to(login))
            .route("/account", web::get().to(account))
            .route("/logout", web::post().to(logout))
            .wrap(SessionLayer::new(manager.clone()))
    });
    // ANCHOR_END: app
    let server = server.bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned()))?;
    for address in server.addrs() {
        println!("log in at http://{address}");
    }
    server.run().await?;
    Ok(())
}
