//! What a site decided, for every exchange and every call without a request.

use std::sync::Arc;

use crate::{
    CookieConfig, EventKind, Format, Incoming, Owner, Policy, SessionEvent, SessionId, SiteData, Store, TokenHeader,
    TrustedProxies,
    event::{Observers, bounded},
    record::Header,
    request::{Carrier, CarrierKind, Keys, ReadTokens, Resource, UnknownPeerLog},
    response::PlainHttpLog,
    store::{PatientStore, Writers},
};

/// What a site decided.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) store: Arc<dyn Store>,
    /// Those who write to it now. Shared with the clones that were changed since.
    pub(crate) writers: Arc<Writers>,
    pub(crate) keys: Keys,
    pub(crate) cookie: CookieConfig,
    /// For clients without cookies.
    pub(crate) token_header: Option<TokenHeader>,
    /// What tells this site from others with the same keys. Empty: nothing.
    pub(crate) label: String,
    pub(crate) policy: Policy,
    pub(crate) format: Format,
    pub(crate) observers: Observers,
    pub(crate) has_paths_in_events: bool,
    pub(crate) trusted_proxies: TrustedProxies,
    /// What browsers clear at a logout.
    pub(crate) cleared: Vec<SiteData>,
    /// Shared with those clones, too, as is the next one.
    pub(crate) plain_http_log: Arc<PlainHttpLog>,
    pub(crate) unknown_peer_log: Arc<UnknownPeerLog>,
}

impl Site {
    /// What tokens of this kind are signed for.
    pub(crate) fn carrier(&self, kind: CarrierKind) -> Carrier<'_> {
        match (kind, &self.token_header) {
            (CarrierKind::Cookie, _) => self.cookie.carrier(&self.label),
            (CarrierKind::Header, Some(header)) => header.carrier(&self.label),
            (CarrierKind::Header, None) => Carrier { kind, site: &self.label, name: "" },
        }
    }

    /// Reads the tokens that a request presents: that of a client without cookies, or else those in its cookies.
    pub(crate) fn read_tokens(&self, incoming: &Incoming) -> ReadTokens {
        let keys = self.keys.hold();
        let Some(token) = &incoming.token else {
            return self.cookie.read(incoming.cookies.as_bytes(), &self.label, &keys);
        };
        let mut read = ReadTokens::default();
        if !token.is_empty() {
            read.add(keys.verify(self.carrier(CarrierKind::Header), token.as_bytes()));
        }
        read
    }

    pub(crate) fn tell<'a>(
        &self,
        resource: &Resource,
        kind: EventKind,
        id: Option<SessionId>,
        whose: impl Into<Whose<'a>>,
    ) {
        if !self.observers.want(&kind) {
            return;
        }
        let Whose { owner, acting_as } = whose.into();
        let path = resource.path.as_deref().filter(|_| self.has_paths_in_events);
        self.observers.tell(&SessionEvent {
            id,
            owner: owner.cloned(),
            acting_as: acting_as.cloned(),
            method: resource.method.as_deref().map(bounded),
            route: resource.route().map(bounded),
            path: path.map(bounded),
            peer: resource.peer,
            ..SessionEvent::new(kind)
        });
    }
}

/// Whose session an event is about.
#[derive(Clone, Copy, Default)]
pub(crate) struct Whose<'a> {
    pub(crate) owner: Option<&'a Owner>,
    pub(crate) acting_as: Option<&'a Owner>,
}

impl<'a> From<Option<&'a Owner>> for Whose<'a> {
    fn from(owner: Option<&'a Owner>) -> Self {
        Self { owner, acting_as: None }
    }
}

impl<'a> From<&'a Header> for Whose<'a> {
    fn from(header: &'a Header) -> Self {
        Self { owner: header.owner.as_ref(), acting_as: header.acting_as() }
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
    pub(crate) fn tell<'a>(self, kind: EventKind, id: Option<SessionId>, whose: impl Into<Whose<'a>>) {
        self.site.tell(self.resource, kind, id, whose);
    }
}
