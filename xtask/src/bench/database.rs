//! The databases that the sites stand on. Each is started here, and ends with this process.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
};

use session_conformance::servers::{self, Server};

use crate::step;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Memory,
    Redis,
    Postgres,
    Sqlite,
}

pub(super) struct Database {
    kind: Kind,
    server: Option<Server>,
    folder: PathBuf,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

impl Database {
    pub(super) fn start(kind: Kind) -> Result<Self, String> {
        let server = match kind {
            Kind::Memory | Kind::Sqlite => None,
            // It does not begin to rewrite its log in the middle of a round.
            Kind::Redis => Some(servers::own_redis(&["--auto-aof-rewrite-percentage", "0"])),
            // A write waits for the disk, as on a site. No checkpoint falls into one of the rounds by chance.
            Kind::Postgres => Some(servers::own_postgres(&["fsync=on", "checkpoint_timeout=1h", "max_wal_size=16GB"])),
        };
        if let Some(version) = server.as_ref().and_then(Server::version) {
            println!("\n{version}");
        }
        let folder = step::target().join("session-bench");
        let made = fs::remove_dir_all(&folder).or(Ok(())).and_then(|()| fs::create_dir_all(&folder));
        made.map_err(|error: std::io::Error| format!("{} cannot be made: {error}", folder.display()))?;
        Ok(Self { kind, server, folder })
    }

    /// A new database for the site of this number.
    pub(super) fn url(&self, number: usize) -> Result<String, String> {
        let server = self.server.as_ref().map_or("", Server::url);
        match self.kind {
            Kind::Memory => Ok(String::new()),
            Kind::Redis => Ok(format!("{server}/{number}")),
            Kind::Postgres => {
                self.ask_postgres(&format!("CREATE DATABASE site{number}"))?;
                Ok(server.trim_end_matches("postgres").to_owned() + &format!("site{number}"))
            }
            Kind::Sqlite => Ok(self.folder.join(format!("{number}.db")).display().to_string()),
        }
    }

    /// The ids of its processes, in the way in which the clients take them.
    pub(super) fn processes(&self) -> String {
        let ids = self.server.iter().flat_map(Server::process_ids);
        let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
        if ids.is_empty() { "-".into() } else { ids.join(",") }
    }

    /// How many scripts Redis has run, or how many bytes are in the log of PostgreSQL.
    pub(super) fn written(&self) -> Result<f64, String> {
        match self.kind {
            Kind::Memory | Kind::Sqlite => Ok(0.0),
            Kind::Redis => Ok(scripts(&self.ask_redis("INFO commandstats")?)),
            Kind::Postgres => {
                let text = self.ask_postgres("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")?;
                text.trim().parse().map_err(|_| format!("PostgreSQL said `{text}`"))
            }
        }
    }

    fn ask_postgres(&self, statement: &str) -> Result<String, String> {
        let url = self.server.as_ref().map_or("", Server::url);
        step::output(Command::new("psql").args(["--no-psqlrc", "--quiet", "-At", "-c", statement, url]))
    }

    fn ask_redis(&self, command: &str) -> Result<String, String> {
        let url = self.server.as_ref().map_or("", Server::url);
        ask(url.trim_start_matches("redis://"), command).map_err(|error| format!("Redis does not answer: {error}"))
    }
}

/// The text that Redis answers with.
fn ask(address: &str, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "{command}\r\n")?;
    let mut answer = BufReader::new(stream);
    let mut length = String::new();
    answer.read_line(&mut length)?;
    let mut text = vec![0; length.trim().trim_start_matches('$').parse().map_err(std::io::Error::other)?];
    answer.read_exact(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// How many scripts have run, according to the statistics of Redis.
fn scripts(statistics: &str) -> f64 {
    let calls = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let is_script = ["eval", "evalsha", "fcall"].contains(&name);
        rest.split(',').next()?.parse::<f64>().ok().filter(|_| is_script)
    };
    statistics.lines().filter_map(calls).sum()
}

#[cfg(test)]
mod tests {
    use super::scripts;

    #[test]
    fn scripts_are_counted_and_other_commands_are_not() {
        let statistics = "# Commandstats\r\ncmdstat_get:calls=7,usec=1\r\ncmdstat_evalsha:calls=30,usec=9\r\n\
                          cmdstat_eval:calls=2,usec=9\r\ncmdstat_evalsha_ro:calls=100,usec=9\r\n";
        assert_eq!(scripts(statistics), 32.0);
    }
}
