//! The connection, and how often it sends a command.
//!
//! A write is sent once. It is sent again only if the server has answered that it did nothing: it does not know the
//! script, the key belongs to another node, or it is no longer a master. A read is sent again once if the connection was
//! lost. On a cluster it may be sent a third time.

use std::time::Duration;

use futures_util::FutureExt;
#[cfg(feature = "cluster")]
use futures_util::future::try_join_all;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value, aio::ConnectionManager};
use session_core::StoreError;
use tokio::time::timeout;

#[cfg(feature = "sentinel")]
use crate::sentinel::{Master, Sentinel};
use crate::{
    call::{Call, Message, last, whole},
    error::{foreign_answer, from_driver, from_wait},
    home::{AtHome, Home},
    node::Node,
};
#[cfg(feature = "cluster")]
use crate::{cluster::Cluster, index::Steps, script::Lua};

/// A handle on one node, a cluster or a watched master, and how long each round trip may take.
pub(crate) struct Connection {
    pub(crate) server: Server,
    pub(crate) timeout: Duration,
    /// The runtime that has made the store. `None`: it was made outside of any.
    pub(crate) home: Option<Home>,
}

pub(crate) enum Server {
    Node(Box<Node>),
    #[cfg(feature = "cluster")]
    Cluster(Cluster),
    #[cfg(feature = "sentinel")]
    Sentinel(Sentinel),
}

/// What is read at a key.
#[derive(Clone, Copy)]
pub(crate) enum Question {
    /// The string of a session.
    Session,
    /// The entries of an owner's index.
    Index,
}

/// The values at some keys, and the server's clock just before they were read, in milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) values: Vec<Value>,
    pub(crate) now: u64,
}

impl Reading {
    /// Both readings, with the earlier of the two clocks. With the later one, a session that is live on its own node could
    /// seem to have expired.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.values.extend(other.values);
        self.now = self.now.min(other.now);
        self
    }
}

impl Question {
    fn add(self, pipeline: &mut Pipeline, key: &[u8]) {
        let (name, range): (_, &[&str]) = match self {
            Self::Session => ("GET", &[]),
            Self::Index => ("ZRANGE", &["0", "-1"]),
        };
        let mut command = Cmd::with_capacity(2 + range.len(), name.len() + key.len() + 3);
        command.arg(name).arg(key).arg(range);
        pipeline.add_command(command);
    }

    #[cfg(feature = "cluster")]
    fn script(self, cluster: &Cluster) -> &Lua {
        match self {
            Self::Session => &cluster.load,
            Self::Index => &cluster.range,
        }
    }
}

impl Connection {
    /// Whether the keys are on several servers.
    pub(crate) fn is_cluster(&self) -> bool {
        match &self.server {
            Server::Node(_) => false,
            #[cfg(feature = "cluster")]
            Server::Cluster(_) => true,
            #[cfg(feature = "sentinel")]
            Server::Sentinel(_) => false,
        }
    }

    pub(crate) async fn run(&self, call: Call<'_>) -> Result<Value, StoreError> {
        self.in_time(self.evaluate(call)).await
    }

    /// Runs the script, and then reads the session at this key: in one round trip, and in this order. Not for a cluster, where
    /// the key may be on another node.
    pub(crate) async fn run_then_fetch(
        &self,
        call: Call<'_>,
        key: &[u8],
    ) -> Result<(Value, Result<Reading, StoreError>), StoreError> {
        let (answer, reads) = self.in_time(self.evaluate_then(call, key)).await?;
        Ok((answer, reading(reads, 1)))
    }

    /// Runs both steps, and returns the answer of the second.
    #[cfg(feature = "cluster")]
    pub(crate) async fn run_both(&self, cluster: &Cluster, steps: Steps<'_>) -> Result<Value, StoreError> {
        let both = AtHome::new(self.home.as_ref(), steps.evaluate(|message| cluster.query(message)));
        timeout(self.timeout.saturating_mul(2), both).await.map_err(from_wait)?.map_err(from_driver)
    }

    /// Sends a command once.
    pub(crate) async fn write(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.in_time(self.send(command)).await
    }

    /// Reads the values at these keys, in their order. The clock is read first: a session that is touched between the
    /// two reads is then live at both.
    pub(crate) async fn fetch<K: AsRef<[u8]>>(&self, question: Question, keys: &[K]) -> Result<Reading, StoreError> {
        #[cfg(feature = "cluster")]
        if let Server::Cluster(cluster) = &self.server {
            return self.fetch_each(question.script(cluster), keys).await;
        }
        let mut pipeline = Pipeline::with_capacity(1 + keys.len());
        add_clock(&mut pipeline);
        for key in keys {
            question.add(&mut pipeline, key.as_ref());
        }
        self.send_reads(&pipeline, keys.len()).await
    }

    /// Reads the sessions at these keys by one command, which costs the server least. Not for a cluster, where they are on
    /// several nodes. A value of another type is nil here, as a missing one is.
    pub(crate) async fn fetch_at_once(&self, keys: &[Vec<u8>]) -> Result<Reading, StoreError> {
        let mut pipeline = Pipeline::with_capacity(2);
        add_clock(&mut pipeline);
        let mut command = Cmd::with_capacity(1 + keys.len(), 4 + keys.iter().map(Vec::len).sum::<usize>());
        command.arg("MGET").arg(keys);
        pipeline.add_command(command);
        let mut answers = self.send_reads(&pipeline, 1).await?;
        match answers.values.pop() {
            Some(Value::Array(values)) if values.len() == keys.len() => Ok(Reading { values, ..answers }),
            _ => Err(foreign_answer()),
        }
    }

    /// Sends this many reads after a `TIME`.
    async fn send_reads(&self, pipeline: &Pipeline, reads: usize) -> Result<Reading, StoreError> {
        let count = 1 + reads;
        let answers = match &self.server {
            Server::Node(node) => {
                let fetch = async |mut manager: ConnectionManager| {
                    all(manager.send_packed_commands(pipeline, 0, count).await?)
                };
                self.reading(|| node.send(fetch)).await?
            }
            #[cfg(feature = "sentinel")]
            Server::Sentinel(sentinel) => {
                let fetch = async |master: Master| all(master.query_all(pipeline, count).await?);
                self.reading(|| sentinel.send(fetch)).await?
            }
            // It has no pipeline over several nodes.
            #[cfg(feature = "cluster")]
            Server::Cluster(_) => return Err(foreign_answer()),
        };
        reading(answers, reads)
    }

    #[cfg(feature = "cluster")]
    async fn fetch_each<K: AsRef<[u8]>>(&self, script: &Lua, keys: &[K]) -> Result<Reading, StoreError> {
        let readings = keys.iter().map(async |key| {
            let parts = self
                .reading(|| self.evaluate(Call { script, key: key.as_ref(), others: &[], frame: None, arguments: &[] }))
                .await?;
            let Value::Array(parts) = parts else { return Err(foreign_answer()) };
            let [time, value] = parts.try_into().map_err(|_| foreign_answer())?;
            Ok(Reading { values: vec![value], now: instant(Some(time))? })
        });
        let readings = try_join_all(readings).await?;
        readings.into_iter().reduce(Reading::and).ok_or_else(foreign_answer)
    }

    async fn evaluate(&self, call: Call<'_>) -> RedisResult<Value> {
        match &self.server {
            Server::Node(node) => {
                node.send(async |manager: ConnectionManager| {
                    call.evaluate(|message| query(manager.clone(), message)).await
                })
                .await
            }
            #[cfg(feature = "cluster")]
            Server::Cluster(cluster) => call.evaluate(|message| cluster.query(message)).await,
            #[cfg(feature = "sentinel")]
            Server::Sentinel(sentinel) => {
                sentinel
                    .send(async |master: Master| call.evaluate(|message| query_master(master.clone(), message)).await)
                    .await
            }
        }
    }

    /// The answer to the script, and those to `TIME` and to the read after it. What is sent again is sent as a whole, so what
    /// is read is never older than the write.
    async fn evaluate_then(&self, call: Call<'_>, key: &[u8]) -> RedisResult<(Value, Vec<Value>)> {
        let with_read = |message: Message| {
            let mut pipeline = message.into_pipeline();
            add_clock(&mut pipeline);
            Question::Session.add(&mut pipeline, key);
            pipeline
        };
        match &self.server {
            Server::Node(node) => {
                node.send(async |manager: ConnectionManager| {
                    call.evaluate(|message| query_then(manager.clone(), with_read(message))).await
                })
                .await
            }
            #[cfg(feature = "sentinel")]
            Server::Sentinel(sentinel) => {
                sentinel
                    .send(async |master: Master| {
                        call.evaluate(|message| query_master_then(master.clone(), with_read(message))).await
                    })
                    .await
            }
            #[cfg(feature = "cluster")]
            Server::Cluster(_) => Err((ErrorKind::Client, "a cluster has no pipeline over several nodes").into()),
        }
    }

    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        match &self.server {
            Server::Node(node) => {
                node.send(async |mut manager: ConnectionManager| command.query_async(&mut manager).await).await
            }
            #[cfg(feature = "cluster")]
            Server::Cluster(cluster) => cluster.send(command).await,
            #[cfg(feature = "sentinel")]
            Server::Sentinel(sentinel) => sentinel.send(async |master: Master| master.query(command).await).await,
        }
    }

    async fn reading<T, F: Future<Output = RedisResult<T>>>(&self, read: impl Fn() -> F) -> Result<T, StoreError> {
        let reading = async {
            let mut done = read().await;
            if done.as_ref().is_err_and(RedisError::is_connection_dropped) {
                done = read().await;
            }
            // The driver gives this error while it connects again to a node of a cluster. It waits for the connection
            // before it sends the next command.
            if done.as_ref().is_err_and(|error| error.kind() == ErrorKind::ClusterConnectionNotFound) {
                done = read().await;
            }
            done
        };
        self.in_time(reading).await
    }

    /// An `async fn` would have room for the answer's future twice: where it gets it, and where it waits for it.
    fn in_time<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> impl Future<Output = Result<T, StoreError>> {
        timeout(self.timeout, AtHome::new(self.home.as_ref(), answer))
            .map(|done| done.map_err(from_wait)?.map_err(from_driver))
    }
}

async fn query_then(mut manager: ConnectionManager, pipeline: Pipeline) -> RedisResult<(Value, Vec<Value>)> {
    apart(manager.send_packed_commands(&pipeline, 0, pipeline.len()).await?)
}

#[cfg(feature = "sentinel")]
async fn query_master_then(master: Master, pipeline: Pipeline) -> RedisResult<(Value, Vec<Value>)> {
    apart(master.query_all(&pipeline, pipeline.len()).await?)
}

async fn query(mut manager: ConnectionManager, message: Message) -> RedisResult<Value> {
    match message {
        Message::Call(command) => whole(manager.send_packed_command(&command).await?),
        Message::Staged(pipeline) => last(manager.send_packed_commands(&pipeline, 0, pipeline.len()).await?),
    }
}

#[cfg(feature = "sentinel")]
async fn query_master(master: Master, message: Message) -> RedisResult<Value> {
    match message {
        Message::Call(command) => master.query(&command).await,
        Message::Staged(pipeline) => last(master.query_all(&pipeline, pipeline.len()).await?),
    }
}

/// Adds a `TIME`, which comes before what is read.
fn add_clock(pipeline: &mut Pipeline) {
    pipeline.cmd("TIME");
}

/// Takes the answer to a script apart from those to `TIME` and to the read after it. An error of these is no error of the
/// script.
fn apart(mut script: Vec<Value>) -> RedisResult<(Value, Vec<Value>)> {
    let reads = script.split_off(script.len().saturating_sub(2));
    Ok((last(script)?, reads))
}

/// The answers to a `TIME` and to this many reads after it.
fn reading(answers: Vec<Value>, reads: usize) -> Result<Reading, StoreError> {
    let mut answers = answers.into_iter();
    let now = instant(answers.next())?;
    let values: Vec<_> = answers.collect();
    if values.len() == reads { Ok(Reading { values, now }) } else { Err(foreign_answer()) }
}

/// The answers, if none of them is an error of the server. That a value has another type is its key's own error: it stays.
fn all(answers: Vec<Value>) -> RedisResult<Vec<Value>> {
    let is_its_own = |answer: &Value| matches!(answer, Value::ServerError(error) if error.code() == "WRONGTYPE");
    answers.into_iter().map(|answer| if is_its_own(&answer) { Ok(answer) } else { answer.extract_error() }).collect()
}

/// The answer to `TIME`: seconds and microseconds.
fn instant(time: Option<Value>) -> Result<u64, StoreError> {
    let time = time.ok_or_else(foreign_answer)?.extract_error().map_err(from_driver)?;
    let (seconds, microseconds): (u64, u64) = redis::from_redis_value(time).map_err(|_| foreign_answer())?;
    Ok(seconds * 1000 + microseconds / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_nodes_answer_is_judged_by_the_clock_that_is_behind() {
        let reading = |value, now| Reading { values: vec![Value::Int(value)], now };
        for (one, other) in [(1000, 2000), (2000, 1000)] {
            let both = reading(1, one).and(reading(2, other));
            assert_eq!((both.values, both.now), (vec![Value::Int(1), Value::Int(2)], 1000));
        }
    }
}
