//! Requests one after another and two at once: when a change is saved, and what happens if the store fails.

mod contention;
mod forgotten;
mod groups;
mod in_flight;
mod in_line;
mod joining;
mod lives;
mod merging;
mod outages;
mod overtaken;
mod patience;
mod rotation;
mod saving;
mod schedules;
mod theft;
mod turns;
mod unsettled;
