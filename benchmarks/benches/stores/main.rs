//! The cost of the stores, each compared with its driver in the same run.
//!
//! `cargo xtask bench` runs this and prints the ratios. The plain statement of a driver reads or writes the payload of
//! a session that is known to be there, and no more: `GET` and `SET … PX`, `SELECT payload … WHERE id` and `UPDATE …
//! SET payload … WHERE id`. It runs on the store's own pool or connection, on the same table, with payloads of the same
//! size. It knows no expiry, no revision and no owner. The servers wait for the disk as they would on a site, unless a
//! benchmark's name says otherwise.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod memory;
mod mongo;
mod mysql;
mod postgres;
mod redis;
mod session;
mod sizes;
mod sqlite;
mod table;
mod throughput;

use std::cell::LazyCell;

use criterion::Criterion;
use tokio::runtime::{Builder, Runtime};

use crate::table::{Backend, Disk, Plain};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    // A small server has this many threads.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    sizes::measure::<memory::Memory>(&mut criterion, &runtime, &start(&runtime, Disk::Waits));
    measure::<sqlite::Sqlite>(&mut criterion, &runtime);
    sizes::measure_writes(&mut criterion, &runtime, &start::<sqlite::Sqlite>(&runtime, Disk::Waits));
    measure::<redis::Redis>(&mut criterion, &runtime);
    throughput::measure_large(&mut criterion, &runtime, &start::<redis::Redis>(&runtime, Disk::Waits));
    measure::<postgres::Postgres>(&mut criterion, &runtime);
    measure_without_disk::<postgres::Postgres>(&mut criterion, &runtime);
    measure::<mysql::Mysql>(&mut criterion, &runtime);
    measure_without_disk::<mysql::Mysql>(&mut criterion, &runtime);
    measure::<mongo::Mongo>(&mut criterion, &runtime);
    criterion.final_summary();
}

fn measure<B: Backend<Table: Plain>>(criterion: &mut Criterion, runtime: &Runtime) {
    let backend = start::<B>(runtime, Disk::Waits);
    throughput::measure(criterion, runtime, &backend);
    sizes::measure(criterion, runtime, &backend);
}

fn measure_without_disk<B: Backend<Table: Plain>>(criterion: &mut Criterion, runtime: &Runtime) {
    throughput::measure_without_disk(criterion, runtime, &start::<B>(runtime, Disk::DoesNotWait));
}

/// The backend, which starts only when something is measured on it. With a filter for another backend nobody has to
/// wait for this one.
fn start<B: Backend>(runtime: &Runtime, disk: Disk) -> LazyCell<B, impl FnOnce() -> B> {
    LazyCell::new(move || runtime.block_on(B::start(disk)))
}
