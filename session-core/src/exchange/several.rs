//! Several sessions in one request: a browser keeps a cookie for each Domain, Path and partition of a name.

use std::{cmp::Reverse, sync::Arc};

use crate::{
    EndReason, Error, EventKind, SessionId, StoreError, WithheldReason,
    exchange::{Bar, Extent, Inner, Opened, Place, Standing, Taken},
    record::{Found, Verdict},
    request::SessionToken,
    store::read,
};

/// A request with cookies of more sessions than this is an attack or a mess.
const MOST_SESSIONS: usize = 4;

impl Inner {
    /// Loads each session that the request's tokens name, and takes one.
    pub(crate) async fn load_several(&self) -> Result<Taken, Error> {
        let ids = self.presented_ids();
        if ids.len() > MOST_SESSIONS {
            return Ok(self.too_many());
        }
        let mut live = Vec::new();
        let (mut is_late, mut is_stolen, mut unreadable) = (false, false, None);
        for id in ids {
            match self.open_session(id).await {
                Ok(Opened::Live(found, token)) => live.push((found, token)),
                Ok(Opened::Late) => is_late = true,
                Ok(Opened::Stolen) => is_stolen = true,
                Ok(Opened::Nothing) => {}
                Err(Error::Store(error @ StoreError::Corrupt { .. })) => {
                    if let Some((id, error)) = unreadable.replace((id, error)) {
                        self.tell_unreadable(id, error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        // What cannot be read may be a login that a later version has written. An anonymous session does not replace it.
        let hides_login = unreadable.is_some() && !live.is_empty();
        let hides_login = hides_login && live.iter().all(|(found, _)| found.header().owner.is_none());
        let only_login_may_answer = is_late || is_stolen || hides_login;
        let taken = match unreadable {
            Some((id, error)) if live.is_empty() => self.load_unread(id, error, None).into(),
            unreadable => {
                if let Some((id, error)) = unreadable {
                    self.tell_unreadable(id, error);
                }
                self.take_one(live).unwrap_or_else(|| match (is_late, is_stolen) {
                    (true, _) => Standing::Barred(Bar::Late).into(),
                    (false, true) => Standing::Barred(Bar::Stolen).into(),
                    (false, false) => Standing::Absent.into(),
                })
            }
        };
        Ok(Taken { only_login_may_answer, ..taken })
    }

    /// The cookies are too many to look at them all, or to load what they name: none is taken.
    pub(crate) fn too_many(&self) -> Taken {
        self.tell(EventKind::TooManyCookies { ids: self.presented_ids().len() }, None);
        Standing::Barred(Bar::Withheld(WithheldReason::TooManyCookies)).into()
    }

    /// Takes a login before an anonymous session, and the younger of two. If there are logins of two users, nobody is logged
    /// in.
    fn take_one(&self, mut live: Vec<(Arc<Found>, SessionToken)>) -> Option<Taken> {
        live.sort_by_key(|(found, _)| (Reverse(found.header().owner.is_some()), found.exact_age(), found.id));
        let count = live.len();
        let mut opened = live.into_iter();
        let (taken, token) = opened.next()?;
        let others: Vec<_> = opened.map(|(found, _)| found).collect();
        let is_other_user = |other: &Arc<Found>| {
            let owner = other.header().owner.as_ref();
            owner.is_some() && owner != taken.header().owner.as_ref()
        };
        if others.iter().any(is_other_user) {
            self.tell(EventKind::ConflictingLogins { count }, None);
            let others = others.into_iter().chain([taken]).collect();
            let barred = Standing::Barred(Bar::Withheld(WithheldReason::SeveralUsers));
            return Some(Taken { others, ..barred.into() });
        }
        if count > 1 {
            self.tell(EventKind::DuplicateSessions { count }, Some(&taken));
        }
        Some(Taken { others, ..self.take_up(taken, token).into() })
    }

    /// The sessions that the request's tokens open, but the one that was taken.
    pub(crate) async fn others(&self) -> Result<Vec<Arc<Found>>, Error> {
        let ids = self.presented_ids();
        if ids.len() <= MOST_SESSIONS && !self.has_more_cookies {
            return Ok(self.state().others.clone());
        }
        // Too many to load for a page. To end them they are all looked at, or one would log the user in again.
        let mut others = Vec::new();
        for id in ids {
            let found = match read(&self.store, &id).await {
                // Nothing is known of it, so nothing is done to it.
                Err(Error::Store(error @ StoreError::Corrupt { .. })) => {
                    self.tell_unreadable(id, error);
                    continue;
                }
                found => found?,
            };
            others.extend(found.filter(|found| {
                let verdict = self.judge(found).map(|(verdict, _)| verdict);
                matches!(verdict, Some(Verdict::Pending | Verdict::Current | Verdict::Retired))
            }));
        }
        Ok(others)
    }

    fn tell_unreadable(&self, id: SessionId, error: StoreError) {
        self.site().tell(&self.resource, EventKind::Unreadable(error.into()), Some(id), None);
    }

    /// After a login the other sessions of its request end, or the next request would have to choose again. The login
    /// stands in any case.
    pub(crate) async fn end_others_after_login(&self) {
        let others = match self.others().await {
            Ok(others) => others,
            Err(error) => return self.tell_live(EventKind::EndFailed(error)),
        };
        self.state().others = Vec::new();
        for other in others {
            match self.delete_login(&other, Extent::Generation).await {
                Ok(deleted) => self.tell_deleted(&deleted, EndReason::Replaced, &other),
                Err(error) => self.tell(EventKind::EndFailed(error), Some(&other)),
            }
        }
    }

    /// The ids that the request's tokens name, each once, in the order of the request.
    fn presented_ids(&self) -> Vec<SessionId> {
        let mut ids: Vec<SessionId> = Vec::new();
        for token in self.presented.iter() {
            if !ids.contains(&token.id) {
                ids.push(token.id);
            }
        }
        ids
    }
}

impl Place<'_> {
    /// Ends the other sessions of the request, each of them that can be ended. One that cannot is an error.
    pub(crate) async fn end_others(&mut self, reason: EndReason) -> Result<(), Error> {
        let mut ended = Ok(());
        for other in self.others().await? {
            // One that cannot be ended does not save the rest: it may be an attacker's, who changes it all the time.
            ended = self.end_login(&other, reason, Extent::Generation).await.and(ended);
        }
        ended
    }
}
