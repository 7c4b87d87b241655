//! A server, whatever is behind it.

use super::{Node, process::Process};

/// A server that answers.
///
/// # Examples
///
/// A server for one test alone, to see what happens when it dies:
///
/// ```no_run
/// use session_conformance::servers;
///
/// let server = servers::own_redis(&["--maxmemory", "8mb"]);
/// server.kill();
/// server.start();
/// println!("{} answers again", server.url());
/// ```
#[derive(Debug)]
pub struct Server {
    url: String,
    version: Option<String>,
    backing: Backing,
}

/// What ends when the server is dropped.
#[derive(Debug)]
enum Backing {
    Nothing,
    Processes(Vec<Process>),
    #[cfg(feature = "containers")]
    Container(#[expect(dead_code, reason = "it is held until it is dropped")] super::container::Keeper),
}

/// Where a [`Server`] comes from.
///
/// # Examples
///
/// ```no_run
/// use session_conformance::servers::{self, Origin};
///
/// assert_eq!(servers::own_redis(&[]).origin(), Origin::Local);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A variable of the environment names it.
    Url,
    /// A container, which was started for these tests.
    Container,
    /// A program of this machine, which was started for these tests.
    Local,
}

impl Server {
    pub(super) fn at(url: String) -> Self {
        Self { url, version: None, backing: Backing::Nothing }
    }

    pub(super) fn local(url: String, version: String, processes: Vec<Process>) -> Self {
        Self { url, version: Some(version), backing: Backing::Processes(processes) }
    }

    #[cfg(feature = "containers")]
    pub(super) fn container(url: String, version: String, keeper: super::container::Keeper) -> Self {
        Self { url, version: Some(version), backing: Backing::Container(keeper) }
    }

    pub(super) fn into_processes(self) -> Vec<Process> {
        match self.backing {
            Backing::Processes(processes) => processes,
            _ => Vec::new(),
        }
    }

    /// The URL where it listens, in the form that drivers take.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the program calls itself; `None` if the server was named by a URL.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self.backing {
            Backing::Nothing => Origin::Url,
            Backing::Processes(_) => Origin::Local,
            #[cfg(feature = "containers")]
            Backing::Container(_) => Origin::Container,
        }
    }

    /// The ids of the programs that it consists of, for example to ask the system for their CPU time. Processes that
    /// these have started are not among them.
    ///
    /// # Panics
    ///
    /// If it is not a program that these tests have started.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.ours().iter().filter_map(Process::id).collect()
    }

    /// Kills it without a warning to its clients, and waits until it has ended.
    ///
    /// # Panics
    ///
    /// If it is not a program that these tests have started.
    pub fn kill(&self) {
        self.ours().iter().for_each(Process::kill);
    }

    /// Starts it again after [`kill`](Self::kill), on the same port and files, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it is not a program that these tests have started, or does not start.
    pub fn start(&self) {
        self.ours().iter().for_each(Process::restart);
    }

    /// Stops it in the middle of its work, and waits until it has stopped. It answers nobody, but its connections stay
    /// open.
    ///
    /// # Panics
    ///
    /// If it is not a program that these tests have started.
    pub fn pause(&self) {
        self.ours().iter().for_each(Process::pause);
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Panics
    ///
    /// If it is not a program that these tests have started.
    pub fn resume(&self) {
        self.ours().iter().for_each(Process::resume);
    }

    /// The program of this server that listens on this port.
    ///
    /// # Panics
    ///
    /// If no program that these tests have started listens there.
    #[must_use]
    pub fn node(&self, port: u16) -> Node<'_> {
        let process = self.ours().iter().find(|process| process.port == port);
        Node(process.unwrap_or_else(|| panic!("no program of {} listens on {port}", self.url)))
    }

    fn ours(&self) -> &[Process] {
        match &self.backing {
            Backing::Processes(processes) => processes,
            _ => panic!("the server at {} is not a program that these tests have started", self.url),
        }
    }
}
