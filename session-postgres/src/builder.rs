//! How a store is set up.

use std::{borrow::Cow, time::Duration};

use session_core::{InvalidNamespace, Namespace, StoreError};
use sqlx::{
    ConnectOptions, Connection, Error, PgConnection, PgPool, Row,
    pool::PoolConnectionMetadata,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use crate::{
    PostgresStore,
    error::{from_driver, from_wait, is_of_a_setting, not_a_url, without_settings},
    idle::{Condemned, IdleCheck, Usable},
    pooled::{Mode, milliseconds},
    tls,
};

/// The settings of a [`PostgresStore`].
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use session_postgres::PostgresStore;
///
/// let store = PostgresStore::builder()
///     .with_table("admin_sessions")?
///     .with_timeout(Duration::from_secs(1))
///     .with_connections(20)
///     .connect("postgres://app@db.example/shop")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) table: Namespace,
    pub(crate) timeout: Duration,
    pub(crate) mode: Mode,
    pub(crate) condemned: Condemned,
    connections: u32,
    idle_check: Duration,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            table: Namespace::default(),
            timeout: Duration::from_secs(2),
            mode: Mode::Prepared,
            condemned: Condemned::default(),
            connections: 10,
            idle_check: Duration::from_secs(5),
        }
    }

    /// Keeps the sessions in the table of this name, `sessions` by default. Two stores with two tables never meet.
    ///
    /// # Errors
    ///
    /// [`InvalidNamespace`] if the name is no [`Namespace`].
    pub fn with_table(mut self, name: &str) -> Result<Self, InvalidNamespace> {
        self.table = name.try_into()?;
        Ok(self)
    }

    /// How long an operation waits for a connection, and then again for the answer, before it fails with
    /// [`TimedOut`](StoreError::TimedOut): 2 seconds by default. An answer that is under way has half a second more.
    ///
    /// The server is told this time as its `statement_timeout`, so that it does nothing later. In the application's own pool
    /// it is told in the pooled mode only.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How many connections [`connect`](Self::connect) makes at most, 10 by default.
    #[must_use]
    pub fn with_connections(self, connections: u32) -> Self {
        Self { connections: connections.max(1), ..self }
    }

    /// A connection that was idle for longer is asked whether it still works before it is used: 5 seconds by default.
    ///
    /// A server, a router or a restart may have cut it without telling the client. The question costs one round trip
    /// after a pause, and may take a quarter of the [timeout](Self::with_timeout). If the connection does not answer, a
    /// new one takes its place, and the others that were idle for as long are closed unasked.
    ///
    /// [`connect`](Self::connect) does this by itself. An application's own pool needs the
    /// [hook](Self::before_acquire).
    #[must_use]
    pub fn with_idle_check(self, after: Duration) -> Self {
        Self { idle_check: after, ..self }
    }

    /// Whether a pooler that shares connections is in between: PgBouncer in transaction mode.
    ///
    /// Each operation is then one simple message, which such a pooler cannot tear apart. Without this mode, such a pooler
    /// mixes answers up, and the store refuses them as a [`ForeignAnswer`](crate::ForeignAnswer).
    #[must_use]
    pub fn with_pooled(self, pooled: bool) -> Self {
        Self { mode: if pooled { Mode::Pooled } else { Mode::Prepared }, ..self }
    }

    /// Connects to the server: `postgres://user:password@host:5432/database?sslmode=verify-full`, or
    /// `postgres+pooled://…` for the pooled mode.
    ///
    /// A URL without a user logs in as libpq does: as `PGUSER`, else as the user of the operating system.
    ///
    /// The table must be there: see [`PostgresStore::migrate`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the server cannot be reached until the timeout, lets nobody in, or refuses the login.
    /// [`StoreError::TimedOut`] if it does not answer. [`StoreError::Backend`] if the URL is malformed, the database does not
    /// exist, or a pooler in between does not pass on the timeout: behind PgBouncer the URL begins with `postgres+pooled://`.
    pub async fn connect(mut self, url: &str) -> Result<PostgresStore, StoreError> {
        let mut url = Cow::Borrowed(url);
        if let Some(rest) = url.strip_prefix("postgres+pooled://") {
            self.mode = Mode::Pooled;
            url = format!("postgres://{rest}").into();
        }
        // The driver takes any URL. It would read `localhost:5432/shop` as one without a host, and connect to the default.
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(not_a_url(None));
        }
        let options = url.parse::<PgConnectOptions>().map_err(|error| not_a_url(Some(error)))?;
        tls::install();
        // PgBouncer refuses a connection that comes with either setting.
        let options = if self.mode == Mode::Pooled {
            options.extra_float_digits(None)
        } else {
            let timeout = milliseconds(self.timeout).to_string();
            // At a stricter level the server would refuse some statements, and the store would send them again.
            // The statement's time is that for its locks.
            let settings = [
                ("statement_timeout", &*timeout),
                ("lock_timeout", "0"),
                ("default_transaction_isolation", "read committed"),
            ];
            options.extra_float_digits(None).options(settings)
        };
        let pool = PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(self.timeout)
            // This test would cost each operation a round trip. The hook asks only connections that were idle for long.
            .test_before_acquire(false)
            .before_acquire(self.before_acquire())
            .connect_with(options.clone().disable_statement_logging())
            .await;
        let pool = match pool {
            Ok(pool) => pool,
            Err(error) => return Err(self.explained(error, options).await),
        };
        if self.mode == Mode::Prepared {
            self.judge_settings(&pool).await?;
        }
        Ok(self.with_pool(pool))
    }

    /// The pool tries until its time is over, and then does not say what was wrong. One more attempt does.
    async fn explained(&self, error: Error, options: PgConnectOptions) -> StoreError {
        if is_of_a_setting(&error) {
            return without_settings(Some(error));
        }
        if matches!(error, Error::PoolTimedOut)
            && let Ok(Err(cause)) = timeout(self.timeout, PgConnection::connect_with(&options)).await
        {
            return from_driver(cause);
        }
        from_driver(error)
    }

    /// Refuses a pooler that has dropped the settings. Without its timeout, the server would do things later.
    async fn judge_settings(&self, pool: &PgPool) -> Result<(), StoreError> {
        let question =
            sqlx::raw_sql("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'").fetch_one(pool);
        let answer = timeout(self.timeout, question).await.map_err(from_wait)?.map_err(from_driver)?;
        let setting: String = answer.try_get(0).map_err(from_driver)?;
        if setting == milliseconds(self.timeout).to_string() { Ok(()) } else { Err(without_settings(None)) }
    }

    /// The hook that asks idle connections, for the application's own pool: see
    /// [`with_idle_check`](Self::with_idle_check). Without it, the first requests after a pause or a restart of the server
    /// may fail.
    ///
    /// The hook and the store share what they learn about broken connections. So take the hook from the builder that makes
    /// the store, once its settings are made.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use session_postgres::{PostgresStore, sqlx::postgres::PgPoolOptions};
    ///
    /// let builder = PostgresStore::builder();
    /// let options = PgPoolOptions::new().test_before_acquire(false).before_acquire(builder.before_acquire());
    /// let store = builder.with_pool(options.connect("postgres://app@db.example/shop").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn before_acquire(
        &self,
    ) -> impl for<'c> Fn(&'c mut PgConnection, PoolConnectionMetadata) -> Usable<'c> + Send + Sync + use<> {
        let (after, limit, condemned) = (self.idle_check, self.timeout / 4, self.condemned.clone());
        IdleCheck { after, limit, condemned }.hook()
    }

    /// Uses the application's own pool. The table must be there: see [`PostgresStore::migrate`].
    #[must_use]
    pub fn with_pool(self, pool: PgPool) -> PostgresStore {
        PostgresStore::from_pool(self, pool)
    }
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use session_core::StoreError;
    use sqlx::postgres::PgConnectOptions;
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use crate::PostgresStore;

    fn user_of(url: &str) -> String {
        url.parse::<PgConnectOptions>().unwrap().get_username().to_owned()
    }

    #[test]
    fn a_url_without_a_user_logs_in_as_libpq_does() {
        let name = Command::new("id").arg("-un").output().unwrap().stdout;
        let expected = env::var("PGUSER").unwrap_or_else(|_| String::from_utf8(name).unwrap().trim().to_owned());
        assert_eq!(user_of("postgres://db.example/shop"), expected);
        assert_eq!(user_of("postgres://app@db.example/shop"), "app");
        assert_eq!(user_of("postgres://db.example/shop?user=app"), "app");
    }

    #[tokio::test]
    async fn an_address_that_is_no_url_says_how_one_is_written() {
        let addresses = [
            "",
            "db.example",
            "localhost:5432/shop",
            "//db.example/shop",
            "mysql://db.example/shop",
            "postgres://app:se/cret@db.example/shop",
            "postgres+pooled://app:se/cret@db.example/shop",
        ];
        for address in addresses {
            let error = PostgresStore::connect(address).await.unwrap_err();
            let StoreError::Backend { source, .. } = error else { panic!("{address}: {error:?}") };
            assert!(source.to_string().contains("postgres://user:password@host:5432/database"), "{address}: {source}");
            assert!(!source.to_string().contains("cret"), "{source}");
        }
    }

    /// With `--all-features` this program has two implementations of TLS.
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    #[tokio::test]
    async fn a_certificate_whose_host_is_not_looked_at_is_no_panic() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://app@{}/shop?sslmode=verify-ca", listener.local_addr().unwrap());
        // A server that takes TLS, and then goes.
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 8]).await;
                let _ = stream.write_all(b"S").await;
            }
        });
        let error = PostgresStore::connect(&url).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut { .. }), "{error:?}");
    }
}
