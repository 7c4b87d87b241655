//! MongoDB on a server of its own, or the stand-in for it.

use mongodb::{
    Client, Collection, Database,
    bson::{Binary, DateTime, Document, doc, spec::BinarySubtype},
    options::{Acknowledgment, CollectionOptions, ReadConcern, WriteConcern},
};
use session_conformance::servers::{self, Server};
use session_core::SessionId;
use session_mongo::MongoStore;

use crate::{
    session::PAYLOAD,
    table::{Backend, Disk, Life, Plain, Table, id},
};

pub(crate) struct Mongo {
    database: Database,
    _server: Server,
}

/// The store and the driver share a client and a collection, with the same concerns.
#[derive(Clone)]
pub(crate) struct MongoTable {
    store: MongoStore,
    sessions: Collection<Document>,
}

impl Backend for Mongo {
    const NAME: &'static str = "mongo";

    /// The server sweeps by itself. The store's purge reads the whole collection, for a site that cannot wait, so it is
    /// not measured.
    const PURGES: bool = false;

    type Table = MongoTable;

    async fn start(_: Disk) -> Self {
        let server = servers::own_mongodb(&[]);
        println!("MongoDB is {}", server.version().unwrap_or_default());
        let client = Client::with_uri_str(server.url()).await.unwrap();
        Self { database: client.database("benchmarks"), _server: server }
    }

    async fn table(&self, name: &str) -> MongoTable {
        let store = MongoStore::builder().with_collection(name).unwrap().with_database(self.database.clone());
        store.migrate().await.unwrap();
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::local())
            .write_concern(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build())
            .build();
        MongoTable { store, sessions: self.database.collection_with_options(name, options) }
    }
}

impl Table for MongoTable {
    type Store = MongoStore;

    fn store(&self) -> &MongoStore {
        &self.store
    }

    async fn fill(&self, sessions: u32, life: Life) {
        assert_eq!(life, Life::Live, "there is no purge to measure");
        let (now, hour) = (DateTime::now(), Life::Live.milliseconds());
        let session = |number: u32| {
            doc! {
                "_id": id().to_string(),
                "revision": binary(&[0; 8]),
                "payload": binary(&[0; PAYLOAD]),
                "owner": binary(format!("owner {}", number / 10).as_bytes()),
                "touched_at": now,
                "idle_ms": hour,
                "began_at": now,
                "life_ms": hour,
                "sweep_at": DateTime::from_millis(now.timestamp_millis() + 2 * hour),
            }
        };
        let numbers: Vec<_> = (0..sessions).collect();
        for numbers in numbers.chunks(1000) {
            self.sessions.insert_many(numbers.iter().copied().map(session)).await.unwrap();
        }
    }

    async fn settle(&self) {}
}

impl Plain for MongoTable {
    async fn read(&self, id: &SessionId) -> Vec<u8> {
        let session = self.sessions.find_one(doc! { "_id": id.to_string() }).await.unwrap().unwrap();
        session.get_binary_generic("payload").unwrap().clone()
    }

    async fn write(&self, id: &SessionId, payload: &[u8]) {
        let update = doc! { "$set": { "payload": binary(payload) } };
        self.sessions.update_one(doc! { "_id": id.to_string() }, update).await.unwrap();
    }
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}
