//! The one load of a request: the token is judged here, and never again.

use std::sync::Arc;

use crate::{
    Error, EventKind, Expiry, Revision, epoch,
    merge::{RIDES, Write, attempts, pause, read},
    record::Found,
    rotation::{self, Verdict},
    state::{Answer, Inner, Live, Lost, Standing},
    token::{SessionSecret, SessionToken},
};

/// How often a promotion or a theft's deletion is sent after an error.
const SENDINGS: u32 = 3;

impl Inner {
    /// Loads the session that the request's token names and judges the token.
    pub(crate) async fn load(&self) -> Result<(), Error> {
        let Some(token) = &self.presented else { return Ok(()) };
        let store = &*self.site().store;
        let mut failures = 0;
        let mut alarm = Alarm { exchange: self, stolen: None };
        let mut promotion: Option<Revision> = None;
        // The last time, others have been quicker each time: then nothing is left to a race.
        for attempt in attempts().map(Some).chain([None]) {
            let Some(found) = read(store, &token.id).await? else {
                // If a deletion's answer was lost, it was ours.
                match alarm.stolen {
                    Some(_) => self.bar(Lost::Gone, Answer::Removal),
                    None => self.tell_stale(token),
                }
                return Ok(());
            };
            let verdict = rotation::judge(found.header(), token, found.age_when_asked(), self.site().policy.grace);
            if verdict != Verdict::Theft {
                alarm.stolen = None;
            }
            let attempted = match verdict {
                Verdict::Current | Verdict::Retired => {
                    if promotion.is_some_and(|own| found.header().remembers(own)) {
                        self.tell(EventKind::Rotated, Some(&found));
                    }
                    self.take_up(found, token.secret.clone());
                    return Ok(());
                }
                Verdict::Stranger => {
                    self.tell_stale(token);
                    return Ok(());
                }
                Verdict::Late => {
                    self.bar(Lost::Superseded, Answer::Nothing);
                    return Ok(());
                }
                // The session is this client's, and the old token is good a little longer.
                Verdict::Pending if attempt.is_none_or(|attempt| attempt >= RIDES) => {
                    self.take_up(found, token.secret.clone());
                    return Ok(());
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
                        self.take_up(promoted, token.secret.clone());
                        return Ok(());
                    }
                    promoted.map(|_| ())
                }
                Verdict::Theft => {
                    let (id, revision, owner) = (found.id, found.revision, found.header().owner.clone());
                    let is_perhaps_ended = alarm.stolen.replace(found).is_some();
                    let ended = match owner {
                        // This asks for no revision. It ends the owner's other sessions, too.
                        Some(owner) if attempt.is_none() => {
                            epoch::revoke(self.site(), &self.resource, &owner, None).await?;
                            Ok(true)
                        }
                        _ => store.delete(&id, revision).await,
                    };
                    if let Ok(true) = ended {
                        self.bar(Lost::Gone, Answer::Removal);
                        return Ok(());
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

    fn tell_stale(&self, token: &SessionToken) {
        self.site().tell(&self.resource, EventKind::StaleCookie, Some(token.id), None);
    }

    fn take_up(&self, found: Arc<Found>, secret: SessionSecret) {
        if let Some(owner) = &found.header().owner {
            // Once only: a request loads once.
            let _ = self.found_owner.set(owner.clone());
        }
        let judged = found.left.asked;
        self.state().standing = Standing::Live(Live { found, secret, judged, is_new: false });
    }

    fn bar(&self, lost: Lost, answer: Answer) {
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
