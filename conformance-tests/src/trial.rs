//! A trial: the store under test, and the time that has passed for it.

use std::{
    collections::{BTreeSet, VecDeque},
    future::poll_fn,
    hash::{BuildHasher, Hasher, RandomState},
    panic::resume_unwind,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};
use tokio::sync::Barrier;

use crate::{
    Ran, Subject,
    watched::{Pulse, Watched},
};

/// How soon a session expires whose expiry a case waits for, if neither the store nor the machine is slow. It is long
/// enough for the few operations before.
const SOON: Duration = Duration::from_millis(500);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// How much a duration may be off, by rounding or because a database's clock is slewed.
const SLACK: Duration = Duration::from_millis(50);

/// One case on one store.
pub(crate) struct Trial<S: Subject> {
    subject: Arc<S>,
    namespace: String,
    store: Arc<Watched<S::Store>>,
    /// The same sessions, as another process has them. Calls at the same moment come from both in turn.
    second: Option<Arc<Watched<S::Store>>>,
    passed: Arc<Passed>,
    pulse: Arc<Pulse>,
}

/// The time that a case has let pass, and the time that it took.
pub(crate) struct Passed {
    waits: Mutex<Waits>,
    /// By how much the short times are multiplied in this attempt.
    scale: u32,
    /// Whether the case has asked for a short time. If so, its outcome depends on how long the calls take.
    is_timed: AtomicBool,
    /// Why the case has ended without a verdict.
    not_run: OnceLock<&'static str>,
}

#[derive(Clone, Copy, Default)]
struct Waits {
    asked: Duration,
    /// Real time spent in `Subject::pass`.
    spent: Duration,
}

/// A point in time: what is left of a duration is measured from it.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    at: Instant,
    asked: Duration,
}

pub(crate) const fn id(number: u128) -> SessionId {
    SessionId::from_bytes(number.to_be_bytes())
}

pub(crate) const fn revision(number: u64) -> Revision {
    Revision::from_bytes(number.to_be_bytes())
}

pub(crate) fn owner(name: impl AsRef<[u8]>) -> Owner {
    Owner::try_from(name.as_ref()).unwrap()
}

pub(crate) fn first() -> Entry<'static> {
    Entry::new(revision(1), b"the first write")
}

pub(crate) fn second() -> Entry<'static> {
    Entry::new(revision(2), b"the second write")
}

pub(crate) fn third() -> Entry<'static> {
    Entry::new(revision(3), b"the third write")
}

/// The answer of a store that has no reason to fail. An error fails the case.
pub(crate) fn answer<T>(method: &str, answer: Result<T, StoreError>) -> T {
    answer.unwrap_or_else(|error| {
        let hint = match error {
            StoreError::AlreadyExists => {
                ". No live session has this id: does `create` take an expired one for a live one, or does `Subject::open` \
                 not keep apart what it opens?"
            }
            StoreError::TimedOut { .. } => ". On a busy machine the store's own timeout may be too short for the test",
            _ => "",
        };
        panic!("`{method}` answered with an error where it has no reason to: {error:?}{hint}")
    })
}

/// A number that no other namespace of this process has.
fn number() -> u64 {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    OPENED.fetch_add(1, Ordering::Relaxed)
}

impl<S: Subject> Trial<S> {
    pub(crate) async fn new(subject: Arc<S>, passed: Arc<Passed>, pulse: Arc<Pulse>) -> Self {
        // The name is new for each run, because a database keeps the rows of the last run.
        let run = RandomState::new().build_hasher().finish();
        Self::in_namespace(subject, format!("kit_{run:016x}_{}", number()), passed, pulse).await
    }

    async fn in_namespace(subject: Arc<S>, namespace: String, passed: Arc<Passed>, pulse: Arc<Pulse>) -> Self {
        let store = subject.open(&namespace).await;
        Self::over(store, subject, namespace, passed, pulse)
    }

    fn over(store: S::Store, subject: Arc<S>, namespace: String, passed: Arc<Passed>, pulse: Arc<Pulse>) -> Self {
        pulse.beat();
        let store = Arc::new(Watched::new(store, Arc::clone(&pulse)));
        Self { subject, namespace, store, second: None, passed, pulse }
    }

    /// A trial in another namespace, of a store that was opened in a way that not every subject has. Where it has not, the
    /// case is not run.
    fn over_if_any(&self, opened: Result<S::Store, &'static str>, namespace: String, method: &str) -> Option<Self> {
        let store = self.or_not_run(opened, method)?;
        let (subject, passed, pulse) = (Arc::clone(&self.subject), Arc::clone(&self.passed), Arc::clone(&self.pulse));
        Some(Self::over(store, subject, namespace, passed, pulse))
    }

    /// A trial whose calls get no answer.
    pub(crate) async fn unanswered(&self) -> Option<Self> {
        let namespace = self.another_namespace();
        self.over_if_any(self.subject.open_unanswered(&namespace).await, namespace, "open_unanswered")
    }

    /// A trial in a database that is soon full.
    pub(crate) async fn with_little_room(&self) -> Option<Self> {
        let namespace = self.another_namespace();
        self.over_if_any(self.subject.open_with_little_room(&namespace).await, namespace, "open_with_little_room")
    }

    /// How long a call may take that gets no answer.
    pub(crate) fn patience(&self) -> Duration {
        self.subject.deadline() / 4
    }

    /// What the subject has, or else takes note of why the case is not run.
    fn or_not_run<T>(&self, has: Result<T, &'static str>, method: &str) -> Option<T> {
        has.map_err(|reason| {
            assert!(!reason.trim().is_empty(), "`Subject::{method}` gives no reason");
            self.passed.not_run.set(reason).unwrap_or_default();
        })
        .ok()
    }

    /// The name of another namespace, which begins like that of this one.
    pub(crate) fn another_namespace(&self) -> String {
        format!("{}_{}", self.namespace, number())
    }

    /// What a process has that opens this namespace.
    pub(crate) fn open(&self, namespace: &str) -> impl Future<Output = Self> + Send + use<S> {
        let (subject, passed, pulse) = (Arc::clone(&self.subject), Arc::clone(&self.passed), Arc::clone(&self.pulse));
        Self::in_namespace(subject, namespace.to_owned(), passed, pulse)
    }

    /// The same sessions, as another process has them.
    pub(crate) async fn at_another_process(&self) -> Self {
        self.open(&self.namespace).await
    }

    /// A trial in another namespace, which two processes have.
    pub(crate) async fn at_two_processes(&self) -> Self {
        let first = self.open(&self.another_namespace()).await;
        let second = first.at_another_process().await.store;
        Self { second: Some(second), ..first }
    }

    pub(crate) fn store(&self) -> Arc<Watched<S::Store>> {
        Arc::clone(&self.store)
    }

    /// The store of the caller of this number, among callers at the same moment.
    pub(crate) fn store_of(&self, caller: u64) -> Arc<Watched<S::Store>> {
        Arc::clone(self.second.as_ref().filter(|_| caller % 2 == 1).unwrap_or(&self.store))
    }

    /// How soon a session expires whose expiry the case waits for.
    pub(crate) fn soon(&self) -> Duration {
        self.short(SOON)
    }

    /// A time within which the case must finish some calls. It is longer in later attempts, after slow calls.
    pub(crate) fn short(&self, time: Duration) -> Duration {
        self.passed.is_timed.store(true, Ordering::Relaxed);
        time * self.passed.scale
    }

    pub(crate) async fn create(&self, id: SessionId, entry: Entry<'_>, expires_in: Duration, ends_in: Duration) {
        answer("create", self.store.create(&id, entry, expires_in, ends_in).await);
    }

    /// Makes the session for an hour of a day, and then loads the other.
    pub(crate) async fn create_then_load(&self, id: SessionId, entry: Entry<'_>, then: SessionId) -> Option<Loaded> {
        let made = self.store.create_then_load(&id, entry, HOUR, DAY, &then).await;
        answer("the load of `create_then_load`", answer("create_then_load", made))
    }

    pub(crate) async fn load(&self, id: SessionId) -> Option<Loaded> {
        answer("load", self.store.load(&id).await)
    }

    /// Loads a session that must be there.
    pub(crate) async fn loaded(&self, id: SessionId) -> Loaded {
        self.load(id).await.unwrap_or_else(|| panic!("the session {id} is live, but `load` found nothing"))
    }

    pub(crate) async fn replace(&self, id: SessionId, expected: u64, entry: Entry<'_>, expiry: Expiry) -> bool {
        answer("replace", self.store.replace(&id, revision(expected), entry, expiry).await)
    }

    pub(crate) async fn touch(&self, id: SessionId, expected: u64, expires_in: Duration) -> bool {
        answer("touch", self.store.touch(&id, revision(expected), expires_in).await)
    }

    pub(crate) async fn delete(&self, id: SessionId, expected: u64) -> bool {
        answer("delete", self.store.delete(&id, revision(expected)).await)
    }

    pub(crate) async fn must_replace(&self, id: SessionId, expected: u64, entry: Entry<'_>, expiry: Expiry) {
        let replaced = self.replace(id, expected, entry, expiry).await;
        assert!(replaced, "a live session was not replaced under its revision: {id}, with {expiry:?}");
    }

    pub(crate) async fn must_touch(&self, id: SessionId, expected: u64, expires_in: Duration) {
        let touched = self.touch(id, expected, expires_in).await;
        assert!(touched, "a live session was not touched under its revision: {id}, for {expires_in:?}");
    }

    pub(crate) async fn must_delete(&self, id: SessionId, expected: u64) {
        assert!(self.delete(id, expected).await, "a live session was not deleted under its revision: {id}");
    }

    pub(crate) async fn list(&self, owner: &Owner) -> Vec<(SessionId, Loaded)> {
        answer("list", self.store.list(owner).await)
    }

    /// The ids that the owner's list shows, each once.
    pub(crate) async fn listed(&self, owner: &Owner) -> BTreeSet<SessionId> {
        let list = self.list(owner).await;
        let ids: BTreeSet<_> = list.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.len(), list.len(), "`list` showed a session twice");
        ids
    }

    pub(crate) async fn revoke(&self, owner: &Owner, keep: Option<SessionId>) -> u64 {
        answer("revoke", self.store.revoke(owner, keep.as_ref()).await)
    }

    pub(crate) async fn purge(&self, limit: u32) -> u64 {
        answer("purge", self.store.purge(limit).await)
    }

    /// Loses the answer to the next call that names this session. Where the subject cannot, the case is not run.
    pub(crate) async fn loses_the_answer(&self, to: SessionId) -> bool {
        self.or_not_run(self.subject.lose_the_answer(&to).await, "lose_the_answer").is_some()
    }

    /// Lets this much time pass, and a little more, because a database's clock may be slewed.
    pub(crate) async fn pass(&self, time: Duration) {
        let start = Instant::now();
        let time = time + SLACK;
        self.subject.pass(time).await;
        self.pulse.beat();
        let mut waits = self.passed.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.asked += time;
        waits.spent += start.elapsed();
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { at: Instant::now(), asked: self.passed.waits().asked }
    }

    /// Checks what is left of a duration that was given after `since`.
    #[track_caller]
    pub(crate) fn assert_left(&self, what: &str, left: Duration, given: Duration, since: Mark) {
        let passed = self.passed.waits().asked - since.asked;
        let most = given.saturating_sub(passed) + Duration::from_millis(1);
        let hint = if passed > SLACK && left + SLACK > given {
            ". Either the write began the time again, or no time has passed: does `Subject::pass` let it?"
        } else {
            ""
        };
        assert!(left <= most, "{what}: at most {most:?} must be left of {given:?}, these are {left:?}{hint}");
        self.assert_left_at_least(what, left, given, since);
    }

    #[track_caller]
    pub(crate) fn assert_left_at_least(&self, what: &str, left: Duration, given: Duration, since: Mark) {
        let passed = self.passed.waits().asked - since.asked + since.at.elapsed();
        let least = given.saturating_sub(passed + SLACK);
        assert!(left >= least, "{what}: at least {least:?} must be left of {given:?}, these are {left:?}");
    }

    /// Checks that nothing makes the session appear any more.
    pub(crate) async fn assert_gone(&self, id: SessionId, owner: &Owner, after: &str) {
        let loaded = self.load(id).await;
        assert!(loaded.is_none(), "{after}: `load` found the session that is gone: {loaded:?}");
        assert!(!self.listed(owner).await.contains(&id), "{after}: `list` showed the session that is gone");
    }

    /// Runs the work this many times at once, and returns all answers. In even rounds each runs in a task of its own,
    /// on several threads. In odd rounds all run in one task, which goes on to the next work whenever one waits. Each
    /// round begins with another one.
    pub(crate) async fn together<T, F, W>(&self, round: u128, count: u64, work: F) -> Vec<T>
    where
        F: Fn(u64, Arc<Watched<S::Store>>) -> W,
        W: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let works = (0..count).map(|number| work(number, self.store_of(number))).collect();
        let first = usize::try_from(round / 2).unwrap() % usize::try_from(count).unwrap();
        if round.is_multiple_of(2) { in_tasks(works, first).await } else { in_turn(works, first).await }
    }
}

/// Runs them at once, each in a task of its own. The one of this number begins.
pub(crate) async fn in_tasks<T: Send + 'static>(
    works: Vec<impl Future<Output = T> + Send + 'static>,
    first: usize,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(works.len()));
    let spawn = |work| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            work.await
        })
    };
    let mut works: VecDeque<_> = works.into();
    works.rotate_left(first);
    let mut handles: VecDeque<_> = works.into_iter().map(spawn).collect();
    handles.rotate_right(first);
    let mut answers = Vec::with_capacity(handles.len());
    for handle in handles {
        answers.push(handle.await.unwrap_or_else(|error| resume_unwind(error.into_panic())));
    }
    answers
}

async fn in_turn<T>(works: Vec<impl Future<Output = T>>, first: usize) -> Vec<T> {
    let mut works: Vec<_> = works.into_iter().map(|work| (Box::pin(work), None)).collect();
    works.rotate_left(first);
    poll_fn(|context| {
        for (work, answer) in works.iter_mut().filter(|(_, answer)| answer.is_none()) {
            if let Poll::Ready(ready) = work.as_mut().poll(context) {
                *answer = Some(ready);
            }
        }
        if works.iter().all(|(_, answer)| answer.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    works.rotate_right(first);
    works.into_iter().filter_map(|(_, answer)| answer).collect()
}

impl Passed {
    pub(crate) fn new(scale: u32) -> Self {
        Self { waits: Mutex::default(), scale, is_timed: AtomicBool::new(false), not_run: OnceLock::new() }
    }

    /// How a case has ended that has not failed.
    pub(crate) fn ran(&self) -> Ran {
        self.not_run.get().map_or(Ran::Passed, |reason| Ran::NotRun(reason))
    }

    fn waits(&self) -> Waits {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the calls of a case with short times were slow, so that a session may have expired before its time. Then the
    /// failure says nothing about the store.
    pub(crate) fn too_slow(&self, start: Instant) -> bool {
        let waits = self.waits();
        let work = start.elapsed().saturating_sub(waits.spent);
        let overslept = waits.spent.saturating_sub(waits.asked);
        self.is_timed.load(Ordering::Relaxed) && work + overslept > SOON * self.scale / 3
    }
}
