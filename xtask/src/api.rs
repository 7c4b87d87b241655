//! `cargo xtask api`: checks what the published crates promise to those who compile against them.
//!
//! - Each type in a public signature is the crate's own, or comes from a crate that its manifest allows.
//! - Each crate compiles with the oldest compiler that its manifest names.
//! - What has been released still compiles as its version says.
//!
//! What a manifest promises of its dependencies is tested by `cargo xtask published`, on the packages themselves.

use std::{
    collections::BTreeMap,
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    check::{self, CEILINGS},
    programs,
    step::{self, cargo},
};

/// The tool belongs to some versions of the compiler.
const UNREADABLE: &str = "cargo-check-external-types cannot read what this compiler writes: install its newest version, or \
                          take the nightly compiler with `cargo +nightly xtask api`";

pub(crate) fn run() -> Result<(), String> {
    judge_types()?;
    for (version, packages) in oldest_compilers()? {
        check_with(&version, &packages)?;
    }
    compare_with_releases()
}

/// Other flags and other compilers would make cargo build the tests' dependencies again.
fn own_target() -> PathBuf {
    step::target().join("api")
}

/// Fails on a public signature with a type of a crate that is not on the manifest's list, and on a list that is too long.
fn judge_types() -> Result<(), String> {
    provide("cargo-check-external-types")?;
    for (package, _) in CEILINGS {
        let manifest = check::folder(package).join("Cargo.toml");
        let mut command = cargo(&["check-external-types", "--all-features", "--manifest-path"]);
        // It reads what rustdoc writes as JSON. That is unstable, and this lets the ordinary compiler do it.
        command.arg(manifest).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", own_target());
        let (mut is_unreadable, mut is_too_long) = (false, false);
        let judged = step::run_heard(&command, &step::root(), |line| {
            is_unreadable |= line.contains("JSON format version");
            is_too_long |= line.contains("wasn't referenced in public API");
        });
        match judged {
            Ok(()) if is_too_long => {
                return Err(format!("the list of types in the Cargo.toml of {package} is too long"));
            }
            Ok(()) => {}
            Err(_) if is_unreadable => return Err(UNREADABLE.into()),
            Err(error) => return Err(format!("{error}: the Cargo.toml of {package} lists which types it may show")),
        }
    }
    Ok(())
}

/// The oldest compilers that the manifests name, and which crates each is for.
fn oldest_compilers() -> Result<BTreeMap<String, Vec<&'static str>>, String> {
    let workspace = step::read(&step::root().join("Cargo.toml"))?;
    let mut compilers = BTreeMap::<_, Vec<_>>::new();
    for (package, _) in CEILINGS {
        let manifest = step::read(&check::folder(package).join("Cargo.toml"))?;
        let version = rust_version(&manifest).or_else(|| rust_version(&workspace));
        let version = version.ok_or_else(|| format!("no manifest names the oldest compiler of {package}"))?;
        compilers.entry(version.to_owned()).or_default().push(package);
    }
    Ok(compilers)
}

/// The version that this manifest names itself.
fn rust_version(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \""))?;
    line.strip_suffix('"')
}

/// Compiles the crates with this compiler. Where it cannot be had, clippy looks for what the compiler's library lacks.
fn check_with(version: &str, packages: &[&str]) -> Result<(), String> {
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    if has_compiler(version) {
        let mut command = Command::new("rustup");
        command.args(["run", version, "cargo", "check", "--locked", "--all-features"]).args(packages);
        return step::run(command.env("CARGO_TARGET_DIR", own_target()));
    }
    println!(
        "\nRust {version} is not here, and rustup cannot fetch it. So only the lint looks at what {version} lacks."
    );
    let mut command = cargo(&["clippy", "--locked", "--all-features"]);
    step::run(command.args(packages).args(["--", "--deny", "clippy::incompatible_msrv"]))
}

fn has_compiler(version: &str) -> bool {
    let rustup = |arguments: &[&str]| {
        let status = Command::new("rustup").args(arguments).stdout(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    rustup(&["run", version, "rustc", "--version"])
        || rustup(&["toolchain", "install", version, "--profile", "minimal", "--no-self-update"])
}

/// Compares each crate that has been released with its last release.
fn compare_with_releases() -> Result<(), String> {
    let mut released = Vec::new();
    for (package, _) in CEILINGS {
        let changelog = step::read(&check::folder(package).join("CHANGELOG.md"))?;
        if names_a_release(&changelog) && is_on_the_registry(package)? {
            released.push(package);
        }
    }
    if released.is_empty() {
        println!(
            "\ncargo semver-checks has nothing to compare with: no crate of this repository has been released yet"
        );
        return Ok(());
    }
    provide("cargo-semver-checks")?;
    let packages = released.iter().flat_map(|package| ["--package", package]);
    step::run(cargo(&["semver-checks"]).args(packages).env("CARGO_TARGET_DIR", own_target()))
}

/// Whether a version in the changelog has a date. One that has not is "unreleased".
fn names_a_release(changelog: &str) -> bool {
    let versions = changelog.lines().filter(|line| line.starts_with("## ["));
    let mut dates = versions.filter_map(|line| line.split_once("] - ").map(|(_, date)| date));
    dates.any(|date| date.starts_with(|first: char| first.is_ascii_digit()))
}

/// A crate whose first release is just being made has a date, and is not there yet.
fn is_on_the_registry(package: &str) -> Result<bool, String> {
    // Within the workspace, cargo would tell of the workspace's own crate.
    let mut command = cargo(&["info", "--registry", "crates-io", package]);
    let output = command.current_dir(env::temp_dir()).output();
    let output = output.map_err(|error| format!("`cargo info {package}` could not be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(true),
        false if said.contains("could not find") => Ok(false),
        false => Err(format!("the registry does not say whether {package} is there: {}", said.trim())),
    }
}

/// Installs the cargo command if it is missing.
fn provide(tool: &str) -> Result<(), String> {
    if programs::is_installed(tool) {
        return Ok(());
    }
    // Without optimisation: building it takes far longer than running it.
    let installed = step::run(&mut cargo(&["install", "--locked", "--debug", tool]));
    installed.map_err(|error| format!("{error}: `cargo xtask api` needs {tool}"))
}

#[cfg(test)]
mod tests {
    use super::{names_a_release, oldest_compilers, rust_version};

    #[test]
    fn a_release_is_a_version_with_a_date() {
        assert!(!names_a_release("## [Unreleased]\n\n## [0.1.0] - unreleased\n"));
        assert!(names_a_release("## [Unreleased]\n\n## [0.1.0] - 2031-02-03\n"));
        assert!(!names_a_release("see 0.0.9] - 2031-02-03"));
    }

    #[test]
    fn a_manifest_names_its_compiler_or_leaves_it_to_the_workspace() {
        assert_eq!(rust_version("[package]\nrust-version = \"1.94\"\n"), Some("1.94"));
        assert_eq!(rust_version("[package]\nrust-version.workspace = true\n"), None);
    }

    #[test]
    fn each_crate_has_an_oldest_compiler() {
        let compilers = oldest_compilers().unwrap_or_else(|error| panic!("{error}"));
        assert!(compilers["1.88"].contains(&"session-core"), "{compilers:?}");
        assert!(compilers["1.94"].contains(&"session-sqlite"), "{compilers:?}");
    }
}
