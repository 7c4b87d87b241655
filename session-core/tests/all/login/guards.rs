//! Who may go on to a handler.

use http::Response;
use session_core::{
    Exchange, Incoming, LoginPage, Owner, SessionManager, TokenHeader,
    adapter::{Guard, Navigation, Users},
};

use crate::support::*;

/// The answer of the guard in this exchange; `None`: the request passes.
async fn refused(guard: &Guard, exchange: &Exchange, navigation: &Navigation) -> Option<Response<()>> {
    guard.judge(exchange, || navigation.clone()).await.err().map(|failure| failure.answer([]))
}

fn page() -> Navigation {
    Navigation::of("GET", "/account?page=2", [("sec-fetch-mode", &b"navigate"[..])])
}

fn script() -> Navigation {
    Navigation::of("GET", "/account?page=2", [("sec-fetch-mode", &b"cors"[..])])
}

fn to_login(guard: Guard) -> Guard {
    guard.or_redirect_to(LoginPage::new("/login").unwrap())
}

/// User 42 is an admin, user 7 is gone.
fn users() -> Users {
    Users::new(async |owner: Owner| {
        Ok::<_, String>(owner.as_str().filter(|name| *name != "7").map(|name| name == "42"))
    })
}

#[tokio::test]
async fn a_browser_that_opens_a_page_is_sent_to_the_login_and_others_get_the_401() {
    let site = Site::new();
    let guard = to_login(Guard::login());
    for browser in [site.browser(), site.visitor().await] {
        let answer = refused(&guard, &browser.open(), &page()).await.unwrap();
        assert_eq!(answer.status(), 303);
        assert_eq!(answer.headers()["location"], "/login?next=/account%3Fpage%3D2");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let answer = refused(&guard, &browser.open(), &script()).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("location")), (401, None));
        let answer = refused(&Guard::login(), &browser.open(), &page()).await.unwrap();
        assert_eq!(answer.status(), 401, "without a page");
    }
    let browser = site.logged_in(USER).await;
    assert!(refused(&guard, &browser.open(), &page()).await.is_none());
}

#[tokio::test]
async fn the_login_page_under_its_own_guard_is_a_401_and_no_loop() {
    let site = Site::new();
    let login = Navigation::of("GET", "/login?next=/account", [("sec-fetch-mode", &b"navigate"[..])]);
    let answer = refused(&to_login(Guard::login()), &site.browser().open(), &login).await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn a_client_without_cookies_is_never_sent_elsewhere() {
    let header = TokenHeader::default();
    let manager = SessionManager::new(Lab::new(), keys()).with_token_header(header.clone());
    let exchange = manager.open(Incoming::default().with_token_header(&header, [&b""[..]]));
    assert!(exchange.is_header_client());
    let answer = refused(&to_login(Guard::login()), &exchange, &page()).await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn a_user_who_is_gone_is_sent_to_the_login_too() {
    let site = Site::new();
    let (admin, gone) = (site.logged_in(USER).await, site.logged_in(7).await);
    for (browser, passes) in [(admin, true), (gone, false)] {
        let exchange = browser.open();
        users().attach(&exchange);
        // Both have proven who they are just now, by logging in.
        for guard in [Guard::login(), Guard::fresh_proof(HOUR)] {
            let answer = refused(&to_login(guard), &exchange, &page()).await;
            assert_eq!(answer.is_none(), passes);
            assert!(answer.is_none_or(|answer| answer.status() == 303));
        }
    }
}

#[tokio::test]
async fn a_proof_that_is_too_old_is_asked_for_on_a_page_of_its_own() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let guard = Guard::fresh_proof(5 * MINUTE).or_redirect_to(LoginPage::new("/prove").unwrap());
    assert!(refused(&guard, &browser.open(), &page()).await.is_none());
    site.lab.advance(6 * MINUTE);
    let answer = refused(&guard, &browser.open(), &page()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (303, &"/prove?next=/account%3Fpage%3D2".parse().unwrap())
    );
    assert!(!answer.headers().contains_key("www-authenticate"));
    let answer = refused(&guard, &browser.open(), &script()).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().contains_key("www-authenticate"));
    browser.visit(async |session| session.proved().await.unwrap()).await;
    assert!(refused(&guard, &browser.open(), &page()).await.is_none());
}

#[tokio::test]
async fn a_user_whom_the_function_does_not_admit_is_refused_and_sent_nowhere() {
    let site = Site::new();
    let guard = to_login(Guard::user(|is_admin: &bool| *is_admin));
    for (user, status) in [(USER, None), (43, Some(403)), (7, Some(303))] {
        let exchange = site.logged_in(user).await.open();
        users().attach(&exchange);
        let answer = refused(&guard, &exchange, &page()).await;
        assert_eq!(answer.map(|answer| answer.status().as_u16()), status, "user {user}");
    }
    let exchange = site.browser().open();
    users().attach(&exchange);
    assert_eq!(refused(&guard, &exchange, &script()).await.unwrap().status(), 401);
}

#[tokio::test]
async fn an_outage_is_no_reason_to_log_in() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    site.lab.set_down(true);
    for guard in [Guard::login(), Guard::fresh_proof(HOUR), Guard::user(|is_admin: &bool| *is_admin)] {
        let exchange = browser.open();
        users().attach(&exchange);
        assert_eq!(refused(&to_login(guard), &exchange, &page()).await.unwrap().status(), 503);
    }
}
