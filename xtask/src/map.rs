//! Compares the map at the end of DESIGN.md with the folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::step;

/// `sources`: every Rust file with its text.
pub(crate) fn check(sources: &BTreeMap<PathBuf, String>) -> Result<(), String> {
    let design = step::read(&step::root().join("DESIGN.md"))?;
    let (_, map) = design.split_once("## Where is what?").ok_or("DESIGN.md has no map")?;
    let map = map.split("```").nth(1).and_then(|block| block.strip_prefix("text\n")).ok_or("the map is no block")?;
    let files: BTreeSet<_> = sources.keys().filter_map(|path| place(path)).collect();
    let named = named_in(map);
    judge(&files, &named)?;
    println!("the map of DESIGN.md names {} files and folders, which are all there", named.len());
    Ok(())
}

/// Where the map has a file: without the folder `src`. What it leaves out has no place.
fn place(path: &Path) -> Option<PathBuf> {
    let mut parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
    let is_inside = |folder: &&str| parts.get(1) == Some(folder);
    if ["benches", "examples"].iter().any(is_inside) || parts.iter().any(|part| ["tests", "tests.rs"].contains(part)) {
        return None;
    }
    if is_inside(&"src") {
        parts.remove(1);
    }
    // It stands for its folder, which may have no other file.
    if parts.last().is_some_and(|file| ["lib.rs", "mod.rs", "main.rs"].contains(file)) {
        parts.pop();
    }
    Some(parts.iter().collect())
}

/// What the map names. A line begins with names, which end in `.rs` or `/`. It belongs to the folder above it.
fn named_in(map: &str) -> BTreeSet<PathBuf> {
    let mut named = BTreeSet::new();
    let mut folders: Vec<(usize, PathBuf)> = Vec::new();
    for line in map.lines() {
        let depth = line.len() - line.trim_start().len();
        folders.retain(|(of, _)| *of < depth);
        let parent = folders.last().map(|(_, folder)| folder.clone()).unwrap_or_default();
        let is_name = |word: &&str| word.ends_with(".rs") || word.ends_with('/');
        for name in line.split_whitespace().take_while(is_name) {
            named.insert(parent.join(name));
            if name.ends_with('/') {
                folders.push((depth, parent.join(name)));
            }
        }
    }
    named
}

fn judge(files: &BTreeSet<PathBuf>, named: &BTreeSet<PathBuf>) -> Result<(), String> {
    let list = |paths: Vec<&Path>| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let is_there = |name: &&PathBuf| files.iter().any(|file| file.starts_with(name));
    let gone: Vec<_> = named.iter().filter(|name| !is_there(name)).map(PathBuf::as_path).collect();
    if !gone.is_empty() {
        return Err(format!("the map of DESIGN.md names what is not there: {}", list(gone)));
    }
    let parents: BTreeSet<_> = named.iter().filter_map(|name| name.parent()).collect();
    // A folder of which nothing is named stands for all that is in it.
    let is_missing = |path: &&Path| {
        path.parent().is_some_and(|parent| parents.contains(parent)) && !named.iter().any(|name| name.starts_with(path))
    };
    let missing: BTreeSet<_> = files.iter().flat_map(|file| file.ancestors()).filter(is_missing).collect();
    if !missing.is_empty() {
        return Err(format!("the map of DESIGN.md lacks {}", list(missing.into_iter().collect())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str =
        "core/      the logic\n  a.rs b.rs  two\n  in/        more\n    c.rs     not x.rs\ndocs/      a guide\n";

    fn files(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().filter_map(|path| place(Path::new(path))).collect()
    }

    const THERE: [&str; 7] = [
        "core/src/lib.rs",
        "core/src/a.rs",
        "core/src/b.rs",
        "core/src/in/mod.rs",
        "core/src/in/c.rs",
        "core/src/in/tests.rs",
        "docs/lib.rs",
    ];

    #[test]
    fn a_map_that_is_complete_passes() {
        let named = named_in(MAP);
        assert_eq!(
            named,
            ["core", "core/a.rs", "core/b.rs", "core/in", "core/in/c.rs", "docs"].map(PathBuf::from).into()
        );
        assert_eq!(judge(&files(&THERE), &named), Ok(()));
        let inside_of_what_stands_for_all = [&THERE[..], &["docs/src/page.rs"]].concat();
        assert_eq!(judge(&files(&inside_of_what_stands_for_all), &named), Ok(()));
    }

    #[test]
    fn a_file_that_the_map_lacks_or_has_too_much_is_told() {
        let named = named_in(MAP);
        for new in ["core/src/d.rs", "core/src/in/d.rs", "core/src/out/mod.rs", "demo/src/main.rs"] {
            assert!(
                judge(&files(&[&THERE[..], &[new]].concat()), &named).is_err_and(|error| error.contains("lacks")),
                "{new}"
            );
        }
        for (place, _) in THERE.iter().enumerate().filter(|(_, path)| path.ends_with("a.rs") || path.ends_with("c.rs"))
        {
            let mut fewer = THERE.to_vec();
            fewer.remove(place);
            assert!(judge(&files(&fewer), &named).is_err_and(|error| error.contains("not there")), "{place}");
        }
    }
}
