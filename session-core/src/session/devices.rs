//! What a session can do to the owner's other sessions.

use std::time::Duration;

use crate::{Device, Error, Session, SessionId, owner::Kept};

/// An older request asks again whether its session has ended. A younger one is as good as one that came a moment earlier.
const YOUNG: Duration = Duration::from_secs(30);

impl Session {
    /// The owner's sessions; none if nobody is logged in. The current one is marked.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; after the response has left, or half a minute after the request came, [`Error::Gone`] or
    /// [`Error::Superseded`] if the session has ended.
    #[doc(alias("sessions", "active_sessions"))]
    pub async fn devices(&self) -> Result<Vec<Device>, Error> {
        self.reload_if_late().await?;
        let Some(owner) = self.owner() else { return Ok(Vec::new()) };
        crate::owner::devices::devices(self.inner().caller(), &owner, self.id()).await
    }

    /// Ends one of the owner's sessions; `false` if they have none of this id, or nobody is logged in. Where it is the
    /// session of this request, the user is logged out, as by [`logout`](Self::logout).
    ///
    /// # Errors
    ///
    /// [`Error::Store`], [`Error::Contended`]; after the response has left, or half a minute after the request came,
    /// [`Error::Gone`] or [`Error::Superseded`] if this session has ended.
    pub async fn end(&self, id: &SessionId) -> Result<bool, Error> {
        self.reload_if_late().await?;
        let Some(owner) = self.owner() else { return Ok(false) };
        if self.id().as_ref() == Some(id) {
            return self.logout().await.map(|()| true);
        }
        crate::owner::devices::end(self.inner().caller(), &owner, id).await
    }

    /// Ends the owner's other sessions, and their logins that have begun elsewhere. Returns how many sessions were live.
    ///
    /// To log out everywhere, call [`logout`](Self::logout) after it. A new login of the owner's within the next 100
    /// milliseconds is refused: see [`SessionManager::revoke_all`](crate::SessionManager::revoke_all).
    ///
    /// # Errors
    ///
    /// [`Error::Store`], [`Error::Contended`]: some may be ended, others not; call again. After the response has left, or half
    /// a minute after the request came, [`Error::Gone`] or [`Error::Superseded`] if this session has ended.
    #[doc(alias = "log_out_everywhere")]
    pub async fn revoke_others(&self) -> Result<u64, Error> {
        self.reload_if_late().await?;
        let login = self.live(|live| live.found.header().owner.clone().map(|owner| (owner, Kept::of(&live.found))));
        let Some((owner, kept)) = login.flatten() else { return Ok(0) };
        crate::owner::epoch::revoke(self.inner().caller(), &owner, Some(kept)).await
    }

    /// After the response has left, and in a slow request, a session may have ended long ago: what acts on others in the
    /// owner's name asks first.
    async fn reload_if_late(&self) -> Result<(), Error> {
        let sent = {
            let state = self.inner().state();
            state.judge_read()?;
            state.sent
        };
        if sent || self.inner().opened.elapsed_at_most() > YOUNG { self.reload().await } else { Ok(()) }
    }
}
