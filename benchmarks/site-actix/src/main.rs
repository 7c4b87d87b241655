//! The measured site on actix-web, over Redis. The one of actix-session in `benchmarks/peers` has the same routes.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use actix_web::{
    App, HttpServer,
    web::{Path, get, post},
};
use session_actix::{Key, Keyring, Session, SessionError, SessionLayer, SessionManager};
use session_redis::RedisStore;

/// `serve redis URL`
#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let store = RedisStore::connect(&std::env::args().nth(3).unwrap()).await.unwrap();
    let manager = SessionManager::new(store, Keyring::new(Key::from_bytes(&[7; 32]).unwrap()));
    let server = HttpServer::new(move || {
        App::new()
            .wrap(SessionLayer::new(manager.clone()))
            .route("/ping", get().to(async || "pong"))
            .route("/read", get().to(read))
            .route("/count", get().to(count))
            .route("/inc", post().to(inc))
            .route("/fill/{bytes}/{keys}", post().to(fill))
            .route("/login/{user}", post().to(login))
    });
    let server = server.workers(2).bind("127.0.0.1:0")?;
    println!("{}", server.addrs()[0].port());
    server.run().await
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<String>("k0")?.map_or(0, |value| value.len()).to_string())
}

async fn count(session: Session) -> Result<String, SessionError> {
    Ok(session.get::<u64>("n")?.unwrap_or_default().to_string())
}

async fn inc(session: Session) -> Result<String, SessionError> {
    Ok(session.update("n", |n: &mut u64| *n += 1)?.to_string())
}

async fn fill(session: Session, path: Path<(usize, usize)>) -> Result<&'static str, SessionError> {
    let (bytes, keys) = path.into_inner();
    for key in 0..keys {
        session.insert(&format!("k{key}"), &"x".repeat(bytes))?;
    }
    session.insert("n", &0u64)?;
    Ok("ok")
}

async fn login(session: Session, user: Path<u64>) -> Result<&'static str, SessionError> {
    session.insert("k0", &"x".repeat(200))?;
    session.insert("n", &0u64)?;
    session.login(*user).await?;
    Ok("ok")
}
