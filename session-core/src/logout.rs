//! Ending a session by the client's own will.

use crate::{
    EndReason, Error, EventKind,
    merge::{attempts, pause, read},
    record::Found,
    state::{Answer, Inner, Lost, Standing},
};

/// How often a deletion is sent while it fails.
const DELETIONS: u32 = 3;

/// What became of a session that was to be deleted.
enum Deleted {
    ByUs,
    Before,
    /// It is another login's by now, and stays.
    NotOurs,
}

impl Inner {
    pub(crate) async fn logout(&self) -> Result<(), Error> {
        let _in_order = self.writing.lock().await;
        let live = match self.snapshot().0 {
            Standing::Lost(Lost::Gone) | Standing::Barred(Lost::Gone) => return Ok(()),
            Standing::Lost(lost) | Standing::Barred(lost) => return Err(lost.into()),
            Standing::Absent => {
                self.end();
                return Ok(());
            }
            Standing::Live(live) => live,
        };
        // Until it has succeeded: also if this future is dropped.
        self.state().answer = Answer::Silence;
        // What was begun in this session is not dated anew by a login after the logout.
        self.state().noted = self.began(Some(&live.found)).noted;
        self.end_login(&live.found, EndReason::Logout).await?;
        self.end();
        Ok(())
    }

    /// Ends the session, also where other requests have changed it meanwhile, unless it is another login's now.
    pub(crate) async fn end_login(&self, found: &Found, reason: EndReason) -> Result<(), Error> {
        match self.delete_login(found).await? {
            Deleted::ByUs => self.tell(EventKind::Ended(reason), Some(found)),
            Deleted::Before => {}
            Deleted::NotOurs => return Err(self.lose(Lost::Superseded).into()),
        }
        Ok(())
    }

    async fn delete_login(&self, loaded: &Found) -> Result<Deleted, Error> {
        let store = &*self.site().store;
        let mut revision = loaded.revision;
        let mut failures = 0;
        for attempt in attempts() {
            match store.delete(&loaded.id, revision).await {
                Ok(true) => return Ok(Deleted::ByUs),
                Ok(false) => {}
                Err(error) => {
                    failures += 1;
                    if failures == DELETIONS {
                        return Err(error.into());
                    }
                }
            }
            pause(attempt).await;
            let Some(found) = read(store, &loaded.id).await? else {
                // After a deletion whose answer was lost, it was ours.
                return Ok(if failures > 0 { Deleted::ByUs } else { Deleted::Before });
            };
            let (was, is) = (loaded.header(), found.header());
            let is_same_login = was.owner == is.owner && (was.owner.is_some() || was.generation == is.generation);
            if !is_same_login {
                return Ok(Deleted::NotOurs);
            }
            revision = found.revision;
        }
        Err(Error::Contended)
    }
}
