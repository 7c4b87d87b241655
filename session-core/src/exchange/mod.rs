//! One request with its response: open, load, commit.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicBool},
};

use http::HeaderName;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use crate::{
    Error, EventKind, Incoming, Owner, Session, SessionId, SignedToken, WithheldReason,
    moment::Moment,
    request::{CarrierKind, SessionToken, Withholding},
    site::Site,
    store::PatientStore,
};

mod admission;
mod answer;
mod attempt;
mod begin;
mod commit;
mod join;
mod limit;
mod load;
mod login;
mod logout;
mod several;
mod standing;
mod state;
mod turn;
mod unread;

pub use self::join::JoinError;
pub(crate) use self::{
    admission::{Began, Written},
    answer::Answer,
    attempt::{Attempted, Carried, Edit, Turn},
    commit::Occasion,
    join::Joined,
    load::{Opened, Taken},
    logout::Extent,
    standing::{Bar, Live, Loss, Standing},
    state::{Inner, State},
    turn::{InFlight, Place, View},
    unread::Unread,
};

/// One request with its response. Cloning it is cheap and gives the same exchange.
///
/// An adapter opens it, hands it to the handler, commits it before the response head leaves, and adds its headers to the
/// response, whatever the commit answered: a login that succeeded before an error has a cookie to send.
///
/// - A handler's error that becomes a response is committed like any other answer. Where no response follows, nothing is
///   committed. After a panic nothing is committed either. If the panic is answered, the response gets the headers all the
///   same.
/// - If the commit fails, the handler's response must not leave: the error's [`status`](Error::status) with an empty body,
///   `Cache-Control: no-store` and [`Retry-After`](Error::retry_after) takes its place, with the `Set-Cookie` and `Vary`
///   that others have added.
/// - On [`Outcome::Gone`], [`Outcome::Superseded`], [`Outcome::Withheld`] and [`Outcome::Unreadable`] the handler's response
///   stays: it has usually done something besides. Pass the outcome on, for those who want to know.
/// - Where a client hangs up, drop the future wherever it is: of the changes that wait for the commit either all are saved
///   or none.
///
/// # Examples
///
/// ```
/// use http::{HeaderValue, Response, header};
/// use session_core::{Error, Exchange, SessionManager};
///
/// async fn answer(manager: &SessionManager, request: http::Request<()>) -> Response<String> {
///     let exchange = manager.open(&request);
///     let mut response = handler(&exchange).await.unwrap_or_else(|error| failed(&error));
///     if let Err(error) = exchange.commit().await {
///         // Where handlers set cookies of their own, keep these.
///         response = failed(&error);
///     }
///     exchange.apply(response.headers_mut());
///     response
/// }
///
/// fn failed(error: &Error) -> Response<String> {
///     eprintln!("{error}"); // with its source, into your log
///     let mut response = Response::new(String::new());
///     *response.status_mut() = error.status();
///     response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
///     response
/// }
///
/// async fn handler(exchange: &Exchange) -> Result<Response<String>, Error> {
///     let session = exchange.session().await?;
///     let visits = session.update("visits", |n: &mut u64| *n += 1)?;
///     Ok(Response::new(format!("visit {visits}")))
/// }
/// # let manager = SessionManager::development(session_memory::MemoryStore::new());
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # let response = runtime.block_on(answer(&manager, http::Request::new(())));
/// # assert_eq!((response.body().as_str(), response.headers().len()), ("visit 1", 3));
/// ```
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// There was nothing to save.
    Unchanged,
    /// The changes are saved.
    Saved,
    /// Another request has ended the session, or a theft was found. What was changed since the last save is lost. No cookie is
    /// sent; after a theft its removal may be.
    Gone,
    /// A login or renewal has overtaken this request: what was changed since the last save is lost, and no cookie is sent.
    Superseded,
    /// There was something to save, and no session to save it in: none is made here, no cookie is sent, and the values are
    /// lost with this request. The reason says what to do instead. A login makes a session all the same.
    Withheld(WithheldReason),
    /// The session is stored and cannot be read, and the policy goes on without it: what was changed is lost, and no cookie
    /// is sent.
    Unreadable,
}

impl Outcome {
    /// What a commit answers where this error has kept it from saving: a lost session is an outcome, and no failure.
    pub(crate) fn of(error: Error) -> Result<Self, Error> {
        match error {
            Error::Gone => Ok(Self::Gone),
            Error::Superseded => Ok(Self::Superseded),
            Error::Withheld(reason) => Ok(Self::Withheld(reason)),
            error => Err(error),
        }
    }

    /// An error where the session was lost, for a caller who has to know.
    pub(crate) fn kept(self) -> Result<(), Error> {
        match self {
            Self::Gone => Err(Error::Gone),
            Self::Superseded => Err(Error::Superseded),
            Self::Withheld(reason) => Err(Error::Withheld(reason)),
            // Only a commit answers the last of these.
            Self::Unchanged | Self::Saved | Self::Unreadable => Ok(()),
        }
    }
}

impl Exchange {
    pub(crate) fn open(site: Arc<Site>, incoming: Incoming) -> Self {
        let opened = Moment::now();
        if incoming.hides_peer() && site.trusted_proxies.need_peer() {
            site.unknown_peer_log.warn();
        }
        let read = site.read_tokens(&incoming);
        let (header_client, withholding) = (incoming.token.is_some(), Withholding::new(incoming.refuses_anonymous));
        let resource = incoming.resource(&site.trusted_proxies);
        if read.malformed > 0 {
            site.tell(&resource, EventKind::BadCookie { count: read.malformed }, None, None);
        }
        if read.wrongly_signed > 0 {
            site.tell(&resource, EventKind::UnknownKey { count: read.wrongly_signed }, None, None);
        }
        Self(Arc::new(Inner {
            resource,
            opened,
            presented: read.tokens,
            cookie_present: read.present,
            has_more_cookies: read.has_more,
            header_client,
            signing: OnceLock::new(),
            withholding,
            asked: OnceCell::new(),
            is_told_of_shared_caches: AtomicBool::new(false),
            in_flight: AsyncMutex::default(),
            users: Mutex::default(),
            state: Mutex::default(),
            store: PatientStore::new(site.store.clone()),
            joined: Joined::default(),
            token_headers_inside: Mutex::default(),
            site,
        }))
    }

    /// The session of this request: loaded when this is first called, the same later.
    ///
    /// Where there is none, the handle is an empty new session, stored when it is no longer empty. Of one that is stored
    /// and cannot be read, see [`WhenUnreadable`](crate::WhenUnreadable).
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store fails, or [`Error::Contended`]; also each later time.
    pub async fn session(&self) -> Result<Session, Error> {
        self.0.asked.get_or_init(|| self.0.load()).await;
        match &self.0.state().standing {
            Standing::Failed(error) => Err(error.clone()),
            _ => Ok(Session::of(self.clone())),
        }
    }

    /// The session, if somebody asked for it and it could be loaded. No I/O.
    #[must_use]
    pub fn loaded(&self) -> Option<Session> {
        self.0.state().standing.is_known().then(|| Session::of(self.clone()))
    }

    /// Goes on in this request without a session that is stored and cannot be read, as
    /// [`WhenUnreadable::GoOnWithout`](crate::WhenUnreadable::GoOnWithout) does in each. After any other answer of
    /// [`session`](Self::session) it does nothing.
    pub fn forget(&self) {
        self.0.state().standing.forget();
    }

    /// Saves what is to be saved. After that the response counts as sent.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], [`Error::OutcomeUnknown`], [`Error::Contended`]: the changes may not have been saved, so the
    /// response must not say that they are. [`Error::TooLarge`], [`Error::Decode`] or [`Error::Encode`] after merging
    /// with what others saved: they are not.
    pub async fn commit(&self) -> Result<Outcome, Error> {
        self.0.commit().await
    }

    /// The id in the genuine token that the request presented, in a cookie or in a header. For logs: it proves nothing about
    /// the session. Of several tokens it is the one whose session was taken, or the first where none was.
    #[must_use]
    pub fn presented_id(&self) -> Option<SessionId> {
        let taken = self.0.taken().map(|found| found.id);
        taken.or_else(|| self.0.presented.first().map(|token| token.id))
    }

    /// Whose session the request's token was good for, if somebody has asked for the session; also after a logout. For logs:
    /// who is logged in now is [`Session::owner`].
    #[must_use]
    pub fn request_owner(&self) -> Option<Owner> {
        self.0.taken()?.header().owner.clone()
    }

    /// As whom that owner [acted](Session::act_as) then, if they did.
    #[must_use]
    pub fn request_acting_as(&self) -> Option<Owner> {
        self.0.taken()?.header().acting_as().cloned()
    }

    /// Whether the client's connection is TLS: behind a trusted proxy as the proxy says. `None` if neither it nor the adapter
    /// told.
    #[must_use]
    pub fn is_https(&self) -> Option<bool> {
        self.0.resource.https
    }

    /// The host that the request is for, as it is written on the list of a layer [by host](crate::Hosts). Nothing else can be
    /// here, so it is good for the addresses that a site sends by mail. `None` without such a list.
    #[must_use]
    pub fn listed_host(&self) -> Option<&str> {
        self.0.resource.listed_host.as_deref()
    }

    /// The client's address: behind a trusted proxy the one that the proxy names. `None` if it is not known: the adapter told
    /// none, the proxy hides it, or the client is a program on this machine. See [`TrustedProxies`](crate::TrustedProxies).
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.0.resource.peer
    }

    /// Tells the route that the request has matched, as [`Incoming::with_route`] does from the start. The first that is told
    /// stands.
    pub fn set_route(&self, route: &str) {
        self.0.resource.route.get_or_init(|| route.to_owned());
    }

    /// Whether the client sends its token in a header or by another way of its own, and no cookies count: see
    /// [`TokenHeader`](crate::TokenHeader). A guard against forged requests may let these pass, because no cookie counts:
    /// [`is_cross_origin`](Self::is_cross_origin). About `Authorization`, see
    /// [`TokenHeader::bearer`](crate::TokenHeader::bearer).
    #[must_use]
    pub fn is_header_client(&self) -> bool {
        self.0.header_client
    }

    /// The token to send to a client without cookies, after the commit, if it gets a new one. Where the site has a
    /// [`TokenHeader`](crate::TokenHeader), [`apply`](Self::apply) sends it.
    #[must_use]
    pub fn token(&self) -> Option<SignedToken> {
        self.new_token(CarrierKind::Header).filter(|_| self.0.header_client)
    }

    /// The token that leaves with the response, if one does, signed for this kind of carrier.
    pub(crate) fn new_token(&self, kind: CarrierKind) -> Option<SignedToken> {
        match &self.0.state().answer {
            Answer::Token { token, .. } => self.sign(kind, token),
            _ => None,
        }
    }

    pub(crate) fn sign(&self, kind: CarrierKind, token: &SessionToken) -> Option<SignedToken> {
        let site = self.0.site();
        self.0.signing.get_or_init(|| site.keys.now()).sign(site.carrier(kind), token).ok()
    }

    pub(crate) fn note_token_header_inside(&self, name: &HeaderName) {
        self.0.token_headers_inside.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
    }

    pub(crate) fn token_headers_inside(&self) -> Vec<HeaderName> {
        self.0.token_headers_inside.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("id", &self.presented_id()).finish_non_exhaustive()
    }
}
