//! Ending a session by the client's own will.

use crate::{
    EndReason, Error, EventKind,
    exchange::{Answer, Bar, Inner, Loss, Place, Standing, Unread},
    record::{Found, Header},
    store::{Patience, read},
};

/// What became of a session that was to be deleted.
pub(crate) enum Deleted {
    ByUs,
    Before,
    /// It is another login's by now, and stays.
    NotOurs,
}

/// How far the end of a session goes, if others have changed it since it was loaded.
#[derive(Clone, Copy)]
pub(crate) enum Extent {
    /// As long as the session has the same owner, also after a renewal. Without an owner: only in the generation that was
    /// loaded.
    Login,
    /// Only in the generation that was loaded. A login or renewal since then is another client's.
    Generation,
}

impl Extent {
    fn covers(self, loaded: &Header, now: &Header) -> bool {
        let is_same_generation = loaded.generation == now.generation;
        match self {
            Self::Login => loaded.owner == now.owner && (loaded.owner.is_some() || is_same_generation),
            Self::Generation => is_same_generation,
        }
    }
}

impl Inner {
    pub(crate) async fn logout(&self) -> Result<(), Error> {
        self.place().await.logout().await
    }

    /// Ends a session that cannot be read, for one that takes its place, unless it is another login's now.
    pub(crate) async fn end_unread(&self, found: &Found) -> Result<(), Error> {
        let deleted = self.delete_login(found, Extent::Login).await?;
        self.tell_deleted(&deleted, EndReason::Unreadable, found);
        match deleted {
            Deleted::ByUs | Deleted::Before => Ok(()),
            Deleted::NotOurs => Err(Error::Superseded),
        }
    }

    pub(crate) fn tell_deleted(&self, deleted: &Deleted, reason: EndReason, found: &Found) {
        if let Deleted::ByUs = deleted {
            self.tell(EventKind::Ended(reason), Some(found));
        }
    }

    pub(crate) async fn delete_login(&self, loaded: &Found, extent: Extent) -> Result<Deleted, Error> {
        let store = &self.store;
        let mut revision = loaded.revision;
        let mut patience = Patience::new();
        loop {
            patience.attempt()?;
            match store.delete(&loaded.id, revision).await {
                Ok(true) => return Ok(Deleted::ByUs),
                Ok(false) => {}
                Err(error) => patience.bear(error)?,
            }
            patience.pause().await;
            let Some(found) = read(store, &loaded.id).await? else {
                // After a deletion whose answer was lost, it was ours.
                return Ok(if patience.has_borne() { Deleted::ByUs } else { Deleted::Before });
            };
            if !extent.covers(loaded.header(), found.header()) {
                return Ok(Deleted::NotOurs);
            }
            revision = found.revision;
        }
    }
}

impl Place<'_> {
    /// Ends the session. What is in flight is not resolved: it ends with the session.
    async fn logout(&mut self) -> Result<(), Error> {
        let standing = self.state().standing.clone();
        let found = match standing {
            Standing::Lost(Loss::Gone) | Standing::Barred(Bar::Stolen) => {
                return self.end_others(EndReason::Logout).await;
            }
            Standing::Live(live) => Some(live.found),
            Standing::Unread(Unread { found: Some(found), .. }) => Some(found),
            Standing::Unread(unread) => return Err(unread.error.into()),
            Standing::Failed(error) => return Err(error),
            Standing::Unasked | Standing::Absent | Standing::Barred(Bar::Withheld(_)) => None,
            Standing::Lost(loss) => return Err(loss.into()),
            Standing::Barred(bar) => return Err(bar.into()),
        };
        // Until it has succeeded: also if this future is dropped.
        self.state().answer = Answer::Silence;
        let mut ended = Ok(());
        if let Some(found) = found {
            // A login later in this request counts from the date of this note.
            self.state().noted = self.began(Some(&found)).noted;
            ended = self.end_login(&found, EndReason::Logout, Extent::Login).await;
        }
        // Also where this one could not be ended.
        let others_ended = self.end_others(EndReason::Logout).await;
        ended.and(others_ended)?;
        self.end();
        self.state().has_ended = true;
        Ok(())
    }

    /// Ends the session, even if other requests have changed it, unless it is another login's now.
    pub(crate) async fn end_login(&mut self, found: &Found, reason: EndReason, extent: Extent) -> Result<(), Error> {
        let deleted = self.delete_login(found, extent).await?;
        self.tell_deleted(&deleted, reason, found);
        match deleted {
            Deleted::ByUs | Deleted::Before => Ok(()),
            Deleted::NotOurs => Err(self.lose(Loss::Superseded).into()),
        }
    }
}
