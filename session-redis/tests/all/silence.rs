//! A master that sentinels watch, and clients that hang up before it has answered.

use std::{
    task::Poll,
    time::{Duration, Instant},
};

use session_conformance::servers;
use session_core::Store;

use crate::succession::*;
use crate::support::{self, HOUR, ID, OLD, caught_up, entry};

/// The timeout of the store. The clients of these tests hang up before it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Clients hang up like this, and so does middleware with a deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_master_is_left_also_if_nobody_waits_for_the_timeout() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, 2 * TIMEOUT).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    let port = master(&server).await;
    caught_up(&mut node(port).await).await;
    server.node(port).pause();
    let start = Instant::now();
    loop {
        match tokio::time::timeout(TIMEOUT, store.load(&ID)).await {
            Ok(Ok(session)) => break assert_eq!(session.unwrap().revision, OLD),
            _ => assert!(start.elapsed() < FAILOVER, "the store waits for the silent master"),
        }
    }
}

/// The master has answered, though nobody waited for it. So it is not silent, and no sentinel has to be asked.
#[tokio::test]
async fn a_master_that_has_answered_nobody_is_kept() {
    let server = servers::own_redis_sentinel();
    let store = support::store(&server, TIMEOUT).await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    for sentinel in watch(&server).0 {
        server.node(sentinel.rsplit(':').next().unwrap().parse().unwrap()).kill();
    }
    {
        // One poll hands the load to the connection. There is only this thread, so it is sent during the sleep below.
        let mut load = std::pin::pin!(store.load(&ID));
        let polled = std::future::poll_fn(|context| Poll::Ready(load.as_mut().poll(context))).await;
        assert!(polled.is_pending());
    }
    // Longer than silence would have to last to be noticed.
    tokio::time::sleep(TIMEOUT + TIMEOUT / 10).await;
    assert!(store.load(&ID).await.unwrap().is_some());
}
