//! What is stored of a session: a hash, an owner or none, and values.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A payload begins with the hash of the secret, and a byte that is 1 if the session has an owner. Then come the values.
pub(super) const HASH: usize = 32;
pub(super) const HEAD: usize = HASH + 1;

/// A value as this request sees it. What was worked out from the stored value is worked out again if that has changed.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) seen: Bytes,
    pub(super) update: Option<Update>,
}

pub(super) type Update = Arc<dyn Fn(Option<&[u8]>) -> Bytes + Send + Sync>;

pub(super) fn head(secret: &[u8], has_owner: bool) -> [u8; HEAD] {
    let mut head = [u8::from(has_owner); HEAD];
    head[..HASH].copy_from_slice(&Sha256::digest(secret));
    head
}

/// The head, and the values of the payload with these changes. Each is a key and some JSON, both behind their length.
pub(super) fn merged(head: &[u8], payload: &[u8], pending: &[(String, Change)], is_seen: bool) -> Bytes {
    let mut merged = Vec::with_capacity(payload.len() + 256);
    merged.extend_from_slice(head);
    let kept = values(payload).filter(|(key, _)| pending.iter().all(|(changed, _)| changed.as_bytes() != *key));
    let changed = pending.iter().map(|(key, change)| {
        let value = match &change.update {
            Some(update) if !is_seen => update(stored(payload, key)),
            _ => change.seen.clone(),
        };
        (key, value)
    });
    for (key, value) in changed {
        add(&mut merged, key.as_bytes(), &value);
    }
    for (key, value) in kept {
        add(&mut merged, key, value);
    }
    merged.into()
}

fn add(payload: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    for part in [key, value] {
        payload.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        payload.extend_from_slice(part);
    }
}

pub(super) fn stored<'a>(payload: &'a [u8], key: &str) -> Option<&'a [u8]> {
    values(payload).find(|(stored, _)| *stored == key.as_bytes()).map(|(_, value)| value)
}

fn values(payload: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = &payload[HEAD..];
    let mut next = move || {
        let (length, after) = rest.split_first_chunk()?;
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after;
        Some(part)
    };
    std::iter::from_fn(move || Some((next()?, next()?)))
}
