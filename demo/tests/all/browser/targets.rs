//! Redirects to texts that `is_local_target` accepts: where a browser goes.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Router, extract::Query, response::Redirect, routing::get};
use serde_json::{Value, json};
use session_core::is_local_target;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::browser::{chromium::Chromium, stall::in_a_browser};

in_a_browser! {
    nothing_that_is_accepted_as_a_target_leaves_the_site
}

/// The parts of which attacks are made.
const PARTS: [&str; 16] =
    ["/", "\\", "%2f", "%5c", "%252f", "%09", "\t", "\n", "%0a", "%", "@", ":", "?", ".", "https:", "evil.test"];

/// All texts of up to four parts.
fn texts() -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut last = texts.clone();
    for _ in 0..4 {
        last = last.iter().flat_map(|text| PARTS.map(|part| format!("{text}{part}"))).collect();
        texts.extend(last.iter().cloned());
    }
    texts
}

async fn nothing_that_is_accepted_as_a_target_leaves_the_site() {
    let go = async |Query(asked): Query<BTreeMap<String, String>>| {
        let target = asked.get("to").filter(|to| is_local_target(to));
        Redirect::to(target.map_or("/refused", String::as_str))
    };
    let app = Router::new().route("/go", get(go)).fallback(async || "a page of ours");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let chromium = Chromium::start();
    let profile = chromium.profile_at(Arc::new(TempDir::new().unwrap()), site.clone()).await;
    profile.open("/").await;
    let (accepted, refused): (Vec<_>, Vec<_>) = texts().into_iter().partition(|text| is_local_target(text));
    assert!(accepted.len() > 1000 && refused.len() > 1000, "{} {}", accepted.len(), refused.len());
    // A text that is no address leads nowhere.
    let leaving = "return arguments[0].filter((target) => URL.canParse(target, location.href)
                       && new URL(target, location.href).origin !== location.origin)";
    let leaves = async |targets: &[String]| {
        let left = profile.driver.execute(leaving, vec![json!(targets)]).await.unwrap();
        left.json().as_array().unwrap().len()
    };
    assert_eq!(leaves(&accepted).await, 0);
    assert!(leaves(&refused).await > 1000, "the browser would leave with many that are refused");
    // Now the redirect itself, as the browser follows it, for texts of up to two parts.
    let follow = "const [targets, done] = arguments;
                  const go = (to) => fetch('/go?to=' + encodeURIComponent(to)).then(({ url }) => new URL(url).origin, String);
                  Promise.all(targets.map(go)).then((origins) => done([...new Set(origins)]));";
    let some: Vec<_> = texts().into_iter().take(1 + 16 + 256).collect();
    let origins = profile.driver.execute_async(follow, vec![json!(some)]).await.unwrap();
    assert_eq!(origins.json(), &Value::from(vec![site]));
}
