//! The command line, and the cookie and policy that it asks for.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Parser;
use session_core::{ConfigError, CookieConfig, Lifetime, Policy, ProxyHeader, TrustedProxies};

use crate::data;

const HOUR: Duration = Duration::from_secs(3600);

/// A site with server-side sessions: register, log in, see your devices, log out.
///
/// Users and the signing key are kept in ./demo-data, whichever store holds the sessions. So two demos that are started
/// in one folder are two nodes of one site. The key is made at the first start, or taken from SESSION_KEY (32 bytes or
/// more, base64url).
///
/// All that a page does can be done from a command line, too, with `curl -c jar -b jar`: POST /register, /login
/// (user=…&password=…, of 8 characters or more) and /logout, GET /api/me, /api/data and /api/sessions, DELETE
/// /api/sessions/ID, POST /api/counter.
///
/// RUST_LOG says what is logged: `info` by default. `info,session=debug` also logs refused cookies.
#[derive(Debug, Parser)]
pub(crate) struct Flags {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub(crate) addr: SocketAddr,

    /// Where the sessions are: `memory`, `sqlite:PATH`, `postgres://HOST/DATABASE`, `postgres+pooled://…` (through
    /// PgBouncer in transaction mode), `mysql://HOST/DATABASE`, `mongodb://HOST/DATABASE`, `redis://HOST:PORT`,
    /// `redis+cluster://HOST:PORT,HOST:PORT` (some nodes of a cluster), or `redis+sentinel://HOST:PORT,HOST:PORT/NAME`
    /// (sentinels, and their name for the master)
    #[arg(long, default_value_t)]
    pub(crate) store: StoreFlag,

    /// A login ends after this long without use: `15min`, `3s` [default: 1h, but no more than --absolute]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    idle: Option<Duration>,

    /// A login ends after this long in any case, 400 days at most [default: 24h, but no less than --idle]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    absolute: Option<Duration>,

    /// A login's token is replaced when it is this old
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "15min")]
    rotate: Duration,

    /// A replaced token is accepted for this long [default: 60s, but no more than half of --rotate]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    grace: Option<Duration>,

    /// A proxy in front, by its address or network (10.4.0.0/16). It is believed about https and the client's address.
    /// The cookie is then the one for production, __Host-session, which browsers take over https only. May be given
    /// several times
    #[arg(long, value_name = "PROXY")]
    trusted_proxy: Vec<String>,

    /// The number of proxies in front, at any address. Not safe where a client can reach the demo directly
    #[arg(long, value_name = "COUNT", conflicts_with = "trusted_proxy")]
    proxy_hops: Option<u8>,

    /// The proxies say who the client is in Forwarded (RFC 7239), and not in X-Forwarded-For and X-Forwarded-Proto
    #[arg(long)]
    forwarded: bool,

    /// Answer /lab/ops with the store's calls so far, and obey delay_ms: for tests
    #[arg(long)]
    pub(crate) lab: bool,
}

impl Flags {
    pub(crate) fn policy(&self) -> Result<Policy, ConfigError> {
        let grace = self.grace.unwrap_or_else(|| (self.rotate / 2).min(Duration::from_secs(60)));
        let absolute = self.absolute.unwrap_or_else(|| self.idle.map_or(24 * HOUR, |idle| idle.max(24 * HOUR)));
        let idle = self.idle.unwrap_or_else(|| absolute.min(HOUR));
        Policy::builder()
            .before_login(Lifetime::new(idle.min(absolute).min(HOUR), absolute.min(4 * HOUR)))
            .logged_in(Lifetime::new(idle, absolute))
            .rotation(self.rotate)
            .grace(grace)
            .build()
    }

    /// The cookie that browsers accept over plain http. If a proxy speaks https for us, the one for production.
    pub(crate) fn cookie(&self) -> Result<CookieConfig, ConfigError> {
        if self.trusted_proxy.is_empty() && self.proxy_hops.unwrap_or_default() == 0 {
            Ok(CookieConfig::development())
        } else {
            CookieConfig::builder("__Host-session").build()
        }
    }

    /// The proxies that are believed, and the header in which they tell the client.
    pub(crate) fn proxies(&self) -> Result<TrustedProxies, ConfigError> {
        let proxies = match self.proxy_hops {
            Some(count) => TrustedProxies::hops(count),
            None => TrustedProxies::at(self.trusted_proxy.iter().map(String::as_str))?,
        };
        Ok(proxies.with_header(if self.forwarded { ProxyHeader::Forwarded } else { ProxyHeader::XForwarded }))
    }
}

#[derive(Clone, Debug)]
pub(crate) enum StoreFlag {
    Memory,
    Sqlite(PathBuf),
    /// The URL of a server, or of a pooler in front of it.
    Postgres(String),
    /// The URL of a MySQL or MariaDB server.
    Mysql(String),
    /// The URL of a MongoDB.
    Mongo(String),
    /// The URL of a node, a cluster or sentinels.
    Redis(String),
}

impl Default for StoreFlag {
    fn default() -> Self {
        Self::Sqlite(data::folder().join("sessions.db"))
    }
}

impl FromStr for StoreFlag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql" | "postgres+pooled", _)) => Ok(Self::Postgres(text.into())),
            Some(("mysql" | "mariadb", _)) => Ok(Self::Mysql(text.into())),
            Some(("mongodb", _)) => Ok(Self::Mongo(text.into())),
            Some(("redis" | "redis+cluster" | "redis+sentinel", _)) => Ok(Self::Redis(text.into())),
            _ => Err(
                "a store is `memory`, `sqlite:PATH`, `postgres://…`, `postgres+pooled://…`, `mysql://…`, `mongodb://…`, \
                 `redis://…`, `redis+cluster://…` or `redis+sentinel://…`",
            ),
        }
    }
}

impl std::fmt::Display for StoreFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            // The rest of a URL may have a password in it.
            Self::Postgres(_) => f.write_str("postgres"),
            Self::Mysql(_) => f.write_str("mysql"),
            Self::Mongo(_) => f.write_str("mongodb"),
            Self::Redis(_) => f.write_str("redis"),
        }
    }
}
