//! When a session mints a token, and how long it lasts.

use std::{collections::BTreeMap, time::SystemTime};

use http::StatusCode;
use session_access_token::{AccessTokenExt, ConfigError, IssueError, MAX_LENGTH};
use session_core::{Error, Incoming, Lifetime, Login, Owner};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_token_says_whose_it_is_and_which_session_has_minted_it() {
    let (site, tokens) = (Site::new(), tokens());
    let (_, _, session) = site.logged_in(USER).await;
    let before = SystemTime::now() - SECOND;
    let token = session.access_token(&tokens).await.unwrap();
    let claims = verifier(&tokens).verify(token.expose()).unwrap();
    assert_eq!((claims.subject(), claims.session_id()), (Some("42"), &*session.id().unwrap().to_string()));
    assert!(claims.issued_at() > before && claims.issued_at() <= SystemTime::now());
    let lifetime = claims.expires_at().duration_since(claims.issued_at()).unwrap();
    assert_eq!(lifetime, 60 * SECOND);
    assert!(!format!("{token:?} {claims:?} {tokens:?}").contains("v4.public."));

    let other = session.access_token(&tokens).await.unwrap();
    let other = verifier(&tokens).verify(other.expose()).unwrap();
    assert_ne!(claims.token_id().unwrap(), other.token_id().unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_response_that_hands_out_a_token_is_that_of_oauth() {
    let (_, _, session) = Site::new().logged_in(USER).await;
    let token = session.access_token(&tokens()).await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&token.to_json()).unwrap();
    assert_eq!((&body["access_token"], &body["token_type"]), (&token.expose().into(), &"Bearer".into()));
    assert_eq!(body["expires_in"], 60);
}

#[tokio::test]
async fn without_a_login_there_is_no_token() {
    let (site, tokens) = (Site::new(), tokens());
    let [one, other] =
        [site.manager.login_for_tests(USER).await.unwrap(), site.manager.login_for_tests(7).await.unwrap()];
    let (_, _, logged_out) = site.logged_in(USER).await;
    logged_out.logout().await.unwrap();
    let (_, visitor) = site.request("").await;
    let (_, with_values) = site.request("").await;
    with_values.insert("cart", &1).unwrap();
    let (_, of_several_users) = site.request(&format!("{one}; {other}")).await;
    for session in [visitor, with_values, logged_out, of_several_users] {
        let error = session.access_token(&tokens).await.unwrap_err();
        assert!(matches!(error, IssueError::NotLoggedIn), "{error:?}");
        assert_eq!(error.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn while_a_user_acts_as_another_one_there_is_no_token_of_either() {
    let (site, tokens) = (Site::new(), tokens());
    let (_exchange, _, session) = site.logged_in(USER).await;
    session.act_as(7).await.unwrap();
    let error = session.access_token(&tokens).await.unwrap_err();
    assert!(matches!(error, IssueError::Acting), "{error:?}");
    assert_eq!(error.status(), StatusCode::FORBIDDEN);
    session.stop_acting().await.unwrap();
    let token = session.access_token(&tokens).await.unwrap();
    assert_eq!(verifier(&tokens).verify(token.expose()).unwrap().subject(), Some("42"));
}

#[tokio::test]
async fn a_login_of_this_request_mints_a_token_before_the_response_leaves() {
    let (site, tokens) = (Site::new(), tokens());
    let (_exchange, session) = site.request("").await;
    session.login(USER).await.unwrap();
    let token = session.access_token(&tokens).await.unwrap();
    assert_eq!(verifier(&tokens).verify(token.expose()).unwrap().subject(), Some("42"));
}

#[tokio::test]
async fn a_login_that_was_refused_mints_nothing() {
    let (site, tokens) = (Site::new(), tokens());
    let (_exchange, session) = site.request("").await;
    site.manager.revoke_all(&Owner::from(USER)).await.unwrap();
    session.login(USER).await.unwrap_err();
    session.access_token(&tokens).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_token_never_outlives_the_expiry_or_the_end_of_its_session() {
    let tokens = tokens().with_lifetime(600 * SECOND).unwrap();
    for (idle, absolute, passed) in [(300, 3600, 0), (300, 300, 0), (3600, 3600, 3300), (300, 500, 220)] {
        let site = Site::new();
        let login = Login::new(USER).lasting(Lifetime::new(idle * SECOND, absolute * SECOND));
        let (cookie, ..) = site.logged_in(login).await;
        site.store.advance(passed * SECOND);
        let (_, session) = site.request(&cookie).await;
        let token = session.access_token(&tokens).await.unwrap();
        let claims = verifier(&tokens).verify(token.expose()).unwrap();
        let lifetime = claims.expires_at().duration_since(claims.issued_at()).unwrap();
        assert!(lifetime <= session.expires_in().unwrap() && lifetime <= session.ends_in().unwrap(), "{lifetime:?}");
        assert!(lifetime + SECOND > session.expires_in().unwrap().min(session.ends_in().unwrap()), "{lifetime:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lifetime_of_a_token_counts_from_when_the_store_was_asked() {
    let (site, tokens) = (Site::new(), tokens().with_lifetime(600 * SECOND).unwrap());
    let (_, _, session) = site.logged_in(USER).await;
    tokio::time::advance(200 * SECOND).await;
    assert_eq!(session.access_token(&tokens).await.unwrap().expires_in(), 400 * SECOND);
    // The request is old, so the store is asked again.
    tokio::time::advance(200 * SECOND).await;
    assert_eq!(session.access_token(&tokens).await.unwrap().expires_in(), 600 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_just_expired_mints_nothing() {
    let site = Site::new();
    let tokens = tokens().with_lifetime(600 * SECOND).unwrap();
    let login = Login::new(USER).lasting(Lifetime::new(200 * SECOND, 200 * SECOND));
    let (_, _, session) = site.logged_in(login).await;
    tokio::time::advance(200 * SECOND).await;
    let error = session.access_token(&tokens).await.unwrap_err();
    assert!(matches!(error, IssueError::Session(Error::Gone)), "{error:?}");
}

#[tokio::test]
async fn after_the_response_a_session_that_is_gone_mints_nothing() {
    let (site, tokens) = (Site::new(), tokens());
    let (cookie, _, session) = site.logged_in(USER).await;
    let stream = site.stream(&cookie).await;
    let token = stream.access_token(&tokens).await.unwrap();
    session.logout().await.unwrap();
    let error = stream.access_token(&tokens).await.unwrap_err();
    assert!(matches!(error, IssueError::Session(Error::Gone)), "{error:?}");
    assert_eq!(error.status(), StatusCode::UNAUTHORIZED);
    // What was minted before the logout is good until its own end: as the documentation says.
    verifier(&tokens).verify(token.expose()).unwrap();
}

#[tokio::test]
async fn after_the_response_a_session_that_was_overtaken_mints_nothing() {
    let (site, tokens) = (Site::new(), tokens());
    let (cookie, _, session) = site.logged_in(USER).await;
    let [of_renewal, of_revocation] = [site.stream(&cookie).await, site.stream(&cookie).await];
    session.renew().await.unwrap();
    let error = of_renewal.access_token(&tokens).await.unwrap_err();
    assert!(matches!(error, IssueError::Session(Error::Superseded)), "{error:?}");
    assert_eq!(error.status(), StatusCode::CONFLICT);
    site.manager.revoke_all(&Owner::from(USER)).await.unwrap();
    let error = of_revocation.access_token(&tokens).await.unwrap_err();
    assert!(matches!(error, IssueError::Session(Error::Gone)), "{error:?}");
}

#[tokio::test]
async fn a_client_with_the_token_in_a_header_gets_access_tokens_too() {
    let (site, tokens) = (Site::new(), tokens());
    let exchange = site.manager.open(Incoming::new([]).with_token(""));
    let session = exchange.session().await.unwrap();
    session.login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    let own = exchange.token().unwrap();
    let next = site.manager.open(Incoming::new([]).with_token(own.expose()));
    let token = next.session().await.unwrap().access_token(&tokens).await.unwrap();
    assert_eq!(verifier(&tokens).verify(token.expose()).unwrap().subject(), Some("42"));
}

#[tokio::test]
async fn claims_of_the_application_travel_and_take_no_name_of_ours() {
    let tokens = tokens();
    let (_, _, session) = Site::new().logged_in(USER).await;
    let token = session.access_token_with(&tokens, &BTreeMap::from([("roles", ["admin", "Zoë"])])).await.unwrap();
    let claims = verifier(&tokens).verify(token.expose()).unwrap();
    assert_eq!(claims.get::<Vec<String>>("roles").unwrap().unwrap(), ["admin", "Zoë"]);
    assert!(claims.get::<u64>("roles").is_err() && claims.get::<u64>("tenant").unwrap().is_none());

    for name in ["iss", "aud", "sub", "owner", "sid", "iat", "nbf", "exp", "jti"] {
        let error = session.access_token_with(&tokens, &BTreeMap::from([(name, "x")])).await.unwrap_err();
        assert!(matches!(error, IssueError::ReservedClaim { claim } if claim == name), "{error:?}");
    }
    assert!(matches!(session.access_token_with(&tokens, "text").await, Err(IssueError::Claims(None))));
    let long = BTreeMap::from([("text", "x".repeat(MAX_LENGTH))]);
    let error = session.access_token_with(&tokens, &long).await.unwrap_err();
    assert!(matches!(error, IssueError::TooLong { length } if length > MAX_LENGTH), "{error:?}");
}

#[test]
fn a_lifetime_and_the_names_have_bounds() {
    for seconds in [0, 4, 601] {
        assert!(matches!(tokens().with_lifetime(seconds * SECOND), Err(ConfigError::Duration { .. })), "{seconds}");
    }
    let keys = || session_access_token::SigningKeys::new(key(1));
    for name in ["", "two words", "Zoë", "line\nbreak", &"x".repeat(256)] {
        for (issuer, audience) in [(name, AUDIENCE), (ISSUER, name)] {
            let refused = session_access_token::AccessTokens::new(issuer, audience, keys());
            assert!(matches!(refused, Err(ConfigError::Name { .. })), "{name:?}");
        }
    }
}
