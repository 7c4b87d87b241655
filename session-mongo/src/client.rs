//! The collection, and how the server is asked: within a task, and within a time.

use std::{sync::Arc, time::Duration};

use mongodb::{
    Collection, Database,
    bson::{Document, doc},
    options::{Acknowledgment, CollectionOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern},
};
use session_core::StoreError;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{
    clock::ServerClock,
    error::{foreign_answer, from_driver, from_task, from_wait, is_unknown_command},
};

/// How much longer the store waits than the server and the driver do. Their error says more than that of the store,
/// which knows only that no answer came.
const GRACE: Duration = Duration::from_millis(500);

/// How many operations run at a time. Further ones wait for their turn. Without a limit, a server that has stopped
/// would fill the application's memory: an operation stays until it has its answer, even if nobody waits for it any
/// more.
const UNDER_WAY: usize = 1024;

/// The collection with the settings that the contract needs, whatever the client's are.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) sessions: Collection<Document>,
    pub(crate) clock: Arc<ServerClock>,
    pub(crate) timeout: Duration,
    database: Database,
    turns: Arc<Semaphore>,
}

impl Client {
    pub(crate) fn new(database: Database, collection: &str, timeout: Duration) -> Self {
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let majority = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(timeout).build();
        let settings = CollectionOptions::builder()
            // A majority read may lag behind a write of this store. But core reads to learn whether that write was
            // applied.
            .read_concern(ReadConcern::local())
            .selection_criteria(primary)
            .write_concern(majority)
            .build();
        Self {
            sessions: database.collection_with_options(collection, settings),
            clock: Arc::default(),
            timeout,
            database,
            turns: Arc::new(Semaphore::new(UNDER_WAY)),
        }
    }

    /// Runs the operation to its end, in a task of its own, and waits for it until the deadline.
    ///
    /// The driver's futures must not be dropped half way, but a request's future is dropped when its client goes away.
    /// So an operation that has begun is done wholly, even if nobody waits for it any more.
    pub(crate) async fn run<T, F>(&self, operation: impl FnOnce(Self) -> F + Send) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let deadline = Instant::now() + self.timeout + GRACE;
        // The semaphore is never closed.
        let turn = timeout_at(deadline, Arc::clone(&self.turns).acquire_owned()).await.map_err(from_wait)?;
        let operation = operation(self.clone());
        let task = tokio::spawn(async move {
            let _turn = turn;
            operation.await
        });
        timeout_at(deadline, task).await.map_err(from_wait)?.map_err(from_task)?
    }

    /// Now on the server's clock, in milliseconds since 1970.
    pub(crate) async fn ask_the_time(&self) -> Result<i64, StoreError> {
        let primary = || SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let hello = self.database.run_command(doc! { "hello": 1 }).selection_criteria(primary()).await;
        let answer = match hello {
            // Servers before 4.4.2 know `hello` by this name only.
            Err(error) if is_unknown_command(&error) => {
                self.database.run_command(doc! { "isMaster": 1 }).selection_criteria(primary()).await
            }
            answer => answer,
        };
        let answer = answer.map_err(from_driver)?;
        let now = answer.get_datetime("localTime").map_err(|_| foreign_answer())?.timestamp_millis();
        self.clock.told(now);
        Ok(now)
    }
}
