//! The faults of a store that reads a row with its version, and writes if the version is still the same. It gives up after
//! some conflicts, and says that the row was another or not there.

use session_core::{Owner, SessionId};
use tokio::task::yield_now;

use super::store::Small;

const TRIES: u32 = 4;

impl Small {
    fn version(&self, id: &SessionId) -> Option<u64> {
        self.lock().0.live.get(&self.key(id)).map(|row| row.version)
    }

    pub(crate) async fn with_few_tries(&self, id: &SessionId, write: impl Fn() -> bool) -> bool {
        for _ in 0..TRIES {
            let read = self.version(id);
            yield_now().await;
            if self.version(id) == read {
                return write();
            }
        }
        false
    }

    pub(crate) async fn revoke_with_few_tries(&self, owner: &Owner, keep: Option<&SessionId>) -> u64 {
        let mut revoked = 0;
        for (id, _) in self.list_now(owner).into_iter().filter(|(id, _)| keep != Some(id)) {
            let delete = || {
                let theirs = self.list_now(owner).into_iter().find(|(theirs, _)| *theirs == id);
                theirs.is_some_and(|(id, found)| self.delete_now(&id, found.revision))
            };
            revoked += u64::from(self.with_few_tries(&id, delete).await);
        }
        revoked
    }
}
