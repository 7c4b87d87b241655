//! Which manager has the sessions of a request.

use super::{Failure, Opened};
use crate::{Hosts, Incoming, SessionManager, request::HostError};

/// The manager of each request: one for all, or one for each host. A layer keeps it.
///
/// # Examples
///
/// ```
/// use session_core::{Hosts, SessionManager, adapter::Managers};
///
/// fn of_a_layer(manager: SessionManager, hosts: Hosts) -> [Managers; 2] {
///     // `SessionLayer::new` and `SessionLayer::by_host`.
///     [manager.into(), hosts.into()]
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Managers(Kind);

#[derive(Clone, Debug)]
enum Kind {
    One(SessionManager),
    ByHost(Hosts),
}

impl From<SessionManager> for Managers {
    fn from(manager: SessionManager) -> Self {
        Self(Kind::One(manager))
    }
}

impl From<Hosts> for Managers {
    fn from(hosts: Hosts) -> Self {
        Self(Kind::ByHost(hosts))
    }
}

impl Opened {
    /// The manager of this request, with which the layer then lets it [`enter`](Self::enter). For [`Hosts`], the request is
    /// asked for its host. The token header plays no part in that, because each manager may have one of its own.
    ///
    /// A layer outside may have found the host already. Then that one counts.
    ///
    /// # Errors
    ///
    /// A 421 where the host is not listed, and a 400 where the request names none, or two.
    pub fn choose<'a>(
        &mut self,
        managers: &'a Managers,
        incoming: impl FnOnce() -> Incoming,
    ) -> Result<&'a SessionManager, Failure> {
        let hosts = match &managers.0 {
            Kind::One(manager) => return Ok(manager),
            Kind::ByHost(hosts) => hosts,
        };
        if self.host.is_none() {
            self.host = Some(hosts.choose(&incoming())?);
        }
        let manager = self.host.as_ref().and_then(|host| hosts.manager(&host.name));
        manager.ok_or_else(|| HostError::Unlisted.into())
    }
}
