//! What a request has to do with a session: its states, and each move from one to another.
//!
//! ```text
//!                           Unasked
//!                              │ load
//!     ┌──────────┬─────────────┼────────────┬────────────┐
//!     ▼          ▼    create   ▼   follow   ▼            ▼
//!   Failed    Absent ───────► Live ──────► Unread      Barred
//!                ▲   login    │ ▲            │           │
//!                │            │ └────────────┴───────────┤ login
//!                │   logout   │              │           │
//!                └────────────┼──────────────┴───────────┘ logout
//!                             ▼ lose
//!                            Lost
//! ```
//!
//! - **load**: the tokens are judged, once. `Failed` and `Barred` open no session; after `Failed` nobody has a handle.
//! - **create**, **login**: the request makes a session, or takes the next generation of the one that it has. A login and a
//!   renewal of `Live` lead to `Live`. From `Unread` and `Barred` a login goes on under a fresh id.
//! - **follow**: the request goes on with what others have stored. Values that it cannot read lead to `Unread`, another
//!   generation to `Lost`.
//! - **lose**: another request has ended the session or taken it over, or a login was revoked. `Lost` is final, because
//!   the response must stay silent.
//! - **logout**: an empty new session. Of `Barred` it ends the sessions of several users; a late request has none to end.
//!   Where one of several sessions was late or stolen it leads to `Barred` and not to `Absent`.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    Error, WithheldReason,
    exchange::Unread,
    record::{Data, Found},
    request::{SessionSecret, SessionToken},
};

/// What a request has to do with a session.
#[derive(Clone, Debug, Default)]
pub(crate) enum Standing {
    /// Nobody has asked for it yet.
    #[default]
    Unasked,
    /// It could not be loaded. Nobody has a handle on it.
    Failed(Error),
    /// Somebody has asked, and there is none. Inserting a value makes one.
    Absent,
    /// There is one.
    Live(Live),
    /// There is one that cannot be read. It can be ended, and a login makes a new one.
    Unread(Unread),
    /// The request's tokens open none that is taken. Only a login makes a session, a new one.
    Barred(Bar),
    /// Another request has ended it or taken it over. Nothing is created or sent any more.
    Lost(Loss),
}

/// Why a load takes no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// A login has overtaken the request.
    Late,
    /// The token was in two hands, and the session has been ended.
    Stolen,
    /// None of the sessions that the request's cookies name is taken.
    Withheld(WithheldReason),
}

/// How a session was lost to another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It has ended.
    Gone,
    /// A login or renewal has moved its generation.
    Superseded,
}

/// A session that this request may write to.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) found: Arc<Found>,
    /// The secret that the client presented, or has just been given.
    pub(crate) secret: SessionSecret,
    /// When the store was asked for what the token was judged by.
    pub(crate) judged: Instant,
    /// Whether the client presented its token under a key that is marked old.
    pub(crate) under_old_key: bool,
}

impl Live {
    /// A session that the load has found, with the client's token of it.
    pub(crate) fn of_client(found: Arc<Found>, token: SessionToken) -> Self {
        let SessionToken { secret, under_old_key, .. } = token;
        Self { judged: found.left.asked, found, secret, under_old_key }
    }

    /// A session or a generation that this request has made.
    pub(crate) fn of_ours(found: Arc<Found>, secret: SessionSecret) -> Self {
        Self { judged: found.left.asked, found, secret, under_old_key: false }
    }

    /// The client's secret, if it is the one that the session has now: not for one that is retired.
    pub(crate) fn current_secret(&self) -> Option<&SessionSecret> {
        (self.secret.hash() == self.found.header().secret).then_some(&self.secret)
    }
}

impl Standing {
    /// Whether there is an answer that a handler can be given a handle on.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self, Self::Unasked | Self::Failed(_))
    }

    /// The session, if there is one.
    pub(crate) fn live(&self) -> Option<&Live> {
        if let Self::Live(live) = self { Some(live) } else { None }
    }

    /// The session that a load has taken: one that was judged by its token, also if its values cannot be read.
    pub(crate) fn taken(&self) -> Option<&Arc<Found>> {
        match self {
            Self::Live(live) => Some(&live.found),
            Self::Unread(unread) => unread.found.as_ref(),
            _ => None,
        }
    }

    /// Looks at the values that are stored.
    pub(crate) fn with_stored<T>(&self, look: impl FnOnce(&Data) -> T) -> T {
        match self.live() {
            Some(live) => look(&live.found.record.data),
            None => look(&Data::new()),
        }
    }

    /// The session, if there is one; an error where none may be made in its place.
    pub(crate) fn to_write(&self) -> Result<Option<&Live>, Error> {
        match self {
            Self::Live(live) => Ok(Some(live)),
            Self::Unasked | Self::Absent => Ok(None),
            Self::Failed(error) => Err(error.clone()),
            Self::Unread(unread) => Err(unread.error.clone().into()),
            Self::Barred(bar) => Err((*bar).into()),
            Self::Lost(loss) => Err((*loss).into()),
        }
    }

    /// The session, if there is one; an error where this request cannot go on without it.
    pub(crate) fn to_read(&self) -> Result<Option<&Live>, Error> {
        match self {
            Self::Barred(_) => Ok(None),
            Self::Unread(unread) => unread.judge_read().map(|()| None),
            _ => self.to_write(),
        }
    }

    /// `Unasked` to what the load has found.
    pub(crate) fn load(&mut self, loaded: Self) {
        if let Self::Unasked = self {
            *self = loaded;
        }
    }

    /// `Unread`, as the policy has it in each request: this one goes on without the session.
    pub(crate) fn forget(&mut self) {
        if let Self::Unread(unread) = self {
            unread.goes_on = true;
        }
    }

    /// To `Live`: this request has created the session, logged in or renewed.
    pub(crate) fn enter(&mut self, live: Live) {
        *self = Self::Live(live);
    }

    /// `Live` to what the store has now, or to `Unread` where that cannot be read any more. Of another generation it is
    /// another's: then, and where it has ended, to `Lost`.
    pub(crate) fn follow(
        &mut self,
        now: Option<Arc<Found>>,
        unread: impl FnOnce(&Arc<Found>) -> Option<Unread>,
    ) -> Result<(), Loss> {
        let Some(now) = now else { return Err(self.lose(Loss::Gone)) };
        match self {
            Self::Live(live) if live.found.header().generation == now.header().generation => {
                match unread(&now) {
                    Some(unread) => *self = Self::Unread(unread),
                    None => live.found = now,
                }
                Ok(())
            }
            _ => Err(self.lose(Loss::Superseded)),
        }
    }

    /// `Live`, of the same revision: its expiry was moved.
    pub(crate) fn touched(&mut self, found: Found) {
        if let Self::Live(live) = self {
            live.found = Arc::new(found);
        }
    }

    /// To `Lost`.
    pub(crate) fn lose(&mut self, loss: Loss) -> Loss {
        *self = Self::Lost(loss);
        loss
    }

    /// `Unread` to `Absent`: a new session takes its place.
    pub(crate) fn leave_unread(&mut self) {
        if let Self::Unread(_) = self {
            *self = Self::Absent;
        }
    }

    /// What a logout leaves. `Barred` where one of several sessions was late or stolen: another login's cookie may be on its
    /// way to the browser.
    pub(crate) fn after_end(only_login_may_answer: bool) -> Self {
        if only_login_may_answer { Self::Barred(Bar::Late) } else { Self::Absent }
    }
}

impl From<Bar> for Error {
    fn from(bar: Bar) -> Self {
        match bar {
            Bar::Late => Self::Superseded,
            Bar::Stolen => Self::Gone,
            Bar::Withheld(reason) => Self::Withheld(reason),
        }
    }
}

impl From<Loss> for Error {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Gone => Self::Gone,
            Loss::Superseded => Self::Superseded,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        Lifetime, Revision, SessionId, StoreError, WhenUnreadable,
        moment::TimeLeft,
        record::{Header, Record},
        request::SecretHash,
    };

    fn found(generation: u32) -> Arc<Found> {
        let hour = Duration::from_secs(3600);
        let header = Header { generation, ..Header::new(SecretHash([0; 32]), Lifetime::new(hour, hour)) };
        let left = TimeLeft { asked: Instant::now(), expires_in: hour, ends_in: hour };
        let record = Record { header, data: Data::new() };
        Arc::new(Found { id: SessionId::from_bytes([1; 16]), record, revision: Revision::from_bytes([1; 8]), left })
    }

    fn live(generation: u32) -> Standing {
        Standing::Live(Live::of_ours(found(generation), SessionSecret::from_bytes([1; 32])))
    }

    #[test]
    fn the_first_answer_of_a_load_stands() {
        let mut standing = Standing::default();
        assert!(!standing.is_known());
        standing.load(Standing::Absent);
        standing.load(live(0));
        assert!(standing.is_known() && standing.live().is_none());
    }

    #[test]
    fn a_session_is_followed_within_its_generation_only() {
        let mut standing = live(1);
        assert_eq!(standing.follow(Some(found(1)), |_| None), Ok(()));
        for generation in [0, 2] {
            let mut standing = standing.clone();
            assert_eq!(standing.follow(Some(found(generation)), |_| None), Err(Loss::Superseded));
            assert!(matches!(standing, Standing::Lost(Loss::Superseded)));
        }
        assert_eq!(standing.follow(None, |_| None), Err(Loss::Gone));
        assert!(matches!(standing, Standing::Lost(Loss::Gone)));
    }

    #[test]
    fn what_is_lost_is_found_by_no_later_state_of_the_session() {
        let mut standing = Standing::Lost(Loss::Gone);
        assert_eq!(standing.follow(Some(found(0)), |_| None), Err(Loss::Superseded));
        standing.load(live(0));
        standing.leave_unread();
        standing.forget();
        assert!(matches!(standing, Standing::Lost(_)));
    }

    #[test]
    fn only_where_there_is_none_may_one_be_made() {
        assert!(matches!(Standing::Absent.to_write(), Ok(None)) && matches!(live(0).to_write(), Ok(Some(_))));
        let unread = Unread::new(StoreError::AlreadyExists, None, WhenUnreadable::GoOnWithout);
        for standing in [
            Standing::Failed(Error::Contended),
            Standing::Unread(unread.clone()),
            Standing::Barred(Bar::Late),
            Standing::Lost(Loss::Gone),
        ] {
            assert!(standing.to_write().is_err(), "{standing:?}");
        }
        assert!(matches!(Standing::Barred(Bar::Stolen).to_read(), Ok(None)), "a page may go on without it");
        assert!(matches!(Standing::Unread(unread).to_read(), Ok(None)));
        assert!(Standing::Lost(Loss::Gone).to_read().is_err());
    }
}
