//! Logins and logouts over a session that is stored but cannot be read.

use session_core::{EndReason, Error, EventKind, Outcome, StoreError};

use crate::support::{unreadable::*, *};

#[tokio::test]
async fn a_logout_ends_a_session_whose_values_cannot_be_read() {
    for site in [Site::new(), going_on()] {
        let mut browser = site.logged_in(USER).await;
        let id = id_of(&browser).await;
        in_later_data(&site, &id).await;
        browser.visit(async |session| session.logout().await.unwrap()).await;
        assert_eq!((site.lab.payload(&id).await, browser.cookie), (None, None));
        assert_eq!(site.lab.calls(), [Call::Load, Call::Delete]);
    }
}

#[tokio::test]
async fn a_logout_from_a_session_whose_head_cannot_be_read_is_an_error_and_sends_no_cookie() {
    for site in [Site::new(), going_on()] {
        let browser = site.logged_in(USER).await;
        let id = id_of(&browser).await;
        let stored = in_garbage(&site, &id).await;
        let (exchange, session) = browser.start().await;
        assert!(is_corrupt(session.logout().await));
        let _ = exchange.commit().await;
        assert!(!sets_cookie(&exchange));
        assert_eq!(site.lab.payload(&id).await, Some(stored));
    }
}

#[tokio::test]
async fn a_login_ends_a_session_whose_values_cannot_be_read_and_makes_a_new_one() {
    for site in [Site::new(), going_on()] {
        for mut browser in [site.logged_in(USER).await, site.logged_in(7).await, site.visitor().await] {
            let old = id_of(&browser).await;
            in_later_data(&site, &old).await;
            browser
                .visit(async |session| {
                    session.insert("own", &1).unwrap();
                    session.login(USER).await.unwrap();
                    assert_eq!(session.keys(), ["own"], "what cannot be read is not there");
                })
                .await;
            assert_eq!(site.lab.payload(&old).await, None);
            assert_ne!(id_of(&browser).await, old);
            assert_eq!((browser.owner().await, browser.get::<i64>("own").await), (Some(user()), Some(1)));
            let ended = EventKind::Ended(EndReason::Unreadable);
            assert!(site.events.all().iter().any(|event| format!("{:?}", event.kind) == format!("{ended:?}")));
        }
    }
}

#[tokio::test]
async fn a_login_over_a_session_whose_head_cannot_be_read_makes_a_new_one_and_the_row_stays() {
    for site in [Site::new(), going_on()] {
        let mut browser = site.logged_in(USER).await;
        let old = id_of(&browser).await;
        let stored = in_garbage(&site, &old).await;
        browser.visit(async |session| session.login(USER).await.unwrap()).await;
        assert_eq!(site.lab.payload(&old).await, Some(stored));
        assert_ne!(id_of(&browser).await, old);
        assert_eq!(browser.owner().await, Some(user()));
    }
}

#[tokio::test]
async fn a_login_that_fails_ends_nothing() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let id = id_of(&browser).await;
    let stored = in_later_data(&site, &id).await;
    let (_, session) = browser.start().await;
    site.lab.set_down(true);
    session.login(USER).await.unwrap_err();
    site.lab.set_down(false);
    assert_eq!(site.lab.payload(&id).await, Some(stored));
}

#[tokio::test(start_paused = true)]
async fn a_login_over_several_requests_begins_in_a_new_session_and_keeps_what_its_request_changed() {
    for head in [true, false] {
        let site = Site::new();
        let mut browser = site.visitor().await;
        let old = id_of(&browser).await;
        if head {
            in_later_data(&site, &old).await
        } else {
            in_garbage(&site, &old).await
        };
        browser
            .visit(async |session| {
                session.insert("step", &1).unwrap();
                session.begin_login().await.unwrap();
            })
            .await;
        assert_eq!(site.lab.payload(&old).await.is_none(), head, "what can be judged is ended");
        assert_ne!(id_of(&browser).await, old);
        assert_eq!(browser.get::<i64>("step").await, Some(1));
        browser.visit(async |session| session.login(USER).await.unwrap()).await;
        assert_eq!(browser.owner().await, Some(user()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_beats_a_login_that_began_in_a_session_that_has_become_unreadable() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    let id = id_of(&browser).await;
    site.lab.advance(MINUTE);
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.advance(MINUTE);
    in_later_data(&site, &id).await;
    let (_, session) = browser.start().await;
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
    site.lab.advance(HOUR - MINUTE);
    // The note is older than a login may take, so the login starts again.
    let mut late = site.visitor().await;
    late.visit(async |session| session.begin_login().await.unwrap()).await;
    let id = id_of(&late).await;
    for _ in 0..3 {
        site.lab.advance(MINUTE * 25);
        late.visit(async |_| ()).await;
    }
    in_later_data(&site, &id).await;
    let (exchange, session) = late.start().await;
    assert!(matches!(session.login(USER).await, Err(Error::LoginExpired)));
    exchange.commit().await.unwrap();
    late.receive(&exchange.headers());
    late.visit(async |session| session.login(USER).await.unwrap()).await;
}

#[tokio::test]
async fn a_login_of_a_user_begun_more_than_an_hour_ago_in_his_own_session_stands() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    for _ in 0..3 {
        site.lab.advance(MINUTE * 25);
        browser.visit(async |_| ()).await;
    }
    in_later_data(&site, &id_of(&browser).await).await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
}

#[tokio::test]
async fn a_revocation_that_kept_the_session_spares_the_login_that_takes_its_place() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.begin_login().await.unwrap()).await;
    site.lab.advance(MINUTE);
    browser.visit(async |session| assert_eq!(session.revoke_others().await.unwrap(), 0)).await;
    site.lab.advance(MINUTE);
    in_later_data(&site, &id_of(&browser).await).await;
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
}

#[tokio::test(start_paused = true)]
async fn a_login_ends_what_cannot_be_read_also_where_another_version_goes_on_writing_to_it() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let old = id_of(&browser).await;
    in_later_data(&site, &old).await;
    let other = site.clone();
    site.lab.before_next(Call::Delete, move || {
        let other = other.clone();
        async move {
            overwrite(&other, &old, |payload| payload.push(9)).await;
        }
    });
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    site.lab.assert_all_met();
    assert_eq!(site.lab.payload(&old).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_login_stands_and_is_told_of_where_what_cannot_be_read_could_not_be_ended() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let old = id_of(&browser).await;
    in_later_data(&site, &old).await;
    for _ in 0..3 {
        site.lab.next(Call::Delete, Fault::Fails);
    }
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    site.lab.assert_all_met();
    assert_eq!(browser.owner().await, Some(user()));
    let failed = |kind: &EventKind| matches!(kind, EventKind::Unreadable(Error::Store(StoreError::TimedOut { .. })));
    assert_eq!(site.events.count(failed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_begins_in_what_another_login_has_taken_over_ends_nothing_and_sends_no_cookie() {
    let site = Site::new();
    let browser = site.visitor().await;
    let id = id_of(&browser).await;
    let readable = site.lab.payload(&id).await.unwrap();
    in_later_data(&site, &id).await;
    let (exchange, session) = browser.start().await;
    // This runs on a server of the later version.
    overwrite(&site, &id, |payload| *payload = readable.to_vec()).await;
    let mut other = browser.clone();
    other.visit(async |session| session.login(USER).await.unwrap()).await;
    assert!(matches!(session.begin_login().await, Err(Error::Superseded)));
    assert!(matches!(session.begin_login().await, Err(Error::Superseded)));
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    assert!(!sets_cookie(&exchange));
    assert_eq!(other.owner().await, Some(user()));
}

#[tokio::test]
async fn log_out_everywhere_beats_a_login_over_what_revoke_others_keeps_at_the_same_moment() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (_, keeping) = browser.start().await;
    in_later_data(&site, &keeping.id().unwrap()).await;
    let (_, session) = browser.start().await;
    // Between the two calls by which support's revocation moves the epoch.
    site.lab.before_next(Call::Create, move || {
        let keeping = keeping.clone();
        async move { keeping.revoke_others().await.map(|_| ()).unwrap() }
    });
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.assert_all_met();
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)), "it began before");
    assert!(site.manager.devices(&user()).await.unwrap().is_empty());
}

#[tokio::test]
async fn log_out_everywhere_beats_a_login_over_what_a_late_revoke_others_keeps() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (_, keeping) = browser.start().await;
    in_later_data(&site, &keeping.id().unwrap()).await;
    let (_, session) = browser.start().await;
    site.manager.revoke_all(&user()).await.unwrap();
    keeping.revoke_others().await.unwrap();
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)), "it began before, and nothing is kept");
}
