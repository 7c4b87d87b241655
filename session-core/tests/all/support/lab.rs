//! A memory store whose calls a test can hold, lose, repeat and fail.

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
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError, async_trait};
use session_memory::MemoryStore;
use tokio::sync::Semaphore;

/// The kind of a call: a method of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
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
pub(crate) enum Fault {
    /// The call never arrives.
    Fails,
    /// The call is applied, but its answer is lost.
    LosesReply,
    /// The caller gives up, and the call is applied when the test says so.
    ArrivesLate,
    /// The call waits before it is applied.
    Held(Gate),
    /// The call is applied, its answer waits.
    ReplyHeld(Gate),
    /// The task that makes the call ends, before or after it is applied.
    Panics { is_applied: bool },
    /// Another request acts before the call is applied.
    After(Deed),
}

/// Holds a call until the test lets it go.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { reached: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    /// Waits until the call has come.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    pub(crate) fn open(&self) {
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

/// A memory store behind a wire that a test can cut.
#[derive(Clone)]
pub(crate) struct Lab {
    pub(crate) memory: MemoryStore,
    faults: Arc<Mutex<VecDeque<(Call, Fault)>>>,
    calls: Arc<Mutex<Vec<Call>>>,
    late: Arc<Mutex<Vec<Packet>>>,
    down: Arc<AtomicBool>,
    silent: Arc<Mutex<Option<Duration>>>,
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lab")
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            memory: MemoryStore::default(),
            faults: Arc::default(),
            calls: Arc::default(),
            late: Arc::default(),
            down: Arc::default(),
            silent: Arc::default(),
        }
    }

    /// Lets the next such call meet this fault.
    pub(crate) fn next(&self, call: Call, fault: Fault) {
        self.faults.lock().unwrap().push_back((call, fault));
    }

    pub(crate) fn hold(&self, call: Call) -> Gate {
        let gate = Gate::new();
        self.next(call, Fault::Held(gate.clone()));
        gate
    }

    pub(crate) fn hold_reply(&self, call: Call) -> Gate {
        let gate = Gate::new();
        self.next(call, Fault::ReplyHeld(gate.clone()));
        gate
    }

    /// Before the next such call is applied, another request does this.
    pub(crate) fn before_next<F>(&self, call: Call, deed: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.next(call, Fault::After(Arc::new(move || Box::pin(deed()))));
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// From now on no call is answered. Each fails after this timeout of the driver.
    pub(crate) fn set_silent(&self, timeout: Option<Duration>) {
        *self.silent.lock().unwrap() = timeout;
    }

    /// Lets the late packets arrive now. Returns for each whether it still had an effect.
    pub(crate) async fn deliver_late(&self) -> Vec<bool> {
        let packets = std::mem::take(&mut *self.late.lock().unwrap());
        let mut applied = Vec::new();
        for packet in packets {
            applied.push(packet(self.memory.clone()).await);
        }
        applied
    }

    /// The calls since this was last asked.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.memory.advance(time);
    }

    pub(crate) async fn payload(&self, id: &SessionId) -> Option<Bytes> {
        self.memory.load(id).await.unwrap().map(|loaded| loaded.payload)
    }

    /// Checks that no fault that a test has set was left unused.
    pub(crate) fn assert_all_met(&self) {
        let left: Vec<_> = self.faults.lock().unwrap().iter().map(|(call, _)| *call).collect();
        assert!(left.is_empty(), "these faults never happened: {left:?}");
    }

    /// Removes the faults that a test has set and no call has met.
    pub(crate) fn forget_faults(&self) {
        self.faults.lock().unwrap().clear();
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
        // Other tasks run here, as they would while a network call is on its way.
        tokio::task::yield_now().await;
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("lab", io::Error::other("the store is down")));
        }
        let silent = *self.silent.lock().unwrap();
        if let Some(timeout) = silent {
            tokio::time::sleep(timeout).await;
            return Err(StoreError::timed_out("lab", io::Error::other("the store is silent")));
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
            Some(Fault::Panics { is_applied }) => {
                if is_applied {
                    let _ = apply().await;
                }
                panic!("the driver of the store has a bug")
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

    fn backend(&self) -> &'static str {
        self.memory.backend()
    }
}
