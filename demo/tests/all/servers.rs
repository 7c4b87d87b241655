//! The site over a database server: several nodes, and a server that goes away.

use std::thread;

use crate::site::{Demo, until};
use serde_json::{Value, json};
use session_conformance::servers;

#[test]
fn two_demos_over_one_redis_are_one_site() {
    two_demos_are_one_site(servers::own_redis(&[]).url());
}

#[test]
fn two_demos_over_one_redis_cluster_are_one_site() {
    two_demos_are_one_site(servers::own_redis_cluster().url());
}

#[test]
fn two_demos_over_one_redis_that_sentinels_watch_are_one_site() {
    two_demos_are_one_site(servers::own_redis_sentinel().url());
}

#[test]
fn two_demos_over_one_postgresql_are_one_site() {
    two_demos_are_one_site(servers::own_postgres(&[]).url());
}

#[test]
fn two_demos_over_one_mariadb_are_one_site() {
    two_demos_are_one_site(servers::own_mysql(&[]).url());
}

#[test]
fn two_demos_over_one_mongodb_are_one_site() {
    two_demos_are_one_site(servers::own_mongodb(&[]).url());
}

#[test]
fn two_demos_behind_one_pgbouncer_are_one_site() {
    two_demos_are_one_site(servers::pgbouncer().url());
}

fn two_demos_are_one_site(store: &str) {
    let first = Demo::start(store, &[]);
    let second = first.another();
    let mut browser = first.browser();
    browser.register("anna");
    let mut elsewhere = browser.at(&second);
    assert_eq!(elsewhere.owner(), "anna");
    thread::scope(|scope| {
        for demo in [&first, &second].repeat(10) {
            let mut browser = browser.at(demo);
            scope.spawn(move || assert_eq!(browser.post("/api/counter").status, 200));
        }
    });
    assert_eq!(browser.get("/api/data").json(), json!({ "counter": 20 }));
    let mut other_device = second.browser();
    assert_eq!(other_device.login("anna").status, 303);
    assert_eq!(elsewhere.post("/logout").status, 303);
    assert_eq!(browser.owner(), Value::Null);
    assert_eq!(other_device.at(&first).owner(), "anna");
}

#[test]
fn a_redis_that_goes_away_is_an_error_and_logs_nobody_out() {
    let server = servers::own_redis(&[]);
    let demo = Demo::start(server.url(), &[]);
    let mut browser = demo.browser();
    browser.register("anna");
    server.kill();
    for answer in [browser.get("/api/me"), browser.post("/api/counter")] {
        assert_eq!((answer.status, answer.set_cookies().len()), (503, 0));
    }
    server.start();
    until("the site works again", || browser.get("/api/me").status == 200);
    assert_eq!(browser.owner(), "anna");
}
