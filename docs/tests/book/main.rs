//! The book holds together: its code is run, its links and includes lead somewhere, no chapter is left out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

// The store and the adapter that the guide shows, each on the kit.
#[path = "../../../examples/adapter.rs"]
mod adapter;
mod log;
mod parts;
#[path = "../../../examples/store.rs"]
mod store;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use parts::{Block, Chapter, read};

/// A package folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn source() -> PathBuf {
    root().join("docs/src")
}

/// Every page that there is, by the name of its file.
fn chapters() -> BTreeMap<String, Chapter> {
    let files = fs::read_dir(source()).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), Chapter::of(&read(&path)))).collect()
}

/// The faults of all blocks, each with its place. The test fails if there are any.
fn judge_blocks(languages: &[&str], fault: impl Fn(&Block) -> Result<(), String>) {
    let mut faults = Vec::new();
    let mut count = 0;
    for (file, chapter) in chapters() {
        for block in chapter.blocks.iter().filter(|block| languages.contains(&block.language())) {
            count += 1;
            if let Err(fault) = fault(block) {
                faults.push(format!("{file}: {fault}:\n{}", block.text));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 0, "no block is {languages:?}: their form has changed, and nothing was checked");
}

#[test]
fn each_chapter_is_in_the_summary_and_its_code_is_tested() {
    let mut chapters = chapters();
    let summary = chapters.remove("SUMMARY.md").unwrap();
    let listed: Vec<_> = summary.links.iter().map(String::as_str).collect();
    let there: BTreeSet<_> = chapters.keys().map(String::as_str).collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), there, "SUMMARY.md and the files");
    assert_eq!(listed.len(), there.len(), "SUMMARY.md names a chapter twice");
    let library = read(&root().join("docs/lib.rs"));
    let untested: Vec<_> = listed.iter().filter(|file| !library.contains(&format!("\"{file}\""))).collect();
    assert!(untested.is_empty(), "add to docs/lib.rs: {untested:?}");
}

#[test]
fn each_link_leads_somewhere() {
    let chapters = chapters();
    let mut faults = Vec::new();
    for (file, chapter) in &chapters {
        for link in chapter.links.iter().filter(|link| !link.contains("://")) {
            let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
            let page = if page.is_empty() { file } else { page };
            match chapters.get(page) {
                None => faults.push(format!("{file}: there is no page {link}")),
                Some(there) if !anchor.is_empty() && !there.anchors.contains(anchor) => {
                    faults.push(format!("{file}: there is no heading {link}, but {:?}", there.anchors));
                }
                Some(_) => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_block_of_rust_is_run_here_or_is_a_piece_of_a_program_that_is() {
    judge_blocks(&["rust"], |block| match block.info.as_str() {
        "rust" | "rust,compile_fail" | "rust,should_panic" if !block.text.contains("{{#") => Ok(()),
        "rust,ignore" => judge_include(block.text.trim()),
        _ => Err("write `rust` for a test, or `rust,ignore` around one `{{#include …}}`".to_owned()),
    });
}

/// Whether it is a piece of a file that the repository compiles and runs, and nothing else.
fn judge_include(text: &str) -> Result<(), String> {
    let inside = text.strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}"));
    let inside = inside.filter(|inside| !inside.contains('\n')).ok_or("this is not one `{{#include …}}`")?;
    let (path, anchor) = inside.split_once(':').unwrap_or((inside, ""));
    let path = path.strip_prefix("../../").ok_or("the path begins with ../../")?;
    if !path.split('/').any(|part| ["examples", "tests"].contains(&part)) {
        return Err("only examples and tests are included, because these are run".to_owned());
    }
    let file = fs::read_to_string(root().join(path)).map_err(|error| error.to_string())?;
    let has_line = |what: &str| file.lines().filter(|line| line.trim() == format!("// {what}: {anchor}")).count() == 1;
    match anchor.is_empty() || has_line("ANCHOR") && has_line("ANCHOR_END") {
        true => Ok(()),
        false => Err(format!("{path} has not one `ANCHOR: {anchor}` with its `ANCHOR_END`")),
    }
}

#[test]
fn each_block_says_what_it_is() {
    for (file, chapter) in chapters() {
        for block in chapter.blocks {
            let language = block.language();
            let is_known = ["rust", "toml", "sh", "text"].contains(&language);
            assert!(is_known && (language == "rust" || block.info == language), "{file}: {:?}", block.info);
        }
    }
}

/// Cargo itself reads it. Without a `[table]` it is a part of `[dependencies]`.
#[test]
fn each_block_of_toml_is_a_manifest_that_cargo_reads() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifest");
    fs::create_dir_all(&folder).unwrap();
    let manifest = folder.join("Cargo.toml");
    judge_blocks(&["toml"], |block| {
        judge_paths(&block.text)?;
        let table = if block.text.starts_with('[') { "" } else { "[dependencies]\n" };
        let package = "[package]\nname = \"shop\"\nedition = \"2024\"\n[lib]\npath = \"shop.rs\"\n[workspace]\n";
        let dependencies = block.text.replace("../sessions/", &format!("{}/", root().display()));
        fs::write(&manifest, format!("{package}{table}{dependencies}")).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        let read = cargo.output().unwrap();
        if read.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&read.stderr).into_owned()) }
    });
}

/// The reader's clone is called `sessions`. What is named of it must be there, with its features.
fn judge_paths(text: &str) -> Result<(), String> {
    for line in text.lines().filter(|line| line.contains("sessions/")) {
        let (name, rest) = line.split_once(" = ").ok_or("no dependency")?;
        let folder = rest.split("sessions/").nth(1).and_then(|rest| rest.split('"').next()).ok_or("no folder")?;
        let manifest = read(&root().join(folder).join("Cargo.toml"));
        if !manifest.contains(&format!("name = \"{name}\"\n")) {
            return Err(format!("{folder} is not the package {name}"));
        }
        let features = rest.split_once("features = [").and_then(|(_, rest)| rest.split_once(']')).unwrap_or_default().0;
        for feature in features.split(", ").filter(|feature| !feature.is_empty()) {
            if !manifest.contains(&format!("\n{} = [", feature.trim_matches('"'))) {
                return Err(format!("{name} has no feature {feature}"));
            }
        }
    }
    Ok(())
}

#[test]
fn each_command_names_a_program_that_is_there() {
    let tasks = read(&root().join("xtask/src/main.rs"));
    judge_blocks(&["sh"], |block| {
        for line in block.text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("    ")) {
            let words: Vec<_> = line.split_whitespace().take_while(|word| *word != "#").collect();
            match words[..] {
                ["cargo", "run", "-p", package, "--bin", program, ..] => judge_program(package, program)?,
                ["cargo", "run", "-p", package] | ["cargo", "test", "-p", package, ..] => {
                    let folder = match package {
                        "session-conformance" => "conformance-tests",
                        "guide" => "docs",
                        package => package,
                    };
                    if !root().join(folder).join("Cargo.toml").is_file() {
                        return Err(format!("there is no package {package}"));
                    }
                }
                ["cargo", "xtask", task, ..] if tasks.contains(&format!("[\"{task}\"")) => {}
                ["cargo", "new", _] | ["cargo", "run" | "test"] | ["cd", _] => {}
                ["curl" | "openssl", ..] => {}
                _ => return Err(format!("`{line}` is no command that is known to work: see docs/tests/book")),
            }
        }
        Ok(())
    });
}

fn judge_program(package: &str, program: &str) -> Result<(), String> {
    let manifest = read(&root().join(package).join("Cargo.toml"));
    match manifest.contains(&format!("[[bin]]\nname = \"{program}\"\n")) {
        true => Ok(()),
        false => Err(format!("{package} has no program {program}")),
    }
}
