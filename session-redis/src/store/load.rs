//! How sessions are loaded: alone, or together for requests that wait.

use std::{io::Write, time::Duration};

use redis::Value;
use session_core::{Loaded, Namespace, SessionId, StoreError};

use crate::{
    connection::{Connection, Question, Reading},
    error::{foreign_answer, foreign_value, from_driver},
    frame::Frame,
};

/// How many sessions one command loads for requests that wait. Each may be of a mebibyte.
pub(super) const LOADED_AT_ONCE: usize = 64;

/// What a shared load has found.
#[derive(Clone)]
pub(super) enum Found {
    /// A session, which may have expired.
    Session(Option<Loaded>),
    /// Nothing, or a value of another type: `MGET` does not tell.
    Nothing,
}

/// Loads these sessions together.
pub(super) async fn load_all(
    connection: &Connection,
    prefix: &Namespace,
    ids: Vec<SessionId>,
) -> Result<Vec<Result<Found, StoreError>>, StoreError> {
    if let [id] = &ids[..] {
        return Ok(vec![load_one(connection, &session_key(prefix, id)).await.map(Found::Session)]);
    }
    // The server would send a value once for each time that its key is asked for.
    let mut different = ids.clone();
    different.sort_unstable();
    different.dedup();
    let is_each_asked_once = different.len() == ids.len();
    let asked = if is_each_asked_once { &ids } else { &different };
    let keys: Vec<_> = asked.iter().map(|id| session_key(prefix, id)).collect();
    let Reading { values, now } = connection.fetch_at_once(&keys).await?;
    let found = |value| frame(value)?.map_or(Ok(Found::Nothing), |frame| loaded(frame, now).map(Found::Session));
    let found: Vec<Result<Found, StoreError>> = values.into_iter().map(found).collect();
    if is_each_asked_once {
        return Ok(found);
    }
    let of =
        |id: &SessionId| different.binary_search(id).map_or_else(|_| Err(foreign_answer()), |at| found[at].clone());
    Ok(ids.iter().map(of).collect())
}

pub(super) async fn load_one(connection: &Connection, key: &[u8]) -> Result<Option<Loaded>, StoreError> {
    let mut reading = connection.fetch(Question::Session, &[key]).await?;
    match frame(reading.values.pop().ok_or_else(foreign_answer)?)? {
        Some(frame) => loaded(frame, reading.now),
        None => Ok(None),
    }
}

/// The frame under a session's key, if there is one.
pub(super) fn frame(value: Value) -> Result<Option<Frame>, StoreError> {
    match value.extract_error().map_err(from_driver)? {
        Value::Nil => Ok(None),
        Value::BulkString(value) => Frame::decode(value).map(Some),
        _ => Err(foreign_answer()),
    }
}

/// The content of the session, if it is live at this instant.
pub(super) fn loaded(frame: Frame, now: u64) -> Result<Option<Loaded>, StoreError> {
    let Frame { revision, expires_at, ends_at, .. } = frame;
    if expires_at > ends_at {
        return Err(foreign_value("the expiry is past the end"));
    }
    if expires_at <= now {
        return Ok(None);
    }
    let (expires_in, ends_in) = (Duration::from_millis(expires_at - now), Duration::from_millis(ends_at - now));
    Ok(Some(Loaded::new(revision, frame.into_payload(), expires_in, ends_in)))
}

/// The key of a session.
pub(super) fn session_key(prefix: &Namespace, id: &SessionId) -> Vec<u8> {
    let prefix = prefix.as_str().as_bytes();
    let mut key = Vec::with_capacity(prefix.len() + 3 + SessionId::TEXT_LENGTH);
    key.extend(prefix);
    // Writing to a vector never fails.
    let _written = write!(key, ":s:{id}");
    key
}
