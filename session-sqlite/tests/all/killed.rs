//! A process that is killed while it writes.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use session_core::{Entry, Owner, Revision, SessionId, Store};
use session_sqlite::SqliteStore;

const HOUR: Duration = Duration::from_secs(3600);
/// The variable that names the file to write to, for the process that is to be killed.
const VICTIM: &str = "SESSION_SQLITE_VICTIM";
const ANSWERED: &str = "answered ";
const REVISION: Revision = Revision::from_bytes([1; 8]);

fn id(number: u128) -> SessionId {
    SessionId::from_bytes(number.to_be_bytes())
}

/// How many write at once, so that their writes go in groups.
const WRITERS: usize = 8;

/// Each writer creates one session after the other, deletes every second one, and prints a line after each answer.
async fn write_until_killed(path: String) {
    let store = SqliteStore::open(path).await.unwrap();
    let writers: Vec<_> = (0..).take(WRITERS).map(|first| tokio::spawn(write(store.clone(), first))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write(store: SqliteStore, first: u128) {
    let owner = Owner::from(42);
    for number in (first..).step_by(WRITERS) {
        let entry = Entry::new(REVISION, b"payload").with_owner(Some(&owner));
        store.create(&id(number), entry, HOUR, HOUR).await.unwrap();
        if is_deleted(number) {
            assert!(store.delete(&id(number), REVISION).await.unwrap());
        }
        println!("\n{ANSWERED}{number}");
    }
}

/// Every second one of each writer.
fn is_deleted(number: u128) -> bool {
    number / WRITERS as u128 % 2 == 1
}

#[tokio::test]
async fn a_process_that_is_killed_loses_nothing_that_was_answered() {
    if let Ok(path) = env::var(VICTIM) {
        return write_until_killed(path).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "killed::a_process_that_is_killed_loses_nothing_that_was_answered", "--nocapture"])
        .env(VICTIM, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answered = BTreeSet::new();
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        if let Some(number) = line.unwrap().strip_prefix(ANSWERED) {
            answered.insert(number.parse().unwrap());
            if answered.len() == 60 {
                victim.kill().unwrap();
            }
        }
    }
    victim.wait().unwrap();
    assert!(answered.len() >= 60, "the process ended by itself");

    let store = SqliteStore::open(&path).await.unwrap();
    for &number in &answered {
        let found = store.load(&id(number)).await.unwrap().is_some();
        assert_eq!(found, !is_deleted(number), "session {number} of {answered:?}, after the process was killed");
    }
    let listed = store.list(&Owner::from(42)).await.unwrap().len();
    let at_least = answered.iter().filter(|&&number| !is_deleted(number)).count();
    // One more of each writer may have been written without an answer.
    assert!((at_least..=at_least + WRITERS).contains(&listed), "{listed} of {answered:?} are listed");
    store.create(&id(u128::MAX), Entry::new(REVISION, b""), HOUR, HOUR).await.unwrap();
}
