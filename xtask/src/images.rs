//! `cargo xtask images`: images of the servers, from Debian's packages.

use std::{fs, path::Path, process::Command};

use crate::{engine, programs, step};

/// A variable of the conformance kit, and the image that is made for it.
pub(crate) type Image = (&'static str, &'static str);

pub(crate) const IMAGES: [Image; 4] = [
    ("SESSION_TEST_REDIS_IMAGE", "session-test-redis"),
    ("SESSION_TEST_POSTGRES_IMAGE", "session-test-postgres"),
    ("SESSION_TEST_MYSQL_IMAGE", "session-test-mariadb"),
    ("SESSION_TEST_MONGODB_IMAGE", MONGODB),
];

const BASE: &str = "session-test-base";
const MONGODB: &str = "session-test-mongodb";

/// Files in the images. With them dpkg does not wait for the disk, and starts no service.
const FILES: [(&str, &str); 2] =
    [("etc/dpkg/dpkg.cfg.d/session-test", "force-unsafe-io\n"), ("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")];

/// Makes the images, and prints the variables that tell the tests of them.
pub(crate) fn run() -> Result<(), String> {
    programs::provide(&[&programs::ENGINE[..], &programs::STAND_IN].concat())?;
    let _engine = engine::provide()?;
    make()?;
    println!();
    for (variable, image) in IMAGES {
        println!("{variable}={image}");
    }
    Ok(())
}

/// Makes the images that are missing or whose Dockerfile has changed. The engine keeps the result of each line, so an
/// unchanged image takes no time.
pub(crate) fn make() -> Result<(), String> {
    let folder = step::target().join("session-test-images");
    let made = make_in(&folder);
    // An earlier run may have left a system here that was not imported.
    remove(&folder)?;
    made
}

fn make_in(folder: &Path) -> Result<(), String> {
    remove(folder)?;
    let (empty, stand_in) = (folder.join("empty"), folder.join("stand-in"));
    for folder in [&empty, &stand_in] {
        fs::create_dir_all(folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    }
    let mut inspect = Command::new("docker");
    let base = inspect.args(["image", "inspect", BASE]).output();
    if !base.is_ok_and(|output| output.status.success()) {
        make_base(&folder.join("base"))?;
    }
    for (_, image) in IMAGES {
        let context = if image == MONGODB {
            make_stand_in(&stand_in)?;
            &stand_in
        } else {
            &empty
        };
        let name = image.trim_start_matches("session-test-");
        let recipe = step::root().join(format!("xtask/images/{name}.Dockerfile"));
        // The packages come from the same place as the machine's own, and over the same network.
        let build = ["build", "--quiet", "--network", "host", "--tag", image, "--file"];
        step::run(Command::new("docker").env("DOCKER_BUILDKIT", "0").args(build).arg(recipe).arg(context))?;
    }
    Ok(())
}

/// Makes the base image: this machine's version of Debian, with the essential packages alone.
fn make_base(root: &Path) -> Result<(), String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.ok_or("the images are made of Debian's packages, and this is not Debian")?;
    let indexes = ["indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)"];
    let indexes = step::output(Command::new("apt-get").args(indexes))?;
    let mirror = indexes.lines().find_map(|line| line.strip_suffix(&format!(" {codename} main")));
    // It has a mount namespace of its own, so nothing stays mounted even if it is killed.
    let mut debootstrap = Command::new("unshare");
    debootstrap.args(["--mount", "debootstrap", "--variant=minbase", codename]).arg(root).args(mirror);
    step::output(&mut debootstrap)?;
    for (path, text) in FILES {
        let path = root.join(path);
        fs::write(&path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    step::run(Command::new("chmod").arg("755").arg(root.join("usr/sbin/policy-rc.d")))?;
    let archive = root.with_extension("tar");
    step::run(Command::new("tar").arg("--create").arg("--file").arg(&archive).arg("--directory").arg(root).arg("."))?;
    step::run(Command::new("docker").arg("import").arg(&archive).arg(BASE))
}

/// Puts the stand-in for MongoDB into the folder, as the conformance kit fetches it, and a file that says what it is.
fn make_stand_in(folder: &Path) -> Result<(), String> {
    let source = step::root().join("conformance-tests/src/servers/mongodb");
    let pom = source.join("pom.xml");
    let to = format!("-DoutputDirectory={}", folder.display());
    let fetch = ["--batch-mode", "--quiet", "dependency:copy-dependencies", &to, "--file"];
    step::run(Command::new("mvn").args(fetch).arg(&pom))?;
    let path = format!("{}/*", folder.display());
    // The Java in the image may be older than ours.
    let compile = ["--release", "17", "-cp", &path, "-d"];
    step::run(Command::new("javac").args(compile).arg(folder).arg(source.join("Launcher.java")))?;
    let text = fs::read_to_string(&pom).map_err(|error| format!("{} cannot be read: {error}", pom.display()))?;
    let version = text.rsplit_once("<version>").and_then(|(_, after)| after.split('<').next()).unwrap_or_default();
    let sentence = format!("mongo-java-server-{version}, a stand-in for MongoDB 4.4\n");
    let path = folder.join("version");
    fs::write(&path, sentence).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| format!("{} cannot be removed: {error}", folder.display()))
}
