//! The JSON side, for the script of the pages and for tests.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session_core::{Error, SessionId};
use session_tower::{CurrentOwner, Session, SessionError};

use crate::{counting::Counting, devices, failure::Failure, fields::COUNTER};

/// Never asks for the session.
pub(crate) async fn ping() -> &'static str {
    "pong"
}

#[derive(Serialize)]
pub(crate) struct Me {
    session: Option<String>,
    owner: Option<String>,
    /// Seconds.
    expires_in: Option<f64>,
    ends_in: Option<f64>,
}

pub(crate) async fn me(session: Session) -> Json<Me> {
    Json(Me {
        session: session.id().map(|id| id.to_string()),
        owner: session.owner().map(|owner| owner.to_string()),
        expires_in: session.expires_in().map(seconds),
        ends_in: session.ends_in().map(seconds),
    })
}

/// The same, but it does not count as use. The warning asks it, and must not keep the user logged in.
pub(crate) async fn status(session: Session) -> Json<Me> {
    session.skip_touch();
    me(session).await
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).floor() / 1000.0
}

pub(crate) async fn data(session: Session) -> Result<Json<BTreeMap<String, Value>>, SessionError> {
    let mut data = BTreeMap::new();
    for key in session.keys().into_iter().filter(|key| !is_reserved(key)) {
        if let Some(value) = session.get(&key)? {
            data.insert(key, value);
        }
    }
    Ok(Json(data))
}

pub(crate) async fn insert(session: Session, Path(key): Path<String>, body: Bytes) -> Result<Response, SessionError> {
    if is_reserved(&key) {
        return Ok(StatusCode::FORBIDDEN.into_response());
    }
    let Ok(value) = serde_json::from_slice::<Value>(&body) else {
        return Ok((StatusCode::BAD_REQUEST, "the body is not JSON\n").into_response());
    };
    match session.insert(&key, &value) {
        Err(Error::TooLarge { .. }) => Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response()),
        inserted => {
            inserted?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    }
}

pub(crate) async fn remove(session: Session, Path(key): Path<String>) -> StatusCode {
    if is_reserved(&key) {
        return StatusCode::FORBIDDEN;
    }
    session.remove(&key);
    StatusCode::NO_CONTENT
}

/// Whether only the pages may use this key.
fn is_reserved(key: &str) -> bool {
    key.starts_with('_')
}

#[derive(Deserialize)]
pub(crate) struct Delay {
    delay_ms: Option<u64>,
}

pub(crate) async fn count(
    State(counting): State<Option<Counting>>,
    Query(Delay { delay_ms }): Query<Delay>,
    session: Session,
) -> Result<Json<u64>, Failure> {
    let count = COUNTER.update(&session, |count| *count = count.saturating_add(1))?;
    if let (Some(_), Some(delay)) = (counting, delay_ms) {
        tokio::time::sleep(Duration::from_millis(delay.min(5000))).await;
    }
    Ok(Json(count))
}

pub(crate) async fn take(session: Session, Path(key): Path<String>) -> Result<Response, SessionError> {
    if is_reserved(&key) {
        return Ok(StatusCode::FORBIDDEN.into_response());
    }
    Ok(Json(session.take::<Value>(&key).await?).into_response())
}

#[derive(Serialize)]
pub(crate) struct Listed {
    id: String,
    label: String,
    /// The address from which it logged in.
    address: Option<String>,
    current: bool,
    /// Seconds.
    age: f64,
    last_seen: f64,
}

pub(crate) async fn sessions(_: CurrentOwner, session: Session) -> Result<Json<Vec<Listed>>, SessionError> {
    let devices = session.devices().await?;
    let listed = devices.iter().map(|device| Listed {
        id: device.id.to_string(),
        label: devices::label_of(device),
        address: devices::address_of(device),
        current: device.is_current,
        age: seconds(device.age),
        last_seen: seconds(device.idle_for),
    });
    Ok(Json(listed.collect()))
}

pub(crate) async fn end(_: CurrentOwner, session: Session, Path(id): Path<String>) -> Result<StatusCode, SessionError> {
    let is_ended = match id.parse::<SessionId>() {
        Ok(id) => session.end(&id).await?,
        Err(_) => false,
    };
    Ok(if is_ended { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
}

#[derive(Serialize)]
pub(crate) struct Count {
    ended: u64,
}

pub(crate) async fn end_others(_: CurrentOwner, session: Session) -> Result<Json<Count>, SessionError> {
    Ok(Json(Count { ended: session.revoke_others().await? }))
}
