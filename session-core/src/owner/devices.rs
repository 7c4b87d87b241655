//! The list of a user's devices, and ending one of them.

use std::{fmt, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{
    EndReason, Error, EventKind, Owner, SessionId, StoreError,
    record::{Data, Found, format},
    site::Caller,
    store::{Patience, PatientStore, read},
};

/// A session in a user's list of devices.
#[derive(Clone)]
#[non_exhaustive]
pub struct Device {
    /// The session's name, fit for a form: it is no secret.
    pub id: SessionId,
    /// Whether it is the session of this very request.
    pub is_current: bool,
    /// How long ago the login began.
    pub age: Duration,
    /// How long ago the last use was, at most: a use is noted once a minute or less often.
    pub idle_for: Duration,
    data: Data,
}

impl Device {
    /// A value that the application stored in that session, as a label of the device.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if a value of another type is stored, [`Error::Store`] if the values of that session cannot be
    /// read: then the device can still be ended.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.data.values()?.get(key.as_bytes()).map(|value| format::decode(key.as_bytes(), &value)).transpose()
    }

    /// The keys of the values that the application stored in that session: for the answer to a user who asks what is kept of
    /// them.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the values of that session cannot be read.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        Ok(self.data.values()?.keys())
    }

    fn new(found: Found, current: Option<SessionId>) -> Self {
        let age = found.age_when_asked().duration();
        let unused = found.header().lifetime.idle.saturating_sub(found.left.expires_in);
        Self {
            id: found.id,
            is_current: current == Some(found.id),
            age,
            idle_for: unused.min(age),
            data: found.record.data,
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, is_current, age, idle_for, .. } = self;
        f.debug_struct("Device")
            .field("id", id)
            .field("is_current", is_current)
            .field("age", age)
            .field("idle_for", idle_for)
            .finish_non_exhaustive()
    }
}

/// The owner's sessions, the one that was begun last first. What cannot be read is left out, with an event.
pub(crate) async fn devices(
    caller: Caller<'_>,
    owner: &Owner,
    current: Option<SessionId>,
) -> Result<Vec<Device>, Error> {
    let asked = Instant::now();
    let mut devices = Vec::new();
    for (id, loaded) in caller.store.list(owner).await? {
        match Found::decode(id, loaded, asked) {
            Ok(found) => devices.push(Device::new(found, current)),
            Err(error) => caller.tell(EventKind::Unreadable(error.into()), Some(id), Some(owner)),
        }
    }
    devices.sort_by_key(|device| (device.age, device.id));
    Ok(devices)
}

/// Ends the session if it is this owner's.
pub(crate) async fn end(caller: Caller<'_>, owner: &Owner, id: &SessionId) -> Result<bool, Error> {
    let ended = match delete(caller.store, owner, id).await {
        Err(error @ Error::Store(StoreError::Corrupt { .. })) => {
            caller.tell(EventKind::Unreadable(error), Some(*id), None);
            None
        }
        deleted => deleted?,
    };
    if let Some(found) = &ended {
        caller.tell(EventKind::Ended(EndReason::EndedByOwner), Some(*id), found.header());
    }
    Ok(ended.is_some())
}

/// The session that was deleted; `None` if the owner has none of this id.
async fn delete(store: &PatientStore, owner: &Owner, id: &SessionId) -> Result<Option<Arc<Found>>, Error> {
    let mut patience = Patience::new();
    let mut seen = None;
    loop {
        patience.attempt()?;
        let found = match read(store, id).await? {
            Some(found) if found.header().owner.as_ref() == Some(owner) => found,
            Some(_) => return Ok(None),
            // After a deletion whose answer was lost, it was ours.
            None => return Ok(seen.filter(|_| patience.has_borne())),
        };
        match store.delete(id, found.revision).await {
            Ok(true) => return Ok(Some(found)),
            Ok(false) => {}
            Err(error) => patience.bear(error)?,
        }
        seen = Some(found);
        patience.pause().await;
    }
}
