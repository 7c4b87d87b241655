//! What an application does with a session.

mod at_once;
mod clients;
mod closures;
mod current;
mod first_lines;
mod handles;
mod values;
