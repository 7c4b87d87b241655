//! Takes over the logins of an old site, once each: nobody has to log in again.

mod old;
mod take_over;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::State,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use redis::{AsyncCommands, aio::ConnectionManager};
use session_tower::{
    ConfigError, CurrentOwner, Lifetime, Owner, Policy, Session, SessionError, SessionLayer, SessionManager,
};
use tower_http::csrf::CsrfLayer;

pub use old::{Old, OldLogin, Unreadable};
use take_over::{TakeOverError, take_over, unavailable};

/// The users whose old sessions have ended. In your site this is a column of the table of users.
const ENDED: &str = "old-sessions-ended";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the move needs.
#[derive(Clone)]
pub struct Moving {
    pub old: Old,
    /// The Redis of the old sessions.
    pub redis: ConnectionManager,
    /// After this day an old cookie opens nothing, and this code can go.
    pub last_day: SystemTime,
    /// For how long one request keeps others from the same old session. Longer than a login takes. Zero: no claim.
    pub claim: Duration,
    pub manager: SessionManager,
}

impl Moving {
    /// Logs the user out everywhere. The mark comes first: a login that is being taken over sees it, or is revoked.
    ///
    /// A new password and a blocked account need the mark, too.
    async fn log_out_everywhere(&self, owner: &Owner) -> Result<(), TakeOverError> {
        let _: () = self.redis.clone().sadd(ENDED, owner.to_string()).await.map_err(unavailable)?;
        self.manager.revoke_all(owner).await.map_err(SessionError::from)?;
        Ok(())
    }
}

/// A login that was remembered for 30 days of the old site stays so.
///
/// # Errors
///
/// If the times do not fit together.
pub fn policy() -> Result<Policy, ConfigError> {
    Policy::builder().remembered(Lifetime::new(DAY * 30, DAY * 90).persistent()).build()
}

async fn account(CurrentOwner(owner): CurrentOwner, session: Session) -> Result<String, SessionError> {
    let unread: u64 = session.get("unread")?.unwrap_or(0);
    Ok(format!("the account of {owner}, {unread} unread"))
}

/// A page for visitors, too: it keeps a value.
async fn visit(session: Session) -> Result<(), SessionError> {
    Ok(session.insert("visited", &true)?)
}

async fn log_out(session: Session) -> Result<(), SessionError> {
    Ok(session.logout().await?)
}

async fn log_out_everywhere(
    State(moving): State<Arc<Moving>>,
    CurrentOwner(owner): CurrentOwner,
) -> Result<(), TakeOverError> {
    moving.log_out_everywhere(&owner).await
}

/// The new site. A forged request is refused outside of the take-over: it must not use up an old cookie.
pub fn site(moving: Moving) -> Router {
    let sessions = SessionLayer::new(moving.manager.clone());
    let moving = Arc::new(moving);
    Router::new()
        .route("/account", get(account))
        .route("/visit", get(visit).post(visit))
        .route("/log-out", post(log_out))
        .route("/log-out-everywhere", post(log_out_everywhere))
        .layer(from_fn_with_state(moving.clone(), take_over))
        .layer(CsrfLayer::new())
        .with_state(moving)
        .layer(sessions)
}

/// A month from now: for a program that is started today.
pub fn in_a_month() -> SystemTime {
    SystemTime::now() + DAY * 30
}
