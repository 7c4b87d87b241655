//! The runtime on which the connections of a store live.
//!
//! The driver makes a connection on the runtime that happens to ask when one is needed. If that runtime is busy later,
//! all others wait for their answers. So what may connect is polled as if by the runtime that has made the store.
//!
//! The stores that make connections have the same file. `cargo xtask check` holds them together.

use std::{
    future::{Future, pending},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::{
    runtime::{EnterGuard, Handle},
    task::AbortHandle,
};

/// A runtime, as long as it runs.
pub(crate) struct Home {
    runtime: Handle,
    /// A task that ends with the runtime, which drops its tasks before anything else.
    tenant: AbortHandle,
}

impl Home {
    /// The runtime of the caller, if there is one.
    pub(crate) fn here() -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        let tenant = runtime.spawn(pending::<()>()).abort_handle();
        Some(Self { runtime, tenant })
    }

    fn enter(&self) -> Option<EnterGuard<'_>> {
        (!self.tenant.is_finished()).then(|| self.runtime.enter())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.tenant.abort();
    }
}

pin_project! {
    /// What the future makes or spawns belongs to the runtime of this home. Without one it belongs to the caller's.
    pub(crate) struct AtHome<'a, F> {
        home: Option<&'a Home>,
        #[pin]
        future: F,
    }
}

impl<'a, F> AtHome<'a, F> {
    pub(crate) fn new(home: Option<&'a Home>, future: F) -> Self {
        Self { home, future }
    }
}

impl<F: Future> Future for AtHome<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.home.and_then(Home::enter);
        this.future.poll(context)
    }
}
