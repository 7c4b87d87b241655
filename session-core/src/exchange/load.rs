//! Loading a session: the request's tokens are judged here, and never again.

use std::sync::Arc;

use crate::{
    Error, EventKind, Expiry, Revision, SessionId, StoreError,
    exchange::{
        answer::Answer,
        state::{Inner, Live, Lost, Standing},
    },
    owner::epoch,
    record::{
        Found,
        rotation::{self, Verdict},
    },
    request::token::SessionToken,
    store::{
        patience::{RIDES, attempts, pause},
        write::{Write, read},
    },
};

/// How often a promotion or a theft's deletion is sent after an error.
const SENDINGS: u32 = 3;

/// What a request's tokens have opened of one session.
pub(crate) enum Opened {
    /// The session, with the client's token of it.
    Live(Arc<Found>, SessionToken),
    /// A login has overtaken the request.
    Late,
    /// It was in two hands, and has been ended.
    Stolen,
    /// There is no such session, or the tokens are strangers to it.
    Nothing,
}

impl Inner {
    /// Loads the session that the request's tokens name, and judges them.
    pub(crate) async fn load(&self) -> Result<(), Error> {
        if self.has_more_cookies {
            self.bar_too_many();
            return Ok(());
        }
        let Some(first) = self.presented.first() else { return Ok(()) };
        if self.presented.iter().any(|token| token.id != first.id) {
            return Box::pin(self.load_several()).await;
        }
        match self.open_session(first.id).await {
            Ok(Opened::Live(found, token)) => self.take_up(found, token),
            Ok(Opened::Late) => self.bar(Lost::Superseded, Answer::Nothing),
            Ok(Opened::Stolen) => self.bar(Lost::Gone, Answer::Removal),
            Ok(Opened::Nothing) => {}
            Err(Error::Store(error @ StoreError::Corrupt { .. })) => self.load_unread(first.id, error, None),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Loads one session and judges the tokens that the request has of it.
    pub(crate) async fn open_session(&self, id: SessionId) -> Result<Opened, Error> {
        let store = &self.store;
        let mut failures = 0;
        let mut alarm = Alarm { exchange: self, stolen: None };
        let mut promotion: Option<Revision> = None;
        // `None` is the final attempt. It does not depend on a revision.
        for attempt in attempts().map(Some).chain([None]) {
            let Some(found) = read(store, &id).await? else {
                // If a deletion's answer was lost, it was ours.
                return Ok(if alarm.stolen.is_some() { Opened::Stolen } else { self.gone(id) });
            };
            let Some((verdict, token)) = self.judge(&found) else { return Ok(self.nothing(id)) };
            if verdict != Verdict::Theft {
                alarm.stolen = None;
            }
            let attempted = match verdict {
                Verdict::Current | Verdict::Retired => {
                    if promotion.is_some_and(|own| found.header().remembers(own)) {
                        self.tell(EventKind::Rotated, Some(&found));
                    }
                    return Ok(Opened::Live(found, token.clone()));
                }
                Verdict::Stranger => return Ok(self.nothing(id)),
                Verdict::Late => return Ok(Opened::Late),
                // The session is this client's, and the old token is good a little longer.
                Verdict::Pending if attempt.is_none_or(|attempt| attempt >= RIDES) => {
                    return Ok(Opened::Live(found, token.clone()));
                }
                Verdict::Pending => {
                    let mut record = found.record.clone();
                    rotation::promote(&mut record.header, found.age());
                    // One that loses its race is judged again, and so never applied to another generation.
                    let write = Box::new(Write::new(&found, record, Expiry::Keep)?);
                    promotion = Some(write.own);
                    let promoted = Box::pin(write.send(store)).await;
                    if let Ok(Some(promoted)) = promoted {
                        self.tell(EventKind::Rotated, Some(&promoted));
                        return Ok(Opened::Live(promoted, token.clone()));
                    }
                    promoted.map(|_| ())
                }
                Verdict::Theft => {
                    let (revision, owner) = (found.revision, found.header().owner.clone());
                    let is_perhaps_ended = alarm.stolen.replace(found).is_some();
                    let ended = match owner {
                        // This asks for no revision. It ends the owner's other sessions, too.
                        Some(owner) if attempt.is_none() => {
                            epoch::revoke(self.caller(), &owner, None).await?;
                            Ok(true)
                        }
                        _ => store.delete(&id, revision).await,
                    };
                    if let Ok(true) = ended {
                        return Ok(Opened::Stolen);
                    }
                    // A plain `false`: another request has changed or ended it.
                    if ended.is_ok() && !is_perhaps_ended {
                        alarm.stolen = None;
                    }
                    ended.map(|_| ())
                }
            };
            if let Err(error) = attempted {
                failures += 1;
                if failures == SENDINGS {
                    return Err(error.into());
                }
            }
            pause(attempt.unwrap_or_default()).await;
        }
        Err(Error::Contended)
    }

    /// What the request's tokens are to this session, and the best one of them.
    pub(crate) fn judge(&self, found: &Found) -> Option<(Verdict, &SessionToken)> {
        let tokens = self.presented.iter().filter(|token| token.id == found.id);
        rotation::judge_best(found.header(), tokens, found.age_when_asked(), self.site().policy.grace)
    }

    fn nothing(&self, id: SessionId) -> Opened {
        self.site().tell(&self.resource, EventKind::StaleCookie, Some(id), None);
        Opened::Nothing
    }

    /// The store has no such session. Of a login a generation later than the first is left in the token.
    fn gone(&self, id: SessionId) -> Opened {
        let was_login = self.presented.iter().any(|token| token.id == id && token.generation > 0);
        if !was_login {
            return self.nothing(id);
        }
        self.site().tell(&self.resource, EventKind::SessionGone, Some(id), None);
        Opened::Nothing
    }

    pub(crate) fn take_up(&self, found: Arc<Found>, token: SessionToken) {
        // Once only: a request loads once.
        let _ = self.taken.set(found.clone());
        if let Err(error) = found.record.data.values() {
            return self.load_unread(found.id, error, Some(found));
        }
        let judged = found.left.asked;
        let SessionToken { secret, under_old_key, .. } = token;
        self.state().standing = Standing::Live(Live { found, secret, judged, is_new: false, under_old_key });
    }

    pub(crate) fn bar(&self, lost: Lost, answer: Answer) {
        let mut state = self.state();
        state.standing = Standing::Barred(lost);
        state.answer = answer;
    }
}

/// Tells of a theft when it is dropped, also with the future of a thief who hangs up: from the moment on when the session
/// may have been ended.
struct Alarm<'a> {
    exchange: &'a Inner,
    stolen: Option<Arc<Found>>,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if let Some(found) = &self.stolen {
            self.exchange.tell(EventKind::TheftDetected, Some(found));
        }
    }
}
