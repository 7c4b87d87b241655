//! The page that shows the promises, as a visitor uses it.

use serde_json::json;
use thirtyfour::By;

use crate::browser::{
    chromium::{Chromium, until},
    site::{Demo, SQLITE},
    stall::in_a_browser,
};

in_a_browser! {
    a_visitor_finds_each_promise_on_the_first_page_and_sees_it_kept
    requests_that_the_browser_races_add_up
}

async fn a_visitor_finds_each_promise_on_the_first_page_and_sees_it_kept() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.open("/").await;
    let links = profile.driver.find_all(By::Css("main a[href^='/promises#']")).await.unwrap();
    let mut paths = Vec::new();
    for link in links {
        paths.push(link.attr("href").await.unwrap().unwrap());
    }
    assert_eq!(paths.len(), 9);
    for path in paths {
        profile.open("/").await;
        profile.click(&format!("main a[href='{path}']")).await;
        profile.is_at(&path).await;
        let name = path.split_once('#').unwrap().1;
        profile.click(&format!("#{name} button")).await;
        profile.is_at(&format!("/promises/{name}#{name}")).await;
        until(&format!("{name} is kept"), async || {
            let verdict = format!("return document.querySelector('#{name} .play + .notice')?.innerText ?? ''");
            profile.run(&verdict).await.as_str().unwrap().starts_with("Kept.")
        })
        .await;
        let top = profile.run(&format!("return document.getElementById('{name}').getBoundingClientRect().top")).await;
        assert!((0.0..800.0).contains(&top.as_f64().unwrap()), "the page shows {name}: {top}");
    }
    assert!(profile.session_cookie().await.is_none(), "the plays make no session of the visitor's");
}

async fn requests_that_the_browser_races_add_up() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.open("/promises").await;
    for (before, after) in [(1, 21), (22, 42)] {
        profile.press("Race with this browser").await;
        profile
            .sees(&format!(
                "Kept. None was lost: your counter stood at {before}, 20 requests added one each at once, and it stands at {after}."
            ))
            .await;
    }
    assert_eq!(profile.api("/api/data").await, json!({ "counter": 42 }));
}
