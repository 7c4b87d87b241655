//! `cargo xtask check`: what no cargo command checks.

use std::{collections::BTreeSet, fs, path::Path};

use crate::step;

/// Our published crates, and how many of other people's each may bring along with its default features.
const CEILINGS: [(&str, usize); 9] = [
    ("session-core", 40),
    ("session-memory", 40),
    ("session-mongo", 140),
    ("session-mysql", 120),
    ("session-postgres", 130),
    ("session-redis", 100),
    ("session-sqlite", 125),
    ("session-tower", 60),
    ("session-conformance", 45),
];

/// What a feature may bring along: `servers` nothing, and only who asks for containers gets a client of their engine.
const FEATURES: [(&str, &str, usize); 2] =
    [("session-conformance", "servers", 45), ("session-conformance", "containers", 190)];

/// A file that is longer has more than one reason to be opened.
const LONGEST_FILE: usize = 400;

pub(crate) fn run() -> Result<(), String> {
    for (package, ceiling) in CEILINGS {
        judge_tree(package, "", ceiling)?;
    }
    for (package, feature, ceiling) in FEATURES {
        judge_tree(package, feature, ceiling)?;
    }
    let mut too_long = Vec::new();
    let members = fs::read_dir(step::root()).map_err(|error| format!("the repository cannot be read: {error}"))?;
    for member in members.flatten().map(|entry| entry.path().join("src")).filter(|source| source.is_dir()) {
        find_long_files(&member, &mut too_long)?;
    }
    if too_long.is_empty() {
        println!("no file is longer than {LONGEST_FILE} lines");
        return Ok(());
    }
    Err(format!("these files have more than {LONGEST_FILE} lines: {}", too_long.join(", ")))
}

/// Counts the crates of the normal tree, ours left out.
fn judge_tree(package: &str, feature: &str, ceiling: usize) -> Result<(), String> {
    let arguments = ["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let tree = step::output(step::cargo(&arguments).args(["--features", feature]))?;
    let crates: BTreeSet<_> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let is_ours = |line: &str| CEILINGS.iter().any(|(ours, _)| line.split(' ').next() == Some(ours));
    let count = crates.iter().filter(|line| !is_ours(line)).count();
    let with = if feature.is_empty() { String::new() } else { format!(" with `{feature}`") };
    println!("{package}{with} brings {count} crates along; {ceiling} are allowed");
    if count > ceiling {
        return Err(format!(
            "{package}{with} brings {count} crates along, and may bring {ceiling}: `cargo tree -p {package}`"
        ));
    }
    Ok(())
}

fn find_long_files(folder: &Path, too_long: &mut Vec<String>) -> Result<(), String> {
    let unreadable = |error| format!("{} cannot be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            find_long_files(&path, too_long)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = fs::read_to_string(&path).map_err(unreadable)?.lines().count();
            if lines > LONGEST_FILE {
                too_long.push(format!("{} ({lines})", path.display()));
            }
        }
    }
    Ok(())
}
