//! The server behind one address. It may be another one tomorrow.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    Client, ErrorKind, RedisError, RedisResult, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// The least time between two new connections. After a failover the address may still lead to the replica for a while.
const PAUSE: Duration = Duration::from_millis(250);

/// A connection that the driver makes again when it is lost. If the server becomes a replica, the connection is not
/// lost: then this type makes a new one.
pub(crate) struct Node {
    current: Mutex<Current>,
    /// `None`: the connection is the application's own.
    address: Option<(Client, ConnectionManagerConfig)>,
}

struct Current {
    manager: ConnectionManager,
    /// When it took the place of another.
    since: Option<Instant>,
}

impl Node {
    pub(crate) fn shared(manager: ConnectionManager) -> Self {
        Self { current: Mutex::new(Current { manager, since: None }), address: None }
    }

    /// A connection of the store's own. It is made when the first command is sent.
    pub(crate) fn own(client: Client, config: ConnectionManagerConfig) -> RedisResult<Self> {
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        Ok(Self { address: Some((client, config)), ..Self::shared(manager) })
    }

    /// Sends this to the server. A server that is a replica now refuses a write and has done nothing. So the message is
    /// sent again, to the server that the address leads to by then.
    pub(crate) async fn send<T, F>(&self, message: impl Fn(ConnectionManager) -> F) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (manager, since) = {
            let current = self.current();
            (current.manager.clone(), current.since)
        };
        let answer = message(manager).await;
        match &answer {
            Err(error) if is_of_a_replica(error) => match self.connect_again(since)? {
                Some(manager) => message(manager).await,
                None => answer,
            },
            _ => answer,
        }
    }

    /// The connection that replaces the one seen. `None` if the connection is the application's own, or was replaced
    /// only just now.
    fn connect_again(&self, seen: Option<Instant>) -> RedisResult<Option<ConnectionManager>> {
        let Some((client, config)) = &self.address else { return Ok(None) };
        let mut current = self.current();
        if current.since == seen {
            if seen.is_some_and(|since| since.elapsed() < PAUSE) {
                return Ok(None);
            }
            let manager = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
            *current = Current { manager, since: Some(Instant::now()) };
        }
        Ok(Some(current.manager.clone()))
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of_a_replica(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}
