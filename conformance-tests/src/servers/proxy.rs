//! A proxy in front of a server, which harms connections as networks do.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// A proxy in front of a server. It can lose the answer to one request, fall silent, or lead new connections to another
/// server.
///
/// Networks do both. A connection may be cut after the server has done what it was asked, and before the client hears
/// of it. Or a router forgets an idle connection: all messages on it are lost, and neither end is told.
///
/// # Examples
///
/// ```no_run
/// use session_conformance::servers::{self, Proxy};
///
/// let proxy = Proxy::before(servers::postgres().url());
/// println!("a store connects to {}", proxy.url());
/// proxy.lose_the_answer(b"what the next request has in it");
/// proxy.silence();
/// ```
#[derive(Debug)]
pub struct Proxy {
    url: String,
    own: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// How many answers were lost.
    lost: AtomicUsize,
    /// How often clients have sent something.
    sent: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Whether new connections are silent from the start.
    silent: bool,
    /// Where new connections lead: a host and a port.
    target: String,
    /// The bytes by which the requests are found whose answers are to be lost. Each is found once.
    losing: Vec<Vec<u8>>,
    connections: Vec<Arc<Connection>>,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    silent: AtomicBool,
    /// Whether the next answer is to be lost, and the connection with it.
    doomed: AtomicBool,
}

impl Proxy {
    /// Starts a proxy in front of the server at this URL, on a free port. When it is dropped, it ends with its
    /// connections.
    ///
    /// # Panics
    ///
    /// If the URL names no server, or several, or nobody may listen.
    #[must_use]
    pub fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let server = address(url);
        let shared = Arc::new(Shared::default());
        shared.state().target = with_port(url, server);
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { url: url.replacen(server, &own.to_string(), 1), own, shared }
    }

    /// The URL of the server by way of this proxy.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Loses the answer to the next request that has these bytes in it: the server does what it is asked, and then the
    /// connection is cut in place of the answer.
    ///
    /// If no such request comes, dropping the proxy panics. Otherwise a test would pass without losing anything.
    pub fn lose_the_answer(&self, to: &[u8]) {
        self.shared.state().losing.push(to.to_vec());
    }

    /// How many answers were lost.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::SeqCst)
    }

    /// How often clients have sent something, on all connections together.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Leads new connections to the server at this URL. Those that are there stay where they are, as behind an address that
    /// moves to another server after a failover.
    ///
    /// # Panics
    ///
    /// If the URL names no server, or several.
    pub fn lead_to(&self, url: &str) {
        self.shared.state().target = with_port(url, address(url));
    }

    /// Passes nothing on any more on the connections that are there, but leaves them open. New connections work.
    pub fn silence(&self) {
        self.shared.state().silence();
    }

    /// The same, and new connections are silent, too.
    pub fn silence_all(&self) {
        let mut state = self.shared.state();
        state.silent = true;
        state.silence();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let (connections, losing) = {
            let mut state = self.shared.state();
            state.closed = true;
            (std::mem::take(&mut state.connections), state.losing.len())
        };
        connections.iter().for_each(|connection| connection.cut());
        // The thread waits for somebody to connect, so this wakes it.
        let _ = TcpStream::connect(self.own);
        // A test that has already failed has its own reason.
        assert!(losing == 0 || thread::panicking(), "{losing} answers were to be lost, and no request was theirs");
    }
}

impl State {
    fn silence(&self) {
        self.connections.iter().for_each(|connection| connection.silent.store(true, Ordering::SeqCst));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let (closed, target) = {
                let state = self.state();
                (state.closed, state.target.clone())
            };
            let (Ok(client), false) = (client, closed) else { return };
            // If nobody listens there, the client finds its connection closed.
            let Ok(server) = TcpStream::connect(target) else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let connection = {
                // Under one lock: a connection that is made while the proxy falls silent is silent, too.
                let mut state = self.state();
                let (silent, doomed) = (AtomicBool::new(state.silent), AtomicBool::new(false));
                let connection = Arc::new(Connection { client, server, silent, doomed });
                state.connections.push(Arc::clone(&connection));
                connection
            };
            let (asking, answering) = (Arc::clone(self), Arc::clone(self));
            let asked = Arc::clone(&connection);
            thread::spawn(move || asking.ask(&asked));
            thread::spawn(move || answering.answer(&connection));
        }
    }

    /// Passes on what the client sends.
    fn ask(&self, connection: &Arc<Connection>) {
        let mut request = Vec::new();
        let mut part = [0; 8192];
        while let Ok(length @ 1..) = (&connection.client).read(&mut part) {
            self.sent.fetch_add(1, Ordering::SeqCst);
            if connection.silent.load(Ordering::SeqCst) {
                continue;
            }
            request.extend_from_slice(&part[..length]);
            self.doom(connection, &mut request);
            if (&connection.server).write_all(&part[..length]).is_err() {
                break;
            }
        }
        // The client has gone. The server is told, unless the connection is silent: a router that has forgotten a
        // connection tells nobody.
        if !connection.silent.load(Ordering::SeqCst) {
            connection.cut();
            self.state().connections.retain(|other| !Arc::ptr_eq(other, connection));
        }
    }

    /// Marks the connection if the answer to this request is to be lost. Keeps the last bytes of the request, because
    /// they may be the beginning of the bytes that are looked for.
    fn doom(&self, connection: &Connection, request: &mut Vec<u8>) {
        let mut state = self.state();
        let longest = state.losing.iter().map(Vec::len).max().unwrap_or(1);
        let is_in = |needle: &Vec<u8>| request.windows(needle.len().max(1)).any(|bytes| bytes == needle);
        if let Some(found) = state.losing.iter().position(is_in) {
            state.losing.remove(found);
            connection.doomed.store(true, Ordering::SeqCst);
            request.clear();
        }
        request.drain(..request.len().saturating_sub(longest - 1));
    }

    /// Passes on what the server answers.
    fn answer(&self, connection: &Connection) {
        let mut part = [0; 8192];
        while let Ok(length @ 1..) = (&connection.server).read(&mut part) {
            if connection.silent.load(Ordering::SeqCst) {
                continue;
            }
            if connection.doomed.load(Ordering::SeqCst) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if (&connection.client).write_all(&part[..length]).is_err() {
                break;
            }
        }
        if !connection.silent.load(Ordering::SeqCst) {
            connection.cut();
        }
    }
}

impl Connection {
    fn cut(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

/// The part of the URL that says where the server is.
fn address(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or_else(|| panic!("{url} is not the URL of a server"));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    assert!(!authority.contains(','), "{url} names several servers, and a proxy is in front of one");
    authority.rsplit('@').next().unwrap_or_default()
}

/// The address with a port. If the URL names none, it is the usual one for servers of this kind.
fn with_port(url: &str, address: &str) -> String {
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = match url.split([':', '+']).next() {
        _ if has_port => return address.to_owned(),
        Some("postgres" | "postgresql") => 5432,
        Some("mysql" | "mariadb") => 3306,
        Some("redis") => 6379,
        Some("mongodb") => 27017,
        _ => panic!("{url} names no port"),
    };
    format!("{address}:{port}")
}
