//! A session outside of a request: for a webhook, or a job.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, EventKind, Expiry, Owner, SessionId, StoreError,
    record::{Data, Found, Record, format},
    request::Resource,
    session::at_once::changed,
    site::Site,
    store::{Joins, Next, Patience, PatientStore, Settled, Write, read},
};

/// A user's session outside of a request: for a webhook, or a job. It comes from
/// [`SessionManager::session_of`](crate::SessionManager::session_of).
///
/// Each call reads what is stored now, and each change is saved at once, merged into what requests save at the same time. None
/// is a use of the session: it expires when it would have expired. Nothing is created, rotated or logged in.
///
/// Each call is an error where the session has ended ([`Error::Gone`]) or is another user's by now
/// ([`Error::Superseded`]). A new login of the same user in the same session goes on.
///
/// # Examples
///
/// ```
/// use session_core::{Error, Owner, SessionId, SessionManager};
///
/// /// The payment service calls. The order has noted whose session it was.
/// async fn paid(sessions: &SessionManager, user: u64, id: &SessionId, order: u64) -> Result<(), Error> {
///     if let Some(session) = sessions.session_of(&Owner::from(user), id).await? {
///         session.update("paid", |orders: &mut Vec<u64>| orders.push(order)).await?;
///     }
///     Ok(()) // the user has logged out
/// }
/// ```
pub struct StoredSession {
    site: Arc<Site>,
    store: PatientStore,
    owner: Owner,
    id: SessionId,
}

impl StoredSession {
    /// The session, if it is this owner's.
    pub(crate) async fn load(site: Arc<Site>, owner: &Owner, id: &SessionId) -> Result<Option<Self>, Error> {
        let store = PatientStore::new(site.store.clone());
        let session = Self { site, store, owner: owner.clone(), id: *id };
        match session.found().await {
            Ok(_) => Ok(Some(session)),
            Err(Error::Gone | Error::Superseded) => Ok(None),
            // Nobody can tell whose it is.
            Err(error @ Error::Store(StoreError::Corrupt { .. })) => {
                session.site.tell(&Resource::default(), EventKind::Unreadable(error), Some(*id), None);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The session's name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whose session it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The value that is stored under this key now.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if a value of another type is stored. [`Error::Gone`], [`Error::Superseded`], [`Error::Store`].
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let found = self.found().await?;
        let value = found.record.data.values()?.get(key.as_bytes());
        value.map(|value| format::decode(key.as_bytes(), &value)).transpose()
    }

    /// The keys that have a value now.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Superseded`], [`Error::Store`].
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        Ok(self.found().await?.record.data.values()?.keys())
    }

    /// Sets the value under this key.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], [`Error::TooLarge`]: nothing has changed. Else as [`update`](Self::update).
    pub async fn insert<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        let encoded = self.site.format.encode(key.as_bytes(), value)?;
        self.change(key, |_| Ok(((), Some(encoded.clone())))).await
    }

    /// Changes the value under this key, or its default, and returns what was saved. The closure runs again on what another
    /// has saved first.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Superseded`]: nothing has changed. [`Error::Decode`] if a value of another type is stored,
    /// [`Error::Encode`], [`Error::TooLarge`], [`Error::Contended`]: nothing has changed either. [`Error::Store`],
    /// [`Error::OutcomeUnknown`]: it may have.
    pub async fn update<T, F>(&self, key: &str, change: F) -> Result<T, Error>
    where
        T: Default + Serialize + DeserializeOwned,
        F: Fn(&mut T),
    {
        let format = self.site.format;
        self.change(key, |stored| {
            let (value, encoded) = changed(format, key.as_bytes(), stored, &change)?;
            Ok((value, Some(encoded)))
        })
        .await
    }

    /// Removes the value under this key; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub async fn remove(&self, key: &str) -> Result<bool, Error> {
        self.change(key, |stored| Ok((stored.is_some(), None))).await
    }

    /// Takes the value out for one caller only.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update). With [`Error::Decode`] the value stays.
    pub async fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.change(key, |stored| {
            let taken = stored.map(|stored| format::decode(key.as_bytes(), stored)).transpose()?;
            Ok((taken, None))
        })
        .await
    }

    /// The session as it is stored now.
    async fn found(&self) -> Result<Arc<Found>, Error> {
        self.judge(read(&self.store, &self.id).await?.ok_or(Error::Gone)?)
    }

    fn judge(&self, found: Arc<Found>) -> Result<Arc<Found>, Error> {
        if found.header().owner.as_ref() == Some(&self.owner) { Ok(found) } else { Err(Error::Superseded) }
    }

    /// Changes one value by the compare-and-swap that requests save with. `None`: there is none.
    async fn change<T>(
        &self,
        key: &str,
        change: impl Fn(Option<&Bytes>) -> Result<(T, Option<Bytes>), Error>,
    ) -> Result<T, Error> {
        let mut found = self.found().await?;
        let mut patience = Patience::new();
        let mut writer = self.site.writers.writer(self.id);
        loop {
            patience.attempt()?;
            let before = &found.record.data;
            let mut values = before.values()?.clone();
            let (answer, value) = change(values.get(key.as_bytes()).as_ref())?;
            values.set(key.as_bytes().into(), value);
            let data = Data::Values(values);
            if data == *before {
                return Ok(answer);
            }
            self.site.policy.judge_size(&data, before)?;
            let record = Record { header: found.header().clone(), data };
            let write = Write::new(&found, record, Expiry::Keep)?;
            match writer.next(found.revision, Joins::No).await {
                Next::Write => {}
                Next::Look(Some(now)) => {
                    patience.take_back();
                    found = self.judge(Arc::new(found.overtaken_by(&now)))?;
                    continue;
                }
                Next::Look(None) | Next::Build(_) => {
                    patience.take_back();
                    found = self.found().await?;
                    continue;
                }
            }
            match write.settle(&self.store, &patience, &mut writer).await? {
                Settled::Applied(_) => return Ok(answer),
                Settled::Conflict(now) => found = self.judge(now)?,
                Settled::Gone => return Err(Error::Gone),
            }
        }
    }
}

impl fmt::Debug for StoredSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSession").field("id", &self.id).field("owner", &self.owner).finish_non_exhaustive()
    }
}
