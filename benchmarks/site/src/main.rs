//! A small site, as programs to measure: over our sessions, the least layer, the raw drivers, and nothing.
//!
//! `cargo xtask bench peers` starts them, and those of other authors in `benchmarks/peers`, which have the same routes.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod app;
mod bare;
mod in_process;
mod least_layer;
mod load;
mod raw;
mod serve;

use axum::Router;
use session_memory::MemoryStore;
use session_redis::RedisStore;

/// `serve KIND [URL]`, `in-process KIND`, or `load` with the arguments that its documentation names.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", kind, url @ ..] => serve::run(site(kind, url.first().copied().unwrap_or_default())),
        ["in-process", kind] => in_process::run(site(kind, "")),
        ["load", arguments @ ..] => load::run(arguments),
        _ => eprintln!("`cargo xtask bench peers` runs this"),
    }
}

async fn site(kind: &str, url: &str) -> Router {
    match kind {
        "bare" => bare::site(),
        "least-memory" => least_layer::site(MemoryStore::new()),
        "least-redis" => least_layer::site(RedisStore::connect(url).await.unwrap()),
        "raw-redis" => raw::site(raw::Redis::connect(url).await),
        "raw-postgres" => raw::site(raw::Postgres::connect(url).await),
        "raw-sqlite" => raw::site(raw::Sqlite::open(url).await),
        _ => app::over(kind, url).await,
    }
}
