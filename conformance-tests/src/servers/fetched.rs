//! Servers that Debian does not have. They are fetched once, and kept in cargo's target folder.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::folder::Folder;

/// The folder of what was fetched under this name. If it is missing, `fetch` puts everything into the folder `fetched`
/// within the one that it is given.
pub(super) fn fetched(name: &str, fetch: impl FnOnce(&Folder)) -> PathBuf {
    let cache = target().join("session-test-servers");
    let fetched = cache.join(name);
    if !fetched.is_dir() {
        fs::create_dir_all(&cache).unwrap();
        let folder = Folder::make(&cache, name);
        fetch(&folder);
        // A folder that is there is whole. If it cannot be renamed, another process was faster.
        let _ = fs::rename(folder.path().join("fetched"), &fetched);
    }
    assert!(fetched.is_dir(), "{} cannot be made", fetched.display());
    fetched
}

/// Cargo's target folder, which is one of those that this program is in. The programs in it are run, so nobody else may
/// write there.
fn target() -> PathBuf {
    let program = env::current_exe().unwrap();
    let is_ours = |folder: &&Path| folder.metadata().is_ok_and(|it| it.mode() & 0o002 == 0);
    // The first file is missing if the folder existed before cargo used it.
    let is_target = |folder: &&Path| ["CACHEDIR.TAG", ".rustc_info.json"].iter().any(|it| folder.join(it).is_file());
    let target = program.ancestors().skip(1).take_while(is_ours).find(is_target);
    let target = target.unwrap_or_else(|| {
        panic!(
            "a server that is fetched is kept in cargo's target folder, and {} is in none: put mongod and valkey-server on \
             the PATH, or set SESSION_TEST_MONGODB_URL and SESSION_TEST_VALKEY_URL",
            program.display()
        )
    });
    target.to_owned()
}
