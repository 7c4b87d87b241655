//! What one site has shown in one round.

use std::{collections::BTreeMap, process::Command};

use super::{database::Database, site::Site};
use crate::step;

/// What the clients ask for, and how many they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) operation: &'static str,
    pub(super) clients: usize,
    /// The size of a value of the session, and how many there are.
    pub(super) bytes: usize,
    pub(super) keys: usize,
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub(super) enum Figure {
    /// The CPU time of a request: of the site's process, of its database, and of both.
    Process,
    Server,
    Cpu,
    /// Requests a second.
    Throughput,
    /// The slowest request of a hundred, in microseconds.
    P99,
    /// The same in the scale of a machine on which the peer makes 23000 requests a second, in milliseconds.
    ScaledP99,
    /// Scripts that Redis ran for an acknowledged request.
    Scripts,
    /// What PostgreSQL wrote into its log for an acknowledged request, in bytes.
    Log,
    /// Acknowledged increments that are not in the counter, in parts of all.
    Lost,
}

/// The numbers of a round, by name.
#[derive(Debug)]
pub(super) struct Round(BTreeMap<String, f64>);

/// How long a round takes, in milliseconds.
const WINDOW: usize = 600;

/// What tower-sessions makes a second on a quiet machine, if 16 clients write to one session on Redis.
const QUIET: f64 = 23_000.0;

impl Round {
    /// Lets the clients work, and measures.
    pub(super) fn take(mut clients: Command, site: &Site, database: &Database, load: Load) -> Result<Self, String> {
        let before = database.written()?;
        clients.args(["load", site.port(), load.operation]);
        clients.args([load.clients, WINDOW, load.bytes, load.keys].map(|number| number.to_string()));
        clients.args([site.process().to_string(), database.processes()]);
        let mut round = Self::read(&step::output(&mut clients)?)?;
        round.0.insert("written".into(), database.written()? - before);
        Ok(round)
    }

    fn read(line: &str) -> Result<Self, String> {
        let number = |word: &str| {
            let (name, number) = word.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        let numbers: Option<_> = line.split_whitespace().map(number).collect();
        numbers.map(Self).ok_or_else(|| format!("the clients said `{line}`"))
    }

    /// Ours in parts of the same figure of a peer. Without a peer it is the figure itself.
    pub(super) fn against(&self, peer: Option<&Self>, figure: Figure) -> f64 {
        match (peer, figure) {
            (None, _) => self.get(figure),
            (Some(peer), Figure::ScaledP99) => self.get(Figure::P99) / 1e3 * peer.get(Figure::Throughput) / QUIET,
            (Some(peer), _) => self.get(figure) / peer.get(figure),
        }
    }

    pub(super) fn get(&self, figure: Figure) -> f64 {
        let get = |name: &str| self.0.get(name).copied().unwrap_or(f64::NAN);
        match figure {
            Figure::Process => get("process"),
            Figure::Server => get("server"),
            Figure::Cpu => get("process") + get("server"),
            Figure::Throughput => get("throughput"),
            Figure::P99 | Figure::ScaledP99 => get("p99"),
            Figure::Scripts | Figure::Log => get("written") / get("acknowledged"),
            Figure::Lost => get("lost") / get("acknowledged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, Round};

    #[test]
    fn what_the_clients_say_is_read_by_name() {
        let line = "acknowledged=50 throughput=100.0 process=2.5 server=1.5 p99=7 lost=5 written=100\n";
        let round = Round::read(line).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(round.get(Figure::Cpu), 4.0);
        assert_eq!((round.get(Figure::Scripts), round.get(Figure::Lost)), (2.0, 0.1));
        assert!(Round::read("a panic").is_err());
        let peer = Round::read("throughput=200.0 p99=1").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(round.against(Some(&peer), Figure::Throughput), 0.5);
        assert_eq!(round.against(None, Figure::Throughput), 100.0);
        assert_eq!(round.against(Some(&peer), Figure::ScaledP99), 0.007 * 200.0 / 23_000.0);
    }
}
