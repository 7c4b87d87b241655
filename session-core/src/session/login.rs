//! Who logs in, and how.

use std::time::Duration;

use crate::{Error, InvalidOwner, Lifetime, Owner, Policy, Session, record::Found};

/// Who logs in, and how.
///
/// The user is what [`Owner`] is made of: a number, a name, a UUID (feature `uuid`). [`Session::login`](crate::Session::login)
/// refuses a name that is empty or longer than 255 bytes.
///
/// # Examples
///
/// ```
/// use session_core::{Error, Login, Session};
///
/// async fn remembered(session: &Session, user: u64) -> Result<(), Error> {
///     session.login(Login::new(user).remembered(true)).await
/// }
///
/// async fn by_name(session: &Session, name: String) -> Result<(), Error> {
///     session.login(name).await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Login {
    owner: Result<Owner, InvalidOwner>,
    remembered: bool,
    ends_others: bool,
    lasting: Option<Lifetime>,
    idle: Option<Duration>,
    absolute: Option<Duration>,
}

impl Login {
    /// A login of this user.
    #[must_use]
    pub fn new<T>(owner: T) -> Self
    where
        T: TryInto<Owner>,
        InvalidOwner: From<T::Error>,
    {
        Self {
            owner: owner.try_into().map_err(InvalidOwner::from),
            remembered: false,
            ends_others: false,
            lasting: None,
            idle: None,
            absolute: None,
        }
    }

    /// Whether the session gets the lifetime of those who asked to be remembered: see
    /// [`PolicyBuilder::remembered`](crate::PolicyBuilder::remembered).
    #[doc(alias = "remember_me")]
    #[must_use]
    pub fn remembered(self, remembered: bool) -> Self {
        Self { remembered, ..self }
    }

    /// Ends the owner's other sessions, and their logins in flight: after a password was changed or reset.
    #[doc(alias = "session_auth_hash")]
    #[must_use]
    pub fn ending_others(self) -> Self {
        Self { ends_others: true, ..self }
    }

    /// Gives this login a lifetime of its own, shorter or longer than the policy's: by role or by device.
    ///
    /// It holds until the session ends or the user logs in again. Rotation, saves and [`renew`](crate::Session::renew) keep it.
    /// The cookie survives the end of the browser if this lifetime is [`persistent`](Lifetime::persistent), or if that of
    /// the policy is, in whose place it comes.
    ///
    /// Where it is idle for longer than the policy allows, an old key of the [`Keyring`](crate::Keyring) is needed for longer
    /// than [`Policy::describe`] says: for this idle time and the grace.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use session_core::{Error, Lifetime, Login, Session};
    ///
    /// async fn log_in(session: &Session, user: u64, is_admin: bool) -> Result<(), Error> {
    ///     let minutes = |n: u64| Duration::from_secs(n * 60);
    ///     let login = Login::new(user);
    ///     session.login(if is_admin { login.lasting(Lifetime::new(minutes(15), minutes(8 * 60))) } else { login }).await
    /// }
    /// ```
    #[must_use]
    pub fn lasting(self, lifetime: Lifetime) -> Self {
        Self { lasting: Some(lifetime), ..self }
    }

    /// Gives this login an idle timeout of its own. The absolute one stays the policy's, or that of
    /// [`lasting`](Self::lasting).
    #[must_use]
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle: Some(idle), ..self }
    }

    /// Gives this login an absolute timeout of its own. The idle one stays as it is, but is never longer than this.
    #[must_use]
    pub fn absolute(self, absolute: Duration) -> Self {
        Self { absolute: Some(absolute), ..self }
    }

    /// What is to be done, under this policy.
    pub(crate) fn judge(self, policy: &Policy) -> Result<JudgedLogin, Error> {
        let by_policy = if self.remembered { policy.remembered } else { policy.logged_in };
        let base = self.lasting.unwrap_or(by_policy);
        let absolute = self.absolute.unwrap_or(base.absolute);
        let idle = match (self.idle, self.absolute) {
            (Some(idle), _) => idle,
            (None, Some(absolute)) => base.idle.min(absolute),
            (None, None) => base.idle,
        };
        let lifetime = Lifetime { idle, absolute, persistent: base.persistent || by_policy.persistent };
        lifetime.judge("this login").map_err(Error::Lifetime)?;
        Ok(JudgedLogin { owner: self.owner?, lifetime, ends_others: self.ends_others })
    }
}

impl<T> From<T> for Login
where
    T: TryInto<Owner>,
    InvalidOwner: From<T::Error>,
{
    fn from(owner: T) -> Self {
        Self::new(owner)
    }
}

/// A login whose user id and lifetime have been judged.
#[derive(Debug)]
pub(crate) struct JudgedLogin {
    pub(crate) owner: Owner,
    pub(crate) lifetime: Lifetime,
    pub(crate) ends_others: bool,
}

impl JudgedLogin {
    /// The values of an anonymous session, or of the same user's, are kept.
    pub(crate) fn keeps_data_of(&self, found: &Found) -> bool {
        found.header().owner.as_ref().is_none_or(|owner| *owner == self.owner)
    }

    /// Whether another login of the same user came first, in the session that this one has loaded.
    pub(crate) fn was_overtaken_by_its_like(&self, loaded: &Found, now: &Found) -> bool {
        loaded.header().generation != now.header().generation && now.header().owner.as_ref() == Some(&self.owner)
    }
}

impl Session {
    /// Logs the user in: a fresh token, a new lifetime. The old token is dead at once.
    ///
    /// It is saved at once, with what this request has changed so far. An error page after it logs in all the same, and a
    /// panic or a client that hangs up leaves a login without a client. So call it at the end of a handler.
    ///
    /// Every other session that the request's cookies open ends once the login has succeeded. A form of another site can log
    /// in, too: see [`EventKind::CrossSiteLogin`](crate::EventKind::CrossSiteLogin).
    ///
    /// The user's number, name or UUID goes in as it is. [`Login`] says the rest: to be remembered, to last shorter or longer,
    /// to end the others.
    ///
    /// The values of an anonymous session, or of the same user's, are kept, with what this request has changed. Another
    /// user's are dropped, also what this request has changed of them. Where the stored session cannot be read, a new one
    /// with what this request has changed takes its place: see [`WhenUnreadable`](crate::WhenUnreadable).
    ///
    /// Where the same form is sent twice at once, both requests log in. The second gets a session of its own, with only
    /// what it has changed itself: so the user is logged in whichever answer the browser keeps. With
    /// [`ending_others`](Login::ending_others) the one stands that revokes first, and the other is
    /// [`Error::LoginRevoked`]. At the limit of sessions the later one stands.
    ///
    /// # Errors
    ///
    /// [`Error::LoginRevoked`] if the user's sessions were revoked after this login began, or it cannot be told.
    /// [`Error::TooManySessions`] where the policy [refuses](crate::AtLimit::RefuseLogin) a further one.
    /// [`Error::LoginExpired`] if it began with [`begin_login`](Self::begin_login) more than an hour ago.
    /// [`Error::Gone`] or [`Error::Superseded`] if the session was lost to another request. [`Error::ResponseSent`].
    /// [`Error::Owner`] if the user id is empty or longer than 255 bytes, [`Error::Lifetime`] if the login's own timeouts do
    /// not fit together. Else as [`Exchange::commit`](crate::Exchange::commit): then nobody has been logged in.
    #[doc(alias("authenticate", "sign_in", "log_in"))]
    pub async fn login(&self, login: impl Into<Login>) -> Result<(), Error> {
        self.inner().login(login.into()).await
    }

    /// Notes that a login begins that will take several requests: a second factor, a trip to an identity provider. A
    /// revocation after this moment beats the login.
    ///
    /// To be called in the first of the requests, before anything is proven. An earlier note of the last hour stands; an
    /// anonymous session with an older one is ended, and a new one takes its place.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Superseded`]. [`Error::ResponseSent`] or [`Error::Withheld`] if the session would have to
    /// be created: a login over several requests begins on a page of your own site. Else as
    /// [`Exchange::commit`](crate::Exchange::commit).
    pub async fn begin_login(&self) -> Result<(), Error> {
        self.inner().begin_login().await
    }

    /// Gives the session a fresh token, for a change of privilege: the old one is dead at once. Owner, values and
    /// lifetime stay. A session that is not stored yet has no token to renew.
    ///
    /// A request that still has the token from before saves nothing, and its answer may be a 200 all the same. It learns that
    /// from [`save`](Self::save), by [`Error::Superseded`].
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Superseded`], [`Error::ResponseSent`]. Else as
    /// [`Exchange::commit`](crate::Exchange::commit).
    #[doc(alias("regenerate", "cycle_id", "cycle_key", "change_id", "reset_session"))]
    pub async fn renew(&self) -> Result<(), Error> {
        self.inner().renew().await
    }

    /// Notes that the user has just proven again who they are, by a password or a code, and gives the session a fresh token
    /// as [`renew`](Self::renew) does. All in one write. Call it once you have checked the proof; a login counts as one by
    /// itself.
    ///
    /// The fresh token keeps out who has copied the one from before. So nobody else gets what the proof opens.
    ///
    /// A request of the same browser that still has the token from before saves nothing: see [`renew`](Self::renew).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Error, Session};
    ///
    /// async fn confirm(session: &Session, is_password_right: bool) -> Result<(), Error> {
    ///     if is_password_right { session.proved().await } else { Ok(()) }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotLoggedIn`]. Else as [`renew`](Self::renew).
    pub async fn proved(&self) -> Result<(), Error> {
        self.inner().proved().await
    }

    /// How long ago the user has last proven who they are, by their login or since; `None` if nobody is logged in. A
    /// renewal is no proof.
    #[must_use]
    pub fn proved_age(&self) -> Option<Duration> {
        self.live(|live| {
            let header = live.found.header();
            header.owner.as_ref().map(|_| live.found.age().since(header.last_proof()).duration())
        })
        .flatten()
    }

    /// Asks for a proof that is no older than this, before a step that matters: a new password, a payment.
    ///
    /// Where it is older, let the user type their password again, and call [`proved`](Self::proved). Of each proof and login
    /// there is an event, `session.proved` and `session.logged_in`; a refusal here is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use session_core::{Error, Session};
    ///
    /// fn may_change_password(session: &Session) -> Result<(), Error> {
    ///     session.require_fresh(Duration::from_secs(5 * 60))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::StaleProof`], a 401 with the challenge of RFC 9470. [`Error::NotLoggedIn`]. [`Error::Store`] if the session
    /// cannot be read: see [`readable`](Self::readable).
    pub fn require_fresh(&self, max_age: Duration) -> Result<(), Error> {
        self.readable()?;
        match self.proved_age() {
            None => Err(Error::NotLoggedIn),
            Some(age) if age > max_age => Err(Error::StaleProof { max_age }),
            Some(_) => Ok(()),
        }
    }

    /// Ends the session, and every other one that the request's cookies open. The handle is then an empty new one, unless
    /// this request had found the session gone before: then it stays lost, and nothing is sent.
    ///
    /// # Errors
    ///
    /// [`Error::Superseded`] if a later login has overtaken this request: that one goes on, and no cookie is sent.
    /// [`Error::Store`], [`Error::Contended`]: then the session may still be there, and no cookie is sent either.
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if nothing of it can be read, not even whose it is. Against
    /// somebody who writes to it without a pause [`revoke_all`](crate::SessionManager::revoke_all) wins.
    #[doc(alias("destroy", "flush", "purge", "invalidate", "delete", "sign_out", "log_out"))]
    pub async fn logout(&self) -> Result<(), Error> {
        self.inner().logout().await
    }
}
