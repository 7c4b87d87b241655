//! The store in memory. There is no driver to compare it with.

use std::time::Duration;

use session_memory::MemoryStore;

use crate::{
    session::HOUR,
    table::{Backend, Disk, Life, Table, create},
};

pub(crate) struct Memory;

impl Backend for Memory {
    const NAME: &'static str = "memory";

    type Table = MemoryStore;

    async fn start(_: Disk) -> Self {
        Self
    }

    async fn table(&self, _: &str) -> MemoryStore {
        MemoryStore::new()
    }
}

impl Table for MemoryStore {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    async fn fill(&self, sessions: u32, life: Life) {
        match life {
            Life::Live => create(self, sessions, HOUR).await,
            Life::Expired => {
                let life = Duration::from_millis(1);
                create(self, sessions, life).await;
                self.advance(life);
            }
        }
    }

    async fn settle(&self) {}
}
