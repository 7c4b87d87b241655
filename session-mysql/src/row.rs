//! Reads the rows of an answer.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Loaded, Revision, StoreError};
use sqlx::{Decode, MySql, Row, Type, mysql::MySqlRow};

use crate::error::{foreign_row, from_driver};

/// The session in the row.
pub(crate) fn loaded(row: &MySqlRow) -> Result<Loaded, StoreError> {
    let (expires_in, ends_in): (i64, i64) = (column(row, "expires_in")?, column(row, "ends_in")?);
    let (Ok(live), Ok(lives)) = (u64::try_from(expires_in), u64::try_from(ends_in)) else {
        return Err(foreign_row("the session has ended before its expiry"));
    };
    if live > lives {
        return Err(foreign_row("the expiry is past the end"));
    }
    Ok(Loaded::new(
        Revision::from_bytes(column::<i64>(row, "revision")?.to_be_bytes()),
        Bytes::from(column::<Vec<u8>>(row, "payload")?),
        Duration::from_micros(live),
        Duration::from_micros(lives),
    ))
}

/// The value of a column. Without the `Option`, the driver would answer NULL with an error of another kind. The store never
/// writes NULL there, so the row is not its own.
pub(crate) fn column<'r, T>(row: &'r MySqlRow, index: impl sqlx::ColumnIndex<MySqlRow>) -> Result<T, StoreError>
where
    T: Decode<'r, MySql> + Type<MySql>,
{
    row.try_get::<Option<T>, _>(index).map_err(from_driver)?.ok_or_else(|| foreign_row("a column is null"))
}
