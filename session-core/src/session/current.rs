//! Who is logged in, as the store had it a moment ago: for what is decided elsewhere by it.

use std::{fmt, time::Duration};

use crate::{Error, Owner, Session, SessionId, moment::TimeLeft, store::read};

/// A login, as the store had it when it was last asked. It comes from [`Session::current_login`].
#[derive(Clone)]
pub struct CurrentLogin {
    id: SessionId,
    owner: Owner,
    acting_as: Option<Owner>,
    left: TimeLeft,
}

impl CurrentLogin {
    /// The session's name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Who is logged in.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// As whom they [act](Session::act_as); `None` if they do not.
    #[must_use]
    pub fn acting_as(&self) -> Option<&Owner> {
        self.acting_as.as_ref()
    }

    /// How long ago the store was asked.
    #[must_use]
    pub fn asked_ago(&self) -> Duration {
        self.left.asked.elapsed()
    }

    /// How long until the session expires unless it is used, counted from now.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        self.left.now().expires_in
    }

    /// How long until the session ends, whatever happens, counted from now.
    #[must_use]
    pub fn ends_in(&self) -> Duration {
        self.left.now().ends_in
    }
}

impl fmt::Debug for CurrentLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentLogin")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("acting_as", &self.acting_as)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The login of this session; `None` if nobody is logged in. For what others will trust without asking the store, such
    /// as an access token, and for a websocket that asks now and then whether its user is still logged in.
    ///
    /// `at_most_ago` says how old the answer may be. The store is asked again if this request began longer ago, and always
    /// once the response head has left. Otherwise the answer is what this request knows, and there is no call. So
    /// `Duration::ZERO` always asks. A websocket may pass anything, and `Duration::ZERO` says what is meant.
    ///
    /// A login counts once it is saved, and the question is not a use of the session.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use session_core::{Error, Session};
    ///
    /// /// What a websocket asks each minute.
    /// async fn may_go_on(session: &Session) -> Result<bool, Error> {
    ///     match session.current_login(Duration::ZERO).await {
    ///         Ok(login) => Ok(login.is_some()),
    ///         Err(Error::Gone | Error::Superseded) => Ok(false),
    ///         Err(error) => Err(error),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the session has ended, [`Error::Superseded`] if a login or renewal has overtaken this request.
    /// [`Error::Store`] if the store fails, or if what is stored cannot be read.
    pub async fn current_login(&self, at_most_ago: Duration) -> Result<Option<CurrentLogin>, Error> {
        let inner = self.inner();
        let mut place = inner.place().await;
        // A login that was given up on its way may have been saved. Then the session is not the one that was loaded.
        let mut turn = place.resolve().await?;
        let Some(live) = turn.view().standing.to_read()?.cloned() else { return Ok(None) };
        let has_left = inner.state().sent;
        if has_left || inner.opened.elapsed_at_most() > at_most_ago {
            let now = read(&inner.store, &live.found.id).await?;
            turn.follow(now)?;
        }
        let view = turn.view();
        let Some(live) = view.standing.to_read()? else { return Ok(None) };
        let (id, header, left) = (live.found.id, live.found.header(), live.found.left);
        let acting_as = header.acting_as().cloned();
        Ok(header.owner.clone().map(|owner| CurrentLogin { id, owner, acting_as, left }))
    }
}
