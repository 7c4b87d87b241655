use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{
    Lifetime,
    record::{Data, Header, Record},
    request::SecretHash,
};

/// A session that was begun this many microseconds after the others, as a store tells of it when it is asked.
fn listed(id: u8, began: u64, asked: u64) -> (SessionId, Loaded) {
    let hour = Duration::from_secs(3600);
    let header = Header::new(SecretHash([0; 32]), Lifetime::new(hour, hour));
    let payload = Record { header, data: Data::new() }.encode();
    let left = hour - Duration::from_micros(asked) + Duration::from_micros(began);
    let revision = Revision::from_bytes([id; 8]);
    (SessionId::from_bytes([id; 16]), Loaded::new(revision, payload, left, left))
}

#[test]
fn readers_agree_which_session_is_older_whenever_they_ask() {
    // Their logins began within one millisecond, the one of the largest id first.
    let began = [(3, 100), (2, 400), (1, 700)];
    for asked in (700..3000).step_by(50) {
        let sessions = began.map(|(id, began)| listed(id, began, asked)).into();
        let order: Vec<_> =
            oldest_first(sessions, Instant::now()).into_iter().map(|(id, _)| id.as_bytes()[0]).collect();
        assert_eq!(order, [3, 2, 1], "asked {asked} microseconds after the first began");
    }
}

#[test]
fn what_cannot_be_read_counts_as_the_oldest() {
    let (garbage, unreadable) = listed(9, 999, 1000);
    let unreadable = unreadable.with_payload(Bytes::from_static(b"garbage"));
    let order = oldest_first(vec![listed(1, 0, 1000), (garbage, unreadable)], Instant::now());
    assert_eq!(order[0].0, garbage);
}

#[test]
fn readers_agree_which_of_several_sessions_of_one_age_ends_first() {
    for shown in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
        let ordered = oldest_first(shown.map(|id| listed(id, 500, 1000)).into(), Instant::now());
        let order: Vec<_> = ordered.into_iter().map(|(id, _)| id.as_bytes()[0]).collect();
        assert_eq!(order, [1, 2, 3], "shown as {shown:?}");
    }
}
