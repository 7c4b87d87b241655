//! A write whose outcome is unknown, and what the exchange does next.

use http::header;
use session_core::{Entry, Error, Exchange, Expiry, Outcome, Revision, Session, Store};

use crate::support::*;

/// Lets the next replace fail, and the load that would tell whether it was applied.
fn lose_outcome(site: &Site) {
    site.lab.next(Call::Replace, Fault::Fails);
    site.lab.next(Call::Load, Fault::Fails);
}

/// A request of this browser whose save has failed after it was sent. Its outcome is unknown.
async fn in_flight(site: &Site, browser: &Browser) -> (Exchange, Session) {
    let (exchange, session) = browser.start().await;
    session.insert("n", &1).unwrap();
    lose_outcome(site);
    session.save().await.unwrap_err();
    site.lab.assert_all_met();
    site.lab.calls();
    (exchange, session)
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_cannot_settle_what_is_in_flight_counts_as_sent() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = in_flight(&site, &browser).await;
    site.lab.next(Call::Load, Fault::Fails);
    assert!(matches!(exchange.commit().await, Err(Error::Store(_))));
    site.lab.assert_all_met();
    assert!(matches!(session.login(USER).await, Err(Error::ResponseSent)));
    assert_eq!(site.manager.session_count(&user()).await.unwrap(), 0, "no login whose cookie does not leave");
}

#[tokio::test(start_paused = true)]
async fn a_logout_does_not_settle_what_is_in_flight_first() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (_, session) = in_flight(&site, &browser).await;
    site.lab.next(Call::Load, Fault::Fails);
    session.logout().await.unwrap();
    assert_eq!(site.lab.calls(), [Call::Delete], "what was to be saved ends with the session");
    site.lab.forget_faults();
}

#[tokio::test(start_paused = true)]
async fn a_logout_drops_a_write_that_is_in_flight() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let (exchange, session) = in_flight(&site, &browser).await;
    session.logout().await.unwrap();
    session.insert("after", &true).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved, "the session after the logout is not lost");
    browser.receive(&exchange.headers());
    assert_eq!((browser.get("after").await, browser.get::<i64>("n").await), (Some(true), None));
}

#[tokio::test(start_paused = true)]
async fn a_logout_drops_a_creation_that_is_in_flight() {
    let site = Site::new();
    let mut browser = site.browser();
    let (exchange, session) = browser.start().await;
    session.insert("n", &1).unwrap();
    let gate = site.lab.hold(Call::Create);
    tokio::select! {
        _ = session.save() => panic!("the creation was held"),
        () = gate.reached() => {}
    }
    session.logout().await.unwrap();
    session.insert("after", &true).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    browser.receive(&exchange.headers());
    assert_eq!((browser.get("after").await, browser.get::<i64>("n").await), (Some(true), None));
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_could_not_be_stored_does_not_stay_in_flight() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    site.due().await;
    let (exchange, session) = browser.start().await;
    lose_outcome(&site);
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged, "nothing of the handler's was lost");
    site.lab.assert_all_met();
    site.lab.calls();
    session.insert("n", &1).unwrap();
    session.save().await.unwrap();
    assert_eq!(site.lab.calls(), [Call::Replace], "nothing is left to be asked for");
}

/// Before the next load others write to the session, until it remembers none of the earlier revisions.
fn forget_revisions(site: &Site, browser: &Browser) {
    let browser = browser.clone();
    site.lab.before_next(Call::Load, move || {
        let mut other = browser.clone();
        async move {
            for count in 1..=8 {
                other.visit(async |session| session.insert("of others", &count).unwrap()).await;
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_drops_a_write_s_changes() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    add_one(&session);
    site.lab.next(Call::Replace, Fault::LosesReply);
    forget_revisions(&site, &browser);
    assert!(matches!(session.save().await, Err(Error::OutcomeUnknown)));
    site.lab.assert_all_met();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert_eq!(browser.get::<i64>("n").await, Some(1), "it is not applied twice");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_keeps_a_login_s_changes() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    session.insert("chosen", &true).unwrap();
    site.lab.next(Call::Replace, Fault::Fails);
    forget_revisions(&site, &browser);
    assert!(matches!(session.login(USER).await, Err(Error::OutcomeUnknown)));
    site.lab.assert_all_met();
    // The generation is still the one that was loaded. So neither the login nor anything with it was applied.
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Saved);
    assert_eq!((browser.get("chosen").await, browser.owner().await), (Some(true), None));
}

#[tokio::test(start_paused = true)]
async fn vary_leaves_with_a_response_whose_session_could_not_be_loaded() {
    let site = Site::new();
    let browser = site.visitor().await;
    let exchange = browser.open();
    site.lab.next(Call::Load, Fault::Fails);
    assert!(matches!(exchange.session().await, Err(Error::Store(_))));
    exchange.commit().await.unwrap();
    assert_eq!(exchange.headers().get(header::VARY).unwrap(), "Cookie");
    assert!(exchange.loaded().is_none());
}

/// The place of the generation in the payload: after the version, the head's length and the flags, in big endian.
const GENERATION: std::ops::Range<usize> = 4..8;

/// Before the next load, a login of the same user takes over the session that this request has just given this generation.
fn overtake_before_next_load(site: &Site, session: &Session, generation: u32) {
    let (memory, id, owner) = (site.lab.memory.clone(), session.id().unwrap(), user());
    site.lab.before_next(Call::Load, move || {
        let (memory, owner) = (memory.clone(), owner.clone());
        async move {
            let loaded = memory.load(&id).await.unwrap().unwrap();
            let mut payload = loaded.payload.to_vec();
            assert_eq!(payload[GENERATION], generation.to_be_bytes(), "this request's was applied");
            payload[GENERATION].copy_from_slice(&(generation + 1).to_be_bytes());
            let entry = Entry::new(Revision::from_bytes([9; 8]), &payload).with_owner(Some(&owner));
            let restart = Expiry::Restart { expires_in: HOUR, ends_in: 24 * HOUR };
            assert!(memory.replace(&id, loaded.revision, entry, restart).await.unwrap());
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_login_whose_answer_was_lost_and_that_another_overtook_is_superseded() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    site.lab.next(Call::Replace, Fault::LosesReply);
    overtake_before_next_load(&site, &session, 1);
    let outcome = session.login(USER).await;
    assert!(matches!(outcome, Err(Error::Superseded)), "{outcome:?}");
    site.lab.assert_all_met();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange), "it would be of nobody's generation");
    assert_eq!(site.lab.memory.list(&user()).await.unwrap().len(), 1, "the other login goes on");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_was_lost_and_that_a_login_overtook_is_superseded() {
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let (exchange, session) = browser.start().await;
    site.lab.next(Call::Replace, Fault::LosesReply);
    overtake_before_next_load(&site, &session, 2);
    let outcome = session.renew().await;
    assert!(matches!(outcome, Err(Error::Superseded)), "{outcome:?}");
    site.lab.assert_all_met();
    exchange.commit().await.unwrap();
    assert!(!sets_cookie(&exchange), "it would be of nobody's generation");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_given_up_and_that_another_overtook_is_superseded() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    let gate = site.lab.hold_reply(Call::Replace);
    tokio::select! {
        _ = session.login(USER) => panic!("the login was held"),
        () = gate.reached() => {}
    }
    overtake_before_next_load(&site, &session, 1);
    session.insert("n", &1).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Superseded);
    site.lab.assert_all_met();
    assert!(!sets_cookie(&exchange));
}

#[tokio::test(start_paused = true)]
async fn a_commit_waits_for_a_save_that_is_on_its_way() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (exchange, session) = browser.start().await;
    session.insert("n", &1).unwrap();
    let gate = site.lab.hold(Call::Replace);
    let save = tokio::spawn(async move { session.save().await });
    gate.reached().await;
    let mut commit = std::pin::pin!(exchange.commit());
    tokio::select! {
        biased;
        _ = &mut commit => panic!("the response would leave before what its page has saved"),
        () = tokio::task::yield_now() => {}
    }
    gate.open();
    assert_eq!(commit.await.unwrap(), Outcome::Unchanged);
    save.await.unwrap().unwrap();
    assert_eq!(browser.get::<i64>("n").await, Some(1));
}
