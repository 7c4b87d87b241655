//! Several cookies of one name in one request: browsers keep one for each scope, and send them in any order.

use session_core::{Error, EventKind, Exchange, Incoming, Outcome, Owner, Session, StoreError, WithheldReason};

use crate::support::*;

/// Two loaded requests with the cookies of both browsers, one in each order.
async fn in_both_orders(site: &Site, one: &Browser, two: &Browser, check: impl AsyncFn(&Exchange, &Session)) {
    for browsers in [[one, two], [two, one]] {
        let exchange = together(site, &browsers);
        let session = exchange.session().await.unwrap();
        check(&exchange, &session).await;
    }
}

fn duplicates(site: &Site) -> usize {
    site.events.count(|kind| matches!(kind, EventKind::DuplicateSessions { .. }))
}

// Which one is taken.

#[tokio::test]
async fn a_dead_cookie_of_another_scope_hides_no_live_login() {
    for expires in [false, true] {
        let site = Site::new();
        let dead = site.visitor().await;
        match expires {
            true => site.lab.advance(2 * HOUR),
            false => dead.clone().visit(async |session| session.logout().await.unwrap()).await,
        }
        let live = site.logged_in(USER).await;
        in_both_orders(&site, &dead, &live, async |exchange, session| {
            assert_eq!(session.owner(), Some(user()));
            assert_eq!(site.lab.calls(), [Call::Load, Call::Load]);
            assert_eq!(exchange.presented_id(), session.id(), "for logs it is the one that was taken");
            add_one(session);
            assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
            site.lab.calls();
        })
        .await;
        assert_eq!(duplicates(&site), 0, "only one is live");
    }
}

#[tokio::test]
async fn each_cookie_of_the_name_within_16_kib_is_verified() {
    let site = Site::new();
    let good = site.visitor().await.cookie.unwrap();
    let junk = format!("__Host-session={}", "x".repeat(114));
    for junk_cookies in [4, 100] {
        let header = format!("{}; __Host-session={good}", vec![&*junk; junk_cookies].join("; "));
        assert!(site.manager.open(Incoming::new([header.as_bytes()])).presented_id().is_some(), "{junk_cookies}");
    }
}

#[tokio::test]
async fn cookies_of_other_names_hide_none_of_ours() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let header = format!("theme={}; __Host-session={}", "x".repeat(20_000), browser.cookie.unwrap());
    let exchange = site.manager.open(Incoming::new([header.as_bytes()]));
    assert_eq!(exchange.session().await.unwrap().owner(), Some(user()));
}

#[tokio::test]
async fn more_than_16_kib_of_cookies_of_the_name_are_too_many() {
    for logs_out in [false, true] {
        let site = Site::new();
        let browser = site.logged_in(USER).await;
        let junk = format!("__Host-session={}", "x".repeat(114));
        let own = format!("__Host-session={}", browser.cookie.clone().unwrap());
        let junk = vec![&*junk; 200].join("; ");
        let header = if logs_out { format!("{own}; {junk}") } else { format!("{junk}; {own}") };
        let exchange = site.manager.open(Incoming::new([header.as_bytes()]));
        let session = exchange.session().await.unwrap();
        if logs_out {
            session.logout().await.unwrap();
            assert!(!is_stored(&site, &browser).await, "what was looked at ends");
        } else {
            session.insert("n", &1).unwrap();
        }
        exchange.commit().await.unwrap();
        assert_eq!(sets_cookie(&exchange), logs_out, "an anonymous cookie would replace the login's");
        assert_eq!(site.events.count(|kind| matches!(kind, EventKind::TooManyCookies { .. })), 1);
    }
}

#[tokio::test]
async fn two_cookies_of_one_session_cost_one_load() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let exchange = together(&site, &[&browser, &browser]);
    assert_eq!(exchange.session().await.unwrap().owner(), Some(user()));
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn a_login_is_taken_before_a_younger_anonymous_session() {
    let site = Site::new();
    let login = site.logged_in(USER).await;
    site.lab.advance(MINUTE);
    let visitor = site.visitor().await;
    in_both_orders(&site, &login, &visitor, async |_, session| assert_eq!(session.owner(), Some(user()))).await;
    assert_eq!(duplicates(&site), 2);
}

#[tokio::test]
async fn of_two_logins_of_one_user_and_of_two_anonymous_sessions_the_younger_is_taken() {
    for owned in [false, true] {
        let site = Site::new();
        let open = async || if owned { site.logged_in(USER).await } else { site.visitor().await };
        let older = open().await;
        site.lab.advance(MINUTE);
        let younger = open().await;
        let id = younger.open().presented_id();
        in_both_orders(&site, &older, &younger, async |_, session| assert_eq!(session.id(), id)).await;
        assert_eq!(duplicates(&site), 2);
        let event = site.events.all().pop().unwrap();
        assert_eq!((event.id, event.owner.is_some()), (id, owned), "{event:?}");
        assert!(matches!(event.kind, EventKind::DuplicateSessions { count: 2 }), "{event:?}");
    }
}

#[tokio::test]
async fn beside_another_anonymous_session_nothing_is_held_back() {
    let site = Site::new();
    let (older, younger) = (site.visitor().await, site.visitor().await);
    let exchange = together(&site, &[&older, &younger]);
    exchange.session().await.unwrap().renew().await.unwrap();
    exchange.commit().await.unwrap();
    assert!(sets_cookie(&exchange), "no login can be hidden here");
}

// Tokens of one session belong to one client.

#[tokio::test]
async fn a_login_that_rotates_in_a_new_scope_beside_its_old_token_never_looks_like_theft() {
    let site = Site::new();
    let old_scope = site.logged_in(USER).await;
    let mut browser = old_scope.clone();
    for round in 0..20 {
        site.lab.advance(10 * MINUTE);
        let exchange = match round {
            0 => browser.open(),
            _ => together(&site, &[&old_scope, &browser]),
        };
        let session = exchange.session().await.unwrap();
        assert_eq!(session.owner(), Some(user()), "round {round}");
        exchange.commit().await.unwrap();
        browser.receive(&exchange.headers());
    }
    assert_ne!(browser.cookie, old_scope.cookie, "it rotated");
    assert_eq!(site.events.thefts(), 0);
    assert!(site.events.count(|kind| matches!(kind, EventKind::Rotated)) > 5);
    old_scope.open().session().await.unwrap();
    assert_eq!(site.events.thefts(), 1, "alone it is theft all the same");
}

#[tokio::test]
async fn the_best_of_a_session_s_tokens_counts() {
    let site = Site::new();
    let (mut browser, stolen) = stolen(&site).await;
    let current = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    // `browser` has a pending successor, `current` the present token, `stolen` one that would be theft.
    in_both_orders(&site, &stolen, &current, async |_, session| assert_eq!(session.owner(), Some(user()))).await;
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Rotated)), 1);
    in_both_orders(&site, &current, &browser, async |_, session| assert_eq!(session.owner(), Some(user()))).await;
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Rotated)), 2, "the successor is proven once");
    assert_eq!(site.events.thefts(), 0);
}

#[tokio::test]
async fn a_late_token_of_a_session_is_nothing_beside_its_present_one() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let late = browser.clone();
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    in_both_orders(&site, &late, &browser, async |exchange, session| {
        assert_eq!(session.owner(), Some(user()));
        add_one(session);
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    })
    .await;
    let exchange = together(&site, &[&late, &browser]);
    exchange.session().await.unwrap().renew().await.unwrap();
    exchange.commit().await.unwrap();
    assert!(sets_cookie(&exchange), "it is this client's only session");
}

// One of several tokens is late or stolen.

#[tokio::test]
async fn beside_a_late_token_no_successor_and_no_removal_leaves() {
    let site = Site::new();
    let login = site.logged_in(USER).await;
    site.due().await;
    let late = late(&site).await;
    in_both_orders(&site, &late, &login, async |exchange, session| {
        assert_eq!(session.owner(), Some(user()));
        add_one(session);
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved, "the session is there to be changed");
        assert!(!sets_cookie(exchange), "it would overwrite the login's");
    })
    .await;
    let exchange = together(&site, &[&late, &login]);
    let session = exchange.session().await.unwrap();
    assert!(matches!(session.renew().await, Err(Error::Superseded)), "its token could not leave");
    session.logout().await.unwrap();
    session.insert("flash", "goodbye").unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded, "nothing is created");
    assert!(!sets_cookie(&exchange), "a removal would remove the login's");
    assert!(!is_stored(&site, &login).await);
}

#[tokio::test]
async fn beside_a_late_token_no_removal_leaves_however_often_the_request_starts_over() {
    let site = Site::new();
    let (late, login) = (late(&site).await, site.logged_in(USER).await);
    let exchange = together(&site, &[&late, &login]);
    let session = exchange.session().await.unwrap();
    session.logout().await.unwrap();
    session.login(7).await.unwrap();
    session.logout().await.unwrap();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange), "it would remove the cookie of the login that has overtaken the late token");
}

#[tokio::test]
async fn beside_a_stolen_token_the_live_session_goes_on_and_its_cookie_is_not_removed() {
    let site = Site::new();
    let (_, planted) = stolen(&site).await;
    let mut victim = site.logged_in(7).await;
    let exchange = together(&site, &[&planted, &victim]);
    let session = exchange.session().await.unwrap();
    assert_eq!(session.owner(), Some(Owner::from(7)));
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange));
    assert_eq!(site.events.thefts(), 1);
    assert!(!is_stored(&site, &planted).await, "the stolen session has ended");
    victim.visit(async |session| assert_eq!(session.owner(), Some(Owner::from(7)))).await;
}

#[tokio::test]
async fn several_cookies_without_a_live_one_are_silent_if_one_is_late_or_stolen() {
    for is_stolen in [false, true] {
        let site = Site::new();
        let dead = site.visitor().await;
        dead.clone().visit(async |session| session.logout().await.unwrap()).await;
        let other = if is_stolen { stolen(&site).await.1 } else { late(&site).await };
        let exchange = together(&site, &[&dead, &other]);
        let session = exchange.session().await.unwrap();
        session.insert("n", &1).unwrap();
        let outcome = exchange.commit().await.unwrap();
        assert_eq!(outcome, if is_stolen { Outcome::Gone } else { Outcome::Superseded });
        assert!(!sets_cookie(&exchange));
        let exchange = together(&site, &[&dead, &other]);
        exchange.session().await.unwrap().login(9).await.unwrap();
        exchange.commit().await.unwrap();
        assert!(sets_cookie(&exchange), "a login is a new session");
    }
}

// Logins of two users in one request.

fn conflicts(site: &Site) -> usize {
    site.events.count(|kind| matches!(kind, EventKind::ConflictingLogins { .. }))
}

#[tokio::test]
async fn two_logins_of_different_users_are_nobody() {
    let site = Site::new();
    let (one, two) = (site.logged_in(USER).await, site.logged_in(7).await);
    in_both_orders(&site, &one, &two, async |exchange, session| {
        assert_eq!((session.owner(), session.id(), session.get::<i64>("n").unwrap()), (None, None, None));
        session.insert("n", &1).unwrap();
        let reason = WithheldReason::SeveralUsers;
        assert!(matches!(session.save().await, Err(Error::Withheld(told)) if told == reason));
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Withheld(reason));
        assert!(!sets_cookie(exchange));
    })
    .await;
    assert_eq!(conflicts(&site), 2);
    assert!(is_stored(&site, &one).await && is_stored(&site, &two).await);
}

#[tokio::test]
async fn a_login_resolves_a_conflict_of_users_and_a_logout_ends_both() {
    for logs_in in [false, true] {
        let site = Site::new();
        let (one, two) = (site.logged_in(USER).await, site.logged_in(7).await);
        let exchange = together(&site, &[&one, &two]);
        let session = exchange.session().await.unwrap();
        match logs_in {
            true => session.login(USER).await.unwrap(),
            false => session.logout().await.unwrap(),
        }
        exchange.commit().await.unwrap();
        assert!(sets_cookie(&exchange));
        assert!(!is_stored(&site, &one).await && !is_stored(&site, &two).await);
        let mut browser = site.browser();
        browser.receive(&exchange.headers());
        assert_eq!(browser.owner().await.is_some(), logs_in);
    }
}

#[tokio::test]
async fn a_login_over_several_requests_gets_out_of_a_conflict_of_users() {
    let site = Site::new();
    let (one, two) = (site.logged_in(USER).await, site.logged_in(7).await);
    let exchange = together(&site, &[&one, &two]);
    let session = exchange.session().await.unwrap();
    session.insert("return_to", "/cart").unwrap();
    session.begin_login().await.unwrap();
    exchange.commit().await.unwrap();
    assert!(!is_stored(&site, &one).await && !is_stored(&site, &two).await);
    let mut browser = site.browser();
    browser.receive(&exchange.headers());
    browser
        .visit(async |session| {
            assert_eq!(session.get::<String>("return_to").unwrap().as_deref(), Some("/cart"));
            session.login(USER).await.unwrap();
        })
        .await;
    assert_eq!(browser.owner().await, Some(user()));
}

// Too many cookies.

#[tokio::test]
async fn more_than_four_ids_are_not_loaded_and_make_no_session() {
    let site = Site::new();
    let mut browsers = Vec::new();
    for _ in 0..5 {
        browsers.push(site.visitor().await);
    }
    let four = together(&site, &browsers.iter().take(4).collect::<Vec<_>>());
    assert!(four.session().await.unwrap().id().is_some());
    assert_eq!(site.lab.calls(), [Call::Load; 4]);
    let five = together(&site, &browsers.iter().collect::<Vec<_>>());
    let session = five.session().await.unwrap();
    session.insert("n", &1).unwrap();
    assert!(matches!(session.save().await, Err(Error::Withheld(WithheldReason::TooManyCookies))));
    five.commit().await.unwrap();
    assert!(!sets_cookie(&five));
    assert_eq!(site.lab.calls(), []);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::TooManyCookies { ids: 5 })), 1);
}

#[tokio::test]
async fn an_unreadable_session_hides_no_live_one_and_no_anonymous_one_takes_its_place() {
    let site = Site::new();
    let unreadable = site.visitor().await;
    make_unreadable(&site, &unreadable.open().presented_id().unwrap()).await;
    let alone = together(&site, &[&unreadable]);
    let session = alone.session().await.unwrap();
    assert!(matches!(session.get::<i64>("n"), Err(Error::Store(StoreError::Corrupt { .. }))));
    let login = site.logged_in(USER).await;
    site.due().await;
    let exchange = together(&site, &[&unreadable, &login]);
    assert_eq!(exchange.session().await.unwrap().owner(), Some(user()));
    exchange.commit().await.unwrap();
    assert!(sets_cookie(&exchange), "a login goes on rotating beside it");
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Unreadable(_))), 2);
    let visitor = site.visitor().await;
    let exchange = together(&site, &[&unreadable, &visitor]);
    assert!(matches!(exchange.session().await.unwrap().renew().await, Err(Error::Superseded)));
    assert!(!sets_cookie(&exchange), "it may be a login that a later version has written");
}
