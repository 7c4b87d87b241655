//! Changes that are saved at once.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Format, Purpose, Session,
    exchange::state::Standing,
    record::{Data, Record, format},
    store::{patience::attempts, write::Write},
};

impl Session {
    /// Changes the value under this key, or its default, saves that at once, and returns what was saved. For streams and
    /// websockets, where [`update`](Self::update) is refused, and for who must know the exact value before the commit.
    ///
    /// The closure runs again if another request has saved first: of N that add 1 at once, each gets a number of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Error, Session};
    ///
    /// /// What a websocket does with each message.
    /// async fn count(session: &Session) -> Result<u64, Error> {
    ///     session.update_now("messages", |n: &mut u64| *n += 1).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Superseded`] if the session was lost since it was loaded. [`Error::Decode`] if a value of
    /// another type is stored, [`Error::Encode`] and [`Error::TooLarge`] as [`insert`](Self::insert). [`Error::ResponseSent`]
    /// or [`Error::Withheld`] if the session would have to be created. Else as [`Exchange::commit`](crate::Exchange::commit).
    pub async fn update_now<T, F>(&self, key: &str, change: F) -> Result<T, Error>
    where
        T: Default + Serialize + DeserializeOwned,
        F: Fn(&mut T),
    {
        let inner = self.inner();
        let _in_order = inner.writing.lock().await;
        inner.resolve().await?;
        let key = Bytes::copy_from_slice(key.as_bytes());
        for attempt in attempts() {
            let (standing, pending, version) = inner.snapshot();
            let live = match standing {
                Standing::Live(live) => Some(live),
                Standing::Absent if inner.state().sent => return Err(Error::ResponseSent),
                Standing::Absent => None,
                Standing::Lost(lost) | Standing::Barred(lost) => return Err(lost.into()),
                Standing::Unread(unread) => return Err(unread.error.into()),
            };
            let nothing = Data::new();
            let before = live.as_ref().map_or(&nothing, |live| &live.found.record.data);
            let mut values = pending.apply(before)?.values()?.clone();
            let (value, encoded) = changed(inner.site().format, &key, values.get(&key), &change)?;
            values.insert(key.clone(), encoded);
            let data = Data::Values(values);
            inner.judge_size(&data, before)?;
            let is_saved = match &live {
                Some(live) => {
                    let record = Record { header: live.found.header().clone(), data };
                    let write = Write::new(&live.found, record, inner.use_of(&live.found))?;
                    inner.put(write, version, attempt).await?
                }
                None => inner.create_anonymous(data, Purpose::Visit, version).await?,
            };
            if is_saved {
                return Ok(value);
            }
        }
        Err(Error::Contended)
    }
}

/// The value that the closure makes of the stored one, or of its default, and how it is stored.
pub(crate) fn changed<T>(
    format: Format,
    key: &[u8],
    stored: Option<&Bytes>,
    change: impl Fn(&mut T),
) -> Result<(T, Bytes), Error>
where
    T: Default + Serialize + DeserializeOwned,
{
    let mut value = stored.map_or_else(|| Ok(T::default()), |stored| format::decode(key, stored))?;
    change(&mut value);
    let encoded = format.encode(key, &value)?;
    Ok((value, encoded))
}
