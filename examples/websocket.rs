//! A websocket that is closed when its user logs out elsewhere: `cargo run -p examples --bin websocket`, then open
//! <http://127.0.0.1:3000> in two tabs.

use std::{env, error::Error as StdError, time::Duration};

use axum::{
    Extension, Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    http::StatusCode,
    response::{Html, Redirect, Response},
    routing::{get, post},
};
use session_memory::MemoryStore;
use session_tower::{
    CurrentOwner, Error, EventKind, Exchange, Key, Keyring, Observer, Session, SessionError, SessionEvent,
    SessionLayer, SessionManager, TrustedOrigins,
};
use tokio::{net::TcpListener, sync::watch, time::interval};

const PAGE: &str = "<form method=post action=/login><button>Log in</button></form>\
    <form method=post action=/logout><button>Log out</button></form><p id=said></p><script>\
    const socket = new WebSocket(`ws://${location.host}/ws`), say = text => said.textContent = text;\
    socket.onopen = () => socket.send('hello'); socket.onmessage = event => say(event.data);\
    socket.onclose = () => say('closed')</script>";

// ANCHOR: ends
/// Wakes the sockets when something happened in this process after which one of them may have to close.
#[derive(Clone, Debug)]
struct Ends(watch::Sender<()>);

impl Observer for Ends {
    fn on(&self, event: &SessionEvent) {
        use EventKind::{ActingBegan, ActingEnded, Ended, LoggedIn, Proved, Renewed, Revoked, TheftDetected};
        // A theft is an end that has an event of its own. After the others it may be another user in the same browser.
        if let Ended(_) | Revoked { .. } | TheftDetected | LoggedIn | Proved | Renewed | ActingBegan | ActingEnded =
            event.kind
        {
            self.0.send_replace(());
        }
    }
}
// ANCHOR_END: ends

// ANCHOR: socket
async fn upgrade(
    _: CurrentOwner,
    session: Session,
    Extension(exchange): Extension<Exchange>,
    Extension(ends): Extension<watch::Receiver<()>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, StatusCode> {
    // A page of another origin can open a socket, and the browser sends the cookie along.
    if exchange.is_cross_origin(&TrustedOrigins::default()) {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(upgrade.on_upgrade(|socket| async move {
        // The socket is dropped, and so closed, when this returns.
        if let Err(error) = talk(socket, session, ends).await {
            tracing::info!(error = &error as &dyn StdError, "a socket has ended");
        }
    }))
}

async fn talk(mut socket: WebSocket, session: Session, mut ends: watch::Receiver<()>) -> Result<(), Error> {
    // Other processes end sessions, too, and some expire. A minute is how long such a socket may go on.
    let mut minute = interval(Duration::from_secs(60));
    loop {
        let answer = tokio::select! {
            message = socket.recv() => match message {
                // Saved at once, over what others have saved.
                Some(Ok(Message::Text(_))) => session.update_now("messages", |count: &mut u64| *count += 1).await,
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Ok(()),
            },
            _ = ends.changed() => session.reload().await.map(|()| 0),
            _ = minute.tick() => session.reload().await.map(|()| 0),
        };
        match answer {
            Ok(0) => {} // the session is still there
            Ok(count) => drop(socket.send(format!("message {count}").into()).await),
            // Logged out, or the store is down: a page would be refused, and so is the socket. The browser connects again.
            Err(error) => return Err(error),
        }
    }
}
// ANCHOR_END: socket

async fn login(session: Session) -> Result<Redirect, SessionError> {
    session.login(42).await?; // check the password first: `login.rs` shows how
    Ok(Redirect::to("/"))
}

async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.logout().await?;
    Ok(Redirect::to("/"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init(); // errors, thefts, and why a login does not stick
    let store = MemoryStore::new();
    let manager = match env::var("SESSION_KEY") {
        // In production, over https. `openssl rand -base64 32` makes a key.
        Ok(key) => SessionManager::new(store, Keyring::new(Key::from_base64(&key)?)),
        Err(_) => SessionManager::development(store),
    };
    manager.purge_every(Duration::from_secs(60));
    // ANCHOR: observe
    let (sender, ends) = watch::channel(());
    let manager = manager.with_observer(Ends(sender));
    // ANCHOR_END: observe

    let app = Router::new()
        .route("/", get(Html(PAGE)))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/ws", get(upgrade))
        .layer(Extension(ends))
        .layer(SessionLayer::new(manager));
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:3000".to_owned())).await?;
    println!("open http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
