//! Logins and logouts, and what revokes them.

mod acting;
mod guards;
mod lasting;
mod logins;
mod notes;
mod one_trip;
mod proofs;
mod revocation;
mod room;
mod unreadable;
mod users;
