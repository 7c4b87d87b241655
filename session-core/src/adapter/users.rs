//! The application's user of a session, found once in a request.

use std::{
    any::type_name,
    error::Error as StdError,
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use http::Extensions;
use tokio::sync::OnceCell;

use super::Failure;
use crate::{Exchange, Owner};

type BoxError = Box<dyn StdError + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Load<U> = dyn Fn(Owner) -> BoxFuture<Result<Option<U>, BoxError>> + Send + Sync;
type Found<U> = Result<Option<Arc<U>>, Failure>;

/// How an application finds the user of a session. An adapter's layer keeps it, and gives it to each exchange.
///
/// The function is called at most once in a request for each owner, however many handlers and guards ask.
///
/// # Examples
///
/// ```
/// use session_core::{Error, Owner, SessionManager, adapter::{self, Failure, Users}};
///
/// struct User {
///     name: String,
/// }
///
/// # async fn ask(manager: &SessionManager, request: &http::Request<()>) -> Result<(), Failure> {
/// let users = Users::new(async |owner: Owner| {
///     let user = User { name: format!("user {owner}") }; // in production: a query
///     Ok::<_, std::io::Error>(Some(user))
/// });
/// let exchange = manager.open(request);
/// users.attach(&exchange);
/// if let Some(user) = adapter::user::<User>(&exchange).await? {
///     println!("{} is here", user.name);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Users {
    attach: Arc<dyn Fn(&mut AttachedUsers) + Send + Sync>,
}

impl Users {
    /// The users that this function finds. `None` means that there is no such user any more.
    #[must_use]
    pub fn new<U, E, F>(load: impl Fn(Owner) -> F + Send + Sync + 'static) -> Self
    where
        U: Send + Sync + 'static,
        E: Into<BoxError>,
        F: Future<Output = Result<Option<U>, E>> + Send + 'static,
    {
        let load: Arc<Load<U>> = Arc::new(move |owner| {
            let loading = load(owner);
            Box::pin(async move { loading.await.map_err(Into::into) })
        });
        Self { attach: Arc::new(move |attached| attached.attach(&load)) }
    }

    /// Lets [`user`] find the user of this exchange. Of two functions for one type the later one counts.
    pub fn attach(&self, exchange: &Exchange) {
        let users = &exchange.inner().users;
        (self.attach)(&mut users.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").finish_non_exhaustive()
    }
}

/// What an exchange knows of the application's users: a [`Cell`] for each type.
#[derive(Default)]
pub(crate) struct AttachedUsers {
    cells: Extensions,
    /// Whether there is a user, whatever their type.
    exists: Option<Exists>,
}

type Exists = Arc<dyn Fn(Exchange) -> BoxFuture<Result<bool, Failure>> + Send + Sync>;

impl AttachedUsers {
    fn attach<U: Send + Sync + 'static>(&mut self, load: &Arc<Load<U>>) {
        if self.cells.get::<Cell<U>>().is_some_and(|cell| Arc::ptr_eq(&cell.load, load)) {
            return;
        }
        self.cells.insert(Cell { load: load.clone(), of_owner: Arc::default() });
        self.exists =
            Some(Arc::new(|exchange| Box::pin(async move { user::<U>(&exchange).await.map(|user| user.is_some()) })));
    }
}

/// The user that was found, for the owner that there was then: a login in the same request has another.
struct Cell<U> {
    load: Arc<Load<U>>,
    of_owner: Arc<Mutex<Option<OfOwner<U>>>>,
}

struct OfOwner<U> {
    owner: Owner,
    found: Arc<OnceCell<Found<U>>>,
}

impl<U> Clone for Cell<U> {
    fn clone(&self) -> Self {
        Self { load: self.load.clone(), of_owner: self.of_owner.clone() }
    }
}

impl<U> Cell<U> {
    async fn find(&self, owner: &Owner) -> Found<U> {
        let found = {
            let mut of_owner = self.of_owner.lock().unwrap_or_else(PoisonError::into_inner);
            match &*of_owner {
                Some(same) if same.owner == *owner => same.found.clone(),
                _ => of_owner.insert(OfOwner { owner: owner.clone(), found: Arc::default() }).found.clone(),
            }
        };
        let load = async || match (self.load)(owner.clone()).await {
            Ok(user) => Ok(user.map(Arc::new)),
            Err(error) => Err(Failure::users(error)),
        };
        found.get_or_init(load).await.clone()
    }
}

/// The application's user who is logged in, or as whom that one [acts](crate::Session::act_as). It derefs to the user.
pub struct LoadedUser<U> {
    user: Arc<U>,
    real_owner: Owner,
    acting_as: Option<Owner>,
}

impl<U> LoadedUser<U> {
    /// The owner of whom this is the user: as whom somebody acts, or else who is logged in.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        self.acting_as.as_ref().unwrap_or(&self.real_owner)
    }

    /// Who has logged in: another one than [`owner`](Self::owner) while they [act](crate::Session::act_as) as this user.
    #[must_use]
    pub fn real_owner(&self) -> &Owner {
        &self.real_owner
    }

    /// Whether somebody else acts as this user. Ask before you let anybody act, or do what only the user themselves may do.
    #[must_use]
    pub fn is_acted_as(&self) -> bool {
        self.acting_as.is_some()
    }
}

impl<U> Clone for LoadedUser<U> {
    fn clone(&self) -> Self {
        let Self { user, real_owner, acting_as } = self;
        Self { user: user.clone(), real_owner: real_owner.clone(), acting_as: acting_as.clone() }
    }
}

impl<U> Deref for LoadedUser<U> {
    type Target = U;

    fn deref(&self) -> &U {
        &self.user
    }
}

impl<U> fmt::Debug for LoadedUser<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { real_owner, acting_as, .. } = self;
        f.debug_struct("LoadedUser")
            .field("real_owner", real_owner)
            .field("acting_as", acting_as)
            .finish_non_exhaustive()
    }
}

/// The user who is logged in, as the exchange's [`Users`] find them, or as whom that one [acts](crate::Session::act_as).
/// `None` if nobody is logged in, or there is no such user any more. The session of a user who is gone stays as it is: end it
/// with [`revoke_all`](crate::SessionManager::revoke_all) where you delete the user.
///
/// # Errors
///
/// A 500 if the users cannot be asked, or the exchange has no users of this type. Else as
/// [`Exchange::session`] and [`Session::readable`](crate::Session::readable).
pub async fn user<U: Send + Sync + 'static>(exchange: &Exchange) -> Result<Option<LoadedUser<U>>, Failure> {
    let cell = {
        let attached = exchange.inner().users.lock().unwrap_or_else(PoisonError::into_inner);
        attached.cells.get::<Cell<U>>().cloned()
    };
    let cell = cell.ok_or_else(|| Failure::no_users(type_name::<U>()))?;
    let session = exchange.session().await?;
    session.readable()?;
    let Some(real_owner) = session.owner() else { return Ok(None) };
    let acting_as = session.acting_as();
    let user = cell.find(acting_as.as_ref().unwrap_or(&real_owner)).await?;
    Ok(user.map(|user| LoadedUser { user, real_owner, acting_as }))
}

/// Whether somebody is logged in. Where the exchange has users, they must find this one.
pub(super) async fn is_logged_in(exchange: &Exchange) -> Result<bool, Failure> {
    let exists = exchange.inner().users.lock().unwrap_or_else(PoisonError::into_inner).exists.clone();
    let Some(exists) = exists else {
        let session = exchange.session().await?;
        session.readable()?;
        return Ok(session.owner().is_some());
    };
    exists(exchange.clone()).await
}
