//! Acting as another user, so that support sees what they see.

use crate::{Error, Owner, Session};

impl Session {
    /// Lets the user who is logged in act as this one, and gives the session a fresh token as [`renew`](Self::renew) does. All
    /// in one write: a token from before does not carry the other user's rights.
    ///
    /// The session stays that of who has logged in: [`owner`](Self::owner), the list of devices, "log out everywhere", the
    /// limit of sessions, its values, and [`require_fresh`](Self::require_fresh), which asks for their own proof. Each
    /// [event](crate::SessionEvent) of the session and each line of the access log names both. What acts as the other user
    /// is the user that the adapters load, `CurrentUser`, and so the guards that judge that user. So take the user
    /// from there alone: `CurrentOwner` and [`owner`](Self::owner) tell who has logged in.
    ///
    /// **Who may act as whom is yours to decide,** by the user who has logged in, before you call this. While somebody acts,
    /// a role is judged by the other user. Let nobody act as a user who may do more than they may themselves.
    ///
    /// It lasts until [`stop_acting`](Self::stop_acting), a login or the end of the session. To act as a third user takes the
    /// place of it. To act as oneself is to stop. A handler that stops it must not stand behind a guard for users: the other
    /// user may be deleted by then, and nobody counts as logged in.
    ///
    /// It holds for all tabs of the browser, because they share the session. So a form that stands open in another tab is sent
    /// as the customer. Where that matters, name the user in a hidden field of the form, and compare it with the `owner()` of
    /// `CurrentUser` ([`LoadedUser::owner`](crate::adapter::LoadedUser::owner)). [`owner`](Self::owner) of the session is no
    /// help there: it is the same before, during and after the acting.
    ///
    /// # What it does not do
    ///
    /// If the other user logs out everywhere, or their sessions are revoked, this session goes on, because it is not theirs.
    /// What ends it is [`revoke_all`](crate::SessionManager::revoke_all) of who acts. If the function that loads
    /// users finds nobody any more, for a user who is locked or has objected, the acting has no user at the next request.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Error, Session, adapter::LoadedUser};
    ///
    /// struct User {
    ///     is_support: bool,
    /// }
    ///
    /// async fn look(session: &Session, user: &LoadedUser<User>, customer: u64) -> Result<bool, Error> {
    ///     // Their own right counts, so nobody acts from within acting.
    ///     let may_act = user.is_support && !user.is_acted_as();
    ///     if may_act {
    ///         session.act_as(customer).await?;
    ///     }
    ///     Ok(may_act)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotLoggedIn`]. Else as [`renew`](Self::renew).
    #[doc(alias = "impersonate")]
    pub async fn act_as(&self, owner: impl Into<Owner>) -> Result<(), Error> {
        self.inner().act_as(&owner.into()).await
    }

    /// Ends the acting as another user, and gives the session a fresh token as [`renew`](Self::renew) does: a token from
    /// while it lasted is dead. Without any acting it does nothing.
    ///
    /// # Errors
    ///
    /// As [`renew`](Self::renew).
    #[doc(alias = "stop_impersonating")]
    pub async fn stop_acting(&self) -> Result<(), Error> {
        self.inner().stop_acting().await
    }

    /// As whom the user who is logged in [acts](Self::act_as); `None` if they do not.
    #[must_use]
    pub fn acting_as(&self) -> Option<Owner> {
        self.live(|live| live.found.header().acting_as().cloned()).flatten()
    }
}
