//! What the stores cost, each to be read against what the driver does in the same run.
//!
//! `cargo xtask bench` runs this and prints the ratios. The plain statement of a driver is what somebody would write who
//! needs no more than the payload of a session that is known to be there: `GET` and `SET … PX`, `SELECT payload … WHERE id`
//! and `UPDATE … SET payload … WHERE id`. It runs on the store's own pool or connection, on the same table, with payloads
//! of the same size, and knows of no expiry, no revision and no owner. The servers wait for the disk as they would on a
//! site; where it says so, they do not.
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
    // As many threads as a small server has.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    sizes::measure::<memory::Memory>(&mut criterion, &runtime, &start(&runtime, Disk::Waits));
    measure::<sqlite::Sqlite>(&mut criterion, &runtime);
    measure::<redis::Redis>(&mut criterion, &runtime);
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

/// The backend, which starts when something is measured on it: a filter for another must not wait for it.
fn start<B: Backend>(runtime: &Runtime, disk: Disk) -> LazyCell<B, impl FnOnce() -> B> {
    LazyCell::new(move || runtime.block_on(B::start(disk)))
}
