//! The store: one command an operation.

use std::{fmt, time::Duration};

use futures_util::TryStreamExt;
use mongodb::{
    Database, IndexModel,
    bson::{Document, doc},
    options::IndexOptions,
};
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError, async_trait};

use crate::{
    Builder,
    client::Client,
    document,
    error::{BACKEND, from_driver, is_duplicate},
};

/// How many of an owner's sessions one answer holds at most. The server sends fewer if they do not fit.
const AT_ONCE: u32 = 1000;

/// Sessions in a MongoDB collection. Cloning makes another handle on the same client.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use session_mongo::{MongoStore, mongodb::Client};
///
/// let client = Client::with_uri_str("mongodb://db.example").await?;
/// let store = MongoStore::new(client.database("shop"));
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MongoStore(pub(crate) Client);

impl MongoStore {
    /// Connects with the default settings: see [`Builder::connect`] for the URL. The collection is `sessions`, and its
    /// indexes should be there: see [`migrate`](Self::migrate).
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::TimedOut`] if the server cannot be reached or refuses the login,
    /// [`StoreError::Backend`] if the URL is none.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Uses the collection `sessions` in this database of the application's own client. The indexes should be there: see
    /// [`migrate`](Self::migrate).
    ///
    /// Read concern, write concern and read preference are the store's own, whatever the client's are.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self::builder().with_database(database)
    }

    /// The settings, to change some before [`connect`](Builder::connect).
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn from_database(builder: Builder, database: Database) -> Self {
        let Builder { collection, timeout } = builder;
        Self(Client::new(database, collection.as_str(), timeout))
    }

    /// Sees that the server is there, by a question that needs no rights.
    pub(crate) async fn meet(&self) -> Result<(), StoreError> {
        self.about_now().await.map(drop)
    }

    /// Makes the two indexes if they are not there. By the one on `sweep_at` the server deletes expired sessions
    /// itself; by the one on `owner` it finds the sessions of an owner. It may be called again, and by many processes at once.
    ///
    /// # Errors
    ///
    /// Any but [`StoreError::AlreadyExists`], if the database fails. The next call makes what is still missing.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let sweeping = IndexOptions::builder().expire_after(Duration::ZERO).build();
        let of_owners =
            IndexOptions::builder().partial_filter_expression(doc! { "owner": { "$exists": true } }).build();
        let indexes = [
            IndexModel::builder().keys(doc! { "sweep_at": 1 }).options(sweeping).build(),
            IndexModel::builder().keys(doc! { "owner": 1 }).options(of_owners).build(),
        ];
        let making = |client: Client| async move {
            client.sessions.create_indexes(indexes).await.map(drop).map_err(from_driver)
        };
        self.0.run(making).await
    }

    /// About now on the server's clock, in milliseconds since 1970. The server is asked if no load has told it lately.
    async fn about_now(&self) -> Result<i64, StoreError> {
        match self.0.clock.now() {
            Some(now) => Ok(now),
            None => self.0.run(|client| async move { client.ask_the_time().await }).await,
        }
    }

    /// Updates the document that the filter matches; `false` if there is none.
    async fn update(&self, filter: Document, update: Document) -> Result<bool, StoreError> {
        let updating = |client: Client| async move {
            let updated = client.sessions.update_one(filter, update).await.map_err(from_driver)?;
            Ok(updated.matched_count == 1)
        };
        self.0.run(updating).await
    }

    /// The documents that this matches, and the one instant at which they were read.
    async fn read(&self, matching: Document) -> Result<(Vec<Document>, i64), StoreError> {
        let reading = |client: Client| async move {
            let aggregate = client.sessions.aggregate(document::read(matching));
            let cursor = aggregate.max_time(client.timeout).batch_size(AT_ONCE).await.map_err(from_driver)?;
            let documents: Vec<_> = cursor.try_collect().await.map_err(from_driver)?;
            let now = documents.first().map(document::instant).transpose()?.unwrap_or_default();
            if now > 0 {
                client.clock.told(now);
            }
            Ok((documents, now))
        };
        self.0.run(reading).await
    }
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore").field("collection", &self.0.sessions.name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        let now = self.about_now().await?;
        let (absent, insertion) =
            (document::absent(id, entry.revision), document::insertion(entry, expires_in, ends_in, now));
        let (expired, succession) = (document::expired(id), document::succession(entry, expires_in, ends_in, now));
        let creating = |client: Client| async move {
            // Between the two commands the server may sweep the expired session that was in the way. Then a second
            // round inserts.
            for _ in 0..2 {
                let insert = client.sessions.update_one(absent.clone(), insertion.clone()).upsert(true);
                match insert.await {
                    Ok(answer) if answer.upserted_id.is_some() => return Ok(()),
                    Err(error) if !is_duplicate(&error) => return Err(from_driver(error)),
                    _ => {}
                }
                let succeed = client.sessions.update_one(expired.clone(), succession.clone());
                if succeed.await.map_err(from_driver)?.matched_count == 1 {
                    return Ok(());
                }
            }
            Err(StoreError::AlreadyExists)
        };
        self.0.run(creating).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let (mut documents, now) = self.read(doc! { "_id": id.to_string() }).await?;
        documents.first_mut().map_or(Ok(None), |document| document::loaded(document, now))
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        let now = self.about_now().await?;
        self.update(document::live(id, expected), document::replacement(entry, expiry, now)).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        let now = self.about_now().await?;
        self.update(document::live(id, expected), document::touching(expires_in, now)).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        let filter = document::live(id, expected);
        let deleting = |client: Client| async move {
            let deleted = client.sessions.delete_one(filter).await.map_err(from_driver)?;
            Ok(deleted.deleted_count == 1)
        };
        self.0.run(deleting).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        let (documents, now) = self.read(document::of(owner.as_bytes())).await?;
        let mut sessions = Vec::with_capacity(documents.len());
        for mut document in documents {
            let id = document::id(&document)?;
            sessions.extend(document::loaded(&mut document, now)?.map(|loaded| (id, loaded)));
        }
        Ok(sessions)
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        let filter = document::owned(owner.as_bytes(), keep);
        let revoking = |client: Client| async move {
            let deleted = client.sessions.delete_many(filter).await.map_err(from_driver)?;
            Ok(deleted.deleted_count)
        };
        self.0.run(revoking).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.delete_expired(limit).await
    }

    fn backend(&self) -> &'static str {
        BACKEND
    }
}
