//! The compare-and-swap that saves what a request changed.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    Entry, Error, Expiry, Revision, SessionId, StoreError,
    moment::TimeLeft,
    record::{Found, Record},
    store::{Patience, PatientStore, SENDINGS, Writer, patience::pause_between_sendings},
};

/// A `replace` under a revision of its own, so that an unknown outcome can be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) id: SessionId,
    pub(crate) expected: Revision,
    pub(crate) own: Revision,
    pub(crate) record: Record,
    pub(crate) expiry: Expiry,
    /// Of the session under `expected`.
    pub(crate) left: TimeLeft,
}

/// What became of a [`Write`].
#[derive(Debug)]
pub(crate) enum Settled {
    /// It was applied; the state is now this one, perhaps with later writes on top.
    Applied(Arc<Found>),
    /// It was not applied and never will be; the state is now this one.
    Conflict(Arc<Found>),
    /// There is no such session any more.
    Gone,
}

impl Settled {
    fn found(&self) -> Option<&Arc<Found>> {
        if let Self::Applied(found) | Self::Conflict(found) = self { Some(found) } else { None }
    }

    fn conflict(now: Arc<Found>) -> Self {
        #[cfg(feature = "metrics")]
        crate::numbers::merge();
        Self::Conflict(now)
    }
}

impl Write {
    /// The write that puts `record` in the place of `base`. What cannot be read is never overwritten, only carried along.
    pub(crate) fn new(base: &Found, mut record: Record, expiry: Expiry) -> Result<Self, Error> {
        match base.record.data.values() {
            Err(unread) if record.data != base.record.data => return Err(unread.into()),
            _ => {}
        }
        let own = Revision::random()?;
        record.header = record.header.under(own);
        Ok(Self { id: base.id, expected: base.revision, own, record, expiry, left: base.left })
    }

    /// Sends the write until its outcome is known. The writer's turn, if it has one, ends then.
    ///
    /// If the write is sent once, `false` is a plain conflict. Core first waits as the writer's patience says, and then
    /// looks. So what it answers is fresh.
    pub(crate) async fn settle(
        &self,
        store: &PatientStore,
        patience: &Patience,
        writer: &mut Writer<'_>,
    ) -> Result<Settled, Error> {
        match self.send(store).await {
            Ok(Some(applied)) => {
                writer.end(Some(&applied));
                Ok(Settled::Applied(applied))
            }
            Ok(None) => {
                writer.end(None);
                patience.pause().await;
                Ok(read(store, &self.id).await?.map_or(Settled::Gone, Settled::conflict))
            }
            // In its turn: if others wrote now, its revision would soon be forgotten.
            Err(failure) => {
                let settled = self.settle_after(store, 1, Some(failure)).await;
                writer.end(settled.as_ref().ok().and_then(Settled::found));
                settled
            }
        }
    }

    /// The same for a write that has been sent in an earlier call, with an outcome that is not known.
    pub(crate) async fn settle_again(&self, store: &PatientStore) -> Result<Settled, Error> {
        self.settle_after(store, 0, None).await
    }

    /// After an unknown outcome, `false` may mean that the first sending was applied. So core first looks for its own
    /// revision in the record, and only then sends the write again, under the same revision. No write is applied twice, not
    /// even by a packet that arrives late.
    async fn settle_after(
        &self,
        store: &PatientStore,
        sent: u32,
        mut failure: Option<StoreError>,
    ) -> Result<Settled, Error> {
        for count in sent..SENDINGS {
            if let Some(settled) = self.look(store).await? {
                return Ok(settled);
            }
            pause_between_sendings(count).await;
            match self.send(store).await {
                Ok(Some(applied)) => return Ok(Settled::Applied(applied)),
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.map_or(Error::Contended, Error::from))
    }

    /// Whether the record tells what became of the write. `None`: it was not applied, and still may be.
    async fn look(&self, store: &PatientStore) -> Result<Option<Settled>, Error> {
        let Some(found) = read(store, &self.id).await? else { return Ok(Some(Settled::Gone)) };
        let header = &found.record.header;
        if header.remembers(self.own) {
            return Ok(Some(Settled::Applied(found)));
        }
        if found.revision == self.expected {
            return Ok(None);
        }
        if header.remembers(self.expected) { Ok(Some(Settled::conflict(found))) } else { Err(Error::OutcomeUnknown) }
    }

    /// Sends the write once: the session as it then is, or nothing if `expected` is no longer its revision.
    pub(crate) async fn send(&self, store: &PatientStore) -> Result<Option<Arc<Found>>, StoreError> {
        let payload = self.record.encode();
        let entry = Entry::shared(self.own, &payload).with_owner(self.record.header.owner.as_ref());
        let is_applied = store.replace(&self.id, self.expected, entry, self.expiry).await?;
        Ok(is_applied.then(|| self.applied()))
    }

    fn applied(&self) -> Arc<Found> {
        let left = match self.expiry {
            Expiry::Keep => self.left,
            Expiry::Extend(idle) => self.left.extended(idle),
            Expiry::Restart { expires_in, ends_in } => {
                TimeLeft { asked: Instant::now(), expires_in: expires_in.min(ends_in), ends_in }
            }
        };
        Arc::new(Found { id: self.id, record: self.record.clone(), revision: self.own, left })
    }
}

/// Loads and decodes a session.
pub(crate) async fn read(store: &PatientStore, id: &SessionId) -> Result<Option<Arc<Found>>, Error> {
    let asked = Instant::now();
    let Some(loaded) = store.load(id).await? else { return Ok(None) };
    Ok(Some(Arc::new(Found::decode(*id, loaded, asked)?)))
}
