//! `OLD_SECRET=… cargo run`: takes over an Express site's logins. Without the variable it takes over those of tower-sessions.

use std::{env, error::Error};

use moving::{Moving, Old, in_a_month, site};
use redis::{Client, aio::ConnectionManager};
use session_redis::RedisStore;
use session_tower::SessionManager;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or("redis://127.0.0.1:6379".to_owned());
    let old = match env::var("OLD_SECRET") {
        Ok(secret) => Old::Express { secret: secret.into_bytes() },
        Err(_) => Old::TowerSessions,
    };
    let moving = Moving {
        old,
        redis: ConnectionManager::new(Client::open(url.as_str())?).await?,
        last_day: in_a_month(), // in your site: a date
        manager: SessionManager::development(RedisStore::connect(&url).await?),
    };
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/account", listener.local_addr()?);
    axum::serve(listener, site(moving)).await?;
    Ok(())
}
