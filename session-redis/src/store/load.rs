//! How sessions are loaded: alone, or together for requests that wait.

use std::{io::Write, time::Duration};

use redis::Value;
use session_core::{Loaded, Namespace, SessionId, StoreError};

use crate::{
    connection::{Connection, Question, Reading},
    error::{foreign_answer, foreign_value, from_driver},
    frame::Frame,
};

/// What a shared load has found. Each request decodes its own session: what tasks hand to one another is small.
#[derive(Clone)]
pub(super) enum Found {
    /// The string at the key, and the server's clock just before it was read.
    String(Vec<u8>, u64),
    Nothing,
    /// Nothing, or a value of another type: `MGET` does not tell.
    NoString,
}

impl Found {
    fn new(value: Value, now: u64, nil: Self) -> Result<Self, StoreError> {
        Ok(string(value)?.map_or(nil, |string| Self::String(string, now)))
    }

    /// The session, if it is live.
    pub(super) fn session(self) -> Result<Option<Loaded>, StoreError> {
        match self {
            Self::String(string, now) => loaded(Frame::decode(string)?, now),
            Self::Nothing | Self::NoString => Ok(None),
        }
    }
}

/// Loads these sessions together.
pub(super) async fn load_all(
    connection: &Connection,
    prefix: &Namespace,
    ids: &[SessionId],
) -> Result<Vec<Result<Found, StoreError>>, StoreError> {
    // Alone. `MGET` would not tell a missing session from a value of another type, and a miss would be asked twice.
    if let [id] = ids {
        return Ok(vec![find(connection, session_key(prefix, id)).await]);
    }
    // The server would send a value once for each time that its key is asked for.
    let mut different = ids.to_vec();
    different.sort_unstable();
    different.dedup();
    let is_each_asked_once = different.len() == ids.len();
    let asked = if is_each_asked_once { ids } else { &different };
    let keys: Vec<_> = asked.iter().map(|id| session_key(prefix, id)).collect();
    let Reading { values, now } = connection.fetch_at_once(&keys).await?;
    let found: Vec<_> = values.into_iter().map(|value| Found::new(value, now, Found::NoString)).collect();
    if is_each_asked_once {
        return Ok(found);
    }
    let of =
        |id: &SessionId| different.binary_search(id).map_or_else(|_| Err(foreign_answer()), |at| found[at].clone());
    Ok(ids.iter().map(of).collect())
}

pub(super) async fn find(connection: &Connection, key: Vec<u8>) -> Result<Found, StoreError> {
    found(connection.fetch(Question::Session, &[key]).await?)
}

/// What a reading of one session has found.
pub(super) fn found(mut reading: Reading) -> Result<Found, StoreError> {
    Found::new(reading.values.pop().ok_or_else(foreign_answer)?, reading.now, Found::Nothing)
}

/// The string at a key, if there is one.
pub(super) fn string(value: Value) -> Result<Option<Vec<u8>>, StoreError> {
    match value.extract_error().map_err(from_driver)? {
        Value::Nil => Ok(None),
        Value::BulkString(string) => Ok(Some(string)),
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

#[cfg(test)]
mod tests {
    use redis::{
        Client,
        aio::{ConnectionManager, ConnectionManagerConfig},
    };
    use session_core::{Entry, Expiry, Revision, Store};

    use super::*;
    use crate::RedisStore;

    /// A large future goes to the allocator that all threads share, and costs more than all else in a shared load.
    #[tokio::test]
    async fn who_waits_for_a_shared_trip_holds_little_memory() {
        let client = Client::open("redis://127.0.0.1:1").unwrap();
        let manager = ConnectionManager::new_lazy_with_config(client, ConnectionManagerConfig::new()).unwrap();
        let store = RedisStore::new(manager);
        let (id, revision) = (SessionId::from_bytes([42; 16]), Revision::from_bytes([1; 8]));
        let replace = store.replace(&id, revision, Entry::new(revision, b""), Expiry::Keep);
        // A call by itself has room for the driver's future and its answer once, which is 3 KiB.
        let alone = store.delete(&id, revision);
        let sizes = [size_of_val(&*store.load(&id)), size_of_val(&*replace), size_of_val(&*alone)];
        assert!(sizes[0] <= 512 && sizes[1] <= 1024 && sizes[2] <= 4096, "{sizes:?} bytes");
    }
}
