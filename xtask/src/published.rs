//! `cargo xtask published`: unpacks, builds and tests the packages that a registry would get, without the repository.
//!
//! `cargo package` builds each package, too. But it compiles against packages that an earlier run has unpacked, and it
//! runs no test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    check::CEILINGS,
    programs,
    step::{self, cargo},
};

/// Their examples in the documentation use `session-memory`. That depends on them, so their packages cannot name it. The
/// repository runs these examples.
const WITHOUT_DOCTESTS: [&str; 2] = ["session-core", "session-conformance"];

pub(crate) fn run() -> Result<(), String> {
    programs::provide(&programs::SERVERS)?;
    let folder = make_packages("unpacked")?;
    let here = |command: &mut Command| {
        // The next run uses the builds of other people's crates again.
        command.env("CARGO_TARGET_DIR", step::target()).env("SESSION_TEST_SERVERS", "local");
        step::run_in(command, &folder)
    };
    // One command for all of it: with some packages left out, cargo would build the dependencies with other features.
    here(&mut cargo(&["test", "--workspace", "--no-fail-fast"]))?;
    // The oldest versions that a manifest allows are what it promises to work with.
    here(&mut to_oldest_versions())?;
    here(&mut cargo(&["check", "--workspace", "--all-features"]))
}

/// Whether the oldest versions that the manifests allow go together. That takes seconds, and to build them takes minutes.
pub(crate) fn judge_oldest_versions() -> Result<(), String> {
    step::run_in(to_oldest_versions().args(["--dry-run", "--quiet"]), &make_packages("oldest")?)
}

/// Only the resolver is unstable. The compiler that builds them is the ordinary one.
fn to_oldest_versions() -> Command {
    let mut update = cargo(&["update", "-Z", "direct-minimal-versions"]);
    update.env("RUSTC_BOOTSTRAP", "1");
    update
}

/// Packs what a registry would get.
pub(crate) fn package() -> Result<(), String> {
    let packages = CEILINGS.iter().flat_map(|(package, _)| ["--package", package]);
    step::run(cargo(&["package", "--no-verify", "--allow-dirty"]).args(packages))
}

/// Makes every package and unpacks it into a workspace of this name, in which they find one another. Returns its folder.
fn make_packages(workspace: &str) -> Result<PathBuf, String> {
    package()?;
    let folder = step::target().join(workspace);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{} cannot be removed: {error}", folder.display()))?;
    }
    fs::create_dir_all(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let (mut members, mut patches) = (String::new(), String::new());
    for (package, _) in CEILINGS {
        let unpacked = format!("{package}-{}", env!("CARGO_PKG_VERSION"));
        let packed = step::target().join("package").join(format!("{unpacked}.crate"));
        step::run(Command::new("tar").arg("-xzf").arg(packed).arg("-C").arg(&folder))?;
        if WITHOUT_DOCTESTS.contains(&package) {
            leave_doctests_out(&folder.join(&unpacked).join("Cargo.toml"))?;
        }
        members += &format!("    \"{unpacked}\",\n");
        patches += &format!("{package} = {{ path = \"{unpacked}\" }}\n");
    }
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\n{members}]\n\n\
         [patch.crates-io]\n{patches}\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n"
    );
    write(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    // The same versions as in the repository's tests.
    let lock = step::root().join("Cargo.lock");
    let locked = fs::read(&lock).map_err(|error| format!("{} cannot be read: {error}", lock.display()))?;
    write(&folder.join("Cargo.lock"), &locked)?;
    Ok(folder)
}

/// Cargo has an option to run the documentation's tests alone, and none to leave those of one package out.
fn leave_doctests_out(manifest: &Path) -> Result<(), String> {
    let text = step::read(manifest)?;
    let without = text.replacen("\n[lib]\n", "\n[lib]\ndoctest = false\n", 1);
    if without == text {
        return Err(format!("{} has no [lib]", manifest.display()));
    }
    write(manifest, without.as_bytes())
}

pub(crate) fn write(path: &Path, text: &[u8]) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
