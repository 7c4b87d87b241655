//! The table of the sessions is missing for a while.

use crate::site::{Demo, SQLITE};
use serde_json::json;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

/// Runs a statement in the database, without the demo.
fn tell(demo: &Demo, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(demo.folder().join("demo-data/sessions.db"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut connection = options.connect().await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn an_outage_is_a_503_and_loses_nothing() {
    let demo = Demo::start(SQLITE, &[]);
    let mut browser = demo.browser();
    browser.register("anna");
    browser.post("/api/counter");
    tell(&demo, "ALTER TABLE sessions RENAME TO away");
    for answer in [
        browser.get("/api/me"),
        browser.get("/"),
        browser.post("/api/counter"),
        browser.login("anna"),
        browser.post("/logout"),
        demo.browser().post("/api/counter"),
        demo.browser().login("anna"),
    ] {
        assert_eq!((answer.status, answer.body.as_str()), (503, ""));
        assert!(answer.set_cookies().is_empty());
    }
    let page = browser.clone().with_header("accept", "text/html").get("/");
    assert_eq!(page.status, 503);
    assert!(page.body.contains("try again in a moment") && page.header("content-type").starts_with("text/html"));
    let page = browser.clone().with_header("accept", "text/html").send("POST", "/note", "note=bread%2C+milk");
    assert_eq!(page.status, 503);
    assert!(page.body.contains("bread, milk</textarea>") && page.body.contains("Send again"), "{}", page.body);
    let page = demo.browser().with_header("accept", "text/html").login("anna");
    assert!(page.body.contains("value=\"anna\"") && !page.body.contains("correct horse"), "{}", page.body);
    assert_eq!(browser.get("/api/ping").status, 200);
    assert_eq!(demo.browser().get("/").status, 200, "a visitor without a session notices nothing");
    let play = demo.browser().post("/promises/logout");
    assert_eq!((play.status, play.body.contains("nothing could be shown")), (503, true), "{}", play.body);
    demo.logs(&["ERROR", "session", "the table sessions is missing"]);

    tell(&demo, "ALTER TABLE away RENAME TO sessions");
    assert_eq!(browser.owner(), "anna");
    assert_eq!(browser.get("/api/data").json(), json!({ "counter": 1 }));
}
