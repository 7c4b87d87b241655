//! The store. Each operation is one command, and a `create_then_load` one message. With an owner, a logout is one more, for
//! the index of their sessions, and on a cluster a login, too.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use redis::{Value, aio::ConnectionManager};
use session_core::{
    Entry, Expiry, Loaded, Namespace, Owner, Revision, SessionId, SharedTrips, Store, StoreError, async_trait,
};

use crate::{
    Builder,
    call::{Call, Sent},
    connection::{Connection, Question, Reading},
    error::{BACKEND, foreign_answer, foreign_value, staged_frame_gone, too_late},
    frame::{Frame, NewFrame, milliseconds},
    index::Member,
    script::Scripts,
    store::{
        entries::NewEntry,
        load::{Found, find, found, loaded, session_key, string},
        trip::{Asked, Told, travel},
        update::Update,
    },
};

#[cfg(feature = "cluster")]
use crate::{connection::Server, index::Steps};

mod entries;
mod load;
mod trip;
mod update;

/// How many of an owner's sessions are read, or deleted, at once.
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
    prefix: Namespace,
    connection: Arc<Connection>,
    scripts: Scripts,
    trips: SharedTrips<Asked, Told>,
}

impl RedisStore {
    /// Connects with the default settings, and the prefix `sessions`: see [`Builder::connect`] for the URLs.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::TimedOut`] if the server cannot be reached, [`StoreError::Backend`]
    /// if the URL is none of these or the server refuses its user.
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

    pub(crate) fn from_connection(prefix: Namespace, connection: Connection) -> Self {
        let (connection, scripts) = (Arc::new(connection), Scripts::new());
        let (to, of, update) = (Arc::clone(&connection), prefix.clone(), Arc::clone(&scripts.update));
        let trips = SharedTrips::new(BACKEND, trip::AT_ONCE, move |asked| {
            let (connection, prefix, update) = (Arc::clone(&to), of.clone(), Arc::clone(&update));
            async move { travel(&connection, &prefix, &update, asked).await }
        });
        Self(Arc::new(Inner { prefix, connection, scripts, trips }))
    }

    fn session_key(&self, id: &SessionId) -> Vec<u8> {
        session_key(&self.0.prefix, id)
    }

    fn owner_key(&self, owner: &Owner) -> Vec<u8> {
        [self.0.prefix.as_str().as_bytes(), b":o:", owner.as_bytes()].concat()
    }

    fn sent<'a>(&self, entry: Entry<'a>, session: &[u8]) -> Result<Sent<'a>, StoreError> {
        Sent::new(NewFrame::of(entry), &self.0.prefix, session, self.0.connection.timeout)
    }

    /// Writes the session and its entry in the owner's index: by one script, or on a cluster by two. There the index is in
    /// another slot, so one command cannot do both.
    async fn indexed_write(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        ends_in: Duration,
        write: Call<'_>,
    ) -> Result<Value, StoreError> {
        let new = self.new_entry(id, entry, ends_in);
        #[cfg(feature = "cluster")]
        if let (Server::Cluster(cluster), Some(new)) = (&self.0.connection.server, &new) {
            let arguments = new.arguments();
            let enter = Call {
                script: &self.0.scripts.index,
                key: &new.index,
                others: &[],
                frame: None,
                arguments: &arguments,
            };
            return self.0.connection.run_both(cluster, Steps { index: enter, session: write }).await;
        }
        let (others, arguments) = NewEntry::beside(new.as_ref(), write.arguments);
        self.0.connection.run(Call { others: &others, arguments: &arguments, ..write }).await
    }

    fn create_call<'a>(&'a self, key: &'a [u8], frame: &'a Sent<'a>, arguments: &'a [&'a [u8]]) -> Call<'a> {
        Call { script: &self.0.scripts.create, key, others: &[], frame: Some(frame), arguments }
    }

    /// In a box, as each call that is rare and large: a load has room for none of them.
    async fn load_alone(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        Box::pin(find(&self.0.connection, self.session_key(id))).await?.session()
    }

    async fn replace_alone(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let key = self.session_key(id);
        let frame = self.sent(entry, &key)?;
        let times = match expiry {
            Expiry::Keep => vec![],
            Expiry::Extend(expires_in) => vec![text(expires_in)],
            Expiry::Restart { expires_in, ends_in } => vec![text(expires_in), text(ends_in)],
        };
        let mut arguments: Vec<&[u8]> = vec![expected.as_bytes()];
        arguments.extend(times.iter().map(Vec::as_slice));
        let replace = Call {
            script: &self.0.scripts.replace,
            key: &key,
            others: &[],
            frame: Some(&frame),
            arguments: &arguments,
        };
        let answer = match expiry {
            Expiry::Restart { ends_in, .. } => Box::pin(self.indexed_write(id, entry, ends_in, replace)).await?,
            Expiry::Keep | Expiry::Extend(_) => Box::pin(self.0.connection.run(replace)).await?,
        };
        yes_or_no(&answer)
    }

    /// Deletes the session if it has this revision and this owner, where they are given.
    async fn delete_if(
        &self,
        id: &SessionId,
        expected: Option<Revision>,
        owner: Option<&Owner>,
    ) -> Result<Deletion, StoreError> {
        let expected = expected.as_ref().map_or(&[][..], |expected| expected.as_bytes());
        let arguments = [expected, owner.map_or(&[][..], Owner::as_bytes)];
        let delete = Call {
            script: &self.0.scripts.delete,
            key: &self.session_key(id),
            others: &[],
            frame: None,
            arguments: &arguments,
        };
        match self.0.connection.run(delete).await? {
            Value::BulkString(deleted) => {
                let (binding, owner) = deleted.split_first_chunk::<8>().ok_or_else(foreign_answer)?;
                Ok(Deletion::Done { member: Member::new(id, *binding), owner: owner.to_vec() })
            }
            Value::Nil => Ok(Deletion::Missing),
            answer => yes_or_no(&answer).map(|_| Deletion::Refused),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.0.prefix.as_str()).finish_non_exhaustive()
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
        let (key, times) = (self.session_key(id), [text(expires_in), text(ends_in)]);
        let (frame, arguments) = (self.sent(entry, &key)?, times.each_ref().map(Vec::as_slice));
        let create = self.create_call(&key, &frame, &arguments);
        created(&self.indexed_write(id, entry, ends_in, create).await?)
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        // On a cluster the keys of several sessions are on several nodes.
        if self.0.connection.is_cluster() {
            return self.load_alone(id).await;
        }
        match self.0.trips.ask(Asked::Load(*id)).await?.found()? {
            // A value of another type is no logout. Nobody else waits for this trip.
            Found::NoString => self.load_alone(id).await,
            found => found.session(),
        }
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        match Update::replace(self.session_key(id), expected, entry, expiry) {
            Some(update) => self.update(update).await,
            None => self.replace_alone(id, expected, entry, expiry).await,
        }
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.update(Update::touch(self.session_key(id), expected, text(expires_in))).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        let deletion = self.delete_if(id, Some(expected), None).await?;
        let Deletion::Done { member, owner } = deletion else { return Ok(false) };
        self.forget(&owner, &[member]).await;
        Ok(true)
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let index = self.index(owner).await?;
        let ids: Vec<_> = index.ids().into_iter().collect();
        let mut all = Reading { values: Vec::with_capacity(ids.len()), now: u64::MAX };
        for ids in ids.chunks(AT_ONCE) {
            let keys: Vec<_> = ids.iter().map(|id| self.session_key(id)).collect();
            all = all.and(self.0.connection.fetch(Question::Session, &keys).await?);
        }
        let (mut sessions, mut bindings) = (Vec::new(), BTreeMap::new());
        for (id, value) in ids.into_iter().zip(all.values) {
            let Some(string) = string(value)? else { continue };
            let frame = Frame::decode(string)?;
            bindings.insert(id, frame.binding);
            let is_theirs = frame.owner() == owner.as_bytes();
            let live = loaded(frame, all.now)?.filter(|_| is_theirs);
            sessions.extend(live.map(|loaded| (id, loaded)));
        }
        let is_dead = |member: &&Member| bindings.get(&member.id()) != Some(&member.binding());
        let dead: Vec<_> = index.settled().filter(is_dead).copied().collect();
        self.prune(owner, &dead).await;
        Ok(sessions)
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let index = self.index(owner).await?;
        let deletions = index
            .ids()
            .into_iter()
            .filter(|id| Some(id) != keep)
            .map(|id| async move { (id, self.delete_if(&id, None, Some(owner)).await) });
        // A session that cannot be deleted must not stop the others from being deleted.
        let outcomes: BTreeMap<_, _> = stream::iter(deletions).buffer_unordered(AT_ONCE).collect().await;
        let is_dead = |member: &&Member| match outcomes.get(&member.id()) {
            Some(Ok(Deletion::Missing)) => true,
            Some(Ok(Deletion::Done { member: deleted, .. })) => deleted != *member,
            _ => false,
        };
        let dead: Vec<_> = index.settled().filter(is_dead).copied().collect();
        let deleted = outcomes.values().flatten().filter_map(|deletion| match deletion {
            Deletion::Done { member, .. } => Some(*member),
            Deletion::Missing | Deletion::Refused => None,
        });
        self.forget(owner.as_bytes(), &deleted.collect::<Vec<_>>()).await;
        self.prune(owner, &dead).await;
        let count = |outcome: Result<Deletion, _>| outcome.map(|done| u64::from(matches!(done, Deletion::Done { .. })));
        outcomes.into_values().map(count).sum()
    }

    /// Redis deletes each session when it expires, and the index of an owner an hour after its last session. So there is
    /// nothing that a purge could find.
    async fn purge(&self, _limit: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// On a cluster the two sessions may be on two nodes. Elsewhere the script and the `GET` are in one message.
    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        if self.0.connection.is_cluster() {
            self.create(id, entry, expires_in, ends_in).await?;
            return Ok(self.load(then).await);
        }
        let (key, times) = (self.session_key(id), [text(expires_in), text(ends_in)]);
        let (frame, arguments) = (self.sent(entry, &key)?, times.each_ref().map(Vec::as_slice));
        let new = self.new_entry(id, entry, ends_in);
        let (others, arguments) = NewEntry::beside(new.as_ref(), &arguments);
        let create = Call { others: &others, ..self.create_call(&key, &frame, &arguments) };
        let (answer, reading) = self.0.connection.run_then_fetch(create, &self.session_key(then)).await?;
        created(&answer)?;
        Ok(reading.and_then(found).and_then(Found::session))
    }

    fn backend(&self) -> &'static str {
        BACKEND
    }
}

/// The outcome for a session that was to be deleted.
enum Deletion {
    /// It was deleted. This is its entry in the index, and the owner that it had.
    Done { member: Member, owner: Vec<u8> },
    /// There is nothing under its key.
    Missing,
    /// It has expired, or it has another revision or owner.
    Refused,
}

fn created(answer: &Value) -> Result<(), StoreError> {
    if yes_or_no(answer)? { Ok(()) } else { Err(StoreError::AlreadyExists) }
}

fn yes_or_no(answer: &Value) -> Result<bool, StoreError> {
    match answer {
        Value::Int(1) => Ok(true),
        Value::Int(0) => Ok(false),
        Value::Int(-1) => Err(foreign_value("a value is shorter than a session")),
        Value::Int(-2) => Err(staged_frame_gone()),
        Value::Array(_) => Err(too_late()),
        _ => Err(foreign_answer()),
    }
}

fn text(time: Duration) -> Vec<u8> {
    milliseconds(time).to_string().into_bytes()
}

#[cfg(test)]
#[cfg(feature = "cluster")]
mod tests;
