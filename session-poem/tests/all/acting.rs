//! A user acts as another one.

use std::sync::mpsc;

use ::poem::{EndpointExt, Route, get, handler};
use session_memory::MemoryStore;
use session_poem::{
    AccessLogLayer, AccessRecord, CurrentUser, Owner, Session, SessionError, SessionLayer, SessionManager, require,
};

use crate::site::Browser;

struct User {
    name: String,
    is_admin: bool,
}

#[handler]
async fn me(user: CurrentUser<User>) -> String {
    format!("{} for {}, {}", user.name, user.real_owner(), user.is_acted_as())
}

#[handler]
async fn login(session: Session) -> Result<(), SessionError> {
    Ok(session.login(42).await?)
}

#[handler]
async fn act(session: Session) -> Result<(), SessionError> {
    Ok(session.act_as(7).await?)
}

#[handler]
async fn stop(session: Session) -> Result<(), SessionError> {
    Ok(session.stop_acting().await?)
}

#[tokio::test]
async fn the_user_and_the_roles_are_those_of_whom_somebody_acts_as_and_the_access_line_names_both() {
    let users = async |owner: Owner| {
        Ok::<_, String>(Some(User { name: format!("user {owner}"), is_admin: owner == Owner::from(42) }))
    };
    let (sender, records) = mpsc::channel();
    let log = AccessLogLayer::new().with_writer(move |record: &AccessRecord| sender.send(record.clone()).unwrap());
    let sessions = SessionLayer::new(SessionManager::development(MemoryStore::new())).with_users(users);
    let admins = require(|user: &User| user.is_admin);
    let app = Route::new()
        .at("/admin", get(me).with(admins))
        .at("/me", get(me))
        .at("/login", get(login))
        .at("/act", get(act))
        .at("/stop", get(stop))
        .with(sessions)
        .with(log);
    let mut browser = Browser::default();
    let mut seen = Vec::new();
    for path in ["/login", "/me", "/act", "/me", "/admin", "/stop", "/me", "/admin"] {
        let answer = browser.get(&app, path).await;
        seen.push((answer.status.as_u16(), answer.text));
    }
    let ok = |text: &str| (200, text.to_owned());
    let (own, acting) = (ok("user 42 for 42, false"), ok("user 7 for 42, true"));
    let refused = (403, String::new());
    assert_eq!(seen, [ok(""), own.clone(), ok(""), acting, refused, ok(""), own.clone(), own]);
    let lines: Vec<_> = records.try_iter().map(|record| (record.owner.unwrap(), record.acting_as)).collect();
    let line = |acting_as: Option<&str>| ("42".to_owned(), acting_as.map(str::to_owned));
    let [own, acting] = [line(None), line(Some("7"))];
    let expected = [&own, &own, &acting, &acting, &acting, &own, &own, &own];
    assert_eq!(lines.iter().collect::<Vec<_>>(), expected);
}
