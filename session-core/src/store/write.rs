//! The compare-and-swap that saves what a request changed.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    Entry, Error, Expiry, Revision, SessionId, StoreError,
    moment::TimeLeft,
    record::{Found, Record},
    store::{Patience, PatientStore, SENDINGS, Told, Unsent, Way, Writer, patience::pause_between_sendings},
};

/// A `replace` under a revision of its own, so that an unknown outcome can be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(super) expected: Revision,
    /// The session as it is once this is applied. It is made once: what is sent, what is in flight and what the request
    /// goes on with are one.
    pub(crate) written: Arc<Found>,
    pub(super) expiry: Expiry,
    /// How many writes of others it has within, which nobody had sent when it was planned on them.
    pub(crate) unsent: usize,
}

/// What became of a [`Write`].
#[derive(Clone, Debug)]
pub(crate) enum Settled {
    /// It was applied; the state is now this one, perhaps with later writes on top.
    Applied(Arc<Found>),
    /// It was not applied and never will be; the state is now this one.
    Conflict(Arc<Found>),
    /// There is no such session any more.
    Gone,
}

/// What the store has, after an unknown outcome.
enum Looked {
    Settled(Settled),
    /// The write was not applied, and still may be: it follows this revision.
    Open(Revision),
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
        let revision = Revision::random()?;
        record.header.revisions.put_first(revision);
        // Counted from before it is sent, as a load counts from when it asks. So more time may be left than this says, and
        // never less.
        let left = match expiry {
            Expiry::Keep => base.left,
            Expiry::Extend(idle) => base.left.extended(idle),
            Expiry::Restart { expires_in, ends_in } => {
                TimeLeft { asked: Instant::now(), expires_in: expires_in.min(ends_in), ends_in }
            }
        };
        let written = Arc::new(Found { id: base.id, record, revision, left });
        Ok(Self { expected: base.revision, written, expiry, unsent: 0 })
    }

    /// It was planned on these. It is a use of the session if one of them is, however it is sent.
    pub(crate) fn within(&mut self, unsent: &Unsent) {
        self.unsent = unsent.writes;
        self.expiry = match (unsent.expiry, self.expiry) {
            (Expiry::Extend(one), Expiry::Extend(other)) => Expiry::Extend(one.max(other)),
            (earlier, Expiry::Keep) => earlier,
            (_, later) => later,
        };
    }

    /// Sends the write until its outcome is known. The writer's turn, if it has one, ends then.
    ///
    /// If the write is sent once, `false` is a plain conflict. Core first waits as the writer's patience says, and then
    /// looks. So what it answers is fresh.
    pub(crate) async fn settle(
        &self,
        store: &PatientStore,
        patience: &Patience,
        writer: &mut Writer,
    ) -> Result<Settled, Error> {
        match writer.join(self, store, patience) {
            Way::Alone => self.settle_alone(store, patience, writer).await,
            Way::Together(told) => Box::pin(self.settle_together(told, store, writer)).await,
            // It goes with those that it was built on, or not at all.
            Way::Missed => {
                writer.end(None);
                self.settle_refused(store).await
            }
        }
    }

    /// The same together with those of other requests.
    async fn settle_together(&self, told: Told, store: &PatientStore, writer: &mut Writer) -> Result<Settled, Error> {
        let Some((outcome, failing_since)) = writer.told(told).await else {
            return self.settle_again(store).await;
        };
        if let (Err(Error::Store(error)), Some(since)) = (&outcome, failing_since) {
            store.note_at(error, since);
        }
        match outcome? {
            // How much time is left each request knows from its own load.
            Settled::Applied(found) => Ok(Settled::Applied(Arc::new(self.written.overtaken_by(&found)))),
            settled => Ok(settled),
        }
    }

    /// The same by itself.
    pub(super) async fn settle_alone(
        &self,
        store: &PatientStore,
        patience: &Patience,
        writer: &mut Writer,
    ) -> Result<Settled, Error> {
        let sent = self.send(store).await;
        if let Ok(true) = sent {
            writer.end(Some(&self.written));
            return Ok(Settled::Applied(self.written.clone()));
        }
        // Boxed: most writes are applied at once, and need no room for what follows.
        Box::pin(self.settle_unapplied(sent, store, patience, writer)).await
    }

    async fn settle_unapplied(
        &self,
        sent: Result<bool, StoreError>,
        store: &PatientStore,
        patience: &Patience,
        writer: &mut Writer,
    ) -> Result<Settled, Error> {
        let Err(failure) = sent else {
            writer.end(None);
            patience.pause().await;
            return self.settle_refused(store).await;
        };
        // In its turn: if others wrote now, its revision would soon be forgotten.
        let settled = self.settle_after(store, 1, Some(failure)).await;
        writer.end(settled.as_ref().ok().and_then(Settled::found));
        settled
    }

    async fn settle_refused(&self, store: &PatientStore) -> Result<Settled, Error> {
        Ok(read(store, &self.written.id).await?.map_or(Settled::Gone, Settled::conflict))
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
            let expected = match self.look(store).await? {
                Looked::Settled(settled) => return Ok(settled),
                Looked::Open(expected) => expected,
            };
            pause_between_sendings(count).await;
            match self.send_over(expected, store).await {
                Ok(true) => return Ok(Settled::Applied(self.written.clone())),
                Ok(false) => {}
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.map_or(Error::Contended, Error::from))
    }

    /// Whether the record tells what became of the write.
    async fn look(&self, store: &PatientStore) -> Result<Looked, Error> {
        let Some(found) = read(store, &self.written.id).await? else { return Ok(Looked::Settled(Settled::Gone)) };
        let header = found.header();
        if header.remembers(self.written.revision) {
            return Ok(Looked::Settled(Settled::Applied(found)));
        }
        if self.built_on().any(|revision| revision == found.revision) {
            return Ok(Looked::Open(found.revision));
        }
        if self.built_on().any(|revision| header.remembers(revision)) {
            return Ok(Looked::Settled(Settled::conflict(found)));
        }
        Err(Error::OutcomeUnknown)
    }

    /// The revisions that it may follow: that of what is stored, and those of the writes that it has within.
    fn built_on(&self) -> impl Iterator<Item = Revision> {
        let within = self.written.header().revisions.iter().skip(1).take(self.unsent + 1);
        within.copied().chain([self.expected])
    }

    /// Sends the write once; `false` if `expected` is no longer the session's revision.
    pub(crate) async fn send(&self, store: &PatientStore) -> Result<bool, StoreError> {
        self.send_over(self.expected, store).await
    }

    async fn send_over(&self, expected: Revision, store: &PatientStore) -> Result<bool, StoreError> {
        let Found { id, record, revision, .. } = &*self.written;
        let payload = record.encode();
        let entry = Entry::shared(*revision, &payload).with_owner(record.header.owner.as_ref());
        store.replace(id, expected, entry, self.expiry).await
    }
}

/// Loads and decodes a session.
pub(crate) async fn read(store: &PatientStore, id: &SessionId) -> Result<Option<Arc<Found>>, Error> {
    let asked = Instant::now();
    let Some(loaded) = store.load(id).await? else { return Ok(None) };
    match Found::decode(*id, loaded, asked) {
        Ok(found) => Ok(Some(Arc::new(found))),
        Err(error) => Err(error.into()),
    }
}
