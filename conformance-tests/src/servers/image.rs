//! The image of a server, and how it is run.

/// The image of a server, and how it is run. It takes the arguments and variables of the official one.
#[derive(Debug)]
#[cfg_attr(not(feature = "containers"), expect(dead_code, reason = "only containers are made of it"))]
pub(super) struct Image {
    /// The variable that names another image.
    pub(super) variable: &'static str,
    /// The images that will do. The first is the one that is pulled.
    pub(super) defaults: &'static [&'static str],
    pub(super) port: u16,
    /// The arguments of the server.
    pub(super) arguments: &'static [&'static str],
    pub(super) environment: &'static [(&'static str, &'static str)],
    pub(super) ready: Ready,
    /// The command for a shell in the container that prints what the server calls itself.
    pub(super) version: &'static str,
    /// Makes the URL of a host and port.
    pub(super) url: fn(&str) -> String,
}

/// How a server in a container shows that it is ready.
#[derive(Debug)]
#[cfg_attr(not(feature = "containers"), expect(dead_code, reason = "only containers are waited for so"))]
pub(super) enum Ready {
    /// It writes this into its log.
    Says(&'static str),
    /// It lets a client in at this address.
    LetsIn(fn(&str) -> bool),
}
