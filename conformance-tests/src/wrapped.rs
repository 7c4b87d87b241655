//! The stores of a subject, each within another: for the author of a wrapper.

use std::{fmt, time::Duration};

use session_core::{SessionId, Store, async_trait};

use crate::Subject;

/// A [`Subject`] whose stores are wrapped: for the author of a store around a store.
///
/// A cache, a cipher or a counter keeps the contract only together with a store that keeps it. So the kit tests it over one.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use session_conformance::{Subject, Wrapped, async_trait};
/// # use session_core::Store;
/// # struct Mine;
/// # #[async_trait]
/// # impl Subject for Mine {
/// #     type Store = Box<dyn Store>;
/// #     async fn open(&self, _: &str) -> Self::Store { Box::new(session_memory::MemoryStore::new()) }
/// #     async fn pass(&self, _: Duration) {}
/// # }
/// # fn caching(store: Box<dyn Store>) -> Box<dyn Store> { store }
/// mod within_a_cache {
/// #   use super::*;
///     session_conformance::store_tests!(Wrapped::new(Mine, |store, _namespace| caching(store)));
/// }
/// # fn main() {}
/// ```
pub struct Wrapped<S: Subject, T> {
    subject: S,
    /// A pointer, and no type of its own: otherwise each case would be compiled for a closure of its own.
    wrap: fn(S::Store, &str) -> T,
}

impl<S: Subject, T: Store> Wrapped<S, T> {
    /// The subject that opens what `subject` opens, and wraps it by `wrap`, which gets the namespace, too.
    #[must_use]
    pub fn new(subject: S, wrap: fn(S::Store, &str) -> T) -> Self {
        Self { subject, wrap }
    }
}

impl<S: Subject + fmt::Debug, T> fmt::Debug for Wrapped<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped").field("subject", &self.subject).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: Subject, T: Store> Subject for Wrapped<S, T> {
    type Store = T;

    async fn open(&self, namespace: &str) -> T {
        (self.wrap)(self.subject.open(namespace).await, namespace)
    }

    async fn pass(&self, time: Duration) {
        self.subject.pass(time).await;
    }

    async fn lose_the_answer(&self, to: &SessionId) -> Result<(), &'static str> {
        self.subject.lose_the_answer(to).await
    }

    async fn open_unanswered(&self, namespace: &str) -> Result<T, &'static str> {
        Ok((self.wrap)(self.subject.open_unanswered(namespace).await?, namespace))
    }

    async fn open_with_little_room(&self, namespace: &str) -> Result<T, &'static str> {
        Ok((self.wrap)(self.subject.open_with_little_room(namespace).await?, namespace))
    }

    fn deadline(&self) -> Duration {
        self.subject.deadline()
    }

    #[cfg(all(unix, feature = "servers"))]
    fn server(&self) -> Option<&'static crate::servers::Server> {
        self.subject.server()
    }
}
