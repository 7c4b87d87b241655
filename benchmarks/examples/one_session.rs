//! Sixteen writers on one session: how many tries a write needs, how many writes a second are exact, and how long one takes.
//!
//! `cargo run --profile bench -p benchmarks --example one_session`, with the number of rounds, and then `two` if the writers are in
//! two processes. A round is half a second on each store. It prints the medians, with the quartiles.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, header};
use session_conformance::servers;
use session_core::{
    Entry, Expiry, Key, Keyring, Loaded, Owner, Revision, SessionId, SessionManager, Store, StoreError, async_trait,
};
use session_memory::MemoryStore;
use session_redis::RedisStore;
use tokio::runtime::Builder;

const WRITERS: usize = 16;
const ROUND: Duration = Duration::from_millis(500);

/// A store whose replaces are counted.
#[derive(Clone, Debug)]
struct Counted {
    store: Arc<dyn Store>,
    replaces: Arc<AtomicU64>,
}

#[async_trait]
impl Store for Counted {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.store.create(id, entry, expires_in, ends_in).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.store.load(id).await
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.replaces.fetch_add(1, Ordering::Relaxed);
        self.store.replace(id, expected, entry, expiry).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.store.touch(id, expected, expires_in).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.store.delete(id, expected).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.store.list(owner).await
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.store.revoke(owner, keep).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.store.purge(limit).await
    }

    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        self.store.create_then_load(id, entry, expires_in, ends_in, then).await
    }

    fn backend(&self) -> &'static str {
        self.store.backend()
    }
}

/// The processes of a site, each a manager of its own over one database.
struct Site {
    managers: Vec<SessionManager>,
    replaces: Arc<AtomicU64>,
    request: Request<()>,
    written: u64,
}

impl Site {
    async fn new(stores: Vec<Arc<dyn Store>>) -> Self {
        let key = Key::generate().unwrap();
        let replaces = Arc::new(AtomicU64::new(0));
        let manager = |store| {
            let counted = Counted { store, replaces: Arc::clone(&replaces) };
            SessionManager::new(counted, Keyring::new(key.clone()))
        };
        let managers: Vec<_> = stores.into_iter().map(manager).collect();
        let exchange = managers[0].open(&Request::new(()));
        exchange.session().await.unwrap().insert("n", &0_u64).unwrap();
        exchange.commit().await.unwrap();
        let cookie = exchange.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let mut request = Request::new(());
        request.headers_mut().insert(header::COOKIE, HeaderValue::from_str(&cookie).unwrap());
        Self { managers, replaces, request, written: 0 }
    }

    /// Checks that each write is there, and returns the writes a second, the tries a write, and the median and the 99th
    /// percentile of how long a request takes, in milliseconds.
    async fn round(&mut self) -> [f64; 4] {
        self.replaces.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        let tasks: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (manager, request) = (self.managers[number % self.managers.len()].clone(), self.request.clone());
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    while begun.elapsed() < ROUND {
                        let start = Instant::now();
                        let exchange = manager.open(&request);
                        exchange.session().await.unwrap().update("n", |n: &mut u64| *n += 1).unwrap();
                        exchange.commit().await.unwrap();
                        times.push(start.elapsed());
                        tokio::task::yield_now().await;
                    }
                    times
                })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        let elapsed = begun.elapsed().as_secs_f64();
        times.sort_unstable();
        let writes = times.len() as u64;
        self.written += writes;
        let exchange = self.managers[0].open(&self.request);
        let stored = exchange.session().await.unwrap().get::<u64>("n").unwrap();
        assert_eq!(stored, Some(self.written), "a write is lost");
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        [
            writes as f64 / elapsed,
            self.replaces.load(Ordering::Relaxed) as f64 / writes as f64,
            milliseconds(times[times.len() / 2]),
            milliseconds(times[times.len() * 99 / 100]),
        ]
    }
}

fn print(name: &str, rounds: &[[f64; 4]]) {
    println!("{WRITERS} writers on one session, {name}, {} rounds, every write exact", rounds.len());
    for (at, what) in ["writes a second", "tries a write", "median, ms", "99th percentile, ms"].into_iter().enumerate()
    {
        let mut values: Vec<_> = rounds.iter().map(|round| round[at]).collect();
        values.sort_unstable_by(f64::total_cmp);
        let quarter = |of: usize| values[(values.len() - 1) * of / 4];
        println!("  {what:<20} {:>9.2}  ({:.2} to {:.2})", quarter(2), quarter(1), quarter(3));
    }
}

fn main() {
    let mut arguments = env::args().skip(1);
    let rounds = arguments.next().map_or(9, |rounds| rounds.parse().unwrap());
    let processes = if arguments.next().is_some_and(|number| number == "two") { 2 } else { 1 };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = servers::own_redis(&[]);
    runtime.block_on(async {
        let memory = MemoryStore::new();
        let in_memory = (0..processes).map(|_| Arc::new(memory.clone()) as Arc<dyn Store>);
        let mut in_memory = Site::new(in_memory.collect()).await;
        let mut stores: Vec<Arc<dyn Store>> = Vec::new();
        for _ in 0..processes {
            stores.push(Arc::new(RedisStore::connect(server.url()).await.unwrap()));
        }
        let mut on_redis = Site::new(stores).await;
        let (mut of_memory, mut of_redis) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            of_memory.push(in_memory.round().await);
            of_redis.push(on_redis.round().await);
        }
        print("memory", &of_memory);
        print("redis", &of_redis);
    });
}
