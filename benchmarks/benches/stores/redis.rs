//! Redis on a server of its own.

use std::time::Duration;

use ::redis::{
    Client, IntoConnectionInfo, ProtocolVersion,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};
use session_conformance::servers::{self, Server};
use session_core::SessionId;
use session_redis::RedisStore;

use crate::{
    session::HOUR,
    table::{Backend, Disk, Life, Plain, Table, create},
};

pub(crate) struct Redis {
    manager: ConnectionManager,
    server: Server,
}

/// The store and the driver share a connection. The driver has its sessions under other keys of the same length.
#[derive(Clone)]
pub(crate) struct RedisTable {
    store: RedisStore,
    manager: ConnectionManager,
    prefix: String,
}

impl Backend for Redis {
    const NAME: &'static str = "redis";

    const PURGES: bool = false;

    type Table = RedisTable;

    /// Makes a connection as the store does. The server has its default settings, so it does not wait for the disk.
    async fn start(_: Disk) -> Self {
        let server = servers::own_redis(&[]);
        let info = server.url().into_connection_info().unwrap();
        let protocol = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true)).set_redis_settings(protocol);
        let timeout = Some(Duration::from_secs(2));
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(timeout)
            .set_response_timeout(timeout)
            .set_concurrency_limit(4096);
        let manager = ConnectionManager::new_with_config(Client::open(info).unwrap(), config).await.unwrap();
        Self { manager, server }
    }

    fn processes(&self) -> Vec<u32> {
        self.server.process_ids()
    }

    async fn table(&self, name: &str) -> RedisTable {
        let store = RedisStore::builder().with_prefix(name).unwrap().with_manager(self.manager.clone());
        RedisTable { store, manager: self.manager.clone(), prefix: name.to_owned() }
    }
}

impl Table for RedisTable {
    type Store = RedisStore;

    fn store(&self) -> &RedisStore {
        &self.store
    }

    async fn fill(&self, sessions: u32, life: Life) {
        assert_eq!(life, Life::Live, "there is no purge to measure");
        create(&self.store, sessions, HOUR).await;
    }

    async fn settle(&self) {}
}

impl Plain for RedisTable {
    async fn read(&self, id: &SessionId) -> Vec<u8> {
        let get = ::redis::cmd("GET").arg(format!("{}:p:{id}", self.prefix)).to_owned();
        get.query_async(&mut self.manager.clone()).await.unwrap()
    }

    async fn write(&self, id: &SessionId, payload: &[u8]) {
        let mut set = ::redis::cmd("SET");
        set.arg(format!("{}:p:{id}", self.prefix)).arg(payload).arg("PX").arg(HOUR.as_millis() as u64);
        set.exec_async(&mut self.manager.clone()).await.unwrap();
    }
}
