//! Redis Cluster: feature `cluster`.

use redis::{
    Cmd, Pipeline, ProtocolVersion, RedisError, RedisResult, ServerErrorKind, Value, aio::ConnectionLike,
    cluster::ClusterClientBuilder, cluster_async::ClusterConnection, cluster_routing::SingleNodeRoutingInfo,
};
use session_core::StoreError;
use tokio::time::{Instant, timeout_at};

use crate::{
    Builder, RedisStore,
    builder::{IN_FLIGHT, warn_of_eviction},
    call::{Message, last},
    connection::Server,
    error::{from_driver, from_wait},
    script::{LOAD, Lua, RANGE},
};

/// How often a command follows a key that has moved.
const REDIRECTIONS: u32 = 4;

impl Builder {
    /// Uses the application's own connection to a cluster. Its client must be built with `retries(0)`: otherwise the
    /// driver repeats writes that may have been applied. Keys that have moved are still found.
    #[must_use]
    pub fn with_cluster(self, connection: ClusterConnection) -> RedisStore {
        self.with_server(Server::Cluster(Cluster::new(connection)))
    }

    /// Connects to the cluster that these nodes belong to. `nodes` is the part of the URL after `+cluster://`.
    pub(crate) async fn connect_cluster(self, scheme: &str, nodes: &str) -> Result<RedisStore, StoreError> {
        let (user, nodes) = nodes.rsplit_once('@').map_or(("", nodes), |(user, nodes)| (user, nodes));
        let at = if user.is_empty() { "" } else { "@" };
        let nodes = nodes.trim_end_matches('/').split(',').map(|node| format!("{scheme}://{user}{at}{node}"));
        let nodes = nodes.map(|node| self.info(&node)).collect::<Result<Vec<_>, _>>()?;
        let tcp = nodes.first().map(|node| node.tcp_settings().clone()).unwrap_or_default();
        let client = ClusterClientBuilder::new(nodes)
            .retries(0)
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(tcp)
            .connection_timeout(self.connect_timeout)
            .response_timeout(self.timeout)
            .connection_concurrency_limit(IN_FLIGHT)
            .build()
            .map_err(from_driver)?;
        let until = Instant::now() + self.connect_timeout;
        let connection = timeout_at(until, client.get_async_connection()).await.map_err(from_wait)?;
        let mut connection = connection.map_err(from_driver)?;
        // This asks each node. One that is down must not stop the store from using the others, so an error is ignored.
        let _ = timeout_at(until, warn_of_eviction(&mut connection)).await;
        Ok(self.with_cluster(connection))
    }
}

/// The driver's connection, which must not send anything twice by itself.
pub(crate) struct Cluster {
    connection: ClusterConnection,
    pub(crate) load: Lua,
    pub(crate) range: Lua,
}

impl Cluster {
    pub(crate) fn new(connection: ClusterConnection) -> Self {
        Self { connection, load: Lua::new(LOAD), range: Lua::new(RANGE) }
    }

    /// Sends the message to the node of its keys. A call on one key follows it where it has moved.
    pub(crate) async fn query(&self, message: Message) -> RedisResult<Value> {
        match message {
            Message::Call(command) => self.send(&command).await,
            Message::Staged(pipeline) => {
                let mut connection = self.connection.clone();
                last(connection.req_packed_commands(&pipeline, 0, pipeline.len()).await?)
            }
        }
    }

    /// Sends the command to the node of its key, and again where a node has said that the key is another's.
    ///
    /// The driver could do so itself, but the same setting would make it repeat writes that may have been applied.
    pub(crate) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.connection.clone();
        let mut done: RedisResult<Value> = command.query_async(&mut connection).await;
        for _ in 0..REDIRECTIONS {
            let Err(error) = &done else { break };
            let Some((node, asking)) = redirection(error) else { break };
            let mut pipeline = Pipeline::new();
            // Both commands are in one message, so that no other command on this connection comes between them.
            if asking {
                pipeline.cmd("ASKING");
            }
            pipeline.add_command(command.clone());
            let answers = connection.route_pipeline(pipeline, usize::from(asking), 1, node).await;
            done = answers.and_then(|mut answers| answers.pop().unwrap_or(Value::Nil).extract_error());
        }
        done
    }
}

/// The node that has the key. The bool says that the key is still being moved there: the node answers for it only after
/// `ASKING`.
fn redirection(error: &RedisError) -> Option<(SingleNodeRoutingInfo, bool)> {
    let asking = error.kind() == redis::ErrorKind::Server(ServerErrorKind::Ask);
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    Some((SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? }, asking))
}
