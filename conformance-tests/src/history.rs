//! Checks a history: is there an order of the calls in which one register would have given all these answers?
//!
//! It is the search of Wing and Gong, with Lowe's memory of the states that have been tried.

use std::{collections::HashSet, fmt};

use session_core::Revision;

/// A call on one session, with its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Create { revision: Revision, created: bool },
    Load { found: Option<Revision> },
    Replace { expected: Revision, revision: Revision, replaced: bool },
    Touch { expected: Revision, touched: bool },
    Delete { expected: Revision, deleted: bool },
}

/// A call and the moments when it began and when its answer was there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) call: Call,
    pub(crate) began: u64,
    pub(crate) answered: u64,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  from {} to {}: ", self.began, self.answered)?;
        match self.call {
            Call::Create { revision, created } => {
                write!(
                    f,
                    "create of {} {}",
                    short(revision),
                    if created { "succeeded" } else { "found a live session" }
                )
            }
            Call::Load { found: Some(revision) } => write!(f, "load found {}", short(revision)),
            Call::Load { found: None } => write!(f, "load found nothing"),
            Call::Replace { expected, revision, replaced } => {
                write!(f, "replace of {} by {} said {replaced}", short(expected), short(revision))
            }
            Call::Touch { expected, touched } => write!(f, "touch of {} said {touched}", short(expected)),
            Call::Delete { expected, deleted } => write!(f, "delete of {} said {deleted}", short(expected)),
        }
    }
}

/// A revision as a number, because the cases count their revisions.
fn short(revision: Revision) -> u64 {
    u64::from_be_bytes(*revision.as_bytes())
}

/// Answers that no order of atomic steps explains, in words.
#[derive(Debug)]
pub(crate) struct Unexplained {
    state: State,
    /// The earliest event comes first.
    events: Vec<Event>,
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            Some(revision) => write!(f, "the session has revision {}", short(revision))?,
            None => write!(f, "there is no session")?,
        }
        writeln!(f, ", and one of these calls, some of which overlap in time, was next, but none can have been:")?;
        for event in self.events.iter().take(8) {
            writeln!(f, "{event}")?;
        }
        Ok(())
    }
}

/// The register: the revision of the session, if there is one.
type State = Option<Revision>;

impl Call {
    /// The state after this call, if the register would have answered so in this state.
    fn applied(self, state: State) -> Option<State> {
        let (agrees, next) = match self {
            Self::Create { revision, created } => {
                (created == state.is_none(), if created { Some(revision) } else { state })
            }
            Self::Load { found } => (found == state, state),
            Self::Replace { expected, revision, replaced } => {
                (replaced == (state == Some(expected)), if replaced { Some(revision) } else { state })
            }
            Self::Touch { expected, touched } => (touched == (state == Some(expected)), state),
            Self::Delete { expected, deleted } => {
                (deleted == (state == Some(expected)), if deleted { None } else { state })
            }
        };
        agrees.then_some(next)
    }
}

/// Whether the history is linearizable; if not, how far it is, and what no order explains.
pub(crate) fn linearizable(mut events: Vec<Event>) -> Result<(), Unexplained> {
    events.sort_by_key(|event| event.began);
    let mut open = vec![(vec![false; events.len()], State::None)];
    let mut tried = HashSet::new();
    let mut furthest = (vec![false; events.len()], State::None);
    while let Some((done, state)) = open.pop() {
        if done.iter().all(|done| *done) {
            return Ok(());
        }
        let count = |done: &[bool]| done.iter().filter(|done| **done).count();
        if count(&done) > count(&furthest.0) {
            furthest = (done.clone(), state);
        }
        let left = || events.iter().enumerate().filter(|(index, _)| !done[*index]);
        // Only a call that began before the first answer can have been next.
        let first_answer = left().map(|(_, event)| event.answered).min().unwrap_or(u64::MAX);
        for (index, event) in left().take_while(|(_, event)| event.began < first_answer) {
            if let Some(next) = event.call.applied(state) {
                let mut done = done.clone();
                done[index] = true;
                if tried.insert((done.clone(), next)) {
                    open.push((done, next));
                }
            }
        }
    }
    let (done, state) = furthest;
    let events = events.into_iter().zip(done).filter(|(_, done)| !done).map(|(event, _)| event).collect();
    Err(Unexplained { state, events })
}

#[cfg(test)]
mod tests {
    use super::{Call::*, *};
    use crate::trial::revision;

    fn history(calls: &[(Call, u64, u64)]) -> bool {
        linearizable(calls.iter().map(|&(call, began, answered)| Event { call, began, answered }).collect()).is_ok()
    }

    fn replace(expected: u64, own: u64, replaced: bool) -> Call {
        Replace { expected: revision(expected), revision: revision(own), replaced }
    }

    const CREATED: (Call, u64, u64) = (Create { revision: revision(1), created: true }, 0, 1);

    #[test]
    fn overlapping_calls_may_take_effect_in_any_order() {
        assert!(history(&[CREATED, (replace(1, 2, true), 2, 9), (Load { found: Some(revision(1)) }, 3, 4)]));
        assert!(history(&[CREATED, (replace(1, 2, true), 2, 9), (Load { found: Some(revision(2)) }, 3, 4)]));
        assert!(history(&[CREATED, (replace(2, 3, true), 2, 9), (replace(1, 2, true), 3, 8)]));
    }

    #[test]
    fn a_stale_read_two_winners_and_a_revival_are_found() {
        assert!(!history(&[CREATED, (replace(1, 2, true), 2, 3), (Load { found: Some(revision(1)) }, 4, 5)]));
        assert!(!history(&[CREATED, (replace(1, 2, true), 2, 5), (replace(1, 3, true), 3, 4)]));
        let deleted = Delete { expected: revision(1), deleted: true };
        assert!(!history(&[CREATED, (deleted, 2, 5), (Touch { expected: revision(1), touched: true }, 6, 7)]));
        assert!(!history(&[CREATED, (deleted, 2, 3), (Load { found: Some(revision(1)) }, 4, 5)]));
    }

    #[test]
    fn what_is_not_explained_is_told_from_the_last_state_that_is() {
        let events = [CREATED, (replace(1, 2, true), 2, 3), (Load { found: Some(revision(1)) }, 4, 5)];
        let events = events.map(|(call, began, answered)| Event { call, began, answered });
        let told = linearizable(events.into()).unwrap_err().to_string();
        assert!(
            told.starts_with("the session has revision 2, ") && told.ends_with("from 4 to 5: load found 1\n"),
            "{told}"
        );
    }

    #[test]
    fn a_refusal_without_a_reason_is_found() {
        assert!(!history(&[CREATED, (replace(1, 2, false), 2, 3)]));
        assert!(!history(&[(Create { revision: revision(1), created: false }, 0, 1)]));
    }
}
