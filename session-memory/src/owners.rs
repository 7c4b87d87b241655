//! Which sessions an owner has.

use std::{
    collections::{BTreeSet, HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Mutex, MutexGuard},
};

use session_core::{Owner, SessionId};

use crate::{SHARDS, enter};

/// The index of owners. Changed only under the lock of the session's shard, so it never lags behind the rows.
pub(crate) struct Owners {
    parts: Box<[Mutex<Part>]>,
    hash: RandomState,
}

type Part = HashMap<Owner, BTreeSet<SessionId>>;

impl Owners {
    pub(crate) fn new() -> Self {
        Self { parts: (0..SHARDS).map(|_| Mutex::default()).collect(), hash: RandomState::new() }
    }

    pub(crate) fn sessions(&self, owner: &Owner) -> Vec<SessionId> {
        self.part(owner).get(owner).into_iter().flatten().copied().collect()
    }

    /// Moves a session from one owner's list to another's.
    pub(crate) fn change(&self, id: &SessionId, from: Option<&Owner>, to: Option<&Owner>) {
        if from == to {
            return;
        }
        if let Some(owner) = from {
            let mut part = self.part(owner);
            if part.get_mut(owner).is_some_and(|ids| ids.remove(id) && ids.is_empty()) {
                part.remove(owner);
            }
        }
        if let Some(owner) = to {
            self.part(owner).entry(owner.clone()).or_default().insert(*id);
        }
    }

    fn part(&self, owner: &Owner) -> MutexGuard<'_, Part> {
        let hash = self.hash.hash_one(owner).to_le_bytes();
        enter(&self.parts[usize::from(hash[0]) % SHARDS])
    }
}
