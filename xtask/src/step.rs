//! Runs commands, and prints them.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The text of this file.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// Cargo's target folder. We put files there, too.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs this.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Prints the command and runs it in the root of the repository. An error is a sentence.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    run_in(command, &root())
}

/// The same in this folder.
pub(crate) fn run_in(command: &mut Command, folder: &Path) -> Result<(), String> {
    let shown = shown(command);
    println!("\n$ {shown}");
    judge(&shown, command.current_dir(folder).status())
}

/// The same, and gives each line that it prints to `hear`.
pub(crate) fn run_heard(command: &Command, folder: &Path, mut hear: impl FnMut(&str)) -> Result<(), String> {
    let shown = shown(command);
    println!("\n$ {shown}");
    // Output and errors share one pipe, so that the lines come in the order in which they were written.
    let mut merged = Command::new("sh");
    merged.args(["-c", r#"exec "$0" "$@" 2>&1"#]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => merged.env(name, value),
            None => merged.env_remove(name),
        };
    }
    let wrong = |error| format!("`{shown}` could not be started: {error}");
    let mut child = merged.current_dir(folder).stdout(Stdio::piped()).spawn().map_err(wrong)?;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n')) {
        let line = line.map_err(|error| format!("the output of `{shown}` cannot be read: {error}"))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        hear(&line);
    }
    judge(&shown, child.wait())
}

/// Runs the command and returns its output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let shown = shown(command);
    let output = command.current_dir(root()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("`{shown}` could not be started: {error}"))?;
    judge(&shown, Ok(output.status)).map(|()| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn judge(shown: &str, status: std::io::Result<ExitStatus>) -> Result<(), String> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` has failed ({status})")),
        Err(error) => Err(format!("`{shown}` could not be started: {error}")),
    }
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The program that cargo has made of this file, according to its messages.
pub(crate) fn program_of(messages: &str, source: &Path) -> Option<PathBuf> {
    let source = format!("\"src_path\":\"{}\"", source.display());
    let message = messages.lines().find(|line| line.contains(&source) && line.contains("\"executable\":\""))?;
    let (_, program) = message.split_once("\"executable\":\"")?;
    program.split('"').next().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::program_of;

    #[test]
    fn the_program_of_a_file_is_the_one_that_cargo_names() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"src_path":"/a/src/lib.rs"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"src_path":"/b/tests/contract.rs"},"executable":"/t/b-1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"src_path":"/a/tests/contract.rs"},"executable":"/t/a-1"}"#,
        );
        assert_eq!(program_of(messages, Path::new("/a/tests/contract.rs")), Some(PathBuf::from("/t/a-1")));
        assert_eq!(program_of(messages, Path::new("/a/src/lib.rs")), None);
    }
}
