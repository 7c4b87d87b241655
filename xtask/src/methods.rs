//! Checks that the table of a session's methods has each of them: in core, and in each adapter, whose own type only derefs to
//! core's.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Where a table is, and how its links begin.
const TABLES: [(&str, &str); 4] = [
    ("session-core/src/session/mod.rs", "(Self::"),
    ("session-tower/src/session.rs", "(session_core::Session::"),
    ("session-actix/src/session.rs", "(session_core::Session::"),
    ("session-poem/src/session.rs", "(session_core::Session::"),
];

/// `sources`: every Rust file with its text.
pub(crate) fn check(sources: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    let of_core = sources.iter().filter(|(path, _)| path.starts_with("session-core/src"));
    let methods: BTreeSet<_> = of_core.flat_map(|(_, source)| methods_of_session(source)).collect();
    if methods.is_empty() {
        return Err("session-core has no `impl Session {` any more".to_owned());
    }
    for (path, link) in TABLES {
        let source = sources.get(Path::new(path)).ok_or_else(|| format!("{path} is not there"))?;
        let missing: Vec<_> = methods.iter().filter(|method| !has_row(source, link, method)).copied().collect();
        if !missing.is_empty() {
            return Err(format!("the table of methods in {path} lacks {}", missing.join(", ")));
        }
    }
    println!("the tables of a session's methods have each of the {}", methods.len());
    Ok(())
}

fn has_row(source: &str, link: &str, method: &str) -> bool {
    source.lines().any(|line| line.starts_with("/// | ") && line.contains(&format!("[`{method}`]{link}{method})")))
}

/// The public methods in the blocks `impl Session`.
fn methods_of_session(source: &str) -> Vec<&str> {
    let mut methods = Vec::new();
    let mut is_inside = false;
    for line in source.lines() {
        if line == "impl Session {" {
            is_inside = true;
        } else if line == "}" {
            is_inside = false;
        }
        let function = line.strip_prefix("    pub fn ").or_else(|| line.strip_prefix("    pub async fn "));
        if let Some(function) = function.filter(|_| is_inside) {
            methods.extend(function.split(['(', '<']).next());
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &str =
        "/// | to | call |\n/// | read | [`get`](Self::get) |\nimpl Session {\n    pub fn get<T>(&self) {}\n}\n";

    fn with(core: &str) -> Result<(), String> {
        let adapter = "/// | read | [`get`](session_core::Session::get) |\n";
        let text = |path: &str| if path.starts_with("session-core") { core } else { adapter }.to_owned();
        check(&TABLES.iter().map(|(path, _)| (PathBuf::from(path), text(path))).collect())
    }

    #[test]
    fn a_method_that_a_table_lacks_is_told() {
        assert_eq!(with(CORE), Ok(()));
        let more = format!("{CORE}impl Session {{\n    pub async fn login(&self) {{}}\n}}\n");
        assert!(with(&more).is_err_and(|error| error.contains("login")));
        let in_core_only = more.replace("(Self::get)", "(Self::get), [`login`](Self::login)");
        assert!(with(&in_core_only).is_err_and(|error| error.contains("session-tower")));
        assert!(with("").is_err());
    }
}
