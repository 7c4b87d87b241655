//! A small site around server-side sessions: register, log in, count, fill a cart, see your devices, log out.
//!
//! `cargo run -p demo`, then open <http://127.0.0.1:3000>. The interesting files: `site.rs` puts the sessions around the
//! router, `account.rs` logs in and out, `devices.rs` ends other sessions, `promises` shows what is promised.

mod account;
mod api;
mod counting;
mod data;
mod devices;
mod failure;
mod fields;
mod flags;
mod home;
mod lab;
mod page;
mod promises;
mod sent;
mod site;
mod sorry;
mod users;

use std::{
    error::Error, io::IsTerminal, iter::successors, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration,
};

use clap::Parser;
use session_core::{Keyring, SessionManager, SiteData, Store};
use session_memory::MemoryStore;
use session_mongo::MongoStore;
use session_mysql::MysqlStore;
use session_postgres::PostgresStore;
use session_redis::RedisStore;
use session_sqlite::SqliteStore;
use tokio::net::TcpListener;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{
    counting::Counting,
    flags::{Flags, StoreFlag},
    site::Site,
    users::Users,
};

/// How often expired sessions are deleted.
const PURGE: Duration = Duration::from_secs(60);

/// How long a request may still take when the demo is told to stop.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes. A cause that is repeated by the one before is left out.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in successors(error.source(), |&cause| cause.source()).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

async fn run(flags: Flags) -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt().with_ansi(std::io::stdout().is_terminal()).with_env_filter(filter).init();

    data::make_folder()?;
    let keys = Keyring::new(data::key()?);
    let policy =
        flags.policy().map_err(|error| format!("--idle, --absolute, --rotate or --grace: {}", with_causes(&error)))?;
    let proxies = flags.proxies().map_err(|error| format!("--trusted-proxy: {error}"))?;
    let store = open_store(&flags.store).await;
    let store = store.map_err(|error| format!("--store {}: {}", flags.store, with_causes(&*error)))?;
    let counting = Counting::new(store.clone());
    let manager = SessionManager::new(counting.clone(), keys)
        .with_cookie(flags.cookie()?)
        .with_policy(policy)
        .with_trusted_proxies(proxies)
        // The script of the pages stores texts of the user, too.
        .with_clear_site_data([SiteData::Storage]);
    let site = Site { users: Users::open().await?, store, counting: flags.lab.then_some(counting) };
    let app = site::router(&site, manager.clone());

    let purging = manager.purge_every(PURGE);
    let listener = TcpListener::bind(flags.addr).await;
    let listener = listener.map_err(|error| format!("{} of --addr cannot be listened on: {error}", flags.addr))?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let serving = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(told_to_stop());
    tokio::select! {
        served = serving => served?,
        () = has_waited_long_enough() => tracing::warn!("stopped before each request was answered"),
    }
    purging.stop().await;
    Ok(())
}

async fn open_store(flag: &StoreFlag) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    Ok(match flag {
        StoreFlag::Memory => Arc::new(MemoryStore::new()),
        StoreFlag::Sqlite(path) => {
            let store = SqliteStore::open(path).await?;
            store.migrate().await?;
            Arc::new(store)
        }
        StoreFlag::Postgres(url) => {
            let store = PostgresStore::connect(url).await?;
            store.migrate().await?;
            Arc::new(store)
        }
        StoreFlag::Mysql(url) => {
            let store = MysqlStore::connect(url).await?;
            store.migrate().await?;
            Arc::new(store)
        }
        StoreFlag::Mongo(url) => {
            let store = MongoStore::connect(url).await?;
            store.migrate().await?;
            Arc::new(store)
        }
        StoreFlag::Redis(url) => Arc::new(RedisStore::connect(url).await?),
    })
}

async fn has_waited_long_enough() {
    told_to_stop().await;
    tokio::time::sleep(PATIENCE).await;
}

async fn told_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = interrupted.await;
}
