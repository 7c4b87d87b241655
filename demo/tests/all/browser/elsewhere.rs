//! Another site, which means no good.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// A site with one page.
pub(crate) struct Elsewhere(SocketAddr);

impl Elsewhere {
    pub(crate) fn serve(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
            page.len()
        );
        let answer: Arc<str> = answer.into();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let answer = answer.clone();
                // A browser opens connections that it then does not use. So each is served by itself, and none waits
                // for another.
                thread::spawn(move || serve(connection, &answer));
            }
        });
        Self(address)
    }

    /// The address of its page under this name.
    pub(crate) fn page(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.0.port())
    }
}

fn serve(mut connection: TcpStream, answer: &str) {
    let request = BufReader::new(&connection).lines().map_while(Result::ok);
    if request.take_while(|line| !line.is_empty()).count() > 0 {
        // The browser may have gone.
        let _ = connection.write_all(answer.as_bytes());
    }
}
