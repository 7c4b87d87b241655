//! A master that sentinels watch, and replace when it dies: feature `sentinel`.
//!
//! The driver finds the master and connects to it. The store searches again when the connection is lost, when the
//! server has become a replica, and when it answers no more. There is one search at a time, and all operations wait for
//! it.

use std::{
    io,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Either, Shared, select},
    stream::FuturesUnordered,
};
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, PushInfo, PushKind, RedisError, RedisResult, Role,
    ServerErrorKind, TlsMode, Value,
    aio::MultiplexedConnection,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use session_core::StoreError;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout},
};

use crate::{
    Builder, RedisStore,
    builder::{IN_FLIGHT, warn_of_eviction},
    call::whole,
    connection::Server,
    error::{from_driver, from_wait},
};

/// How long a search waits before it asks the sentinels again that have named no master: the first time, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

impl Builder {
    /// Connects to the master by the application's own client. Such a client can give the sentinels passwords and
    /// certificates that a URL has no place for. It must be built for the master, and its connections to the master
    /// should use RESP3 and `TCP_NODELAY`:
    ///
    /// ```no_run
    /// # async fn connect() -> Result<session_redis::RedisStore, Box<dyn std::error::Error>> {
    /// use session_redis::{
    ///     RedisStore,
    ///     redis::{
    ///         ConnectionAddr, ProtocolVersion,
    ///         io::tcp::TcpSettings,
    ///         sentinel::{SentinelClientBuilder, SentinelServerType},
    ///     },
    /// };
    ///
    /// let sentinels = ["one.internal", "two.internal", "three.internal"];
    /// let sentinels = sentinels.map(|host| ConnectionAddr::Tcp(host.into(), 26379));
    /// let client = SentinelClientBuilder::new(sentinels, "sessions", SentinelServerType::Master)?
    ///     .set_client_to_sentinel_password("the sentinels'")
    ///     .set_client_to_redis_password("the master's")
    ///     .set_client_to_redis_protocol(ProtocolVersion::RESP3)
    ///     .set_client_to_redis_tcp_settings(TcpSettings::default().set_nodelay(true))
    ///     .build()?;
    /// let store = RedisStore::builder().with_sentinel(client).await?;
    /// # Ok(store)
    /// # }
    /// ```
    ///
    /// The driver asks the sentinels of a client one after another, and waits up to a second for each that is dead. So
    /// the time to connect ([`with_connect_timeout`](Self::with_connect_timeout)) must be longer than all but one of
    /// them may take. For example, with three sentinels it must be longer than two seconds; otherwise the master is
    /// never found while two are dead. `connect` asks all sentinels at once.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect), and [`StoreError::Backend`] if the connections would not use RESP3.
    pub async fn with_sentinel(self, client: SentinelClient) -> Result<RedisStore, StoreError> {
        self.connect_sentinel(vec![client]).await
    }

    pub(crate) async fn connect_sentinel(self, clients: Vec<SentinelClient>) -> Result<RedisStore, StoreError> {
        // Each operation has its own timeout. The connection has none: its error would count as an answer, and hide
        // that the server is silent.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(None)
            .set_concurrency_limit(IN_FLIGHT);
        let sentinel = Sentinel::new(clients, config, self.connect_timeout, self.timeout);
        let mut connection = sentinel.connection().await.map_err(from_driver)?;
        timeout(self.connect_timeout, warn_of_eviction(&mut connection)).await.map_err(from_wait)??;
        Ok(self.with_server(Server::Sentinel(sentinel)))
    }

    /// A client for each sentinel, so that all are asked at the same time and a dead one delays nothing.
    pub(crate) fn sentinels(&self, scheme: &str, rest: &str) -> Result<Vec<SentinelClient>, StoreError> {
        let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(user, rest)| (user, rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, database) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() {
            let why = "the URL does not name the master: redis+sentinel://host:port,host:port/name";
            return Err(from_driver(RedisError::from((ErrorKind::InvalidClientConfig, why))));
        }
        let at = if user.is_empty() { "" } else { "@" };
        let clients = hosts.split(',').map(|host| {
            let master = self.info(&format!("{scheme}://{user}{at}{host}/{database}"))?;
            let node = SentinelNodeConnectionInfo::default()
                .set_redis_connection_info(master.redis_settings().clone())
                .set_tcp_settings(master.tcp_settings().clone());
            let node = if scheme == "rediss" { node.set_tls_mode(TlsMode::Secure) } else { node };
            let sentinel = self.info(&format!("{scheme}://{host}"))?;
            SentinelClient::build(vec![sentinel], String::from(name), Some(node), SentinelServerType::Master)
                .map_err(from_driver)
        });
        clients.collect()
    }
}

/// The master, as far as the sentinels know it, and the search for it.
pub(crate) struct Sentinel {
    finder: Arc<Finder>,
    search: Mutex<Search>,
}

/// A search for the master, and later its result. It goes on while any operation waits for it.
#[derive(Clone)]
struct Search {
    found: Shared<BoxFuture<'static, RedisResult<Master>>>,
    /// How many searches in a row have failed before it.
    failures: u32,
}

#[derive(Clone)]
pub(crate) struct Master {
    connection: MultiplexedConnection,
    has_replicas: bool,
    since: Instant,
    is_cut: Arc<AtomicBool>,
    /// How long the master may be silent.
    patience: Duration,
    waits: Arc<Mutex<Waits>>,
}

/// Since when a master has owed an answer. An answer counts even if its request no longer waits for it.
#[derive(Default)]
struct Waits {
    unanswered_since: Option<Instant>,
    last_sent: Option<Instant>,
}

impl Sentinel {
    /// Prepares a search, which runs once an operation waits for it. It asks all clients at once, and one that names a
    /// master is enough.
    pub(crate) fn new(
        clients: Vec<SentinelClient>,
        config: AsyncConnectionConfig,
        connect_timeout: Duration,
        patience: Duration,
    ) -> Self {
        let clients = clients.into_iter().map(tokio::sync::Mutex::new).collect();
        let finder = Arc::new(Finder { clients, config, connect_timeout, patience });
        let search = Mutex::new(Search::begin(&finder, 0));
        Self { finder, search }
    }

    /// The connection that the current search finds, or that the last one found.
    pub(crate) async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let search = self.search().clone();
        search.found.await.map(|master| master.connection)
    }

    /// Sends a message to the master. If it has several commands, all go to the same server. A server that is no longer
    /// the master refuses a write and has done nothing. Then the whole message is sent to its successor.
    pub(crate) async fn send<T, F>(&self, message: impl Fn(Master) -> F) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (search, master) = self.master().await;
        let since = master.since;
        let error = match message(master).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                self.search_again(&search);
                message(self.master().await.1).await
            }
            ErrorKind::Io | ErrorKind::Parse => {
                self.search_again(&search);
                Err(error)
            }
            _ => {
                // An old master that is cut off from the others answers this. But so does one that has no successor.
                if error.code() == Some("NOREPLICAS") && since.elapsed() >= self.finder.patience {
                    self.search_again(&search);
                }
                Err(error)
            }
        }
    }

    /// Waits until there is a usable master. One that has been silent for too long is not: it may have a successor.
    async fn master(&self) -> (Search, Master) {
        loop {
            let search = self.search().clone();
            match search.found.clone().await {
                Ok(master) if master.is_usable() => return (search, master),
                _ => self.search_again(&search),
            }
        }
    }

    /// Begins a new search in place of this one, unless another operation has done so already.
    fn search_again(&self, ended: &Search) {
        let mut search = self.search();
        if !search.found.ptr_eq(&ended.found) {
            return;
        }
        let failures = match ended.found.peek() {
            Some(Err(error)) => {
                if ended.failures == 0 {
                    tracing::event!(
                        name: "session.no_master",
                        target: "session",
                        tracing::Level::WARN,
                        event.name = "session.no_master",
                        error = error as &dyn std::error::Error,
                        "the sentinels have no master"
                    );
                }
                ended.failures.saturating_add(1)
            }
            _ => 0,
        };
        *search = Search::begin(&self.finder, failures);
    }

    fn search(&self) -> MutexGuard<'_, Search> {
        self.search.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Search {
    fn begin(finder: &Arc<Finder>, failures: u32) -> Self {
        let finder = Arc::clone(finder);
        let found = async move {
            if let Some(doublings) = failures.checked_sub(1) {
                let (first, longest) = PAUSES;
                sleep(first.saturating_mul(1 << doublings.min(8)).min(longest)).await;
            }
            // The timeout is checked first. Nothing runs the search while no operation waits for it, so its result may
            // be old and no longer true.
            match select(pin!(sleep(finder.connect_timeout)), pin!(finder.find())).await {
                Either::Left(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                Either::Right((found, _)) => found,
            }
        };
        // Without this, a panic in the search would reach every operation that waits for it.
        let found = AssertUnwindSafe(found).catch_unwind();
        let found = found.map(|found| found.unwrap_or_else(|_| Err(io::Error::other("the search panicked").into())));
        Self { found: found.boxed().shared(), failures }
    }
}

impl Master {
    pub(crate) async fn query(self, command: &Cmd) -> RedisResult<Value> {
        let (mut connection, command) = (self.connection.clone(), command.clone());
        self.hear(async move { whole(connection.send_packed_command(&command).await?) }).await
    }

    pub(crate) async fn query_all(self, pipeline: &Pipeline, count: usize) -> RedisResult<Vec<Value>> {
        let (mut connection, pipeline) = (self.connection.clone(), pipeline.clone());
        self.hear(async move { connection.send_packed_commands(&pipeline, 0, count).await }).await
    }

    fn hear<T: Send + 'static>(self, answer: impl Future<Output = RedisResult<T>> + Send + 'static) -> Expected<T> {
        let sent = self.waits().sent();
        Expected { master: self, sent, answer: Some(answer.boxed()) }
    }

    fn is_usable(&self) -> bool {
        let is_silent = self.waits().unanswered_since.is_some_and(|since| since.elapsed() >= self.patience);
        !is_silent && !self.is_cut.load(Ordering::Relaxed)
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that is on its way. If the request goes away, a task waits for the answer in its place, as long as the
/// master may be silent. Without the task, an answer that nobody hears would look like silence.
struct Expected<T: Send + 'static> {
    master: Master,
    sent: Instant,
    answer: Option<BoxFuture<'static, RedisResult<T>>>,
}

impl<T: Send + 'static> Future for Expected<T> {
    type Output = RedisResult<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answer) = &mut self.answer else { return Poll::Pending };
        let answer = ready!(answer.as_mut().poll(context));
        self.answer = None;
        self.master.waits().answered(self.sent);
        Poll::Ready(answer)
    }
}

impl<T: Send + 'static> Drop for Expected<T> {
    fn drop(&mut self) {
        let (Some(answer), Ok(runtime)) = (self.answer.take(), Handle::try_current()) else { return };
        let (master, sent) = (self.master.clone(), self.sent);
        runtime.spawn(async move {
            if timeout(master.patience, answer).await.is_ok() {
                master.waits().answered(sent);
            }
        });
    }
}

impl Waits {
    fn sent(&mut self) -> Instant {
        let now = Instant::now();
        self.unanswered_since.get_or_insert(now);
        self.last_sent = Some(now);
        now
    }

    /// Notes an answer. Answers come in the order in which the commands were sent, so it also stands for all earlier
    /// ones.
    fn answered(&mut self, sent: Instant) {
        self.unanswered_since = self.last_sent.filter(|last| *last > sent).map(|_| Instant::now());
    }
}

/// The clients that know the master, and the settings of a connection to it.
struct Finder {
    clients: Vec<tokio::sync::Mutex<SentinelClient>>,
    config: AsyncConnectionConfig,
    connect_timeout: Duration,
    /// How long a master may be silent.
    patience: Duration,
}

impl Finder {
    /// Asks all sentinels, and takes the first master that has replicas.
    ///
    /// A master without replicas may be an old one that has come back, together with a sentinel that has not heard of
    /// its successor yet. The other sentinels may know better, so they have half of the time to answer.
    async fn find(&self) -> RedisResult<Master> {
        let mut asked: FuturesUnordered<_> = self.clients.iter().map(|client| self.ask(client)).collect();
        let mut patience = pin!(sleep(self.connect_timeout / 2));
        let mut best = Err(RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "there is no sentinel")));
        loop {
            let answer = match &best {
                Ok(_) => match select(asked.next(), patience.as_mut()).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(_) => None,
                },
                Err(_) => asked.next().await,
            };
            match answer {
                Some(Ok(master)) if master.has_replicas => return Ok(master),
                Some(answer) if best.is_err() => best = answer,
                Some(_) => {}
                None => return best,
            }
        }
    }

    async fn ask(&self, client: &tokio::sync::Mutex<SentinelClient>) -> RedisResult<Master> {
        let is_cut = Arc::new(AtomicBool::new(false));
        let noticing = Arc::clone(&is_cut);
        let config = self.config.clone().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                noticing.store(true, Ordering::Relaxed);
            }
            Ok::<_, redis::aio::SendError>(())
        });
        let mut connection = client.lock().await.get_async_connection_with_config(&config).await?;
        // The driver has asked for the role, too, but earlier and on another connection.
        match redis::cmd("ROLE").query_async(&mut connection).await? {
            Role::Primary { replicas, .. } => {
                let has_replicas = !replicas.is_empty();
                let (since, patience) = (Instant::now(), self.patience);
                Ok(Master { connection, has_replicas, since, is_cut, patience, waits: Arc::default() })
            }
            _ => Err(RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "the server is no longer the master"))),
        }
    }
}
