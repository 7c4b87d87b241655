//! Small sites beside those of other authors: the same routes, on the same databases, in turn.

use crate::programs;

use super::{
    Options,
    database::{Database, Kind},
    goal::{Goal, Quartiles, Report},
    round::{Figure, Load, Round},
    site::{Author, Programs, Site},
};

/// One load, and what is to be compared in it.
struct Group {
    kind: Kind,
    what: &'static str,
    load: Load,
    lines: &'static [Line],
}

/// One figure of ours in parts of the same of a peer.
#[derive(Clone, Copy)]
struct Line {
    what: &'static str,
    figure: Figure,
    of: Author,
    to: Author,
    goal: Option<Goal>,
}

impl Line {
    /// The same of our site on actix-web.
    const fn on_actix(self) -> Self {
        Self { of: Author::OursOnActix, ..self }
    }
}

const fn line_of(what: &'static str, figure: Figure, to: Author, goal: Goal) -> Line {
    Line { what, figure, of: Author::Ours, to, goal: Some(goal) }
}

const fn at_most(most: f64, what: &'static str, figure: Figure, to: Author) -> Line {
    line_of(what, figure, to, Goal::AtMost(most))
}

const fn at_least(least: f64, what: &'static str, figure: Figure, to: Author) -> Line {
    line_of(what, figure, to, Goal::AtLeast(least))
}

const fn group(kind: Kind, what: &'static str, load: (&'static str, usize, usize), lines: &'static [Line]) -> Group {
    let (operation, clients, bytes) = load;
    Group { kind, what, load: Load { operation, clients, bytes, keys: 1 }, lines }
}

const CPU: &str = "CPU of a request, process and server";

/// The sessions have a value of 200 bytes, where no size is named.
const GROUPS: &[Group] = &[
    group(Kind::Memory, "ping, 16 clients", ("ping", 16, 200), &[]),
    group(Kind::Memory, "read, 16 clients", ("read", 16, 200), &[]),
    group(Kind::Memory, "write, 16 clients", ("inc", 16, 200), &[]),
    group(Kind::Memory, "login, 16 clients", ("login", 16, 200), &[]),
    group(Kind::Redis, "read, 1 client", ("read", 1, 200), &[]),
    group(
        Kind::Redis,
        "read, 16 clients",
        ("read", 16, 200),
        &[
            at_most(0.8, CPU, Figure::Cpu, Author::TowerSessions),
            at_most(1.0, CPU, Figure::Cpu, Author::ActixSession),
            at_most(1.0, CPU, Figure::Cpu, Author::ActixSession).on_actix(),
        ],
    ),
    group(Kind::Redis, "read, 64 clients", ("read", 64, 200), &[]),
    group(Kind::Redis, "read of 8 KiB, 16 clients", ("read", 16, 8 << 10), &[]),
    group(Kind::Redis, "write, 1 client", ("inc", 1, 200), &[]),
    group(
        Kind::Redis,
        "write, 16 clients",
        ("inc", 16, 200),
        &[
            at_most(0.9, CPU, Figure::Cpu, Author::TowerSessions),
            at_most(1.1, CPU, Figure::Cpu, Author::ActixSession),
            at_most(1.1, CPU, Figure::Cpu, Author::ActixSession).on_actix(),
        ],
    ),
    group(Kind::Redis, "write, 64 clients", ("inc", 64, 200), &[]),
    group(Kind::Redis, "write of 8 KiB, 16 clients", ("inc", 16, 8 << 10), &[]),
    group(
        Kind::Redis,
        "write of 512 KiB, 4 clients",
        ("inc", 4, 512 << 10),
        &[at_most(0.9, "CPU of a request, process", Figure::Process, Author::TowerSessions)],
    ),
    group(
        Kind::Redis,
        "writes on one session, 16 clients",
        ("inc-one", 16, 200),
        &[
            // In the scale of a quiet machine, on which tower-sessions makes 23000 a second.
            at_least(0.52, "requests a second, for 12000 / 23000", Figure::Throughput, Author::TowerSessions),
            at_most(10.0, "p99 in ms, on a machine of 23000 a second", Figure::ScaledP99, Author::TowerSessions),
            at_most(1.3, "scripts a write, for tries", Figure::Scripts, Author::Ours),
        ],
    ),
    group(
        Kind::Redis,
        "login, 1 client",
        ("login", 1, 200),
        &[at_least(0.9, "requests a second", Figure::Throughput, Author::TowerSessions)],
    ),
    group(
        Kind::Redis,
        "login, 16 clients",
        ("login", 16, 200),
        &[at_most(0.9, CPU, Figure::Cpu, Author::TowerSessions)],
    ),
    group(Kind::Postgres, "read, 1 client", ("read", 1, 200), &[]),
    group(
        Kind::Postgres,
        "read, 16 clients",
        ("read", 16, 200),
        &[at_most(0.8, CPU, Figure::Cpu, Author::TowerSessions)],
    ),
    group(Kind::Postgres, "read, 64 clients", ("read", 64, 200), &[]),
    group(Kind::Postgres, "write, 1 client", ("inc", 1, 200), &[]),
    group(
        Kind::Postgres,
        "write, 16 clients",
        ("inc", 16, 200),
        &[
            at_most(0.9, CPU, Figure::Cpu, Author::TowerSessions),
            at_most(1.0, "CPU of a request, server", Figure::Server, Author::TowerSessions),
            at_most(1.0, "bytes in the server's log", Figure::Log, Author::TowerSessions),
        ],
    ),
    group(Kind::Postgres, "write, 64 clients", ("inc", 64, 200), &[]),
    group(
        Kind::Postgres,
        "login, 16 clients",
        ("login", 16, 200),
        &[at_most(0.9, CPU, Figure::Cpu, Author::TowerSessions)],
    ),
    group(Kind::Sqlite, "read, 1 client", ("read", 1, 200), &[]),
    group(Kind::Sqlite, "read, 16 clients", ("read", 16, 200), &[]),
    group(Kind::Sqlite, "write, 1 client", ("inc", 1, 200), &[]),
    group(Kind::Sqlite, "write, 16 clients", ("inc", 16, 200), &[]),
    group(Kind::Sqlite, "write, 64 clients", ("inc", 64, 200), &[]),
    group(Kind::Sqlite, "login, 16 clients", ("login", 16, 200), &[]),
];

/// What the session adds to a site without one, in the same process: the operations, and the goals.
const IN_PROCESS: [(&str, Goal); 5] = [
    ("read", Goal::AtMost(0.75)),
    ("write", Goal::AtMost(0.9)),
    ("login", Goal::AtMost(0.9)),
    ("read-100", Goal::AtMost(0.8)),
    ("read-1000", Goal::AtMost(0.8)),
];

const KINDS: [Kind; 4] = [Kind::Memory, Kind::Redis, Kind::Postgres, Kind::Sqlite];

/// Whether a site is to be measured.
pub(super) fn are_wanted(options: &Options) -> bool {
    options.wants(IN_PROCESS_TITLE) || chosen(options).next().is_some()
}

pub(super) fn run(options: &Options, report: &mut Report) -> Result<(), String> {
    programs::provide(&programs::SERVERS)?;
    let programs = Programs::build(options.base)?;
    if options.wants(IN_PROCESS_TITLE) {
        in_process(&programs, options, report)?;
    }
    for kind in KINDS {
        let groups: Vec<_> = chosen(options).filter(|group| group.kind == kind).collect();
        if !groups.is_empty() {
            let database = Database::start(kind)?;
            let sites = start(&programs, &database, kind)?;
            for group in groups {
                let rounds = group.measure(&programs, &sites, &database, options.rounds)?;
                group.print(&rounds, report);
            }
        }
    }
    Ok(())
}

fn chosen(options: &Options) -> impl Iterator<Item = &'static Group> {
    GROUPS.iter().filter(|group| options.wants(&group.name()))
}

const IN_PROCESS_TITLE: &str = "memory, in process: what the session adds to bare axum, CPU";

/// Each author's site over a database of its own.
fn start(programs: &Programs, database: &Database, kind: Kind) -> Result<Vec<Site>, String> {
    let mut authors = vec![Author::Ours, Author::Base, Author::TowerSessions];
    if kind == Kind::Redis {
        authors.extend([Author::OursOnActix, Author::ActixSession, Author::Express]);
    }
    if matches!(kind, Kind::Memory | Kind::Redis) {
        authors.push(Author::LeastLayer);
    }
    authors.push(Author::Floor);
    let mut sites = Vec::new();
    for (number, author) in authors.into_iter().enumerate() {
        let name = match (author, kind) {
            (Author::Floor, Kind::Memory) => "bare".into(),
            (Author::Floor, _) => format!("raw-{}", kind.name()),
            (Author::LeastLayer, _) => format!("least-{}", kind.name()),
            _ => kind.name().to_owned(),
        };
        sites.extend(programs.start(author, &name, &database.url(number)?)?);
    }
    Ok(sites)
}

impl Group {
    fn name(&self) -> String {
        format!("{}, {}", self.kind.name(), self.what)
    }

    /// Each round measures each site. The first one only warms up: a site that compiles as it runs is slow at first.
    fn measure(
        &self,
        programs: &Programs,
        sites: &[Site],
        database: &Database,
        rounds: usize,
    ) -> Result<Vec<(Author, Vec<Round>)>, String> {
        let mut measured: Vec<_> = sites.iter().map(|site| (site.author, Vec::new())).collect();
        for number in 0..=rounds {
            for (site, (_, measured)) in sites.iter().zip(&mut measured) {
                let round = Round::take(programs.clients(), site, database, self.load)?;
                if number > 0 {
                    measured.push(round);
                }
            }
        }
        Ok(measured)
    }

    fn print(&self, rounds: &[(Author, Vec<Round>)], report: &mut Report) {
        self.print_sites(rounds);
        // The older commit stands beside the new one in all that is measured.
        let base = |(what, figure)| Line { what, figure, of: Author::Ours, to: Author::Base, goal: None };
        let base = [(CPU, Figure::Cpu), ("requests a second", Figure::Throughput)].map(base);
        // What a goal leaves for a session. The floor is without one, and the least layer keeps what is promised, by hand.
        let ours = self.lines.iter().filter(|line| line.of == Author::Ours && line.to != Author::Ours);
        let least =
            ours.flat_map(|line| [Author::LeastLayer, Author::Floor].map(|of| Line { of, goal: None, ..*line }));
        for line in self.lines.iter().copied().chain(least).chain(base) {
            self.print_line(line, rounds, report);
        }
    }

    /// The medians of each site.
    fn print_sites(&self, rounds: &[(Author, Vec<Round>)]) {
        println!(
            "\n{:<32} {:>10} {:>11} {:>11} {:>9} {:>10} {:>8}",
            self.name(),
            "requests/s",
            "process µs",
            "server µs",
            "p99 ms",
            "written",
            "lost"
        );
        for (author, rounds) in rounds {
            let median = |figure| {
                let figures = rounds.iter().map(|round| round.get(figure)).collect();
                Quartiles::of(figures).map_or(f64::NAN, |quartiles| quartiles.median)
            };
            println!(
                "  {:<30} {:>10.0} {:>11.1} {:>11.1} {:>9.2} {:>10.2} {:>7.1}%",
                author.name(),
                median(Figure::Throughput),
                median(Figure::Process),
                median(Figure::Server),
                median(Figure::P99) / 1000.0,
                median(Figure::Scripts),
                100.0 * median(Figure::Lost),
            );
        }
    }

    /// The ratios of the rounds, each to the same round of the peer. Without that peer, nothing. A line against ours is no
    /// ratio.
    fn print_line(&self, wanted: Line, rounds: &[(Author, Vec<Round>)], report: &mut Report) {
        let of = |author| rounds.iter().find(|(it, _)| *it == author).map(|(_, rounds)| rounds);
        let (Some(ours), Some(theirs)) = (of(wanted.of), of(wanted.to)) else { return };
        let is_alone = wanted.to == wanted.of;
        let figure = |(ours, theirs): (&Round, &Round)| ours.against((!is_alone).then_some(theirs), wanted.figure);
        if let Some(quartiles) = Quartiles::of(ours.iter().zip(theirs).map(figure).collect()) {
            let what = match (wanted.of, wanted.to) {
                _ if is_alone => wanted.what.into(),
                (Author::Ours, peer) => format!("{} / {}", wanted.what, peer.name()),
                (ours, peer) => format!("{} of {} / {}", wanted.what, ours.name(), peer.name()),
            };
            report.line(&self.name(), &what, quartiles, wanted.goal);
        }
    }
}

/// Each round runs each program once. A request of the bare site is taken off both.
fn in_process(programs: &Programs, options: &Options, report: &mut Report) -> Result<(), String> {
    let sites = [
        (Author::Ours, "memory"),
        (Author::Base, "memory"),
        (Author::TowerSessions, "memory"),
        (Author::LeastLayer, "least-memory"),
        (Author::Floor, "bare"),
    ];
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let mut round = Vec::new();
        for (author, kind) in sites {
            round.push((author, programs.in_process(author, kind)?.unwrap_or_default()));
        }
        rounds.push(round);
    }
    report.head(IN_PROCESS_TITLE);
    for (operation, goal) in IN_PROCESS {
        let compared = [
            (Author::Ours, Author::TowerSessions, Some(goal)),
            (Author::LeastLayer, Author::TowerSessions, None),
            (Author::Ours, Author::Base, None),
        ];
        for (of, to, goal) in compared {
            let ratio = |round: &Vec<(Author, Vec<(String, f64)>)>| {
                let time = |author| {
                    let (_, times) = round.iter().find(|(site, _)| *site == author)?;
                    times.iter().find(|(name, _)| name == operation).map(|(_, time)| *time)
                };
                let bare = time(Author::Floor)?;
                Some((time(of)? - bare) / (time(to)? - bare))
            };
            if let Some(quartiles) = Quartiles::of(rounds.iter().filter_map(ratio).collect()) {
                let what = match of {
                    Author::Ours => format!("{operation} / {}", to.name()),
                    of => format!("{operation} of {} / {}", of.name(), to.name()),
                };
                report.line("in process", &what, quartiles, goal);
            }
        }
    }
    Ok(())
}
