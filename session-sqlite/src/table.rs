//! What the table consists of: whether it is one of this store's.

use session_core::SchemaError;

/// The columns that the statements name, and their types.
const COLUMNS: [(&str, &str); 6] = [
    ("id", "BLOB"),
    ("revision", "INTEGER"),
    ("payload", "BLOB"),
    ("owner", "BLOB"),
    ("expires_at", "INTEGER"),
    ("ends_at", "INTEGER"),
];

/// Whether a table with these columns, each with its type, is one of the store's. Others than the store's do no harm.
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

/// A column without a type keeps whatever is written, as it is.
fn is_kind(found: &str, expected: &str) -> bool {
    found.is_empty() || found.eq_ignore_ascii_case(expected)
}
