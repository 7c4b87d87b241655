//! What requests that wait at the same moment send together: their loads and their small writes.
//!
//! They wait in one line. With a line for each of the two, more messages go out, with less in each.

use futures_util::future::join;
use session_core::{Namespace, SessionId, StoreError};

use super::{
    load::{Found, load_all},
    update::{Update, update_all},
};
use crate::{connection::Connection, error::foreign_answer, script::Lua};

/// How many sessions one message loads or writes for requests that wait. Each may be of a mebibyte, and the server does nothing
/// else while a script runs.
pub(super) const AT_ONCE: usize = 64;

/// What a request asks for.
#[derive(Clone)]
pub(super) enum Asked {
    Load(SessionId),
    Update(Update),
}

/// What it is told.
pub(super) enum Told {
    Found(Found),
    /// Whether the update was done.
    Updated(bool),
}

impl Told {
    pub(super) fn found(self) -> Result<Found, StoreError> {
        if let Self::Found(found) = self { Ok(found) } else { Err(foreign_answer()) }
    }

    pub(super) fn updated(self) -> Result<bool, StoreError> {
        if let Self::Updated(done) = self { Ok(done) } else { Err(foreign_answer()) }
    }
}

/// Sends the updates in one message and the loads in another, at the same moment. A failure of the one is no failure of the
/// other. Somebody has asked: a trip is never empty.
pub(super) async fn travel(
    connection: &Connection,
    prefix: &Namespace,
    script: &Lua,
    asked: Vec<Asked>,
) -> Result<Vec<Result<Told, StoreError>>, StoreError> {
    let (mut ids, mut updates) = (Vec::new(), Vec::new());
    for asked in &asked {
        match asked {
            Asked::Load(id) => ids.push(*id),
            Asked::Update(update) => updates.push(update),
        }
    }
    // Boxed: each is large, and most trips have only one of the two.
    if updates.is_empty() {
        return Ok(tell(Box::pin(load_all(connection, prefix, &ids)).await?, Told::Found));
    }
    if ids.is_empty() {
        return Ok(tell(Box::pin(update_all(connection, script, &updates)).await?, Told::Updated));
    }
    let load = Box::pin(load_all(connection, prefix, &ids));
    let write = Box::pin(update_all(connection, script, &updates));
    let (updated, found) = join(write, load).await;
    let mut updated = updated.unwrap_or_else(|error| vec![Err(error); updates.len()]).into_iter();
    let mut found = found.unwrap_or_else(|error| vec![Err(error); ids.len()]).into_iter();
    let told = asked.iter().map(|asked| match asked {
        Asked::Load(_) => Some(found.next()?.map(Told::Found)),
        Asked::Update(_) => Some(updated.next()?.map(Told::Updated)),
    });
    told.collect::<Option<_>>().ok_or_else(foreign_answer)
}

fn tell<T>(answers: Vec<Result<T, StoreError>>, told: fn(T) -> Told) -> Vec<Result<Told, StoreError>> {
    answers.into_iter().map(|answer| answer.map(told)).collect()
}
