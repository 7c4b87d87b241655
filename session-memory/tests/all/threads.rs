//! Each method is one critical section and never waits in between. Only two threads at once can show that.

use std::{
    pin::pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store, StoreError};
use session_memory::MemoryStore;

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([7; 16]);
const RESTART: Expiry = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };

/// The answer, at once: the store never waits.
fn answer<T>(call: impl Future<Output = Result<T, StoreError>>) -> T {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("the memory store waited"),
    }
}

fn revision(number: u64) -> Revision {
    Revision::from_bytes(number.to_be_bytes())
}

fn of(owner: &Owner, number: u64) -> Entry<'_> {
    Entry::new(revision(number), owner.as_bytes()).with_owner(Some(owner))
}

#[test]
fn list_shows_no_session_that_changes_hands_while_it_runs() {
    let (store, stop) = (MemoryStore::new(), AtomicBool::new(false));
    let owners = [Owner::from(42), Owner::from(43)];
    answer(store.create(&ID, of(&owners[0], 0), HOUR, HOUR));
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..100_000 {
                let owner = &owners[usize::from(number % 2 == 1)];
                assert!(answer(store.replace(&ID, revision(number - 1), of(owner, number), RESTART)));
            }
            stop.store(true, Ordering::SeqCst);
        });
        while !stop.load(Ordering::SeqCst) {
            for (_, session) in answer(store.list(&owners[0])) {
                assert_eq!(session.payload, owners[0].as_bytes(), "a session was listed that is another owner's");
            }
        }
    });
}

#[test]
fn revoke_and_another_owners_login_never_both_win() {
    const ROUNDS: u64 = 20_000;
    let store = MemoryStore::new();
    let start = Arc::new(Barrier::new(2));
    let (ours, theirs) = (Owner::from(42), Owner::from(43));
    thread::scope(|scope| {
        let (store, ours) = (&store, &ours);
        let login = {
            let start = Arc::clone(&start);
            scope.spawn(move || {
                let mut moved = Vec::new();
                for _ in 0..ROUNDS {
                    answer(store.create(&ID, of(ours, 1), HOUR, HOUR));
                    start.wait();
                    moved.push(answer(store.replace(&ID, revision(1), of(&theirs, 2), RESTART)));
                    start.wait();
                    answer(store.revoke(&theirs, None));
                }
                moved
            })
        };
        let mut revoked = Vec::new();
        for _ in 0..ROUNDS {
            start.wait();
            revoked.push(answer(store.revoke(ours, None)) == 1);
            start.wait();
        }
        for (round, (revoked, moved)) in revoked.into_iter().zip(login.join().unwrap()).enumerate() {
            assert!(revoked != moved, "round {round}: the revocation {revoked}, the login {moved}");
        }
    });
}
