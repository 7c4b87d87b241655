//! What is known of the image of a server.

use std::time::Duration;

use super::Server;

/// The image of a server, and how it is run. It takes what the official one takes.
#[derive(Debug)]
#[cfg_attr(not(feature = "containers"), expect(dead_code, reason = "only containers are made of it"))]
pub(super) struct Image {
    /// Names another one.
    pub(super) variable: &'static str,
    /// Those that will do, the one that is pulled first.
    pub(super) defaults: &'static [&'static str],
    pub(super) port: u16,
    /// The arguments of the server.
    pub(super) arguments: &'static [&'static str],
    pub(super) environment: &'static [(&'static str, &'static str)],
    pub(super) ready: Ready,
    /// What a shell in the container does to print what the server calls itself.
    pub(super) version: &'static str,
    /// The URL, but for host and port.
    pub(super) url: fn(&str) -> String,
}

/// How a server in a container shows that it is ready.
#[derive(Debug)]
#[cfg_attr(not(feature = "containers"), expect(dead_code, reason = "only containers are waited for so"))]
pub(super) enum Ready {
    /// It says so.
    Says(&'static str),
    /// It lets a client in at this address.
    LetsIn(fn(&str) -> bool),
}

impl Image {
    /// Starts a container. The error, a sentence, says why there can be none.
    #[cfg(feature = "containers")]
    pub(super) fn start(&'static self, pulls_within: Duration) -> Result<Server, String> {
        super::container::start(self, pulls_within)
    }

    #[cfg(not(feature = "containers"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn start(&'static self, _: Duration) -> Result<Server, String> {
        Err("the feature `containers` of session-conformance is off".into())
    }
}
