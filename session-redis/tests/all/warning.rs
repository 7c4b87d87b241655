//! The warning of `connect` that a server would throw sessions away.

use std::{
    io,
    sync::{Arc, Mutex, Once},
};

use session_conformance::servers;

use crate::support::{self, admin, ask};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes every log line wanted in the whole process. `tracing` asks only the first thread that reaches a line whether
/// it is wanted. A thread without a subscriber would say no for all threads.
fn want_every_line() {
    static WANTED: Once = Once::new();
    WANTED.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(io::sink).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// Whether connecting to this server logs the warning of eviction.
async fn is_warned(url: &str) -> bool {
    want_every_line();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let told = tracing::subscriber::set_default(subscriber);
    support::patient().connect(url).await.unwrap();
    drop(told);
    // Some builds put colours between a field's name and its value.
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    log.contains("session.eviction") && log.contains("allkeys-lru")
}

async fn evict(url: &str) {
    ask::<()>(&mut admin(url).await, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
}

#[tokio::test]
async fn a_server_that_evicts_is_warned_of() {
    let server = servers::own_redis(&[]);
    assert!(!is_warned(server.url()).await);
    evict(server.url()).await;
    assert!(is_warned(server.url()).await);
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn a_node_of_a_cluster_that_evicts_is_warned_of() {
    let server = servers::own_redis_cluster();
    assert!(!is_warned(server.url()).await);
    evict(&format!("redis://{}", server.url().rsplit(',').next().unwrap())).await;
    assert!(is_warned(server.url()).await);
}
