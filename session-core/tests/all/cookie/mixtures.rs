//! Several cookies, together with other troubles: unreadable records, late tokens, notes, failed merges.

use std::time::Duration;

use session_core::{CookieConfig, CookieScope, Error, EventKind, Incoming, Login, Policy};

use crate::support::{unreadable::*, *};

/// Browsers with anonymous sessions.
async fn visitors(site: &Site, count: usize) -> Vec<Browser> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(site.visitor().await);
    }
    all
}

fn is_removed_at(headers: &http::HeaderMap, path: &str) -> bool {
    set_cookies(headers).iter().any(|cookie| cookie.value.is_none() && cookie.scope == format!("Path={path}"))
}

#[tokio::test]
async fn begin_login_beside_a_late_or_stolen_token_creates_nothing_though_another_is_unreadable() {
    for (is_late, is_garbage) in [(true, true), (true, false), (false, true), (false, false)] {
        let site = Site::new();
        let bad = if is_late { late(&site).await } else { stolen(&site).await.1 };
        let torn = site.visitor().await;
        if is_garbage {
            in_garbage(&site, &id_of(&torn).await).await;
        } else {
            in_later_data(&site, &id_of(&torn).await).await;
        }
        let exchange = together(&site, &[&bad, &torn]);
        let session = exchange.session().await.unwrap();
        let answer = session.begin_login().await;
        let _ = exchange.commit().await;
        let what = format!("late: {is_late}, garbage: {is_garbage}, {answer:?}");
        assert!(!sets_cookie(&exchange), "{what}: an anonymous cookie overwrites the login that has overtaken it");
    }
}

#[tokio::test]
async fn a_login_of_too_many_ends_the_others_though_one_is_unreadable() {
    let site = Site::new();
    let all = visitors(&site, 5).await;
    in_garbage(&site, &all[0].open().presented_id().unwrap()).await;
    let exchange = together(&site, &all.iter().collect::<Vec<_>>());
    exchange.session().await.unwrap().login(USER).await.unwrap();
    let mut left = 0;
    for other in &all[1..] {
        left += usize::from(is_stored(&site, other).await);
    }
    assert_eq!(left, 0, "a login ends every other session that its request opens");
}

#[tokio::test]
async fn a_logout_of_too_many_works_though_one_is_unreadable() {
    let site = Site::new();
    let mut all = visitors(&site, 4).await;
    all.push(site.logged_in(USER).await);
    in_garbage(&site, &all[0].open().presented_id().unwrap()).await;
    let exchange = together(&site, &all.iter().collect::<Vec<_>>());
    let answer = exchange.session().await.unwrap().logout().await;
    assert!(!is_stored(&site, &all[4]).await, "{answer:?}");
}

#[tokio::test]
async fn renew_beside_an_unreadable_row_works() {
    let site = Site::new();
    let torn = site.visitor().await;
    in_garbage(&site, &torn.open().presented_id().unwrap()).await;
    let browser = site.logged_in(USER).await;
    let exchange = together(&site, &[&torn, &browser]);
    let answer = exchange.session().await.unwrap().renew().await;
    assert!(answer.is_ok(), "{answer:?}: no step-up for as long as the row lies there");
}

#[tokio::test]
async fn a_login_beside_an_unreadable_row_goes_on_rotating() {
    let site = Site::new();
    let torn = site.visitor().await;
    let browser = site.logged_in(USER).await;
    let id = torn.open().presented_id().unwrap();
    in_garbage(&site, &id).await;
    site.due().await;
    let exchange = together(&site, &[&torn, &browser]);
    exchange.session().await.unwrap();
    exchange.commit().await.unwrap();
    assert!(sets_cookie(&exchange), "it never rotates, and a thief is never seen");
}

#[tokio::test]
async fn each_of_two_unreadable_sessions_is_told() {
    let site = Site::new();
    let (one, two) = (site.visitor().await, site.visitor().await);
    for b in [&one, &two] {
        in_garbage(&site, &b.open().presented_id().unwrap()).await;
    }
    together(&site, &[&one, &two]).session().await.unwrap();
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Unreadable(_))), 2);
}

#[tokio::test]
async fn a_logout_after_a_save_that_found_the_session_gone_ends_the_others() {
    let site = Site::new();
    let (older, younger) = (site.logged_in(USER).await, site.logged_in(USER).await);
    let exchange = together(&site, &[&older, &younger]);
    let session = exchange.session().await.unwrap();
    let id = session.id().unwrap();
    assert!(site.manager.end(&user(), &id).await.unwrap());
    session.insert("n", &5).unwrap();
    assert!(matches!(session.save().await, Err(Error::Gone)));
    session.logout().await.unwrap();
    let left = [is_stored(&site, &older).await, is_stored(&site, &younger).await];
    assert_eq!(left, [false, false], "the next request is logged in by the other");
}

#[tokio::test]
async fn a_logout_after_a_refused_login_ends_the_others() {
    let site = Site::new();
    let other = site.logged_in(USER).await;
    let younger = site.logged_in(USER).await;
    let exchange = together(&site, &[&other, &younger]);
    let session = exchange.session().await.unwrap();
    site.lab.next(Call::Load, Fault::Fails);
    let answer = session.login(USER).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "{answer:?}");
    session.logout().await.unwrap();
    assert!(!is_stored(&site, &other).await, "the next request is logged in by the other");
}

#[tokio::test]
async fn a_logout_that_one_session_withstands_ends_the_rest() {
    let site = Site::new();
    let mut planted = site.logged_in(7).await;
    let mine = site.logged_in(USER).await;
    let exchange = together(&site, &[&planted, &mine]);
    let session = exchange.session().await.unwrap();
    // The attacker renews their own session while the victim logs out.
    planted.visit(async |session| session.renew().await.unwrap()).await;
    let answer = session.logout().await;
    assert!(!is_stored(&site, &mine).await, "{answer:?}: the victim's own session stays");
}

#[tokio::test]
async fn begin_login_over_a_session_that_became_unreadable_keeps_the_earlier_note() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(10 * MINUTE);
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.advance(10 * MINUTE);
    let id = browser.open().presented_id().unwrap();
    in_later_data(&site, &id).await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    let (_, session) = browser.start().await;
    let answer = session.login(USER).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "{answer:?}: an earlier note of the last hour stands");
}

#[tokio::test]
async fn begin_login_over_a_session_that_became_unreadable_in_its_request_keeps_the_earlier_note() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser
        .visit(async |session| {
            session.insert("proven", "password").unwrap();
            session.begin_login().await.unwrap()
        })
        .await;
    site.lab.advance(10 * MINUTE);
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.advance(10 * MINUTE);
    let (_, session) = browser.start().await;
    assert!(session.get::<String>("proven").unwrap().is_some());
    in_later_data(&site, &browser.open().presented_id().unwrap()).await;
    session.begin_login().await.unwrap();
    let answer = session.login(USER).await;
    assert!(matches!(answer, Err(Error::LoginRevoked)), "{answer:?}");
}

#[tokio::test]
async fn an_expired_login_removes_no_cookie_of_a_former_path_that_the_request_could_not_show() {
    let policy = Policy::builder().before_login(lifetime(4 * HOUR, 4 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let cookie =
        CookieConfig::builder("__Secure-session").former_scope(CookieScope::host().path("/app")).build().unwrap();
    let manager = site.manager.clone().with_cookie(cookie);
    let open = |cookie: Option<&str>| {
        let header = cookie.map(|c| format!("__Secure-session={c}"));
        manager.open(Incoming::new(header.as_deref().map(str::as_bytes)).with_resource("GET", "/"))
    };
    let exchange = open(None);
    exchange.session().await.unwrap().begin_login().await.unwrap();
    exchange.commit().await.unwrap();
    let token = set_cookies(&exchange.headers()).into_iter().find_map(|c| c.value).unwrap();
    site.lab.advance(61 * MINUTE);
    let exchange = open(Some(&token));
    assert!(matches!(exchange.session().await.unwrap().login(USER).await, Err(Error::LoginExpired)));
    let _ = exchange.commit().await;
    assert!(!is_removed_at(&exchange.headers(), "/app"), "{:?}", set_cookies(&exchange.headers()));
}

#[tokio::test]
async fn a_value_can_be_set_after_a_merge_that_failed() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    browser
        .visit(async |other| {
            other.insert("n", "a text").unwrap();
            other.insert("big", &"x".repeat(10_000)).unwrap();
        })
        .await;
    let answer = session.save().await;
    assert!(matches!(answer, Err(Error::Decode(_))), "{answer:?}");
    session.insert("big", &1).unwrap();
    let _ = exchange.commit().await;
}

#[tokio::test]
async fn a_page_that_goes_on_takes_what_it_has_put_in() {
    let site = going_on();
    let browser = site.visitor().await;
    in_later_data(&site, &browser.open().presented_id().unwrap()).await;
    let (_, session) = browser.start().await;
    session.insert("flash", "hello").unwrap();
    assert_eq!(session.get::<String>("flash").unwrap().as_deref(), Some("hello"));
    assert_eq!(session.take::<String>("flash").await.unwrap().as_deref(), Some("hello"), "as a barred one does");
}

#[tokio::test]
async fn a_page_that_goes_on_reloads_as_a_barred_one() {
    let site = going_on();
    let browser = site.visitor().await;
    in_later_data(&site, &browser.open().presented_id().unwrap()).await;
    let (_, session) = browser.start().await;
    let answer = session.reload().await;
    assert!(answer.is_ok(), "{answer:?}: reads are those of an empty session");
}

#[tokio::test]
async fn another_users_changes_are_dropped_also_where_the_session_turned_unreadable() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    session.insert("note", "of the first user").unwrap();
    in_later_data(&site, &browser.open().presented_id().unwrap()).await;
    let _ = session.reload().await;
    session.login(7).await.unwrap();
    exchange.commit().await.unwrap();
    assert_eq!(
        session.get::<String>("note").unwrap(),
        None,
        "another user's are dropped, also what this request has changed of them"
    );
}

#[tokio::test(start_paused = true)]
async fn an_operation_four_seconds_after_one_that_failed_has_its_own_three_seconds() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (_exchange, session) = browser.start().await;
    session.insert("n", &1).unwrap();
    site.lab.set_down(true);
    assert!(session.save().await.is_err());
    site.lab.set_down(false);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let answer = session.save().await;
    assert!(answer.is_ok(), "{answer:?}: the store is back, and was not asked");
}

#[tokio::test]
async fn begin_login_that_may_not_create_ends_nothing() {
    let site = Site::new();
    let (one, two) = (site.logged_in(USER).await, site.logged_in(7).await);
    let exchange = together(&site, &[&one, &two]);
    exchange.refuse_anonymous();
    let answer = exchange.session().await.unwrap().begin_login().await;
    assert!(answer.is_err());
    assert!(is_stored(&site, &one).await && is_stored(&site, &two).await, "{answer:?}");
}

#[tokio::test]
async fn begin_login_in_a_conflict_beside_a_late_token() {
    let site = Site::new();
    let (one, two) = (site.logged_in(USER).await, site.logged_in(7).await);
    let late = late(&site).await;
    let exchange = together(&site, &[&one, &two, &late]);
    let answer = exchange.session().await.unwrap().begin_login().await;
    assert!(answer.is_ok() || is_stored(&site, &one).await, "{answer:?} and yet both were ended");
}

#[tokio::test]
async fn a_planted_old_note_refuses_no_login_after_a_logout() {
    let policy = Policy::builder().before_login(lifetime(4 * HOUR, 4 * HOUR)).build().unwrap();
    let site = Site::with_policy(policy);
    let mut planted = site.visitor().await;
    planted.visit(async |s| s.begin_login().await.unwrap()).await;
    site.lab.advance(70 * MINUTE);
    let mine = site.logged_in(USER).await;
    let exchange = together(&site, &[&planted, &mine]);
    let session = exchange.session().await.unwrap();
    session.logout().await.unwrap();
    let answer = session.login(USER).await;
    assert!(answer.is_ok(), "{answer:?}: it was never begun in this user's session");
}

#[tokio::test]
async fn a_login_that_ends_others_stands_beside_one_that_it_refuses_at_the_limit_of_one() {
    let site = Site::with_policy(Policy::builder().sessions_per_owner(1).build().unwrap());
    let browser = site.visitor().await;
    let ((_first, one), (_second, two)) = (browser.start().await, browser.start().await);
    // The second login has written its session when the first one revokes. It learns of that afterwards.
    let revokes = site.lab.hold_reply(Call::Revoke);
    let first = tokio::spawn(async move { one.login(Login::new(user()).ending_others()).await });
    revokes.reached().await;
    let deletes = site.lab.hold(Call::Delete);
    let second = tokio::spawn(async move { two.login(Login::new(user()).ending_others()).await });
    deletes.reached().await;
    revokes.open();
    first.await.unwrap().unwrap();
    deletes.open();
    assert!(matches!(second.await.unwrap(), Err(Error::LoginRevoked)));
    assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 1);
}
