//! An old cookie counts once, and nobody loses by it.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use moving::{in_a_month, site};

use super::old_site::{OldSite, ask, ask_with};

const OK: StatusCode = StatusCode::OK;

#[tokio::test]
async fn a_request_that_gets_nothing_reaches_no_handler() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let site = site(old.moving(in_a_month()).await);
        assert_eq!(ask(&site, "GET", "/account", &cookie).await.status, OK);
        // The second tab. Its handler would make a visitor's session, whose cookie would replace that of the login.
        for (method, status, address) in
            [("GET", StatusCode::SEE_OTHER, Some("/visit?page=2")), ("POST", StatusCode::SERVICE_UNAVAILABLE, None)]
        {
            let answer = ask(&site, method, "/visit?page=2", &cookie).await;
            assert_eq!((answer.status, answer.location.as_deref(), answer.session()), (status, address, None));
            assert!(answer.forgets(&old.old), "{:?}", answer.set_cookies);
        }
    }
}

#[tokio::test]
async fn a_browser_that_keeps_the_old_cookie_is_told_to_ask_again_once() {
    let old = OldSite::tower().await;
    let cookie = old.login().await;
    let site = site(old.moving(in_a_month()).await);
    ask(&site, "GET", "/account", &cookie).await;
    let told = ask(&site, "GET", "/visit", &cookie).await;
    let note = told.cookies.iter().find(|cookie| cookie.starts_with("moving=")).unwrap();
    for method in ["GET", "POST"] {
        assert_eq!(ask(&site, method, "/visit", &format!("{cookie}; {note}")).await.status, OK);
    }
}

/// A browser has both after a roll-back, for example, or if the parser was mended late.
#[tokio::test]
async fn after_a_logout_an_old_cookie_beside_the_login_logs_nobody_in() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let moving = old.moving(in_a_month()).await;
        let login = moving.manager.login_for_tests("7").await.unwrap();
        let site = site(moving);
        let both = format!("{cookie}; {login}");
        let page = ask(&site, "GET", "/account", &both).await;
        assert_eq!((page.status, &*page.body), (StatusCode::OK, "the account of 7, 0 unread"));
        assert!(page.forgets(&old.old), "{:?}", page.cookies);
        // The browser may not have stored that answer.
        assert_eq!(ask(&site, "POST", "/log-out", &both).await.status, StatusCode::OK);
        let later = ask(&site, "GET", "/account", &cookie).await;
        assert_eq!((later.status, later.session()), (StatusCode::SEE_OTHER, None));
        assert_eq!(old.ask("GET", "/account", &cookie).await.body, "nobody");
    }
}

#[tokio::test]
async fn a_browser_is_never_sent_to_another_host() {
    let old = OldSite::tower().await;
    let cookie = old.login().await;
    let site = site(old.moving(in_a_month()).await);
    ask(&site, "GET", "/account", &cookie).await;
    for (path, address) in [
        ("//evil.example/?a=b", "/.//evil.example/?a=b"),
        ("/\\evil.example", "/./\\evil.example"),
        ("https://evil.example//evil.example", "/.//evil.example"),
    ] {
        assert_eq!(ask(&site, "GET", path, &cookie).await.location.as_deref(), Some(address));
    }
}

#[tokio::test]
async fn without_the_claim_one_of_parallel_requests_still_wins() {
    for old in OldSite::all().await {
        let mut moving = old.moving(in_a_month()).await;
        moving.claim = Duration::ZERO;
        let site = site(moving.clone());
        let visit = ask(&site, "GET", "/visit", "").await;
        // A browser that has no cookie of ours yet, and one that has a visitor's.
        for (user, visitor) in [("42", ""), ("43", visit.session().unwrap())] {
            let cookies = format!("{}; {visitor}", old.login_of(user).await);
            let answers = join_all((0..20).map(|_| ask(&site, "GET", "/account", &cookies))).await;
            let won: Vec<_> = answers.iter().filter(|answer| answer.status == OK).collect();
            assert_eq!((won.len(), old.sessions_of(user, &moving).await), (1, 1), "{user}");
            assert_eq!(ask(&site, "GET", "/account", won[0].session().unwrap()).await.status, OK);
            if visitor.is_empty() {
                // Not even an end of the login's cookie.
                assert_eq!(answers.iter().filter(|answer| answer.session().is_some()).count(), 1, "{user}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_whose_answer_sets_no_cookie_uses_up_none() {
    let image = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let frame = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let own = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
    for old in OldSite::all().await {
        let site = site(old.moving(in_a_month()).await);
        for taken in [link, own] {
            let cookie = old.login().await;
            for refused in [image, frame] {
                let answer = ask_with(&site, "GET", "/account", &cookie, &refused).await;
                assert_eq!((answer.status, answer.set_cookies), (StatusCode::UNAUTHORIZED, vec![]));
            }
            let forged = ask_with(&site, "POST", "/visit", &cookie, &link).await;
            assert_eq!((forged.status, forged.set_cookies), (StatusCode::FORBIDDEN, vec![]));
            assert_eq!(ask_with(&site, "GET", "/account", &cookie, &taken).await.status, OK);
        }
    }
}
