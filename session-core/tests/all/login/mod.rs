//! Logins and logouts, and what revokes them.

mod lasting;
mod logins;
mod notes;
mod revocation;
mod room;
mod unreadable;
