//! Too many events: those that take each other's lines in the log, and those that do not.

use http::{HeaderMap, HeaderValue, header};
use session_core::{EventKind, Incoming};
use tracing::Level;

use crate::support::{log::Log, *};

/// A response with a login's page that shared caches may keep.
async fn publish(browser: &Browser) {
    let (exchange, _session) = browser.start().await;
    exchange.commit().await.unwrap();
    let mut headers = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("public"))]);
    exchange.apply(&mut headers);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_users_that_caches_may_keep_brings_ten_lines_a_second() {
    let (site, log) = (Site::new(), Log::start());
    let browser = site.logged_in(USER).await;
    for _ in 0..50 {
        publish(&browser).await;
    }
    let lines = log.of("session.shared_cache_allowed").len();
    assert_eq!((lines, site.events.count(|kind| matches!(kind, EventKind::SharedCacheAllowed { .. }))), (10, 50));
}

#[tokio::test(start_paused = true)]
async fn what_the_log_does_not_want_takes_no_line_from_what_it_wants() {
    let (site, log) = (Site::new(), Log::of_level(Level::INFO));
    let withheld = async |is_refused: bool| {
        let (site_of_form, incoming) = (if is_refused { "same-origin" } else { "cross-site" }, Incoming::new([]));
        let incoming = incoming.with_resource("POST", "/").with_fetch_metadata(site_of_form, "");
        let exchange = site.manager.open(incoming);
        if is_refused {
            exchange.refuse_anonymous();
        }
        exchange.session().await.unwrap().insert("n", &1).unwrap();
        exchange.commit().await.unwrap();
    };
    for _ in 0..20 {
        withheld(true).await;
    }
    assert_eq!(log.of("session.withheld").len(), 0, "{:?}", log.lines());
    withheld(false).await;
    assert_eq!(log.of("session.withheld").len(), 1, "{:?}", log.lines());
}
