//! The faults of a store whose database answers nothing, or is full.

use std::{future::pending, io, time::Duration};

use session_core::{Entry, SessionId, StoreError};

use super::{
    fault::Fault::*,
    store::{Row, Small, failure},
};

/// What is wrong with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    NoAnswer,
    /// There is room for [`MOST`] sessions.
    LittleRoom,
}

/// How many sessions a database of little room has.
const MOST: usize = 20;

impl Small {
    /// Waits for the database, for as long as the store does.
    pub(crate) async fn answered(&self) -> Result<(), StoreError> {
        if self.trouble != Trouble::NoAnswer {
            return Ok(());
        }
        match self.fault {
            ACallWaitsForEver => pending().await,
            SilenceIsTakenForAnAnswer => Ok(()),
            SilenceIsAnyError => Err(failure()),
            _ => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Err(StoreError::timed_out("small", io::Error::from(io::ErrorKind::TimedOut)))
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.trouble == Trouble::LittleRoom && self.lock().0.live.len() >= MOST
    }

    /// The answer to a `create` in a full database. `None`: there is room now.
    pub(crate) fn create_where_full(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        times: [Duration; 2],
    ) -> Option<Result<(), StoreError>> {
        if !self.is_full() {
            return None;
        }
        let (mut rows, now) = self.lock();
        match self.fault {
            AFullDatabaseMakesRoom => {
                rows.live.pop_first();
                None
            }
            AFullDatabaseSaysYes if rows.live.len() == MOST => {
                rows.live.insert(b"the end".into(), self.row(id, entry, times, now).ok()?);
                Some(Ok(()))
            }
            AFullDatabaseSaysAlreadyExists => Some(Err(StoreError::AlreadyExists)),
            AFullDatabaseKeepsAHalf => {
                let row = self.row(id, entry, times, now).ok()?;
                rows.live.insert(self.key(id), Row { payload: Vec::new(), ..row });
                Some(Err(failure()))
            }
            _ => Some(Err(failure())),
        }
    }
}
