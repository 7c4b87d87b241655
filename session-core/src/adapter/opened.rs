//! The exchanges that layers have opened for a request. A layer inside another looks here, so that it opens no second
//! one for the same cookie.

use std::{any::TypeId, error::Error, fmt, panic::Location, sync::Arc};

use super::{Failure, log};
use crate::{Exchange, Incoming, JoinError, SessionManager, TrustedOrigins, few::Few, request::ChosenHost};

/// The exchanges that the layers around one request have opened.
///
/// An adapter keeps it in the extensions of the request, and lets each of its layers [`enter`](Self::enter).
///
/// # Examples
///
/// ```
/// use std::panic::Location;
///
/// use session_core::{Incoming, SessionManager, adapter::{Entered, LayerName, Opened}};
/// # let manager = SessionManager::development(session_memory::MemoryStore::new());
///
/// let mut opened = Opened::default();
/// let layer = LayerName::new::<()>(Location::caller());
/// let outside = opened.enter(layer, &manager, Incoming::default);
/// let inside = opened.enter(layer, &manager, Incoming::default);
/// assert!(matches!(outside, Ok(Entered::Opened(_))));
/// assert!(matches!(inside, Ok(Entered::Joined(_))));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Opened {
    exchanges: Few<OpenedExchange>,
    /// What the guards around the request trust.
    guards: Vec<TrustedOrigins>,
    /// The host that the outermost layer by host has found.
    pub(super) host: Option<ChosenHost>,
}

/// An exchange, and the layer that has opened it.
#[derive(Clone, Debug)]
struct OpenedExchange {
    layer: LayerName,
    exchange: Exchange,
}

/// How a layer has got its exchange, and so which layer commits it.
#[derive(Clone, Debug)]
pub enum Entered {
    /// The layer has opened it, and commits it.
    Opened(Exchange),
    /// A layer outside has opened it, and commits it.
    Joined(Exchange),
}

impl Entered {
    /// The exchange.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        let (Self::Opened(exchange) | Self::Joined(exchange)) = self;
        exchange
    }

    /// The exchange, if this layer commits it.
    #[must_use]
    pub fn to_commit(self) -> Option<Exchange> {
        match self {
            Self::Opened(exchange) => Some(exchange),
            Self::Joined(_) => None,
        }
    }
}

/// The name of a layer in a log: its marker, and the place in the program where it was made.
#[derive(Clone, Copy, Debug)]
pub struct LayerName {
    marker: TypeId,
    marker_name: &'static str,
    made_at: &'static Location<'static>,
}

impl Opened {
    /// Lets a request into a layer. Opens an exchange, or takes the one that a layer outside has opened for the cookie.
    /// Such an exchange goes on under this layer's manager, but keeps what it was told of the request first.
    ///
    /// # Errors
    ///
    /// A 500 where a layer outside has a cookie of the name, but another marker, store, keys or scope. Also where it has
    /// another cookie, but a [`TokenHeader`](crate::TokenHeader) of the name. A 403 where a [guard](Self::refuse_other_origins)
    /// outside has let the request pass as one of a header client, but is none for this layer.
    pub fn enter(
        &mut self,
        layer: LayerName,
        manager: &SessionManager,
        incoming: impl FnOnce() -> Incoming,
    ) -> Result<Entered, Failure> {
        log::tell_suppressed();
        if let Some(outer) = self.join(layer, manager).map_err(Failure::layers)? {
            return Ok(Entered::Joined(outer));
        }
        let incoming = match &self.host {
            Some(host) => incoming().with_listed_host(host),
            None => incoming(),
        };
        let exchange = manager.open(incoming);
        if self.guards.iter().any(|trusted| exchange.is_cross_origin(trusted)) {
            return Err(Failure::cross_origin());
        }
        if let Some(header) = manager.token_header() {
            self.exchanges.iter().for_each(|outer| outer.exchange.note_token_header_inside(header.response_name()));
        }
        self.exchanges.push(OpenedExchange { layer, exchange: exchange.clone() });
        Ok(Entered::Opened(exchange))
    }

    /// Guards the request against forgery: see [`Exchange::is_cross_origin`]. This is what a middleware calls that stands
    /// inside of the layers. It reads no header, because each exchange knows whether its cookies count. A request that is a
    /// header client's for one layer may bring the cookies of another.
    ///
    /// # Errors
    ///
    /// A 403 where a page of another origin has sent the request, and a layer counts its cookies. A layer further inside
    /// refuses to [`enter`](Self::enter) by the same rule.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic::Location;
    ///
    /// use session_core::{Incoming, SessionManager, TrustedOrigins, adapter::{LayerName, Opened}};
    /// # let manager = SessionManager::development(session_memory::MemoryStore::new());
    ///
    /// let forged = || Incoming::default().with_resource("POST", "/transfer").with_fetch_metadata("cross-site", "navigate");
    /// let mut opened = Opened::default();
    /// opened.enter(LayerName::new::<()>(Location::caller()), &manager, forged)?;
    /// assert_eq!(opened.refuse_other_origins(&TrustedOrigins::default()).unwrap_err().status(), 403);
    /// # Ok::<(), session_core::adapter::Failure>(())
    /// ```
    pub fn refuse_other_origins(&mut self, trusted: &TrustedOrigins) -> Result<(), Failure> {
        self.guards.push(trusted.clone());
        match self.exchanges.iter().any(|opened| opened.exchange.is_cross_origin(trusted)) {
            true => Err(Failure::cross_origin()),
            false => Ok(()),
        }
    }

    fn join(&self, layer: LayerName, manager: &SessionManager) -> Result<Option<Exchange>, LayersError> {
        let cookie = manager.cookie().name();
        let refused = |outer: &OpenedExchange, why| Err(LayersError { outer: outer.layer, inner: layer, why });
        if let Some(outer) = self.exchanges.iter().find(|outer| outer.exchange.inner().site.cookie.name() == cookie) {
            if outer.layer.marker != layer.marker {
                return refused(outer, Clash::Markers { cookie: cookie.into() });
            }
            return match outer.exchange.join(manager) {
                Ok(()) => Ok(Some(outer.exchange.clone())),
                Err(why) => refused(outer, Clash::Cookie { cookie: cookie.into(), why }),
            };
        }
        let Some(header) = manager.token_header() else { return Ok(None) };
        let shares_header = |outer: &&OpenedExchange| {
            let outer = outer.exchange.inner().site.token_header.as_ref();
            outer.is_some_and(|outer| {
                outer.request_name() == header.request_name() || outer.response_name() == header.response_name()
            })
        };
        match self.exchanges.iter().find(shares_header) {
            Some(outer) => refused(outer, Clash::TokenHeader),
            None => Ok(None),
        }
    }
}

impl LayerName {
    /// The layer with the marker `K`, made at this place of the program.
    #[must_use]
    pub fn new<K: 'static>(made_at: &'static Location<'static>) -> Self {
        Self { marker: TypeId::of::<K>(), marker_name: std::any::type_name::<K>(), made_at }
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionLayer<{}> made at {}", self.marker_name, self.made_at)
    }
}

/// Two layers, one inside the other, share what cannot be shared.
#[derive(Clone, Debug)]
pub(super) struct LayersError {
    outer: LayerName,
    inner: LayerName,
    why: Clash,
}

/// What two layers share and cannot.
#[derive(Clone, Debug)]
enum Clash {
    /// A cookie of one name, under two markers.
    Markers { cookie: Arc<str> },
    /// A cookie of one name that is not one cookie.
    Cookie { cookie: Arc<str>, why: JoinError },
    /// A header of a token, for the sessions of two cookies.
    TokenHeader,
}

impl fmt::Display for LayersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outer, inner, why } = self;
        f.write_str("two session layers have a ")?;
        match why {
            Clash::Markers { cookie } => {
                write!(
                    f,
                    "cookie `{cookie}`, but their markers differ: the session of one would be that of the other"
                )?;
            }
            Clash::Cookie { cookie, why } => write!(f, "cookie `{cookie}`, but {why}")?,
            Clash::TokenHeader => f.write_str("TokenHeader of one name, but two cookies: name a header for each")?,
        }
        write!(f, "; outside {outer}, inside {inner}")
    }
}

impl Error for LayersError {}
