//! Loading a session: the request's tokens are judged here, and never again.
//!
//! A load has no place in the order of the exchange's writes: a commit must not wait for a load that a spawned task began.

use std::sync::Arc;

use crate::{
    Error, EventKind, Expiry, Revision, SessionId, StoreError,
    exchange::{Answer, Bar, Inner, Live, Standing},
    owner::epoch,
    record::{Found, Verdict, rotation},
    request::SessionToken,
    store::{Patience, Write, read},
};

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

/// What a load comes to.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) standing: Standing,
    pub(crate) answer: Answer,
    /// The other live sessions that the request's tokens opened.
    pub(crate) others: Vec<Arc<Found>>,
    /// One of several sessions was late or stolen.
    pub(crate) only_login_may_answer: bool,
}

impl From<Standing> for Taken {
    fn from(standing: Standing) -> Self {
        Self { standing, ..Self::default() }
    }
}

impl Inner {
    /// Loads the session and notes what came of it. Returns the session that is taken.
    pub(crate) async fn load(&self) -> Option<Arc<Found>> {
        let taken = self.judge_tokens().await.unwrap_or_else(|error| Standing::Failed(error).into());
        let found = taken.standing.taken().cloned();
        let mut state = self.state();
        state.standing.load(taken.standing);
        state.answer = taken.answer;
        state.others = taken.others;
        state.only_login_may_answer = taken.only_login_may_answer;
        found
    }

    /// Loads the session that the request's tokens name, and judges them.
    async fn judge_tokens(&self) -> Result<Taken, Error> {
        if self.has_more_cookies {
            return Ok(self.too_many());
        }
        let Some(first) = self.presented.first() else { return Ok(Standing::Absent.into()) };
        if self.presented.iter().any(|token| token.id != first.id) {
            return Box::pin(self.load_several()).await;
        }
        Ok(match self.open_session(first.id).await {
            Ok(Opened::Live(found, token)) => self.take_up(found, token).into(),
            Ok(Opened::Late) => Standing::Barred(Bar::Late).into(),
            Ok(Opened::Stolen) => Taken { answer: Answer::Removal, ..Standing::Barred(Bar::Stolen).into() },
            Ok(Opened::Nothing) => Standing::Absent.into(),
            Err(Error::Store(error @ StoreError::Corrupt { .. })) => self.load_unread(first.id, error, None).into(),
            Err(error) => return Err(error),
        })
    }

    /// Loads one session and judges the tokens that the request has of it.
    pub(crate) async fn open_session(&self, id: SessionId) -> Result<Opened, Error> {
        let mut opening = Opening {
            exchange: self,
            id,
            patience: Patience::new(),
            promotion: None,
            alarm: Alarm { exchange: self, stolen: None },
        };
        loop {
            // Only whether it is: an error would take room in each load that waits.
            let is_contended = opening.patience.attempt().is_err();
            let Some(found) = read(&self.store, &id).await? else { return Ok(opening.gone()) };
            let Some((verdict, token)) = self.judge(&found) else { return Ok(self.nothing(id)) };
            if verdict != Verdict::Theft {
                opening.alarm.stolen = None;
            }
            let opened = match verdict {
                Verdict::Current | Verdict::Retired => return Ok(opening.live(found, token)),
                Verdict::Stranger => return Ok(self.nothing(id)),
                Verdict::Late => {
                    self.tell_stale(id);
                    return Ok(Opened::Late);
                }
                // The session is this client's, and the old token is good a little longer.
                Verdict::Pending if opening.patience.is_over_for_rides() => {
                    return Ok(Opened::Live(found, token.clone()));
                }
                // Boxed: the token of most requests is the current one, and needs no room for what follows here.
                Verdict::Pending => Box::pin(opening.promote(&found, token)).await?,
                Verdict::Theft if is_contended => Box::pin(opening.revoke(found)).await?,
                Verdict::Theft => Box::pin(opening.end_stolen(found)).await?,
            };
            if let Some(opened) = opened {
                return Ok(opened);
            }
            if is_contended {
                return Err(Error::Contended);
            }
            opening.patience.pause().await;
        }
    }

    /// What the request's tokens are to this session, and the best one of them.
    pub(crate) fn judge(&self, found: &Found) -> Option<(Verdict, &SessionToken)> {
        let tokens = self.presented.iter().filter(|token| token.id == found.id);
        rotation::judge_best(found.header(), tokens, found.age_when_asked(), self.site().policy.grace)
    }

    fn nothing(&self, id: SessionId) -> Opened {
        self.tell_stale(id);
        Opened::Nothing
    }

    fn tell_stale(&self, id: SessionId) {
        self.site().tell(&self.resource, EventKind::StaleCookie, Some(id), None);
    }

    /// The store has no such session. Only the token can tell whether it was a login: then its generation is above 0.
    fn gone(&self, id: SessionId) -> Opened {
        let was_login = self.presented.iter().any(|token| token.id == id && token.generation > 0);
        if !was_login {
            return self.nothing(id);
        }
        self.site().tell(&self.resource, EventKind::SessionGone, Some(id), None);
        Opened::Nothing
    }

    pub(crate) fn take_up(&self, found: Arc<Found>, token: SessionToken) -> Standing {
        match found.record.data.values() {
            Err(error) => self.load_unread(found.id, error, Some(found.clone())),
            Ok(_) => Standing::Live(Live::of_client(found, token)),
        }
    }
}

/// The opening of one session. It looks again each time another request has changed the session.
struct Opening<'a> {
    exchange: &'a Inner,
    id: SessionId,
    patience: Patience,
    /// The last promotion that was sent.
    promotion: Option<Revision>,
    alarm: Alarm<'a>,
}

impl Opening<'_> {
    fn live(&self, found: Arc<Found>, token: &SessionToken) -> Opened {
        if self.promotion.is_some_and(|own| found.header().remembers(own)) {
            self.exchange.tell(EventKind::Rotated, Some(&found));
        }
        Opened::Live(found, token.clone())
    }

    /// If a deletion's answer was lost, it was ours.
    fn gone(&self) -> Opened {
        if self.alarm.stolen.is_some() { Opened::Stolen } else { self.exchange.gone(self.id) }
    }

    /// Writes that the successor is proven. If the promotion loses its race, the token is judged again: so it is never
    /// applied to another generation.
    async fn promote(&mut self, found: &Found, token: &SessionToken) -> Result<Option<Opened>, Error> {
        let mut record = found.record.clone();
        rotation::promote(&mut record.header, found.age());
        let write = Write::new(found, record, Expiry::Keep)?;
        self.promotion = Some(write.written.revision);
        match write.send(&self.exchange.store).await {
            Ok(true) => {
                self.exchange.tell(EventKind::Rotated, Some(&write.written));
                return Ok(Some(Opened::Live(write.written, token.clone())));
            }
            Ok(false) => {}
            Err(error) => self.patience.bear(error)?,
        }
        Ok(None)
    }

    /// Ends a session that is in two hands, if it has not moved since it was judged.
    async fn end_stolen(&mut self, found: Arc<Found>) -> Result<Option<Opened>, Error> {
        let revision = found.revision;
        let is_perhaps_ended = self.alarm.stolen.replace(found).is_some();
        match self.exchange.store.delete(&self.id, revision).await {
            Ok(true) => return Ok(Some(Opened::Stolen)),
            // Another request has changed or ended it. After an error before it may be our own first deletion.
            Ok(false) if !is_perhaps_ended => self.alarm.stolen = None,
            Ok(false) => {}
            Err(error) => self.patience.bear(error)?,
        }
        Ok(None)
    }

    /// The last resort against a thief who writes without a pause. It asks for no revision, and ends the owner's other
    /// sessions, too.
    async fn revoke(&mut self, found: Arc<Found>) -> Result<Option<Opened>, Error> {
        let Some(owner) = found.header().owner.clone() else { return self.end_stolen(found).await };
        self.alarm.stolen = Some(found);
        epoch::revoke(self.exchange.caller(), &owner, None).await?;
        Ok(Some(Opened::Stolen))
    }
}

/// Tells of a theft when it is dropped. It is made before the deletion is sent, so a thief who hangs up cannot prevent the
/// alarm.
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
