//! Load and replace, against the plain statements of the driver: how many there are in a second, and in a second of CPU time.

use std::{
    cell::{LazyCell, RefCell},
    ops::Deref,
    process,
    time::{Duration, Instant},
};

use benchmarks::{cpu_of, cpu_since, in_turn};
use criterion::{Bencher, BenchmarkGroup, Criterion, measurement::WallTime};
use tokio::runtime::Runtime;

use crate::{
    session::Session,
    table::{Backend, Plain},
};

/// How many clients work at once. A small server sees about as many.
const CLIENTS: usize = 16;

/// How many clients a busy server has at once.
const MANY: usize = 64;

/// How many sessions each client has. It uses each once in a window.
const SESSIONS: usize = 8;

/// How many operations a window has at least whose CPU time is measured. Of few of them the system tells it too roughly.
const IN_A_WINDOW: usize = 512;

/// Measures the throughput of the store in parts of the driver's, for one client and for many at once. A benchmark whose
/// name ends in `by CPU` measures the same for a second of CPU time.
pub(crate) fn measure<B: Backend<Table: Plain>>(
    criterion: &mut Criterion,
    runtime: &Runtime,
    backend: &impl Deref<Target = B>,
) {
    let site = LazyCell::new(|| runtime.block_on(Site::on(&**backend)));
    let mut group = group::<B>(criterion);
    for (name, clients) in [("", 1), (" at once", CLIENTS), (" by many at once", MANY)] {
        for (cost, by) in [(Cost::Time, ""), (Cost::Cpu, " by CPU")] {
            group.bench_function(format!("load{name}{by}"), |bencher| {
                site.compare(bencher, runtime, (clients, cost), Session::read, Session::load);
            });
            group.bench_function(format!("replace{name}{by}"), |bencher| {
                site.compare(bencher, runtime, (clients, cost), Session::write, Session::replace);
            });
        }
    }
}

/// The same for the writes of many clients, on a server that does not wait for the disk.
pub(crate) fn measure_without_disk<B: Backend<Table: Plain>>(
    criterion: &mut Criterion,
    runtime: &Runtime,
    backend: &impl Deref<Target = B>,
) {
    let site = LazyCell::new(|| runtime.block_on(Site::on(&**backend)));
    group::<B>(criterion).bench_function("replace at once without disk", |bencher| {
        site.compare(bencher, runtime, (CLIENTS, Cost::Time), Session::write, Session::replace);
    });
}

/// Measures the server's CPU time of writes of large payloads, in parts of the driver's.
pub(crate) fn measure_large<B: Backend<Table: Plain>>(
    criterion: &mut Criterion,
    runtime: &Runtime,
    backend: &impl Deref<Target = B>,
) {
    let mut group = group::<B>(criterion);
    for (name, size) in [("8 KiB", 8 << 10), ("66 KiB", 66 << 10)] {
        let site = LazyCell::new(|| runtime.block_on(Site::of_large(&**backend, size)));
        group.bench_function(format!("replace of {name}"), |bencher| {
            let [mut plain, mut stored] = site.sessions.take();
            let processes = backend.processes();
            let driver = async || {
                let before = cpu_of(&processes);
                at_once(&mut plain, &site.table, Session::write).await;
                cpu_since(&processes, before)
            };
            let store = async || {
                let before = cpu_of(&processes);
                at_once(&mut stored, &site.table, Session::replace).await;
                cpu_since(&processes, before)
            };
            in_turn(bencher, runtime, store, driver);
            site.sessions.replace([plain, stored]);
        });
    }
}

fn group<B: Backend>(criterion: &mut Criterion) -> BenchmarkGroup<'_, WallTime> {
    let mut group = criterion.benchmark_group(B::NAME);
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300)).sample_size(10);
    group
}

/// What is compared.
#[derive(Clone, Copy)]
enum Cost {
    Time,
    /// The CPU time of this process and of the server.
    Cpu,
}

/// A table with the sessions of all clients.
struct Site<T> {
    table: T,
    /// This process and those of the server.
    processes: Vec<u32>,
    /// The sessions of each client: those for the driver, and those for the store.
    sessions: RefCell<[Vec<Vec<Session>>; 2]>,
}

impl<T: Plain> Site<T> {
    async fn on<B: Backend<Table = T>>(backend: &B) -> Self {
        let sessions = (0..MANY * SESSIONS).map(Session::new).collect();
        Self::with(backend, "throughput", sessions).await
    }

    async fn of_large<B: Backend<Table = T>>(backend: &B, size: usize) -> Self {
        let sessions = (0..CLIENTS * SESSIONS).map(|number| Session::sized(number, size)).collect();
        Self::with(backend, &format!("large{size}"), sessions).await
    }

    async fn with<B: Backend<Table = T>>(backend: &B, table: &str, stored: Vec<Session>) -> Self {
        let table = backend.table(table).await;
        let processes = [backend.processes(), vec![process::id()]].concat();
        let plain: Vec<_> = stored.iter().map(|session| session.beside()).collect();
        for (stored, plain) in stored.iter().zip(&plain) {
            stored.create(table.store()).await;
            plain.write(table.clone()).await;
        }
        let of_clients = |sessions: Vec<Session>| sessions.chunks(SESSIONS).map(<[Session]>::to_vec).collect();
        Self { table, processes, sessions: RefCell::new([plain, stored].map(of_clients)) }
    }

    /// Measures how many times as much it costs this many clients at once by the driver as by the store.
    fn compare<F, G>(
        &self,
        bencher: &mut Bencher<'_>,
        runtime: &Runtime,
        (clients, cost): (usize, Cost),
        by_driver: impl Fn(Session, T) -> F + Copy + Send + 'static,
        by_store: impl Fn(Session, T) -> G + Copy + Send + 'static,
    ) where
        F: Future<Output = Session> + Send,
        G: Future<Output = Session> + Send,
    {
        let [mut plain, mut stored] = self.sessions.take();
        let driver = async || self.window(&mut plain[..clients], cost, by_driver).await;
        let store = async || self.window(&mut stored[..clients], cost, by_store).await;
        in_turn(bencher, runtime, driver, store);
        self.sessions.replace([plain, stored]);
    }

    /// What it costs the clients to do this to each of their sessions.
    async fn window<F: Future<Output = Session> + Send>(
        &self,
        clients: &mut [Vec<Session>],
        cost: Cost,
        operation: impl Fn(Session, T) -> F + Copy + Send + 'static,
    ) -> Duration {
        match cost {
            Cost::Time => at_once(clients, &self.table, operation).await,
            Cost::Cpu => {
                let before = cpu_of(&self.processes);
                for _ in 0..IN_A_WINDOW.div_ceil(clients.len() * SESSIONS) {
                    at_once(clients, &self.table, operation).await;
                }
                cpu_since(&self.processes, before)
            }
        }
    }
}

/// How long the clients take at once. Each does this to each of its sessions in turn.
async fn at_once<T: Plain, F: Future<Output = Session> + Send>(
    clients: &mut [Vec<Session>],
    table: &T,
    operation: impl Fn(Session, T) -> F + Copy + Send + 'static,
) -> Duration {
    let start = Instant::now();
    let tasks: Vec<_> = clients
        .iter_mut()
        .map(|client| {
            let (mut sessions, table) = (std::mem::take(client), table.clone());
            tokio::spawn(async move {
                for session in &mut sessions {
                    *session = operation(*session, table.clone()).await;
                }
                sessions
            })
        })
        .collect();
    for (client, task) in clients.iter_mut().zip(tasks) {
        *client = task.await.unwrap();
    }
    start.elapsed()
}
