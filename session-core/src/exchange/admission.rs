//! Whether a login that has been written stands: against revocations since it began, and the limit of sessions.

use std::{sync::Arc, time::Duration};

use crate::{
    AtLimit, Error, EventKind,
    exchange::{Inner, Loss, Turn},
    moment::Moment,
    owner::{Advance, Epoch, Eviction, Kept, epoch, limit},
    record::{Age, Found},
    request::SessionSecret,
    session::JudgedLogin,
    store::read,
};

/// How long a login over several requests may take.
const LOGIN_WINDOW: Duration = Duration::from_secs(60 * 60);

/// A login counts as older than it is by this much, because clocks and rounding hide a little.
const LOGIN_MARGIN: Duration = Duration::from_millis(100);

/// Since when a login has been under way.
pub(crate) struct Began {
    /// When its request came.
    pub(crate) opened: Moment,
    /// How old the note of `begin_login` was when the session was loaded. That is after the request came, so the sum of the two
    /// is never too small.
    pub(crate) noted: Option<Age>,
}

/// Whether a login that has been written stands.
enum Admission {
    Granted,
    /// The owner's sessions were revoked since it began, or it was the oldest of too many.
    RevokedOrEvicted,
    /// There are as many sessions as are allowed.
    Full(u32),
}

impl Began {
    /// How long the login has been under way, at most.
    fn age(&self) -> Duration {
        let noted = self.noted.unwrap_or_default().duration();
        self.opened.elapsed_at_most().saturating_add(noted).saturating_add(LOGIN_MARGIN)
    }

    /// Whether what was noted is recent enough to be part of this login. Without a note the request is the login.
    pub(crate) fn is_within_window(&self) -> bool {
        let elapsed = self.opened.elapsed_at_most();
        self.noted.is_none_or(|noted| noted.after(elapsed) <= Age::of(LOGIN_WINDOW))
    }
}

impl Inner {
    /// When a login in this session began: the earliest of this request, the session's note, and the note of a session that
    /// this exchange has ended.
    pub(crate) fn began(&self, found: Option<&Found>) -> Began {
        let noted = found.and_then(Found::note_age_when_asked);
        Began { opened: self.opened, noted: noted.max(self.state().noted) }
    }
}

/// A login that has been written and not yet admitted.
pub(crate) struct Written {
    pub(crate) found: Arc<Found>,
    pub(crate) secret: SessionSecret,
    /// The session, with its generation, that the login takes the place of.
    pub(crate) replaced: Option<Kept>,
    pub(crate) began: Began,
}

impl Turn<'_, '_> {
    /// The login is written, and the epoch was read after that. Now it has to stand against revocations and the limit of
    /// sessions.
    pub(crate) async fn admit(
        &mut self,
        written: Written,
        epoch: Result<Option<Epoch>, Error>,
        login: &JudgedLogin,
    ) -> Result<(), Error> {
        let (kind, error) = match self.stands(&written, epoch, login).await {
            Ok(Admission::Granted) => {
                let Written { found, secret, .. } = written;
                self.tell(EventKind::LoggedIn, Some(&found));
                if self.is_cross_site() {
                    self.tell(EventKind::CrossSiteLogin, Some(&found));
                }
                self.enter(found, secret);
                return self.rebase();
            }
            Ok(Admission::RevokedOrEvicted) => (EventKind::LoginRevoked { cause: None }, Error::LoginRevoked),
            Ok(Admission::Full(limit)) => (EventKind::LoginRefused { limit }, Error::TooManySessions { limit }),
            Err(error) => (EventKind::LoginRevoked { cause: Some(error) }, Error::LoginRevoked),
        };
        let found = written.found;
        // Where this fails, nobody holds the token: the session expires.
        let _ = self.store.delete(&found.id, found.revision).await;
        self.tell(kind, Some(&found));
        self.lose(Loss::Gone);
        Err(error)
    }

    /// Whether the login takes the place of the session that the last revocation has kept. Where it is a session of its own,
    /// the kept one must still be there: an earlier revocation may have ended it, and ends this login, too.
    async fn is_spared(&self, written: &Written, epoch: &Epoch) -> Result<bool, Error> {
        let Some(kept) = epoch.kept.filter(|kept| written.replaced == Some(*kept)) else { return Ok(false) };
        if kept.id == written.found.id {
            return Ok(true);
        }
        let now = read(&self.store, &kept.id).await?;
        Ok(now.is_some_and(|now| Kept::of(&now) == kept))
    }

    /// Whether a login that has been written stands against revocations and the limit of sessions.
    async fn stands(
        &self,
        written: &Written,
        epoch: Result<Option<Epoch>, Error>,
        login: &JudgedLogin,
    ) -> Result<Admission, Error> {
        let Written { found, began, .. } = written;
        let (site, owner, kept) = (self.site(), &login.owner, Kept::of(found));
        let mut epoch = epoch?;
        loop {
            if let Some(epoch) = epoch.as_ref().filter(|epoch| epoch.age < began.age())
                && !Box::pin(self.is_spared(written, epoch)).await?
            {
                return Ok(Admission::RevokedOrEvicted);
            }
            if !login.ends_others {
                break;
            }
            // Of two logins that end each other one must stand: the one that moves the epoch first.
            match Box::pin(epoch::advance(&self.store, owner, epoch.as_ref(), Some(kept))).await? {
                Advance::ByUs => break,
                Advance::ByAnother(moved) => epoch = moved,
            }
        }
        if login.ends_others {
            let count = self.store.revoke(owner, Some(&found.id)).await?;
            site.tell(&self.resource, EventKind::Revoked { count }, None, Some(owner));
        }
        match site.policy.sessions_per_owner {
            // It has just ended all others. Any session that is listed now is a login that the moved epoch will refuse, or a
            // later login, which checks the limit itself.
            Some(_) if login.ends_others => Ok(Admission::Granted),
            Some(limit) if site.policy.at_limit == AtLimit::RefuseLogin => {
                let is_within_limit = Box::pin(self.is_within_limit(found, login, limit)).await?;
                Ok(if is_within_limit { Admission::Granted } else { Admission::Full(limit) })
            }
            Some(limit) => Ok(match Box::pin(limit::evict(self.caller(), owner, limit, found.id)).await? {
                Eviction::OfOthers => Admission::Granted,
                Eviction::OfOwn => Admission::RevokedOrEvicted,
            }),
            None => Ok(Admission::Granted),
        }
    }
}
