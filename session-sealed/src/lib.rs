//! Sealed payloads for [`session_core`]: a store around a store, which encrypts what a session holds before the database gets
//! it.
//!
//! ```
//! use std::env;
//!
//! use session_sealed::{SealKey, SealKeys, SealedStore};
//! use session_tower::{Keyring, SessionLayer, SessionManager, Store};
//!
//! /// `database`: any store, connected and migrated.
//! fn sessions(
//!     database: impl Store,
//!     cookie_keys: Keyring,
//! ) -> Result<SessionLayer, Box<dyn std::error::Error>> {
//!     let key = SealKey::from_base64("2026-11", &env::var("SESSION_SEAL_KEY")?)?;
//!     let store = SealedStore::new(database, "shop.example, sessions", SealKeys::new(key))?;
//!     Ok(SessionLayer::new(SessionManager::new(store, cookie_keys)))
//! }
//! ```
//!
//! - [`SealedStore`] is the store. It needs the name of a context: the site, the table, the tenant.
//! - [`SealKey`] is a key with its id, [`SealKeys`] are those of a site. The first seals, all open.
//! - [`OpenError`] says why a payload does not open.
//!
//! # What a seal does
//!
//! Each write is encrypted with XChaCha20-Poly1305 under a fresh random nonce of 24 bytes. The seal covers the payload: the
//! session's values, the hash of its secret, and what else core keeps of it. Without the key nobody can read it, or make
//! another that opens.
//!
//! The seal is bound to its place: the context, the id of the session, the revision of the write, and the id of the key. A
//! payload that was moved to another session, another revision, or another site's table does not open there. Whether a row is
//! a session or the note that a user has logged out everywhere is decided by its id, so neither passes for the other.
//!
//! What does not open is [`StoreError::Corrupt`](session_core::StoreError::Corrupt), with an [`OpenError`] as its source. It
//! is left as it is. What pages do then is the policy's choice: see [`WhenUnreadable`](session_core::WhenUnreadable). In a
//! list of devices it is left out, and at a limit of sessions it counts as the oldest one.
//!
//! # What it does not do
//!
//! - **A row can be put back whole.** Who can write to the database can copy a row, and later put the old one in its place,
//!   with its payload and its revision. That opens: it is what the session was. So a value that was removed can come back, and
//!   a session that has ended. They can also delete rows and move their expiry.
//! - **The owner's column is in the clear.** The database finds a user's sessions by it, to list and to end them. Who can read
//!   the database sees which user has sessions. Who can write to it can put a session onto another user's list. If a user id
//!   is a secret, log in with another name for it, such as an HMAC of it under a key of yours.
//! - **Lengths and times are seen.** A sealed payload is as much longer as another is. When a session was begun, used and
//!   written is seen, too.
//! - **The application's memory is not covered.** A loaded session is in the clear there.
//!
//! # Keys
//!
//! `openssl rand -base64 32` makes one. Keep it where the database's backups are not: a backup without its key is worth
//! nothing, to a thief and to you. If the keys are lost, everybody logs in again. It is no key that signs cookies, and neither
//! is made from the other. How to change a key, and what to do if a stranger has it, is on [`SealKeys`].
//!
//! # A site that has sessions already
//!
//! Payloads in the clear do not open, and no switch accepts them. It would be a way around the seal: who can write to the
//! database could put anything there in the clear. So give the sealed store a table of its own (or prefix, or collection), and
//! let everybody log in again. The old table can go as soon as no node uses it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod key;
mod seal;
mod store;

pub use error::{OpenError, SealConfigError};
pub use key::{KeyId, SealKey, SealKeys};
pub use store::SealedStore;
