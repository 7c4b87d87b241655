//! The owner's epoch: what makes a revocation beat a login in flight. The login is refused in `exchange/admission.rs`.
//!
//! An epoch is an entry of the same store, under an id that is made of the owner. It lives for a day, longer than any
//! login takes; its age tells when the owner's sessions were last revoked, on the store's clock.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{
    Entry, Error, EventKind, Expiry, Loaded, Owner, Purpose, Revision, SessionId, StoreError,
    record::{Found, Unreadable},
    site::Caller,
    store::{Patience, PatientStore},
};

const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The first byte of its payload. A session's is another.
const VERSION: u8 = 0xe1;

/// A session that is not revoked, in the generation that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) id: SessionId,
    generation: u32,
}

impl Kept {
    pub(crate) fn of(found: &Found) -> Self {
        Self { id: found.id, generation: found.header().generation }
    }
}

/// When the owner's sessions were last revoked.
#[derive(Debug)]
pub(crate) struct Epoch {
    revision: Revision,
    pub(crate) age: Duration,
    /// The session that was not revoked.
    pub(crate) kept: Option<Kept>,
}

fn id(owner: &Owner) -> SessionId {
    let hash = Sha256::new().chain_update("session/epoch/v1").chain_update(owner.as_bytes()).finalize();
    SessionId::from_bytes(std::array::from_fn(|at| hash[at]))
}

pub(crate) async fn read(store: &PatientStore, owner: &Owner) -> Result<Option<Epoch>, Error> {
    found(store.load(&id(owner)).await?)
}

/// Makes a session of this owner, and reads the epoch after that. The outer error is that of the creation.
pub(crate) async fn create_then_read(
    store: &PatientStore,
    owner: &Owner,
    session: &SessionId,
    entry: Entry<'_>,
    times: [Duration; 2],
) -> Result<Result<Option<Epoch>, Error>, StoreError> {
    let loaded = store.create_then_load(session, entry, times, &id(owner)).await?;
    Ok(loaded.map_err(Error::from).and_then(found))
}

fn found(loaded: Option<Loaded>) -> Result<Option<Epoch>, Error> {
    let Some(loaded) = loaded else { return Ok(None) };
    let kept = decode(&loaded.payload).ok_or_else(|| StoreError::corrupt("the store", Unreadable))?;
    Ok(Some(Epoch { revision: loaded.revision, age: LIFETIME.saturating_sub(loaded.ends_in), kept }))
}

/// Who moved an epoch on from what was seen.
pub(crate) enum Advance {
    ByUs,
    /// Another revocation did, and this is what it has left.
    ByAnother(Option<Epoch>),
}

/// Moves the epoch on from what was seen when the revocation began. One that another has moved since need not be moved
/// again; one that has expired has not moved.
pub(crate) async fn advance(
    store: &PatientStore,
    owner: &Owner,
    seen: Option<&Epoch>,
    kept: Option<Kept>,
) -> Result<Advance, Error> {
    let id = id(owner);
    let payload = encode(kept);
    let mut seen = seen.map(|epoch| epoch.revision);
    let mut patience = Patience::new();
    loop {
        patience.attempt()?;
        let entry = Entry::new(Revision::random()?, &payload).with_purpose(Purpose::Login);
        let moved = match seen {
            None => store.create(&id, entry, LIFETIME, LIFETIME).await.map(|()| true),
            Some(seen) => {
                let expiry = Expiry::Restart { expires_in: LIFETIME, ends_in: LIFETIME };
                store.replace(&id, seen, entry, expiry).await
            }
        };
        match moved {
            Ok(true) => return Ok(Advance::ByUs),
            Ok(false) | Err(StoreError::AlreadyExists) => {}
            Err(error) => patience.bear(error)?,
        }
        let now = read(store, owner).await?;
        let revision = now.as_ref().map(|epoch| epoch.revision);
        if revision.is_some() && revision != seen {
            // Where the answer was lost, it may be ours: no other revocation keeps the same.
            let is_ours = kept.is_some() && now.as_ref().is_some_and(|epoch| epoch.kept == kept);
            return Ok(if is_ours { Advance::ByUs } else { Advance::ByAnother(now) });
        }
        seen = revision;
        patience.pause().await;
    }
}

/// Ends the owner's sessions but the kept one, and their logins in flight. Returns how many sessions were live.
pub(crate) async fn revoke(caller: Caller<'_>, owner: &Owner, kept: Option<Kept>) -> Result<u64, Error> {
    let store = caller.store;
    let moved = async {
        let seen = read(store, owner).await?;
        advance(store, owner, seen.as_ref(), kept).await.map(|_| ())
    };
    let moved = moved.await;
    // Also where the epoch cannot be moved: what can be ended is ended, and the caller gets the error.
    let count = store.revoke(owner, kept.as_ref().map(|kept| &kept.id)).await?;
    caller.tell(EventKind::Revoked { count }, None, Some(owner));
    moved.map(|()| count)
}

fn encode(kept: Option<Kept>) -> Vec<u8> {
    let mut payload = vec![VERSION];
    if let Some(Kept { id, generation }) = kept {
        payload.extend(id.as_bytes());
        payload.extend(generation.to_be_bytes());
    }
    payload
}

fn decode(payload: &[u8]) -> Option<Option<Kept>> {
    match payload.split_first() {
        Some((&VERSION, [])) => Some(None),
        // What follows is a later version's. Where none is kept, that one writes zeros.
        Some((&VERSION, kept)) => {
            let (id, rest) = kept.split_first_chunk::<16>()?;
            let (generation, _) = rest.split_first_chunk::<4>()?;
            Some(Some(Kept { id: SessionId::from_bytes(*id), generation: u32::from_be_bytes(*generation) }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_of_a_later_version_is_read() {
        let kept = Kept { id: SessionId::from_bytes([7; 16]), generation: 3 };
        for kept in [None, Some(kept)] {
            assert_eq!(decode(&encode(kept)), Some(kept));
        }
        let later = [encode(Some(kept)).as_slice(), b"a later field"].concat();
        assert_eq!(decode(&later), Some(Some(kept)));
        assert_eq!(decode(&later[..20]), None, "cut off");
    }
}
