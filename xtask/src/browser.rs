//! The browser tests need Chromium and its driver.

use std::{env, path::Path, process::Command};

use crate::step;

const PACKAGES: [(&str, &str); 2] = [("chromium", "chromium"), ("chromedriver", "chromium-driver")];

/// Installs what is missing, where that is ours to do: as root on Debian. Else says what to install.
pub(crate) fn provide() -> Result<(), String> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|(program, _)| !is_on_path(program)).map(|it| it.1).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !Path::new("/etc/debian_version").exists() || !is_on_path("apt-get") {
        return Err(format!(
            "the browser tests need `chromium` and `chromedriver` on the PATH; Debian calls the packages {packages}"
        ));
    }
    if step::output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(format!("the browser tests need Chromium and its driver: sudo apt-get install {packages}"));
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    step::run(apt().args(["update", "--quiet"]))?;
    step::run(apt().args(["install", "--quiet", "--yes", "--no-install-recommends"]).args(missing))
}

fn is_on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
