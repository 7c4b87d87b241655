//! Logins and logouts.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
};

use session_core::{EventKind, Observer, SessionEvent};

use crate::adapter::trial::{Mounting, Trial};

pub(crate) fn a_login_changes_the_token_and_the_old_one_opens_nothing(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/add.count");
    let before = browser.cookies.clone();
    let answer = browser.get("/login.42");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers.cookies(&site.cookie()).len(), 1, "a login sends one cookie: {:?}", answer.headers);
    assert_ne!(browser.cookies, before, "the token of before the login goes on after it");
    assert_eq!(browser.get("/owner/get.count").text(), "42 1", "the login, and what was stored before it");
    let mut old = site.browser();
    old.cookies = before;
    assert_eq!(old.get("/owner/get.count").text(), "nobody none", "with the token of before the login");
}

pub(crate) fn a_logout_removes_the_cookie(trial: &Trial) {
    let site = trial.site();
    let mut browser = site.browser();
    browser.get("/login.42");
    let before = browser.cookies.clone();
    let answer = browser.get("/logout");
    let removals = answer.headers.cookies(&site.cookie());
    assert!(
        matches!(removals[..], [removal] if removal.contains("Max-Age=0")),
        "a logout sends one cookie, which removes: {removals:?}"
    );
    assert!(browser.cookies.is_empty());
    browser.cookies = before;
    assert_eq!(browser.get("/owner").text(), "nobody", "with the token of before the logout");
}

/// The peers of the logins.
#[derive(Clone, Debug, Default)]
struct Peers(Arc<Mutex<Vec<Option<IpAddr>>>>);

impl Observer for Peers {
    fn on(&self, event: &SessionEvent) {
        if let EventKind::LoggedIn = event.kind {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.peer);
        }
    }
}

pub(crate) fn a_login_is_told_with_the_address_of_its_client(trial: &Trial) {
    let peers = Peers::default();
    let site = trial.mount(Mounting::new().with(|manager| manager.with_observer(peers.clone())));
    site.browser().get("/login.42");
    let told = peers.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(
        told,
        [Some(IpAddr::V4(Ipv4Addr::LOCALHOST))],
        "the peers of the events: is the peer told to the session?"
    );
}
