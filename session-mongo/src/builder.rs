//! How a store is set up.

use std::time::Duration;

use mongodb::{Client, Database, options::ClientOptions};
use session_core::{InvalidNamespace, Namespace, StoreError};

use crate::{MongoStore, error::from_driver};

/// The database that is used if the URL names none.
const DEFAULT_DATABASE: &str = "sessions";

/// The settings of a [`MongoStore`].
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use session_mongo::MongoStore;
///
/// let store = MongoStore::builder()
///     .with_collection("admin_sessions")?
///     .with_timeout(Duration::from_secs(1))
///     .connect("mongodb://db.example/shop")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) collection: Namespace,
    pub(crate) timeout: Duration,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { collection: Namespace::default(), timeout: Duration::from_secs(2) }
    }

    /// Keeps the sessions in the collection of this name, `sessions` by default. Two stores with two collections never
    /// meet.
    ///
    /// # Errors
    ///
    /// [`InvalidNamespace`] if the name is no [`Namespace`].
    pub fn with_collection(mut self, name: &str) -> Result<Self, InvalidNamespace> {
        self.collection = name.try_into()?;
        Ok(self)
    }

    /// How long an operation waits for a server to take it and to answer: 2 seconds by default. An operation without an
    /// answer half a second later fails with [`TimedOut`](StoreError::TimedOut), whatever the server and the driver do.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Connects to the server: `mongodb://user:password@host:27017/database?replicaSet=name&tls=true`. The database is
    /// `sessions` if the URL names none.
    ///
    /// The timeout also bounds how long the driver looks for a server and connects to it, unless the URL says
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::TimedOut`] if the server cannot be reached or refuses the login,
    /// [`StoreError::Backend`] if the URL is none.
    pub async fn connect(self, url: &str) -> Result<MongoStore, StoreError> {
        let mut options = ClientOptions::parse(url).await.map_err(from_driver)?;
        // The driver's own default is to look for a server for half a minute.
        options.server_selection_timeout.get_or_insert(self.timeout);
        options.connect_timeout.get_or_insert(self.timeout);
        let client = Client::with_options(options).map_err(from_driver)?;
        let database = client.default_database().unwrap_or_else(|| client.database(DEFAULT_DATABASE));
        let store = self.with_database(database);
        store.meet().await?;
        Ok(store)
    }

    /// Uses this database of the application's own client. The indexes should be there: see [`MongoStore::migrate`].
    #[must_use]
    pub fn with_database(self, database: Database) -> MongoStore {
        MongoStore::from_database(self, database)
    }
}
