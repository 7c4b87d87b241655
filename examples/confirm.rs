//! The password is asked for again where it matters, and leads back: `cargo run -p examples --bin confirm`, then open
//! <http://127.0.0.1:3000/pay>. Ten minutes after the login it asks again.

use std::{env, error::Error, time::Duration};

use axum::{
    Form, Router,
    extract::Query,
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;
use session_memory::MemoryStore;
use session_tower::{
    ConfigError, Key, Keyring, LoginPage, Session, SessionError, SessionLayer, SessionManager, is_local_target,
    login_required, require_fresh,
};
use tokio::net::TcpListener;

const TEN_MINUTES: Duration = Duration::from_secs(10 * 60);

/// It goes to its own address, with the way back in the query.
const FORM: &str = "<form method=post><input name=password type=password> <button>This is me</button></form>";

#[derive(Deserialize)]
struct Password {
    password: String,
}

#[derive(Deserialize)]
struct WayBack {
    next: Option<String>,
}

impl WayBack {
    /// Anybody can write the query, so it is judged each time.
    fn redirect(&self) -> Response {
        Redirect::to(self.next.as_deref().filter(|next| is_local_target(next)).unwrap_or("/")).into_response()
    }
}

/// The form again, at the same address.
fn wrong() -> Response {
    (StatusCode::UNAUTHORIZED, Html(FORM)).into_response()
}

async fn login(
    session: Session,
    Query(way): Query<WayBack>,
    Form(form): Form<Password>,
) -> Result<Response, SessionError> {
    // Compare with a hash: `login.rs` shows how.
    if form.password != "password" {
        return Ok(wrong());
    }
    session.login(42).await?;
    Ok(way.redirect())
}

// ANCHOR: confirm
async fn confirm(
    session: Session,
    Query(way): Query<WayBack>,
    Form(form): Form<Password>,
) -> Result<Response, SessionError> {
    if form.password != "password" {
        return Ok(wrong());
    }
    session.proved().await?; // the token is a fresh one; the old one is dead
    Ok(way.redirect())
}
// ANCHOR_END: confirm

async fn pay() -> &'static str {
    "paid"
}

// ANCHOR: app
/// `/pay` asks for a login, and then for a password that was typed in the last ten minutes.
fn app(manager: SessionManager) -> Result<Router, ConfigError> {
    Ok(Router::new()
        .route("/pay", get(Html("<form method=post><button>Pay</button></form>")).post(pay))
        .route_layer(require_fresh(TEN_MINUTES).or_redirect_to(LoginPage::new("/confirm")?)) // for `/pay` only
        .route("/confirm", get(Html(FORM)).post(confirm))
        .route("/", get(Html("you are logged in: <a href=/pay>pay</a>")))
        .route_layer(login_required().or_redirect_to(LoginPage::new("/login")?)) // for all above, and asked first
        .route("/login", get(Html(FORM)).post(login))
        .layer(SessionLayer::new(manager)))
}
// ANCHOR_END: app

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
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("log in at http://{}", listener.local_addr()?);
    axum::serve(listener, app(manager)?).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    /// The status, where it leads, and the cookie that it sets.
    async fn ask(app: &Router, method: &str, path: &str, cookie: &str, form: &'static str) -> (u16, String, String) {
        let request =
            Request::builder().method(method).uri(path).header("cookie", cookie).header("accept", "text/html");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(Body::from(form));
        let answer = app.clone().oneshot(request.unwrap()).await.unwrap();
        let header = |name| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let cookie = header("set-cookie").split(';').next().unwrap().to_owned();
        (answer.status().as_u16(), header("location"), cookie)
    }

    #[tokio::test]
    async fn a_login_is_asked_for_first_and_then_a_password_of_the_last_ten_minutes() {
        let clock = MemoryStore::new();
        let app = app(SessionManager::development(clock.clone())).unwrap();
        let leads = |(status, location, cookie): (u16, String, String), to: &str| {
            assert_eq!((status, location.as_str()), (303, to));
            cookie
        };
        for path in ["/pay", "/confirm"] {
            leads(ask(&app, "GET", path, "", "").await, &format!("/login?next={path}"));
        }
        let login = leads(ask(&app, "POST", "/login?next=/pay", "", "password=password").await, "/pay");
        assert_eq!(ask(&app, "POST", "/pay", &login, "").await.0, 200);

        clock.advance(TEN_MINUTES + Duration::from_secs(1));
        leads(ask(&app, "GET", "/pay", &login, "").await, "/confirm?next=/pay");
        assert_eq!(ask(&app, "POST", "/pay", &login, "").await.0, 401);
        assert_eq!(ask(&app, "GET", "/", &login, "").await.0, 200);
        let wrong = ask(&app, "POST", "/confirm?next=/pay", &login, "password=wrong").await;
        assert_eq!(wrong, (401, String::new(), String::new()));
        let proof = leads(ask(&app, "POST", "/confirm?next=/pay", &login, "password=password").await, "/pay");
        assert_eq!(ask(&app, "POST", "/pay", &proof, "").await.0, 200);
        leads(ask(&app, "GET", "/pay", &login, "").await, "/login?next=/pay");
        let elsewhere = ask(&app, "POST", "/confirm?next=//evil.example", &proof, "password=password").await;
        assert!(!leads(elsewhere, "/").is_empty(), "a fresh cookie, and no page of others");
    }
}
