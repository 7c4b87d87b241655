//! A login, a page behind it, a logout under bare hyper, by way of tower: `cargo run -p examples --bin hyper`, then open
//! <http://127.0.0.1:3000>.

use std::{env, error::Error, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use session_memory::MemoryStore;
use session_tower::{Key, Keyring, Owner, Session, SessionError, SessionLayer, SessionManager};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

type Answer = Response<Full<Bytes>>;

/// Write this yourself: look into your user table, and compare with the hash there by a library such as argon2.
fn is_right(user: &str, password: &str) -> bool {
    user == "user 42" && password == "password"
}

async fn handle(request: Request<Incoming>) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let session = Session::of(&head.extensions).await;
    let answered = match (head.method.as_str(), head.uri.path(), session) {
        ("GET", "/", _) => Ok(page(
            "<form method=post action=/login><input name=user value='user 42'> <input name=password type=password> \
             <button>Log in</button></form>",
        )),
        ("POST", "/login", Ok(session)) => login(&session, &Limited::new(body, 4096).collect().await?.to_bytes()).await,
        // The name is one of those that `is_right` accepts. A text that users choose would have to be escaped here.
        ("GET", "/account", Ok(session)) => {
            Ok(session.owner().map_or_else(|| status(StatusCode::UNAUTHORIZED), |owner| account(&owner)))
        }
        ("POST", "/logout", Ok(session)) => session.logout().await.map(|()| redirect("/")).map_err(SessionError::from),
        (_, "/login" | "/account" | "/logout", Err(error)) => Err(error),
        _ => Ok(status(StatusCode::NOT_FOUND)),
    };
    // An error becomes a response here, inside of the layer, which commits it as any other.
    Ok(answered.unwrap_or_else(SessionError::answer))
}

async fn login(session: &Session, form: &[u8]) -> Result<Answer, SessionError> {
    let field = |name| form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    match (field("user"), field("password")) {
        (Some(user), Some(password)) if is_right(&user, &password) => {
            // A fresh token; the old one is dead. A number goes in the same way: `login(42)`.
            session.login(user).await?;
            Ok(redirect("/account"))
        }
        _ => Ok(redirect("/")),
    }
}

fn account(owner: &Owner) -> Answer {
    page(format!("<p>The account of {owner}</p><form method=post action=/logout><button>Log out</button></form>"))
}

fn page(text: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(text.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn status(status: StatusCode) -> Answer {
    let mut response = Answer::default();
    *response.status_mut() = status;
    response
}

fn redirect(location: &'static str) -> Answer {
    let mut response = status(StatusCode::SEE_OTHER);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(location));
    response
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

    let service = ServiceBuilder::new().layer(SessionLayer::new(manager)).service(service_fn(handle));
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
