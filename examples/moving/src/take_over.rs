//! The take-over of one login.
//!
//! The deletion of the old session decides: of all who have logged in by one old cookie, the one whose `DEL` has found the session
//! keeps the login. Everybody else is logged out again, before the answer leaves. If the process dies or Redis is down before the
//! `DEL`, the old session is still there, and the next request takes it over.

use std::{sync::Arc, time::SystemTime};

use axum::{
    extract::{OriginalUri, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{LOCATION, REFRESH, RETRY_AFTER, SET_COOKIE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use redis::{AsyncCommands, ExistenceCheck, RedisError, SetExpiry, SetOptions};
use session_tower::{Login, Session, SessionError};

use crate::{
    Moving,
    old::{OldLogin, cookie},
};

/// Those values of the old session that the new one gets.
const KEPT: [&str; 1] = ["unread"];

/// A browser that has been told to ask again has this cookie for a minute. So it is told once, even if it keeps the old cookie.
const ASKED_AGAIN: &str = "moving";

/// What can go wrong while a login is taken over. The page is not shown then, because it would say "not logged in".
#[derive(Debug)]
pub enum TakeOverError {
    Session(SessionError),
    Redis,
}

impl<E: Into<SessionError>> From<E> for TakeOverError {
    fn from(error: E) -> Self {
        Self::Session(error.into())
    }
}

impl IntoResponse for TakeOverError {
    fn into_response(self) -> Response {
        match self {
            Self::Session(error) => error.into_response(),
            Self::Redis => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }
}

pub fn unavailable(_: RedisError) -> TakeOverError {
    TakeOverError::Redis
}

/// What an old cookie comes to.
enum Outcome {
    LoggedIn,
    /// The old session has no user, or one who has ended their sessions.
    Nobody,
    /// The old session stays until this program can read it.
    Unreadable,
    /// Another request has it, or it has expired.
    Gone,
    /// Another request is taking it.
    Busy,
}

/// Goes around the routes, inside of the session layer.
pub async fn take_over(
    State(moving): State<Arc<Moving>>,
    OriginalUri(address): OriginalUri,
    session: Session,
    request: Request,
    next: Next,
) -> Result<Response, TakeOverError> {
    let headers = request.headers();
    let key = moving.old.key(headers).filter(|_| SystemTime::now() < moving.last_day);
    let Some(key) = key else { return Ok(next.run(request).await) };
    if session.owner().is_some() {
        return moving.end(&key, request, next).await;
    }
    if !keeps_cookies(headers) {
        return Ok(next.run(request).await);
    }
    let mut response = match moving.log_in_again(&session, &key).await? {
        Outcome::Unreadable => return Ok(next.run(request).await),
        Outcome::Busy => return Ok(wait(request.method())),
        // No handler may make a visitor's session here: its cookie would replace that of the login.
        Outcome::Gone if cookie(headers, ASKED_AGAIN).is_none() => ask_again(request.method(), &address),
        Outcome::Gone | Outcome::Nobody | Outcome::LoggedIn => next.run(request).await,
    };
    append(&mut response, &moving.old.forget());
    Ok(response)
}

/// Whether the browser keeps a `SameSite` cookie of the answer. It keeps none for an image or a form in a frame on another site's
/// page. A browser without these headers is an old one.
fn keeps_cookies(headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).map(HeaderValue::as_bytes);
    match header("sec-fetch-site") {
        None | Some(b"same-origin" | b"same-site" | b"none") => true,
        Some(_) => header("sec-fetch-mode") == Some(b"navigate") && header("sec-fetch-dest") == Some(b"document"),
    }
}

/// The browser asks again without the old cookie, and with that of the login if it has come by then.
fn ask_again(method: &Method, address: &Uri) -> Response {
    let mut response = if *method == Method::GET {
        (StatusCode::SEE_OTHER, [(LOCATION, on_this_host(address))]).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "0")]).into_response()
    };
    append(&mut response, &format!("{ASKED_AGAIN}=1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"));
    response
}

/// The path and the query. A path such as `//evil.example` would be another host's address, so it gets a `/.` in front.
fn on_this_host(address: &Uri) -> String {
    let address = address.path_and_query().map_or("/", |address| address.as_str());
    if address.starts_with("//") || address.starts_with("/\\") { format!("/.{address}") } else { address.to_owned() }
}

/// A page loads itself again after a second.
fn wait(method: &Method) -> Response {
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response();
    if *method == Method::GET {
        response.headers_mut().insert(REFRESH, HeaderValue::from_static("1"));
    }
    response
}

fn append(response: &mut Response, cookie: &str) {
    response.headers_mut().extend(HeaderValue::from_str(cookie).ok().map(|cookie| (SET_COOKIE, cookie)));
}

impl Moving {
    /// Ends the old session of a browser that has a login of the new site. After the logout, the old cookie would log its user in.
    async fn end(&self, key: &str, request: Request, next: Next) -> Result<Response, TakeOverError> {
        let _: u64 = self.redis.clone().del(key).await.map_err(unavailable)?;
        let mut response = next.run(request).await;
        append(&mut response, &self.old.forget());
        Ok(response)
    }

    async fn log_in_again(&self, session: &Session, key: &str) -> Result<Outcome, TakeOverError> {
        let mut redis = self.redis.clone();
        let stored: Option<Vec<u8>> = redis.get(key).await.map_err(unavailable)?;
        let Some(stored) = stored else { return Ok(Outcome::Gone) };
        let login = match self.old.login(&stored) {
            Ok(Some(login)) if !self.has_ended(&login.user).await? => login,
            Ok(_) => return Ok(Outcome::Nobody),
            Err(error) => {
                // Not the key: it is the old cookie's secret.
                eprintln!("moving: an old session cannot be read and stays where it is: {error}");
                return Ok(Outcome::Unreadable);
            }
        };
        // It keeps others from a login that they would lose. Whether it holds does not matter: the deletion decides.
        let claim = format!("moving:{key}");
        let length = SetExpiry::PX(self.claim.as_millis() as u64);
        let options = SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(length);
        let claimed = self.claim.is_zero() || redis.set_options(&claim, 1, options).await.map_err(unavailable)?;
        if !claimed {
            return Ok(Outcome::Busy);
        }
        let outcome = self.exchange(session, key, login).await;
        if outcome.is_err() {
            // The next request need not wait for the end of the claim.
            let _: Result<(), RedisError> = redis.del(&claim).await;
        }
        outcome
    }

    /// The old session for a login.
    async fn exchange(&self, session: &Session, key: &str, old: OldLogin) -> Result<Outcome, TakeOverError> {
        session.login(Login::new(old.user.clone()).remembered(old.remembered)).await?;
        match self.confirm(key, &old.user).await {
            Ok(true) => {}
            // The browser gets no cookie of a login that is not confirmed.
            other => {
                session.logout().await?;
                return other.map(|_| Outcome::Gone);
            }
        }
        for name in KEPT {
            if let Some(value) = old.values.get(name) {
                session.insert(name, value)?;
            }
        }
        Ok(Outcome::LoggedIn)
    }

    /// The user may have logged out everywhere between the first look and the login. And of all logins by one old session one
    /// deletes it.
    async fn confirm(&self, key: &str, user: &str) -> Result<bool, TakeOverError> {
        if self.has_ended(user).await? {
            return Ok(false);
        }
        let deleted: u64 = self.redis.clone().del(key).await.map_err(unavailable)?;
        Ok(deleted == 1)
    }

    async fn has_ended(&self, user: &str) -> Result<bool, TakeOverError> {
        self.redis.clone().sismember(crate::ENDED, user).await.map_err(unavailable)
    }
}
