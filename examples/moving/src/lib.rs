//! Takes over the logins of an old site, once each: nobody has to log in again.
//!
//! The old session is taken out of its database before the login that replaces it. So of two requests with one old cookie one
//! is logged in, and a cookie that is shown later opens nothing.

mod old;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::SET_COOKIE},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use redis::{AsyncCommands, RedisError, aio::ConnectionManager};
use session_tower::{CurrentOwner, Owner, Session, SessionError, SessionLayer, SessionManager};

pub use old::Old;

/// The users whose old sessions have ended. In your site this is a column of the table of users.
const ENDED: &str = "old-sessions-ended";

/// What the move needs.
#[derive(Clone)]
pub struct Moving {
    pub old: Old,
    /// The Redis of the old sessions.
    pub redis: ConnectionManager,
    /// After this day an old cookie opens nothing, and this code can go.
    pub last_day: SystemTime,
    pub manager: SessionManager,
}

/// What can go wrong while a login is taken over. The page is not shown then, because it would say "not logged in".
#[derive(Debug)]
enum TakeOverError {
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

fn unavailable(_: RedisError) -> TakeOverError {
    TakeOverError::Redis
}

/// Goes around the routes, inside of the session layer.
async fn take_over(
    State(moving): State<Arc<Moving>>,
    session: Session,
    request: Request,
    next: Next,
) -> Result<Response, TakeOverError> {
    let in_time = SystemTime::now() < moving.last_day;
    let Some(key) = moving.old.key(request.headers()).filter(|_| in_time && session.owner().is_none()) else {
        return Ok(next.run(request).await);
    };
    moving.log_in_again(&session, &key).await?;
    let mut response = next.run(request).await;
    let forget = format!("{}=; Path=/; Max-Age=0", moving.old.cookie());
    response.headers_mut().extend(HeaderValue::from_str(&forget).ok().map(|forget| (SET_COOKIE, forget)));
    Ok(response)
}

impl Moving {
    async fn log_in_again(&self, session: &Session, key: &str) -> Result<(), TakeOverError> {
        let mut redis = self.redis.clone();
        // Of two requests at once one gets it. If this process dies now, the user logs in again.
        let stored: Option<Vec<u8>> = redis.get_del(key).await.map_err(unavailable)?;
        let Some(user) = stored.and_then(|stored| self.old.user(&stored)) else { return Ok(()) };
        if self.has_ended(&user).await? {
            return Ok(());
        }
        session.login(user.clone()).await?;
        // The user may have logged out everywhere between the look and the login.
        if self.has_ended(&user).await? {
            session.logout().await?;
        }
        Ok(())
    }

    async fn has_ended(&self, user: &str) -> Result<bool, TakeOverError> {
        self.redis.clone().sismember(ENDED, user).await.map_err(unavailable)
    }

    /// Logs the user out everywhere. The mark comes first: a login that is being taken over sees it, or is revoked.
    async fn log_out_everywhere(&self, owner: &Owner) -> Result<(), TakeOverError> {
        let _: () = self.redis.clone().sadd(ENDED, owner.to_string()).await.map_err(unavailable)?;
        self.manager.revoke_all(owner).await.map_err(SessionError::from)?;
        Ok(())
    }
}

async fn account(CurrentOwner(owner): CurrentOwner) -> String {
    format!("the account of {owner}")
}

async fn log_out_everywhere(
    State(moving): State<Arc<Moving>>,
    CurrentOwner(owner): CurrentOwner,
) -> Result<(), TakeOverError> {
    moving.log_out_everywhere(&owner).await
}

/// The new site.
pub fn site(moving: Moving) -> Router {
    let sessions = SessionLayer::new(moving.manager.clone());
    let moving = Arc::new(moving);
    Router::new()
        .route("/account", get(account))
        .route("/log-out-everywhere", post(log_out_everywhere))
        .layer(from_fn_with_state(moving.clone(), take_over))
        .with_state(moving)
        .layer(sessions)
}

/// A month from now: for a program that is started today.
pub fn in_a_month() -> SystemTime {
    SystemTime::now() + Duration::from_secs(30 * 24 * 60 * 60)
}
