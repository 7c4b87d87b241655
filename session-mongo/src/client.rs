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

/// How much longer the store waits than the server and the driver, whose word is worth more than silence.
const GRACE: Duration = Duration::from_millis(500);

/// How many operations are under way at most. More wait for their turn, so that a server that has stopped does not fill
/// the application's memory: an operation that nobody waits for any more is still there until it has its answer.
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
            // A majority read may lag behind a write of this very store, of whose outcome it asks.
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
    /// The driver's futures must not be dropped half way, and a request's future is dropped when its client goes away. So
    /// what has begun is done wholly, also when nobody waits for it.
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
            // Before 4.4.2 it was called so.
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
