//! The scripts that the server runs, each in one step.
//!
//! Redis runs a script as a whole. Its clock stands still for what a script reads, but in Redis 7.0 not for `PEXPIREAT`.
//! Redis 7.0 is slow to print a number that a script gives to a command. So numbers that never change are written as texts.
//!
//! On a cluster each script names one key, of a session or of an owner's index, and perhaps a staged frame in the same slot.
//! On one server a login names the session and the index, and an update names several sessions. The top of each file says
//! what the script gets and answers. `frame.rs` says what a frame is. Each can be tried by hand, after the
//! functions that it calls: `redis-cli --eval delete.lua sessions:s:… , revision ''`.

use std::sync::Arc;

use redis::Script;

/// A script that writes a frame, after the functions that it calls.
macro_rules! writing {
    ($($file:literal),*) => {
        concat!(include_str!("script/set.lua"), $(include_str!($file)),*)
    };
}

#[cfg(feature = "cluster")]
const INDEX: &str = concat!(include_str!("script/enter.lua"), include_str!("script/index.lua"));
const CREATE: &str = writing!("script/enter.lua", "script/staged.lua", "script/create.lua");
const REPLACE: &str = writing!("script/enter.lua", "script/staged.lua", "script/replace.lua");
const UPDATE: &str = writing!("script/update.lua");
const DELETE: &str = include_str!("script/delete.lua");
const PRUNE: &str = include_str!("script/prune.lua");
#[cfg(feature = "cluster")]
pub(crate) const RANGE: &str = include_str!("script/range.lua");
#[cfg(feature = "cluster")]
pub(crate) const LOAD: &str = include_str!("script/load.lua");

/// A script. It is called by its hash; the text goes to a server that does not know it yet.
#[derive(Debug)]
pub(crate) struct Lua {
    pub(crate) text: &'static str,
    pub(crate) hash: String,
}

impl Lua {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }
}

/// The scripts of a store.
#[derive(Debug)]
pub(crate) struct Scripts {
    #[cfg(feature = "cluster")]
    pub(crate) index: Lua,
    pub(crate) create: Lua,
    pub(crate) replace: Lua,
    pub(crate) update: Arc<Lua>,
    pub(crate) delete: Lua,
    pub(crate) prune: Lua,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(feature = "cluster")]
            index: Lua::new(INDEX),
            create: Lua::new(CREATE),
            replace: Lua::new(REPLACE),
            update: Arc::new(Lua::new(UPDATE)),
            delete: Lua::new(DELETE),
            prune: Lua::new(PRUNE),
        }
    }
}

#[cfg(test)]
mod tests;
