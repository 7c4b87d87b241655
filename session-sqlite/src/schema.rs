//! The table: its text, and whether a table that is there is one of this store's.

use session_core::SchemaError;

/// The table that the store needs, under its default name, for an application that has migrations of its own.
///
/// Instants are milliseconds since 1970 on the database's clock. Each statement may be run again without harm.
///
/// `sweep_at` is when the purge looks at the session: when it would have expired, had it not been touched. A touch moves the
/// expiry alone, so it leaves every index as it is. Now and then a touch moves the expiry to before `sweep_at`, for
/// example because the application now lets its sessions live shorter. Only such sessions are in the index
/// `sessions_early`, where the purge finds them, too.
///
/// # Examples
///
/// ```
/// assert!(session_sqlite::SCHEMA.starts_with("CREATE TABLE IF NOT EXISTS \"sessions\""));
/// ```
// It has rowids because payloads are large: a table WITHOUT ROWID would keep them in the tree of the keys.
pub const SCHEMA: &str = r#"CREATE TABLE IF NOT EXISTS "sessions" (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    revision INTEGER NOT NULL,
    payload BLOB NOT NULL,
    owner BLOB CHECK (length(owner) <= 255),
    expires_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    sweep_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS "sessions_owner" ON "sessions" (owner) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS "sessions_sweep_at" ON "sessions" (sweep_at);
CREATE INDEX IF NOT EXISTS "sessions_early" ON "sessions" (expires_at) WHERE expires_at < sweep_at;
"#;

/// The columns that the statements name, and their types.
const COLUMNS: [(&str, &str); 7] = [
    ("id", "BLOB"),
    ("revision", "INTEGER"),
    ("payload", "BLOB"),
    ("owner", "BLOB"),
    ("expires_at", "INTEGER"),
    ("ends_at", "INTEGER"),
    ("sweep_at", "INTEGER"),
];

/// Whether a table with these columns, each with its type, is one of the store's. Further columns do no harm.
pub(crate) fn judge(table: &str, found: &[(String, String)]) -> Result<(), SchemaError> {
    if found.is_empty() {
        return Err(SchemaError::TableMissing { table: table.into() });
    }
    for (column, expected) in COLUMNS {
        let Some((_, kind)) = found.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)) else {
            return Err(SchemaError::ColumnMissing { table: table.into(), column });
        };
        if !is_kind(kind, expected) {
            return Err(SchemaError::ColumnType { table: table.into(), column, expected, found: kind.as_str().into() });
        }
    }
    Ok(())
}

/// A column without a type keeps every value as it was written.
fn is_kind(found: &str, expected: &str) -> bool {
    found.is_empty() || found.eq_ignore_ascii_case(expected)
}
