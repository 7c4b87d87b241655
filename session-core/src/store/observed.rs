//! A site's store whose calls are counted, or have a span each.
//!
//! It is around the store only where somebody asks for one of these. Otherwise a call costs what it cost before.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tracing::{Instrument, debug_span, field::Empty};

use crate::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};

/// A store whose calls are observed.
pub(crate) struct Observed {
    store: Arc<dyn Store>,
    by: By,
}

/// What each call gets.
#[derive(Clone, Copy)]
enum By {
    #[cfg(feature = "metrics")]
    Numbers,
    Span,
}

impl Observed {
    /// A store whose calls are counted and timed.
    #[cfg(feature = "metrics")]
    pub(crate) fn by_numbers(store: Arc<dyn Store>) -> Arc<dyn Store> {
        crate::numbers::describe();
        Arc::new(Self { store, by: By::Numbers })
    }

    /// A store whose calls have a span each.
    pub(crate) fn by_spans(store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Self { store, by: By::Span })
    }

    async fn observe<T: Answer>(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let backend = self.store.backend();
        match self.by {
            #[cfg(feature = "metrics")]
            By::Numbers => {
                let running = crate::numbers::Call::begin(backend, method);
                let answer = call.await;
                running.end(outcome(&answer));
                answer
            }
            By::Span => {
                let span = debug_span!(
                    target: "session",
                    "session.store",
                    session.store.backend = backend,
                    session.store.method = method,
                    session.store.outcome = Empty,
                );
                let answer = call.instrument(span.clone()).await;
                span.record("session.store.outcome", outcome(&answer));
                answer
            }
        }
    }
}

/// As the store itself: an application that prints its manager sees no wrapper.
impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

/// What a call came to, in one word of a fixed list. It is a label, so it never holds anything of a request.
fn outcome<T: Answer>(answer: &Result<T, StoreError>) -> &'static str {
    match answer {
        Ok(answer) => answer.word(),
        Err(StoreError::AlreadyExists) => "exists",
        Err(StoreError::Unavailable { .. }) => "unavailable",
        Err(StoreError::TimedOut { .. }) => "timed_out",
        Err(StoreError::Corrupt { .. }) => "corrupt",
        Err(StoreError::Schema(_)) => "schema",
        Err(StoreError::Backend { .. }) => "error",
    }
}

trait Answer {
    fn word(&self) -> &'static str {
        "ok"
    }
}

impl Answer for () {}
impl Answer for u64 {}
impl Answer for Vec<(SessionId, Loaded)> {}

impl Answer for bool {
    fn word(&self) -> &'static str {
        if *self { "ok" } else { "refused" }
    }
}

/// What a call came to whose session was made: the word of the load, if that failed. That a login finds nothing to load is
/// the rule, and no `none`.
impl Answer for Result<Option<Loaded>, StoreError> {
    fn word(&self) -> &'static str {
        if self.is_ok() { "ok" } else { outcome(self) }
    }
}

impl Answer for Option<Loaded> {
    fn word(&self) -> &'static str {
        if self.is_some() { "ok" } else { "none" }
    }
}

#[async_trait]
impl Store for Observed {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.observe("create", (*self.store).create(id, entry, expires_in, ends_in)).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.observe("load", (*self.store).load(id)).await
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.observe("replace", (*self.store).replace(id, expected, entry, expiry)).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.observe("touch", (*self.store).touch(id, expected, expires_in)).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.observe("delete", (*self.store).delete(id, expected)).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.observe("list", (*self.store).list(owner)).await
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.observe("revoke", (*self.store).revoke(owner, keep)).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.observe("purge", (*self.store).purge(limit)).await
    }

    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        let call = (*self.store).create_then_load(id, entry, expires_in, ends_in, then);
        self.observe("create_then_load", call).await
    }

    fn backend(&self) -> &'static str {
        self.store.backend()
    }
}
