//! How a store is set up.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, InfoDict, IntoConnectionInfo, ProtocolVersion, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use session_core::{InvalidNamespace, Namespace, StoreError};
use tokio::time::timeout;

use crate::{
    RedisStore,
    connection::{Connection, Server},
    error::{from_driver, from_wait, of_a_replica, unusable_url},
    home::Home,
    node::Node,
    tls,
};

/// How many commands wait for their answers on one connection at most. Further ones wait before they are sent. Without
/// a limit, a server that has stopped would fill the application's memory.
pub(crate) const IN_FLIGHT: usize = 4096;

/// How many attempts to connect again are made in the background: they last some minutes. After that the next operation
/// starts them again.
const RECONNECTIONS: usize = 1000;

/// How long the other end of a connection may be silent before the connection is given up.
const SILENCE: Duration = Duration::from_secs(15);

const NOT_A_URL: &str = "the address is not a URL like redis://user:password@host:6379/0; in the password write %2F for \
                         /, %3F for ?, %23 for # and %25 for %";

/// The settings of a [`RedisStore`].
///
/// # Examples
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use session_redis::RedisStore;
///
/// let store = RedisStore::builder()
///     .with_prefix("admin_sessions")?
///     .with_timeout(Duration::from_secs(1))
///     .connect("redis://127.0.0.1:6379")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) prefix: Namespace,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let two_seconds = Duration::from_secs(2);
        Self { prefix: Namespace::default(), timeout: two_seconds, connect_timeout: two_seconds }
    }

    /// Begins each key with this and a colon: `sessions` by default. Two stores with two prefixes never meet.
    ///
    /// # Errors
    ///
    /// [`InvalidNamespace`] if the prefix is no [`Namespace`].
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, InvalidNamespace> {
        self.prefix = prefix.try_into()?;
        Ok(self)
    }

    /// How long a round trip may take before the operation fails with [`TimedOut`](StoreError::TimedOut): 2 seconds by
    /// default. Waiting for a connection that is being made again is part of it.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How long [`connect`](Self::connect) may take, and each attempt to connect again: 2 seconds by default.
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Connects to the server: `redis://user:password@host:port/database`.
    ///
    /// - With the feature `cluster`, `redis+cluster://user:password@host:port,host:port` connects to a cluster. The URL
    ///   names some of its nodes; the others are found by these.
    /// - With the feature `sentinel`, `redis+sentinel://user:password@host:port,host:port/name/database` connects to
    ///   the master that the sentinels know by this name. The hosts are the sentinels; the user and the database are
    ///   the master's. Sentinels with a password of their own need `with_sentinel`.
    /// - With a TLS feature the schemes are `rediss://`, `rediss+cluster://` and `rediss+sentinel://`, too.
    ///
    /// Logs a warning if the server would evict sessions when its memory is full.
    ///
    /// The connection lives on the runtime that calls this, and needs it to go on. Under actix-web call it in `main`,
    /// and not in a worker.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::TimedOut`] if the server cannot be reached. [`StoreError::Backend`] if
    /// the URL is none of these, or needs a feature that was not built, or if the server refuses its user.
    pub async fn connect(self, url: &str) -> Result<RedisStore, StoreError> {
        if let Some(what_to_do) = missing_feature(url, is_built_with) {
            return Err(unusable_url(what_to_do, None));
        }
        tls::install();
        #[cfg(feature = "cluster")]
        if let Some((scheme, nodes)) = url.split_once("+cluster://") {
            return self.connect_cluster(scheme, nodes).await;
        }
        #[cfg(feature = "sentinel")]
        if let Some((scheme, rest)) = url.split_once("+sentinel://") {
            let clients = self.sentinels(scheme, rest)?;
            return self.connect_sentinel(clients).await;
        }
        let client = Client::open(self.info(url)?).map_err(from_driver)?;
        self.probe(&client).await?;
        // A lost connection is made again in the background. An operation waits for it no longer than for an answer.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(RECONNECTIONS)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(250))
            .set_connection_timeout(Some(self.connect_timeout))
            // Each call has its timeout already. A second timer would wake an idle runtime once more in each call.
            .set_response_timeout(None)
            .set_concurrency_limit(IN_FLIGHT);
        let node = Node::own(client, config).map_err(from_driver)?;
        Ok(self.with_server(Server::Node(Box::new(node))))
    }

    /// Uses the application's own connection: see [`RedisStore::new`].
    #[must_use]
    pub fn with_manager(self, manager: ConnectionManager) -> RedisStore {
        self.with_server(Server::Node(Box::new(Node::shared(manager))))
    }

    pub(crate) fn with_server(self, server: Server) -> RedisStore {
        RedisStore::from_connection(self.prefix, Connection { server, timeout: self.timeout, home: Home::here() })
    }

    pub(crate) fn info(&self, url: &str) -> Result<ConnectionInfo, StoreError> {
        let info = url.into_connection_info().map_err(|error| unusable_url(NOT_A_URL, Some(error)))?;
        let tcp = TcpSettings::default()
            // An operation is one small message. Waiting to fill a packet would only delay its answer.
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(SILENCE));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        let tcp = tcp.set_user_timeout(SILENCE);
        // With RESP3 the driver notices a closed connection at once, not only at the next command.
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Ok(info.set_tcp_settings(tcp).set_redis_settings(redis))
    }

    /// Connects once, so that an error in the URL or at the server shows at once.
    async fn probe(&self, client: &Client) -> Result<(), StoreError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.timeout));
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection =
            timeout(self.connect_timeout, connecting).await.map_err(from_wait)?.map_err(from_driver)?;
        refuse_a_replica(&mut connection).await?;
        warn_of_eviction(&mut connection).await
    }
}

pub(crate) async fn warn_of_eviction(connection: &mut impl ConnectionLike) -> Result<(), StoreError> {
    let policies = info(connection, "memory", "maxmemory_policy").await?;
    if let Some(policy) = policies.into_iter().find(|policy| policy != "noeviction") {
        tracing::event!(
            name: "session.eviction",
            target: "session",
            tracing::Level::WARN,
            event.name = "session.eviction",
            policy,
            "this Redis may evict sessions: set maxmemory-policy to noeviction"
        );
    }
    Ok(())
}

/// Refuses a replica, which lags behind: it may still have a session that was ended.
async fn refuse_a_replica(connection: &mut impl ConnectionLike) -> Result<(), StoreError> {
    let roles = info(connection, "replication", "role").await?;
    if roles.iter().any(|role| role == "slave") { Err(of_a_replica()) } else { Ok(()) }
}

/// What this line of a section of `INFO` says: on a cluster for each of its nodes. Nothing if this user may not ask.
async fn info(connection: &mut impl ConnectionLike, section: &str, line: &str) -> Result<Vec<String>, StoreError> {
    let nodes = match redis::cmd("INFO").arg(section).query_async(connection).await {
        Ok(Value::Map(nodes)) => nodes.into_iter().map(|(_, info)| info).collect(),
        Ok(info) => vec![info],
        Err(error) if error.code() == Some("NOPERM") => Vec::new(),
        Err(error) => return Err(from_driver(error)),
    };
    Ok(nodes.into_iter().filter_map(|info| redis::from_redis_value::<InfoDict>(info).ok()?.get(line)).collect())
}

/// The sentence for a URL that needs a feature which was not built. Otherwise the driver would say that the URL "did not
/// parse".
fn missing_feature(url: &str, has: impl Fn(&str) -> bool) -> Option<&'static str> {
    let (scheme, _) = url.split_once("://")?;
    let (scheme, servers) = scheme.split_once('+').unwrap_or((scheme, ""));
    if servers == "cluster" && !has("cluster") {
        return Some("a URL of a cluster needs the feature `cluster` of session-redis");
    }
    if servers == "sentinel" && !has("sentinel") {
        return Some("a URL of sentinels needs the feature `sentinel` of session-redis");
    }
    if ["rediss", "valkeys"].contains(&scheme) && !has("tls-ring") && !has("tls-aws-lc") {
        return Some("a URL with TLS needs the feature `tls-ring` or `tls-aws-lc` of session-redis");
    }
    None
}

fn is_built_with(feature: &str) -> bool {
    let features = [
        ("cluster", cfg!(feature = "cluster")),
        ("sentinel", cfg!(feature = "sentinel")),
        ("tls-ring", cfg!(feature = "tls-ring")),
        ("tls-aws-lc", cfg!(feature = "tls-aws-lc")),
    ];
    features.contains(&(feature, true))
}

#[cfg(test)]
mod tests {
    use super::missing_feature;

    #[test]
    fn a_url_that_needs_a_feature_names_it() {
        let cases = [
            ("redis+cluster://one:6379,two:6379", &["cluster"][..]),
            ("redis+sentinel://one:26379/sessions", &["sentinel"]),
            ("rediss://one:6379", &["tls-ring", "tls-aws-lc"]),
            ("rediss+cluster://one:6379", &["cluster"]),
            ("valkeys://one:6379", &["tls-ring", "tls-aws-lc"]),
        ];
        for (url, features) in cases {
            let sentence = missing_feature(url, |_| false).unwrap_or_else(|| panic!("{url}"));
            for feature in features {
                assert!(sentence.contains(&format!("`{feature}`")), "{url}: {sentence}");
            }
            assert_eq!(missing_feature(url, |_| true), None, "{url}");
        }
        let with_cluster_only = |feature: &str| feature == "cluster";
        let sentence = missing_feature("rediss+cluster://one:6379", with_cluster_only).unwrap_or_default();
        assert!(sentence.contains("`tls-ring`"), "{sentence}");
        for url in ["redis://one:6379", "valkey://one", "unix:///run/redis.sock", "no address", ""] {
            assert_eq!(missing_feature(url, |_| false), None, "{url}");
        }
    }

    /// Before, the driver said only that the URL "did not parse".
    #[cfg(not(feature = "cluster"))]
    #[tokio::test]
    async fn a_cluster_without_the_feature_is_an_error_that_names_it() {
        let error = crate::RedisStore::connect("redis+cluster://one:6379,two:6379").await.unwrap_err();
        let session_core::StoreError::Backend { source, .. } = error else { panic!("{error:?}") };
        assert!(source.to_string().contains("feature `cluster`"), "{source}");
    }

    #[tokio::test]
    async fn an_address_that_is_no_url_says_how_one_is_written() {
        for address in ["127.0.0.1:6379", "", "http://one:6379", "redis://:se/cret@one:6379"] {
            let error = crate::RedisStore::connect(address).await.unwrap_err();
            let session_core::StoreError::Backend { source, .. } = error else { panic!("{address}: {error:?}") };
            assert!(source.to_string().contains("redis://user:password@host:6379/0"), "{address}: {source}");
            assert!(!source.to_string().contains("se/cret"), "{source}");
        }
    }
}
