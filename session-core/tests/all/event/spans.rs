//! A span around each call of the store, for who asks for it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::*;

/// What a log that tells the end of each span writes of one request, which reads a value.
async fn spans(site: &Site) -> String {
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // So that `tracing` does not take this process for one that wants no line.
    drop(log::Log::start());
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || writer.clone());
    let browser = site.logged_in(USER).await;
    let subscribed = tracing::subscriber::set_default(subscriber.finish());
    browser.get::<u32>("n").await;
    drop(subscribed);
    String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn a_site_that_wants_spans_has_one_around_each_call_of_the_store() {
    let site = Site::new();
    let with_spans = Site { manager: site.manager.clone().with_store_spans(), ..site };
    let text = spans(&with_spans).await;
    let span =
        r#"session.store{session.store.backend="memory" session.store.method="load" session.store.outcome="ok"}"#;
    assert_eq!(text.matches(span).count(), 1, "{text}");
}

#[tokio::test]
async fn other_sites_have_none() {
    let text = spans(&Site::new()).await;
    assert!(!text.contains("session.store"), "{text}");
}
