//! The entries of an owner's index: how the store writes, reads and removes them.

use std::time::Duration;

use redis::Value;
use session_core::{Entry, Owner, SessionId, StoreError};

use super::{AT_ONCE, RedisStore, text};
use crate::{
    call::Call,
    connection::Question,
    error::{foreign_answer, foreign_value, from_driver},
    index::{Index, Member, SKEW},
};

/// How long an index keeps a session after its end. A failover may lead to a server whose clock is behind, and the
/// session is written a while after its entry.
const BEYOND_THE_END: Duration = Duration::from_millis(SKEW);

/// The entry of a session that is written.
pub(super) struct NewEntry<'a> {
    /// The key of the owner's index.
    pub(super) index: Vec<u8>,
    id: &'a SessionId,
    /// For how many milliseconds the entry is kept.
    kept_for: Vec<u8>,
}

impl NewEntry<'_> {
    /// What a script needs to know of the entry.
    pub(super) fn arguments(&self) -> [&[u8]; 2] {
        [self.id.as_bytes(), &self.kept_for]
    }

    /// The other keys and all arguments of a script that writes a session with these arguments, and its entry, if it has one.
    pub(super) fn beside<'a>(new: Option<&'a Self>, session: &[&'a [u8]]) -> (Vec<&'a [u8]>, Vec<&'a [u8]>) {
        let Some(new) = new else { return (vec![], session.to_vec()) };
        let neither_binding_nor_since: [&[u8]; 2] = [b"", b""];
        (vec![&new.index], [session, &neither_binding_nor_since, &new.arguments()].concat())
    }
}

impl RedisStore {
    /// The entry of this session, if it has an owner.
    pub(super) fn new_entry<'a>(&self, id: &'a SessionId, entry: Entry<'_>, ends_in: Duration) -> Option<NewEntry<'a>> {
        let kept_for = text(ends_in.saturating_add(BEYOND_THE_END));
        entry.owner.map(|owner| NewEntry { index: self.owner_key(owner), id, kept_for })
    }

    /// The index of an owner's sessions. If there are many and one server has all keys, the dead entries are removed
    /// first, a batch at a time. After that nothing asks for their sessions one by one.
    pub(super) async fn index(&self, owner: &Owner) -> Result<Index, StoreError> {
        let index = self.read_index(owner).await?;
        if index.members.len() <= AT_ONCE || self.0.connection.is_cluster() {
            return Ok(index);
        }
        let settled: Vec<_> = index.settled().copied().collect();
        self.prune(owner, &settled).await;
        self.read_index(owner).await
    }

    async fn read_index(&self, owner: &Owner) -> Result<Index, StoreError> {
        let mut reading = self.0.connection.fetch(Question::Index, &[self.owner_key(owner)]).await?;
        let members = match reading.values.pop().map(Value::extract_error).transpose().map_err(from_driver)? {
            Some(Value::Array(members)) => members,
            _ => return Err(foreign_answer()),
        };
        let read = |member: &Value| match member {
            Value::BulkString(member) => Member::read(member),
            _ => None,
        };
        let members: Option<_> = members.iter().map(read).collect();
        let members = members.ok_or_else(|| foreign_value("an owner's index has an entry that is not a session's"))?;
        Ok(Index { members, now: reading.now })
    }

    /// Takes settled entries out of their owner's index.
    ///
    /// On a cluster this removes each one unchecked. The caller knows that they are dead, because no replica has
    /// answered it there. Elsewhere the server that removes them checks each, and keeps those that are not dead.
    pub(super) async fn prune(&self, owner: &Owner, dead: &[Member]) {
        if self.0.connection.is_cluster() {
            return self.forget(owner.as_bytes(), dead).await;
        }
        let index = self.owner_key(owner);
        for dead in dead.chunks(AT_ONCE) {
            let keys: Vec<_> = dead.iter().map(|member| self.session_key(&member.id())).collect();
            let pairs = keys.iter().zip(dead).flat_map(|(key, member)| [key.as_slice(), member.as_bytes()]);
            let arguments: Vec<_> = pairs.collect();
            let prune =
                Call { script: &self.0.scripts.prune, key: &index, others: &[], frame: None, arguments: &arguments };
            if self.0.connection.run(prune).await.is_err() {
                return;
            }
        }
    }

    /// Takes the entries of deleted sessions out of their owner's index. If this fails nothing is lost: the entries are
    /// removed after the sessions' end.
    pub(super) async fn forget(&self, owner: &[u8], members: &[Member]) {
        if owner.is_empty() || members.is_empty() {
            return;
        }
        let mut remove = redis::cmd("ZREM");
        remove.arg([self.0.prefix.as_str().as_bytes(), b":o:", owner].concat());
        remove.arg(members.iter().map(Member::as_bytes).collect::<Vec<_>>());
        let _ = self.0.connection.write(&remove).await;
    }
}
