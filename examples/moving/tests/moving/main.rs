//! The old sites are real: their libraries have made the cookies and the sessions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod after;
mod before;
mod old_site;
mod once;
mod what_is_kept;

use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use futures_util::future::join_all;
use moving::{in_a_month, site};
use redis::AsyncCommands;
use session_conformance::servers;
use session_redis::RedisStore;

use old_site::{OldSite, ask};

#[tokio::test]
async fn a_user_with_an_old_cookie_stays_logged_in_and_the_old_cookie_is_used_up() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        let first = ask(&site, "GET", "/account", &cookie).await;
        assert_eq!((first.status, &*first.body), (StatusCode::OK, "the account of 42, 3 unread"));
        assert_eq!(ask(&site, "GET", "/account", first.session().unwrap()).await.status, StatusCode::OK);
        assert!(first.forgets(&old.old), "{:?}", first.cookies);

        // The thief's copy, or a browser that has not stored the answer.
        let again = ask(&site, "GET", "/account", &cookie).await;
        assert_eq!((again.status, again.session()), (StatusCode::SEE_OTHER, None));
        assert_eq!(old.ask("GET", "/account", &cookie).await.body, "nobody");
        assert_eq!(old.sessions_of("42", &moving).await, 1);
    }
}

#[tokio::test]
async fn of_parallel_requests_one_is_logged_in_and_the_others_make_nothing() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        let answers = join_all((0..20).map(|_| ask(&site, "GET", "/account", &cookie))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!((won.len(), lost.len()), (1, 19));
        assert!(lost.iter().all(|answer| answer.session().is_none()));
        let mut keys: Vec<String> = moving.redis.clone().keys("sessions:s:*").await.unwrap();
        keys.dedup();
        assert_eq!((keys.len(), old.sessions_of("42", &moving).await), (1, 1));
    }
}

#[tokio::test]
async fn log_out_everywhere_wins_over_old_cookies_that_are_shown_later() {
    for old in OldSite::all().await {
        let (here, elsewhere) = (old.login().await, old.login().await);
        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        let login = ask(&site, "GET", "/account", &here).await;
        let everywhere = ask(&site, "POST", "/log-out-everywhere", login.session().unwrap()).await;
        assert_eq!(everywhere.status, StatusCode::OK);
        for cookie in [elsewhere.as_str(), login.session().unwrap()] {
            let later = ask(&site, "GET", "/account", cookie).await;
            assert_eq!((later.status, later.session()), (StatusCode::UNAUTHORIZED, None), "{cookie}");
        }
        assert_eq!(old.sessions_of("42", &moving).await, 0);
    }
}

#[tokio::test]
async fn log_out_everywhere_at_the_same_moment_leaves_no_session() {
    for old in OldSite::all().await {
        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        // One user each: a login right after a revocation is refused.
        for user in (0..20).map(|number| number.to_string()) {
            let (here, elsewhere) = (old.login_of(&user).await, old.login_of(&user).await);
            let login = ask(&site, "GET", "/account", &here).await;
            let (everywhere, _) = tokio::join!(
                ask(&site, "POST", "/log-out-everywhere", login.session().unwrap()),
                ask(&site, "GET", "/account", &elsewhere)
            );
            assert_eq!(everywhere.status, StatusCode::OK);
            assert_eq!(old.sessions_of(&user, &moving).await, 0);
        }
    }
}

#[tokio::test]
async fn a_cookie_that_the_old_site_has_not_made_and_one_after_the_last_day_open_nothing() {
    for old in OldSite::all().await {
        let cookie = old.login().await;
        let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
        let late = site(old.moving(yesterday).await);
        assert_eq!(ask(&late, "GET", "/account", &cookie).await.status, StatusCode::UNAUTHORIZED);

        let moving = old.moving(in_a_month()).await;
        let site = site(moving.clone());
        let name = old.old.cookie();
        let (_, value) = cookie.split_once('=').unwrap();
        // With another signature, or a changed id, and texts that are none.
        let forged = [format!("{value}x"), value.replacen("s%3A", "s%3Ax", 1), "s%3A".to_owned(), "%FF".to_owned()];
        for forged in forged.iter().filter(|forged| *forged != value) {
            let answer = ask(&site, "GET", "/account", &format!("{name}={forged}")).await;
            assert_eq!((answer.status, answer.session()), (StatusCode::UNAUTHORIZED, None), "{forged}");
        }
        assert_eq!(ask(&site, "GET", "/account", &cookie).await.status, StatusCode::OK, "it is still there");
    }
}

#[tokio::test]
async fn the_site_before_and_the_site_after_answer_alike() {
    let redis = servers::own_redis(&[]);
    let store = RedisStore::connect(redis.url()).await.unwrap();
    for site in [before::site(), after::site(store)] {
        assert_eq!(ask(&site, "GET", "/account", "").await.status, StatusCode::UNAUTHORIZED);
        let login = ask(&site, "POST", "/login/42", "").await;
        let cookie = &login.cookies[0];
        assert_eq!(ask(&site, "GET", "/account", cookie).await.body, "the account of 42");
        assert_eq!(ask(&site, "POST", "/logout", cookie).await.status, StatusCode::OK);
        assert_eq!(ask(&site, "GET", "/account", cookie).await.status, StatusCode::UNAUTHORIZED);
    }
}
