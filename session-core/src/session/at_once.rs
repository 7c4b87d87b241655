//! Changes that are saved at once.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Format, Purpose, Session,
    exchange::{Attempted, Live},
    record::{Data, ValueKey, format},
    store::Patience,
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
        let mut place = inner.place().await;
        let mut turn = place.resolve().await?;
        let key = ValueKey::from(key.as_bytes());
        let mut patience = Patience::new();
        loop {
            patience.attempt()?;
            let view = turn.view();
            let live = view.standing.to_write()?;
            if live.is_none() {
                turn.judge_open()?;
            }
            let mut values = view.merged()?.values()?.clone();
            let (value, encoded) = changed(inner.site().format, &key, values.get(&key).as_ref(), &change)?;
            values.insert(key.clone(), encoded);
            let data = Data::Values(values);
            let attempted = match live {
                Some(Live { found, .. }) => {
                    let mut edit = view.edit(found, found.header().clone(), data, view.use_of(found))?;
                    turn.attempt(&mut edit, &mut patience).await?
                }
                None => turn.create_anonymous(data, Purpose::Visit, view.version).await?,
            };
            if let Attempted::Done(_) = attempted {
                return Ok(value);
            }
        }
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
