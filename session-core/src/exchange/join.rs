//! One exchange for several managers of one cookie: a part of a site with a policy of its own.

use std::sync::{Arc, OnceLock};

use crate::{Exchange, SessionManager, site::Site};

/// Why the sessions of two managers are not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The cookies have two names. They can go side by side.
    #[error("their cookies have two names")]
    Name,
    /// The cookies have one name and two scopes, so that a browser would keep both.
    #[error("their cookies differ in Domain, Path or Partitioned")]
    Scope,
    /// Clients without cookies send their tokens in two headers.
    #[error("their headers of a token are not the same")]
    TokenHeader,
    /// Their labels are two, so that the tokens of the one are forged at the other.
    #[error("their labels are not the same")]
    Label,
    /// The keys are not the same, or not in the same order.
    #[error("their keys are not the same")]
    Keys,
    /// The stores are not one object. A clone of a manager shares the store with it, also after `with_policy` and the like.
    /// A manager that was built by itself does not, even over a clone of the store: nobody can see into a store.
    #[error("their stores are two: clone one manager instead of building a second")]
    Store,
}

impl Exchange {
    /// Whether this exchange was opened by this manager or a clone of it.
    #[must_use]
    pub fn is_of(&self, manager: &SessionManager) -> bool {
        Arc::ptr_eq(&self.inner().site, manager.site())
    }

    /// Lets the exchange go on under another manager of the same session: what a layer inside another one does, for a part
    /// of the site that has a policy of its own. From now on the policy, the format, the observer and the cookie's
    /// attributes of that manager hold, also when the exchange is committed. What is known of the request stays.
    ///
    /// # Errors
    ///
    /// [`JoinError`], unless the two managers have one cookie: the same name, scope, label, store and keys, and the same
    /// [`TokenHeader`](crate::TokenHeader). Then nothing has changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use session_core::{ConfigError, Lifetime, Policy, SessionManager};
    /// use session_memory::MemoryStore;
    ///
    /// # fn open() -> Result<(), ConfigError> {
    /// let minutes = |n: u64| Duration::from_secs(n * 60);
    /// let site = SessionManager::development(MemoryStore::default());
    /// let short = Policy::builder().logged_in(Lifetime::new(minutes(5), minutes(60))).build()?;
    /// let bank = site.clone().with_policy(short);
    ///
    /// let exchange = site.open(&http::Request::new(()));
    /// // A login lasts five minutes from here on.
    /// assert!(exchange.join(&bank).is_ok());
    /// # Ok(())
    /// # }
    /// # open().unwrap();
    /// ```
    pub fn join(&self, manager: &SessionManager) -> Result<(), JoinError> {
        let (inner, site) = (self.inner(), manager.site());
        let present = inner.site();
        if std::ptr::eq(present, Arc::as_ptr(site)) {
            return Ok(());
        }
        judge(present, site)?;
        inner.joined.push(site.clone());
        Ok(())
    }
}

fn judge(one: &Site, other: &Site) -> Result<(), JoinError> {
    if one.cookie.name() != other.cookie.name() {
        Err(JoinError::Name)
    } else if !one.cookie.is_of_scope(&other.cookie) {
        Err(JoinError::Scope)
    } else if one.token_header != other.token_header {
        Err(JoinError::TokenHeader)
    } else if one.label != other.label {
        Err(JoinError::Label)
    } else if !one.keys.now().are(&other.keys.now()) {
        Err(JoinError::Keys)
    } else if !Arc::ptr_eq(&one.store, &other.store) {
        Err(JoinError::Store)
    } else {
        Ok(())
    }
}

/// The sites that an exchange has joined, one after the other. None is ever taken out, so what borrows one may go on.
#[derive(Debug, Default)]
pub(crate) struct Joined(OnceLock<Box<(Arc<Site>, Self)>>);

impl Joined {
    /// The one that holds now.
    pub(crate) fn last(&self) -> Option<&Site> {
        let mut joined = self.0.get()?;
        while let Some(next) = joined.1.0.get() {
            joined = next;
        }
        Some(&joined.0)
    }

    fn push(&self, site: Arc<Site>) {
        let (mut last, mut new) = (self, Box::new((site, Self::default())));
        while let Err(refused) = last.0.set(new) {
            new = refused;
            if let Some(next) = last.0.get() {
                last = &next.1;
            }
        }
    }
}
