//! One of the programs that a server consists of.

use super::process::Process;

/// One of the programs that a [`Server`](super::Server) consists of, such as a master of a cluster.
///
/// # Examples
///
/// ```no_run
/// use session_conformance::servers;
///
/// let server = servers::own_redis_cluster();
/// let port: u16 = server.url().rsplit(':').next().unwrap().parse()?;
/// server.node(port).kill();
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Node<'a>(pub(super) &'a Process);

impl Node<'_> {
    /// Kills it without a warning to its clients, and waits until it has ended.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Starts it again after [`kill`](Self::kill), on the same port and files, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(&self) {
        self.0.restart();
    }

    /// Stops it in the middle of its work, and waits until it has stopped. It answers nobody, but its connections stay
    /// open.
    pub fn pause(&self) {
        self.0.pause();
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.0.resume();
    }
}
