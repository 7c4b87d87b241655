//! Many operations at once. A lock is waited for, and a wait that is too long ends with a typed error.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store, StoreError};
use session_sqlite::{
    SqliteStore,
    sqlx::{self, Connection, SqliteConnection, sqlite::SqliteConnectOptions},
};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    (folder, path)
}

fn entry() -> Entry<'static> {
    Entry::new(Revision::from_bytes([1; 8]), b"")
}

/// A connection that holds SQLite's write lock until it is dropped or rolled back.
async fn lock(path: &PathBuf) -> SqliteConnection {
    let mut other = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    other
}

/// Waits in real time: SQLite's clock cannot be moved.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Two processes of one machine: each has connections of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_tasks_in_two_stores_on_one_file_see_no_locked_database() {
    let (_folder, path) = folder();
    let stores = [SqliteStore::open(&path).await.unwrap(), SqliteStore::open(&path).await.unwrap()];
    let user = Owner::from(42);
    let tasks: Vec<_> = (0..16_u8)
        .map(|task| {
            let (store, user) = (stores[usize::from(task % 2)].clone(), user.clone());
            tokio::spawn(async move {
                for step in 0..20 {
                    let id = SessionId::from_bytes([[task; 8], [step; 8]].concat().try_into().unwrap());
                    store.create(&id, entry().with_owner(Some(&user)), HOUR, HOUR).await?;
                    assert!(store.load(&id).await?.is_some());
                    assert!(store.touch(&id, entry().revision, HOUR / 2).await?);
                    store.list(&user).await?;
                    store.purge(10).await?;
                    if step % 2 == 0 {
                        assert!(store.delete(&id, entry().revision).await?);
                    }
                }
                Ok::<_, StoreError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(stores[0].list(&user).await.unwrap().len(), 160);
    assert_eq!(stores[1].revoke(&user, None).await.unwrap(), 160);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_file_may_be_opened_and_migrated_by_many_at_once() {
    for _ in 0..20 {
        let (_folder, path) = folder();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move {
                    // The disk may be slow.
                    let patient = SqliteStore::builder().with_timeout(Duration::from_secs(30));
                    let store = patient.open(&path).await?;
                    store.migrate().await?;
                    store.load(&ID).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_write_that_waits_for_the_lock_until_after_the_expiry_does_nothing() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).await.unwrap();
    let soon = Duration::from_millis(400);
    for number in 0..4 {
        store.create(&SessionId::from_bytes([number; 16]), entry(), soon, HOUR).await.unwrap();
    }
    let other = lock(&path).await;
    let waiting = store.clone();
    let late = tokio::spawn(async move {
        let (id, next) = (|number| SessionId::from_bytes([number; 16]), Entry::new(Revision::from_bytes([2; 8]), b""));
        [
            waiting.replace(&id(0), entry().revision, next, Expiry::Extend(HOUR)).await,
            waiting.replace(&id(1), entry().revision, next, Expiry::Keep).await,
            waiting.touch(&id(2), entry().revision, HOUR).await,
            waiting.delete(&id(3), entry().revision).await,
        ]
    });
    pass(soon + Duration::from_millis(200)).await;
    other.close().await.unwrap();
    for answer in late.await.unwrap() {
        assert!(!answer.unwrap(), "a write that waited until after the expiry was applied");
    }
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_times_out_and_the_store_works_again_afterwards() {
    let (_folder, path) = folder();
    let store = SqliteStore::builder().with_timeout(Duration::from_millis(200)).open(&path).await.unwrap();
    store.create(&ID, entry(), HOUR, HOUR).await.unwrap();
    let other = lock(&path).await;
    let start = Instant::now();
    for _ in 0..3 {
        let error = store.touch(&ID, entry().revision, HOUR).await.unwrap_err();
        assert!(matches!(error, StoreError::TimedOut { backend: "sqlite", .. }), "{error:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(5), "the waits took {:?}", start.elapsed());
    assert!(store.load(&ID).await.unwrap().is_some(), "a reader must not wait for a writer");
    other.close().await.unwrap();
    assert!(store.touch(&ID, entry().revision, HOUR).await.unwrap());
}

/// More futures are dropped than there are connections. Each is waiting for the lock when it is dropped.
#[tokio::test]
async fn a_future_that_is_dropped_while_it_waits_leaves_a_connection_that_works() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).await.unwrap();
    store.create(&ID, entry(), HOUR, 2 * HOUR).await.unwrap();
    let other = lock(&path).await;
    for _ in 0..12 {
        let write = store.touch(&ID, entry().revision, HOUR);
        assert!(tokio::time::timeout(Duration::from_millis(20), write).await.is_err(), "the lock was not held");
    }
    other.close().await.unwrap();
    assert!(store.touch(&ID, entry().revision, HOUR).await.unwrap());
    assert!(store.delete(&ID, entry().revision).await.unwrap());
    assert_eq!(store.load(&ID).await.unwrap(), None);
}
