//! The purge deletes expired sessions. It is for a site that cannot wait for the server, or has not made the indexes.

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use session_core::StoreError;

use crate::{MongoStore, client::Client, document, error::from_driver};

impl MongoStore {
    /// Deletes expired sessions, at most `limit`, and returns how many.
    ///
    /// The server deletes them by itself, by the index on `sweep_at`, about an hour after the expiry. There is no index
    /// on the expiry itself, so a purge reads the whole collection. Other stores have such an index, because their
    /// servers delete nothing.
    pub(crate) async fn delete_expired(&self, limit: u32) -> Result<u64, StoreError> {
        // The server takes 0 for no limit.
        if limit == 0 {
            return Ok(0);
        }
        let purging = move |client: Client| async move {
            let find = client.sessions.find(document::all_expired()).projection(doc! { "_id": 1 });
            let cursor = find.limit(limit.into()).max_time(client.timeout).await.map_err(from_driver)?;
            let found: Vec<Document> = cursor.try_collect().await.map_err(from_driver)?;
            let ids: Vec<_> = found.into_iter().filter_map(|mut document| document.remove("_id")).collect();
            if ids.is_empty() {
                return Ok(0);
            }
            // The expiry is asked for again, because a session that was found may have been touched or created since.
            let deleted = client.sessions.delete_many(document::expired_among(ids)).await.map_err(from_driver)?;
            Ok(deleted.deleted_count)
        };
        self.0.run(purging).await
    }
}
