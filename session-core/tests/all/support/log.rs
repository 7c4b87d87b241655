//! The log: what `tracing` is told.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, Once},
};

use tracing::{Level, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

/// The log of this thread, while this value lives.
pub(crate) struct Log {
    written: Written,
    _subscribed: DefaultGuard,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> Self {
        Self::of_level(Level::DEBUG)
    }

    /// A log that wants nothing below this level.
    pub(crate) fn of_level(level: Level) -> Self {
        want_every_line();
        let written = Written::default();
        let builder = tracing_subscriber::fmt().with_ansi(false).with_max_level(level);
        let subscriber = builder.with_writer(written.clone()).finish();
        Self { written, _subscribed: tracing::subscriber::set_default(subscriber) }
    }

    /// All that was written so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.written.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// The lines of the event with this name.
    pub(crate) fn of(&self, name: &str) -> Vec<String> {
        let name = format!("event.name=\"{name}\"");
        self.lines().into_iter().filter(|line| line.contains(&name)).collect()
    }
}

/// Makes every log line wanted in the whole process. `tracing` asks only the first thread that reaches a line whether
/// it is wanted. A thread without a subscriber would say no for all threads.
fn want_every_line() {
    static WANTED: Once = Once::new();
    WANTED.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(io::sink).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
