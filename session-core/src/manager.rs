//! The session manager: what a site decides once, and what works without a request.

use std::{
    io::{self, Write},
    sync::{Arc, Once},
    time::Duration,
};

use crate::{
    CookieConfig, Device, Error, EventKind, Exchange, Format, Incoming, Key, Keyring, Login, Observer, Owner, Policy,
    PurgeTask, RandomnessError, SessionEvent, SessionId, SiteData, Store, StoredSession, TokenHeader, TrustedProxies,
    event::{Log, Observers},
    owner::{devices, epoch},
    request::{CarrierKind, Keys, Resource},
    site::{Caller, Site},
    store::{Observed, PatientStore},
};

/// The sessions of a site: a store, keys, a cookie and a policy. Cheap to clone.
///
/// Two managers over one prefix or table of a store are two nodes of one site if they share the keys.
///
/// # Examples
///
/// ```
/// use session_core::{Key, Keyring, SessionManager};
/// use session_memory::MemoryStore;
///
/// # let from_environment = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// // From where your secrets are. `openssl rand -base64 32` makes it.
/// let keys = Keyring::new(Key::from_base64(from_environment)?);
/// let manager = SessionManager::new(MemoryStore::default(), keys);
/// # Ok::<(), session_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionManager(Arc<Site>);

impl SessionManager {
    /// A manager for production: `__Host-session`, `Secure`, `HttpOnly`, `SameSite=Lax`, the default [`Policy`].
    #[must_use]
    pub fn new(store: impl Store, keys: Keyring) -> Self {
        let store: Arc<dyn Store> = Arc::new(store);
        #[cfg(feature = "metrics")]
        let store = Observed::by_numbers(store);
        Self(Arc::new(Site {
            store,
            writers: Arc::default(),
            keys: Keys::new(keys),
            cookie: CookieConfig::production(),
            token_header: None,
            label: String::new(),
            policy: Policy::default(),
            format: Format::default(),
            observers: Observers::new(Log::default()),
            has_paths_in_events: false,
            trusted_proxies: TrustedProxies::default(),
            cleared: Vec::new(),
            plain_http_log: Arc::default(),
            unknown_peer_log: Arc::default(),
        }))
    }

    /// A manager for a developer's machine: a cookie that browsers accept over plain http, with a
    /// [name](CookieConfig::development) made of the program's path, and a random key that is forgotten at the end of the
    /// program. It warns once: the log, or stderr where no subscriber of `tracing` is installed yet.
    ///
    /// To try restarts or several nodes over plain http, with a key that stays:
    /// `SessionManager::new(store, keys).with_cookie(CookieConfig::development())`.
    #[must_use]
    pub fn development(store: impl Store) -> Self {
        static WARNED: Once = Once::new();
        WARNED.call_once(warn_of_development);
        let keys = Key::generate().map_or_else(|_| Keyring::empty(), Keyring::new);
        Self::new(store, keys)
            .with_cookie(CookieConfig::development())
            .with(|site| site.observers = Observers::new(Log::with_passing_key()))
    }

    /// The same with another cookie.
    #[must_use]
    pub fn with_cookie(self, cookie: CookieConfig) -> Self {
        self.with(|site| site.cookie = cookie)
    }

    /// The same for clients without cookies, too: they send their token in this header. See [`TokenHeader`].
    #[must_use]
    pub fn with_token_header(self, header: TokenHeader) -> Self {
        self.with(|site| site.token_header = Some(header))
    }

    /// The same with a label that every token is signed for, such as the name of the site. A token of a site with another
    /// label is forged here, also if both have the same keys and the same store.
    ///
    /// Tokens from before the label was given or changed are refused: their users log in again. If a program serves several
    /// sites, a list of [`Hosts`](crate::Hosts) gives each site its label.
    #[must_use]
    pub fn with_label(self, label: &str) -> Self {
        self.with(|site| label.clone_into(&mut site.label))
    }

    /// The label, empty if the manager has none.
    pub(crate) fn label(&self) -> &str {
        &self.0.label
    }

    /// The same with another policy. Its lifetimes apply to a session from the next login on, or from when it is made for a
    /// visitor. All else of it applies at once: rotation and grace, the limits, and what an unreadable session comes to.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        self.with(|site| site.policy = policy)
    }

    /// The same with another format for new values.
    #[must_use]
    pub fn with_format(self, format: Format) -> Self {
        self.with(|site| site.format = format)
    }

    /// The same with an observer of your own, beside `tracing` and those that are there.
    #[must_use]
    pub fn with_observer(self, observer: impl Observer) -> Self {
        self.with(|site| site.observers.push(observer))
    }

    /// The same with a span in `tracing` around each call of the store: `session.store`, at the level `DEBUG`, under the target
    /// `session`. Its fields are `session.store.method`, such as `load`, `session.store.backend`, and `session.store.outcome`,
    /// whose words [the front page](crate#numbers) lists. Without this there are no spans.
    #[must_use]
    pub fn with_store_spans(self) -> Self {
        self.with(|site| site.store = Observed::by_spans(Arc::clone(&site.store)))
    }

    /// The same without events in `tracing`: for an observer that writes them in its own way. A warning on what to set, and
    /// the error of a request, are still told.
    #[must_use]
    pub fn without_tracing_events(self) -> Self {
        self.with(|site| site.observers.leave_out_log())
    }

    /// The same with the whole path of the request in events, without its query. By default they have the route that it has
    /// matched, such as `/reset/{token}`, because paths may hold what is not for a log: a token to reset a password, an
    /// address.
    #[must_use]
    pub fn with_paths_in_events(self) -> Self {
        self.with(|site| site.has_paths_in_events = true)
    }

    /// The same, believing what these proxies say of the client's address and of https. Nobody else is believed.
    ///
    /// It is one of the things that belong together: the proxy sends the headers, the manager believes it, the layer of the
    /// adapter tells who the [peer](crate::Peer) is (`with_peer` under tower; under actix-web and poem it does so by itself),
    /// and under axum the server tells the layer (`into_make_service_with_connect_info`).
    #[must_use]
    pub fn with_trusted_proxies(self, proxies: TrustedProxies) -> Self {
        self.with(|site| site.trusted_proxies = proxies)
    }

    /// The same, telling browsers at each logout to clear this data of the site (`Clear-Site-Data`). By default they are
    /// told nothing. What is told when, [`SiteData`] says.
    #[must_use]
    pub fn with_clear_site_data(self, data: impl IntoIterator<Item = SiteData>) -> Self {
        self.with(|site| site.cleared = data.into_iter().collect())
    }

    pub(crate) fn site(&self) -> &Arc<Site> {
        &self.0
    }

    fn with(mut self, change: impl FnOnce(&mut Site)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Exchanges the keys of this manager while it runs, and of every clone of it, also of one that was changed since.
    ///
    /// A request that is under way has been judged by the keys of its beginning. What its response carries is signed by the
    /// first of the keys that there are then. How a key is changed without a refused cookie, [`Keyring`] tells.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Key, Keyring, SessionManager};
    /// use session_memory::MemoryStore;
    ///
    /// let [old, new] = [Key::generate()?, Key::generate()?];
    /// let manager = SessionManager::new(MemoryStore::default(), Keyring::new(old.clone()));
    /// manager.set_keys(Keyring::new(new).and_retire(old));
    /// # Ok::<(), session_core::RandomnessError>(())
    /// ```
    pub fn set_keys(&self, keys: Keyring) {
        self.0.keys.set(keys);
    }

    /// Begins an exchange: a request with its response. No I/O: cookies are checked, the store is not asked.
    #[must_use]
    pub fn open(&self, incoming: impl Into<Incoming>) -> Exchange {
        self.0.observers.note_request();
        Exchange::open(self.0.clone(), incoming.into())
    }

    /// The cookie's name and attributes.
    #[must_use]
    pub fn cookie(&self) -> &CookieConfig {
        &self.0.cookie
    }

    /// The header of clients without cookies, if the site has one.
    #[must_use]
    pub fn token_header(&self) -> Option<&TokenHeader> {
        self.0.token_header.as_ref()
    }

    /// The owner's live sessions, the one that was begun last first. What cannot be read is left out, with an event.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn devices(&self, owner: &Owner) -> Result<Vec<Device>, Error> {
        self.call(async |caller| devices::devices(caller, owner, None).await).await
    }

    /// How many live sessions the owner has: also those that cannot be read, as the limit of sessions counts them.
    ///
    /// How many there are in all, only the database can tell: a [`Store`] has no method for it. Where it can count, each
    /// user whose sessions were revoked within a day has one entry more, which is no session and has no owner.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn session_count(&self, owner: &Owner) -> Result<usize, Error> {
        Ok(PatientStore::new(self.0.store.clone()).list(owner).await?.len())
    }

    /// A session of the owner's, to read or change outside of a request: for a webhook, or a job. `None` if there is no live
    /// session of this id and owner.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    #[doc(alias = "get_session")]
    pub async fn session_of(&self, owner: &Owner, id: &SessionId) -> Result<Option<StoredSession>, Error> {
        StoredSession::load(self.0.clone(), owner, id).await
    }

    /// Logs a user in, for a test of an application: the value of a `Cookie` header.
    ///
    /// It is a real login in the store, and the header opens it. Of a manager in production nobody but the user must get it.
    ///
    /// # Errors
    ///
    /// As [`Session::login`](crate::Session::login).
    ///
    /// # Examples
    ///
    /// ```
    /// use http::{Request, header};
    /// use session_core::{Owner, SessionManager};
    /// use session_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = SessionManager::development(MemoryStore::new());
    /// let cookie = manager.login_for_tests(42).await?;
    /// let request = Request::get("/account").header(header::COOKIE, cookie).body(())?;
    /// // … to the application; here as it would see it:
    /// assert_eq!(manager.open(&request).session().await?.owner(), Some(Owner::from(42)));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn login_for_tests(&self, login: impl Into<Login>) -> Result<String, Error> {
        // A client of this kind is handed the token itself.
        let exchange = self.open(Incoming::new([]).with_token(""));
        exchange.session().await?.login(login).await?;
        exchange.commit().await?;
        let token = exchange.new_token(CarrierKind::Cookie).ok_or(RandomnessError)?;
        Ok(format!("{}={}", self.cookie().name(), token.expose()))
    }

    /// Ends one session of the owner's; `false` if there is no such session of this owner.
    ///
    /// The id may come from a form: it is no secret, and another owner's session is not ended.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], [`Error::Contended`].
    pub async fn end(&self, owner: &Owner, id: &SessionId) -> Result<bool, Error> {
        self.call(async |caller| devices::end(caller, owner, id).await).await
    }

    /// Ends every session of the owner's, and every login of theirs that has begun and not ended. Returns how many live
    /// sessions there were. Sessions that had expired are not counted. Where the store does not expire them by itself, their
    /// rows stay until the [purge](Self::purge), as all expired ones do.
    ///
    /// It is for the outside of a request: for support, or a job. It sends no cookie, and the requests that are under way keep
    /// their handles. In a handler, call [`Session::revoke_others`](crate::Session::revoke_others) and then
    /// [`logout`](crate::Session::logout).
    ///
    /// Clocks are not exact, so a login of the owner's that begins within the next 100 milliseconds is refused, too
    /// ([`Error::LoginRevoked`]). A test that logs in again at once has to wait for that long.
    ///
    /// Within a login, as after a password was reset, use [`Login::ending_others`](crate::Login::ending_others): a login
    /// in the request that called `revoke_all` is refused.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], [`Error::Contended`]: some may be ended, others not; call again.
    #[doc(alias = "log_out_everywhere")]
    pub async fn revoke_all(&self, owner: &Owner) -> Result<u64, Error> {
        self.call(async |caller| epoch::revoke(caller, owner, None).await).await
    }

    /// Deletes at most `limit` expired sessions and returns how many: `0` when none is left. [`EventKind::Purged`] tells it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; the next call goes on.
    pub async fn purge(&self, limit: u32) -> Result<u64, Error> {
        let count = self.0.store.purge(limit).await?;
        if count > 0 {
            self.0.observers.tell(&SessionEvent::new(EventKind::Purged { count }));
        }
        Ok(count)
    }

    /// Starts a task that purges now, and then again each time `interval` has passed: for a store that does not expire
    /// sessions by itself. [`EventKind::Purged`] tells how many were expired, [`EventKind::PurgeFailed`] an error.
    ///
    /// # Panics
    ///
    /// If it is not called within a tokio runtime.
    #[doc(alias("continuously_delete_expired", "clearsessions", "cleanup"))]
    #[allow(clippy::must_use_candidate, reason = "dropping the handle lets the task run on")]
    pub fn purge_every(&self, interval: Duration) -> PurgeTask {
        PurgeTask::run(Arc::clone(&self.0.store), interval, self.0.observers.clone())
    }

    /// Asks the store without a request.
    async fn call<T>(&self, operate: impl AsyncFnOnce(Caller<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let (store, resource) = (PatientStore::new(self.0.store.clone()), Resource::default());
        operate(Caller { site: &self.0, store: &store, resource: &resource }).await
    }
}

fn warn_of_development() {
    const WARNING: &str = "SESSIONS ARE IN DEVELOPMENT MODE: cookies travel over plain http and end with the program";
    tracing::event!(
        name: "session.development",
        target: "session",
        tracing::Level::WARN,
        event.name = "session.development",
        "{WARNING}"
    );
    // Without a log, a newcomer would see neither this nor why a login does not stick.
    if !tracing::dispatcher::has_been_set() {
        let advice = "no log is installed yet, which would say what goes wrong: tracing_subscriber::fmt().init()";
        // A program without stderr has nobody to tell.
        let _ = writeln!(io::stderr(), "session: {WARNING}\nsession: {advice}");
    }
}
