//! Reads the rows of an answer.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Loaded, Revision, SessionId, StoreError};
use sqlx::{
    Decode, Postgres, Row, Type, ValueRef,
    error::BoxDynError,
    postgres::{PgRow, PgTypeInfo, PgValueRef, types::Oid},
};

use crate::{
    error::{foreign_row, from_driver},
    pooled::{Mode, from_hex},
    store::Table,
};

impl Table {
    /// The session in the row.
    pub(crate) fn loaded(&self, row: &PgRow) -> Result<Loaded, StoreError> {
        let now = self.instant(row, "now")?;
        let left = |at: i64| at.checked_sub(now).and_then(|left| u64::try_from(left).ok());
        let (live, lives) = (left(self.instant(row, "expires_at")?), left(self.instant(row, "ends_at")?));
        let (Some(live), Some(lives)) = (live, lives) else {
            return Err(foreign_row("the session has ended before its expiry"));
        };
        if live > lives {
            return Err(foreign_row("the expiry is past the end"));
        }
        Ok(Loaded::new(
            Revision::from_bytes(column::<i64>(row, "revision")?.to_be_bytes()),
            Bytes::from(self.bytes(row, "payload")?),
            Duration::from_micros(live),
            Duration::from_micros(lives),
        ))
    }

    /// Microseconds since some day. It is the same day in all columns of a row, so differences are right.
    fn instant(&self, row: &PgRow, name: &'static str) -> Result<i64, StoreError> {
        match self.client.mode {
            Mode::Prepared => column(row, name).map(|Instant(at)| at),
            Mode::Pooled => column(row, name),
        }
    }

    pub(crate) fn id(&self, row: &PgRow) -> Result<SessionId, StoreError> {
        let id = self.bytes(row, "id")?.try_into();
        id.map(SessionId::from_bytes).map_err(|_| foreign_row("an id is not of 16 bytes"))
    }

    fn bytes(&self, row: &PgRow, name: &'static str) -> Result<Vec<u8>, StoreError> {
        match self.client.mode {
            Mode::Prepared => column(row, name),
            Mode::Pooled => from_hex(column(row, name)?).ok_or_else(|| foreign_row("a column is not of bytes")),
        }
    }
}

/// The first row. There is one: an answer without rows has been refused.
pub(crate) fn first(rows: &[PgRow]) -> Result<&PgRow, StoreError> {
    rows.first().ok_or_else(|| from_driver(sqlx::Error::RowNotFound))
}

/// Whether the row has a session in it. An answer without a session is a row without an id.
pub(crate) fn is_there(row: &PgRow) -> Result<bool, StoreError> {
    row.try_get_raw("id").map(|id| !id.is_null()).map_err(from_driver)
}

/// Whether the write was done. If not, the column is null.
pub(crate) fn is_done(row: &PgRow) -> Result<bool, StoreError> {
    row.try_get_raw("done").map(|done| !done.is_null()).map_err(from_driver)
}

/// The value of a column. Without the `Option`, the driver would answer NULL with an error of another kind. The store never
/// writes NULL there, so the row is not its own.
pub(crate) fn column<'r, T>(row: &'r PgRow, name: &'static str) -> Result<T, StoreError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get::<Option<T>, _>(name).map_err(from_driver)?.ok_or_else(|| foreign_row("a column is null"))
}

/// A `count(*)`, which is never negative.
pub(crate) fn count(row: &PgRow, name: &'static str) -> Result<u64, StoreError> {
    column::<i64>(row, name).map(i64::unsigned_abs)
}

/// `timestamptz`, the same on each server: `pg_type.dat` has the numbers of the types that come with PostgreSQL.
const TIMESTAMPTZ: Oid = Oid(1184);

/// An instant as the server keeps it: in microseconds.
struct Instant(i64);

impl Type<Postgres> for Instant {
    /// For errors.
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("TIMESTAMPTZ")
    }

    /// By its name the driver would compare text for each value.
    fn compatible(actual: &PgTypeInfo) -> bool {
        *actual == PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl Decode<'_, Postgres> for Instant {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match i64::from_be_bytes(value.as_bytes()?.try_into()?) {
            i64::MIN | i64::MAX => Err("the instant is infinite".into()),
            at => Ok(Self(at)),
        }
    }
}
