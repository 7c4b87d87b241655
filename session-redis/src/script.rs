//! The scripts that the server runs, each in one step.
//!
//! Redis runs a script as a whole, and its clock stands still while it does. Each script names one key, of a session or
//! of an owner's index, so that it also runs on a cluster. A staged frame is a second key, in the same slot. The top of each file says what the script gets and answers.
//! `frame.rs` says what a frame is. Each can be tried by hand: `redis-cli --eval touch.lua sessions:s:… , revision
//! 60000`.

use redis::Script;

const INDEX: &str = include_str!("script/index.lua");
const CREATE: &str = include_str!("script/create.lua");
const REPLACE: &str = include_str!("script/replace.lua");
const TOUCH: &str = include_str!("script/touch.lua");
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
    pub(crate) index: Lua,
    pub(crate) create: Lua,
    pub(crate) replace: Lua,
    pub(crate) touch: Lua,
    pub(crate) delete: Lua,
    pub(crate) prune: Lua,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            index: Lua::new(INDEX),
            create: Lua::new(CREATE),
            replace: Lua::new(REPLACE),
            touch: Lua::new(TOUCH),
            delete: Lua::new(DELETE),
            prune: Lua::new(PRUNE),
        }
    }
}

#[cfg(test)]
mod tests;
