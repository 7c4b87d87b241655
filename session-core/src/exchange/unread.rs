//! A session that is stored and cannot be read: what a request with its token can still do.
//!
//! Where the head can be read, the token was judged by it: a logout ends the session, a login ends it and makes a new one.
//! Where not even the head can be read, nothing is known of the session: a login makes a new one, and what is stored
//! stays. In both cases nothing is written to it, and no page creates another session beside it. Its cookie would replace
//! one that another version of the application can read.

use std::sync::Arc;

use crate::{
    Error, EventKind, Outcome, Session, SessionId, StoreError, WhenUnreadable,
    exchange::{Inner, Loss, Occasion, Place, Standing},
    record::Found,
    site::Whose,
};

/// Why a session cannot be read, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Unread {
    pub(crate) error: StoreError,
    /// The session, if its head could be read.
    pub(crate) found: Option<Arc<Found>>,
    /// Whether pages go on without it.
    pub(crate) goes_on: bool,
    /// Whether it could be read when this request loaded it.
    was_read: bool,
}

impl Unread {
    pub(crate) fn new(error: StoreError, found: Option<Arc<Found>>, when: WhenUnreadable) -> Self {
        Self { error, found, goes_on: when == WhenUnreadable::GoOnWithout, was_read: false }
    }

    /// Refuses to answer for values that cannot be read, unless pages go on without them.
    pub(crate) fn judge_read(&self) -> Result<(), Error> {
        if self.goes_on { Ok(()) } else { Err(self.error.clone().into()) }
    }

    /// The session, if this request has seen its values.
    pub(crate) fn seen(&self) -> Option<&Found> {
        self.found.as_deref().filter(|_| self.was_read)
    }

    /// What saving comes to.
    pub(crate) fn outcome(&self, occasion: Occasion, is_changed: bool) -> Result<Outcome, Error> {
        match occasion {
            _ if !is_changed && self.is_no_trouble() => Ok(Outcome::Unchanged),
            Occasion::Commit if self.goes_on => Ok(Outcome::Unreadable),
            _ => Err(self.error.clone().into()),
        }
    }

    /// Whether the page of a request that has changed nothing may leave: pages go on without the session, or this one has
    /// read its values before they became unreadable.
    pub(crate) fn is_no_trouble(&self) -> bool {
        self.goes_on || self.was_read
    }
}

impl Session {
    /// Whether the handler may go by what this handle answers.
    ///
    /// Of a session that is stored and cannot be read, [`owner`](Self::owner), [`contains`](Self::contains) and
    /// [`keys`](Self::keys) answer as of an empty one, and the page fails at its commit. A middleware that lets nobody in, or
    /// a handler that acts outside of the session before that, asks this first.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the session cannot be read, unless the policy goes on without it: see [`WhenUnreadable`].
    pub fn readable(&self) -> Result<(), Error> {
        self.inner().state().judge_read()
    }
}

impl Inner {
    /// The session that a request loaded cannot be read, or not even its head.
    pub(crate) fn load_unread(&self, id: SessionId, error: StoreError, found: Option<Arc<Found>>) -> Standing {
        let unread = Unread::new(error, found, self.site().policy.when_unreadable);
        self.tell_unread(id, &unread);
        Standing::Unread(unread)
    }

    /// A session that could be read when it was loaded. It cannot be read any more if a later version has written to it.
    pub(crate) fn turned_unread(&self, found: &Arc<Found>) -> Option<Unread> {
        let error = found.record.data.values().err()?;
        let unread = Unread::new(error, Some(found.clone()), self.site().policy.when_unreadable);
        Some(Unread { was_read: true, ..unread })
    }

    pub(crate) fn tell_unread(&self, id: SessionId, unread: &Unread) {
        let whose = unread.found.as_ref().map_or_else(Whose::default, |found| found.header().into());
        self.site().tell(&self.resource, EventKind::Unreadable(unread.error.clone().into()), Some(id), whose);
    }

    /// Ends, for a login, the session that it takes the place of. The login stands, also where this fails.
    pub(crate) async fn end_replaced(&self, found: &Found) {
        match self.end_unread(found).await {
            // A later login's stays.
            Ok(()) | Err(Error::Superseded) => {}
            Err(error) => self.tell(EventKind::Unreadable(error), Some(found)),
        }
    }
}

impl Place<'_> {
    /// Leaves a session that cannot be read for a new one. The changes of this request wait for that.
    pub(crate) async fn leave_unread(&mut self, unread: &Unread) -> Result<(), Error> {
        if let Some(found) = &unread.found {
            // A login later in this request counts from the date of this note.
            let noted = self.began(Some(found)).noted;
            self.state().noted = noted;
            match self.end_unread(found).await {
                Err(Error::Superseded) => return Err(self.lose(Loss::Superseded).into()),
                ended => ended?,
            }
        }
        let mut state = self.state();
        state.standing.leave_unread();
        state.version += 1;
        Ok(())
    }
}
