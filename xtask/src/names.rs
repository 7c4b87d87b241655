//! Checks that each test exists which a document names as the proof of a promise or a rule, and each function that PROTOCOL.md
//! says is the place to look at.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::step;

/// The documents, and how many tests each names at least. With fewer, its form has probably changed, and this no longer
/// reads it.
const DOCUMENTS: [(&str, usize); 4] = [
    ("DESIGN.md", 30),
    ("session-core/PROTOCOL.md", 90),
    ("docs/src/writing-a-store.md", 1),
    ("docs/src/writing-an-adapter.md", 5),
];

/// A name of fewer words is a function or a variable.
const FEWEST_WORDS: usize = 4;

/// `sources`: every Rust file with its text.
pub(crate) fn check(sources: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    let known = names_in_sources(sources);
    for (document, fewest) in DOCUMENTS {
        let named = names_in(&read(&step::root().join(document))?);
        let missing: Vec<_> = named.iter().filter(|name| !is_known(name, &known)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(format!("{document} names tests that are not there: {}", missing.join(", ")));
        }
        if named.len() < fewest {
            return Err(format!("{document} names {} tests, and there should be {fewest} or more", named.len()));
        }
        println!("{document} names {} tests, which are all there", named.len());
    }
    check_code(&read(&step::root().join("session-core/PROTOCOL.md"))?, |path| {
        sources.get(&Path::new("session-core/src").join(path)).map(String::as_str)
    })
}

/// Checks the paragraphs that begin with `Code:`. They name files of the core, each with functions of it.
fn check_code<'a>(document: &str, source: impl Fn(&str) -> Option<&'a str>) -> Result<(), String> {
    let paragraphs: Vec<_> = document.split("\n\n").filter(|paragraph| paragraph.starts_with("Code:")).collect();
    if paragraphs.is_empty() {
        return Err("PROTOCOL.md has no paragraph that begins with `Code:`".to_owned());
    }
    for paragraph in paragraphs {
        let mut file = "";
        for name in paragraph.split('`').skip(1).step_by(2) {
            if name.ends_with(".rs") {
                file = source(name).ok_or_else(|| format!("PROTOCOL.md names {name}, which is not there"))?;
            } else if !["(", "<"].iter().any(|next| file.contains(&format!("fn {name}{next}"))) {
                return Err(format!("PROTOCOL.md names the function `{name}` of a file that has none of the name"));
            }
        }
    }
    Ok(())
}

/// The names of tests between backticks. A `*` stands for any words.
fn names_in(document: &str) -> BTreeSet<String> {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_*".contains(letter);
    let quoted = document.split('`').skip(1).step_by(2);
    let long = quoted.filter(|name| name.chars().all(is_word) && name.split('_').count() >= FEWEST_WORDS);
    long.map(str::to_owned).collect()
}

fn is_known(name: &str, known: &BTreeSet<String>) -> bool {
    known.contains(name) || known.iter().any(|known| fits(name, known))
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((begin, rest)) => name
            .strip_prefix(begin)
            .is_some_and(|left| left.char_indices().any(|(at, _)| fits(rest, &left[at..])) || rest.is_empty()),
    }
}

/// Every name in the sources: those of functions, and those from which the kit's macro makes cases.
fn names_in_sources(sources: &BTreeMap<PathBuf, String>) -> BTreeSet<String> {
    let others = sources.iter().filter(|(path, _)| !path.starts_with("xtask")).map(|(_, source)| source);
    let words = others.flat_map(|source| source.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'));
    words.filter(|word| word.split('_').count() >= FEWEST_WORDS).map(str::to_owned).collect()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_between_backticks_is_a_test_if_it_is_long_enough() {
        let names =
            names_in("`a_read_costs_one_load`, `login_note`, a_read_costs_none, `all_of_it_*`, `Not_a_test_name`");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a_read_costs_one_load", "all_of_it_*"]);
    }

    #[test]
    fn a_function_that_the_protocol_names_is_in_its_file() {
        let check = |text| check_code(text, |path| (path == "login.rs").then_some("pub async fn login<T>() {}"));
        assert_eq!(check("## Login\n\nCode: `login.rs` (`login`).\n\nText `x.rs`."), Ok(()));
        for wrong in ["Code: `login.rs` (`logout`).", "Code: `other.rs`.", "Code: `login.rs` (`log`).", "No code."] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_star_stands_for_any_words() {
        let known = ["a_read_costs_one_load".to_owned()].into();
        for (name, is_there) in [
            ("a_read_costs_*", true),
            ("*_one_load", true),
            ("a_write_*", false),
            ("a_read_costs", false),
            ("*read*one*", true),
            ("*one*read*", false),
        ] {
            assert_eq!(is_known(name, &known), is_there, "{name}");
        }
    }
}
