//! The cost of a request on the memory store, compared with a floor that is measured in the same run.
//!
//! `cargo xtask bench` runs this and prints the ratios. The floor is the work that no design of ours can avoid: the MAC
//! of the cookie and the hash of the secret.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::{
    cell::LazyCell,
    hint::black_box,
    time::{Duration, Instant},
};

use benchmarks::in_turn;
use criterion::{Bencher, Criterion, Throughput};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Request, header};
use serde::{Deserialize, Serialize};
use session_core::{Format, Key, Keyring, SessionManager, Store};
use session_memory::MemoryStore;
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};

const NAME: &str = "__Host-session";
const TOKEN_LENGTH: usize = 70;

/// How many requests run at once. A small server sees about as many.
const TASKS: usize = 16;

/// Every format that is built in.
const FORMATS: &[Format] = &[
    Format::Json,
    #[cfg(feature = "messagepack")]
    Format::MessagePack,
    #[cfg(feature = "bincode")]
    Format::Bincode,
];

/// What a shop keeps of a visitor.
#[derive(Serialize, Deserialize)]
struct Cart {
    currency: String,
    items: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    product: u64,
    name: String,
    count: u32,
    price: f64,
}

/// A site on a store of its own.
#[derive(Clone)]
struct Site(SessionManager);

impl Site {
    fn new() -> Self {
        Self(SessionManager::new(MemoryStore::new(), Keyring::new(Key::generate().unwrap())))
    }

    /// Makes a session with a counter and this many values of this many bytes. Returns the request of its browser.
    async fn visitor(&self, values: usize, bytes: usize) -> Request<()> {
        request(&self.cookie(values, bytes).await)
    }

    async fn cookie(&self, values: usize, bytes: usize) -> String {
        let exchange = self.0.open(&Request::new(()));
        let session = exchange.session().await.unwrap();
        session.insert("visits", &0_u64).unwrap();
        for value in 0..values {
            session.insert(&format!("value {value}"), &"x".repeat(bytes)).unwrap();
        }
        exchange.commit().await.unwrap();
        let headers = exchange.headers();
        headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    /// A hundred sessions, with this many others between each and the next.
    async fn browsers(&self, others: usize) -> Vec<Request<()>> {
        let mut cookies = Vec::new();
        for _ in 0..100 {
            cookies.push(self.cookie(0, 0).await);
            for _ in 0..others {
                self.cookie(0, 0).await;
            }
        }
        // The requests are made only now, so they lie side by side in memory. Otherwise the other sessions would lie
        // between them, too.
        cookies.iter().map(|cookie| request(cookie)).collect()
    }

    async fn read(&self, request: &Request<()>) {
        let exchange = self.0.open(request);
        let session = exchange.session().await.unwrap();
        black_box(session.get::<u64>("visits").unwrap());
        exchange.commit().await.unwrap();
    }

    async fn change(&self, request: &Request<()>) {
        let exchange = self.0.open(request);
        let session = exchange.session().await.unwrap();
        black_box(session.update("visits", |visits: &mut u64| *visits += 1).unwrap());
        exchange.commit().await.unwrap();
    }
}

fn request(cookie: &str) -> Request<()> {
    let mut request = Request::new(());
    request.headers_mut().insert(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
    request
}

/// How many requests are timed together. A window is so short that a busy machine interrupts few of them.
const WINDOW: u64 = 50;

/// The time of one window.
async fn window<F: Future>(mut request: impl FnMut() -> F) -> Duration {
    let start = Instant::now();
    for _ in 0..WINDOW {
        request().await;
    }
    start.elapsed()
}

/// Measures a future, without the cost of entering the runtime for each. It takes the median of short windows. The mean
/// would not do, because interruptions lengthen it, and never equally for two benchmarks.
fn each<F: Future<Output = ()>>(bencher: &mut Bencher<'_>, runtime: &Runtime, mut request: impl FnMut() -> F) {
    bencher.iter_custom(|times| {
        runtime.block_on(async {
            let mut windows = Vec::new();
            for _ in 0..times.div_ceil(WINDOW) {
                windows.push(window(&mut request).await);
            }
            windows.sort_unstable();
            windows[windows.len() / 2].mul_f64(times as f64 / WINDOW as f64)
        })
    });
}

/// Measures the floor, and then one request at a time.
fn requests(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = criterion.benchmark_group("request");

    let key = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    let (token, secret) = ("A".repeat(TOKEN_LENGTH), [7; 32]);
    let mac_of = |token: &str| key.clone().chain_update(NAME).chain_update("=").chain_update(token);
    let mac = mac_of(&token).finalize().into_bytes();
    let floor = async || {
        mac_of(black_box(&token)).verify_slice(&mac).unwrap();
        black_box(Sha256::digest(black_box(secret)));
    };
    group.bench_function("floor", |bencher| each(bencher, &runtime, floor));

    let site = Site::new();
    let request = runtime.block_on(site.visitor(0, 0));
    group.bench_function("unchanged to floor", |bencher| {
        in_turn(bencher, &runtime, async || window(|| site.read(&request)).await, async || window(floor).await);
    });
    let ignored = runtime.block_on(site.visitor(0, 0));
    group.bench_function("not asked for", |bencher| {
        each(bencher, &runtime, async || {
            site.0.open(&ignored).commit().await.unwrap();
        });
    });
    for (size, values, bytes) in [("", 0, 0), (" 1 KiB", 8, 112), (" 64 KiB", 64, 1008)] {
        let request = runtime.block_on(site.visitor(values, bytes));
        group.bench_function(format!("unchanged{size}"), |bencher| each(bencher, &runtime, || site.read(&request)));
        group.bench_function(format!("changed{size}"), |bencher| each(bencher, &runtime, || site.change(&request)));
    }
}

/// Measures a request that reads a cart of twenty items, changes one and puts it back, in each format.
fn formats(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = criterion.benchmark_group("cart of 20 items");
    let item = |product| Item { product, name: format!("product {product}"), count: 1, price: 9.99 };
    for format in FORMATS {
        let store = MemoryStore::new();
        let keys = Keyring::new(Key::generate().unwrap());
        let site = Site(SessionManager::new(store.clone(), keys).with_format(*format));
        let request = runtime.block_on(site.visitor(0, 0));
        let cart = Cart { currency: "EUR".to_owned(), items: (0..20).map(item).collect() };
        let size = runtime.block_on(async {
            let exchange = site.0.open(&request);
            let session = exchange.session().await.unwrap();
            session.insert("cart", &Some(&cart)).unwrap();
            exchange.commit().await.unwrap();
            store.load(&session.id().unwrap()).await.unwrap().unwrap().payload.len()
        });
        println!("cart of 20 items: a session of {size} bytes as {format:?}");
        group.bench_function(format!("{format:?}"), |bencher| {
            each(bencher, &runtime, async || {
                let exchange = site.0.open(&request);
                let session = exchange.session().await.unwrap();
                session
                    .update("cart", |cart: &mut Option<Cart>| {
                        if let Some(item) = cart.as_mut().and_then(|cart| cart.items.first_mut()) {
                            item.count += 1;
                        }
                    })
                    .unwrap();
                exchange.commit().await.unwrap();
            });
        });
    }
}

/// Measures many requests at once: each on a session of its own, and all on the same session.
fn parallel(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let mut group = criterion.benchmark_group("parallel");
    group.throughput(Throughput::Elements(TASKS as u64));
    let site = Site::new();
    let many: Vec<_> = (0..TASKS).map(|_| runtime.block_on(site.visitor(0, 0))).collect();
    let one = vec![many[0].clone(); TASKS];
    for (sessions, requests) in [("many", &many), ("one", &one)] {
        for (action, changes) in [("unchanged", false), ("changed", true)] {
            group.bench_function(format!("{action} {sessions}"), |bencher| {
                bencher.iter_custom(|times| runtime.block_on(at_once(&site, requests, changes, times)));
            });
        }
    }
}

/// Lets each task make its request this many times.
async fn at_once(site: &Site, requests: &[Request<()>], changes: bool, times: u64) -> Duration {
    let start = Instant::now();
    let tasks = requests.iter().cloned().map(|request| {
        let site = site.clone();
        tokio::spawn(async move {
            for _ in 0..times {
                if changes {
                    site.change(&request).await;
                } else {
                    site.read(&request).await;
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    start.elapsed()
}

/// The same hundred browsers, on a store of a thousand sessions and on one of a hundred thousand. So this compares how
/// the store finds a session, and not how much fits into the processor's cache.
fn stored(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = criterion.benchmark_group("stored");
    let (few, many) = (Site::new(), Site::new());
    // The stores are made only when they are measured, so nobody waits for them with a filter for another benchmark.
    let among_few = LazyCell::new(|| runtime.block_on(few.browsers(9)));
    let among_many = LazyCell::new(|| runtime.block_on(many.browsers(999)));
    group.bench_function("100000 to 1000", |bencher| {
        let (mut among_few, mut among_many) = (among_few.iter().cycle(), among_many.iter().cycle());
        let mut read_many = || many.read(among_many.next().unwrap());
        let mut read_few = || few.read(among_few.next().unwrap());
        in_turn(bencher, &runtime, async || window(&mut read_many).await, async || window(&mut read_few).await);
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    requests(&mut criterion);
    formats(&mut criterion);
    parallel(&mut criterion);
    stored(&mut criterion);
    criterion.final_summary();
}
