//! The site over the least layer: a layer by hand that keeps what each request is promised, under axum and over our stores.
//!
//! It leaves out what most requests never meet: several sessions in one request, successors, the judgement of forms of other
//! sites, events, layers inside one another, errors with answers of their own, and the patience with a store that fails. What
//! the headers say for these is kept, because each request has to keep it.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    extract::{FromRequestParts, MatchedPath, Path},
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use serde::{Serialize, de::DeserializeOwned};
use session_core::{Entry, Expiry, Loaded, Owner, Purpose, Revision, SessionId, Store};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use self::{
    cookies::{Cookies, random},
    payload::{Change, HASH, HEAD, head, merged, stored},
    service::LeastLayer,
};

pub(crate) mod cookies;
mod payload;
mod service;

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn site(store: impl Store) -> Router {
    let shared = Shared { store: Arc::new(store), cookies: Cookies::new() };
    Router::new()
        .route("/ping", get(async || "pong"))
        .route("/read", get(read))
        .route("/count", get(count))
        .route("/inc", post(inc))
        .route("/fill/{bytes}/{keys}", post(fill))
        .route("/login/{user}", post(login))
        .layer(LeastLayer(Arc::new(shared)))
}

async fn read(session: Session) -> String {
    session.get::<String>("k0").map_or(0, |value| value.len()).to_string()
}

async fn count(session: Session) -> String {
    session.get::<u64>("n").unwrap_or_default().to_string()
}

async fn inc(session: Session) -> String {
    session.update("n", |n: &mut u64| *n += 1).to_string()
}

async fn fill(session: Session, Path((bytes, keys)): Path<(usize, usize)>) -> &'static str {
    for key in 0..keys {
        session.insert(&format!("k{key}"), &"x".repeat(bytes));
    }
    session.insert("n", &0u64);
    "ok"
}

async fn login(session: Session, Path(user): Path<u64>) -> &'static str {
    session.insert("k0", &"x".repeat(200));
    session.insert("n", &0u64);
    session.0.login(&Owner::from(user)).await;
    "ok"
}

struct Shared {
    store: Arc<dyn Store>,
    cookies: Cookies,
}

/// One request with its response.
struct Exchange {
    shared: Arc<Shared>,
    /// The id of the token, and the hash of its secret.
    presented: Option<([u8; 16], [u8; 32])>,
    asked: OnceCell<()>,
    /// The exchange's writes go one after the other.
    in_flight: AsyncMutex<()>,
    state: Mutex<State>,
    _told: Told,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    pending: Vec<(String, Change)>,
    cookie: Option<String>,
    is_read: bool,
}

impl State {
    fn value(&self, key: &str) -> Option<Bytes> {
        let changed = self.pending.iter().find(|(changed, _)| changed == key);
        let of = |live: &Live| stored(&live.payload, key).map(|value| live.payload.slice_ref(value));
        changed.map(|(_, change)| change.seen.clone()).or_else(|| self.live.as_ref().and_then(of))
    }
}

#[derive(Clone)]
struct Live {
    id: SessionId,
    revision: Revision,
    payload: Bytes,
    expires_in: Duration,
    asked: Instant,
}

impl Live {
    fn has_owner(&self) -> bool {
        self.payload[HASH] == 1
    }
}

/// What events and the judgement of a form would need.
#[derive(Default)]
struct Told {
    _opened: Option<(Instant, SystemTime)>,
    _method: Method,
    _path: String,
    _route: Option<String>,
    _host: Option<HeaderValue>,
    _by_browser: Vec<HeaderValue>,
    _by_proxies: Vec<HeaderValue>,
}

impl Exchange {
    fn open(shared: &Arc<Shared>, head: &Parts) -> Self {
        let mut presented = None;
        let mut told = Told {
            _opened: Some((Instant::now(), SystemTime::now())),
            _method: head.method.clone(),
            _path: head.uri.path().to_owned(),
            _route: head.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()),
            ..Told::default()
        };
        for (name, value) in &head.headers {
            match name.as_str() {
                "cookie" if presented.is_none() => {
                    let cookies = value.to_str().unwrap_or_default();
                    presented = cookies.split("; ").find_map(|cookie| shared.cookies.open(cookie));
                }
                "host" => told._host = Some(value.clone()),
                "origin" | "referer" | "upgrade" | "sec-fetch-site" | "sec-fetch-mode" => {
                    told._by_browser.push(value.clone());
                }
                "forwarded" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" => {
                    told._by_proxies.push(value.clone());
                }
                _ => {}
            }
        }
        Self {
            shared: Arc::clone(shared),
            presented,
            asked: OnceCell::new(),
            in_flight: AsyncMutex::default(),
            state: Mutex::default(),
            _told: told,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn load(&self) {
        let Some((id, hash)) = self.presented else { return };
        let (id, asked) = (SessionId::from_bytes(id), Instant::now());
        let found = self.shared.store.load(&id).await.unwrap();
        let found = found.filter(|found| found.payload[..HASH] == hash);
        let live = |Loaded { revision, payload, expires_in, .. }| Live { id, revision, payload, expires_in, asked };
        self.state().live = found.map(live);
    }

    /// Whether there is nothing to save, and no touch is due.
    fn is_done(&self) -> bool {
        let Ok(_place) = self.in_flight.try_lock() else { return false };
        let state = self.state();
        let is_touch_due = |live: &Live| HOUR + live.asked.elapsed() - live.expires_in > Duration::from_secs(60);
        state.pending.is_empty() && !state.live.as_ref().is_some_and(is_touch_due)
    }

    async fn commit(&self) {
        let _place = self.in_flight.lock().await;
        let (mut live, pending) = self.view();
        if live.is_none() {
            return self.create(&pending, None).await;
        }
        let mut is_seen = true;
        // Who finds the session gone makes no other.
        while let Some(base) = live {
            let payload = merged(&base.payload[..HEAD], &base.payload, &pending, is_seen);
            if self.replace(base, payload, None).await {
                return;
            }
            self.load().await;
            (live, is_seen) = (self.view().0, false);
        }
    }

    async fn login(&self, owner: &Owner) {
        let _place = self.in_flight.lock().await;
        let mut is_seen = true;
        loop {
            let (live, pending) = self.view();
            let Some(live) = live else { return self.create(&pending, Some(owner)).await };
            let (id, secret) = (live.id, random::<32>());
            let payload = merged(&head(&secret, true), &live.payload, &pending, is_seen);
            if self.replace(live, payload, Some(owner)).await {
                let epoch = self.shared.store.load(&epoch(owner)).await.unwrap();
                assert!(epoch.is_none(), "nobody has logged out everywhere");
                self.state().cookie = Some(self.shared.cookies.sign(id.as_bytes(), &secret));
                return;
            }
            self.load().await;
            is_seen = false;
        }
    }

    fn view(&self) -> (Option<Live>, Vec<(String, Change)>) {
        let state = self.state();
        (state.live.clone(), state.pending.clone())
    }

    /// Whether the session was still that one. With an owner it begins a new lifetime.
    async fn replace(&self, base: Live, payload: Bytes, owner: Option<&Owner>) -> bool {
        let (revision, asked) = (Revision::from_bytes(random()), Instant::now());
        let entry = Entry::shared(revision, &payload).with_owner(owner);
        let expiry = match owner {
            Some(_) => Expiry::Restart { expires_in: HOUR, ends_in: 24 * HOUR },
            None => Expiry::Extend(HOUR),
        };
        let is_done = self.shared.store.replace(&base.id, base.revision, entry, expiry).await.unwrap();
        if is_done {
            let mut state = self.state();
            state.live = Some(Live { revision, payload, asked, expires_in: HOUR, ..base });
            state.pending.clear();
        }
        is_done
    }

    async fn create(&self, pending: &[(String, Change)], owner: Option<&Owner>) {
        let bytes = random::<56>();
        let (id, secret) = (bytes[..16].try_into().unwrap(), &bytes[24..]);
        let (id, revision) = (SessionId::from_bytes(id), Revision::from_bytes(bytes[16..24].try_into().unwrap()));
        let head = head(secret, owner.is_some());
        let payload = merged(&head, &head, pending, true);
        let (entry, asked) = (Entry::shared(revision, &payload).with_owner(owner), Instant::now());
        match owner {
            Some(owner) => {
                let (entry, epoch) = (entry.with_purpose(Purpose::Login), epoch(owner));
                let created = self.shared.store.create_then_load(&id, entry, HOUR, 24 * HOUR, &epoch).await;
                assert!(created.unwrap().unwrap().is_none(), "nobody has logged out everywhere");
            }
            None => self.shared.store.create(&id, entry, HOUR, 24 * HOUR).await.unwrap(),
        }
        let cookie = self.shared.cookies.sign(id.as_bytes(), secret);
        let mut state = self.state();
        state.live = Some(Live { id, revision, payload, expires_in: HOUR, asked });
        state.cookie = Some(cookie);
        state.pending.clear();
    }

    fn finish(&self, headers: &mut HeaderMap) {
        if !self.asked.initialized() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
        let state = self.state();
        if let Some(cookie) = &state.cookie {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        if headers.contains_key(header::CACHE_CONTROL) && state.cookie.is_none() {
            return;
        }
        let is_private = state.cookie.is_some() || state.live.as_ref().is_some_and(Live::has_owner);
        if is_private || state.is_read {
            let said = if is_private { "no-store" } else { "private, no-cache" };
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(said));
        }
    }
}

/// The id of the session that says when an owner has logged out everywhere.
fn epoch(owner: &Owner) -> SessionId {
    SessionId::from_bytes(Sha256::digest(owner.as_bytes())[..16].try_into().unwrap())
}

#[derive(Clone)]
struct Session(Arc<Exchange>);

impl Session {
    fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let mut state = self.0.state();
        state.is_read = true;
        let value = state.value(key)?;
        drop(state);
        Some(serde_json::from_slice(&value).unwrap())
    }

    fn insert(&self, key: &str, value: &impl Serialize) {
        let seen = serde_json::to_vec(value).unwrap().into();
        let mut state = self.0.state();
        state.pending.retain(|(changed, _)| changed != key);
        state.pending.push((key.to_owned(), Change { seen, update: None }));
    }

    /// Changes a value that this request has not changed before.
    fn update<T: Serialize + DeserializeOwned + Default>(
        &self,
        key: &str,
        change: impl Fn(&mut T) + Send + Sync + 'static,
    ) -> T {
        let changed = move |stored: Option<&[u8]>| {
            let mut value = stored.map_or_else(T::default, |stored| serde_json::from_slice(stored).unwrap());
            change(&mut value);
            value
        };
        let mut state = self.0.state();
        state.is_read = true;
        assert!(state.pending.iter().all(|(earlier, _)| earlier != key), "changed before");
        let value = changed(state.value(key).as_deref());
        let seen = serde_json::to_vec(&value).unwrap().into();
        let update = Arc::new(move |stored: Option<&[u8]>| serde_json::to_vec(&changed(stored)).unwrap().into());
        state.pending.push((key.to_owned(), Change { seen, update: Some(update) }));
        value
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let session = parts.extensions.get::<Self>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
        session.0.asked.get_or_init(|| session.0.load()).await;
        Ok(session)
    }
}
