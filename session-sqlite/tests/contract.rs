//! The contract of a session store, on SQLite: a file of its own, and an application's pool.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::PathBuf, time::Duration};

use session_conformance::{Subject, async_trait};
use session_core::SessionId;
use session_sqlite::{
    Builder, SqliteStore,
    sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tempfile::TempDir;

/// One file for all namespaces, each of which is a table.
struct Sqlite {
    folder: TempDir,
    in_the_applications_pool: bool,
}

impl Sqlite {
    fn file() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), in_the_applications_pool: false }
    }

    fn pool() -> Self {
        Self { in_the_applications_pool: true, ..Self::file() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sessions.db")
    }

    async fn open_in_a_pool(
        &self,
        namespace: &str,
        set: fn(SqliteConnectOptions) -> SqliteConnectOptions,
    ) -> SqliteStore {
        let options = SqliteConnectOptions::new().filename(self.path()).create_if_missing(true);
        let options = set(options.journal_mode(SqliteJournalMode::Wal));
        let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await.unwrap();
        let store = builder(namespace).with_pool(pool);
        store.migrate().await.unwrap();
        store
    }
}

fn builder(namespace: &str) -> Builder {
    SqliteStore::builder().with_table(namespace).unwrap().with_timeout(Duration::from_secs(30))
}

#[async_trait]
impl Subject for Sqlite {
    type Store = SqliteStore;

    async fn open(&self, namespace: &str) -> SqliteStore {
        if self.in_the_applications_pool {
            return self.open_in_a_pool(namespace, |options| options).await;
        }
        builder(namespace).open(self.path()).await.unwrap()
    }

    async fn lose_the_answer(&self, _: &SessionId) -> Result<(), &'static str> {
        Err("`tests/all/group.rs` holds commits back until the store's time is over")
    }

    async fn open_unanswered(&self, _: &str) -> Result<SqliteStore, &'static str> {
        Err("who reads a file waits for nobody; `tests/all` hold the lock that writers wait for")
    }

    /// 16 MiB. The limit is one of each connection.
    async fn open_with_little_room(&self, namespace: &str) -> Result<SqliteStore, &'static str> {
        if !self.in_the_applications_pool {
            return Err("the connections are the store's; in the application's pool it is run");
        }
        Ok(self.open_in_a_pool(namespace, |options| options.pragma("max_page_count", "4096")).await)
    }

    /// SQLite's clock is the system's: it cannot be moved.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod in_a_file_of_its_own {
    session_conformance::store_tests!(super::Sqlite::file());
}

mod in_the_applications_pool {
    session_conformance::store_tests!(super::Sqlite::pool());
}

mod with_sealed_payloads {
    use session_conformance::Wrapped;
    use session_sealed::{SealKey, SealKeys, SealedStore};

    use super::*;

    session_conformance::store_tests!(Wrapped::new(Sqlite::file(), |store, namespace| {
        let key = SealKey::from_bytes("2026-11", &[1; 32]).unwrap();
        SealedStore::new(store, namespace, SealKeys::new(key)).unwrap()
    }));
}
