//! The site over the least layer: what a request is promised, by hand, under axum and over our stores.
//!
//! It leaves out what most requests never meet: cookies of several sessions, successors, events, layers inside one another,
//! errors with answers of their own, and the patience with a store that fails. What each request needs for these is there.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    extract::{FromRequestParts, MatchedPath, Path, Request},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use pin_project_lite::pin_project;
use serde::{Serialize, de::DeserializeOwned};
use session_core::{Entry, Expiry, Loaded, Owner, Purpose, Revision, SessionId, Store};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tower::{Layer, Service};

use crate::least_cookies::{Cookies, random};

const HOUR: Duration = Duration::from_secs(3600);

/// A payload is the hash of the secret, and then the values.
const HASH: usize = 32;

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
    let n = session.get::<u64>("n").unwrap_or_default() + 1;
    session.insert("n", &n);
    n.to_string()
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
    /// What an event would tell, and by what a form of another site is known.
    _told: Told,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    pending: Vec<(String, Bytes)>,
    cookie: Option<String>,
    is_read: bool,
}

#[derive(Clone)]
struct Live {
    id: SessionId,
    revision: Revision,
    payload: Bytes,
    expires_in: Duration,
    asked: Instant,
    has_owner: bool,
}

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
        let mut cookies = None;
        let mut told = Told {
            _opened: Some((Instant::now(), SystemTime::now())),
            _method: head.method.clone(),
            _path: head.uri.path().to_owned(),
            _route: head.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()),
            ..Told::default()
        };
        for (name, value) in &head.headers {
            match name.as_str() {
                "cookie" => cookies = Some(value),
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
        let text = cookies.and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
        Self {
            shared: Arc::clone(shared),
            presented: text.split("; ").find_map(|cookie| shared.cookies.open(cookie)),
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
        if let Some(Loaded { revision, payload, expires_in, .. }) = found.filter(|found| found.payload[..HASH] == hash)
        {
            self.state().live = Some(Live { id, revision, payload, expires_in, asked, has_owner: false });
        }
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
        loop {
            let (live, pending) = {
                let state = self.state();
                (state.live.clone(), state.pending.clone())
            };
            let Some(live) = live else {
                self.create(&pending, None).await;
                return;
            };
            let (revision, payload) = (Revision::from_bytes(random()), merged(&live.payload, &pending));
            let entry = Entry::shared(revision, &payload);
            let asked = Instant::now();
            if self.shared.store.replace(&live.id, live.revision, entry, Expiry::Extend(HOUR)).await.unwrap() {
                let mut state = self.state();
                state.live = Some(Live { revision, payload, asked, expires_in: HOUR, ..live });
                state.pending.clear();
                return;
            }
            self.load().await;
        }
    }

    async fn login(&self, owner: &Owner) {
        let _place = self.in_flight.lock().await;
        let pending = self.state().pending.clone();
        self.create(&pending, Some(owner)).await;
    }

    async fn create(&self, pending: &[(String, Bytes)], owner: Option<&Owner>) {
        let bytes = random::<56>();
        let (id, secret) = (bytes[..16].try_into().unwrap(), &bytes[24..]);
        let (id, revision) = (SessionId::from_bytes(id), Revision::from_bytes(bytes[16..24].try_into().unwrap()));
        let payload = merged(&Sha256::digest(secret), pending);
        let (entry, asked) = (Entry::shared(revision, &payload).with_owner(owner), Instant::now());
        match owner {
            Some(owner) => {
                let epoch = SessionId::from_bytes(Sha256::digest(owner.as_bytes())[..16].try_into().unwrap());
                let entry = entry.with_purpose(Purpose::Login);
                let created = self.shared.store.create_then_load(&id, entry, HOUR, 24 * HOUR, &epoch).await;
                assert!(created.unwrap().unwrap().is_none(), "nobody has logged out everywhere");
            }
            None => self.shared.store.create(&id, entry, HOUR, 24 * HOUR).await.unwrap(),
        }
        let cookie = self.shared.cookies.sign(id.as_bytes(), secret);
        let mut state = self.state();
        state.live = Some(Live { id, revision, payload, expires_in: HOUR, asked, has_owner: owner.is_some() });
        state.cookie = Some(cookie);
        state.pending.clear();
    }

    fn finish(&self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
        let state = self.state();
        if let Some(cookie) = &state.cookie {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        let is_private = state.cookie.is_some() || state.live.as_ref().is_some_and(|live| live.has_owner);
        if state.is_read && !headers.contains_key(header::CACHE_CONTROL) {
            let said = if is_private { "no-store" } else { "private, no-cache" };
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static(said));
        }
    }
}

/// The payload with these values. Each is a key and some JSON, both behind their length.
fn merged(payload: &[u8], pending: &[(String, Bytes)]) -> Bytes {
    let mut merged = Vec::with_capacity(payload.len() + 256);
    merged.extend_from_slice(&payload[..HASH]);
    let kept = values(payload).filter(|(key, _)| pending.iter().all(|(changed, _)| changed.as_bytes() != *key));
    let changed = pending.iter().map(|(key, value)| (key.as_bytes(), &value[..]));
    for part in changed.chain(kept).flat_map(|(key, value)| [key, value]) {
        merged.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        merged.extend_from_slice(part);
    }
    merged.into()
}

fn values(payload: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = &payload[HASH..];
    let mut next = move || {
        let (length, after) = rest.split_first_chunk()?;
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after;
        Some(part)
    };
    std::iter::from_fn(move || Some((next()?, next()?)))
}

#[derive(Clone)]
struct Session(Arc<Exchange>);

impl Session {
    fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let mut state = self.0.state();
        state.is_read = true;
        let changed = state.pending.iter().find(|(changed, _)| changed == key).map(|(_, value)| value.clone());
        let stored = |live: &Live| {
            let found = values(&live.payload).find(|(stored, _)| *stored == key.as_bytes());
            found.map(|(_, value)| live.payload.slice_ref(value))
        };
        let value = changed.or_else(|| state.live.as_ref().and_then(stored))?;
        drop(state);
        Some(serde_json::from_slice(&value).unwrap())
    }

    fn insert(&self, key: &str, value: &impl Serialize) {
        let value = serde_json::to_vec(value).unwrap().into();
        let mut state = self.0.state();
        state.pending.retain(|(changed, _)| changed != key);
        state.pending.push((key.to_owned(), value));
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

#[derive(Clone)]
struct LeastLayer(Arc<Shared>);

impl<S> Layer<S> for LeastLayer {
    type Service = LeastService<S>;

    fn layer(&self, inner: S) -> LeastService<S> {
        LeastService { inner, shared: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
struct LeastService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S: Service<Request, Response = Response, Error = Infallible>> Service<Request> for LeastService<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let session = Session(Arc::new(Exchange::open(&self.shared, &head)));
        head.extensions.insert(session.clone());
        request = Request::from_parts(head, body);
        Answering { handler: self.inner.call(request), session: Some(session), commit: None }
    }
}

type Commit = Pin<Box<dyn Future<Output = ()> + Send>>;

pin_project! {
    struct Answering<F> {
        #[pin]
        handler: F,
        session: Option<Session>,
        commit: Option<(Commit, Response)>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Answering<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.commit.is_none() {
            let response = ready!(this.handler.poll(context))?;
            let session = this.session.clone().unwrap();
            if session.0.is_done() {
                return Poll::Ready(Ok(finished(this.session.take().unwrap(), response)));
            }
            *this.commit = Some((Box::pin(async move { session.0.commit().await }), response));
        }
        ready!(this.commit.as_mut().unwrap().0.as_mut().poll(context));
        let (_, response) = this.commit.take().unwrap();
        Poll::Ready(Ok(finished(this.session.take().unwrap(), response)))
    }
}

fn finished(session: Session, mut response: Response) -> Response {
    session.0.finish(response.headers_mut());
    response.extensions_mut().insert(session);
    response
}
