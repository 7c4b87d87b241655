//! The store: one command an operation, and one more for the index of an owner's sessions.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use redis::{Value, aio::ConnectionManager};
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError, async_trait};

use crate::{
    Builder,
    connection::{Call, Connection, Reading},
    error::{foreign_answer, foreign_value, from_driver},
    frame::{Frame, milliseconds},
    script::Scripts,
};

/// An index keeps a session for so long after its end: what a failover to a clock behind it, and the time between the
/// write of the index and the session's, may need.
const BEYOND_THE_END: Duration = Duration::from_secs(3600);

/// So many of an owner's sessions are read, or deleted, at once.
const AT_ONCE: usize = 128;

/// Sessions in Redis or Valkey. Cloning makes another handle on the same connection.
///
/// # Examples
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_redis::RedisStore;
///
/// let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    prefix: String,
    connection: Connection,
    scripts: Scripts,
}

impl RedisStore {
    /// Connects with the default settings, and the prefix `sessions`: see [`Builder::connect`] for the URLs.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::TimedOut`] if the server cannot be reached, [`StoreError::Backend`]
    /// if the URL is no such URL or the server refuses its user.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Uses the application's own connection, and the prefix `sessions`.
    ///
    /// It should use RESP3 (`?protocol=resp3`), so that it notices by itself when it is cut, and `TCP_NODELAY`.
    #[must_use]
    pub fn new(manager: ConnectionManager) -> Self {
        Self::builder().with_manager(manager)
    }

    /// The settings, to change some before [`connect`](Builder::connect).
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn from_connection(prefix: String, connection: Connection) -> Self {
        Self(Arc::new(Inner { prefix, connection, scripts: Scripts::new() }))
    }

    fn session_key(&self, id: &SessionId) -> Vec<u8> {
        format!("{}:s:{id}", self.0.prefix).into_bytes()
    }

    fn owner_key(&self, owner: &Owner) -> Vec<u8> {
        [self.0.prefix.as_bytes(), b":o:", owner.as_bytes()].concat()
    }

    /// Writes the session, and adds it to its owner's before that. Another slot of a cluster has the index: it cannot be
    /// the same command.
    async fn indexed_write(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        ends_in: Duration,
        write: Call<'_>,
    ) -> Result<Value, StoreError> {
        let Some(owner) = entry.owner else { return self.0.connection.run(write).await };
        let member = member(id, entry.revision.as_bytes());
        let (key, kept) = (self.owner_key(owner), text(ends_in.saturating_add(BEYOND_THE_END)));
        let index = Call { script: &self.0.scripts.index, key: &key, arguments: &[&member, &kept] };
        self.0.connection.run_both(index, write).await
    }

    /// The ids that the index has for this owner, each once. Some may be of sessions that are gone, or another's by now.
    async fn indexed(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let members = self.0.connection.members(&self.owner_key(owner)).await?;
        let Value::Array(members) = members else { return Err(foreign_answer()) };
        let ids: Result<BTreeSet<[u8; 16]>, StoreError> = members
            .iter()
            .map(|member| match member {
                Value::BulkString(member) if member.len() == 24 => {
                    member.first_chunk().copied().ok_or_else(foreign_answer)
                }
                _ => Err(foreign_value("an owner's index holds what is no session")),
            })
            .collect();
        Ok(ids?.into_iter().map(SessionId::from_bytes).collect())
    }

    /// Deletes the session if it has this revision and this owner, where they are given, and answers with its entry in
    /// the index of the owner that it had.
    async fn delete_if(
        &self,
        id: &SessionId,
        expected: Option<Revision>,
        owner: Option<&Owner>,
    ) -> Result<Option<Indexed>, StoreError> {
        let expected = expected.as_ref().map_or(&[][..], |expected| expected.as_bytes());
        let arguments = [expected, owner.map_or(&[][..], Owner::as_bytes)];
        let delete = Call { script: &self.0.scripts.delete, key: &self.session_key(id), arguments: &arguments };
        match self.0.connection.run(delete).await? {
            Value::BulkString(deleted) => {
                let (bound, owner) = deleted.split_first_chunk::<8>().ok_or_else(foreign_answer)?;
                Ok(Some(Indexed { member: member(id, bound), owner: owner.to_vec() }))
            }
            answer => yes_or_no(&answer).map(|_| None),
        }
    }

    /// Takes sessions that this store has deleted out of their owner's index. If it fails nothing is lost: they leave it
    /// after their end.
    async fn forget(&self, owner: &[u8], members: &[[u8; 24]]) {
        if owner.is_empty() || members.is_empty() {
            return;
        }
        let mut remove = redis::cmd("ZREM");
        remove.arg([self.0.prefix.as_bytes(), b":o:", owner].concat());
        remove.arg(members.iter().map(|member| &member[..]).collect::<Vec<_>>());
        let _ = self.0.connection.write(&remove).await;
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let (frame, expires, ends) = (Frame::encode(entry), text(expires_in), text(ends_in));
        let arguments: [&[u8]; 3] = [&frame, &expires, &ends];
        let create = Call { script: &self.0.scripts.create, key: &self.session_key(id), arguments: &arguments };
        let answer = self.indexed_write(id, entry, ends_in, create).await?;
        if yes_or_no(&answer)? { Ok(()) } else { Err(StoreError::AlreadyExists) }
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let mut reading = self.0.connection.fetch(&[self.session_key(id)]).await?;
        let value = reading.values.pop().ok_or_else(foreign_answer)?;
        Ok(live(value, reading.now)?.map(|(_, loaded)| loaded))
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let frame = Frame::encode(entry);
        let times = match expiry {
            Expiry::Keep => vec![],
            Expiry::Extend(expires_in) => vec![text(expires_in)],
            Expiry::Restart { expires_in, ends_in } => vec![text(expires_in), text(ends_in)],
        };
        let mut arguments: Vec<&[u8]> = vec![expected.as_bytes(), &frame];
        arguments.extend(times.iter().map(Vec::as_slice));
        let replace = Call { script: &self.0.scripts.replace, key: &self.session_key(id), arguments: &arguments };
        let answer = match expiry {
            Expiry::Restart { ends_in, .. } => self.indexed_write(id, entry, ends_in, replace).await?,
            Expiry::Keep | Expiry::Extend(_) => self.0.connection.run(replace).await?,
        };
        yes_or_no(&answer)
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let arguments: [&[u8]; 2] = [expected.as_bytes(), &text(expires_in)];
        let touch = Call { script: &self.0.scripts.touch, key: &self.session_key(id), arguments: &arguments };
        yes_or_no(&self.0.connection.run(touch).await?)
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        let Some(deleted) = self.delete_if(id, Some(expected), None).await? else { return Ok(false) };
        self.forget(&deleted.owner, &[deleted.member]).await;
        Ok(true)
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let ids = self.indexed(owner).await?;
        let mut all = Reading { values: Vec::with_capacity(ids.len()), now: u64::MAX };
        for ids in ids.chunks(AT_ONCE) {
            let keys: Vec<_> = ids.iter().map(|id| self.session_key(id)).collect();
            all = all.and(self.0.connection.fetch(&keys).await?);
        }
        let mut sessions = Vec::with_capacity(ids.len());
        for (id, value) in ids.into_iter().zip(all.values) {
            let session = live(value, all.now)?.filter(|(of, _)| of == owner.as_bytes());
            sessions.extend(session.map(|(_, loaded)| (id, loaded)));
        }
        Ok(sessions)
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let ids = self.indexed(owner).await?;
        let deletions = ids
            .into_iter()
            .filter(|id| Some(id) != keep)
            .map(|id| async move { self.delete_if(&id, None, Some(owner)).await });
        // One that cannot be deleted must not save the others.
        let outcomes: Vec<_> = stream::iter(deletions).buffer_unordered(AT_ONCE).collect().await;
        let members: Vec<_> = outcomes.iter().flatten().flatten().map(|deleted| deleted.member).collect();
        self.forget(owner.as_bytes(), &members).await;
        outcomes.into_iter().map(|outcome| outcome.map(|deleted| u64::from(deleted.is_some()))).sum()
    }

    /// Redis expires sessions by itself.
    async fn purge(&self, _limit: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// A session in the index of its owner.
struct Indexed {
    member: [u8; 24],
    owner: Vec<u8>,
}

/// The entry of a session in its owner's index: with the write that bound it, so that taking out a session that is gone
/// never takes out one that was made under its id since.
fn member(id: &SessionId, bound: &[u8; 8]) -> [u8; 24] {
    let mut member = [0; 24];
    let (of_id, of_bound) = member.split_at_mut(16);
    of_id.copy_from_slice(id.as_bytes());
    of_bound.copy_from_slice(bound);
    member
}

/// The owner and what the value holds, if it is live at this instant.
fn live(value: Value, now: u64) -> Result<Option<(Bytes, Loaded)>, StoreError> {
    let value = match value.extract_error().map_err(from_driver)? {
        Value::Nil => return Ok(None),
        Value::BulkString(value) => value,
        _ => return Err(foreign_answer()),
    };
    let Frame { revision, expires_at, ends_at, owner, payload } = Frame::decode(value)?;
    if expires_at > ends_at {
        return Err(foreign_value("the expiry is past the end"));
    }
    if expires_at <= now {
        return Ok(None);
    }
    let (expires_in, ends_in) = (Duration::from_millis(expires_at - now), Duration::from_millis(ends_at - now));
    Ok(Some((owner, Loaded { revision, payload, expires_in, ends_in })))
}

fn yes_or_no(answer: &Value) -> Result<bool, StoreError> {
    match answer {
        Value::Int(1) => Ok(true),
        Value::Int(0) => Ok(false),
        Value::Int(-1) => Err(foreign_value("a value is shorter than a session")),
        _ => Err(foreign_answer()),
    }
}

fn text(time: Duration) -> Vec<u8> {
    milliseconds(time).to_string().into_bytes()
}
