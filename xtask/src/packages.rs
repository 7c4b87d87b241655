//! Debian's packages: installs them, says before what that means, and switches their services off again.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::step;

/// How long another package manager may be at work before ours gives up.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
const PAUSE: Duration = Duration::from_secs(10);

/// Where Debian links the services that start with the machine, for systemd and for others.
const SYSTEMD: &str = "/etc/systemd/system";
const RUN_LEVELS: [&str; 4] = ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d"];

const INSTALL: [&str; 2] = ["install", "--no-install-recommends"];

/// Installs the packages. Says before how many these are, with all that they need. Services that come along are
/// switched off.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    apt(&["update", "--quiet"])?;
    println!("\n{}", meaning(packages)?);
    let before = switched_on();
    let installed = apt(&[&INSTALL[..], &["--quiet", "--yes"], packages].concat());
    // This also covers packages that were installed before it failed.
    switch_off(switched_on().difference(&before))?;
    installed
}

/// What apt-get would do, in its own words.
fn meaning(packages: &[&str]) -> Result<String, String> {
    let mut command = Command::new("apt-get");
    command.args(["-o", "Debug::NoLocking=1", "--assume-no"]).args(INSTALL).args(packages);
    // It answers `no` to its own question, and so it fails.
    let output = command.env("LC_ALL", "C").stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("apt-get could not be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let starts = |line: &&str| line.starts_with("Need to get") || line.starts_with("After this operation");
    let lines = said.lines().filter(|line| line.contains(" newly installed, ") || starts(line));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Runs apt-get. While another package manager is at work, tries again and again.
fn apt(arguments: &[&str]) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
        // With this Debian starts no server on installation. The tests start servers of their own.
        command.env("RUNLEVEL", "1");
        let mut locked = false;
        let done = step::run_heard(&command, &step::root(), |line| locked |= says_locked(line));
        if done.is_ok() || !locked || start.elapsed() > PATIENCE {
            return done;
        }
        println!("another package manager is at work; trying again for up to {} minutes", PATIENCE.as_secs() / 60);
        thread::sleep(PAUSE);
    }
}

/// Whether a lock is held: that of the lists, of the archives, or of dpkg. apt-get itself waits at most for the last
/// one.
fn says_locked(line: &str) -> bool {
    line.starts_with("E: Could not get lock") || line.contains("lock was locked by another process")
}

/// The units and scripts that start with the machine.
fn switched_on() -> BTreeSet<String> {
    let units = targets(Path::new(SYSTEMD)).flat_map(|target| names(&target));
    let scripts = RUN_LEVELS.iter().flat_map(|level| names(Path::new(level)));
    units.chain(scripts.filter_map(|link| script(&link).map(str::to_owned))).collect()
}

/// The folders of links to the units that systemd starts.
fn targets(systemd: &Path) -> impl Iterator<Item = PathBuf> {
    names(systemd).into_iter().filter(|name| name.ends_with(".wants")).map(|name| systemd.join(name))
}

/// The names of what lies in a folder. A folder that does not exist has none.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The script that a link such as `S01docker` starts.
fn script(link: &str) -> Option<&str> {
    let name = link.strip_prefix('S')?.trim_start_matches(|digit: char| digit.is_ascii_digit());
    (!name.is_empty()).then_some(name)
}

fn switch_off<'a>(services: impl Iterator<Item = &'a String>) -> Result<(), String> {
    for service in services {
        match service.contains('.') {
            // A unit's name has an ending, such as `.service`. A script's has none.
            false => step::run(&mut command("update-rc.d", &[service, "disable"]))?,
            // If systemd runs, it has also started the service.
            true if Path::new("/run/systemd/system").exists() => {
                step::run(&mut command("systemctl", &["disable", "--now", service]))?;
            }
            // A machine without systemd may have no systemctl either.
            true => unlink(Path::new(SYSTEMD), service)?,
        }
    }
    Ok(())
}

/// Removes each link by which systemd would start the unit with the machine.
fn unlink(systemd: &Path, unit: &str) -> Result<(), String> {
    for link in targets(systemd).map(|target| target.join(unit)) {
        match fs::remove_file(&link) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(format!("{} could not be removed: {error}", link.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{names, says_locked, script, unlink};

    #[test]
    fn a_unit_is_unlinked_from_each_target_and_no_other_is() {
        let systemd = std::env::temp_dir().join(format!("unlink-{}", std::process::id()));
        for target in ["multi-user.target.wants", "sockets.target.wants"] {
            fs::create_dir_all(systemd.join(target)).unwrap();
        }
        let link = |name: &str| std::os::unix::fs::symlink("/lib/systemd/system/none", systemd.join(name)).unwrap();
        link("multi-user.target.wants/containerd.service");
        link("multi-user.target.wants/other.service");
        link("sockets.target.wants/containerd.service");
        unlink(&systemd, "containerd.service").unwrap();
        let left = names(&systemd.join("multi-user.target.wants"));
        assert_eq!((left, names(&systemd.join("sockets.target.wants"))), (vec!["other.service".to_owned()], vec![]));
        fs::remove_dir_all(&systemd).unwrap();
        assert_eq!(unlink(&systemd, "containerd.service"), Ok(()));
    }

    #[test]
    fn a_lock_of_another_package_manager_is_told_from_other_failures() {
        let of_dpkg = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 42 (dpkg)";
        assert!(says_locked(of_dpkg));
        assert!(says_locked("E: Could not get lock /var/lib/apt/lists/lock. It is held by process 42 (apt-get)"));
        assert!(says_locked("dpkg: error: dpkg frontend lock was locked by another process with pid 42"));
        assert!(!says_locked("E: Unable to locate package redis-server"));
    }

    #[test]
    fn a_link_of_a_run_level_names_its_script() {
        assert_eq!(script("S01redis-server"), Some("redis-server"));
        assert_eq!(script("K01redis-server"), None);
        assert_eq!(script("README"), None);
    }
}
