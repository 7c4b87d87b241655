//! `OLD_SECRET=… cargo run`: takes over an Express site's logins. Without the variable it takes over those of tower-sessions.
//! Several secrets: `OLD_SECRET=new,old`.

use std::{env, error::Error, time::Duration};

use moving::{Moving, Old, in_a_month, policy, site};
use redis::{Client, aio::ConnectionManager};
use session_redis::RedisStore;
use session_tower::SessionManager;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or("redis://127.0.0.1:6379".to_owned());
    let old = match env::var("OLD_SECRET") {
        Ok(secrets) => Old::Express { secrets: secrets.split(',').map(|secret| secret.as_bytes().to_vec()).collect() },
        Err(_) => Old::TowerSessions { remembered: true },
    };
    let policy = policy()?;
    println!("{}", policy.describe());
    let moving = Moving {
        old,
        redis: ConnectionManager::new(Client::open(url.as_str())?).await?,
        last_day: in_a_month(), // in your site: a date
        claim: Duration::from_secs(10),
        manager: SessionManager::development(RedisStore::connect(&url).await?).with_policy(policy),
    };
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/account", listener.local_addr()?);
    axum::serve(listener, site(moving)).await?;
    Ok(())
}
