//! The cost of a purge and of a list as the number of sessions grows.

use std::{
    cell::{Cell, LazyCell, RefCell},
    collections::VecDeque,
    ops::Deref,
    time::Duration,
};

use benchmarks::{cpu_of, cpu_since, in_turn};
use criterion::{Criterion, SamplingMode};
use futures_util::{StreamExt, stream};
use session_core::Store;
use tokio::runtime::Runtime;

use crate::{
    session::{HOUR, OWNER, Session, time},
    table::{Backend, Life, Table},
};

const FEW: u32 = 1_000;
const MANY: u32 = 100_000;

/// How many devices the owner has whose sessions are listed.
const DEVICES: usize = 5;

/// How many sessions have expired if few have.
const EXPIRED: u32 = 10;

/// How many sessions one call purges at most. The stores' own tasks ask for as many.
const AT_ONCE: u32 = 500;

/// How many of the many are purged in one window: about an eleventh.
const PART: u32 = 9_000;

/// Measures how many times as long it takes with many sessions as with few.
pub(crate) fn measure<B: Backend>(criterion: &mut Criterion, runtime: &Runtime, backend: &impl Deref<Target = B>) {
    let live = LazyCell::new(|| runtime.block_on(Live::on(&**backend)));
    let mut group = criterion.benchmark_group(B::NAME);
    group.measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300)).sample_size(10);
    group.bench_function("list among 100000 to 1000", |bencher| {
        let live = &*live;
        in_turn(bencher, runtime, async || list(&live.many).await, async || list(&live.few).await);
    });
    if B::PURGES {
        group.bench_function("purge of few among 100000 to 1000", |bencher| {
            let live = &*live;
            in_turn(bencher, runtime, async || purge_few(&live.many).await, async || purge_few(&live.few).await);
        });
        group.finish();
        measure_purge_of_many(criterion, runtime, backend);
    }
}

/// How many sessions are written in turn, and how many of them in one window.
const WRITTEN: u32 = 2_000;
const WRITES: usize = 50;

/// Measures how many times as much CPU time a write takes among this many sessions as among few. Each write moves the
/// expiry, and the expiries are spread over an hour, as those of a site.
pub(crate) fn measure_writes<B: Backend>(
    criterion: &mut Criterion,
    runtime: &Runtime,
    backend: &impl Deref<Target = B>,
) {
    for sessions in [100_000, 1_000_000] {
        let sites = LazyCell::new(|| {
            let backend = &**backend;
            runtime.block_on(async {
                let many = Written::among(sessions, backend.table(&format!("among{sessions}")).await).await;
                (many, Written::among(FEW, backend.table(&format!("few{sessions}")).await).await)
            })
        });
        let mut group = criterion.benchmark_group(B::NAME);
        group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300)).sample_size(10);
        group.bench_function(format!("replace among {sessions} to 1000"), |bencher| {
            let (many, few) = &*sites;
            let processes = backend.processes();
            in_turn(bencher, runtime, async || many.write(&processes).await, async || few.write(&processes).await);
        });
    }
}

/// A table of live sessions, and those that are written in turn.
struct Written<T> {
    table: T,
    sessions: RefCell<VecDeque<Session>>,
}

impl<T: Table> Written<T> {
    async fn among(others: u32, table: T) -> Self {
        table.fill(others, Life::Live).await;
        let create = async |number: u32| {
            let session = Session::new(number as usize);
            session.create_for(HOUR * (number + 1) / WRITTEN, table.store()).await;
            session
        };
        let sessions = stream::iter(0..WRITTEN).map(create).buffered(64).collect::<VecDeque<_>>().await;
        table.settle().await;
        Self { table, sessions: sessions.into() }
    }

    /// The CPU time of some writes.
    async fn write(&self, processes: &[u32]) -> Duration {
        let mut sessions = self.sessions.take();
        let before = cpu_of(processes);
        for _ in 0..WRITES {
            if let Some(session) = sessions.pop_front() {
                sessions.push_back(session.replace(self.table.clone()).await);
            }
        }
        let took = cpu_since(processes, before);
        self.sessions.replace(sessions);
        took
    }
}

/// Measures how many times as long each purged session takes if many have expired as if few have. Each of criterion's
/// windows (one to warm up, and ten samples) purges a part of the many. Together they purge almost all.
fn measure_purge_of_many<B: Backend>(criterion: &mut Criterion, runtime: &Runtime, backend: &impl Deref<Target = B>) {
    let tables = LazyCell::new(|| {
        let backend = &**backend;
        runtime.block_on(async {
            let (many, few) = (backend.table("expired").await, backend.table("fresh").await);
            for (table, sessions) in [(&many, MANY), (&few, FEW)] {
                table.fill(sessions, Life::Expired).await;
                table.settle().await;
            }
            purge(&few, FEW).await;
            (many, few, Cell::new(MANY))
        })
    });
    let mut group = criterion.benchmark_group(B::NAME);
    let once = Duration::from_nanos(1);
    group.sampling_mode(SamplingMode::Flat).measurement_time(once).warm_up_time(once).sample_size(10);
    group.bench_function("purge of 100000 to 1000", |bencher| {
        let (many, few, left) = &*tables;
        let of_many = async || {
            if left.get() < PART {
                many.fill(MANY - left.get(), Life::Expired).await;
                left.set(MANY);
            }
            left.set(left.get() - PART);
            purge(many, PART).await
        };
        let of_few = async || {
            let mut took = Duration::ZERO;
            for _ in 0..PART / FEW {
                few.fill(FEW, Life::Expired).await;
                took += purge(few, FEW).await;
            }
            took
        };
        in_turn(bencher, runtime, of_many, of_few);
    });
}

/// Two tables of live sessions, one with many and one with few. Each has some of one owner.
struct Live<T> {
    many: T,
    few: T,
}

impl<T: Table> Live<T> {
    async fn on<B: Backend<Table = T>>(backend: &B) -> Self {
        let (many, few) = (backend.table("many").await, backend.table("few").await);
        for (table, sessions) in [(&many, MANY), (&few, FEW)] {
            table.fill(sessions, Life::Live).await;
            table.settle().await;
            for device in 0..DEVICES {
                Session::new(device).create(table.store()).await;
            }
        }
        Self { many, few }
    }
}

async fn list(table: &impl Table) -> Duration {
    let list = async || assert_eq!(table.reading().list(&OWNER).await.unwrap().len(), DEVICES);
    time(5, list).await
}

async fn purge_few(table: &impl Table) -> Duration {
    table.fill(EXPIRED, Life::Expired).await;
    let purge = async || assert_eq!(table.store().purge(AT_ONCE).await.unwrap(), u64::from(EXPIRED));
    time(1, purge).await
}

/// How long it takes to purge this many.
async fn purge(table: &impl Table, sessions: u32) -> Duration {
    let purge = async || assert_eq!(table.store().purge(AT_ONCE).await.unwrap(), u64::from(AT_ONCE));
    time(sessions / AT_ONCE, purge).await
}
