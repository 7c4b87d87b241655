//! Access tokens: one service has the sessions, another one has the orders and no store:
//! `cargo run -p examples --bin access_token`.
//!
//! ```sh
//! curl -c jar -d password=password http://127.0.0.1:3000/login
//! curl -b jar -X POST http://127.0.0.1:3000/token                # {"access_token":"v4.public.…", …}
//! curl http://127.0.0.1:3000/                                    # where the orders are
//! curl -H 'Authorization: Bearer v4.public.…' http://127.0.0.1:…/orders
//! ```

use std::{env, error::Error, io, time::Duration};

use axum::{
    Form, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use session_access_token::{AccessTokenExt, AccessTokens, KeySet, SigningKey, SigningKeys, Verifier};
use session_memory::MemoryStore;
use session_tower::{Session, SessionError, SessionLayer, SessionManager};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

// Both services have these two names. A token of other names is refused.
const ISSUER: &str = "https://accounts.example";
const AUDIENCE: &str = "https://orders.example";

#[derive(Deserialize)]
struct Password {
    password: String,
}

async fn login(session: Session, Form(form): Form<Password>) -> Result<StatusCode, SessionError> {
    if form.password != "password" {
        return Ok(StatusCode::FORBIDDEN);
    }
    session.login(42).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn logout(session: Session) -> Result<StatusCode, SessionError> {
    session.logout().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a page or an app asks for each minute.
async fn token(session: Session, State(tokens): State<AccessTokens>) -> Result<impl IntoResponse, StatusCode> {
    let token = session.access_token(&tokens).await.map_err(|error| error.status())?; // 401 without a login
    Ok(([(header::CONTENT_TYPE, "application/json")], token.to_json()))
}

/// What other services fetch. It is no secret.
async fn keys(State(tokens): State<AccessTokens>) -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CACHE_CONTROL, tokens.cache_control())];
    (AppendHeaders(headers), tokens.key_set_json())
}

/// The service that has the sessions.
fn accounts(about: String) -> Result<Router, Box<dyn Error + Send + Sync>> {
    let manager = SessionManager::development(MemoryStore::new()); // in production: SessionManager::new(store, cookie_keys)
    let key = match env::var("ACCESS_TOKEN_KEY") {
        Ok(key) => SigningKey::from_base64(&key)?, // `openssl rand -base64 32` makes one
        Err(_) => SigningKey::generate()?,
    };
    let tokens = AccessTokens::new(ISSUER, AUDIENCE, SigningKeys::new(key))?;
    Ok(Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/token", post(token))
        .layer(SessionLayer::new(manager))
        // Outside of the layer: nobody's session is asked for.
        .route("/access-token-keys", get(keys))
        .route("/", get(about))
        .with_state(tokens))
}

/// A page of the service that has the orders. It asks no store, and no other service.
async fn orders(headers: HeaderMap, State(verifier): State<Verifier>) -> Response {
    match verifier.verify_headers(&headers) {
        Ok(claims) => format!("the orders of user {}", claims.subject().unwrap_or_default()).into_response(),
        Err(error) => {
            eprintln!("refused: {error}"); // the reason is for the log, and not for the client
            let challenge = error.www_authenticate().map(|value| (header::WWW_AUTHENTICATE, value));
            (error.status(), AppendHeaders(challenge)).into_response()
        }
    }
}

/// Keeps the keys fresh. A set that is older than its maximum age verifies nothing.
async fn keep_fresh(verifier: Verifier, accounts: String) {
    loop {
        let pause = refresh(&verifier, &accounts).await.unwrap_or_else(|error| {
            eprintln!("the keys are not fetched: {error}");
            Duration::from_secs(5)
        });
        tokio::time::sleep(pause).await;
    }
}

/// Fetches the keys. Returns when to fetch them again.
async fn refresh(verifier: &Verifier, accounts: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let keys = KeySet::from_json(&fetch(accounts, "/access-token-keys").await?)?;
    let max_age = keys.max_age().ok_or("the keys have no maximum age")?;
    verifier.set_keys(keys);
    Ok(max_age / 2)
}

/// In a service of yours this is a call of reqwest, or of another client, over https.
async fn fetch(address: &str, path: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").filter(|(head, _)| head.starts_with("HTTP/1.1 200"));
    Ok(body.ok_or_else(|| io::Error::other("the answer is no 200"))?.1.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init(); // errors, thefts, and why a login does not stick
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    let of_orders = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let accounts = accounts(format!("http://{}/orders", of_orders.local_addr()?))?;
    tokio::spawn(async { axum::serve(listener, accounts).await });

    let verifier = Verifier::new(KeySet::new([])?, ISSUER, AUDIENCE)?; // without keys every token is refused
    refresh(&verifier, &address).await?;
    tokio::spawn(keep_fresh(verifier.clone(), address.clone()));
    let orders = Router::new().route("/orders", get(orders)).with_state(verifier);
    println!("log in at http://{address}");
    axum::serve(of_orders, orders).await?;
    Ok(())
}
