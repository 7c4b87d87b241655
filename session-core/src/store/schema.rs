//! What is wrong with a table.

/// What is wrong with the table in which a store keeps its sessions.
///
/// A store of a database with tables answers it by `migrate`, and wherever the database refuses a statement for it.
///
/// # Examples
///
/// ```
/// use session_core::SchemaError;
///
/// let error = SchemaError::TableMissing { table: "sessions".into() };
/// assert!(error.to_string().contains("`migrate()`"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// There is no such table.
    #[error("the table {table} is missing: call `migrate()` of the store at start, or make the table by its `SCHEMA`")]
    TableMissing {
        /// The name that the store was given.
        table: Box<str>,
    },
    /// There is a table of this name that lacks a column: it is another library's, or of an earlier version of the store.
    #[error(
        "the table {table} has no column {column}: if it is of an earlier version of this store, its CHANGELOG says how to add \
         the column; if it is another library's, give the store a name of its own"
    )]
    ColumnMissing {
        /// The name that the store was given.
        table: Box<str>,
        /// The column that is missing.
        column: &'static str,
    },
    /// There is a table of this name with a column of another type: it is not one of the store's. In a database of keys
    /// and values the column is `key` or `value`.
    #[error(
        "the table {table} is not one of this store: its column {column} is {found}, and should be {expected}; \
         give the store a name of its own"
    )]
    ColumnType {
        /// The name that the store was given.
        table: Box<str>,
        /// The column of another type.
        column: &'static str,
        /// The type that it should have.
        expected: &'static str,
        /// The type that it has.
        found: Box<str>,
    },
}
