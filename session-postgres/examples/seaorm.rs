//! The sessions of a SeaORM application, in its own pool.
//!
//! ```sh
//! DATABASE_URL=postgres://postgres@localhost/postgres cargo run -p session-postgres --example seaorm
//! ```
//!
//! SeaORM 2 and this store use the same sqlx, so one pool serves both, with the settings that the ORM was given.

use std::{env, error::Error, time::Duration};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbBackend, Statement};
use session_core::{Incoming, Key, Keyring, SessionManager};
use session_postgres::PostgresStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut options = ConnectOptions::new(env::var("DATABASE_URL")?);
    // The settings that the store needs in a pool that it shares. The README says why.
    let builder = PostgresStore::builder();
    let hooks = builder.clone();
    options
        .map_sqlx_postgres_pool_opts(move |options| options.before_acquire(hooks.before_acquire()))
        .acquire_timeout(Duration::from_secs(2))
        .statement_timeout(Duration::from_secs(2))
        .test_before_acquire(false)
        .sqlx_logging(false);
    let db = Database::connect(options).await?;

    let store = builder.with_pool(db.get_postgres_connection_pool().clone());
    store.migrate().await?;
    let sessions = SessionManager::new(store, Keyring::new(Key::generate()?));
    let purge = sessions.purge_every(Duration::from_secs(60));

    // A request without a cookie: user 42 logs in.
    let exchange = sessions.open(Incoming::default());
    let session = exchange.session().await?;
    session.insert("theme", "dark")?;
    session.login(42).await?;
    exchange.commit().await?;
    let headers = exchange.headers();
    let cookie = headers.get("set-cookie").and_then(|value| value.as_bytes().split(|&byte| byte == b';').next());

    // The next request brings the cookie along.
    let exchange = sessions.open(Incoming::new(cookie));
    let session = exchange.session().await?;
    println!("user {:?} likes it {:?}", session.owner(), session.get::<String>("theme")?);

    // The ORM sees the same table.
    let count = Statement::from_string(DbBackend::Postgres, "SELECT count(*) AS count FROM sessions");
    let count: Option<i64> = db.query_one_raw(count).await?.map(|row| row.try_get("", "count")).transpose()?;
    println!("sessions in the ORM's database: {count:?}");

    session.logout().await?;
    exchange.commit().await?;
    purge.stop().await;
    db.close().await?;
    Ok(())
}
