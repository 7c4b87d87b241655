//! The limit of sessions for an owner who has many, and for one who logs in twice at once.

use session_core::{EndReason, Entry, Error, EventKind, Owner, Policy, Revision, SessionId, Store};
use session_memory::MemoryStore;

use crate::support::*;

fn limited(limit: u32) -> Site {
    Site::with_policy(Policy::builder().sessions_per_owner(limit).build().unwrap())
}

/// Gives the owner sessions that cannot be read, so they count as the oldest.
async fn old_sessions(site: &Site, owner: &Owner, count: u32) {
    for number in 0..count {
        let id = SessionId::from_bytes(u128::from(number).to_be_bytes());
        let entry = Entry::new(Revision::from_bytes([1; 8]), b"old").with_owner(Some(owner));
        site.lab.memory.create(&id, entry, HOUR, HOUR).await.unwrap();
    }
}

/// Another login at a limit of five. It evicts the same sessions, and is a little quicker.
async fn evict_one(memory: &MemoryStore, owner: &Owner) {
    let listed = memory.list(owner).await.unwrap();
    let old = listed.iter().filter(|(_, loaded)| loaded.payload == "old").min_by_key(|(id, _)| *id);
    if let Some((id, loaded)) = old.filter(|_| listed.len() > 5) {
        memory.delete(id, loaded.revision).await.unwrap();
    }
}

fn login(browser: Browser) -> tokio::task::JoinHandle<Result<(), Error>> {
    tokio::spawn(async move { browser.start().await.1.login(USER).await })
}

#[tokio::test(start_paused = true)]
async fn thirty_two_sessions_are_evicted_at_once() {
    let site = limited(5);
    old_sessions(&site, &user(), 100).await;
    let gates: Vec<_> = (0..32).map(|_| site.lab.hold(Call::Delete)).collect();
    let admitted = login(site.browser());
    for gate in &gates {
        tokio::time::timeout(MINUTE, gate.reached()).await.expect("fewer were sent");
    }
    let deletions = site.lab.calls().into_iter().filter(|call| *call == Call::Delete).count();
    assert_eq!(deletions, 32, "and no more than that");
    gates.iter().for_each(Gate::open);
    admitted.await.unwrap().unwrap();
    assert_eq!(site.lab.memory.list(&user()).await.unwrap().len(), 5);
    assert_eq!(site.events.count(|kind| matches!(kind, EventKind::Ended(EndReason::TooManySessions))), 96);
}

#[tokio::test(start_paused = true)]
async fn two_logins_at_the_limit_are_not_both_refused_where_others_evict_the_same_sessions() {
    let (site, owner) = (limited(5), user());
    old_sessions(&site, &owner, 1100).await;
    for _ in 0..1100 {
        let (memory, owner) = (site.lab.memory.clone(), owner.clone());
        site.lab.before_next(Call::Delete, move || {
            let (memory, owner) = (memory.clone(), owner.clone());
            async move { evict_one(&memory, &owner).await }
        });
    }
    let logins = [login(site.browser()), login(site.browser())];
    for login in logins {
        login.await.unwrap().unwrap();
    }
    assert_eq!(site.lab.memory.list(&owner).await.unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn two_logins_at_the_limit_are_not_both_refused_where_they_evict_the_same_thousands() {
    for limit in [1, 5] {
        let site = limited(limit);
        old_sessions(&site, &user(), 2000).await;
        let logins = [login(site.browser()), login(site.browser())];
        let mut admitted = 0;
        for login in logins {
            match login.await.unwrap() {
                Ok(()) => admitted += 1,
                Err(Error::LoginRevoked) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(admitted >= 1, "both were refused");
        let devices = site.manager.devices(&user()).await.unwrap().len();
        assert!(devices >= 1, "they have evicted one another");
        assert!(site.lab.memory.list(&user()).await.unwrap().len() <= limit as usize);
    }
}

/// The younger login has ended the older one before the older one looks. The older token opens nothing, so it must not
/// leave.
#[tokio::test]
async fn a_login_that_another_has_evicted_before_it_looks_is_refused() {
    let site = limited(1);
    let list = site.lab.hold(Call::List);
    let older = login(site.browser());
    list.reached().await;
    site.lab.advance(SECOND);
    let younger = site.logged_in(USER).await;
    list.open();
    assert!(matches!(older.await.unwrap(), Err(Error::LoginRevoked)));
    assert_eq!(younger.owner().await, Some(user()));
}

/// Otherwise both could be refused: the younger because of the lost answer, the older because it has been ended.
#[tokio::test(start_paused = true)]
async fn an_eviction_whose_answer_is_lost_refuses_no_login() {
    for fault in [Fault::LosesReply, Fault::Fails] {
        let site = limited(1);
        let first = site.logged_in(USER).await;
        site.lab.advance(SECOND);
        site.lab.next(Call::Delete, fault.clone());
        site.lab.next(Call::Delete, fault);
        let second = site.logged_in(USER).await;
        assert_eq!((first.owner().await, second.owner().await), (None, Some(user())));
    }
}

#[tokio::test(start_paused = true)]
async fn an_eviction_that_fails_each_time_refuses_the_login_and_is_given_up_soon() {
    let site = limited(5);
    old_sessions(&site, &user(), 1000).await;
    for _ in 0..32 * 3 {
        site.lab.next(Call::Delete, Fault::Fails);
    }
    let refused = login(site.browser()).await.unwrap();
    assert!(matches!(refused, Err(Error::LoginRevoked)), "{refused:?}");
    let is_unknown = |kind: &EventKind| matches!(kind, EventKind::LoginRevoked { cause: Some(Error::Store(_)) });
    assert_eq!(site.events.count(is_unknown), 1);
    site.lab.assert_all_met();
    assert_eq!(site.lab.memory.list(&user()).await.unwrap().len(), 1000, "its own session is gone");
}

/// Each reader puts the sessions in the same order: the oldest first, and by their ids if they are equally old.
#[tokio::test]
async fn of_three_logins_at_once_the_youngest_stands_in_any_order_of_looking() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let site = limited(1);
        let (mut gates, mut logins) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            gates.push(site.lab.hold(Call::List));
            logins.push(Some(login(site.browser())));
            gates[gates.len() - 1].reached().await;
            site.lab.advance(SECOND);
        }
        let mut outcomes = [false; 3];
        for index in order {
            gates[index].open();
            outcomes[index] = logins[index].take().unwrap().await.unwrap().is_ok();
        }
        assert_eq!(outcomes, [false, false, true], "{order:?}");
        assert_eq!(site.manager.devices(&user()).await.unwrap().len(), 1, "{order:?}");
    }
}
