//! The users: names, passwords and one note each, in a SQLite file of their own.

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{self, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use sqlx::{
    Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::{sync::Semaphore, task::JoinError};

use crate::data;

#[derive(Clone)]
pub(crate) struct Users {
    pool: SqlitePool,
    /// A password is compared with this hash if there is no such user. So the answer takes as long as for a user.
    nobody: Arc<str>,
    /// A hash takes 19 MiB and a core, so there are never more at once than cores.
    hashing: Arc<Semaphore>,
}

#[derive(Debug)]
pub(crate) enum UsersError {
    /// The name or the password is not acceptable. This says why.
    Unfit(&'static str),
    /// The name is taken.
    Taken,
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl From<sqlx::Error> for UsersError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<JoinError> for UsersError {
    fn from(error: JoinError) -> Self {
        Self::Failed(error.into())
    }
}

impl Users {
    pub(crate) async fn open() -> Result<Self, Box<dyn std::error::Error>> {
        let options = SqliteConnectOptions::new()
            .filename(data::folder().join("users.db"))
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        let table = "CREATE TABLE IF NOT EXISTS users \
            (name TEXT PRIMARY KEY COLLATE NOCASE, password TEXT NOT NULL, note TEXT NOT NULL DEFAULT '')";
        sqlx::query(table).execute(&pool).await?;
        let nobody = tokio::task::spawn_blocking(|| hash("nobody's")).await??;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { pool, nobody: nobody.into(), hashing: Arc::new(Semaphore::new(cores)) })
    }

    /// Adds a user. Returns the name by which they are known from now on.
    pub(crate) async fn register(&self, name: &str, password: String) -> Result<String, UsersError> {
        let name = name.trim();
        let is_fit = |c: char| c.is_ascii_alphanumeric() || "._@+-".contains(c);
        if !(1..=64).contains(&name.len()) || !name.chars().all(is_fit) {
            return Err(UsersError::Unfit("A name has 1 to 64 letters, digits, or . _ @ + -"));
        }
        if !(8..=1024).contains(&password.len()) {
            return Err(UsersError::Unfit("A password has 8 characters or more"));
        }
        let hashed = self.in_turn(move || hash(&password)).await?;
        let hashed = hashed.map_err(|error| UsersError::Failed(error.into()))?;
        let added = sqlx::query("INSERT INTO users (name, password) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(hashed)
            .execute(&self.pool)
            .await?;
        if added.rows_affected() == 0 { Err(UsersError::Taken) } else { Ok(name.to_owned()) }
    }

    /// The user's name as it was registered, if the password is theirs.
    pub(crate) async fn judge(&self, name: &str, password: String) -> Result<Option<String>, UsersError> {
        let found = sqlx::query("SELECT name, password FROM users WHERE name = ?")
            .bind(name.trim())
            .fetch_optional(&self.pool)
            .await?;
        let (name, hashed) = match &found {
            Some(row) => (Some(row.try_get::<String, _>(0)?), row.try_get::<String, _>(1)?),
            None => (None, self.nobody.to_string()),
        };
        let is_his = self.in_turn(move || is_hash_of(&hashed, &password)).await?;
        Ok(name.filter(|_| is_his))
    }

    pub(crate) async fn note(&self, name: &str) -> Result<String, UsersError> {
        let found = sqlx::query("SELECT note FROM users WHERE name = ?").bind(name).fetch_optional(&self.pool).await?;
        Ok(found.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
    }

    pub(crate) async fn set_note(&self, name: &str, note: &str) -> Result<(), UsersError> {
        sqlx::query("UPDATE users SET note = ? WHERE name = ?").bind(note).bind(name).execute(&self.pool).await?;
        Ok(())
    }

    /// Runs work that keeps a core busy, on a thread where it does not hold up other requests.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, UsersError> {
        let turn = self.hashing.clone().acquire_owned().await.map_err(|error| UsersError::Failed(error.into()))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        Ok(done.await?)
    }
}

fn hash(password: &str) -> Result<String, password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

fn is_hash_of(hashed: &str, password: &str) -> bool {
    PasswordHash::new(hashed).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}
