//! Replaces and touches that leave a session's end and owner as they are: alone, or together for requests that wait.

use redis::Value;
use session_core::{Entry, Expiry, Revision, StoreError};

use super::{RedisStore, text, trip::Asked, yes_or_no};
use crate::{
    call::{Call, is_long},
    connection::Connection,
    error::{foreign_answer, from_driver, from_wait},
    script::Lua,
};

/// The longest payload that is written together with others, in bytes.
const SHORT: usize = 1024;

/// A replace or a touch.
#[derive(Clone)]
pub(super) struct Update {
    key: Vec<u8>,
    expected: Revision,
    /// The new revision and payload. A touch has neither.
    written: Option<(Revision, Vec<u8>)>,
    /// Milliseconds until the session expires. Empty: the expiry stays.
    expires_in: Vec<u8>,
}

impl Update {
    /// The replace, unless it begins a new lifetime or its frame has to be staged.
    pub(super) fn replace(key: Vec<u8>, expected: Revision, entry: Entry<'_>, expiry: Expiry) -> Option<Self> {
        let expires_in = match expiry {
            _ if is_long(&entry) => return None,
            Expiry::Keep => vec![],
            Expiry::Extend(expires_in) => text(expires_in),
            Expiry::Restart { .. } => return None,
        };
        Some(Self { key, expected, written: Some((entry.revision, entry.payload.to_vec())), expires_in })
    }

    pub(super) fn touch(key: Vec<u8>, expected: Revision, expires_in: Vec<u8>) -> Self {
        Self { key, expected, written: None, expires_in }
    }

    fn is_short(&self) -> bool {
        self.written.as_ref().is_none_or(|(_, payload)| payload.len() <= SHORT)
    }

    fn arguments(&self) -> [&[u8]; 4] {
        let (revision, payload) =
            self.written.as_ref().map_or((&[][..], &[][..]), |(revision, payload)| (revision.as_bytes(), payload));
        [self.expected.as_bytes(), revision, payload, &self.expires_in]
    }
}

impl RedisStore {
    /// Sends it alone, or together with others that wait. On a cluster the keys of several sessions are on several nodes.
    pub(super) async fn update(&self, update: Update) -> Result<bool, StoreError> {
        let connection = &self.0.connection;
        if connection.is_cluster() || !update.is_short() {
            let answers = Box::pin(update_all(connection, &self.0.scripts.update, &[&update])).await?;
            return answers.into_iter().next().ok_or_else(foreign_answer)?;
        }
        // Waiting for the others is a part of its time.
        let told = self.0.trips.ask_once(Asked::Update(update));
        tokio::time::timeout(connection.timeout, told).await.map_err(from_wait)??.updated()
    }
}

/// Writes the sessions by one script. An answer belongs to its own session alone.
pub(super) async fn update_all(
    connection: &Connection,
    script: &Lua,
    updates: &[&Update],
) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
    let keys: Vec<_> = updates.iter().map(|update| &update.key[..]).collect();
    let arguments: Vec<_> = updates.iter().copied().flat_map(Update::arguments).collect();
    let [key, others @ ..] = &keys[..] else { return Ok(vec![]) };
    let answer = connection.run(Call { script, key, others, frame: None, arguments: &arguments }).await?;
    match answer {
        Value::Int(_) if others.is_empty() => Ok(vec![yes_or_no(&answer)]),
        Value::Array(answers) if answers.len() == updates.len() => {
            let outcome = |answer: Value| yes_or_no(&answer.extract_error().map_err(from_driver)?);
            Ok(answers.into_iter().map(outcome).collect())
        }
        _ => Err(foreign_answer()),
    }
}
