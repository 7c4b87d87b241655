//! Answers that are lost on a cluster and on a watched master.
//!
//! Both tell the driver where their nodes are, so a proxy sees nothing unless they tell its own address. The servers
//! that all tests share cannot do that. So these tests start servers that do, for the cases of the contract that lose
//! an answer.

use std::{sync::Arc, time::Duration};

use session_conformance::{
    Ran, Subject, async_trait, cases,
    servers::{self, Proxy},
};
use session_core::SessionId;
use session_redis::RedisStore;

use crate::support::{admin, ask};

/// Longer than any call takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Servers at a URL, whose answers go through the proxy.
#[derive(Clone)]
struct Proxied {
    url: String,
    proxy: Arc<Proxy>,
}

#[async_trait]
impl Subject for Proxied {
    type Store = RedisStore;

    async fn open(&self, namespace: &str) -> RedisStore {
        let builder = RedisStore::builder().with_prefix(namespace).unwrap();
        builder.with_timeout(PATIENCE).with_connect_timeout(PATIENCE).connect(&self.url).await.unwrap()
    }

    async fn lose_the_answer(&self, to: &SessionId) -> Result<(), &'static str> {
        self.proxy.lose_the_answer(to.to_string().as_bytes());
        Ok(())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl Proxied {
    /// Runs the cases in which an answer is lost.
    async fn loses_answers(self) {
        let proxy = Arc::clone(&self.proxy);
        let running = tokio::task::spawn_blocking(move || {
            let cases = cases().into_iter().filter(|case| case.name().contains("answer_is_lost"));
            cases.map(|case| case.run(self.clone())).collect::<Vec<_>>()
        });
        assert_eq!(running.await.unwrap(), [Ran::Passed; 7]);
        assert_eq!(proxy.lost(), 21, "three answers are lost in each case");
    }
}

/// The `host:port` of a URL that has one.
fn address(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn a_write_whose_answer_is_lost_on_a_cluster_is_never_answered_by_no() {
    // By default the bus port is the node's port plus 10000, which may be above the last port.
    let bus = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let server = servers::own_redis(&["--cluster-enabled", "yes", "--cluster-port", &bus]);
    let proxy = Arc::new(Proxy::before(server.url()));
    let mut node = admin(server.url()).await;
    let port = proxy.url().rsplit(':').next().unwrap();
    ask::<()>(&mut node, &["CONFIG", "SET", "cluster-announce-port", port]).await;
    ask::<()>(&mut node, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    while !ask::<String>(&mut node, &["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {}
    let url = format!("redis+cluster://{}", address(proxy.url()));
    Proxied { url, proxy }.loses_answers().await;
}

#[cfg(feature = "sentinel")]
#[tokio::test]
async fn a_write_whose_answer_is_lost_on_a_watched_master_is_never_answered_by_no() {
    let master = servers::own_redis(&[]);
    let proxy = Arc::new(Proxy::before(master.url()));
    let (host, port) = address(proxy.url()).split_once(':').unwrap();
    // Sentinels watch as many masters as they are told to.
    let server = servers::own_redis_sentinel();
    let (sentinels, _) = server.url().rsplit_once('/').unwrap();
    let sentinel = address(sentinels).split(',').next().unwrap();
    let mut operator = admin(&format!("redis://{sentinel}")).await;
    ask::<()>(&mut operator, &["SENTINEL", "MONITOR", "proxied", host, port, "1"]).await;
    let url = format!("redis+sentinel://{sentinel}/proxied");
    Proxied { url, proxy }.loses_answers().await;
}
