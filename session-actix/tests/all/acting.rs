//! A user acts as another one.

use std::sync::mpsc;

use actix_web::{App, test::init_service, web};
use session_actix::{
    AccessLogLayer, AccessRecord, CurrentUser, Owner, Session, SessionError, SessionLayer, SessionManager, require,
};
use session_memory::MemoryStore;

use crate::site::Browser;

struct User {
    name: String,
    is_admin: bool,
}

async fn me(user: CurrentUser<User>) -> String {
    format!("{} for {}, {}", user.name, user.real_owner(), user.is_acted_as())
}

async fn login(session: Session) -> Result<&'static str, SessionError> {
    session.login(42).await?;
    Ok("")
}

async fn act(session: Session) -> Result<&'static str, SessionError> {
    session.act_as(7).await?;
    Ok("")
}

async fn stop(session: Session) -> Result<&'static str, SessionError> {
    session.stop_acting().await?;
    Ok("")
}

#[actix_web::test]
async fn the_user_and_the_roles_are_those_of_whom_somebody_acts_as_and_the_access_line_names_both() {
    let users = async |owner: Owner| {
        Ok::<_, String>(Some(User { name: format!("user {owner}"), is_admin: owner == Owner::from(42) }))
    };
    let (sender, records) = mpsc::channel();
    let log = AccessLogLayer::new().with_writer(move |record: &AccessRecord| sender.send(record.clone()).unwrap());
    let sessions = SessionLayer::new(SessionManager::development(MemoryStore::new())).with_users(users);
    let admins = require(|user: &User| user.is_admin);
    let app = App::new()
        .service(web::resource("/admin").wrap(admins).route(web::get().to(me)))
        .route("/me", web::get().to(me))
        .route("/login", web::get().to(login))
        .route("/act", web::get().to(act))
        .route("/stop", web::get().to(stop))
        .wrap(sessions)
        .wrap(log);
    let app = init_service(app).await;
    let mut browser = Browser::default();
    let mut seen = Vec::new();
    for path in ["/login", "/me", "/act", "/me", "/admin", "/stop", "/me", "/admin"] {
        let answer = browser.get(&app, path).await;
        seen.push((answer.status.as_u16(), answer.text().to_owned()));
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
