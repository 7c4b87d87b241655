//! The stage on which the promises are shown: a small site, and clients that talk to it.
//!
//! All that matters is real: the layer, the manager, and the site's own store, unless a play moves the clock. Only the
//! wire is left out: a client hands its request to the router.
//!
//! A play opens nothing of the site. Its keys are made for it and forgotten with it, its cookie has another name, and its
//! user is one whom nobody can register.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Method, Request, StatusCode, header},
    routing::{get, post},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use rand::{TryRng, rngs::SysRng};
use session_core::{
    CookieConfig, EventKind, Key, Keyring, Lifetime, Observer, Owner, Policy, SessionEvent, SessionId, SessionManager,
    Store,
};
use session_tower::{CurrentOwner, Session, SessionError, SessionLayer};
use sha2::Sha256;
use tokio::sync::Notify;
use tower_service::Service;

use crate::{counting::Counting, failure::Failure, fields::COUNTER};

/// Why a play could not be played to its end. It says nothing about the promise.
pub(crate) type Interrupted = Box<dyn std::error::Error + Send + Sync>;

/// How long a session of a play is kept in the site's store.
const BRIEF: Duration = Duration::from_secs(300);

/// The name of the cookie.
const COOKIE: &str = "stage";

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stage {
    /// Two nodes of the small site. They share the store and the keys, and nothing else.
    nodes: [Router; 2],
    key: [u8; 32],
    pub(crate) store: Counting,
    pub(crate) gate: Arc<Gate>,
    events: Events,
    script: Arc<Mutex<Vec<Line>>>,
}

/// One line of what is shown.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Said(String),
    /// A text of the machine, and what it is.
    Quoted(&'static str, String),
    Asked(Asked),
}

/// A request with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) who: &'static str,
    pub(crate) request: String,
    /// The cookie that was sent, shortened.
    pub(crate) sent: Option<String>,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    pub(crate) cookie: SetCookie,
}

/// What an answer does to the cookie.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SetCookie {
    Nothing,
    Removes,
    Sets(String),
}

/// A program with a cookie: a browser, or a thief. A copy has the same cookie.
#[derive(Clone)]
pub(crate) struct Client {
    name: &'static str,
    /// The node that it talks to.
    node: usize,
    pub(crate) cookie: Option<String>,
}

impl Client {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, node: 0, cookie: None }
    }

    /// Another program with a copy of this one's cookie.
    pub(crate) fn copied_by(&self, name: &'static str) -> Self {
        Self { name, ..self.clone() }
    }

    pub(crate) fn with_cookie(self, cookie: String) -> Self {
        Self { cookie: Some(cookie), ..self }
    }

    pub(crate) fn at_node(self, node: usize) -> Self {
        Self { node: node % 2, ..self }
    }

    /// The token in the cookie: id, generation and secret.
    pub(crate) fn token(&self) -> Result<Vec<u8>, Interrupted> {
        let token = self.cookie.as_deref().and_then(|cookie| cookie.split('.').next());
        Ok(Base64UrlUnpadded::decode_vec(token.ok_or("no cookie")?).map_err(|error| error.to_string())?)
    }

    pub(crate) fn session(&self) -> Result<SessionId, Interrupted> {
        Ok(SessionId::from_bytes(*self.token()?.first_chunk().ok_or("a short token")?))
    }
}

/// What the small site has to know.
#[derive(Clone)]
struct Scene {
    user: Owner,
    gate: Arc<Gate>,
}

/// Where a slow request waits until the play goes on.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) reached: Notify,
    pub(crate) open: Notify,
}

impl Gate {
    async fn pass(&self) {
        self.reached.notify_one();
        self.open.notified().await;
    }
}

/// The names of the events so far.
#[derive(Clone, Debug, Default)]
struct Events(Arc<Mutex<Vec<&'static str>>>);

impl Observer for Events {
    fn on(&self, event: &SessionEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.kind.name());
    }
}

impl Stage {
    /// A stage over the store of the site. What is left of the play expires soon.
    pub(crate) fn over_the_sites(store: Arc<dyn Store>) -> Result<Self, Interrupted> {
        let brief = Lifetime::new(BRIEF, BRIEF);
        let policy = Policy::builder().before_login(brief).logged_in(brief).rotation(BRIEF).build()?;
        Self::over(store, &policy)
    }

    pub(crate) fn over(store: Arc<dyn Store>, policy: &Policy) -> Result<Self, Interrupted> {
        let (store, key) = (Counting::new(store), random()?);
        let keys = Keyring::new(Key::from_bytes(&key)?);
        let (events, gate) = (Events::default(), Arc::<Gate>::default());
        let scene = Scene { user: user()?, gate: gate.clone() };
        let cookie = CookieConfig::builder(COOKIE).secure(false).build()?;
        let node = || {
            let manager = SessionManager::new(store.clone(), keys.clone())
                .with_cookie(cookie.clone())
                .with_policy(policy.clone())
                .with_observer(events.clone())
                // The log is for what happens to the users of the site. A theft that is played is no theft.
                .without_tracing_events();
            small_site(scene.clone()).layer(SessionLayer::new(manager))
        };
        let nodes = [node(), node()];
        Ok(Self { nodes, key, store, gate, events, script: Arc::default() })
    }

    /// The cookie of this token, as only the owner of the site's key can make it.
    pub(crate) fn sign(&self, token: &[u8]) -> Result<String, Interrupted> {
        let token = Base64UrlUnpadded::encode_string(token);
        let parts = ["cookie", "", COOKIE, &token];
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key)?;
        for part in parts {
            mac.update(&u32::try_from(part.len())?.to_be_bytes());
        }
        for part in parts {
            mac.update(part.as_bytes());
        }
        Ok(format!("{token}.{}", Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes())))
    }

    pub(crate) fn say(&self, text: impl Into<String>) {
        self.write(Line::Said(text.into()));
    }

    pub(crate) fn quote(&self, what: &'static str, text: &impl ToString) {
        self.write(Line::Quoted(what, text.to_string()));
    }

    fn write(&self, line: Line) {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(crate) fn script(&self) -> Vec<Line> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn was_told(&self, event: &EventKind) -> bool {
        self.events.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&event.name())
    }

    pub(crate) async fn get(&self, client: &mut Client, path: &str) -> Result<Answer, Interrupted> {
        self.show(client, Method::GET, path).await
    }

    pub(crate) async fn post(&self, client: &mut Client, path: &str) -> Result<Answer, Interrupted> {
        self.show(client, Method::POST, path).await
    }

    async fn show(&self, client: &mut Client, method: Method, path: &str) -> Result<Answer, Interrupted> {
        let (request, sent) = (format!("{method} {path}"), client.cookie.as_deref().map(shortened));
        let answer = self.send(client, method, path).await?;
        self.write(Line::Asked(Asked { who: client.name, request, sent, answer: answer.clone() }));
        Ok(answer)
    }

    /// Sends a request without showing it.
    pub(crate) async fn send(&self, client: &mut Client, method: Method, path: &str) -> Result<Answer, Interrupted> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = &client.cookie {
            request = request.header(header::COOKIE, format!("{COOKIE}={cookie}"));
        }
        let response = self.nodes[client.node].clone().call(request.body(Body::empty())?).await?;
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE && !self.store.is_cut() {
            return Err("the store does not answer".into());
        }
        let line = response.headers().get(header::SET_COOKIE).map(|line| line.to_str()).transpose()?;
        let cookie = line.map_or(SetCookie::Nothing, SetCookie::read);
        match &cookie {
            SetCookie::Nothing => {}
            SetCookie::Removes => client.cookie = None,
            SetCookie::Sets(value) => client.cookie = Some(value.clone()),
        }
        let body = to_bytes(response.into_body(), 1 << 16).await?;
        Ok(Answer { status, cookie, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl SetCookie {
    fn read(line: &str) -> Self {
        let value = line.split(';').next().and_then(|pair| pair.split_once('=')).map_or("", |(_, value)| value);
        if value.is_empty() { Self::Removes } else { Self::Sets(value.to_owned()) }
    }
}

/// The end of a cookie is enough to tell it from others.
pub(crate) fn shortened(cookie: &str) -> String {
    format!("…{}", cookie.get(cookie.len().saturating_sub(6)..).unwrap_or_default())
}

/// A user of this play alone. No name of a user of the site has a colon.
fn user() -> Result<Owner, Interrupted> {
    let mut name = "play:".to_owned();
    for byte in random::<16>()? {
        write!(name, "{byte:02x}")?;
    }
    Ok(Owner::try_from(name)?)
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Interrupted> {
    let mut bytes = [0; LENGTH];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes)
}

fn small_site(scene: Scene) -> Router {
    Router::new()
        .route("/ping", get(async || "pong"))
        .route("/login", post(log_in))
        .route("/login/slowly", post(log_in_slowly))
        .route("/account", get(account))
        .route("/add", post(add))
        .route("/add/slowly", post(add_slowly))
        .route("/logout", post(log_out))
        .route("/end-others", post(end_others))
        .with_state(scene)
}

async fn log_in(State(scene): State<Scene>, session: Session) -> Result<&'static str, SessionError> {
    session.login(scene.user).await?;
    Ok("user 42 is logged in")
}

/// A login whose password takes long to check.
async fn log_in_slowly(State(scene): State<Scene>, session: Session) -> Result<&'static str, SessionError> {
    scene.gate.pass().await;
    session.login(scene.user).await?;
    Ok("user 42 is logged in")
}

async fn account(_: CurrentOwner, session: Session) -> Result<String, Failure> {
    let count = COUNTER.get(&session)?.unwrap_or_default();
    Ok(format!("user 42, who has counted to {count}"))
}

async fn add(session: Session) -> Result<&'static str, Failure> {
    COUNTER.update(&session, |count| *count = count.saturating_add(1))?;
    Ok("one more")
}

async fn add_slowly(State(scene): State<Scene>, session: Session) -> Result<&'static str, Failure> {
    COUNTER.update(&session, |count| *count = count.saturating_add(1))?;
    scene.gate.pass().await;
    Ok("one more")
}

async fn log_out(session: Session) -> Result<&'static str, SessionError> {
    session.logout().await?;
    Ok("user 42 is logged out")
}

async fn end_others(session: Session) -> Result<String, SessionError> {
    Ok(format!("{} ended", session.revoke_others().await?))
}
