//! `cargo xtask stranger`: builds a project that depends on our packages as a registry gives them.
//!
//! `cargo publish` cannot be tried: what is published stays. So this makes a registry in a folder, from what `cargo package`
//! has packed, and puts it in front of crates.io for a project outside of this workspace.

use std::{
    fs,
    path::Path,
    process::{self, Command},
};

use crate::{
    check::CEILINGS,
    published::{package, write},
    step::{self, cargo},
};

/// What the README says of its first example, but for the versions of our crates.
const DEPENDENCIES: &str = "\
axum = \"0.8\"
session-memory = \"*\"
session-tower = \"*\"
tokio = { version = \"1\", features = [\"macros\", \"net\", \"rt-multi-thread\"] }
tracing-subscriber = \"0.3\"
";

pub(crate) fn run() -> Result<(), String> {
    package()?;
    // Cargo would take this repository for the project's workspace, if the project were in the target folder.
    let folder = std::env::temp_dir().join(format!("session-stranger-{}", process::id()));
    let built = make_registry(&folder.join("registry"))
        .and_then(|()| make_project(&folder.join("project"), &folder.join("registry")))
        .and_then(|()| build(&folder.join("project")));
    built.and(fs::remove_dir_all(&folder).map_err(|error| format!("{} cannot be removed: {error}", folder.display())))
}

/// A registry is a git repository with a file for each crate, and a file that says where the packages are.
fn make_registry(registry: &Path) -> Result<(), String> {
    // Cargo makes this for the packages that depend on one another. The index is in the form of any registry.
    let packed = step::target().join("package").join("tmp-registry");
    make(registry)?;
    step::run(Command::new("cp").arg("-r").arg(packed.join("index/.")).arg(registry))?;
    let packages = format!("file://{}/{{crate}}-{{version}}.crate", packed.display());
    write(&registry.join("config.json"), format!("{{\"dl\": \"{packages}\"}}").as_bytes())?;
    for arguments in [
        &["init", "--quiet"][..],
        &["add", "--all"],
        &["-c", "user.name=xtask", "-c", "user.email=xtask@localhost", "commit", "--quiet", "--message", "packages"],
    ] {
        step::run_in(Command::new("git").args(arguments), registry)?;
    }
    Ok(())
}

fn make_project(project: &Path, registry: &Path) -> Result<(), String> {
    make(&project.join("src"))?;
    make(&project.join(".cargo"))?;
    let config = format!("[registries.ours]\nindex = \"file://{}\"\n", registry.display());
    write(&project.join(".cargo/config.toml"), config.as_bytes())?;
    let patches: String = CEILINGS
        .iter()
        .map(|(package, _)| format!("{package} = {{ version = \"*\", registry = \"ours\" }}\n"))
        .collect();
    let manifest = format!(
        "[package]\nname = \"stranger\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\n{DEPENDENCIES}\n[patch.crates-io]\n{patches}"
    );
    write(&project.join("Cargo.toml"), manifest.as_bytes())?;
    let program = step::read(&step::root().join("examples/hello.rs"))?;
    write(&project.join("src/main.rs"), program.as_bytes())
}

fn build(project: &Path) -> Result<(), String> {
    step::run_in(cargo(&["build"]).env("CARGO_TARGET_DIR", step::target()), project)?;
    // The packages came from the registry, and not from a folder.
    let locked = step::read(&project.join("Cargo.lock"))?;
    for name in ["session-core", "session-memory", "session-tower"] {
        let package =
            format!("name = \"{name}\"\nversion = \"{}\"\nsource = \"registry+file://", env!("CARGO_PKG_VERSION"));
        if !locked.contains(&package) {
            return Err(format!("{name} did not come from the registry:\n{locked}"));
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))
}
