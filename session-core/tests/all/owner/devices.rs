//! The list of devices, and the limit of sessions.

use session_core::{Error, EventKind, Owner, Policy, Store};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_slow_request_whose_session_has_ended_acts_on_no_device() {
    let site = Site::new();
    let thief = site.logged_in(USER).await;
    let slow = [thief.start().await, thief.start().await, thief.start().await].map(|(_, session)| session);
    site.manager.revoke_all(&user()).await.unwrap();
    site.lab.advance(MINUTE);
    tokio::time::advance(MINUTE).await;
    let browser = site.logged_in(USER).await;
    let id = browser.start().await.1.id().unwrap();
    assert!(matches!(slow[0].devices().await, Err(Error::Gone)));
    assert!(matches!(slow[1].end(&id).await, Err(Error::Gone)));
    assert!(matches!(slow[2].revoke_others().await, Err(Error::Gone)));
    assert_eq!(browser.owner().await, Some(user()));
}

#[tokio::test]
async fn devices_show_label_age_and_last_use_and_mark_the_current_one() {
    let site = Site::new();
    let mut phone = site.logged_in(USER).await;
    phone.visit(async |session| session.insert("label", "phone").unwrap()).await;
    site.lab.advance(10 * MINUTE);
    let laptop = site.logged_in(USER).await;
    site.logged_in(7).await;
    let (_, session) = laptop.start().await;
    let devices = session.devices().await.unwrap();
    let seen: Vec<_> = devices
        .iter()
        .map(|device| (device.is_current, device.age.as_secs() / 60, device.idle_for.as_secs() / 60))
        .collect();
    assert_eq!(seen, [(true, 0, 0), (false, 10, 10)]);
    assert_eq!(devices[1].get::<String>("label").unwrap().as_deref(), Some("phone"));
    assert!(session.end(&devices[1].id).await.unwrap());
    assert_eq!(phone.owner().await, None);
    let stranger = site.logged_in(7).await;
    assert!(!stranger.start().await.1.end(&devices[0].id).await.unwrap(), "an id from a form names its owner");
    assert_eq!(laptop.owner().await, Some(user()));
}

#[tokio::test]
async fn an_unreadable_session_is_left_out_of_the_devices_with_an_event() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let owner = user();
    let revision = session_core::Revision::from_bytes([1; 8]);
    let entry = session_core::Entry::new(revision, b"garbage").with_owner(Some(&owner));
    let id = session_core::SessionId::from_bytes([1; 16]);
    site.lab.memory.create(&id, entry, HOUR, HOUR).await.unwrap();
    assert_eq!(browser.start().await.1.devices().await.unwrap().len(), 1);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Unreadable(_))), 1);
    assert!(!site.manager.end(&owner, &id).await.unwrap());
}

#[tokio::test]
async fn a_further_login_evicts_the_oldest_session_and_an_unreadable_one_first() {
    let policy = Policy::builder().sessions_per_owner(2).build().unwrap();
    let site = Site::with_policy(policy);
    let oldest = site.logged_in(USER).await;
    site.lab.advance(MINUTE);
    let owner = user();
    let entry = session_core::Entry::new(session_core::Revision::from_bytes([1; 8]), b"garbage");
    let garbage = session_core::SessionId::from_bytes([1; 16]);
    site.lab.memory.create(&garbage, entry.with_owner(Some(&owner)), HOUR, HOUR).await.unwrap();
    let newer = site.logged_in(USER).await;
    assert_eq!(site.lab.memory.load(&garbage).await.unwrap(), None);
    assert!(oldest.owner().await.is_some());
    site.lab.advance(MINUTE);
    let newest = site.logged_in(USER).await;
    assert_eq!(
        (oldest.owner().await, newer.owner().await.is_some(), newest.owner().await.is_some()),
        (None, true, true)
    );
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds_after_parallel_logins_and_they_never_evict_one_another_down_to_none() {
    for limit in [1, 3] {
        let policy = Policy::builder().sessions_per_owner(limit).build().unwrap();
        let site = Site::with_policy(policy);
        let tasks = (0..10).map(|_| {
            let browser = site.browser();
            tokio::spawn(async move { browser.start().await.1.login(USER).await })
        });
        let mut admitted = 0;
        for task in tasks.collect::<Vec<_>>() {
            match task.await.unwrap() {
                Ok(()) => admitted += 1,
                Err(Error::LoginRevoked) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let left = site.manager.devices(&user()).await.unwrap().len();
        assert!((1..=limit as usize).contains(&left) && admitted >= left, "{left} left, {admitted} admitted");
    }
}

#[tokio::test]
async fn a_login_that_evicts_itself_is_refused() {
    let policy = Policy::builder().sessions_per_owner(1).build().unwrap();
    let site = Site::with_policy(policy);
    let login = |browser: Browser| tokio::spawn(async move { browser.start().await.1.login(USER).await });
    let first_list = site.lab.hold(Call::List);
    let first = login(site.browser());
    first_list.reached().await;
    site.lab.advance(SECOND);
    let second_list = site.lab.hold(Call::List);
    let second = login(site.browser());
    second_list.reached().await;
    first_list.open();
    assert!(matches!(first.await.unwrap(), Err(Error::LoginRevoked)), "it was the oldest of two");
    second_list.open();
    second.await.unwrap().unwrap();
    assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_eviction_that_fails_refuses_the_login() {
    let policy = Policy::builder().sessions_per_owner(1).build().unwrap();
    let site = Site::with_policy(policy);
    let mut browser = site.logged_in(USER).await;
    let (_, session) = site.browser().start().await;
    site.lab.next(Call::List, Fault::Fails);
    assert!(matches!(session.login(USER).await, Err(Error::LoginRevoked)));
    browser.visit(async |session| assert_eq!(session.devices().await.unwrap().len(), 1)).await;
}

#[tokio::test]
async fn an_eviction_lists_again_when_a_session_moved() {
    let policy = Policy::builder().sessions_per_owner(1).build().unwrap();
    let site = Site::with_policy(policy);
    let first = site.logged_in(USER).await;
    site.lab.advance(MINUTE);
    let moved = first.clone();
    site.lab.before_next(Call::Delete, move || {
        let mut moved = moved.clone();
        async move {
            moved
                .visit(async |session| {
                    add_one(session);
                })
                .await;
        }
    });
    let second = site.logged_in(USER).await;
    assert_eq!((first.owner().await, second.owner().await), (None, Some(user())));
}

#[tokio::test]
async fn for_logs_it_is_known_whose_session_a_request_found_also_after_its_logout() {
    let site = Site::new();
    let (exchange, session) = site.logged_in(USER).await.start().await;
    session.logout().await.unwrap();
    assert_eq!((session.owner(), exchange.request_owner()), (None, Some(user())));
    let (exchange, session) = site.visitor().await.start().await;
    session.login(USER).await.unwrap();
    assert_eq!((session.owner(), exchange.request_owner()), (Some(user()), None));
}

#[tokio::test]
async fn a_websocket_of_a_revoked_session_cannot_end_the_owner_s_others() {
    let site = Site::new();
    let stolen = site.logged_in(42).await;
    let (exchange, socket) = stolen.start().await;
    exchange.commit().await.unwrap();
    site.manager.revoke_all(&Owner::from(42)).await.unwrap();
    site.lab.advance(MINUTE);
    let mut browser = site.logged_in(42).await;
    let id = browser.open().presented_id().unwrap();
    let answers = (socket.end(&id).await, socket.revoke_others().await);
    assert_eq!(browser.owner().await, Some(Owner::from(42)), "{answers:?}");
    browser.visit(async |_| ()).await;
}
