//! A trial: sites under the adapter, and browsers.

use std::{
    any::Any,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

use session_core::SessionManager;
use tokio::runtime::Handle;

use crate::{
    FaultyStore,
    adapter::{
        Adapter,
        client::Browser,
        gate::Gate,
        site::{Inner, Site},
    },
};

/// How long a case waits before it looks again.
const PAUSE: Duration = Duration::from_millis(10);

/// The address at which a [`Site`] is served, until this is dropped.
pub struct Served {
    address: SocketAddr,
    _server: Option<Box<dyn Any + Send>>,
}

/// A case under way.
pub(crate) struct Trial {
    adapter: Arc<dyn Adapter>,
    runtime: Handle,
}

/// A site that is served.
pub(crate) struct Running {
    site: Site,
    served: Option<Served>,
    runtime: Handle,
    deadline: Duration,
}

/// How a site is mounted.
pub(crate) struct Mounting {
    store: FaultyStore,
    manager: SessionManager,
    inside: Option<SessionManager>,
    second: Option<SessionManager>,
}

impl Served {
    /// At this address. The tasks that were spawned for it end with the runtime of the case.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { address, _server: None }
    }

    /// The same with a handle on a server that does not end with the runtime, because it has threads of its own.
    /// Dropping the handle must end the server.
    #[must_use]
    pub fn until_dropped(self, server: impl Send + 'static) -> Self {
        Self { _server: Some(Box::new(server)), ..self }
    }
}

impl Mounting {
    pub(crate) fn new() -> Self {
        let store = FaultyStore::default();
        let manager = SessionManager::development(store.clone());
        Self { store, manager, inside: None, second: None }
    }

    /// Puts another manager in place of the first.
    pub(crate) fn with(self, change: impl FnOnce(SessionManager) -> SessionManager) -> Self {
        Self { manager: change(self.manager), ..self }
    }

    /// Adds a middleware inside the first one.
    pub(crate) fn with_inside(self, change: impl FnOnce(SessionManager) -> SessionManager) -> Self {
        Self { inside: Some(change(self.manager.clone())), ..self }
    }

    pub(crate) fn with_second(self, second: SessionManager) -> Self {
        Self { second: Some(second), ..self }
    }

    /// Adds a second session whose cookie is that of the first. Only the marker tells them apart.
    pub(crate) fn with_second_of_one_cookie(self) -> Self {
        Self { second: Some(self.manager.clone()), ..self }
    }
}

impl Trial {
    pub(crate) fn new(adapter: Arc<dyn Adapter>, runtime: Handle) -> Self {
        Self { adapter, runtime }
    }

    /// A site as most cases need it.
    pub(crate) fn site(&self) -> Running {
        self.mount(Mounting::new())
    }

    pub(crate) fn mount(&self, mounting: Mounting) -> Running {
        let Mounting { store, manager, inside, second } = mounting;
        let (gate, handled) = (Arc::new(Gate::new()), AtomicUsize::new(0));
        let site = Site::new(Inner { store, gate, handled, manager, inside, second });
        let served = self.runtime.block_on(self.adapter.serve(site.clone()));
        Running { site, served: Some(served), runtime: self.runtime.clone(), deadline: self.adapter.deadline() }
    }

    pub(crate) fn has(&self, capability: super::Capability) -> bool {
        self.adapter.lacks(capability).is_none()
    }
}

impl Running {
    pub(crate) fn browser(&self) -> Browser {
        let address = self.served.as_ref().unwrap().address;
        Browser::new(address, self.deadline)
    }

    pub(crate) fn store(&self) -> &FaultyStore {
        self.site.store()
    }

    pub(crate) fn gate(&self) -> &Arc<Gate> {
        self.site.gate()
    }

    /// How many requests the handler has got since this was asked last.
    pub(crate) fn handled(&self) -> usize {
        self.site.handled()
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Waits until this holds; `false` if it does not within the deadline.
    pub(crate) fn holds_in_time(&self, mut condition: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        loop {
            if condition() {
                return true;
            }
            if start.elapsed() >= self.deadline {
                return false;
            }
            thread::sleep(PAUSE);
        }
    }

    /// The name of the session's cookie.
    pub(crate) fn cookie(&self) -> String {
        self.site.manager().cookie().name().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.served = None;
    }
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("address", &self.address).finish_non_exhaustive()
    }
}
