//! The table: its text, and whether a table that is there is one of this store's.

use session_core::SchemaError;

/// The table that the store needs, under its default name, for an application that has migrations of its own.
///
/// `sweep_at` is a lower bound of the expiry, and the index for the purge is on it. A touch moves the expiry alone, so it
/// leaves every index as it is. `fillfactor` leaves room on each page, so the touched row stays there. A write that had to
/// wait for its row compares the time with `previous_expires_at`.
///
/// The order of the columns decides how much is logged. Of a row that is changed on its page, the server leaves out what is
/// the same at the beginning and at the end. So the columns that stay come first, then those that each write changes, and the
/// payload comes last: the values that a write leaves alone are at its end. That holds for a row below 2 kB. A longer one the
/// server compresses or keeps elsewhere. The store also works with the columns in another order.
///
/// There is no `CHECK`: the server would parse it again for each write, and the four of them took a fifth of its
/// instructions. The store judges each row when it reads it.
///
/// # Examples
///
/// ```
/// assert!(session_postgres::SCHEMA.starts_with("CREATE TABLE IF NOT EXISTS \"sessions\""));
/// ```
pub const SCHEMA: &str = r#"CREATE TABLE IF NOT EXISTS "sessions" (
    id bytea PRIMARY KEY,
    owner bytea,
    ends_at timestamptz NOT NULL,
    sweep_at timestamptz NOT NULL,
    revision bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    previous_expires_at timestamptz,
    payload bytea NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX IF NOT EXISTS "sessions_owner" ON "sessions" (owner) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS "sessions_sweep_at" ON "sessions" (sweep_at);
"#;

/// The columns that the statements name, and their types.
const COLUMNS: [(&str, &str); 8] = [
    ("id", "bytea"),
    ("revision", "bigint"),
    ("payload", "bytea"),
    ("owner", "bytea"),
    ("expires_at", "timestamp with time zone"),
    ("ends_at", "timestamp with time zone"),
    ("sweep_at", "timestamp with time zone"),
    ("previous_expires_at", "timestamp with time zone"),
];

/// Whether a table with these columns, each with its type, is one of the store's. Further columns do no harm.
pub(crate) fn judge(table: &str, found: &[(String, String)]) -> Result<(), SchemaError> {
    if found.is_empty() {
        return Err(SchemaError::TableMissing { table: table.into() });
    }
    for (column, expected) in COLUMNS {
        let Some((_, kind)) = found.iter().find(|(name, _)| name == column) else {
            return Err(SchemaError::ColumnMissing { table: table.into(), column });
        };
        if !is_kind(kind, expected) {
            return Err(SchemaError::ColumnType { table: table.into(), column, expected, found: kind.as_str().into() });
        }
    }
    Ok(())
}

fn is_kind(found: &str, expected: &str) -> bool {
    found == expected
}
