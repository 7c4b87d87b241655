//! A websocket, which goes on after the response head has left.

use axum::routing::get;
use session_core::Error;
use session_tower::{Session, SessionError};
use tokio::sync::mpsc;

use crate::site::*;

/// Upgrades the connection, as `WebSocketUpgrade::on_upgrade` does: the socket lives on in a task of its own.
fn socket(session: Session, mut messages: mpsc::Receiver<()>, answers: mpsc::Sender<Result<u64, Error>>) {
    tokio::spawn(async move {
        while messages.recv().await.is_some() {
            let count = session.update_now("count", |n: &mut u64| *n += 1).await;
            answers.send(count).await.unwrap();
        }
        let late = session.update("count", |n: &mut u64| *n += 1);
        answers.send(late).await.unwrap();
    });
}

#[tokio::test]
async fn a_websocket_counts_with_the_pages_beside_it() {
    let (opened, mut sockets) = mpsc::channel(1);
    let open = async move |session: Session| -> Result<(), SessionError> {
        let ((message, messages), (answer, answers)) = (mpsc::channel(1), mpsc::channel(1));
        socket(session, messages, answer);
        opened.send((message, answers)).await.unwrap();
        Ok(())
    };
    let (app, ..) = site(routes().route("/socket", get(open)));
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/count").await.text(), "1");
    browser.get(&app, "/socket").await;
    let (message, mut answers) = sockets.recv().await.unwrap();
    for round in 1..=3 {
        message.send(()).await.unwrap();
        assert_eq!(answers.recv().await.unwrap().unwrap(), 2 * round);
        assert_eq!(browser.get(&app, "/count").await.text(), (2 * round + 1).to_string());
    }
    drop(message);
    let late = answers.recv().await.unwrap();
    assert!(matches!(late, Err(Error::UpdateAfterResponse)), "{late:?}");
    assert_eq!(browser.get(&app, "/read").await.text(), "7");
}
