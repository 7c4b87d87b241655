//! Typed keys.

use std::{borrow::Borrow, fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Session};

/// A key of the session's data with the type of its value.
///
/// For a session that is a struct, give each of its fields a key of its own: two requests that change two fields then
/// both keep their change.
///
/// # Examples
///
/// ```
/// use session_core::{Error, Field, Session};
///
/// const CART: Field<Vec<String>> = Field::new("cart");
///
/// fn put(session: &Session, article: String) -> Result<usize, Error> {
///     Ok(CART.update(session, move |cart| cart.push(article.clone()))?.len())
/// }
/// ```
pub struct Field<T> {
    key: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Field<T> {}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({:?})", self.key)
    }
}

impl<T> Field<T> {
    /// The field that is stored under this key.
    #[must_use]
    pub const fn new(key: &'static str) -> Self {
        Self { key, value: PhantomData }
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.key
    }

    /// Removes the value; whether there was one.
    #[allow(clippy::must_use_candidate, reason = "most callers only want it gone")]
    pub fn remove(&self, session: &Session) -> bool {
        session.remove(self.key)
    }
}

impl<T: DeserializeOwned> Field<T> {
    /// The value, as [`Session::get`].
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if a value of another type is stored.
    pub fn get(&self, session: &Session) -> Result<Option<T>, Error> {
        session.get(self.key)
    }

    /// Takes the value out for one caller only, as [`Session::take`].
    ///
    /// # Errors
    ///
    /// As [`Session::take`].
    pub async fn take(&self, session: &Session) -> Result<Option<T>, Error> {
        session.take(self.key).await
    }
}

impl<T> Field<T> {
    /// Sets the value, as [`Session::insert`]. What `T` borrows as will do: a `str` for a `String`, a slice for a `Vec`.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], [`Error::TooLarge`].
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Error, Field, Session};
    ///
    /// const NAME: Field<String> = Field::new("name");
    ///
    /// fn call_zoe(session: &Session) -> Result<(), Error> {
    ///     NAME.insert(session, "Zoë")
    /// }
    /// ```
    ///
    /// Another type is none for this field:
    ///
    /// ```compile_fail,E0277
    /// # use session_core::{Error, Field, Session};
    /// # const NAME: Field<String> = Field::new("name");
    /// # fn call_seven(session: &Session) -> Result<(), Error> {
    /// NAME.insert(session, &7)
    /// # }
    /// ```
    pub fn insert<B>(&self, session: &Session, value: &B) -> Result<(), Error>
    where
        T: Borrow<B>,
        B: Serialize + ?Sized,
    {
        session.insert(self.key, value)
    }
}

impl<T: Default + Serialize + DeserializeOwned> Field<T> {
    /// Changes the value and saves that at once, as [`Session::update_now`].
    ///
    /// # Errors
    ///
    /// As [`Session::update_now`].
    pub async fn update_now<F>(&self, session: &Session, change: F) -> Result<T, Error>
    where
        F: Fn(&mut T),
    {
        session.update_now(self.key, change).await
    }

    /// Changes the value, as [`Session::update`].
    ///
    /// # Errors
    ///
    /// [`Error::Decode`], [`Error::Encode`], [`Error::TooLarge`].
    pub fn update<F>(&self, session: &Session, change: F) -> Result<T, Error>
    where
        F: Fn(&mut T) + Send + Sync + 'static,
    {
        session.update(self.key, change)
    }
}
