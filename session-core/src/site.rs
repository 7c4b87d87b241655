//! What a site decided, for every exchange and every call without a request.

use std::{sync::Arc, time::SystemTime};

use crate::{
    CookieConfig, EventKind, Format, Observer, Owner, Policy, SessionEvent, SessionId, SiteData, Store, TrustedProxies,
    incoming::Resource, keyring::Keys, patience::PatientStore, proxies::UnknownPeerLog, transport::PlainHttpLog,
};

/// What a site decided.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Keys,
    pub(crate) cookie: CookieConfig,
    pub(crate) policy: Policy,
    pub(crate) format: Format,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) trusted_proxies: TrustedProxies,
    /// What browsers clear at a logout.
    pub(crate) cleared: Vec<SiteData>,
    /// Shared with the clones that were changed since, as is the next one.
    pub(crate) plain_http_log: Arc<PlainHttpLog>,
    pub(crate) unknown_peer_log: Arc<UnknownPeerLog>,
}

impl Site {
    pub(crate) fn tell(&self, resource: &Resource, kind: EventKind, id: Option<SessionId>, owner: Option<&Owner>) {
        let Resource { method, path, peer, .. } = resource.clone();
        self.observer.on(&SessionEvent { kind, at: SystemTime::now(), id, owner: owner.cloned(), method, path, peer });
    }
}

/// Who asks something of the store: a request, or the application without one.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) site: &'a Site,
    pub(crate) store: &'a PatientStore,
    pub(crate) resource: &'a Resource,
}

impl Caller<'_> {
    pub(crate) fn tell(self, kind: EventKind, id: Option<SessionId>, owner: Option<&Owner>) {
        self.site.tell(self.resource, kind, id, owner);
    }
}
