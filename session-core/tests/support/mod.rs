//! A store whose calls a test can hold, lose, repeat and fail; a browser; an observer that remembers.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(unreachable_pub, reason = "shared by the test binaries")]

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use session_core::{
    Entry, EventKind, Exchange, Expiry, Incoming, Key, Keyring, Lifetime, Loaded, Observer, Owner, Policy, Revision,
    Session, SessionEvent, SessionId, SessionManager, Store, StoreError, async_trait,
};
use session_memory::MemoryStore;
use tokio::sync::Semaphore;

/// A call of a store's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Create,
    Load,
    Replace,
    Touch,
    Delete,
    List,
    Revoke,
    Purge,
}

/// What happens to one call.
#[derive(Clone)]
pub enum Fault {
    /// The call never arrives.
    Fails,
    /// The call is applied, its answer is lost.
    LosesReply,
    /// The caller gives up, and the call is applied when the test says so.
    ArrivesLate,
    /// The call waits before it is applied.
    Held(Gate),
    /// The call is applied, its answer waits.
    ReplyHeld(Gate),
    /// Another request acts before the call is applied.
    After(Deed),
}

/// Holds a call until the test lets it go.
#[derive(Clone, Debug)]
pub struct Gate {
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { reached: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    /// Waits until the call has come.
    pub async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    pub fn open(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }
}

type Deed = Arc<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A write that is still on its way.
type Packet = Box<dyn FnOnce(MemoryStore) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> + Send>;

/// A memory store with a wire that a test cuts as it likes.
#[derive(Clone)]
pub struct Lab {
    pub memory: MemoryStore,
    faults: Arc<Mutex<VecDeque<(Call, Fault)>>>,
    calls: Arc<Mutex<Vec<Call>>>,
    late: Arc<Mutex<Vec<Packet>>>,
    down: Arc<AtomicBool>,
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lab")
    }
}

impl Lab {
    pub fn new() -> Self {
        Self {
            memory: MemoryStore::default(),
            faults: Arc::default(),
            calls: Arc::default(),
            late: Arc::default(),
            down: Arc::default(),
        }
    }

    /// The next such call meets this fault.
    pub fn next(&self, call: Call, fault: Fault) {
        self.faults.lock().unwrap().push_back((call, fault));
    }

    pub fn hold(&self, call: Call) -> Gate {
        let gate = Gate::new();
        self.next(call, Fault::Held(gate.clone()));
        gate
    }

    pub fn hold_reply(&self, call: Call) -> Gate {
        let gate = Gate::new();
        self.next(call, Fault::ReplyHeld(gate.clone()));
        gate
    }

    /// Before the next such call is applied, another request does this.
    pub fn before_next<F>(&self, call: Call, deed: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.next(call, Fault::After(Arc::new(move || Box::pin(deed()))));
    }

    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The packets that were late arrive now; whether each still had an effect.
    pub async fn deliver_late(&self) -> Vec<bool> {
        let packets = std::mem::take(&mut *self.late.lock().unwrap());
        let mut applied = Vec::new();
        for packet in packets {
            applied.push(packet(self.memory.clone()).await);
        }
        applied
    }

    /// The calls since this was last asked.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    pub fn advance(&self, time: Duration) {
        self.memory.advance(time);
    }

    pub async fn payload(&self, id: &SessionId) -> Option<Bytes> {
        self.memory.load(id).await.unwrap().map(|loaded| loaded.payload)
    }

    /// No fault that a test set was left unused.
    pub fn assert_all_met(&self) {
        let left: Vec<_> = self.faults.lock().unwrap().iter().map(|(call, _)| *call).collect();
        assert!(left.is_empty(), "these faults never happened: {left:?}");
    }

    async fn wire<T, F>(&self, call: Call, packet: impl Fn() -> Packet, apply: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.calls.lock().unwrap().push(call);
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            let at = faults.iter().position(|(of, _)| *of == call);
            at.and_then(|at| faults.remove(at)).map(|(_, fault)| fault)
        };
        // Lets other tasks run, as a network would.
        tokio::task::yield_now().await;
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("lab", io::Error::other("the store is down")));
        }
        let cut = || Err(StoreError::timed_out("lab", io::Error::other("the wire was cut")));
        let answer = match fault {
            None => apply().await,
            Some(Fault::Fails) => cut(),
            Some(Fault::LosesReply) => {
                let _ = apply().await;
                cut()
            }
            Some(Fault::ArrivesLate) => {
                self.late.lock().unwrap().push(packet());
                cut()
            }
            Some(Fault::Held(gate)) => {
                gate.pass().await;
                apply().await
            }
            Some(Fault::ReplyHeld(gate)) => {
                let answer = apply().await;
                gate.pass().await;
                answer
            }
            Some(Fault::After(deed)) => {
                deed().await;
                apply().await
            }
        };
        tokio::task::yield_now().await;
        answer
    }
}

fn never_late() -> Packet {
    panic!("only creates, replaces, touches and deletes arrive late here")
}

#[async_trait]
impl Store for Lab {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let packet = || -> Packet {
            let (id, revision, payload, owner) = (*id, entry.revision, entry.payload.to_vec(), entry.owner.cloned());
            Box::new(move |memory| {
                Box::pin(async move {
                    let entry = Entry::new(revision, &payload).with_owner(owner.as_ref());
                    memory.create(&id, entry, expires_in, ends_in).await.is_ok()
                })
            })
        };
        self.wire(Call::Create, packet, || self.memory.create(id, entry, expires_in, ends_in)).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.wire(Call::Load, never_late, || self.memory.load(id)).await
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let packet = || -> Packet {
            let (id, revision, payload, owner) = (*id, entry.revision, entry.payload.to_vec(), entry.owner.cloned());
            Box::new(move |memory| {
                Box::pin(async move {
                    let entry = Entry::new(revision, &payload).with_owner(owner.as_ref());
                    memory.replace(&id, expected, entry, expiry).await.unwrap()
                })
            })
        };
        self.wire(Call::Replace, packet, || self.memory.replace(id, expected, entry, expiry)).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let packet = || -> Packet {
            let id = *id;
            Box::new(move |memory| Box::pin(async move { memory.touch(&id, expected, expires_in).await.unwrap() }))
        };
        self.wire(Call::Touch, packet, || self.memory.touch(id, expected, expires_in)).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        let packet = || -> Packet {
            let id = *id;
            Box::new(move |memory| Box::pin(async move { memory.delete(&id, expected).await.unwrap() }))
        };
        self.wire(Call::Delete, packet, || self.memory.delete(id, expected)).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.wire(Call::List, never_late, || self.memory.list(owner)).await
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.wire(Call::Revoke, never_late, || self.memory.revoke(owner, keep)).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.wire(Call::Purge, never_late, || self.memory.purge(limit)).await
    }
}

/// Remembers what happened.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<Vec<SessionEvent>>>);

impl Observer for Events {
    fn on(&self, event: &SessionEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Events {
    pub fn all(&self) -> Vec<SessionEvent> {
        self.0.lock().unwrap().clone()
    }

    pub fn count(&self, is_meant: impl Fn(&EventKind) -> bool) -> usize {
        self.all().iter().filter(|event| is_meant(&event.kind)).count()
    }

    pub fn thefts(&self) -> usize {
        self.count(|kind| matches!(kind, EventKind::TheftDetected))
    }
}

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

/// The user of most tests.
pub const USER: u64 = 42;

pub fn user() -> Owner {
    Owner::from(USER)
}

/// A site over a lab.
#[derive(Clone)]
pub struct Site {
    pub lab: Lab,
    pub manager: SessionManager,
    pub events: Events,
}

impl Site {
    pub fn new() -> Self {
        Self::with_policy(Policy::default())
    }

    pub fn with_policy(policy: Policy) -> Self {
        let (lab, events) = (Lab::new(), Events::default());
        let keys = Keyring::new(Key::from_bytes(&[7; 32]).unwrap());
        let manager = SessionManager::new(lab.clone(), keys).with_policy(policy).with_observer(events.clone());
        Self { lab, manager, events }
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        Browser { manager: self.manager.clone(), cookie: None }
    }

    /// A browser that has logged in, with the value `n` = 0.
    pub async fn logged_in(&self, owner: impl Into<Owner>) -> Browser {
        let mut browser = self.browser();
        let owner = owner.into();
        browser
            .visit(async |session| {
                session.insert("n", &0).unwrap();
                session.login(owner).await.unwrap();
            })
            .await;
        self.lab.calls();
        browser
    }

    /// A browser with an anonymous session, with the value `n` = 0.
    pub async fn visitor(&self) -> Browser {
        let mut browser = self.browser();
        browser.visit(async |session| session.insert("n", &0).unwrap()).await;
        self.lab.calls();
        browser
    }

    /// A rotation is due, and the next response carries a successor.
    pub async fn due(&self) {
        // And what rounding takes off.
        self.lab.advance(15 * MINUTE + SECOND);
    }
}

pub fn lifetime(idle: Duration, absolute: Duration) -> Lifetime {
    Lifetime::new(idle, absolute)
}

/// A jar with our one cookie.
#[derive(Clone, Debug)]
pub struct Browser {
    pub manager: SessionManager,
    pub cookie: Option<String>,
}

impl Browser {
    pub fn open(&self) -> Exchange {
        let header = self.cookie.as_ref().map(|cookie| format!("__Host-session={cookie}"));
        let incoming = Incoming::new(header.as_deref().map(str::as_bytes)).with_resource("GET", "/test");
        self.manager.open(incoming)
    }

    pub async fn start(&self) -> (Exchange, Session) {
        let exchange = self.open();
        let session = exchange.session().await.unwrap();
        (exchange, session)
    }

    /// Stores what the response says.
    pub fn receive(&mut self, headers: &HeaderMap) {
        let cookies: Vec<_> = headers.get_all(header::SET_COOKIE).iter().collect();
        assert!(cookies.len() <= 1, "more than one Set-Cookie: {cookies:?}");
        let Some(cookie) = cookies.first() else { return };
        assert_eq!(headers.get(header::CACHE_CONTROL).unwrap(), "no-store");
        let (value, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
        let value = value.strip_prefix("__Host-session=").unwrap();
        self.cookie = (!attributes.contains("Max-Age=0")).then(|| value.to_owned());
    }

    /// One request that succeeds.
    pub async fn visit(&mut self, handler: impl AsyncFnOnce(&Session)) {
        let (exchange, session) = self.start().await;
        handler(&session).await;
        exchange.commit().await.unwrap();
        self.receive(&exchange.headers());
    }

    /// What a request of this browser sees.
    pub async fn get<T: serde::de::DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.start().await.1.get(key).unwrap()
    }

    pub async fn owner(&self) -> Option<Owner> {
        self.start().await.1.owner()
    }
}

/// Whether the response sets, removes or leaves the cookie.
pub fn sets_cookie(exchange: &Exchange) -> bool {
    exchange.headers().contains_key(header::SET_COOKIE)
}

pub fn add_one(session: &Session) -> i64 {
    session.update("n", |n: &mut i64| *n += 1).unwrap()
}
