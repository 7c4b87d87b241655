//! Reads the rows of an answer.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Loaded, Revision, StoreError};
use sqlx::{Decode, Row, Sqlite, Type, sqlite::SqliteRow};

use crate::error::{foreign_row, from_driver};

/// The session in the row, if it is live at this instant.
pub(crate) fn loaded(row: &SqliteRow, now: i64) -> Result<Option<Loaded>, StoreError> {
    let left = |at: i64| u64::try_from(at.saturating_sub(now)).ok().map(Duration::from_millis);
    let (expires_in, ends_in) = (left(column(row, "expires_at")?), left(column(row, "ends_at")?));
    let Some(expires_in) = expires_in.filter(|left| !left.is_zero()) else { return Ok(None) };
    let Some(ends_in) = ends_in.filter(|ends_in| expires_in <= *ends_in) else {
        return Err(foreign_row("the expiry is past the end"));
    };
    let (revision, payload): (i64, Vec<u8>) = (column(row, "revision")?, column(row, "payload")?);
    let revision = Revision::from_bytes(revision.to_be_bytes());
    Ok(Some(Loaded::new(revision, Bytes::from(payload), expires_in, ends_in)))
}

/// The value of a column. Without the `Option`, the driver would read NULL as 0 or as no bytes. The store never writes NULL
/// there, so the row is not its own.
pub(crate) fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T, StoreError>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get::<Option<T>, _>(name).map_err(from_driver)?.ok_or_else(|| foreign_row("a column is null"))
}
