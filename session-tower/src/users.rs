//! The application's users: how they are found, and who is logged in.

use std::{error::Error as StdError, fmt, future::Future, ops::Deref};

#[cfg(feature = "axum")]
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::Extensions;
#[cfg(feature = "axum")]
use http::request::Parts;
use session_core::{
    Owner,
    adapter::{self, LoadedUser, Users},
};

use crate::{Exchange, SessionError, SessionLayer};

impl<K> SessionLayer<K> {
    /// The same with a function that finds the application's user of a session, for [`CurrentUser`] and
    /// [`require`](crate::require).
    ///
    /// It is called when a handler or a guard asks, at most once in a request for each owner. `None` means that there is no such
    /// user any more: then nobody counts as logged in. Their session stays as it is, so call
    /// [`revoke_all`](session_core::SessionManager::revoke_all) where you delete a user. An error is a 500, and goes to the
    /// log with its sources.
    ///
    /// A login page that sends on who is logged in should ask for `Option<CurrentUser<User>>` and not for `CurrentOwner`.
    /// Otherwise it sends on a deleted user whose session is still there, and the guard sends them back, in a loop.
    ///
    /// While somebody [acts](session_core::Session::act_as) as another user, it finds that one. Of a user who is gone the same
    /// holds then, so the handler that stops the acting takes a `Session` and stands behind no guard.
    ///
    /// There is one function for all sites of [`by_host`](crate::SessionLayer::by_host). So take that only where the sites
    /// share their users. Where user 42 of the one site is somebody else than user 42 of the other, give each site a router and
    /// a layer of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[derive(Clone)]
    /// # struct Database;
    /// # impl Database {
    /// #     async fn user(&self, id: &str) -> Result<Option<User>, std::io::Error> { Ok(Some(User { name: id.to_owned() })) }
    /// # }
    /// use session_tower::{Owner, SessionLayer, SessionManager};
    ///
    /// struct User {
    ///     name: String,
    /// }
    ///
    /// fn sessions(manager: SessionManager, database: Database) -> SessionLayer {
    ///     SessionLayer::new(manager).with_users(move |owner: Owner| {
    ///         let database = database.clone();
    ///         async move { database.user(&owner.to_string()).await }
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn with_users<U, E, F>(mut self, load: impl Fn(Owner) -> F + Send + Sync + 'static) -> Self
    where
        U: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Future<Output = Result<Option<U>, E>> + Send + 'static,
    {
        self.users = Some(Users::new(load));
        self
    }
}

/// The application's user who is logged in, or as whom that one [acts](session_core::Session::act_as). It derefs to a
/// [`LoadedUser`], which tells who acts, and through it to the user whom [`with_users`](crate::SessionLayer::with_users) finds.
///
/// With the feature `axum` it is an extractor that answers 401 where nobody is logged in. `Option<CurrentUser<User>>` goes
/// on without a login, but not while the store or the users are down. For a [named](crate::SessionLayer::named) layer, take
/// its [`Exchange`] and ask [`session_core::adapter::user`].
///
/// An extractor runs before the handler: after a [`login`](session_core::Session::login) in it, this is still who was logged in
/// before. [`of`](Self::of) finds the new one then.
///
/// # Examples
///
/// ```
/// use session_tower::CurrentUser;
///
/// struct User {
///     name: String,
/// }
///
/// async fn account(user: CurrentUser<User>) -> String {
///     format!("the account of {}", user.name)
/// }
/// ```
#[doc(alias("AuthSession", "AuthUser"))]
pub struct CurrentUser<U>(LoadedUser<U>);

impl<U: Send + Sync + 'static> CurrentUser<U> {
    /// The user of the request with these extensions; `None` if nobody is logged in. It is for middleware, and for handlers
    /// under a framework without an extractor.
    ///
    /// # Errors
    ///
    /// Those of [`Session::of`](crate::Session::of). A 500 if the users cannot be asked, or the layer has none of this type.
    pub async fn of(extensions: &Extensions) -> Result<Option<Self>, SessionError> {
        let exchange = Exchange::<()>::of(extensions)?;
        Ok(adapter::user(exchange).await?.map(Self))
    }
}

impl<U> Deref for CurrentUser<U> {
    type Target = LoadedUser<U>;

    fn deref(&self) -> &LoadedUser<U> {
        &self.0
    }
}

impl<U> Clone for CurrentUser<U> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<U> fmt::Debug for CurrentUser<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentUser").field(&self.0).finish()
    }
}

#[cfg(feature = "axum")]
impl<S, U> FromRequestParts<S> for CurrentUser<U>
where
    S: Send + Sync,
    U: Send + Sync + 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, SessionError> {
        Self::of(&parts.extensions).await?.ok_or_else(SessionError::not_logged_in)
    }
}

#[cfg(feature = "axum")]
impl<S, U> OptionalFromRequestParts<S> for CurrentUser<U>
where
    S: Send + Sync,
    U: Send + Sync + 'static,
{
    type Rejection = SessionError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, SessionError> {
        Self::of(&parts.extensions).await
    }
}
