//! Reads the rows of an answer.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Loaded, Revision, SessionId, StoreError};
use sqlx::{Decode, MySql, Row, Type, mysql::MySqlRow};

use crate::error::{foreign_row, from_driver};

/// The id in the row.
pub(crate) fn id(row: &MySqlRow) -> Result<SessionId, StoreError> {
    let id = column::<Vec<u8>>(row, "id")?.try_into();
    id.map(SessionId::from_bytes).map_err(|_| foreign_row("an id is not of 16 bytes"))
}

/// The session in the row, if it was live when the server began the statement.
pub(crate) fn loaded(row: &MySqlRow) -> Result<Option<Loaded>, StoreError> {
    let (now, expires_at, ends_at): (i64, i64, i64) =
        (column(row, "now")?, column(row, "expires_at")?, column(row, "ends_at")?);
    if expires_at <= now {
        return Ok(None);
    }
    let left = |at: i64| at.checked_sub(now).and_then(|left| u64::try_from(left).ok());
    let (Some(live), Some(lives)) = (left(expires_at), left(ends_at)) else {
        return Err(foreign_row("the session has ended before its expiry"));
    };
    if live > lives {
        return Err(foreign_row("the expiry is past the end"));
    }
    Ok(Some(Loaded::new(
        Revision::from_bytes(column::<i64>(row, "revision")?.to_be_bytes()),
        Bytes::from(column::<Vec<u8>>(row, "payload")?),
        Duration::from_micros(live),
        Duration::from_micros(lives),
    )))
}

/// The value of a column. Without the `Option`, the driver would answer NULL with an error of another kind. The store never
/// writes NULL there, so the row is not its own.
pub(crate) fn column<'r, T>(row: &'r MySqlRow, index: impl sqlx::ColumnIndex<MySqlRow>) -> Result<T, StoreError>
where
    T: Decode<'r, MySql> + Type<MySql>,
{
    row.try_get::<Option<T>, _>(index).map_err(from_driver)?.ok_or_else(|| foreign_row("a column is null"))
}
