//! The folder that outlives a restart, and the key in it.

use std::{
    error::Error,
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use rand::{TryRng, rngs::SysRng};
use session_core::Key;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from("./demo-data")
}

/// Makes the folder. Only this user may read it, because it has a key and password hashes in it.
pub(crate) fn make_folder() -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder())
}

/// The key that signs cookies. It comes from `SESSION_KEY`, or else from its file, which the first start makes.
pub(crate) fn key() -> Result<Key, Box<dyn Error>> {
    if let Ok(key) = std::env::var("SESSION_KEY") {
        return Ok(Key::from_base64(&key).map_err(|error| format!("SESSION_KEY: {error}"))?);
    }
    let path = folder().join("key");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_key(&path)?;
            fs::read_to_string(&path)?
        }
        read => read?,
    };
    Ok(Key::from_base64(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Makes the key. If two programs start at once, one makes it, and the other never reads half of it. So the key is
/// written under a name of its own and then linked. Linking fails if there is a key already.
fn make_key(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes)?;
    let draft = path.with_extension(std::process::id().to_string());
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(Base64UrlUnpadded::encode_string(&bytes).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}
