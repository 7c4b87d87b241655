//! Sessions that cannot be read.

use bytes::Bytes;
use session_core::{Entry, Error, Expiry, Policy, Revision, SessionId, Store, StoreError, WhenUnreadable};

use super::{Browser, Site};

/// Writes this in place of the stored record, as another version of the application would.
pub(crate) async fn overwrite(site: &Site, id: &SessionId, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let loaded = site.lab.memory.load(id).await.unwrap().unwrap();
    let mut payload = loaded.payload.to_vec();
    change(&mut payload);
    let revision = Revision::from_bytes([payload.last().copied().unwrap_or(1); 8]);
    assert!(site.lab.memory.replace(id, loaded.revision, Entry::new(revision, &payload), Expiry::Keep).await.unwrap());
    site.lab.calls();
    payload.into()
}

/// Writes the values of this session as a later version would.
pub(crate) async fn in_later_data(site: &Site, id: &SessionId) -> Bytes {
    overwrite(site, id, |payload| {
        let head = usize::from(u16::from_be_bytes([payload[1], payload[2]]));
        payload[3 + head] = u8::MAX;
    })
    .await
}

/// Makes this session so that nothing of it can be read.
pub(crate) async fn in_garbage(site: &Site, id: &SessionId) -> Bytes {
    overwrite(site, id, |payload| payload[0] = 0xee).await
}

pub(crate) fn going_on() -> Site {
    Site::with_policy(Policy::builder().when_unreadable(WhenUnreadable::GoOnWithout).build().unwrap())
}

pub(crate) async fn id_of(browser: &Browser) -> SessionId {
    browser.start().await.1.id().unwrap()
}

pub(crate) fn is_corrupt<T>(answer: Result<T, Error>) -> bool {
    answer.is_err_and(|error| matches!(error, Error::Store(StoreError::Corrupt { .. })) && error.status() == 500)
}
