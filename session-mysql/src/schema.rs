//! The table: its text, and whether a table that is there is one of this store's.

use session_core::SchemaError;

/// The table that the store needs, under its default name, for an application that has migrations of its own.
///
/// Instants are microseconds since 1970 on the server's clock. `sweep_at` is a lower bound of the expiry, and the index for
/// the purge is on it. A touch moves the expiry alone, so it leaves every index as it is. Ids and owners are bytes: no
/// collation compares them.
///
/// # Examples
///
/// ```
/// assert!(session_mysql::SCHEMA.starts_with("CREATE TABLE IF NOT EXISTS `sessions`"));
/// ```
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS `sessions` (
    id BINARY(16) NOT NULL,
    revision BIGINT NOT NULL,
    payload LONGBLOB NOT NULL,
    owner VARBINARY(255) NULL,
    expires_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    sweep_at BIGINT NOT NULL,
    PRIMARY KEY (id),
    KEY owner (owner),
    KEY sweep_at (sweep_at),
    CHECK (sweep_at <= expires_at AND expires_at <= ends_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC
";

/// The columns that the statements name, and their types.
const COLUMNS: [(&str, &str); 7] = [
    ("id", "binary(16)"),
    ("revision", "bigint"),
    ("payload", "longblob"),
    ("owner", "varbinary(255)"),
    ("expires_at", "bigint"),
    ("ends_at", "bigint"),
    ("sweep_at", "bigint"),
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

fn is_kind(found: &str, expected: &str) -> bool {
    // MariaDB adds the width at which the number is shown.
    found == expected || (expected == "bigint" && found == "bigint(20)")
}
