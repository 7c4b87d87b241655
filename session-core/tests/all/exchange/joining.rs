//! One exchange under two managers of the same cookie, for a part of a site with a policy of its own.

use session_core::{
    CookieConfig, CookieConfigBuilder, Error, JoinError, Key, Keyring, Outcome, Policy, SameSite, SessionManager,
    TokenHeader, TrustedProxies,
};

use crate::support::*;

/// A part of the site whose sessions are short.
fn short(site: &Site) -> SessionManager {
    let minutes = lifetime(MINUTE, 5 * MINUTE);
    let policy = Policy::builder().before_login(minutes).logged_in(minutes).size_limit(1024).build().unwrap();
    site.manager.clone().with_policy(policy)
}

fn with_cookie(
    manager: &SessionManager,
    change: impl Fn(CookieConfigBuilder) -> CookieConfigBuilder,
) -> SessionManager {
    manager.clone().with_cookie(change(CookieConfig::builder("__Secure-session")).build().unwrap())
}

#[tokio::test]
async fn an_exchange_that_is_joined_goes_on_under_the_policy_of_the_manager_that_joins() {
    let site = Site::new();
    let mut browser = site.browser();
    let (exchange, session) = browser.start().await;
    exchange.join(&short(&site)).unwrap();
    session.login(USER).await.unwrap();
    assert!(session.ends_in().unwrap() <= 5 * MINUTE && session.idle_timeout() == Some(MINUTE));
    assert!(matches!(session.insert("n", &"x".repeat(2000)), Err(Error::TooLarge { .. })));
    exchange.commit().await.unwrap();
    browser.receive(&exchange.headers());
    let (_, session) = browser.start().await;
    assert_eq!(session.owner(), Some(user()));
    session.login(USER).await.unwrap();
    assert_eq!(session.idle_timeout(), Some(HOUR), "where it is not joined, the site's own policy holds");
}

#[tokio::test]
async fn what_is_changed_before_and_after_an_exchange_is_joined_is_saved_together() {
    let site = Site::new();
    let mut browser = site.browser();
    let (exchange, session) = browser.start().await;
    session.insert("before", &1).unwrap();
    exchange.join(&short(&site)).unwrap();
    session.insert("after", &2).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    assert_eq!(site.lab.calls(), [Call::Create]);
    browser.receive(&exchange.headers());
    let (_, session) = browser.start().await;
    assert_eq!((session.get("before").unwrap(), session.get("after").unwrap()), (Some(1), Some(2)));
    assert!(session.ends_in().unwrap() <= 5 * MINUTE, "an anonymous session, too, is as the policy inside wants it");
}

#[tokio::test]
async fn the_last_of_several_managers_holds_and_it_tells_its_own_observers() {
    let site = Site::new();
    let (browser, events) = (site.browser(), Events::default());
    let (exchange, session) = browser.start().await;
    let inner = short(&site);
    exchange.join(&inner).unwrap();
    exchange.join(&site.manager.clone().with_observer(events.clone())).unwrap();
    session.login(USER).await.unwrap();
    assert_eq!(session.idle_timeout(), Some(HOUR));
    assert_eq!((events.all().len(), site.events.all().len()), (1, 1));
    exchange.join(&inner).unwrap();
    exchange.join(&inner).unwrap();
    session.login(USER).await.unwrap();
    assert_eq!(session.idle_timeout(), Some(MINUTE));
    assert_eq!((events.all().len(), site.events.all().len()), (1, 2));
    assert!(exchange.is_of(&site.manager) && !exchange.is_of(&inner), "it was opened by the first");
}

#[tokio::test]
async fn only_the_same_name_scope_store_and_keys_are_the_same_session() {
    let site = Site::new();
    let manager = with_cookie(&site.manager, |cookie| cookie.domain("shop.example"));
    let same = |cookie: CookieConfigBuilder| cookie.domain("SHOP.example");
    let exchange = manager.open(&http::Request::new(()));
    for joins in [
        with_cookie(&site.manager, same),
        with_cookie(&site.manager, |cookie| same(cookie).same_site(SameSite::Strict)),
        manager.clone().with_trusted_proxies(TrustedProxies::at(["10.0.0.1"]).unwrap()),
    ] {
        assert_eq!(exchange.join(&joins), Ok(()));
    }
    let named = CookieConfig::builder("__Secure-other").domain("shop.example").build().unwrap();
    let small = Policy::builder().size_limit(1024).build().unwrap();
    let key = |byte| Key::from_bytes(&[byte; 32]).unwrap();
    let built = |keys| with_cookie(&SessionManager::new(site.lab.clone(), keys), same).with_policy(small.clone());
    for (manager, why) in [
        (manager.clone().with_cookie(named), JoinError::Name),
        (with_cookie(&site.manager, |cookie| cookie), JoinError::Scope),
        (with_cookie(&site.manager, |cookie| cookie.domain("example")), JoinError::Scope),
        (with_cookie(&site.manager, |cookie| same(cookie).path("/shop")), JoinError::Scope),
        (with_cookie(&site.manager, |cookie| same(cookie).partitioned(true)), JoinError::Scope),
        (manager.clone().with_token_header(TokenHeader::default()), JoinError::TokenHeader),
        (manager.clone().with_label("shop"), JoinError::Label),
        (built(Keyring::new(key(8))), JoinError::Keys),
        (built(Keyring::new(key(8)).and_accept(key(7))), JoinError::Keys),
        (built(Keyring::new(key(7)).and_accept(key(8))), JoinError::Keys),
        (built(Keyring::new(key(7))), JoinError::Store),
    ] {
        assert_eq!(exchange.join(&manager), Err(why), "{manager:?}");
        exchange.session().await.unwrap().insert("n", &"x".repeat(2000)).unwrap();
    }
}
