//! A browser that stands still.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    task::Poll,
};

/// How often a test is begun.
const ATTEMPTS: u32 = 3;

/// The driver's message when the browser has not answered for a minute. That happens on a very busy machine, and says
/// nothing about the site.
const SILENCE: &str = "Timed out receiving message from renderer";

/// Makes a test of each function. If the browser stands still, the test begins again with a new one.
macro_rules! in_a_browser {
    ($($case:ident)*) => {
        mod in_a_browser { $( #[tokio::test] async fn $case() { crate::browser::stall::begin_again(super::$case).await } )* }
    };
}

pub(crate) use in_a_browser;

pub(crate) fn is_told_by(error: &str) -> bool {
    error.contains(SILENCE)
}

/// Runs the test, and again if its browser stands still. The browser ends with each run.
pub(crate) async fn begin_again<T: Future<Output = ()>>(test: impl Fn() -> T) {
    for attempt in 1.. {
        let mut test = pin!(test());
        let outcome = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| test.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        match outcome.await {
            Ok(()) => return,
            Err(panic) if attempt < ATTEMPTS && is_told_by(&sentence(&*panic)) => {
                eprintln!("The browser has stood still; attempt {} follows.", attempt + 1);
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

fn sentence(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

mod tests {
    use std::cell::Cell;

    use super::{ATTEMPTS, SILENCE, begin_again};

    #[tokio::test]
    async fn a_test_begins_again_where_the_browser_stands_still() {
        let begun = Cell::new(0);
        begin_again(async || {
            begun.set(begun.get() + 1);
            assert!(begun.get() == ATTEMPTS, "{SILENCE}: 60.000");
        })
        .await;
        assert_eq!(begun.get(), ATTEMPTS);
    }

    #[tokio::test]
    #[should_panic(expected = "the site is wrong")]
    async fn a_test_that_fails_does_not_begin_again() {
        let begun = Cell::new(0);
        begin_again(async || {
            begun.set(begun.get() + 1);
            assert!(begun.get() > 1, "the site is wrong");
        })
        .await;
    }
}
