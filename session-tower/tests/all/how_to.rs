//! The examples under "How to" on the front page of the documentation, over requests.

use std::sync::{Arc, Mutex};

use axum::{Router, http::StatusCode, routing::get};
use session_conformance::FaultyStore;
use session_tower::{CurrentOwner, Error, Login, Session, SessionError, SessionLayer, SessionManager};

use crate::site::Browser;

/// The session that a websocket would keep after its response has left.
type Socket = Arc<Mutex<Option<Session>>>;

async fn log_in(session: Session) -> Result<(), SessionError> {
    session.insert("browser", "a browser")?;
    session.insert("flash", "welcome")?;
    Ok(session.login(Login::new(42).remembered(true)).await?)
}

async fn flash(session: Session) -> Result<String, SessionError> {
    Ok(session.take::<String>("flash").await?.unwrap_or_default())
}

async fn log_out(session: Session) -> Result<(), SessionError> {
    session.logout().await?;
    Ok(session.insert("flash", "goodbye")?)
}

async fn devices(_: CurrentOwner, session: Session) -> Result<String, SessionError> {
    let mut labels = String::new();
    for device in session.devices().await? {
        labels += &format!("{} {};", device.get::<String>("browser")?.unwrap_or_default(), device.is_current);
    }
    Ok(labels)
}

async fn end_others(session: Session) -> Result<String, SessionError> {
    Ok(session.revoke_others().await?.to_string())
}

async fn count(session: &Session) -> Result<u64, Error> {
    let count = session.update_now("messages", |count: &mut u64| *count += 1).await?;
    Ok(count)
}

fn app(socket: &Socket) -> Router {
    let opened = socket.clone();
    let open = async move |_: CurrentOwner, session: Session| {
        *opened.lock().unwrap() = Some(session);
    };
    Router::new()
        .route("/log-in", get(log_in))
        .route("/log-out", get(log_out))
        .route("/flash", get(flash))
        .route("/devices", get(devices))
        .route("/end-others", get(end_others))
        .route("/message", get(async |session: Session| Ok::<_, SessionError>(count(&session).await?.to_string())))
        .route("/socket", get(open))
        .layer(SessionLayer::new(SessionManager::development(FaultyStore::default())))
}

#[tokio::test]
async fn a_flash_message_is_said_once_also_after_a_logout() {
    let app = app(&Socket::default());
    let mut browser = Browser::default();
    browser.get(&app, "/log-in").await;
    assert_eq!(browser.get(&app, "/flash").await.text(), "welcome");
    assert_eq!(browser.get(&app, "/flash").await.text(), "");
    browser.get(&app, "/log-out").await;
    assert_eq!(browser.get(&app, "/flash").await.text(), "goodbye");
    assert_eq!(browser.get(&app, "/devices").await.head.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_devices_are_listed_with_their_labels_and_ended() {
    let app = app(&Socket::default());
    let (mut here, mut there) = (Browser::default(), Browser::default());
    there.get(&app, "/log-in").await;
    here.get(&app, "/log-in").await;
    let listed = here.get(&app, "/devices").await;
    assert!(
        listed.text().contains("a browser true;") && listed.text().contains("a browser false;"),
        "{}",
        listed.text()
    );
    assert_eq!(here.get(&app, "/end-others").await.text(), "1");
    assert_eq!(here.get(&app, "/devices").await.text(), "a browser true;");
    assert_eq!(there.get(&app, "/devices").await.head.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_socket_counts_with_the_pages_until_the_logout() {
    let socket = Socket::default();
    let app = app(&socket);
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/socket").await.head.status, StatusCode::UNAUTHORIZED);
    browser.get(&app, "/log-in").await;
    assert_eq!(browser.get(&app, "/socket").await.head.status, StatusCode::OK);
    let session = socket.lock().unwrap().take().unwrap();
    assert_eq!(count(&session).await.unwrap(), 1);
    assert_eq!(browser.get(&app, "/message").await.text(), "2");
    assert_eq!(count(&session).await.unwrap(), 3);
    browser.get(&app, "/log-out").await;
    assert!(matches!(count(&session).await, Err(Error::Gone)));
}
