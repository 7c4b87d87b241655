//! `cargo xtask check`: the rules of the repository that no cargo command checks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{examples, map, methods, names, published, step, twins};

/// Our published crates, and how many crates of other people each may bring along with its default features.
pub(crate) const CEILINGS: [(&str, usize); 13] = [
    ("session-core", 40),
    ("session-memory", 40),
    ("session-mongo", 140),
    ("session-mysql", 120),
    ("session-postgres", 130),
    ("session-redis", 100),
    ("session-sealed", 50),
    ("session-sqlite", 125),
    ("session-tower", 60),
    // Of these actix-web alone is about a hundred, without its own defaults. actix-session brings 137.
    ("session-actix", 130),
    ("session-poem", 110),
    ("session-access-token", 55),
    ("session-conformance", 45),
];

/// How many crates a feature may bring along. `servers` brings none. Only `containers` brings a client of the container
/// engine.
const FEATURES: [(&str, &str, usize); 3] = [
    ("session-core", "metrics", 45),
    ("session-conformance", "servers", 45),
    ("session-conformance", "containers", 190),
];

/// What each may bring along without its default features, and then it brings none of ours. A service that verifies access
/// tokens has no sessions.
const ALONE: [(&str, usize); 1] = [("session-access-token", 30)];

/// The most lines of a file. A longer file has more than one reason to be opened.
const LONGEST_FILE: usize = 400;

pub(crate) fn run() -> Result<(), String> {
    for (package, ceiling) in CEILINGS {
        judge_tree(package, &[], ceiling)?;
    }
    for (package, feature, ceiling) in FEATURES {
        judge_tree(package, &["--features", feature], ceiling)?;
    }
    for (package, ceiling) in ALONE {
        let ours = judge_tree(package, &["--no-default-features"], ceiling)?;
        if !ours.is_empty() {
            return Err(format!("{package} without its default features brings along {}", ours.join(", ")));
        }
    }
    for (package, _) in CEILINGS {
        judge_front(package)?;
    }
    let sources = sources()?;
    let mut too_long = Vec::new();
    for path in sources.keys().filter(|path| path.components().any(|part| part.as_os_str() == "src")) {
        let lines = sources[path].lines().count();
        if lines > LONGEST_FILE {
            too_long.push(format!("{} ({lines})", path.display()));
        }
    }
    if !too_long.is_empty() {
        return Err(format!("these files have more than {LONGEST_FILE} lines: {}", too_long.join(", ")));
    }
    println!("no file is longer than {LONGEST_FILE} lines");
    twins::check(&sources)?;
    map::check(&sources)?;
    methods::check(&sources)?;
    examples::check(&sources)?;
    names::check(&sources)?;
    published::judge_oldest_versions()
}

/// Counts the crates of the normal dependency tree, except ours. Returns which of ours there are beside the package.
fn judge_tree(package: &str, flags: &[&str], ceiling: usize) -> Result<Vec<String>, String> {
    let arguments = ["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let tree = step::output(step::cargo(&arguments).args(flags))?;
    let crates: BTreeSet<_> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let name = |line: &&str| line.split(' ').next().unwrap_or_default().to_owned();
    let is_ours = |line: &&&str| CEILINGS.iter().any(|(ours, _)| name(line) == *ours);
    let (ours, others): (Vec<_>, Vec<_>) = crates.iter().partition(is_ours);
    let with = if flags.is_empty() { String::new() } else { format!(" with `{}`", flags.join(" ")) };
    let count = others.len();
    println!("{package}{with} brings {count} crates along; {ceiling} are allowed");
    if count > ceiling {
        return Err(format!(
            "{package}{with} brings {count} crates along, and may bring {ceiling}: `cargo tree -p {package}`"
        ));
    }
    Ok(ours.into_iter().map(name).filter(|ours| ours != package).collect())
}

/// Where the package is.
pub(crate) fn folder(package: &str) -> PathBuf {
    step::root().join(if package == "session-conformance" { "conformance-tests" } else { package })
}

/// Checks the links of the package's README. On a registry it is read without the repository beside it, so a link to a
/// file there would lead nowhere.
fn judge_front(package: &str) -> Result<(), String> {
    if step::read(&folder(package).join("README.md"))?.contains("](.") {
        return Err(format!("the README.md of {package} has a link that leads nowhere once it is published"));
    }
    let manifest = step::read(&folder(package).join("Cargo.toml"))?;
    for line in [&format!("documentation = \"https://docs.rs/{package}\""), "rustdoc-args = [\"--cfg\", \"docsrs\"]"] {
        if !manifest.contains(line) {
            return Err(format!("the Cargo.toml of {package} lacks `{line}`"));
        }
    }
    // The documentation shows beside an item which feature brings it.
    let badges = "#![cfg_attr(docsrs, feature(doc_cfg))]";
    if !step::read(&folder(package).join("src/lib.rs"))?.contains(badges) {
        return Err(format!("the src/lib.rs of {package} lacks `{badges}`"));
    }
    Ok(())
}

/// Every Rust file of the workspace's members, with its text.
fn sources() -> Result<BTreeMap<PathBuf, String>, String> {
    let mut sources = BTreeMap::new();
    let members = fs::read_dir(step::root()).map_err(|error| format!("the repository cannot be read: {error}"))?;
    for member in members.flatten().map(|entry| entry.path()).filter(|member| member.join("Cargo.toml").is_file()) {
        read_sources(&member, &mut sources)?;
    }
    Ok(sources)
}

fn read_sources(folder: &Path, sources: &mut BTreeMap<PathBuf, String>) -> Result<(), String> {
    let unreadable = |error| format!("{} cannot be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            read_sources(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).map_err(unreadable)?;
            sources.insert(path.strip_prefix(step::root()).unwrap_or(&path).to_owned(), source);
        }
    }
    Ok(())
}
