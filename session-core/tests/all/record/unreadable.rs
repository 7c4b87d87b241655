//! Pages whose session is stored but cannot be read. Either a later version wrote it before a roll-back, or its key is
//! gone.

use session_core::{EventKind, Outcome, Policy, Session};

use crate::support::{unreadable::*, *};

fn told(site: &Site) -> usize {
    site.events.count(|kind| matches!(kind, EventKind::Unreadable(_)))
}

/// Checks what a page sees and does if it must go on without a session.
async fn sees_nobody_and_nothing(session: &Session) {
    session.readable().unwrap();
    assert_eq!((session.owner(), session.id(), session.keys()), (None, None, Vec::new()));
    assert_eq!(session.get::<i64>("n").unwrap(), None);
    assert_eq!(session.take::<i64>("n").await.unwrap(), None);
    assert_eq!((session.contains("n"), session.remove("n")), (false, false));
    assert_eq!(session.devices().await.unwrap().len(), 0);
}

// Pages.

#[tokio::test]
async fn a_page_whose_session_cannot_be_read_is_an_error_and_what_is_stored_stays() {
    for head in [true, false] {
        let site = Site::new();
        let browser = site.logged_in(USER).await;
        let id = id_of(&browser).await;
        let stored = if head { in_later_data(&site, &id).await } else { in_garbage(&site, &id).await };
        let (exchange, session) = browser.start().await;
        assert!(is_corrupt(session.readable()));
        assert!(is_corrupt(session.get::<i64>("n")));
        assert!(is_corrupt(session.update("n", |n: &mut i64| *n += 1)));
        assert!(is_corrupt(session.take::<i64>("n").await));
        assert!(is_corrupt(session.devices().await));
        assert!(is_corrupt(session.revoke_others().await));
        assert!(is_corrupt(session.renew().await));
        assert!(is_corrupt(session.reload().await));
        assert!(is_corrupt(exchange.commit().await), "also a page that has asked for nothing");
        session.insert("n", &1).unwrap();
        assert!(is_corrupt(session.save().await));
        assert!(is_corrupt(exchange.commit().await));
        assert!(!sets_cookie(&exchange));
        assert_eq!(site.lab.calls(), [Call::Load]);
        assert_eq!(site.lab.payload(&id).await, Some(stored));
        assert_eq!(told(&site), 1);
    }
}

#[tokio::test]
async fn a_page_goes_on_without_a_session_that_cannot_be_read_where_the_site_says_so() {
    for head in [true, false] {
        let site = going_on();
        let browser = site.logged_in(USER).await;
        let id = id_of(&browser).await;
        let stored = if head { in_later_data(&site, &id).await } else { in_garbage(&site, &id).await };
        let (exchange, session) = browser.start().await;
        sees_nobody_and_nothing(&session).await;
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
        let (exchange, session) = browser.start().await;
        assert_eq!(add_one(&session), 1);
        assert!(is_corrupt(session.save().await), "who must know is told");
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Unreadable);
        assert!(!sets_cookie(&exchange), "it would replace a login that another version can read");
        assert_eq!(site.lab.calls(), [Call::Load, Call::Load]);
        assert_eq!(site.lab.payload(&id).await, Some(stored));
        assert_eq!(told(&site), 2);
    }
}

#[tokio::test]
async fn a_request_that_forgets_goes_on_without_the_session_that_cannot_be_read() {
    let site = Site::new();
    let browser = site.visitor().await;
    let stored = in_garbage(&site, &id_of(&browser).await).await;
    let (exchange, session) = browser.start().await;
    exchange.forget();
    sees_nobody_and_nothing(&session).await;
    session.insert("n", &5).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unreadable);
    assert!(!sets_cookie(&exchange));
    let id = exchange.presented_id().unwrap();
    assert_eq!(site.lab.payload(&id).await, Some(stored));
}

#[tokio::test]
async fn a_change_to_what_has_become_unreadable_is_an_error_and_what_is_stored_stays() {
    for site in [Site::new(), going_on()] {
        let browser = site.logged_in(USER).await;
        let id = id_of(&browser).await;
        let (exchange, session) = browser.start().await;
        assert_eq!(add_one(&session), 1);
        let stored = in_later_data(&site, &id).await;
        match exchange.commit().await {
            Ok(outcome) => assert_eq!(outcome, Outcome::Unreadable),
            error => assert!(is_corrupt(error)),
        }
        assert_eq!(site.lab.payload(&id).await, Some(stored));
        assert_eq!(told(&site), 1);
    }
}

#[tokio::test]
async fn a_page_that_has_read_all_it_wanted_leaves_though_the_session_has_become_unreadable() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let id = id_of(&browser).await;
    site.lab.advance(2 * MINUTE);
    let (exchange, session) = browser.start().await;
    assert_eq!(session.get::<i64>("n").unwrap(), Some(0));
    in_later_data(&site, &id).await;
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert_eq!(site.lab.calls(), [Call::Touch, Call::Load], "only a touch was due");
    assert!(is_corrupt(session.get::<i64>("n")), "and it is no empty session from now on");
}

// All that needs only the head still works.

#[tokio::test]
async fn a_theft_shows_though_the_values_cannot_be_read() {
    let site = Site::new();
    let (browser, old) = stolen(&site).await;
    let id = id_of(&browser).await;
    in_later_data(&site, &id).await;
    let (exchange, _) = old.start().await;
    assert_eq!((site.events.thefts(), site.lab.payload(&id).await), (1, None));
    exchange.commit().await.unwrap();
    assert!(sets_cookie(&exchange), "the removal");
}

#[tokio::test]
async fn a_promotion_keeps_what_it_cannot_read() {
    let site = going_on();
    let mut browser = site.logged_in(USER).await;
    let id = id_of(&browser).await;
    site.due().await;
    browser.visit(async |_| ()).await;
    let values = |payload: &[u8]| payload[3 + usize::from(u16::from_be_bytes([payload[1], payload[2]]))..].to_vec();
    let stored = in_later_data(&site, &id).await;
    browser.visit(async |_| ()).await;
    assert_eq!(site.lab.calls(), [Call::Load, Call::Replace]);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Rotated)), 1);
    let promoted = site.lab.payload(&id).await.unwrap();
    assert_ne!(promoted, stored);
    assert_eq!(values(&promoted), values(&stored));
}

#[tokio::test]
async fn a_session_whose_values_cannot_be_read_is_listed_and_its_owner_can_end_it() {
    let site = Site::new();
    let lost = site.logged_in(USER).await;
    let id = id_of(&lost).await;
    site.lab.advance(MINUTE);
    let browser = site.logged_in(USER).await;
    in_later_data(&site, &id).await;
    let (_, session) = browser.start().await;
    let devices = session.devices().await.unwrap();
    assert_eq!((devices.len(), devices[1].id, devices[1].age.as_secs() / 60), (2, id, 1));
    assert!(is_corrupt(devices[1].get::<i64>("n")));
    assert!(session.end(&id).await.unwrap());
    assert_eq!(site.lab.payload(&id).await, None);
}

#[tokio::test]
async fn the_limit_of_sessions_counts_a_session_whose_values_cannot_be_read_by_its_age() {
    let site = Site::with_policy(Policy::builder().sessions_per_owner(2).build().unwrap());
    let oldest = site.logged_in(USER).await;
    site.lab.advance(MINUTE);
    let newer = site.logged_in(USER).await;
    let (oldest, newer) = (id_of(&oldest).await, id_of(&newer).await);
    in_later_data(&site, &newer).await;
    site.lab.advance(MINUTE);
    site.logged_in(USER).await;
    assert_eq!((site.lab.payload(&oldest).await, site.lab.payload(&newer).await.is_some()), (None, true));
}
