//! Payloads, ids, revisions and namespaces: bytes are bytes.

use session_core::{Entry, Expiry, Loaded, Revision, SessionId, Store, StoreError};
use tokio::task::yield_now;

use crate::{
    Subject,
    trial::{DAY, HOUR, Trial, answer, first, id, owner, revision, second},
};

/// The largest payload that each store takes.
const LARGE: usize = 1024 * 1024;

pub(crate) async fn payloads_of_any_size_come_back<S: Subject>(trial: &Trial<S>) {
    const KIB: usize = 1024;
    let sizes = [1, 255, 256, 4 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 256 * KIB, KIB * KIB];
    for (number, size) in (0..).zip(sizes) {
        let payload = pattern(size);
        trial.create(id(number), Entry::new(revision(1), &payload), HOUR, DAY).await;
        assert!(
            trial.loaded(id(number)).await.payload == payload,
            "a created payload of {size} bytes came back changed"
        );
        let payload: Vec<u8> = payload.into_iter().rev().collect();
        trial.must_replace(id(number), 1, Entry::new(revision(2), &payload), Expiry::Keep).await;
        assert!(
            trial.loaded(id(number)).await.payload == payload,
            "a replaced payload of {size} bytes came back changed"
        );
    }
}

/// A store may keep a large payload apart from its row, because its database takes no larger values. Then each
/// write has to keep it under a name of its own. The id is no such name, and neither is the revision: core may send
/// a write again, under the same revision.
pub(crate) async fn a_refused_write_leaves_a_large_payload_alone<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    let payloads = [1, 2, 3].map(large);
    let [first, other, next] = [0, 1, 2].map(|at: usize| {
        let entry = Entry::new(revision(at as u64 + 1), &payloads[at]);
        entry.with_owner(Some(&user))
    });
    trial.create(id(1), first, HOUR, DAY).await;
    for (entry, what) in [(other, "a `create`"), (first, "the same `create`, sent again,")] {
        let created = trial.store().create(&id(1), entry, HOUR, DAY).await;
        assert!(matches!(created, Err(StoreError::AlreadyExists)), "{what} took a live session's id: {created:?}");
        large_payload_stands(trial, what).await;
    }
    assert!(!trial.replace(id(1), 7, other, Expiry::Keep).await, "a session was replaced under another revision");
    large_payload_stands(trial, "a `replace`").await;
    trial.must_replace(id(1), 1, next, Expiry::Keep).await;
    assert!(!trial.replace(id(1), 1, next, Expiry::Keep).await, "a `replace` that was sent twice was done twice");
    large_payload_stands(trial, "the same `replace`, sent again,").await;
}

async fn large_payload_stands<S: Subject>(trial: &Trial<S>, refused: &str) {
    let shown = trial.list(&owner("user 42")).await.into_iter().map(|(_, listed)| listed);
    let shown: Vec<Loaded> = shown.chain([trial.loaded(id(1)).await]).collect();
    assert!(
        shown.len() == 2 && shown.iter().all(is_whole),
        "{refused} was refused, and has changed the large payload of the session: {shown:?}"
    );
}

pub(crate) async fn a_load_beside_writes_of_large_payloads_gets_one_of_them_whole<S: Subject>(trial: &Trial<S>) {
    for round in 0..2 {
        let id = id(round);
        trial.create(id, Entry::new(revision(1), &large(1)), HOUR, DAY).await;
        let replaced = trial.together(round, 4, move |number, store| {
            // It takes a while to make, and the calls shall meet.
            let payload = large(1 + number);
            async move {
                if number == 0 {
                    load_some_times(&*store, id).await;
                    return false;
                }
                let entry = Entry::new(revision(1 + number), &payload);
                answer("replace", store.replace(&id, revision(1), entry, Expiry::Keep).await)
            }
        });
        let done: Vec<u64> = (1..).zip(replaced.await).filter(|(_, done)| *done).map(|(number, _)| number).collect();
        let loaded = trial.loaded(id).await;
        assert!(
            done.len() == 1 && loaded.revision == revision(done[0]),
            "of concurrent writes of large payloads one must be done, and stand: {done:?} were, and {loaded:?} stands"
        );
        assert!(is_whole(&loaded), "the payload of a write that was refused stands under the revision of another");
    }
}

async fn load_some_times(store: &impl Store, id: SessionId) {
    for _ in 0..4 {
        let loaded = answer("load", store.load(&id).await);
        let loaded = loaded.unwrap_or_else(|| panic!("`load` missed a session beside a write of a large payload"));
        assert!(is_whole(&loaded), "`load` answered the revision of one write and the payload of another");
        yield_now().await;
    }
}

/// The payload that is written under the revision of this number.
fn large(number: u64) -> Vec<u8> {
    pattern(LARGE).into_iter().map(|byte| byte ^ number.to_be_bytes()[7]).collect()
}

fn is_whole(loaded: &Loaded) -> bool {
    loaded.payload == large(u64::from_be_bytes(*loaded.revision.as_bytes()))
}

pub(crate) async fn an_empty_payload_is_a_session<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    trial.create(id(1), Entry::new(revision(1), b"").with_owner(Some(&user)), HOUR, DAY).await;
    assert_eq!(trial.loaded(id(1)).await.payload, "", "an empty payload came back changed");
    assert_eq!(trial.listed(&user).await, [id(1)].into(), "`list` misses a session with an empty payload");
    assert!(trial.replace(id(1), 1, second(), Expiry::Keep).await, "a session with an empty payload was not replaced");
    trial.must_replace(id(1), 2, Entry::new(revision(3), b""), Expiry::Keep).await;
    assert_eq!(trial.loaded(id(1)).await.payload, "", "an empty payload came back changed");
    assert!(trial.touch(id(1), 3, HOUR).await, "a session with an empty payload was not touched");
    assert!(trial.delete(id(1), 3).await, "a session with an empty payload was not deleted");
}

pub(crate) async fn payloads_of_any_bytes_come_back<S: Subject>(trial: &Trial<S>) {
    let user = owner("user 42");
    let every_byte: Vec<u8> = (0..=255).collect();
    let payloads: [&[u8]; 8] =
        [&every_byte, b"\0", b"\0\0\0", b"a\0b", b"\xff\xfe", b"'; DROP TABLE s; --\\", b"\\x00", b"null\r\n"];
    for (number, payload) in (0..).zip(payloads) {
        trial.create(id(number), Entry::new(revision(1), payload).with_owner(Some(&user)), HOUR, DAY).await;
    }
    for (number, payload) in (0..).zip(payloads) {
        assert_eq!(trial.loaded(id(number)).await.payload, payload, "a payload came back from `load` changed");
        let replaced = trial.replace(id(number), 1, Entry::new(revision(2), payload), Expiry::Keep).await;
        assert!(replaced, "a session was not replaced under its revision");
        assert_eq!(trial.loaded(id(number)).await.payload, payload, "a replaced payload came back changed");
    }
    for (id, listed) in trial.list(&user).await {
        let written = (0..).zip(payloads).find(|(number, _)| self::id(*number) == id).map(|(_, payload)| payload);
        assert_eq!(written, Some(&*listed.payload), "a payload came back from `list` changed");
    }
}

pub(crate) async fn any_revision_comes_back<S: Subject>(trial: &Trial<S>) {
    let revisions = [
        [0; 8],
        [0xff; 8],
        [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        [0x80, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [1, 0, 0, 0, 0, 0, 0, 0],
        *b"aAaAaAaA",
        *b"AaAaAaAa",
    ];
    trial.create(id(1), Entry::new(Revision::from_bytes(revisions[0]), b""), HOUR, DAY).await;
    for pair in revisions.windows(2) {
        let (now, next) = (Revision::from_bytes(pair[0]), Revision::from_bytes(pair[1]));
        assert_eq!(trial.loaded(id(1)).await.revision, now, "a revision came back changed");
        let refused = trial.store().replace(&id(1), next, Entry::new(next, b""), Expiry::Keep).await;
        assert!(!answer("replace", refused), "{now:?} was taken for {next:?}");
        let replaced = trial.store().replace(&id(1), now, Entry::new(next, b""), Expiry::Keep).await;
        assert!(answer("replace", replaced), "{now:?} was not recognised");
    }
}

pub(crate) async fn ids_that_differ_in_one_bit_differ<S: Subject>(trial: &Trial<S>) {
    let base = 0x5341_7A30_2D5F_0041_6100_FF80_7F20_0A00_u128;
    let flips = || (0..128).step_by(3).map(|bit| base ^ (1 << bit)).chain([base, 0, u128::MAX]);
    for number in flips() {
        trial.create(id(number), Entry::new(revision(1), &number.to_be_bytes()), HOUR, DAY).await;
    }
    for number in flips() {
        let payload = trial.loaded(id(number)).await.payload;
        assert_eq!(payload, number.to_be_bytes()[..], "two ids that differ in one bit are one session");
    }
    trial.must_delete(id(base), 1).await;
    for number in flips().filter(|number| *number != base) {
        assert!(trial.load(id(number)).await.is_some(), "a session was deleted by an id that differs in one bit");
    }
}

pub(crate) async fn ids_that_differ_in_letter_case_differ<S: Subject>(trial: &Trial<S>) {
    let texts =
        ["abcdefghijklmnopqrstuA", "ABCDEFGHIJKLMNOPQRSTUA", "AbCdEfGhIjKlMnOpQrStUA", "aBcDeFgHiJkLmNoPqRsTuA"];
    let ids = texts.map(|text| text.parse::<SessionId>().unwrap());
    let raw = [*b"session-forty-42", *b"SESSION-FORTY-42", *b"Session-Forty-42"].map(SessionId::from_bytes);
    let ids = || ids.into_iter().chain(raw);
    for (number, id) in ids().enumerate() {
        trial.create(id, Entry::new(revision(1), &number.to_be_bytes()), HOUR, DAY).await;
    }
    for (number, id) in ids().enumerate() {
        let payload = trial.loaded(id).await.payload;
        assert_eq!(payload, number.to_be_bytes()[..], "two ids that differ in letter case are one session");
    }
}

pub(crate) async fn two_namespaces_never_meet<S: Subject>(trial: &Trial<S>) {
    let (user, other) = (owner("user 42"), trial.open(&trial.another_namespace()).await.store());
    trial.create(id(1), first().with_owner(Some(&user)), HOUR, DAY).await;
    assert!(answer("load", other.load(&id(1)).await).is_none(), "a session was loaded from another namespace");
    assert!(answer("list", other.list(&user).await).is_empty(), "a session was listed from another namespace");
    answer("create", other.create(&id(1), second().with_owner(Some(&user)), HOUR, DAY).await);
    assert_eq!(
        trial.loaded(id(1)).await.payload,
        "the first write",
        "a `create` in another namespace changed this one"
    );
    assert_eq!(answer("revoke", other.revoke(&user, None).await), 1, "`revoke` counted another namespace's sessions");
    assert!(trial.load(id(1)).await.is_some(), "`revoke` in another namespace deleted a session here");
    assert!(!answer("delete", other.delete(&id(1), revision(1)).await), "a session was deleted from another namespace");
    assert!(!answer("touch", other.touch(&id(1), revision(1), HOUR).await), "one was touched from another namespace");
    assert_eq!(trial.listed(&user).await, [id(1)].into(), "another namespace changed this one's list");
}

/// Bytes that would not come through a text encoding or a compression by chance.
fn pattern(size: usize) -> Vec<u8> {
    let mut state = 42_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}
