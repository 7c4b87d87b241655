//! A login, a page behind it, a logout under warp, by way of tower: `cargo run -p examples --bin warp`, then open
//! <http://127.0.0.1:3000>.

use std::{env, error::Error, time::Duration};

use http::{StatusCode, Uri};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde::Deserialize;
use session_memory::MemoryStore;
use session_tower::{Exchange, Key, Keyring, SessionError, SessionLayer, SessionManager};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use warp::{
    Filter, Reply,
    redirect::see_other,
    reply::{Response, html},
};

#[derive(Deserialize)]
struct Password {
    user: String,
    password: String,
}

/// Write this yourself: look into your user table, and compare with the hash there: `login.rs` shows how.
fn is_right(form: &Password) -> bool {
    form.user == "user 42" && form.password == "password"
}

const HOME: &str = "<form method=post action=/login><input name=user value='user 42'> \
    <input name=password type=password> <button>Log in</button></form>";

async fn login(exchange: Exchange, form: Password) -> Result<Response, SessionError> {
    if !is_right(&form) {
        return Ok(see_other(Uri::from_static("/")).into_response());
    }
    // A fresh token; the old one is dead. A number goes in the same way: `login(42)`.
    exchange.session().await?.login(form.user).await?;
    Ok(see_other(Uri::from_static("/account")).into_response())
}

async fn account(exchange: Exchange) -> Result<Response, SessionError> {
    let Some(owner) = exchange.session().await?.owner() else { return Ok(StatusCode::UNAUTHORIZED.into_response()) };
    // This name is one of those that `is_right` accepts. A text that users choose would have to be escaped here.
    let button = "<form method=post action=/logout><button>Log out</button></form>";
    Ok(html(format!("<p>The account of {owner}</p>{button}")).into_response())
}

async fn logout(exchange: Exchange) -> Result<Response, SessionError> {
    exchange.session().await?.logout().await?;
    Ok(see_other(Uri::from_static("/")).into_response())
}

/// An error becomes a response here, inside of the layer, which commits it as any other. A rejection would lose its status.
fn answer(handled: Result<Response, SessionError>) -> Response {
    handled.unwrap_or_else(|error| error.answer::<String>().into_response())
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

    // The layer has put it into the extensions of the request.
    let exchange = warp::ext::get::<Exchange>();
    let form = warp::body::content_length_limit(4096).and(warp::body::form());
    // Of a `&str` the compiler cannot show that the future may go to another thread.
    let home = warp::path::end().and(warp::get()).map(|| html(HOME.to_owned()));
    let login = warp::path!("login").and(warp::post()).and(exchange).and(form).then(login).map(answer);
    let account = warp::path!("account").and(warp::get()).and(exchange).then(account).map(answer);
    let logout = warp::path!("logout").and(warp::post()).and(exchange).then(logout).map(answer);
    let routes = warp::service(home.or(login).or(account).or(logout));

    let service = ServiceBuilder::new().layer(SessionLayer::new(manager)).service(routes);
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("log in at http://{}", listener.local_addr()?);
    loop {
        let (connection, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await {
                eprintln!("a connection has ended: {error}");
            }
        });
    }
}
