//! A browser: a client for HTTP/1.1 that keeps cookies.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A browser. It keeps the cookies that it is given, by their names. Each request has a connection of its own, but those
/// of [`get_over`](Browser::get_over).
pub(crate) struct Browser {
    address: SocketAddr,
    patience: Duration,
    pub(crate) cookies: Vec<(String, String)>,
}

/// A connection that takes one request after the other. A proxy sends those of several browsers over one.
pub(crate) struct Connection(BufReader<TcpStream>);

/// A request that has left.
pub(crate) struct Sent {
    stream: BufReader<TcpStream>,
    is_head: bool,
    patience: Duration,
}

/// A response whose body is still to be read.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    sent: Sent,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// The lines of a head, each with its name in lower case.
#[derive(Debug)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Browser {
    pub(crate) fn new(address: SocketAddr, patience: Duration) -> Self {
        Self { address, patience, cookies: Vec::new() }
    }

    pub(crate) fn get(&mut self, path: &str) -> Received {
        self.ask("GET", path, &[])
    }

    /// A request with these headers, whose response must come. Each character of a value is a byte: `\u{ff}` is 0xFF, which is
    /// no UTF-8.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Received {
        self.head(method, path, headers).body()
    }

    /// The same, without reading the body.
    pub(crate) fn head(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Head {
        self.head_over(self.connect(), method, path, headers)
    }

    /// Asks over this connection, and returns it for the next request. In place of one that the server closes, it returns a
    /// new one.
    pub(crate) fn get_over(&mut self, connection: Connection, path: &str) -> (Received, Connection) {
        let mut head = self.head_over(connection, "GET", path, &[("Connection", "keep-alive")]);
        let body = head.read_body();
        let Head { status, headers, sent } = head;
        let connection = if headers.has("connection", "close") { self.connect() } else { Connection(sent.stream) };
        (Received { status, headers, body }, connection)
    }

    pub(crate) fn connect(&self) -> Connection {
        let connected = TcpStream::connect(self.address);
        let stream = connected.unwrap_or_else(|error| panic!("nothing listens at {}: {error}", self.address));
        stream.set_read_timeout(Some(self.patience)).unwrap();
        Connection(BufReader::new(stream))
    }

    /// Sends a request whose head says another `Content-Length` than this body has, if `headers` do so.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Sent {
        self.send_over(self.connect(), method, path, headers, body)
    }

    fn head_over(&mut self, connection: Connection, method: &str, path: &str, headers: &[(&str, &str)]) -> Head {
        let head = self.send_over(connection, method, path, headers, b"").head();
        let Some(head) = head else {
            panic!("{method} {path}: the server has closed the connection without a response")
        };
        self.keep_cookies(&head.headers);
        head
    }

    fn send_over(
        &self,
        Connection(mut stream): Connection,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Sent {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let has = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        if !has("host") {
            head += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !has("connection") {
            head += "Connection: close\r\n";
        }
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            head += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        if !matches!(method, "GET" | "HEAD") && !has("content-length") {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let bytes = head.chars().map(|letter| u8::try_from(letter).unwrap());
        let (head, writer) = (bytes.chain(*b"\r\n").collect::<Vec<_>>(), stream.get_mut());
        writer.write_all(&head).unwrap();
        writer.write_all(body).unwrap();
        Sent { stream, is_head: method == "HEAD", patience: self.patience }
    }

    /// Takes the one cookie out that the browser must have by now, with its name.
    pub(crate) fn take_cookie(&mut self) -> (String, String) {
        self.cookies.pop().unwrap_or_else(|| panic!("no response has sent the cookie of the session that was made"))
    }

    fn keep_cookies(&mut self, headers: &Headers) {
        for line in headers.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.split(';').any(|attribute| attribute.trim().eq_ignore_ascii_case("max-age=0")) {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

impl Sent {
    /// Sends the rest of the body. If the server takes no more of it, the head tells why.
    pub(crate) fn go_on(&mut self, body: &[u8]) {
        drop(self.stream.get_mut().write_all(body));
    }

    /// Whether the server answers, or closes the connection, within this time. Nothing of the answer is lost.
    pub(crate) fn is_answered_within(&mut self, time: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(time)).unwrap();
        let filled = self.stream.fill_buf().map(|_| ());
        self.stream.get_ref().set_read_timeout(Some(self.patience)).unwrap();
        !filled.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// The head of the response; `None` where the server has closed the connection without one.
    pub(crate) fn head(mut self) -> Option<Head> {
        loop {
            let line = self.line()?;
            let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status: u16 = status.unwrap_or_else(|| panic!("this is no status line: {line:?}"));
            let mut headers = Vec::new();
            loop {
                let line = self.line()?;
                let Some((name, value)) = line.split_once(':') else { break };
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            // A 1xx is not the response yet (RFC 9110, section 15.2). Only 101, a change of the protocol, is.
            if status >= 200 || status == 101 {
                return Some(Head { status, headers: Headers(headers), sent: self });
            }
        }
    }

    /// A line without its end; `None` where there is none any more.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        let count = self.count("a head", read);
        (count > 0).then(|| line.trim_end().to_owned())
    }

    /// How much was read: nothing of a connection that was cut.
    #[track_caller]
    fn count(&self, what: &str, read: std::io::Result<usize>) -> usize {
        read.unwrap_or_else(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                panic!("the server has not sent {what} within {:?}, which `Adapter::deadline` allows", self.patience)
            }
            _ => 0,
        })
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = self.stream.read_exact(&mut bytes).map(|()| length);
        let count = self.count("the whole body", read);
        assert!(count == length, "the connection was cut within the body");
        bytes
    }

    fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = self.stream.read_to_end(&mut bytes);
        self.count("the whole body", read);
        bytes
    }

    /// A body in chunks (RFC 9112, section 7.1).
    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line().unwrap_or_else(|| panic!("the connection was cut between two chunks"));
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.unwrap_or_else(|_| panic!("this is no size of a chunk: {line:?}"));
            body.extend(self.exactly(size));
            if size == 0 {
                while self.line().is_some_and(|trailer| !trailer.is_empty()) {}
                return body;
            }
            self.line();
        }
    }
}

impl Head {
    pub(crate) fn body(mut self) -> Received {
        let body = self.read_body();
        Received { status: self.status, headers: self.headers, body }
    }

    fn read_body(&mut self) -> Vec<u8> {
        let is_chunked = self.headers.get("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked"));
        let length = self.headers.get("content-length").and_then(|length| length.parse().ok());
        match length {
            // RFC 9112, section 6.3.
            _ if self.sent.is_head || matches!(self.status, 204 | 304) => Vec::new(),
            _ if is_chunked => self.sent.chunks(),
            Some(length) => self.sent.exactly(length),
            None => self.sent.rest(),
        }
    }

    /// Says something over a connection that is no longer HTTP, and returns what comes back.
    pub(crate) fn say(&mut self, message: &str) -> String {
        self.sent.stream.get_mut().write_all(message.as_bytes()).unwrap();
        let mut bytes = [0; 256];
        let read = self.sent.stream.read(&mut bytes);
        let count = self.sent.count("an answer to a message", read);
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }
}

impl Received {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap_or_else(|_| panic!("this is no text: {:?}", self.body))
    }
}

impl Headers {
    /// The lines of this name, which is in lower case, as one list (RFC 9110, section 5.3).
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let lines: Vec<_> = self.all(name).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the list of this name has this element, in any case of letters.
    pub(crate) fn has(&self, name: &str, element: &str) -> bool {
        self.all(name).flat_map(|line| line.split(',')).any(|there| there.trim().eq_ignore_ascii_case(element))
    }

    /// The cookies of this name that are set or removed.
    pub(crate) fn cookies(&self, name: &str) -> Vec<&str> {
        self.all("set-cookie").filter(|line| line.split('=').next() == Some(name)).collect()
    }
}
