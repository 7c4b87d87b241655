//! The table of what has passed the kits, as the tests have reported it: the contract of a store on its servers, and the
//! sentences of an adapter under its frameworks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::Path,
};

/// A store, or a way to open it, and the servers that it has to be tested on. Or an adapter under a framework.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    kit: Kit,
    pub(crate) package: &'static str,
    pub(crate) module: &'static str,
    what: &'static str,
    origins: &'static [&'static str],
    /// What the kit cannot do to its database. The cases about that are reported as not run.
    spared: &'static [Harm],
}

/// What the kit does to a database, as the names of its cases say it.
type Harm = &'static str;

const LOST_ANSWER: Harm = "answer_is_lost";
const SILENCE: Harm = "without_an_answer";
const NO_ROOM: Harm = "full_database";

/// Whose cases have to pass.
#[derive(Clone, Copy)]
enum Kit {
    Store,
    Adapter,
}

const NO_SERVER: &[&str] = &["none"];
const LOCAL: &[&str] = &["local"];
const LOCAL_AND_CONTAINER: &[&str] = &["local", "container"];

const fn row(package: &'static str, module: &'static str, what: &'static str, origins: &'static [&'static str]) -> Row {
    Row { kit: Kit::Store, package, module, what, origins, spared: &[] }
}

/// A store in this process, or one whose nodes are told to the driver, which then goes past any proxy. Tests of its own lose
/// its answers.
const fn answering(row: Row) -> Row {
    Row { spared: &[LOST_ANSWER, SILENCE], ..row }
}

/// Another row of the same store is run in a full database, but for MongoDB, which only a full disk limits.
const fn with_room(row: Row) -> Row {
    Row { spared: &[NO_ROOM], ..row }
}

const fn unharmed(row: Row) -> Row {
    Row { spared: &[LOST_ANSWER, SILENCE, NO_ROOM], ..row }
}

/// None of our adapters lacks a capability, so each case has to run under each.
const fn adapter(package: &'static str, module: &'static str, what: &'static str) -> Row {
    Row { kit: Kit::Adapter, package, module, what, origins: NO_SERVER, spared: &[] }
}

/// All of these must have run. Others that have run are shown below them.
pub(crate) const ROWS: &[Row] = &[
    answering(row("session-memory", "", "memory", NO_SERVER)),
    unharmed(row("session-sqlite", "in_a_file_of_its_own", "SQLite", NO_SERVER)),
    answering(row("session-sqlite", "in_the_applications_pool", "SQLite, an application's pool", NO_SERVER)),
    unharmed(row("session-sqlite", "with_sealed_payloads", "SQLite, sealed", NO_SERVER)),
    row("session-redis", "on_one_node", "Redis", LOCAL_AND_CONTAINER),
    row("session-redis", "on_the_applications_connection", "Redis, an application's connection", LOCAL_AND_CONTAINER),
    with_room(row("session-redis", "on_valkey", "Valkey", LOCAL)),
    unharmed(row("session-redis", "on_a_cluster", "Redis Cluster", LOCAL)),
    unharmed(row("session-redis", "on_a_watched_master", "Redis, watched by Sentinel", LOCAL)),
    row("session-redis", "with_sealed_payloads", "Redis, sealed", LOCAL),
    row("session-postgres", "over_connections_of_its_own", "PostgreSQL", LOCAL_AND_CONTAINER),
    row("session-postgres", "in_the_pooled_mode", "PostgreSQL, pooled mode", LOCAL_AND_CONTAINER),
    with_room(row(
        "session-postgres",
        "in_the_pool_of_a_seaorm_application",
        "PostgreSQL, SeaORM's pool",
        LOCAL_AND_CONTAINER,
    )),
    with_room(row("session-postgres", "behind_pgbouncer_in_transaction_mode", "PostgreSQL behind PgBouncer", LOCAL)),
    row("session-postgres", "with_sealed_payloads", "PostgreSQL, sealed", LOCAL),
    row("session-mysql", "over_connections_of_its_own", "MariaDB", LOCAL_AND_CONTAINER),
    with_room(row("session-mysql", "in_the_applications_pool", "MariaDB, an application's pool", LOCAL_AND_CONTAINER)),
    row("session-mysql", "with_sealed_payloads", "MariaDB, sealed", LOCAL),
    with_room(row("session-mongo", "over_a_client_of_its_own", "MongoDB", LOCAL_AND_CONTAINER)),
    with_room(row(
        "session-mongo",
        "over_the_applications_client",
        "MongoDB, an application's client",
        LOCAL_AND_CONTAINER,
    )),
    with_room(row("session-mongo", "with_sealed_payloads", "MongoDB, sealed", LOCAL)),
    answering(row("session-sealed", "contract", "memory, sealed", NO_SERVER)),
    adapter("session-tower", "under_axum", "tower under axum"),
    adapter("session-tower", "under_hyper", "tower under bare hyper"),
    adapter("session-actix", "kit", "actix-web"),
    adapter("session-poem", "kit", "poem"),
];

impl Row {
    /// The cases that have to pass.
    fn cases(&self) -> BTreeSet<&'static str> {
        let mut cases = self.kit.cases();
        cases.retain(|case| !self.spared.iter().any(|harm| case.contains(harm)));
        cases
    }

    pub(crate) fn is_local_only(&self) -> bool {
        self.origins == LOCAL
    }

    pub(crate) fn has_containers(&self) -> bool {
        self.origins == LOCAL_AND_CONTAINER
    }
}

/// The report of one store on servers of one origin.
#[derive(Default)]
struct Ran<'a> {
    cases: BTreeSet<&'a str>,
    versions: BTreeSet<&'a str>,
    /// In milliseconds since 1970, the start of the first case and the end of the last one.
    from: u64,
    to: u64,
}

/// Package, module and origin.
type Key<'a> = (&'a str, &'a str, &'a str);

/// Prints the table of a report. It is an error if a row of these packages is missing, or misses a case.
pub(crate) fn print(report: &Path, is_tested: impl Fn(&str) -> bool) -> Result<(), String> {
    let text = match fs::read_to_string(report) {
        // The first case that passes makes the file. So without it no case has passed.
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.map_err(|error| format!("{} cannot be read: {error}", report.display()))?,
    };
    let (table, missing) = judge(&text, is_tested)?;
    println!("\n{table}");
    if missing.is_empty() { Ok(()) } else { Err(format!("the kit has not passed on {}", missing.join("; "))) }
}

/// The table, and what is missing in it.
fn judge(report: &str, is_tested: impl Fn(&str) -> bool) -> Result<(String, Vec<String>), String> {
    let mut ran = read(report)?;
    let mut table =
        format!("{:<44} {:>5} {:>8}  {:<9}  server and version", "store or adapter", "cases", "seconds", "from");
    let mut missing = Vec::new();
    for row in ROWS.iter().filter(|row| is_tested(row.package)) {
        let all = row.cases();
        for origin in row.origins {
            let Some(ran) = ran.remove(&(row.package, row.module, *origin)) else {
                missing.push(format!("{} ({origin})", row.what));
                continue;
            };
            let absent = all.difference(&ran.cases).count();
            if absent > 0 {
                missing.push(format!("{} ({origin}): {absent} of {} cases", row.what, all.len()));
            }
            table += &ran.line(row.what, origin);
        }
    }
    for ((package, module, origin), ran) in ran {
        table += &ran.line(&format!("{package} {module}"), origin);
    }
    Ok((table, missing))
}

fn read(report: &str) -> Result<BTreeMap<Key<'_>, Ran<'_>>, String> {
    let mut all: BTreeMap<Key<'_>, Ran<'_>> = BTreeMap::new();
    for line in report.lines() {
        let wrong = || format!("the report has a line that cannot be read: {line}");
        let fields: Vec<_> = line.split('\t').collect();
        let [package, module, case, from, to, origin, version] = fields[..] else { return Err(wrong()) };
        let (Ok(from), Ok(to)) = (from.parse(), to.parse()) else { return Err(wrong()) };
        // The first part of the path is the file of tests.
        let module = module.split_once("::").map_or("", |(_, module)| module);
        let ran = all.entry((package, module, origin)).or_insert_with(|| Ran { from, to, ..Ran::default() });
        ran.cases.insert(case);
        ran.versions.insert(version);
        (ran.from, ran.to) = (ran.from.min(from), ran.to.max(to));
    }
    Ok(all)
}

impl Ran<'_> {
    fn line(&self, store: &str, origin: &str) -> String {
        let versions = self.versions.iter().copied().collect::<Vec<_>>().join(" and ");
        // The store is the same, but it was not tested on MongoDB.
        let store = if versions.contains("a stand-in for MongoDB") {
            store.replacen("MongoDB", "MongoDB's stand-in", 1)
        } else {
            store.to_owned()
        };
        let seconds = std::time::Duration::from_millis(self.to.saturating_sub(self.from)).as_secs_f64();
        let origin = if origin == "none" { "-" } else { origin };
        let cases = self.cases.len();
        format!("\n{store:<44} {cases:>5} {seconds:>8.1}  {origin:<9}  {versions}").trim_end().to_owned()
    }
}

impl Kit {
    /// Its cases, by name.
    fn cases(self) -> BTreeSet<&'static str> {
        macro_rules! names {
            ([] $($module:ident: $($name:ident $(($capability:ident))?)*;)*) => { [$($(stringify!($name)),*),*] };
        }
        match self {
            Self::Store => session_conformance::each_case!({ names } []).into(),
            Self::Adapter => session_conformance::each_adapter_case!({ names } []).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::{Kit, ROWS, judge};

    fn whole() -> String {
        let mut report = String::new();
        for row in ROWS {
            for (number, origin) in row.origins.iter().enumerate() {
                for case in row.cases() {
                    let module = if row.module.is_empty() { String::new() } else { format!("::{}", row.module) };
                    let version = if row.package == "session-mongo" { "0, a stand-in for MongoDB 4.4" } else { "1.0" };
                    let times = format!("{}\t{}", number * 1000, number * 1000 + 2500);
                    writeln!(report, "{}\tcontract{module}\t{case}\t{times}\t{origin}\t{version}", row.package)
                        .unwrap_or_default();
                }
            }
        }
        report
    }

    #[test]
    fn a_whole_report_misses_nothing_and_calls_a_stand_in_a_stand_in() {
        let (table, missing) = judge(&whole(), |_| true).unwrap_or_default();
        assert!(missing.is_empty(), "{missing:?}");
        let cases = Kit::Store.cases().len();
        let line = |start: &str| table.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
        assert_eq!(line("PostgreSQL  "), format!("{:<44} {cases:>5} {:>8}  local      1.0", "PostgreSQL", "2.5"));
        assert!(line("MongoDB's stand-in  ").ends_with("0, a stand-in for MongoDB 4.4"), "{table}");
        assert!(!table.contains("MongoDB  "), "{table}");
    }

    #[test]
    fn a_store_or_a_case_that_has_not_run_is_missing() {
        let report = whole();
        let without = |what: &[&str]| {
            let lines = report.lines().filter(|line| !what.iter().all(|what| line.contains(what)));
            judge(&lines.collect::<Vec<_>>().join("\n"), |_| true).unwrap_or_default().1
        };
        assert_eq!(without(&["on_a_cluster"]), ["Redis Cluster (local)"]);
        assert_eq!(without(&["::on_one_node", "\tcontainer\t"]), ["Redis (container)"]);
        let memory = ROWS[0].cases();
        let case = memory.iter().next().unwrap_or(&"");
        let all = memory.len();
        assert_eq!(without(&["session-memory", case]), [format!("memory (none): 1 of {all} cases")]);
        let case = "a_panic_commits_nothing";
        let all = Kit::Adapter.cases().len();
        assert_eq!(without(&["under_axum"]), ["tower under axum (none)"]);
        assert_eq!(without(&["session-poem", case]), [format!("poem (none): 1 of {all} cases")]);
        let not_run = report.replace(&format!("{case}\t0\t2500\tnone"), &format!("{case}\t0\t2500\tnot run"));
        assert_eq!(judge(&not_run, |package| package == "session-poem").unwrap_or_default().1.len(), 1);
        assert!(judge("nothing", |_| true).is_err());
    }

    #[test]
    fn where_nothing_has_passed_the_rows_of_what_was_to_be_tested_are_missing() {
        let missing = judge("", |package| package == "session-memory").unwrap_or_default().1;
        assert_eq!(missing, ["memory (none)"]);
    }
}
