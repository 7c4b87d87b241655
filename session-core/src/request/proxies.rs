//! Who the client is behind proxies: which of them are believed, and what they say.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use ipnet::IpNet;

use crate::{
    ConfigError,
    request::{ProxyHeaders, Word},
};

/// How many hops are followed: more than any way has, and an end where every one of them is trusted.
const MOST_HOPS: usize = 255;

/// The other end of a connection.
///
/// It is made of an address, or of an address with a port. IPv4 within IPv6, as in `::ffff:192.0.2.7`, is IPv4.
///
/// # Examples
///
/// ```
/// use std::net::{IpAddr, SocketAddr};
///
/// use session_core::Peer;
///
/// let address = IpAddr::from([192, 0, 2, 7]);
/// assert_eq!(Peer::from(SocketAddr::from((address, 4711))), Peer::from(address));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The address at the other end.
    Ip(IpAddr),
    /// A program on the same machine, by a Unix socket, which knows no addresses.
    Unix,
}

impl Peer {
    fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.to_canonical()),
            Self::Unix => None,
        }
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        address.ip().into()
    }
}

/// The proxies in front of a site, and the header in which they say who the client is. Nobody else is believed.
///
/// They are named by their addresses ([`at`](Self::at)), or counted ([`hops`](Self::hops)). The default is nobody.
///
/// # Who the client is
///
/// Each proxy adds to the right end of the header whom its request came from. So the header is read from the right, as
/// long as the word of a trusted proxy leads to another one: the first stranger is the client. What stands left of the
/// stranger may be forged, and is not read.
///
/// - Without the header, the client is the last hop that is known: a proxy asks for itself, as with a health check.
/// - An element that names no address (`unknown`, `_hidden`, an empty one, nonsense) leaves the client *unknown*:
///   [`Exchange::peer`](crate::Exchange::peer) is `None`. It is never the proxy, which an application may allow more than
///   it allows others.
/// - Several lines of a header are one list. Of a header longer than 8 KiB the right end is read.
/// - Of `X-Forwarded-Proto` the last value counts, of `Forwarded` the `proto` beside the client.
///
/// # Examples
///
/// A reverse proxy on this machine, reached by a Unix socket, behind a load balancer whose address changes:
///
/// ```
/// use session_core::{Keyring, SessionManager, TrustedProxies};
///
/// # fn manager(store: session_memory::MemoryStore, keys: Keyring) -> Result<SessionManager, session_core::ConfigError> {
/// let proxies = TrustedProxies::at(["unix:", "10.4.0.0/16", "2001:db8:4::/48"])?;
/// let manager = SessionManager::new(store, keys).with_trusted_proxies(proxies);
/// # Ok(manager)
/// # }
/// ```
#[doc(alias = "trust_proxy")]
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    who: Who,
    header: ProxyHeader,
}

/// The header in which a site's proxies say who the client is. The other one is never read, because a proxy passes on
/// what it does not know, also what a client wrote.
///
/// # Examples
///
/// ```
/// use session_core::{ProxyHeader, TrustedProxies};
///
/// let proxies = TrustedProxies::at(["192.0.2.1"])?.with_header(ProxyHeader::Forwarded);
/// # Ok::<(), session_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

#[derive(Clone, Debug)]
enum Who {
    At { networks: Vec<IpNet>, unix: bool },
    Hops(u8),
}

impl Default for Who {
    fn default() -> Self {
        Self::At { networks: Vec::new(), unix: false }
    }
}

impl TrustedProxies {
    /// The proxies at these addresses: `192.0.2.1`, `2001:db8::1`, a network such as `10.4.0.0/16`, or `unix:` for the peer
    /// of a Unix socket.
    ///
    /// Name a network only if all addresses in it are your proxies'. Each of them is believed, and can claim any address for
    /// its client.
    ///
    /// The adapter has to tell the [`Peer`]. Where it does not, no proxy is believed, and the log is warned once.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TrustedProxy`] for what is none of these, for a network with bits behind its prefix (`10.4.0.1/16`),
    /// and for one of everybody (`0.0.0.0/0`).
    pub fn at<'a>(proxies: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let (mut networks, mut unix) = (Vec::new(), false);
        for (index, proxy) in proxies.into_iter().enumerate() {
            match proxy.trim() {
                "unix:" => unix = true,
                proxy => {
                    networks.push(network(proxy).map_err(|fault| ConfigError::TrustedProxy { index, fault })?);
                }
            }
        }
        Ok(Self { who: Who::At { networks, unix }, header: ProxyHeader::default() })
    }

    /// The number of proxies, at any address: `1` for one in front, which is the peer. `0` is nobody. The client is what
    /// stands at this place of the header, counted from the right.
    ///
    /// It is **not safe where a client can reach the application, or an inner proxy, directly**: each proxy that a request
    /// goes round lets its client forge one element. The header of a request that has come straight to the application is
    /// all its client's own. Take [`at`](Self::at) wherever addresses are known.
    #[must_use]
    pub const fn hops(count: u8) -> Self {
        Self { who: Who::Hops(count), header: ProxyHeader::XForwarded }
    }

    /// The same, saying it in this header.
    #[must_use]
    pub fn with_header(self, header: ProxyHeader) -> Self {
        Self { header, ..self }
    }

    /// Whether the peer has to be known before one of them is believed.
    pub(crate) fn need_peer(&self) -> bool {
        match &self.who {
            Who::At { networks, unix } => *unix || !networks.is_empty(),
            Who::Hops(_) => false,
        }
    }

    /// Decides what to believe of a request from this peer: the client's address, and whether the client speaks TLS.
    pub(crate) fn judge(&self, peer: Option<Peer>, headers: &ProxyHeaders) -> (Option<IpAddr>, Option<bool>) {
        let peer_ip = peer.and_then(Peer::ip);
        if !self.trust(0, peer) {
            return (peer_ip, None);
        }
        let silent = Word { from: peer, ..Word::default() };
        match self.header {
            ProxyHeader::XForwarded => {
                let client = self.follow(silent, headers.x_words().map(Some)).from;
                (client.and_then(Peer::ip), headers.x_https())
            }
            ProxyHeader::Forwarded => {
                let Word { from, https, .. } = self.follow(silent, headers.words());
                (from.and_then(Peer::ip), https)
            }
        }
    }

    /// Which host the client has asked for, as these proxies say. `None`: they say nothing, or the peer is none of them.
    pub(crate) fn forwarded_host(&self, peer: Option<Peer>, headers: &ProxyHeaders) -> Option<String> {
        if !self.trust(0, peer) {
            return None;
        }
        match self.header {
            ProxyHeader::XForwarded => headers.x_host(),
            ProxyHeader::Forwarded => self.follow(Word { from: peer, ..Word::default() }, headers.words()).host,
        }
    }

    /// Follows the words of trusted proxies to the one on the client.
    fn follow(&self, peer: Word, words: impl Iterator<Item = Option<Word>>) -> Word {
        let mut last = peer;
        for (hop, word) in (1..).zip(words) {
            // What is left of an unreadable word cannot be told apart from it.
            let Some(word) = word.filter(|_| hop <= MOST_HOPS) else { return Word::default() };
            last = word;
            if !self.trust(hop, last.from) {
                break;
            }
        }
        last
    }

    /// Whether the word of the hop is believed; the peer is hop 0.
    fn trust(&self, hop: usize, node: Option<Peer>) -> bool {
        match (&self.who, node) {
            (Who::Hops(count), _) => hop < usize::from(*count),
            (Who::At { networks, .. }, Some(Peer::Ip(address))) => {
                let address = address.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }
            (Who::At { unix, .. }, Some(Peer::Unix)) => *unix,
            (Who::At { .. }, None) => false,
        }
    }
}

/// Reads a network, or an address as a network of one.
fn network(text: &str) -> Result<IpNet, &'static str> {
    const WHAT: &str = "is neither an address, nor a network such as 10.4.0.0/16, nor `unix:`";
    let network: IpNet = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => canonical(text.parse().map_err(|_| WHAT)?),
    };
    if network.prefix_len() == 0 {
        Err("is everybody: where no address is known, count the proxies with `TrustedProxies::hops`")
    } else if network != network.trunc() {
        Err("has bits behind its prefix: 10.4.0.1/16 is written 10.4.0.0/16")
    } else {
        Ok(network)
    }
}

/// The network as addresses are compared: IPv4 within IPv6 is IPv4.
fn canonical(network: IpNet) -> IpNet {
    let prefix = network.prefix_len().checked_sub(96);
    match (network.addr(), network.addr().to_canonical(), prefix) {
        (IpAddr::V6(_), address @ IpAddr::V4(_), Some(prefix)) => IpNet::new(address, prefix).unwrap_or(network),
        _ => network,
    }
}

/// Whether the log has been told that nobody tells the peer. One line is enough.
#[derive(Debug, Default)]
pub(crate) struct UnknownPeerLog(AtomicBool);

impl UnknownPeerLog {
    pub(crate) fn warn(&self) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::event!(
                name: "session.unknown_peer",
                target: "session",
                tracing::Level::WARN,
                event.name = "session.unknown_peer",
                setting = "tell the peer with `SessionLayer::with_peer` or `Incoming::with_peer`; \
                           where addresses say nothing, count the proxies with `TrustedProxies::hops`",
                "NO PROXY IS BELIEVED: `with_trusted_proxies` knows proxies by the peer of the connection, and nobody tells it"
            );
        }
    }
}
