//! The table: its text, and whether a table that is there is one of this store's.

use session_core::SchemaError;

/// The table that the store needs, under its default name, for an application that has migrations of its own.
///
/// Instants are milliseconds since 1970 on the database's clock. Each statement may be run again without harm.
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
    ends_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS "sessions_owner" ON "sessions" (owner) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS "sessions_expires_at" ON "sessions" (expires_at);
"#;

/// The columns that the statements name, and their types.
const COLUMNS: [(&str, &str); 6] = [
    ("id", "BLOB"),
    ("revision", "INTEGER"),
    ("payload", "BLOB"),
    ("owner", "BLOB"),
    ("expires_at", "INTEGER"),
    ("ends_at", "INTEGER"),
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
