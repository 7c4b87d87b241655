//! The limit of sessions where a further login is refused.
//!
//! A login looks before it writes, so that a refused one changes nothing. It looks again after it has written. So
//! the limit is never exceeded: if several logins run at once, the last one to write sees all the others.

use tokio::time::Instant;

use crate::{
    AtLimit, Error, EventKind, SessionId,
    exchange::{Inner, Standing},
    owner::limit::oldest_first,
    record::Found,
    session::JudgedLogin,
    store::Patience,
};

impl Inner {
    /// Refuses a login that would be one too many, before anything is written.
    pub(crate) async fn judge_limit(&self, login: &JudgedLogin) -> Result<(), Error> {
        let Some(limit) = self.refusing_limit(login) else { return Ok(()) };
        let ended = {
            let state = self.state();
            if let Standing::Live(live) = &state.standing
                && live.found.header().owner.as_ref() == Some(&login.owner)
            {
                return Ok(());
            }
            drop(state);
            self.ended_by_login()
        };
        let listed = self.store.list(&login.owner).await?;
        let count = listed.iter().filter(|(id, _)| !ended.contains(id)).count();
        if count < usize::try_from(limit).unwrap_or(usize::MAX) {
            return Ok(());
        }
        self.site().tell(&self.resource, EventKind::LoginRefused { limit }, None, Some(&login.owner));
        Err(Error::TooManySessions { limit })
    }

    /// Whether a login that has been written has a place. If several logins want the last place, the oldest gets it. It
    /// waits until the younger ones have deleted themselves.
    pub(crate) async fn is_within_limit(&self, found: &Found, login: &JudgedLogin, limit: u32) -> Result<bool, Error> {
        if self.is_relogin(found, login) {
            return Ok(true);
        }
        let (ended, limit) = (self.ended_by_login(), usize::try_from(limit).unwrap_or(usize::MAX));
        let mut patience = Patience::new();
        while patience.attempt().is_ok() && !patience.is_over_for_rides() {
            let asked = Instant::now();
            let mut listed = oldest_first(self.store.list(&login.owner).await?, asked);
            listed.retain(|(id, _)| !ended.contains(id));
            match listed.iter().position(|(id, _)| *id == found.id) {
                Some(_) if listed.len() <= limit => return Ok(true),
                Some(place) if place < limit => patience.pause().await,
                // Too young, or ended by another.
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// The limit, where it refuses this login.
    fn refusing_limit(&self, login: &JudgedLogin) -> Option<u32> {
        let policy = &self.site().policy;
        policy.sessions_per_owner.filter(|_| policy.at_limit == AtLimit::RefuseLogin && !login.ends_others)
    }

    /// Whether the login goes on in a session that was this user's before: it takes no further place.
    fn is_relogin(&self, found: &Found, login: &JudgedLogin) -> bool {
        let before = |before: &Found| before.id == found.id && before.header().owner.as_ref() == Some(&login.owner);
        matches!(&self.state().standing, Standing::Live(live) if before(&live.found))
    }

    /// The sessions that end once this request has logged in.
    fn ended_by_login(&self) -> Vec<SessionId> {
        let state = self.state();
        let unread = match &state.standing {
            Standing::Unread(unread) => unread.found.as_ref(),
            _ => None,
        };
        state.others.iter().chain(unread).map(|found| found.id).collect()
    }
}
