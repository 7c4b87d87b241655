//! Writes whose outcome is unknown, writes after the response has left, and closures that hold something.

use session_core::{Error, Exchange, Outcome, Session};

use crate::support::*;

/// A request whose save was sent and then given up. The flag says whether it was applied.
async fn given_up(site: &Site, is_applied: bool) -> (Browser, Exchange, Session) {
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    let gate = if is_applied { site.lab.hold_reply(Call::Replace) } else { site.lab.hold(Call::Replace) };
    tokio::select! {
        _ = session.save() => panic!("the save was held"),
        () = gate.reached() => {}
    }
    (browser, exchange, session)
}

#[tokio::test(start_paused = true)]
async fn begin_login_settles_a_write_that_was_given_up() {
    for is_applied in [false, true] {
        let site = Site::new();
        let (mut browser, exchange, session) = given_up(&site, is_applied).await;
        session.begin_login().await.unwrap();
        assert_eq!(session.get::<i64>("n").unwrap(), Some(1), "applied: {is_applied}");
        assert_eq!(browser.get::<i64>("n").await, Some(1), "applied: {is_applied}");
        add_one(&session);
        exchange.commit().await.unwrap();
        browser.receive(&exchange.headers());
        assert_eq!(browser.get::<i64>("n").await, Some(2), "applied: {is_applied}");
        site.manager.revoke_all(&user()).await.unwrap();
        let (_, session) = browser.start().await;
        assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)), "the login was not noted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_settles_a_write_that_was_given_up() {
    for is_applied in [false, true] {
        let site = Site::new();
        let (mut browser, exchange, session) = given_up(&site, is_applied).await;
        browser.visit(async |session| session.insert("of another", &true).unwrap()).await;
        session.reload().await.unwrap();
        assert_eq!(session.get::<i64>("n").unwrap(), Some(1), "applied: {is_applied}");
        assert!(session.contains("of another"));
        add_one(&session);
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
        assert_eq!(browser.get::<i64>("n").await, Some(2), "applied: {is_applied}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_cannot_settle_a_write_says_so_and_keeps_it() {
    let site = Site::new();
    let (browser, exchange, session) = given_up(&site, false).await;
    site.lab.set_down(true);
    assert!(matches!(session.reload().await, Err(Error::Store(_))));
    assert!(matches!(session.begin_login().await, Err(Error::Store(_))));
    site.lab.set_down(false);
    exchange.commit().await.unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(1));
}

/// A websocket whose response has left long ago.
async fn websocket(browser: &Browser) -> Session {
    let (exchange, session) = browser.start().await;
    exchange.commit().await.unwrap();
    session
}

#[tokio::test]
async fn a_websocket_whose_session_has_ended_acts_on_no_other() {
    let site = Site::new();
    let (mut browser, other) = (site.logged_in(USER).await, site.logged_in(USER).await);
    let (id, session) = (other.start().await.1.id().unwrap(), websocket(&browser).await);
    browser.visit(async |session| session.logout().await.unwrap()).await;
    assert!(matches!(session.revoke_others().await, Err(Error::Gone)));
    assert!(matches!(session.devices().await, Err(Error::Gone)));
    assert!(matches!(session.end(&id).await, Err(Error::Gone)));
    assert_eq!(other.owner().await, Some(user()));
}

#[tokio::test]
async fn a_websocket_from_before_a_renewal_acts_on_no_other_session() {
    let site = Site::new();
    let (mut browser, other) = (site.logged_in(USER).await, site.logged_in(USER).await);
    let (id, session) = (other.start().await.1.id().unwrap(), websocket(&browser).await);
    browser.visit(async |session| session.renew().await.unwrap()).await;
    assert!(matches!(session.revoke_others().await, Err(Error::Superseded)));
    assert!(matches!(session.end(&id).await, Err(Error::Superseded)));
    assert_eq!(other.owner().await, Some(user()));
}

#[tokio::test]
async fn a_websocket_whose_session_stands_ends_the_others() {
    let site = Site::new();
    let (browser, other) = (site.logged_in(USER).await, site.logged_in(USER).await);
    let session = websocket(&browser).await;
    assert_eq!(session.revoke_others().await.unwrap(), 1);
    assert_eq!((browser.owner().await, other.owner().await), (Some(user()), None));
}

/// The first look finds a theft, but its deletion fails. The second look finds that the user has logged in again since.
#[tokio::test(start_paused = true)]
async fn a_theft_that_a_later_look_voids_is_not_told() {
    let site = Site::new();
    let (victim, old) = stolen(&site).await;
    let first_load = site.lab.hold(Call::Load);
    first_load.open();
    site.lab.next(Call::Delete, Fault::Fails);
    let logging_in = victim.clone();
    site.lab.before_next(Call::Load, move || {
        let mut logging_in = logging_in.clone();
        async move { logging_in.visit(async |session| session.login(USER).await.unwrap()).await }
    });
    let (exchange, session) = old.start().await;
    assert_eq!(session.owner(), None);
    exchange.commit().await.unwrap();
    site.lab.assert_all_met();
    assert_eq!(site.events.thefts(), 0, "it is late, which alarms nobody");
    assert!(!sets_cookie(&exchange), "nor may the login's cookie be removed");
    assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 1, "the login stands");
}

/// A value that looks at the session when it is dropped. If that happened under the session's lock, it would wait for
/// ever.
struct Looks(Session);

impl Drop for Looks {
    fn drop(&mut self) {
        let _ = self.0.id();
        let _ = self.0.keys();
    }
}

/// A change that holds such a value.
fn change(session: &Session) {
    let looks = Looks(session.clone());
    let add = move |n: &mut i64| {
        let _ = &looks;
        *n += 1;
    };
    session.update("n", add).unwrap();
}

/// The ways in which a request drops a change.
async fn drops(what: &str, site: &Site, exchange: &Exchange, session: &Session) {
    match what {
        "insert" => session.insert("n", &1).unwrap(),
        "remove" => drop(session.remove("n")),
        "clear" => session.clear(),
        "take" => drop(session.take::<i64>("n").await.unwrap()),
        "logout" => session.logout().await.unwrap(),
        "save" => session.save().await.unwrap(),
        "commit" => drop(exchange.commit().await.unwrap()),
        "begin_login" => session.begin_login().await.unwrap(),
        "login" => session.login(USER).await.unwrap(),
        "renew" => session.renew().await.unwrap(),
        "too large" => {
            let (looks, large) = (Looks(session.clone()), "x".repeat(2 << 20));
            let grow = move |value: &mut String| {
                let _ = &looks;
                value.clone_from(&large);
            };
            assert!(matches!(session.update("large", grow), Err(Error::TooLarge { .. })));
        }
        "conflict" => {
            site.lab.next(Call::Replace, Fault::LosesReply);
            let _ = session.save().await;
            change(session);
            site.lab.next(Call::Replace, Fault::Fails);
            let _ = exchange.commit().await;
        }
        what => panic!("{what}"),
    }
}

#[test]
fn no_closure_is_dropped_under_the_lock() {
    let all = [
        "insert",
        "remove",
        "clear",
        "take",
        "logout",
        "save",
        "commit",
        "begin_login",
        "login",
        "renew",
        "too large",
        "conflict",
    ];
    for (what, is_stored) in all.into_iter().flat_map(|what| [(what, false), (what, true)]) {
        let (done, finished) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let site = Site::new();
                let browser = if is_stored { site.visitor().await } else { site.browser() };
                let (exchange, session) = browser.start().await;
                change(&session);
                drops(what, &site, &exchange, &session).await;
            });
            done.send(()).unwrap();
        });
        assert!(finished.recv_timeout(20 * SECOND).is_ok(), "{what} with a stored session: {is_stored}");
    }
}

#[tokio::test]
async fn a_login_that_waits_for_the_commit_is_told_that_the_response_was_sent() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    let gate = site.lab.hold(Call::Replace);
    let committing = tokio::spawn(async move { exchange.commit().await });
    gate.reached().await;
    let login = tokio::spawn(async move { session.login(42).await });
    tokio::task::yield_now().await;
    gate.open();
    assert_eq!(committing.await.unwrap().unwrap(), Outcome::Saved);
    assert!(matches!(login.await.unwrap(), Err(Error::ResponseSent)));
}
