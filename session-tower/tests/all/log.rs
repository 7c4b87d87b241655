//! The log: what `tracing` was told.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, Once},
};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

/// The log of this thread, while this value lives.
pub(crate) struct Log {
    written: Written,
    _subscribed: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> Self {
        want_every_line();
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(written.clone()).finish();
        Self { written, _subscribed: tracing::subscriber::set_default(subscriber) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.written.0.lock().unwrap()).lines().map(str::to_owned).collect()
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
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
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
