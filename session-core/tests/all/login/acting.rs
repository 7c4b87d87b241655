//! A user acts as another one.

use session_core::{
    EndReason, Error, EventKind, Outcome, Owner, Policy, SessionEvent,
    adapter::{self, Guard, Navigation, Users},
};

use crate::support::{log::Log, *};

/// As whom user 42 acts in these tests.
const OTHER: u64 = 7;

fn other() -> Owner {
    Owner::from(OTHER)
}

impl Site {
    /// A browser of user 42, who acts as user 7.
    async fn acting(&self) -> Browser {
        let mut browser = self.logged_in(USER).await;
        browser.visit(async |session| session.act_as(OTHER).await.unwrap()).await;
        browser
    }

    fn told(&self, is_meant: impl Fn(&EventKind) -> bool) -> Vec<SessionEvent> {
        self.events.all().into_iter().filter(|event| is_meant(&event.kind)).collect()
    }
}

async fn acting_as(browser: &Browser) -> Option<Owner> {
    browser.start().await.1.acting_as()
}

/// Who has logged in, and as whom they act.
fn both(event: &SessionEvent) -> (Option<Owner>, Option<Owner>) {
    (event.owner.clone(), event.acting_as.clone())
}

#[tokio::test]
async fn a_session_stays_that_of_who_acts() {
    let site = Site::new();
    let mut browser = site.acting().await;
    browser
        .visit(async |session| {
            assert_eq!((session.owner(), session.acting_as()), (Some(user()), Some(other())));
            assert_eq!(session.devices().await.unwrap().len(), 1);
            assert_eq!(add_one(session), 1);
        })
        .await;
    let login = browser.start().await.1.current_login(MINUTE).await.unwrap().unwrap();
    assert_eq!((login.owner(), login.acting_as()), (&user(), Some(&other())));
    assert_eq!(site.manager.session_count(&user()).await.unwrap(), 1);
    assert_eq!(site.manager.session_count(&other()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_renewal_a_proof_and_a_rotation_keep_the_acting() {
    let site = Site::new();
    let mut browser = site.acting().await;
    browser.visit(async |session| session.renew().await.unwrap()).await;
    assert_eq!(acting_as(&browser).await, Some(other()));
    browser.visit(async |session| session.proved().await.unwrap()).await;
    assert_eq!(acting_as(&browser).await, Some(other()));
    site.due().await;
    for _ in 0..3 {
        browser.visit(async |_| ()).await;
    }
    assert_eq!(acting_as(&browser).await, Some(other()));
    browser.visit(async |session| session.act_as(13).await.unwrap()).await;
    assert_eq!(acting_as(&browser).await, Some(Owner::from(13)), "a third one takes their place");
}

#[tokio::test]
async fn no_token_from_before_the_acting_or_from_while_it_lasted_opens_anything_after_it() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let before = browser.clone();
    browser.visit(async |session| session.act_as(OTHER).await.unwrap()).await;
    let during = browser.clone();
    assert_eq!((before.owner().await, acting_as(&before).await), (None, None));
    browser.visit(async |session| session.stop_acting().await.unwrap()).await;
    assert_eq!((during.owner().await, acting_as(&during).await), (None, None));
    assert_eq!((browser.owner().await, acting_as(&browser).await), (Some(user()), None));
    assert_eq!(browser.get::<i64>("n").await, Some(0));
}

#[tokio::test]
async fn a_login_a_logout_and_acting_as_oneself_end_the_acting() {
    let site = Site::new();
    for login in [USER, OTHER] {
        let mut browser = site.acting().await;
        browser.visit(async |session| session.login(login).await.unwrap()).await;
        assert_eq!((browser.owner().await, acting_as(&browser).await), (Some(Owner::from(login)), None));
    }
    let mut browser = site.acting().await;
    browser.visit(async |session| session.act_as(USER).await.unwrap()).await;
    assert_eq!((browser.owner().await, acting_as(&browser).await), (Some(user()), None));
    let mut browser = site.acting().await;
    browser
        .visit(async |session| {
            session.logout().await.unwrap();
            assert_eq!((session.owner(), session.acting_as()), (None, None));
            session.login(USER).await.unwrap();
        })
        .await;
    assert_eq!((browser.owner().await, acting_as(&browser).await), (Some(user()), None));
}

#[tokio::test]
async fn nobody_acts_without_a_login() {
    let site = Site::new();
    for browser in [site.browser(), site.visitor().await] {
        let (exchange, session) = browser.start().await;
        assert!(matches!(session.act_as(OTHER).await, Err(Error::NotLoggedIn)));
        session.stop_acting().await.unwrap();
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
        assert!(!sets_cookie(&exchange));
    }
}

#[tokio::test]
async fn to_stop_what_has_not_begun_writes_nothing() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    session.stop_acting().await.unwrap();
    session.act_as(USER).await.unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert_eq!((sets_cookie(&exchange), site.lab.calls()), (false, vec![Call::Load]));
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::ActingEnded)), 0);
}

#[tokio::test]
async fn the_proof_that_counts_is_that_of_who_acts() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    site.lab.advance(10 * MINUTE);
    browser.visit(async |session| session.act_as(OTHER).await.unwrap()).await;
    let fresh = async |browser: &Browser| browser.start().await.1.require_fresh(5 * MINUTE);
    assert!(matches!(fresh(&browser).await, Err(Error::StaleProof { .. })), "acting is no proof");
    browser.visit(async |session| session.proved().await.unwrap()).await;
    assert!(fresh(&browser).await.is_ok());
    browser.visit(async |session| session.stop_acting().await.unwrap()).await;
    assert!(fresh(&browser).await.is_ok());
}

#[tokio::test]
async fn what_ends_the_sessions_of_who_acts_ends_the_acting_and_what_ends_the_others_does_not() {
    let site = Site::new();
    let browser = site.acting().await;
    let others = site.logged_in(OTHER).await;
    assert_eq!(site.manager.revoke_all(&other()).await.unwrap(), 1);
    assert_eq!((others.owner().await, acting_as(&browser).await), (None, Some(other())));
    assert_eq!(site.manager.revoke_all(&user()).await.unwrap(), 1);
    assert_eq!((browser.owner().await, acting_as(&browser).await), (None, None));
}

#[tokio::test]
async fn each_event_of_a_session_whose_owner_acts_names_both() {
    let site = Site::with_policy(Policy::builder().sessions_per_owner(2).build().unwrap());
    let log = Log::start();
    let mut browser = site.acting().await;
    site.due().await;
    for _ in 0..3 {
        browser.visit(async |_| ()).await;
    }
    browser.visit(async |session| session.renew().await.unwrap()).await;
    browser.visit(async |session| session.proved().await.unwrap()).await;
    let began = site.events.all().iter().position(|event| matches!(event.kind, EventKind::ActingBegan)).unwrap();
    let of_acting = site.events.all().split_off(began);
    let names: Vec<_> = of_acting.iter().map(|event| event.kind.name()).collect();
    let expected =
        ["acting_began", "successor_issued", "rotated", "renewed", "proved"].map(|name| format!("session.{name}"));
    assert_eq!(names, expected);
    assert!(of_acting.iter().all(|event| both(event) == (Some(user()), Some(other()))), "{of_acting:?}");
    for name in names {
        let line = log.lines().into_iter().find(|line| line.contains(&format!("event.name=\"{name}\""))).unwrap();
        assert!(line.contains("user.id=\"42\"") && line.contains("session.acting_as=\"7\""), "{line}");
    }
    browser.visit(async |session| session.stop_acting().await.unwrap()).await;
    browser.visit(async |session| session.renew().await.unwrap()).await;
    let last: Vec<_> = site.events.all().iter().rev().take(2).map(|event| (event.kind.name(), both(event))).collect();
    assert_eq!(last[1], ("session.acting_ended", (Some(user()), Some(other()))), "the event says as whom");
    assert_eq!(last[0], ("session.renewed", (Some(user()), None)));
}

#[tokio::test]
async fn each_end_of_a_session_whose_owner_acts_names_both() {
    let site = Site::with_policy(Policy::builder().sessions_per_owner(2).build().unwrap());
    // A theft: the token from before the rotation is used after the grace.
    let mut browser = site.acting().await;
    let thief = browser.clone();
    site.due().await;
    for _ in 0..2 {
        browser.visit(async |_| ()).await;
    }
    site.lab.advance(2 * MINUTE);
    assert_eq!(thief.owner().await, None);
    // A logout.
    let mut browser = site.acting().await;
    browser.visit(async |session| session.logout().await.unwrap()).await;
    // From the list of devices.
    let browser = site.acting().await;
    let id = browser.start().await.1.id().unwrap();
    assert!(site.manager.end(&user(), &id).await.unwrap());
    // One too many.
    site.acting().await;
    site.lab.advance(MINUTE);
    for _ in 0..2 {
        site.logged_in(USER).await;
    }
    let ends = site.told(|kind| matches!(kind, EventKind::Ended(_) | EventKind::TheftDetected));
    let reasons: Vec<_> = ends.iter().map(|event| format!("{:?}", event.kind)).collect();
    let ended = |reason| format!("{:?}", EventKind::Ended(reason));
    let expected = [EndReason::Logout, EndReason::EndedByOwner, EndReason::TooManySessions].map(ended);
    assert_eq!(reasons, [&["TheftDetected".to_owned()], &expected[..]].concat());
    assert!(ends.iter().all(|event| both(event) == (Some(user()), Some(other()))), "{ends:?}");
}

#[tokio::test]
async fn acting_is_lost_to_no_save_at_the_same_time() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let other_tab = browser.clone();
    site.lab.before_next(Call::Replace, move || {
        let mut other_tab = other_tab.clone();
        async move {
            other_tab
                .visit(async |session| {
                    add_one(session);
                })
                .await;
        }
    });
    let (late, overtaken) = browser.start().await;
    browser.visit(async |session| session.act_as(OTHER).await.unwrap()).await;
    assert_eq!((acting_as(&browser).await, browser.get::<i64>("n").await), (Some(other()), Some(1)));
    // What has begun as oneself does not go on as the other user.
    add_one(&overtaken);
    assert_eq!(late.commit().await.unwrap(), Outcome::Superseded);
    assert_eq!((acting_as(&browser).await, browser.get::<i64>("n").await), (Some(other()), Some(1)));
    site.lab.assert_all_met();
}

#[tokio::test(start_paused = true)]
async fn acting_whose_reply_is_lost_or_late_begins_and_ends_once() {
    for fault in [Fault::LosesReply, Fault::ArrivesLate, Fault::Fails] {
        let site = Site::new();
        let mut browser = site.logged_in(USER).await;
        site.lab.next(Call::Replace, fault.clone());
        browser.visit(async |session| session.act_as(OTHER).await.unwrap()).await;
        site.lab.deliver_late().await;
        assert_eq!(acting_as(&browser).await, Some(other()));
        site.lab.next(Call::Replace, fault);
        browser.visit(async |session| session.stop_acting().await.unwrap()).await;
        site.lab.deliver_late().await;
        assert_eq!((browser.owner().await, acting_as(&browser).await), (Some(user()), None));
        for kind in ["session.acting_began", "session.acting_ended"] {
            assert_eq!(site.events.count(|of| of.name() == kind), 1, "{kind}");
        }
    }
}

/// The user's name is their id. User 13 is deleted.
fn users() -> Users {
    Users::new(async |owner: Owner| Ok::<_, String>(owner.as_str().filter(|name| *name != "13").map(str::to_owned)))
}

#[tokio::test]
async fn the_user_of_a_request_is_whom_somebody_acts_as_and_roles_are_theirs() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    users().attach(&exchange);
    let admins = Guard::user(|name: &String| name == "42");
    let navigation = || Navigation::of("GET", "/admin", []);
    assert!(admins.judge(&exchange, navigation).await.is_ok());
    session.act_as(OTHER).await.unwrap();
    let user_now = adapter::user::<String>(&exchange).await.unwrap().unwrap();
    assert_eq!((user_now.as_str(), user_now.owner(), user_now.real_owner()), ("7", &other(), &user()));
    assert!(user_now.is_acted_as());
    assert_eq!(admins.judge(&exchange, navigation).await.unwrap_err().status(), 403);
    session.stop_acting().await.unwrap();
    let user_now = adapter::user::<String>(&exchange).await.unwrap().unwrap();
    assert_eq!((user_now.as_str(), user_now.owner(), user_now.real_owner()), ("42", &user(), &user()));
    assert!(!user_now.is_acted_as());
    assert!(admins.judge(&exchange, navigation).await.is_ok());
}

#[tokio::test]
async fn acting_as_a_user_who_is_gone_is_nobody_and_can_be_ended() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.act_as(13).await.unwrap()).await;
    let (exchange, session) = browser.start().await;
    users().attach(&exchange);
    assert!(adapter::user::<String>(&exchange).await.unwrap().is_none());
    let judged = Guard::login().judge(&exchange, || Navigation::of("GET", "/account", [])).await;
    assert_eq!(judged.unwrap_err().status(), 401);
    session.stop_acting().await.unwrap();
    assert_eq!(adapter::user::<String>(&exchange).await.unwrap().unwrap().as_str(), "42");
}
