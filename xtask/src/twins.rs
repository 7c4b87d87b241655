//! Files that have the same text in two crates. The stores of two databases share no crate, so some short files exist twice.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const TWINS: [[&str; 2]; 6] = [
    ["session-postgres/src/idle.rs", "session-mysql/src/idle.rs"],
    ["session-postgres/src/again.rs", "session-mysql/src/again.rs"],
    ["session-postgres/src/tls.rs", "session-mysql/src/tls.rs"],
    ["session-postgres/src/tls.rs", "session-redis/src/tls.rs"],
    ["session-postgres/src/home.rs", "session-mysql/src/home.rs"],
    ["session-postgres/src/home.rs", "session-redis/src/home.rs"],
];

/// The names that differ: in the first file, and in the second.
const NAMES: [(&str, &str); 2] = [("PgConnection", "MySqlConnection"), ("session-mysql", "session-postgres")];

/// `sources`: every Rust file with its text.
pub(crate) fn check(sources: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    TWINS.into_iter().try_for_each(|twins| check_two(twins, sources))
}

fn check_two(twins: [&str; 2], sources: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    let [first, second] = twins.map(|path| sources.get(Path::new(path)));
    let (Some(first), Some(second)) = (first, second) else {
        return Err(format!("one of these files is not there: {}", twins.join(", ")));
    };
    let translated = NAMES.iter().fold(first.clone(), |text, (here, there)| text.replace(here, there));
    if let Some((line, _)) = translated.lines().zip(second.lines()).enumerate().find(|(_, (one, other))| one != other) {
        return Err(format!("{} differ in line {}: change both", twins.join(" and "), line + 1));
    }
    if translated.lines().count() != second.lines().count() {
        return Err(format!("{} differ in length: change both", twins.join(" and ")));
    }
    println!("{} have one text", twins.join(" and "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(second: &str) -> Result<(), String> {
        let first = "//! As in session-mysql.\nuse sqlx::PgConnection;\n";
        let twins = TWINS[0];
        check_two(twins, &twins.map(PathBuf::from).into_iter().zip([first.to_owned(), second.to_owned()]).collect())
    }

    #[test]
    fn a_change_of_one_of_the_two_files_is_told() {
        assert_eq!(judge("//! As in session-postgres.\nuse sqlx::MySqlConnection;\n"), Ok(()));
        for (second, told) in [
            ("//! As in session-postgres.\nuse sqlx::PgConnection;\n", "line 2"),
            ("//! As in session-postgres.\nuse sqlx::MySqlConnection;\nmod more;\n", "length"),
            ("//! As in session-postgres.\n", "length"),
        ] {
            assert!(judge(second).is_err_and(|error| error.contains(told)), "{second}");
        }
        let all =
            || TWINS.as_flattened().iter().map(|path| (PathBuf::from(path), String::new())).collect::<BTreeMap<_, _>>();
        assert_eq!(check(&all()), Ok(()));
        for path in TWINS.as_flattened() {
            let mut sources = all();
            sources.insert(path.into(), "changed".into());
            assert!(check(&sources).is_err(), "{path}");
        }
        assert!(check(&BTreeMap::new()).is_err());
    }
}
