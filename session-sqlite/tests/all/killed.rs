//! A process that is killed while it writes.

use std::{
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

/// Creates one session after the other, deletes every second one, and prints a line after each answer.
async fn write_until_killed(path: String) {
    let store = SqliteStore::open(path).await.unwrap();
    let owner = Owner::from(42);
    for number in 0.. {
        let entry = Entry::new(REVISION, b"payload").with_owner(Some(&owner));
        store.create(&id(number), entry, HOUR, HOUR).await.unwrap();
        if number % 2 == 1 {
            assert!(store.delete(&id(number), REVISION).await.unwrap());
        }
        println!("\n{ANSWERED}{number}");
    }
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
    let mut answered = 0;
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        if let Some(number) = line.unwrap().strip_prefix(ANSWERED) {
            answered = number.parse().unwrap();
            if answered == 60 {
                victim.kill().unwrap();
            }
        }
    }
    victim.wait().unwrap();
    assert!(answered >= 60, "the process ended by itself");

    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..=answered {
        let found = store.load(&id(number)).await.unwrap().is_some();
        assert_eq!(found, number % 2 == 0, "session {number} of {answered}, after the process was killed");
    }
    let listed = u128::try_from(store.list(&Owner::from(42)).await.unwrap().len()).unwrap();
    let at_least = answered / 2 + 1;
    // One more may have been written without an answer.
    assert!((at_least..=at_least + 1).contains(&listed), "{listed} of {answered} are listed");
    store.create(&id(answered + 9), Entry::new(REVISION, b""), HOUR, HOUR).await.unwrap();
}
