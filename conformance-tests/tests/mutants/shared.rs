//! The faults of a store that answers several calls together.

use std::collections::BTreeMap;

use session_core::{Entry, Expiry, Loaded, Revision, SessionId, StoreError};
use tokio::task::yield_now;

use super::store::{Small, failure};

/// The calls that are under way, each under a number.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    last: u64,
    loading: BTreeMap<u64, (SessionId, Option<Loaded>)>,
    /// Whether the write fails because another of its batch does.
    writing: BTreeMap<u64, bool>,
    /// The load that the others wait for, and whether one was dropped before its answer.
    leader: Option<u64>,
    lost: bool,
}

impl Shared {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl Small {
    /// The loads of one batch are answered in another order.
    pub(crate) async fn load_mixed_up(&self, id: &SessionId) -> Option<Loaded> {
        let number = {
            let rows = &mut self.lock().0;
            let shared = &mut rows.shared;
            let number = shared.next();
            shared.loading.insert(number, (*id, None));
            number
        };
        yield_now().await;
        let next = {
            let rows = &mut self.lock().0;
            let shared = &mut rows.shared;
            let next = shared.loading.range(number + 1..).next().map_or(*id, |(_, (id, _))| *id);
            shared.loading.remove(&number);
            next
        };
        self.load_now(&next)
    }

    /// A load of a session that is being loaded gets the answer of that load.
    pub(crate) async fn load_with_one_that_was_sent(&self, id: &SessionId) -> Option<Loaded> {
        let found = self.load_now(id);
        let (number, found) = {
            let rows = &mut self.lock().0;
            let shared = &mut rows.shared;
            let sent = shared.loading.values().find(|(asked, _)| asked == id).cloned();
            let found = sent.map_or(found, |(_, found)| found);
            let number = shared.next();
            shared.loading.insert(number, (*id, found.clone()));
            (number, found)
        };
        yield_now().await;
        yield_now().await;
        self.lock().0.shared.loading.remove(&number);
        found
    }

    /// The first caller does the work of all. If it is dropped, the others get an error.
    pub(crate) async fn load_behind_the_first(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let leads = {
            let rows = &mut self.lock().0;
            let shared = &mut rows.shared;
            let number = shared.next();
            let leads = shared.leader.is_none();
            if leads {
                shared.leader = Some(number);
            }
            leads
        };
        if leads {
            let mut leader = Leader { store: self, done: false };
            yield_now().await;
            leader.done = true;
        } else {
            yield_now().await;
            if std::mem::take(&mut self.lock().0.shared.lost) {
                return Err(failure());
            }
        }
        Ok(self.load_now(id))
    }

    /// A conflict of one write fails all that are written with it.
    pub(crate) async fn replace_all_or_none(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> bool {
        let number = {
            let rows = &mut self.lock().0;
            let shared = &mut rows.shared;
            let number = shared.next();
            shared.writing.insert(number, false);
            number
        };
        yield_now().await;
        let conflicts = self.load_now(id).is_none_or(|loaded| loaded.revision != expected);
        let fails = {
            let rows = &mut self.lock().0;
            let writing = &mut rows.shared.writing;
            let fails = writing.remove(&number).unwrap_or_default();
            if conflicts {
                writing.values_mut().for_each(|fails| *fails = true);
            }
            fails
        };
        !fails && self.replace_now(id, expected, entry, expiry)
    }
}

struct Leader<'a> {
    store: &'a Small,
    done: bool,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let rows = &mut self.store.lock().0;
        let shared = &mut rows.shared;
        shared.leader = None;
        shared.lost |= !self.done;
    }
}
