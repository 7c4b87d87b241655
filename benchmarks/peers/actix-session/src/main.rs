//! The measured site over actix-session with Redis, with signed cookies as ours.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use actix_session::{Session, SessionMiddleware, config::CookieContentSecurity, storage::RedisSessionStore};
use actix_web::{
    App, Error, HttpServer,
    cookie::Key,
    web::{Path, get, post},
};

/// `serve redis URL`
#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let store = RedisSessionStore::new(std::env::args().nth(3).unwrap()).await.unwrap();
    let server = HttpServer::new(move || {
        let sessions = SessionMiddleware::builder(store.clone(), Key::from(&[7; 64]))
            .cookie_content_security(CookieContentSecurity::Signed)
            .build();
        App::new()
            .wrap(sessions)
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

async fn read(session: Session) -> Result<String, Error> {
    Ok(session.get::<String>("k0")?.map_or(0, |value| value.len()).to_string())
}

async fn count(session: Session) -> Result<String, Error> {
    Ok(session.get::<u64>("n")?.unwrap_or_default().to_string())
}

async fn inc(session: Session) -> Result<String, Error> {
    let next = session.get::<u64>("n")?.unwrap_or_default() + 1;
    session.insert("n", next)?;
    Ok(next.to_string())
}

async fn fill(session: Session, path: Path<(usize, usize)>) -> Result<&'static str, Error> {
    let (bytes, keys) = path.into_inner();
    for key in 0..keys {
        session.insert(format!("k{key}"), "x".repeat(bytes))?;
    }
    session.insert("n", 0u64)?;
    Ok("ok")
}

async fn login(session: Session, user: Path<u64>) -> Result<&'static str, Error> {
    session.renew();
    session.insert("user", *user)?;
    session.insert("k0", "x".repeat(200))?;
    session.insert("n", 0u64)?;
    Ok("ok")
}
