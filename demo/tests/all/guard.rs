//! Requests that other sites may not make, pages that caches may not keep, and the edges of the JSON side.

use crate::site::Demo;
use serde_json::json;

#[test]
fn a_form_from_another_site_changes_nothing() {
    let demo = Demo::start("memory", &["--lab"]);
    let mut browser = demo.browser();
    browser.register("anna");
    let own = browser.address();
    let foreign = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for (name, value) in foreign {
        let mut evil = browser.clone().with_header(name, value);
        let calls = demo.calls(|| {
            assert_eq!(evil.post("/api/counter").status, 403, "{name}: {value}");
            assert_eq!(evil.post("/logout").status, 403);
            assert_eq!(evil.login("anna").status, 403);
            assert_eq!(evil.put("/api/data/key", "1").status, 403);
            assert_eq!(evil.delete("/api/sessions").status, 403);
        });
        assert_eq!(calls, 0);
        assert_eq!(evil.get("/api/me").status, 200, "a link may be followed");
    }
    for (name, value) in [("origin", own.as_str()), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")] {
        assert_eq!(browser.clone().with_header(name, value).post("/api/counter").status, 200, "{name}: {value}");
    }
    assert_eq!(browser.post("/api/counter").json(), 4, "a request that names no origin passes");
}

#[test]
fn forms_of_the_site_pass_also_where_a_proxy_changes_the_host() {
    let demo = Demo::start("memory", &[]);
    let send = |headers: &[(&str, &str)]| {
        let browser = headers.iter().fold(demo.browser(), |browser, (name, value)| browser.with_header(name, value));
        browser.clone().post("/api/counter").status
    };
    let origin = ("origin", "https://site.example");
    assert_eq!(send(&[origin, ("host", "site.example")]), 200);
    assert_eq!(send(&[origin, ("host", "SITE.example:443")]), 403, "they are compared as they are written");
    assert_eq!(send(&[origin, ("host", "site.example:80")]), 403);
    assert_eq!(send(&[origin, ("host", "site.example:8443")]), 403);
    assert_eq!(send(&[origin, ("host", "other.site.example")]), 403);
    assert_eq!(send(&[origin, ("sec-fetch-site", "same-origin")]), 200, "the browser knows better");
    assert_eq!(send(&[origin, ("host", "site.example"), ("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(send(&[origin, ("host", "SITE.example:443"), ("sec-fetch-site", "same-origin")]), 200);
}

#[test]
fn every_page_has_its_security_headers_and_is_as_private_as_its_session() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser();
    assert_eq!(browser.get("/").header("cache-control"), "", "a stranger's");
    browser.post("/api/counter");
    assert_eq!(browser.get("/").header("cache-control"), "private, no-cache", "a visitor's");
    browser.register("anna");
    for path in ["/", "/devices", "/login", "/api/me", "/nowhere"] {
        let answer = browser.get(path);
        let is_private = path != "/nowhere";
        assert_eq!(answer.header("cache-control"), if is_private { "no-store" } else { "" }, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    }
    assert_eq!(browser.get("/devices").header("vary"), "Cookie");
    for (asset, kind) in [("site.css", "text/css"), ("site.js", "text/javascript"), ("icon.svg", "image/svg+xml")] {
        let answer = browser.get(&format!("/assets/{asset}"));
        assert!(answer.header("content-type").starts_with(kind));
        assert!(answer.header("cache-control").starts_with("public"));
        assert!(answer.set_cookies().is_empty());
    }
    assert!(!demo.has_logged(&["session.shared_cache_allowed"]));
    for page in [browser.get("/").body, browser.get("/devices").body] {
        assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains("onclick"));
    }
    assert_eq!(browser.post("/logout").header("clear-site-data"), "\"storage\"");
}

#[test]
fn what_users_write_is_escaped() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser().with_header("user-agent", "<b>agent");
    browser.register("anna");
    browser.send("POST", "/note", "note=%3C%2Ftextarea%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E");
    let page = browser.get("/").body;
    assert!(page.contains("&lt;/textarea&gt;&lt;script&gt;") && !page.contains("<script>alert"));
    assert!(page.contains("Your note is saved.") && !browser.get("/").body.contains("Your note is saved."));
    assert!(!browser.get("/devices").body.contains("<b>agent"));
    let refused = browser.send("POST", "/login", "user=%22%3E%3Cscript%3E&password=x").body;
    assert!(refused.contains("&quot;&gt;&lt;script&gt;"));
}

#[test]
fn the_head_of_a_page_alone_takes_nothing_from_it() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser();
    browser.register("anna");
    browser.send("POST", "/note", "note=some");
    assert_eq!((browser.send("HEAD", "/", "").status, browser.send("HEAD", "/devices", "").status), (200, 200));
    assert!(browser.get("/").body.contains("Your note is saved."));
}

#[test]
fn save_and_leave_saves_and_leaves() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser();
    browser.register("anna");
    let left = browser.send("POST", "/note", "note=half+done&leave=1");
    assert_eq!((left.status, left.header("location")), (303, "/login?why=saved"));
    assert!(browser.cookies.is_empty());
    browser.login("anna");
    assert!(browser.get("/").body.contains("half done"));
    assert_eq!(demo.browser().send("POST", "/note", "note=nobody").status, 401);
}

#[test]
fn the_data_are_one_object_of_any_json() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser();
    assert_eq!(browser.get("/api/data").json(), json!({}));
    assert_eq!(browser.put("/api/data/list", r#"[1, "zwei", {"drei": null}]"#).status, 204);
    assert_eq!(browser.put("/api/data/sch%C3%B6n%2Fkey", "\"é\"").status, 204);
    assert_eq!(browser.put("/api/data/bad", "{").status, 400);
    assert_eq!(browser.put("/api/data/_label", "1").status, 403);
    assert_eq!(browser.put("/api/data/big", &format!("\"{}\"", "x".repeat(1 << 20))).status, 413);
    assert_eq!(browser.get("/api/data").json(), json!({ "list": [1, "zwei", { "drei": null }], "schön/key": "é" }));
    assert_eq!(browser.delete("/api/data/list").status, 204);
    assert_eq!(browser.get("/api/data").json(), json!({ "schön/key": "é" }));
}

#[test]
fn pages_bear_with_whatever_the_json_side_has_put_there() {
    let demo = Demo::start("memory", &[]);
    let mut browser = demo.browser();
    assert_eq!(browser.put("/api/data/cart", r#"{"coffee": 4294967295, "mug": 4294967295}"#).status, 204);
    assert_eq!(browser.get("/").status, 200);
    assert_eq!(browser.send("POST", "/cart", "article=coffee&step=more").status, 303);
    for (key, value) in [("cart", "\"abc\""), ("cart", r#"{"coffee": -1}"#), ("counter", "\"abc\"")] {
        assert_eq!(browser.put(&format!("/api/data/{key}"), value).status, 204);
        assert_eq!(browser.get("/").status, 200, "{key}: {value}");
    }
    for (path, form) in [("/api/counter", ""), ("/counter", ""), ("/cart", "article=coffee&step=more")] {
        assert_eq!(browser.send("POST", path, form).status, 409, "{path}");
    }
    assert_eq!(browser.get("/api/data").json(), json!({ "cart": { "coffee": -1 }, "counter": "abc" }));
}

#[test]
fn the_lab_is_closed_without_its_flag() {
    let demo = Demo::start("memory", &[]);
    assert_eq!(demo.browser().get("/lab/ops").status, 404);
    let began = std::time::Instant::now();
    assert_eq!(demo.browser().post("/api/counter?delay_ms=5000").json(), 1);
    assert!(began.elapsed().as_secs() < 4);
}
