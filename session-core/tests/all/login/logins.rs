//! Login, renewal and logout.

use session_core::{Error, Key, Keyring, Login, Outcome, Owner, SessionManager, Store, StoreError};

use crate::support::*;

// Fixation.

#[tokio::test]
async fn a_login_makes_a_fresh_token_and_the_old_one_is_dead_at_once() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let planted = browser.clone();
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!(browser.get::<i64>("n").await, Some(0), "the data of the anonymous session is kept");
    for _ in 0..2 {
        let (exchange, session) = planted.start().await;
        assert_eq!((session.owner(), session.get::<i64>("n").unwrap()), (None, None));
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
        assert!(!sets_cookie(&exchange));
        // The old token is late within the grace, and a stranger's after it. It opens nothing and ends nothing.
        site.lab.advance(2 * MINUTE);
    }
    assert_eq!(browser.owner().await, Some(user()));
    assert_eq!(site.events.thefts(), 0, "a planted token alarms nobody");
    let (exchange, session) = planted.start().await;
    session.insert("n", &1).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved, "a stranger gets a session of its own");
    assert_ne!(session.id(), browser.open().presented_id());
}

#[tokio::test]
async fn a_late_request_creates_nothing_but_a_login_of_its_own() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let mut late = browser.clone();
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    let (exchange, session) = late.start().await;
    session.insert("n", &1).unwrap();
    assert!(matches!(session.save().await, Err(Error::Superseded)));
    assert!(matches!(session.logout().await, Err(Error::Superseded)));
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    assert!(!sets_cookie(&exchange), "it would overwrite the login's");
    late.visit(async |session| session.login(7).await.unwrap()).await;
    assert_eq!(late.owner().await, Some(Owner::from(7)));
    assert_eq!(browser.owner().await, Some(user()));
    assert_ne!(late.open().presented_id(), browser.open().presented_id());
}

#[tokio::test]
async fn a_stranger_gets_a_new_id_and_its_own_is_never_adopted() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let id = browser.open().presented_id().unwrap();
    site.lab.advance(HOUR);
    browser.visit(async |session| session.insert("n", &1).unwrap()).await;
    assert_ne!(browser.open().presented_id().unwrap(), id);
    assert_eq!(site.lab.memory.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_login_after_theft_makes_a_new_session() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let mut old = browser.clone();
    site.due().await;
    browser.visit(async |_| ()).await;
    browser.visit(async |_| ()).await;
    site.lab.advance(2 * MINUTE);
    old.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(site.events.thefts(), 1);
    assert_eq!(old.owner().await, Some(user()));
}

#[tokio::test]
async fn a_writer_that_loaded_before_the_login_is_superseded_and_its_data_is_not_merged_in() {
    for renews in [false, true] {
        let site = Site::new();
        let mut browser = site.logged_in(USER).await;
        let (exchange, session) = browser.start().await;
        session.insert("planted", &1).unwrap();
        browser
            .visit(async |session| match renews {
                true => session.renew().await.unwrap(),
                false => session.login(USER).await.unwrap(),
            })
            .await;
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
        assert!(!sets_cookie(&exchange));
        assert!(!browser.start().await.1.contains("planted"));
    }
}

#[tokio::test]
async fn a_login_merges_what_others_saved_while_it_ran() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let other = browser.clone();
    site.lab.before_next(Call::Replace, move || {
        let mut other = other.clone();
        async move {
            other
                .visit(async |session| {
                    add_one(session);
                })
                .await;
        }
    });
    browser
        .visit(async |session| {
            add_one(session);
            session.login(USER).await.unwrap();
        })
        .await;
    assert_eq!(browser.get::<i64>("n").await, Some(2));
}

#[tokio::test]
async fn a_login_of_another_owner_drops_the_data_and_what_was_pending() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    browser
        .visit(async |session| {
            session.insert("pending", &1).unwrap();
            session.login(7).await.unwrap();
            session.insert("own", &1).unwrap();
        })
        .await;
    let (_, session) = browser.start().await;
    assert_eq!((session.owner(), session.keys()), (Some(Owner::from(7)), vec!["own".to_owned()]));
    assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_login_starts_a_new_lifetime_and_a_renewal_does_not() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    site.lab.advance(30 * MINUTE);
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    let hours = |session: &session_core::Session| (session.ends_in().unwrap() + MINUTE).as_secs() / 3600;
    assert_eq!(hours(&browser.start().await.1), 24);
    site.lab.advance(30 * MINUTE);
    let old = browser.cookie.clone();
    browser.visit(async |session| session.renew().await.unwrap()).await;
    assert_ne!(browser.cookie, old);
    let (_, session) = browser.start().await;
    assert_eq!((hours(&session), session.owner()), (23, Some(user())));
}

#[tokio::test]
async fn a_remembered_login_lives_longer_in_a_persistent_cookie() {
    let site = Site::new();
    let browser = site.browser();
    let (exchange, session) = browser.start().await;
    session.login(Login::new(USER).remembered(true)).await.unwrap();
    exchange.commit().await.unwrap();
    let cookie = exchange.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    let max_age = cookie.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse::<u64>().unwrap();
    assert!((30 * 86_400 - 2..=30 * 86_400).contains(&max_age), "{cookie}");
    let (exchange, session) = browser.start().await;
    session.login(USER).await.unwrap();
    exchange.commit().await.unwrap();
    assert!(!exchange.headers().get("set-cookie").unwrap().to_str().unwrap().contains("Max-Age"));
}

// Unknown outcomes of writes that move the generation.

#[tokio::test(start_paused = true)]
async fn a_login_or_renewal_whose_reply_is_lost_or_late_happens_once() {
    for fault in [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails] {
        for renews in [false, true] {
            let site = Site::new();
            let mut browser = site.visitor().await;
            site.lab.next(Call::Replace, fault.clone());
            browser
                .visit(async |session| match renews {
                    true => session.renew().await.unwrap(),
                    false => session.login(USER).await.unwrap(),
                })
                .await;
            site.lab.deliver_late().await;
            assert_eq!(browser.get::<i64>("n").await, Some(0));
            assert_eq!(browser.owner().await.is_some(), !renews);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_dropped_or_failed_sends_no_cookie_and_loses_to_itself() {
    for (call, reply) in [(Call::Replace, false), (Call::Replace, true), (Call::Load, false)] {
        let site = Site::new();
        let browser = site.visitor().await;
        let (exchange, session) = browser.start().await;
        let gate = if reply { site.lab.hold_reply(call) } else { site.lab.hold(call) };
        tokio::select! {
            _ = session.login(USER) => panic!("the login was held"),
            () = gate.reached() => {}
        }
        let is_written = reply || call == Call::Load;
        add_one(&session);
        let outcome = exchange.commit().await.unwrap();
        assert_eq!(outcome, if is_written { Outcome::Superseded } else { Outcome::Saved });
        assert!(!sets_cookie(&exchange));
        assert_eq!(browser.owner().await, None, "the old token opens nothing privileged");
        let listed = site.manager.devices(&user()).await.unwrap().len();
        assert_eq!(listed, usize::from(is_written), "what is left is listed until it expires");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_steps_of_a_login_leaves_no_privileged_session_behind_the_old_token() {
    // The crash comes before or after each of these: the load, the write, the read of the epoch, its move, the
    // revocation.
    let calls = [Call::Load, Call::Replace, Call::Load, Call::Create, Call::Revoke];
    for crash in 0..calls.len() {
        for reply in [false, true] {
            let site = Site::new();
            let browser = site.visitor().await;
            // The calls before the crash pass through gates that are opened at once.
            let mut gates = Vec::new();
            for (at, call) in calls[..=crash].iter().enumerate() {
                let is_last = at == crash;
                gates.push(if is_last && reply { site.lab.hold_reply(*call) } else { site.lab.hold(*call) });
            }
            let request = tokio::spawn({
                let browser = browser.clone();
                async move {
                    let (exchange, session) = browser.start().await;
                    let _ = session.login(Login::new(USER).ending_others()).await;
                    exchange.commit().await
                }
            });
            let last = gates.pop().unwrap();
            for gate in gates {
                gate.reached().await;
                gate.open();
            }
            last.reached().await;
            request.abort();
            let _ = request.await;
            assert_eq!(browser.owner().await, None, "crashed at call {crash}, answered: {reply}");
            assert_eq!(site.events.thefts(), 0);
        }
    }
}

// Logout.

#[tokio::test]
async fn a_logout_ends_the_session_and_removes_the_cookie_with_its_attributes() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    let id = session.id().unwrap();
    add_one(&session);
    session.logout().await.unwrap();
    assert_eq!((session.id(), session.owner(), session.keys()), (None, None, vec![]));
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    let cookie = exchange.headers().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        cookie,
        "__Host-session=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; SameSite=Lax"
    );
    browser.receive(&exchange.headers());
    assert_eq!(site.lab.memory.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_inserted_after_a_logout_is_a_new_session_and_its_cookie_takes_the_removal_s_place() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let id = browser.open().presented_id();
    browser
        .visit(async |session| {
            session.logout().await.unwrap();
            session.insert("flash", "goodbye").unwrap();
        })
        .await;
    assert_eq!(browser.get::<String>("flash").await.as_deref(), Some("goodbye"));
    assert_ne!(browser.open().presented_id(), id);
}

#[tokio::test]
async fn a_logout_ends_what_the_same_login_saved_or_renewed_since() {
    let site = Site::new();
    for renews in [false, true] {
        let browser = site.logged_in(USER).await;
        let (_, session) = browser.start().await;
        browser
            .clone()
            .visit(async |session| match renews {
                true => session.renew().await.unwrap(),
                false => assert_eq!(add_one(session), 1),
            })
            .await;
        session.logout().await.unwrap();
        assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn a_logout_cannot_end_the_login_that_overtook_it() {
    let site = Site::new();
    let login = |owner: u64| async move |session: &session_core::Session| session.login(owner).await.unwrap();
    let renew = async |session: &session_core::Session| session.renew().await.unwrap();
    for what in ["a login", "another owner's login", "a renewal before any login"] {
        let mut browser = if what == "another owner's login" { site.logged_in(7).await } else { site.visitor().await };
        let (exchange, session) = browser.start().await;
        match what {
            "a renewal before any login" => browser.visit(renew).await,
            _ => browser.visit(login(USER)).await,
        }
        assert!(matches!(session.logout().await, Err(Error::Superseded)), "{what}");
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
        assert!(!sets_cookie(&exchange));
        assert!(browser.start().await.1.id().is_some(), "{what} was ended");
    }
}

#[tokio::test]
async fn a_token_from_before_a_renewal_is_late_however_old_the_session_is() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let late = browser.clone();
    site.lab.advance(10 * MINUTE);
    browser.visit(async |session| session.renew().await.unwrap()).await;
    let (exchange, session) = late.start().await;
    session.insert("n", &1).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    assert!(!sets_cookie(&exchange), "it would overwrite the renewal's");
    let renewed = browser.cookie.clone();
    site.lab.advance(14 * MINUTE);
    browser.visit(async |_| ()).await;
    assert_eq!(browser.cookie, renewed, "a renewal puts the next rotation off");
}

#[tokio::test(start_paused = true)]
async fn a_logout_whose_reply_is_lost_is_done_and_one_that_failed_sends_nothing() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.lab.next(Call::Delete, Fault::LosesReply);
    browser.visit(async |session| session.logout().await.unwrap()).await;
    assert_eq!(browser.cookie, None);

    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    session.login(USER).await.unwrap();
    for _ in 0..3 {
        site.lab.next(Call::Delete, Fault::Fails);
    }
    assert!(matches!(session.logout().await, Err(Error::Store(StoreError::TimedOut { .. }))));
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange), "not even the login's cookie");
}

#[tokio::test]
async fn a_logout_leaves_with_the_503_of_a_later_failure() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    session.logout().await.unwrap();
    session.insert("n", &1).unwrap();
    site.lab.set_down(true);
    exchange.commit().await.unwrap_err();
    browser.receive(&exchange.headers());
    assert_eq!(browser.cookie, None);
}

// A stolen database.

#[tokio::test]
async fn a_dump_of_the_store_holds_no_secret_and_nothing_that_is_accepted() {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.due().await;
    browser.visit(async |_| ()).await;
    let id = browser.open().presented_id().unwrap();
    let payload = site.lab.payload(&id).await.unwrap();
    let cookie = browser.cookie.clone().unwrap();
    let token = Base64UrlUnpadded::decode_vec(cookie.split('.').next().unwrap()).unwrap();
    let secret = &token[20..];
    assert!(!payload.windows(8).any(|window| secret.windows(8).any(|part| part == window)));
    // Each 32 bytes of the dump are tried as the secret. The token is even signed with the right key, which a thief
    // does not have.
    let thief = SessionManager::new(site.lab.clone(), Keyring::new(Key::from_bytes(&[9; 32]).unwrap()));
    let forged = Browser { manager: thief, cookie: None };
    assert!(forged.open().presented_id().is_none());
    for at in 0..payload.len() - 32 {
        let mut stolen = token.clone();
        stolen[20..].copy_from_slice(&payload[at..at + 32]);
        let mac = cookie.split('.').nth(1).unwrap();
        let cookie = format!("{}.{mac}", Base64UrlUnpadded::encode_string(&stolen));
        let browser = Browser { manager: site.manager.clone(), cookie: Some(cookie) };
        assert!(browser.open().presented_id().is_none());
    }
}
