//! The hosts of a program that serves several sites, and the sessions of each.

use std::{collections::BTreeMap, sync::Arc};

use tracing::Level;

use crate::{
    ConfigError, Incoming, Policy, SessionManager, TrustedProxies, fit_for_log,
    request::{UnknownPeerLog, scope::host_fault},
};

/// How much of a stranger's host goes into the log, in bytes.
const LOGGED: usize = 256;

/// The hosts that a program answers for, and the [`SessionManager`] of each. A request for any other host is refused.
///
/// The host of a request only chooses from this list. Nothing that a request says becomes a cookie's `Domain`, or the label
/// that its token is signed for.
///
/// - A request for a host that is not listed is answered with 421 (Misdirected Request). If it names no host, two hosts, or
///   one that cannot be read, it is a 400.
/// - The host is the one of the request's target if there is one, as in HTTP/2 and in a request to a proxy; else the one of
///   `Host`. If there are both and they differ, these are two hosts: a framework that finds the page by the other one would
///   show a page of one site with the session of another. Its port plays no part, because cookies do not know ports. Behind a
///   proxy that changes the host, see [`with_forwarded_host`](Self::with_forwarded_host).
/// - A token of one site opens nothing at another, also if both have the same keys and the same store: each token is signed
///   for its site. For this, a manager without a [label](SessionManager::with_label) gets the name of its first host as
///   its label. So users log in again once when a site is first put on a list.
///
/// # Which store
///
/// The label is in the token, and not in the store. An [`Owner`](crate::Owner) is the same for all sites of a store: the list
/// of devices, the limit of sessions and "log out everywhere" cover the user's sessions at each of them. So sites share a store
/// only if they share their users. If user 42 of the shop is somebody else than user 42 of the blog, each site needs a prefix
/// or a table of its own.
///
/// # The manager outside of requests
///
/// The manager on the list has the label, and the one that was given does not. So take it from the list with
/// [`manager`](Self::manager), for example for [`login_for_tests`](SessionManager::login_for_tests). For calls
/// that need no token, such as [`revoke_all`](SessionManager::revoke_all) or
/// [`set_keys`](SessionManager::set_keys), either will do.
///
/// # Examples
///
/// Two sites, of which the first has two hosts:
///
/// ```
/// use session_core::{Hosts, Key, Keyring, SessionManager};
/// use session_memory::MemoryStore;
///
/// let keys = Keyring::new(Key::from_base64("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")?);
/// let shop = SessionManager::new(MemoryStore::new(), keys.clone());
/// let blog = SessionManager::new(MemoryStore::new(), keys);
/// let hosts = Hosts::new("shop.example", shop)?.and_alias("www.shop.example")?.and("blog.example", blog)?;
/// assert!(hosts.manager("www.shop.example").is_some());
/// // A host is written in one way only.
/// assert!(hosts.manager("WWW.shop.example:443").is_none());
/// # Ok::<(), session_core::ConfigError>(())
/// ```
///
/// An adapter takes the list in place of a manager: `SessionLayer::by_host(hosts)`.
#[derive(Clone, Debug)]
pub struct Hosts(Arc<Listed>);

#[derive(Clone, Debug)]
struct Listed {
    sites: Vec<SessionManager>,
    /// Each host with the index of its site.
    hosts: BTreeMap<String, usize>,
    proxies: TrustedProxies,
    unknown_peer_log: Arc<UnknownPeerLog>,
}

/// The host that a request was found to be for.
#[derive(Clone, Debug)]
pub(crate) struct ChosenHost {
    /// As it is listed.
    pub(crate) name: String,
    /// As the client has said it, with its port.
    pub(crate) authority: String,
}

/// Why a request is for none of the listed hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    #[error("the request does not name one host that can be read")]
    Unreadable,
    #[error("the host of the request is not listed")]
    Unlisted,
}

impl Hosts {
    /// A list of one host: in lower case, without a port and without a dot at its end. What is not ASCII is written as `xn--`
    /// (IDNA). An IPv4 address will do, and so will `localhost`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Host`] for a host that is written in another way. Also if the cookie's `Domain` does not cover the host,
    /// because browsers would refuse the cookie.
    pub fn new(host: &str, manager: SessionManager) -> Result<Self, ConfigError> {
        let listed = Listed {
            sites: Vec::new(),
            hosts: BTreeMap::new(),
            proxies: TrustedProxies::default(),
            unknown_peer_log: Arc::default(),
        };
        Self(Arc::new(listed)).and(host, manager)
    }

    /// The same with a further site, whose first host this is.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new). Also [`ConfigError::Host`] if the host is listed already, if its manager has the label of
    /// another site, or if one of the two sites gets the cookies of the other: they have one name, and a `Domain` covers both.
    pub fn and(mut self, host: &str, manager: SessionManager) -> Result<Self, ConfigError> {
        let label = if manager.label().is_empty() { host } else { manager.label() }.to_owned();
        let listed = Arc::make_mut(&mut self.0);
        if listed.sites.iter().any(|site| site.label() == label) {
            let fault = "has a manager with the label of another site: list a further host of that site by `and_alias`";
            return Err(ConfigError::Host { index: listed.hosts.len(), fault });
        }
        listed.sites.push(manager.with_label(&label));
        self.and_alias(host)
    }

    /// The same with a further host of the site that was listed last, such as the one with `www`. A token of the one host is
    /// good at the other. A browser sends it there only if the cookie's `Domain` covers both.
    ///
    /// # Errors
    ///
    /// Those of [`and`](Self::and).
    pub fn and_alias(mut self, host: &str) -> Result<Self, ConfigError> {
        let listed = Arc::make_mut(&mut self.0);
        let (index, site) = (listed.hosts.len(), listed.sites.len().saturating_sub(1));
        if let Some(fault) = listed.fault_of(host, site) {
            return Err(ConfigError::Host { index, fault });
        }
        listed.hosts.insert(host.to_owned(), site);
        Ok(self)
    }

    /// The same behind proxies that change the host, and say which host the client has asked for: in `X-Forwarded-Host`, or in
    /// the `host` of `Forwarded` ([`TrustedProxies::with_header`]). Without such a word, the host is that of the request
    /// itself.
    ///
    /// Each of these proxies **must set the header itself**, in every request. A proxy that does not know the header passes on
    /// what its client has written there, and then the client chooses the site. Many proxies know only `X-Forwarded-For`.
    ///
    /// Of `X-Forwarded-Host` the last value counts, of `Forwarded` the `host` beside the client. The proxies that tell the
    /// client's address are named at the managers: [`SessionManager::with_trusted_proxies`].
    #[must_use]
    pub fn with_forwarded_host(mut self, proxies: TrustedProxies) -> Self {
        Arc::make_mut(&mut self.0).proxies = proxies;
        self
    }

    /// The same with another policy for each site: for a layer inside the sites' own, around pages that demand more.
    #[must_use]
    pub fn with_policy(mut self, policy: &Policy) -> Self {
        let listed = Arc::make_mut(&mut self.0);
        listed.sites = listed.sites.drain(..).map(|site| site.with_policy(policy.clone())).collect();
        self
    }

    /// The manager of this host, as it is written on the list.
    #[must_use]
    pub fn manager(&self, host: &str) -> Option<&SessionManager> {
        self.0.sites.get(*self.0.hosts.get(host)?)
    }

    /// Finds out for which of the hosts a request is.
    pub(crate) fn choose(&self, incoming: &Incoming) -> Result<ChosenHost, HostError> {
        let proxies = &self.0.proxies;
        if incoming.hides_peer() && proxies.need_peer() {
            self.0.unknown_peer_log.warn();
        }
        let authority = incoming.asked_host(proxies).ok_or(HostError::Unreadable)?;
        let name = authority.host().to_ascii_lowercase();
        match self.0.hosts.contains_key(&name) {
            true => Ok(ChosenHost { name, authority: authority.to_string() }),
            false => {
                tracing::event!(
                    name: "session.host_unlisted",
                    target: "session",
                    Level::DEBUG,
                    event.name = "session.host_unlisted",
                    server.address = fit_for_log(&name, LOGGED),
                    "a request is for a host that is not listed"
                );
                Err(HostError::Unlisted)
            }
        }
    }
}

impl Listed {
    /// What is wrong with one more host of this site.
    fn fault_of(&self, host: &str, site: usize) -> Option<&'static str> {
        if host.contains(':') {
            return Some("has a port or a scheme: leave it out");
        }
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Some("has a capital letter: write it in lower case");
        }
        if let Some(fault) = host_fault(host) {
            return Some(fault);
        }
        if self.hosts.contains_key(host) {
            return Some("is listed twice");
        }
        let cookie = self.sites.get(site)?.cookie();
        if cookie.scope().has_domain() && !cookie.scope().has_in_domain(host) {
            return Some("is not within the cookie's Domain, so browsers refuse the cookie");
        }
        let is_mixed = |(listed, other): (&String, &usize)| {
            let theirs = self.sites[*other].cookie();
            let is_shared = cookie.scope().has_in_domain(listed) || theirs.scope().has_in_domain(host);
            *other != site && theirs.name() == cookie.name() && is_shared
        };
        let is_mixed = self.hosts.iter().any(is_mixed);
        is_mixed.then_some("shares the cookie of another site, by its Domain: give the two cookies two names")
    }
}
