//! Checks that no comment in an example of the documentation is too long for the box in which rustdoc shows it. What stands
//! to the right of the box is seen by nobody who does not scroll.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// How many characters of a line are seen on a narrow screen.
const WIDEST: usize = 80;

/// `sources`: every Rust file with its text.
pub(crate) fn check(sources: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    let of_libraries = sources.iter().filter(|(path, _)| path.iter().any(|part| part == "src"));
    let published = of_libraries.filter(|(path, _)| path.starts_with("conformance-tests") || is_crate(path));
    let mut wide = Vec::new();
    for (path, source) in published {
        wide.extend(wide_comments(source).into_iter().map(|line| format!("{}:{line}", path.display())));
    }
    if !wide.is_empty() {
        return Err(format!("these comments in examples end beyond column {WIDEST}: {}", wide.join(", ")));
    }
    println!("no comment in an example of the documentation ends beyond column {WIDEST}");
    Ok(())
}

fn is_crate(path: &Path) -> bool {
    path.iter().next().and_then(|folder| folder.to_str()).is_some_and(|folder| folder.starts_with("session-"))
}

/// The numbers of the lines, counted from 1.
fn wide_comments(source: &str) -> Vec<usize> {
    let mut is_example = false;
    let mut wide = Vec::new();
    for (number, line) in (1..).zip(source.lines()) {
        let line = line.trim_start();
        let Some(shown) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            is_example = false;
            continue;
        };
        let shown = shown.strip_prefix(' ').unwrap_or(shown);
        let is_hidden = shown.trim_start().starts_with("# ");
        if shown.trim_start().starts_with("```") {
            is_example = !is_example;
        } else if is_example && !is_hidden && has_comment(shown) && shown.chars().count() > WIDEST {
            wide.push(number);
        }
    }
    wide
}

/// Two slashes of an address follow a colon.
fn has_comment(line: &str) -> bool {
    line.match_indices("//").any(|(at, _)| !line[..at].ends_with([':', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_that_runs_out_of_the_box_is_told() {
        let code = "x".repeat(70);
        for (line, is_wide) in [
            (format!("/// {code}; // much longer than the box"), true),
            (format!("    /// // {code} much longer than the box"), true),
            (format!("/// {code}; // fits"), false),
            (format!("/// {code}; {code}"), false),
            (format!("/// # {code}; // hidden, and much longer than the box"), false),
            (format!("/// open(\"http://{code}\")"), false),
        ] {
            let source = format!("/// ```\n{line}\n/// ```\n/// {code} // no example\nfn f() {{}} // {code}\n");
            assert_eq!(wide_comments(&source), if is_wide { vec![2] } else { vec![] }, "{line}");
        }
    }
}
