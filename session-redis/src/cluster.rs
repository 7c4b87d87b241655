//! Redis Cluster: feature `cluster`.

use redis::{
    Cmd, Pipeline, RedisError, RedisResult, ServerErrorKind, Value, cluster_async::ClusterConnection,
    cluster_routing::SingleNodeRoutingInfo,
};

use crate::script::{LOAD, Lua, RANGE};

/// How often a command follows a key that has moved.
const REDIRECTIONS: u32 = 4;

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

    /// Sends the command to the node of its key, and again where a node has said that the key is another's.
    ///
    /// The driver would do so, but with the same setting it also repeats what may have been applied.
    pub(crate) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.connection.clone();
        let mut done: RedisResult<Value> = command.query_async(&mut connection).await;
        for _ in 0..REDIRECTIONS {
            let Err(error) = &done else { break };
            let Some((node, asking)) = redirection(error) else { break };
            let mut pipeline = Pipeline::new();
            // Both in one message: another command on this connection must not come between.
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

/// Where the key is, and whether the node must be asked for it: it is on its way there.
fn redirection(error: &RedisError) -> Option<(SingleNodeRoutingInfo, bool)> {
    let asking = error.kind() == redis::ErrorKind::Server(ServerErrorKind::Ask);
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    Some((SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? }, asking))
}
