//! The one load of a request: the token is judged here, and never again.

use std::sync::Arc;

use crate::{
    Error, EventKind, Expiry,
    merge::{Write, pause, read},
    record::Found,
    rotation::{self, Verdict},
    state::{Answer, Inner, Live, Lost, Standing},
    token::{SessionSecret, SessionToken},
};

/// How often a promotion or a theft's deletion that lost its race is judged again.
const JUDGEMENTS: u32 = 16;

/// How often one of them is sent after an error.
const SENDINGS: u32 = 3;

impl Inner {
    /// Loads the session that the request's token names and judges the token.
    pub(crate) async fn load(&self) -> Result<(), Error> {
        let Some(token) = &self.presented else { return Ok(()) };
        let store = &*self.site().store;
        let mut failures = 0;
        let mut perhaps_ended = None;
        for attempt in 0..JUDGEMENTS {
            let Some(found) = read(store, &token.id).await? else {
                match &perhaps_ended {
                    Some(stolen) => self.stolen(stolen),
                    None => self.tell_stale(token),
                }
                return Ok(());
            };
            let attempted =
                match rotation::judge(found.header(), token, found.age_when_asked(), self.site().policy.grace) {
                    Verdict::Current | Verdict::Retired => {
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
                    Verdict::Pending => {
                        let mut record = found.record.clone();
                        rotation::promote(&mut record.header, found.age());
                        // One that loses its race is judged again, and so never applied to another generation.
                        let promoted = Write::new(&found, record, Expiry::Keep)?.send(store).await;
                        if let Ok(Some(promoted)) = promoted {
                            self.tell(EventKind::Rotated, Some(&promoted));
                            self.take_up(promoted, token.secret.clone());
                            return Ok(());
                        }
                        promoted.map(|_| ())
                    }
                    Verdict::Theft => {
                        let ended = store.delete(&found.id, found.revision).await;
                        if let Ok(true) = ended {
                            self.stolen(&found);
                            return Ok(());
                        }
                        perhaps_ended = ended.is_err().then_some(found);
                        ended.map(|_| ())
                    }
                };
            if let Err(error) = attempted {
                failures += 1;
                if failures == SENDINGS {
                    return Err(error.into());
                }
            }
            pause(attempt).await;
        }
        Err(Error::Contended)
    }

    fn tell_stale(&self, token: &SessionToken) {
        self.site().tell(&self.resource, EventKind::StaleCookie, Some(token.id), None);
    }

    fn take_up(&self, found: Found, secret: SessionSecret) {
        let judged = found.left.asked;
        self.state().standing = Standing::Live(Live { found: Arc::new(found), secret, judged, is_new: false });
    }

    fn bar(&self, lost: Lost, answer: Answer) {
        let mut state = self.state();
        state.standing = Standing::Barred(lost);
        state.answer = answer;
    }

    /// The session was in two hands and has been ended: neither has it any more.
    fn stolen(&self, found: &Found) {
        self.tell(EventKind::TheftDetected, Some(found));
        self.bar(Lost::Gone, Answer::Removal);
    }
}
