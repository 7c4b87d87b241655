//! Counters and durations: what is counted, and that no request can make a label.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};
use session_core::{Incoming, Lifetime, Policy, SessionManager};

use crate::support::*;

/// The numbers of this thread, under their names and labels.
#[derive(Clone, Debug, Default)]
struct Numbers(Arc<Mutex<BTreeMap<String, u64>>>);

/// One number. Of a histogram, how many values it got.
struct Number {
    numbers: Numbers,
    name: String,
}

impl Number {
    fn add(&self, value: u64) {
        *self.numbers.0.lock().unwrap().entry(self.name.clone()).or_default() += value;
    }
}

impl CounterFn for Number {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, _value: u64) {
        panic!("{} only grows", self.name);
    }
}

impl HistogramFn for Number {
    fn record(&self, seconds: f64) {
        assert!((0.0..60.0).contains(&seconds), "{} took {seconds} seconds", self.name);
        self.add(1);
    }
}

impl Numbers {
    /// Such as `session.events{event=session.ended,reason=logout}`.
    fn number(&self, key: &Key) -> Arc<Number> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(Number { numbers: self.clone(), name })
    }

    fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap().clone()
    }

    fn of(&self, name: &str) -> u64 {
        self.all().get(name).copied().unwrap_or_default()
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.number(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("{key} is a gauge, and there are none")
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.number(key))
    }
}

fn calls(method: &str, outcome: &str) -> String {
    format!("session.store.calls{{backend=memory,method={method},outcome={outcome}}}")
}

fn event(name: &str) -> String {
    format!("session.events{{event=session.{name}}}")
}

#[tokio::test]
async fn calls_of_the_store_are_counted_and_timed_by_method_and_outcome() {
    let numbers = Numbers::default();
    let _local = set_default_local_recorder(&numbers);
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let before = numbers.all();
    assert_eq!(numbers.of(&calls("create_then_load", "ok")), 1, "the login of a new visitor");
    site.lab.next(Call::Load, Fault::Fails);
    assert!(site.browser().start().await.1.login(USER).await.is_err());
    assert_eq!(numbers.of(&calls("create_then_load", "timed_out")), 1, "it was made, and the epoch could not be read");
    browser.get::<u32>("n").await;
    assert_eq!(numbers.of(&calls("load", "ok")), before.get(&calls("load", "ok")).map_or(1, |n| n + 1));
    site.lab.next(Call::Load, Fault::Fails);
    assert!(browser.open().session().await.is_err());
    assert_eq!(numbers.of(&calls("load", "unavailable")) + numbers.of(&calls("load", "timed_out")), 1);
    site.manager.revoke_all(&user()).await.unwrap();
    browser.owner().await;
    assert!(numbers.of(&calls("load", "none")) > 0 && numbers.of(&calls("revoke", "ok")) == 1);

    let all = numbers.all();
    for (name, count) in all.iter().filter(|(name, _)| name.starts_with("session.store.calls")) {
        let duration = name.replace("store.calls", "store.duration");
        assert_eq!(all.get(&duration), Some(count), "each call is timed: {name}");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_is_counted_as_that() {
    let numbers = Numbers::default();
    let _local = set_default_local_recorder(&numbers);
    let site = Site::new();
    let browser = site.logged_in(USER).await;
    let gate = site.lab.hold(Call::Load);
    let exchange = browser.open();
    tokio::select! {
        _ = exchange.session() => panic!("the load is held"),
        () = gate.reached() => {}
    }
    assert_eq!(numbers.of(&calls("load", "dropped")), 1);
}

#[tokio::test]
async fn a_refused_replace_is_one_merge() {
    let numbers = Numbers::default();
    let _local = set_default_local_recorder(&numbers);
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let other = browser.clone();
    assert_eq!(numbers.of("session.merges{}"), 0);
    site.lab.before_next(Call::Replace, move || {
        let mut other = other.clone();
        async move { other.visit(async |session| session.insert("other", &1).unwrap()).await }
    });
    browser.visit(async |session| session.insert("n", &1).unwrap()).await;
    assert_eq!(numbers.of("session.merges{}"), 1);
    assert_eq!(numbers.of(&calls("replace", "refused")), 1);
    assert_eq!(browser.get::<u32>("other").await, Some(1));
}

#[tokio::test]
async fn logins_rotations_thefts_and_logouts_are_counted_as_they_are_told() {
    let numbers = Numbers::default();
    let _local = set_default_local_recorder(&numbers);
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    let thief = browser.clone();
    site.due().await;
    browser.visit(async |_| {}).await;
    browser.visit(async |_| {}).await;
    assert_eq!([event("logged_in"), event("successor_issued"), event("rotated")].map(|name| numbers.of(&name)), [1; 3]);
    site.lab.advance(HOUR / 6);
    let _ = thief.open().session().await;
    assert_eq!(numbers.of(&event("theft")), 1);

    site.logged_in(USER).await.start().await.1.logout().await.unwrap();
    assert_eq!(numbers.of("session.events{event=session.ended,reason=logout}"), 1);
    assert_eq!(
        numbers.all().iter().filter(|(name, _)| name.starts_with("session.events")).map(|(_, n)| n).sum::<u64>(),
        { u64::try_from(site.events.all().len()).unwrap() }
    );
}

#[tokio::test]
async fn purged_sessions_are_counted_one_by_one() {
    let numbers = Numbers::default();
    let _local = set_default_local_recorder(&numbers);
    let day = Lifetime::new(HOUR, 24 * HOUR);
    let site = Site::with_policy(Policy::builder().before_login(day).build().unwrap());
    for _ in 0..3 {
        site.visitor().await;
    }
    site.lab.advance(2 * HOUR);
    assert_eq!(site.manager.purge(100).await.unwrap(), 3);
    assert_eq!(site.manager.purge(100).await.unwrap(), 0);
    assert_eq!((numbers.of("session.purged{}"), numbers.of(&event("purged"))), (3, 1));
    assert_eq!(numbers.of(&calls("purge", "ok")), 2);
}

/// Every label is from a fixed list. Nothing that a client sends becomes one, and no user does.
#[tokio::test]
async fn nothing_of_a_request_becomes_a_label_and_more_requests_make_no_more_labels() {
    let numbers = Numbers::default();
    let _local = set_default_local_recorder(&numbers);
    let site = Site::new();
    // Without a limit of lines, and with everything that an event can have.
    let manager = site.manager.clone().with_paths_in_events();
    let mut sizes = Vec::new();
    for number in 0..40_u32 {
        let secret = format!("zz{number}zz");
        let request = |cookie: &str| {
            Incoming::new([cookie.as_bytes()])
                .with_resource(&secret, &format!("/{secret}"))
                .with_route(&secret)
                .with_host(&secret)
                .with_fetch_metadata(&secret, &secret)
        };
        act(&manager, &request(&format!("__Host-session={secret}")), &secret).await;
        sizes.push(numbers.all().len());
    }
    assert_eq!(sizes[4], sizes[39], "the labels do not grow with the requests: {sizes:?}");
    for name in numbers.all().keys() {
        assert!(!name.contains("zz"), "{name}");
    }
}

/// A request that logs in, lists the devices, renews and logs out.
async fn act(manager: &SessionManager, incoming: &Incoming, owner: &str) {
    let exchange = manager.open(incoming.clone());
    let session = exchange.session().await.unwrap();
    session.insert(owner, owner).unwrap();
    session.login(owner).await.unwrap();
    assert_eq!(session.devices().await.unwrap().len(), 1);
    session.renew().await.unwrap();
    session.logout().await.unwrap();
    exchange.commit().await.unwrap();
}
