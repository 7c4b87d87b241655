//! What the adapter tells the session of a request, as events show it.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
};

use session_core::{
    CookieConfig, EventKind, Observer, PlainHttp, ProxyHeader, SessionEvent, SessionManager, TrustedProxies,
};

use crate::adapter::trial::{Mounting, Running, Trial};

/// What anybody may write in the headers of proxies: another client, scheme and host.
const CLAIMS: [(&str, &str); 7] = [
    ("X-Real-IP", "203.0.113.5"),
    ("X-Forwarded-For", "203.0.113.5"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "elsewhere.example"),
    ("Forwarded", "for=203.0.113.5;proto=https;host=elsewhere.example"),
    ("Forwarded", "for=203.0.113.5;proto=http;host=elsewhere.example"),
];

/// The events of a site.
#[derive(Clone, Debug, Default)]
pub(super) struct Events(Arc<Mutex<Vec<SessionEvent>>>);

impl Observer for Events {
    fn on(&self, event: &SessionEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
    }
}

impl Events {
    /// The events that this picks. Those of before are forgotten.
    pub(super) fn take<T>(&self, pick: impl Fn(&SessionEvent) -> Option<T>) -> Vec<T> {
        let events = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        events.iter().filter_map(pick).collect()
    }

    fn logins<T>(&self, pick: impl Fn(&SessionEvent) -> T) -> Vec<T> {
        self.take(|event| matches!(event.kind, EventKind::LoggedIn).then(|| pick(event)))
    }
}

pub(super) fn site(trial: &Trial, change: impl FnOnce(SessionManager) -> SessionManager) -> (Running, Events) {
    let events = Events::default();
    (trial.mount(Mounting::new().with(|manager| change(manager.with_observer(events.clone())))), events)
}

/// The kit itself stands in the place of the proxy.
fn trusting(header: ProxyHeader) -> TrustedProxies {
    TrustedProxies::at(["127.0.0.1"]).unwrap().with_header(header)
}

/// A cookie of which an event tells if the client does not speak https.
fn secure_cookie() -> CookieConfig {
    CookieConfig::builder("secure").secure(true).build().unwrap()
}

pub(crate) fn a_login_is_told_with_the_address_of_its_client(trial: &Trial) {
    let (site, events) = site(trial, |manager| manager);
    site.browser().get("/login.42");
    let here = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(events.logins(|event| event.peer), [here], "the peers of the events: is the peer told to the session?");
}

pub(crate) fn a_login_is_told_with_the_address_that_a_trusted_proxy_names(trial: &Trial) {
    for (header, name, value) in [
        (ProxyHeader::XForwarded, "X-Forwarded-For", "203.0.113.5"),
        (ProxyHeader::Forwarded, "Forwarded", "for=203.0.113.5"),
    ] {
        let (site, events) = site(trial, |manager| manager.with_trusted_proxies(trusting(header)));
        site.browser().ask("GET", "/login.42", &[(name, value)]);
        let client = Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5)));
        assert_eq!(events.logins(|event| event.peer), [client], "the peer behind a proxy that says {name}: {value}");
    }
}

pub(crate) fn of_several_lines_of_a_header_none_is_left_out(trial: &Trial) {
    for (header, name, before) in
        [(ProxyHeader::XForwarded, "X-Forwarded-For", ""), (ProxyHeader::Forwarded, "Forwarded", "for=")]
    {
        let (site, events) = site(trial, |manager| manager.with_trusted_proxies(trusting(header)));
        // What the client has forged before the line of its proxy, and two proxies of the site.
        for lines in [["198.51.100.9", "203.0.113.5"], ["203.0.113.5", "127.0.0.1"]] {
            let lines = lines.map(|address| format!("{before}{address}"));
            site.browser().ask("GET", "/login.42", &lines.each_ref().map(|line| (name, line.as_str())));
            let client = Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5)));
            assert_eq!(
                events.logins(|event| event.peer),
                [client],
                "the client behind a trusted proxy, and two lines of `{name}`: {lines:?}. A forged line counts if the layer \
                 tells one line of each name. Does it tell all of them?"
            );
        }
    }
    let (site, _) = site(trial, |manager| manager);
    for lines in [["cross-site", "same-origin"], ["same-origin", "cross-site"]] {
        let answer = site.browser().ask("POST", "/put.count.7", &lines.map(|line| ("Sec-Fetch-Site", line)));
        assert!(
            answer.headers.cookies(&site.cookie()).is_empty(),
            "a form of another site has got a new session, which replaces a login that the browser has kept back: one of two \
             lines of `Sec-Fetch-Site` says so, {lines:?}. Does the layer tell all lines of a name? {:?}",
            answer.headers
        );
    }
}

pub(crate) fn a_trusted_proxy_says_whether_its_client_speaks_https(trial: &Trial) {
    for (header, name, insecure, secure) in [
        (ProxyHeader::XForwarded, "X-Forwarded-Proto", "http", "https"),
        (ProxyHeader::Forwarded, "Forwarded", "proto=http", "proto=https"),
    ] {
        let (site, events) =
            site(trial, |manager| manager.with_cookie(secure_cookie()).with_trusted_proxies(trusting(header)));
        for (value, expected) in [(insecure, &[PlainHttp::Proxy][..]), (secure, &[])] {
            site.browser().ask("GET", "/login.42", &[("Host", "shop.example"), (name, value)]);
            let told = events.take(|event| match event.kind {
                EventKind::InsecureTransport(cause) => Some(cause),
                _ => None,
            });
            assert_eq!(told, expected, "causes of a secure cookie over plain http, behind {name}: {value}");
        }
    }
}

pub(crate) fn a_proxy_that_is_not_trusted_changes_nothing(trial: &Trial) {
    let elsewhere = || TrustedProxies::at(["192.0.2.1"]).unwrap();
    let forwarded = elsewhere().with_header(ProxyHeader::Forwarded);
    for proxies in [TrustedProxies::default(), elsewhere(), forwarded] {
        let (site, events) = site(trial, |manager| manager.with_cookie(secure_cookie()).with_trusted_proxies(proxies));
        for origin in [None, Some("http://shop.example"), Some("http://elsewhere.example")] {
            let told = |claim| {
                let mut headers = vec![("Host", "shop.example")];
                headers.extend(origin.map(|origin| ("Origin", origin)));
                headers.extend(claim);
                site.browser().ask("POST", "/login.42", &headers);
                events.take(|event| Some(format!("{:?} from {:?}", event.kind, event.peer)))
            };
            let expected = told(None);
            for (name, value) in CLAIMS {
                assert_eq!(
                    told(Some((name, value))),
                    expected,
                    "the events of a login at shop.example with the origin {origin:?}: the header `{name}: {value}` has \
                     changed them, though the peer is no trusted proxy, and anybody can send it. Is the peer taken from \
                     the connection, and what proxies say left to core?"
                );
            }
        }
    }
}

pub(crate) fn an_event_has_the_method_and_the_path_of_its_request(trial: &Trial) {
    let (site, events) = site(trial, SessionManager::with_paths_in_events);
    for method in ["GET", "POST"] {
        site.browser().ask(method, "/say.hello/login.42?next=/account", &[]);
        let told = events.logins(|event| (event.method.clone(), event.path.clone()));
        let expected = [(Some(method.to_owned()), Some("/say.hello/login.42".to_owned()))];
        assert_eq!(told, expected, "the method and the path of the event, without the query");
    }
}
