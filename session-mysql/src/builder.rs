//! How a store is set up.

use std::time::Duration;

use session_core::{InvalidNamespace, Namespace, StoreError};
use sqlx::{
    ConnectOptions, Connection, Error, MySqlConnection, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
    pool::PoolConnectionMetadata,
};
use tokio::time::{Instant, timeout};

use crate::{
    MysqlStore,
    client::unless_full,
    error::{from_driver, not_a_url},
    idle::{Condemned, IdleCheck, Usable},
    statements::{CLUSTER, SETTINGS},
    tls,
};

/// The settings of a [`MysqlStore`].
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use session_mysql::MysqlStore;
///
/// let store = MysqlStore::builder()
///     .with_table("admin_sessions")?
///     .with_timeout(Duration::from_secs(1))
///     .with_connections(20)
///     .connect("mysql://app@db.example/shop")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) table: Namespace,
    pub(crate) timeout: Duration,
    pub(crate) condemned: Condemned,
    connections: u32,
    idle_check: Duration,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            table: Namespace::default(),
            timeout: Duration::from_secs(2),
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
    /// [`connect`](Self::connect) tells the server this time, so that it does nothing later. MariaDB limits each statement as
    /// a whole. MySQL limits a write's wait for each lock, in whole seconds: there, a write may be done later.
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

    /// Connects to the server: `mysql://user:password@host:3306/database?ssl-mode=VERIFY_IDENTITY`.
    ///
    /// A URL without a user logs in as the user of the operating system, as the programs of MySQL and MariaDB do.
    ///
    /// The table must be there: see [`MysqlStore::migrate`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the server cannot be reached until the timeout, lets nobody in, or refuses the login.
    /// [`StoreError::TimedOut`] if it does not answer. [`StoreError::Backend`] if the URL is malformed, or the database does
    /// not exist.
    pub async fn connect(self, url: &str) -> Result<MysqlStore, StoreError> {
        let options = options_of(url)?;
        tls::install();
        // The driver would set these by a statement of its own. The store sets them with all its settings.
        let options = options.pipes_as_concat(false).no_engine_substitution(false).timezone(None);
        let timeout = self.timeout;
        let settings = MySqlPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(self.timeout)
            // This test would cost each operation a round trip. The hook asks only connections that were idle for long.
            .test_before_acquire(false)
            .before_acquire(self.before_acquire())
            .after_connect(move |connection, _| Box::pin(set_up_for_long(connection, timeout)));
        let quiet = options.clone().disable_statement_logging();
        let pool = unless_full(Instant::now() + timeout, || settings.clone().connect_with(quiet.clone())).await;
        match pool {
            Ok(pool) => Ok(self.with_pool(pool)),
            Err(error) => Err(self.explained(error, options).await),
        }
    }

    /// The pool tries until its time is over, and then does not say what was wrong. One more attempt does.
    async fn explained(&self, error: Error, options: MySqlConnectOptions) -> StoreError {
        if matches!(error, Error::PoolTimedOut)
            && let Ok(Err(cause)) = timeout(self.timeout, MySqlConnection::connect_with(&options)).await
        {
            return from_driver(cause);
        }
        from_driver(error)
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
    /// use session_mysql::{MysqlStore, sqlx::mysql::MySqlPoolOptions};
    ///
    /// let builder = MysqlStore::builder();
    /// let options = MySqlPoolOptions::new().test_before_acquire(false).before_acquire(builder.before_acquire());
    /// let store = builder.with_pool(options.connect("mysql://app@db.example/shop").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn before_acquire(
        &self,
    ) -> impl for<'c> Fn(&'c mut MySqlConnection, PoolConnectionMetadata) -> Usable<'c> + Send + Sync + use<> {
        let (after, limit, condemned) = (self.idle_check, self.timeout / 4, self.condemned.clone());
        IdleCheck { after, limit, condemned }.hook()
    }

    /// Uses the application's own pool. The table must be there: see [`MysqlStore::migrate`].
    #[must_use]
    pub fn with_pool(self, pool: MySqlPool) -> MysqlStore {
        MysqlStore::from_pool(self, pool)
    }
}

/// The options in the URL. For a URL without a user, the driver would log in as `root`.
fn options_of(url: &str) -> Result<MySqlConnectOptions, StoreError> {
    // The driver takes any URL. It would read `localhost:3306/shop` as one without a host, and connect to the default.
    if !["mysql://", "mariadb://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(not_a_url(None));
    }
    let options = url.parse::<MySqlConnectOptions>().map_err(|error| not_a_url(Some(error)))?;
    if names_user(url) {
        return Ok(options);
    }
    let user = whoami::username().map_err(|error| from_driver(Error::Configuration(error.into())))?;
    Ok(options.username(&user))
}

/// Whether there is a user before the host (RFC 3986, section 3.2.1).
fn names_user(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| !user.is_empty() && !user.starts_with(':'))
}

/// The same for a connection that stays.
async fn set_up_for_long(connection: &mut MySqlConnection, timeout: Duration) -> Result<(), Error> {
    set_up(connection, timeout).await?;
    match sqlx::raw_sql(CLUSTER).execute(connection).await {
        // It is no such server, or the account may not: then `migrate` looks whether it has to.
        Ok(_) | Err(Error::Database(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Tells the server how to treat a connection of this store's.
pub(crate) async fn set_up(connection: &mut MySqlConnection, timeout: Duration) -> Result<(), Error> {
    // At most twelve days: a time for locks is at most 2³⁰ seconds, one for statements a year.
    let milliseconds = i64::try_from(timeout.as_millis().clamp(1, 1 << 30)).unwrap_or(1);
    sqlx::query(SETTINGS)
        .bind(milliseconds)
        .bind(milliseconds)
        // It runs once on each connection, so nothing is gained by keeping it prepared.
        .persistent(false)
        .execute(connection)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use session_core::StoreError;
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::options_of;
    use crate::MysqlStore;

    #[test]
    fn a_url_without_a_user_logs_in_as_the_user_of_the_operating_system() {
        let name = Command::new("id").arg("-un").output().unwrap().stdout;
        let name = String::from_utf8(name).unwrap();
        let user_of = |url: &str| options_of(url).unwrap().get_username().to_owned();
        for url in ["mysql://db.example/shop", "mysql://:secret@db.example/shop", "mysql://db.example?charset=a@b"] {
            assert_eq!(user_of(url), name.trim(), "{url}");
        }
        assert_eq!(user_of("mysql://app@db.example/shop"), "app");
        assert_eq!(user_of("mysql://root:se@cret@db.example/shop"), "root");
    }

    #[tokio::test]
    async fn an_address_that_is_no_url_says_how_one_is_written() {
        let addresses = [
            "",
            "db.example",
            "localhost:3306/shop",
            "postgres://db.example/shop",
            "mysql://app:se/cret@db.example/shop",
        ];
        for address in addresses {
            let error = MysqlStore::connect(address).await.unwrap_err();
            let StoreError::Backend { source, .. } = error else { panic!("{address}: {error:?}") };
            assert!(source.to_string().contains("mysql://user:password@host:3306/database"), "{address}: {source}");
            assert!(!source.to_string().contains("cret"), "{source}");
        }
    }

    /// With `--all-features` this program has two implementations of TLS.
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    #[tokio::test]
    async fn a_certificate_whose_host_is_not_looked_at_is_no_panic() {
        // The greeting of a server that takes TLS: the protocol, the version, the connection's number, a challenge, and twice
        // two bytes of what the server can.
        let text = b"\x0a8.0.0\0\x01\0\0\0challeng\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0challenge123\0mysql_native_password\0";
        let greeting = [&[u8::try_from(text.len()).unwrap(), 0, 0, 0], &text[..]].concat();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mysql://app@{}/shop?ssl-mode=VERIFY_CA", listener.local_addr().unwrap());
        // It goes when the client has asked for TLS.
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(&greeting).await;
                let _ = stream.read(&mut [0; 64]).await;
            }
        });
        let error = MysqlStore::connect(&url).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::TimedOut { .. }), "{error:?}");
    }
}
