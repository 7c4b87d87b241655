//! What a site decided, for every exchange and every call without a request.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use crate::{
    CookieConfig, EventKind, Format, Keyring, Observer, Owner, Policy, SessionEvent, SessionId, Store,
    incoming::Resource,
};

/// What a site decided.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Keyring,
    pub(crate) cookie: CookieConfig,
    pub(crate) policy: Policy,
    pub(crate) format: Format,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) trusted_proxies: Vec<IpAddr>,
}

impl Site {
    pub(crate) fn tell(&self, resource: &Resource, kind: EventKind, id: Option<SessionId>, owner: Option<&Owner>) {
        let Resource { method, path, peer, .. } = resource.clone();
        self.observer.on(&SessionEvent { kind, at: SystemTime::now(), id, owner: owner.cloned(), method, path, peer });
    }
}
