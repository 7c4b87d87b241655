//! A document that the store has not written is `Corrupt`, and is left as it is.

use std::time::Duration;

use session_conformance::servers;
use session_core::{Expiry, Owner, SessionId, Store, StoreError};
use session_mongo::{
    MongoStore,
    mongodb::{
        Client, Collection,
        bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype},
    },
};

use crate::support::{HOUR, ID, NEW, OLD, entry};

async fn open(database: &str) -> (MongoStore, Collection<Document>) {
    let database = Client::with_uri_str(servers::mongodb().url()).await.unwrap().database(database);
    (MongoStore::new(database.clone()), database.collection("sessions"))
}

fn is_corrupt<T: std::fmt::Debug>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Corrupt { backend: "mongodb", .. }))
}

#[tokio::test]
async fn a_document_with_a_field_that_is_missing_or_of_another_type_is_corrupt_and_stays() {
    let (store, documents) = open("foreign").await;
    let (owner, mine) = (Owner::from(42), doc! { "_id": ID.to_string() });
    let bytes = |bytes: &[u8]| Bson::from(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() });
    let foreign: [(&str, Bson); 14] = [
        ("touched_at", "yesterday".into()),
        ("touched_at", 5_i64.into()),
        ("touched_at", DateTime::MAX.into()),
        ("began_at", Bson::Null),
        ("began_at", doc! { "on": "Monday" }.into()),
        ("idle_ms", "an hour".into()),
        ("idle_ms", Bson::Null),
        ("idle_ms", i64::MAX.into()),
        ("life_ms", DateTime::now().into()),
        ("life_ms", (-1_i64).into()),
        ("revision", bytes(b"short")),
        ("revision", 1.into()),
        ("payload", "text".into()),
        ("payload", Bson::Undefined),
    ];
    for (field, value) in foreign {
        let case = format!("{field}: {value}");
        documents.delete_many(doc! {}).await.unwrap();
        let (sound, kept) = (SessionId::from_bytes([7; 16]), SessionId::from_bytes([8; 16]));
        for id in [&ID, &sound, &kept] {
            store.create(id, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
        }
        let spoil = if value == Bson::Undefined {
            doc! { "$unset": { field: "" } }
        } else {
            doc! { "$set": { field: value } }
        };
        documents.update_one(mine.clone(), spoil).await.unwrap();
        let before = documents.find_one(mine.clone()).await.unwrap().unwrap();

        let answer = store.load(&ID).await;
        assert!(is_corrupt(&answer), "load with {case}: {answer:?}");
        let answer = store.list(&owner).await;
        assert!(is_corrupt(&answer), "list with {case}: {answer:?}");
        let answer = store.create(&ID, entry(NEW), HOUR, HOUR).await;
        assert!(matches!(answer, Err(StoreError::AlreadyExists)), "create with {case}: {answer:?}");
        assert_eq!(store.purge(100).await.unwrap(), 0, "purge with {case}");
        if field != "payload" {
            assert!(!store.replace(&ID, OLD, entry(NEW), Expiry::Extend(HOUR)).await.unwrap(), "replace with {case}");
            assert!(!store.touch(&ID, OLD, HOUR).await.unwrap(), "touch with {case}");
            assert!(!store.delete(&ID, OLD).await.unwrap(), "delete with {case}");
        }
        assert_eq!(documents.find_one(mine.clone()).await.unwrap().unwrap(), before, "{case}");
        // A document that cannot be read does not keep the owner's other sessions from being revoked. One without its
        // instants opens nothing, so it may stay.
        let gone = store.revoke(&owner, Some(&kept)).await.unwrap();
        let is_dated = ["payload", "revision"].contains(&field);
        assert_eq!(gone, 1 + u64::from(is_dated), "revoke with {case}");
        assert!(store.load(&sound).await.unwrap().is_none(), "{case}");
        assert!(store.load(&kept).await.unwrap().is_some(), "{case}");
    }
}

/// All other instants are the server's. Only the field for sweeping is an estimate, an hour late.
#[tokio::test]
async fn the_field_for_sweeping_is_an_hour_after_the_expiry_and_never_nearer_than_it_was() {
    let (store, documents) = open("swept").await;
    let swept_in = || async {
        let document = documents.find_one(doc! { "_id": ID.to_string() }).await.unwrap().unwrap();
        let at = |field| document.get_datetime(field).unwrap().timestamp_millis();
        Duration::from_millis(u64::try_from(at("sweep_at") - at("touched_at")).unwrap()).as_secs_f64() / 60.0
    };
    let is_about = |minutes: f64, expected: f64| assert!((minutes - expected).abs() < 0.5, "{minutes}, not {expected}");
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    store.create(&ID, entry(OLD), minutes(10), HOUR).await.unwrap();
    is_about(swept_in().await, 70.0);
    assert!(store.touch(&ID, OLD, minutes(20)).await.unwrap());
    is_about(swept_in().await, 80.0);
    assert!(store.touch(&ID, OLD, minutes(5)).await.unwrap());
    is_about(swept_in().await, 80.0);
    assert!(store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.unwrap());
    is_about(swept_in().await, 80.0);
    let restart = Expiry::Restart { expires_in: 2 * HOUR, ends_in: 24 * HOUR };
    assert!(store.replace(&ID, NEW, entry(OLD), restart).await.unwrap());
    is_about(swept_in().await, 180.0);
}
