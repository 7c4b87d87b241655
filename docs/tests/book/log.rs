//! What the book says of the log is what the core writes.

use std::{fs, path::Path};

use super::{chapters, parts::read, root};

/// Every file of the core in one text, and of the Redis store, which has warnings of its own. A sentence that goes over several
/// lines there is one line here.
fn sources() -> String {
    fn add(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, all);
            } else {
                all.extend(read(&path).split("\\\n").map(str::trim_start));
            }
        }
    }
    let mut all = String::new();
    add(&root().join("session-core/src"), &mut all);
    add(&root().join("session-redis/src"), &mut all);
    all
}

#[test]
fn each_line_of_the_log_is_one_that_the_core_writes() {
    let sources = sources();
    let mut count = 0;
    for (file, chapter) in chapters() {
        let text = chapter.blocks.iter().filter(|block| block.info == "text").flat_map(|block| block.text.lines());
        let lines = text.filter_map(|line| line.split_once(" session: "));
        for (_, line) in lines.filter(|(level, _)| ["WARN", "INFO", "DEBUG"].contains(level)) {
            count += 1;
            let (sentence, fields) = line.split_once(" event.name=").unwrap_or((line, ""));
            assert!(sources.contains(&format!("\"{sentence}\"")), "{file}: the core does not write {sentence:?}");
            for field in fields.split_whitespace() {
                let value = field.rsplit('=').next().unwrap().trim_matches('"');
                assert!(value == "cache-control" || sources.contains(&format!("\"{value}\"")), "{file}: {field}");
            }
        }
    }
    assert!(count > 2, "the lines have another form, and are not checked any more");
}

/// `session.theft` is an event, `session.reason` is a field, `session.login` is a method.
#[test]
fn each_event_and_field_that_is_named_is_one_of_the_core() {
    let sources = sources();
    let is_name = |name: &str| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    let mut count = 0;
    for (file, chapter) in chapters() {
        for code in &chapter.code {
            let Some(name) = code.strip_prefix("session.").filter(|name| is_name(name)) else { continue };
            count += 1;
            let forms = [format!("\"{code}\""), format!("{code} ="), format!("fn {name}(")];
            assert!(forms.iter().any(|form| sources.contains(form)), "{file}: the core has no {code}");
        }
    }
    assert!(count > 10, "the names have another form, and are not checked any more");
}
