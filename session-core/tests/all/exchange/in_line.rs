//! Writers of one session that wait for one another: what the tests of turns and of shared writes have in common.

use std::time::Duration;

use session_core::{Error, Exchange, Outcome, Session};
use tokio::task::{JoinHandle, yield_now};

use crate::support::*;

/// How long a writer waits for its turns.
pub(crate) const WAIT: Duration = Duration::from_millis(50);

pub(crate) type Committing = JoinHandle<Result<Outcome, Error>>;

/// A request that has added one, and has not committed yet.
pub(crate) async fn writer(browser: &Browser) -> (Exchange, Session) {
    let (exchange, session) = browser.start().await;
    add_one(&session);
    (exchange, session)
}

/// Commits in a task, which has gone as far as it can.
pub(crate) async fn commit(exchange: Exchange) -> Committing {
    let committing = tokio::spawn(async move { exchange.commit().await });
    settle().await;
    committing
}

/// Lets every task go as far as it can. The clock moves only when a test waits, and yielding is no wait.
pub(crate) async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// The same browser, served by another process.
pub(crate) fn elsewhere(site: &Site, browser: &Browser) -> Browser {
    Browser { manager: site.another_process().manager, cookie: browser.cookie.clone() }
}

/// The line is as empty as it was.
pub(crate) fn assert_nobody_writes(site: &Site) {
    let manager = format!("{:?}", site.manager);
    assert!(manager.contains("Writers { sessions: 0, writers: 0 }"), "{manager}");
}
