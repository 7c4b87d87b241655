//! Files that have the same text in two crates. The stores of two databases share no crate, so a short file exists
//! twice.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const TWINS: [&str; 2] = ["session-postgres/src/idle.rs", "session-mysql/src/idle.rs"];

/// The names that differ: in the first file, and in the second.
const NAMES: [(&str, &str); 2] = [("PgConnection", "MySqlConnection"), ("session-mysql", "session-postgres")];

/// `sources`: every Rust file with its text.
pub(crate) fn check(sources: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    let [first, second] = TWINS.map(|path| sources.get(Path::new(path)));
    let (Some(first), Some(second)) = (first, second) else {
        return Err(format!("one of these files is not there: {}", TWINS.join(", ")));
    };
    let translated = NAMES.iter().fold(first.clone(), |text, (here, there)| text.replace(here, there));
    if let Some((line, _)) = translated.lines().zip(second.lines()).enumerate().find(|(_, (one, other))| one != other) {
        return Err(format!("{} differ in line {}: change both", TWINS.join(" and "), line + 1));
    }
    if translated.lines().count() != second.lines().count() {
        return Err(format!("{} differ in length: change both", TWINS.join(" and ")));
    }
    println!("{} have one text", TWINS.join(" and "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(second: &str) -> Result<(), String> {
        let first = "//! As in session-mysql.\nuse sqlx::PgConnection;\n";
        check(&TWINS.map(PathBuf::from).into_iter().zip([first.to_owned(), second.to_owned()]).collect())
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
        assert!(check(&BTreeMap::new()).is_err());
    }
}
