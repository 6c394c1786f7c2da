//! Calls on a database table as data: what an adapter (or a platform's worker) asks for, what comes back.
//!
//! A call names its table and columns by checked [`Identifier`]s and carries its [`Value`]s apart from them, so
//! that whoever writes the SQL can not but bind the values. Where the database is and who logs in there is the
//! provider's connection, and the driver's business. Calls run side by side, in any order.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Sent;

/// A name in a database: of a table, a schema, a column, a channel.
///
/// One to [`Identifier::LIMIT`] characters: ASCII letters, digits, `_`, `$` and `#`, the first one no digit. It is
/// written in quotes, so it means exactly this name, with its upper and lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Identifier(#[schemars(regex(pattern = r"^[A-Za-z_$#][A-Za-z0-9_$#]{0,62}$"))] Arc<str>);

impl Identifier {
    /// The most characters one may have: as many as every database takes.
    pub const LIMIT: usize = 63;

    /// Checks and keeps `text`.
    ///
    /// # Errors
    /// [`IdentifierError`] if it is no such name.
    pub fn new(text: &str) -> Result<Self, IdentifierError> {
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '#');
        let good = (1..=Self::LIMIT).contains(&text.len())
            && text.chars().all(sign)
            && !text.starts_with(|c: char| c.is_ascii_digit());
        if good { Ok(Self(Arc::from(text))) } else { Err(IdentifierError) }
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Identifier {
    type Error = IdentifierError;

    fn try_from(text: String) -> Result<Self, IdentifierError> {
        Self::new(&text)
    }
}

impl From<Identifier> for String {
    fn from(name: Identifier) -> Self {
        Self::from(&*name.0)
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A text that can not be the name of a table or a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 63 of the characters A-Z a-z 0-9 _ $ #, and not begin with a digit")]
pub struct IdentifierError;

/// A table's name, in its schema where one is named: `schema.table`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    /// The schema, or in MariaDB the database; absent: the connection's own.
    pub schema: Option<Identifier>,
    /// The table.
    pub name: Identifier,
}

impl schemars::JsonSchema for TableName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TableName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "examples": ["tqueue", "exset.tqueue"] })
    }
}

impl TryFrom<String> for TableName {
    type Error = IdentifierError;

    fn try_from(text: String) -> Result<Self, IdentifierError> {
        let (schema, name) = text.split_once('.').map_or((None, text.as_str()), |(schema, name)| (Some(schema), name));
        Ok(Self { schema: schema.map(Identifier::new).transpose()?, name: Identifier::new(name)? })
    }
}

impl From<TableName> for String {
    fn from(table: TableName) -> Self {
        table.to_string()
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        fmt::Display::fmt(&self.name, f)
    }
}

/// A column: its name, and what its values are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column {
    /// Its name.
    pub name: Identifier,
    /// What its values are: how they are bound, and how they are read.
    pub kind: ValueKind,
}

/// What a column's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// Whole numbers of up to 64 bits, with their sign.
    Integer,
    /// Text.
    Text,
    /// Instants, to the microsecond. A column without a time zone holds UTC.
    Timestamp,
    /// Bytes.
    Bytes,
    /// Yes or no.
    Bool,
}

impl ValueKind {
    /// Its name, as in `integer`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Text => "text",
            Self::Timestamp => "timestamp",
            Self::Bytes => "bytes",
            Self::Bool => "bool",
        }
    }
}

/// One value. Subscriber data: `Debug` shows what it is, not what it says.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// None.
    #[default]
    Null,
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// An instant.
    Timestamp(Timestamp),
    /// Bytes.
    Bytes(Bytes),
    /// Yes or no.
    Bool(bool),
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Whether a column of that kind can hold it. Every column can hold [`Value::Null`].
    #[must_use]
    pub const fn fits(&self, kind: ValueKind) -> bool {
        match self {
            Self::Null => true,
            Self::Integer(_) => matches!(kind, ValueKind::Integer),
            Self::Text(_) => matches!(kind, ValueKind::Text),
            Self::Timestamp(_) => matches!(kind, ValueKind::Timestamp),
            Self::Bytes(_) => matches!(kind, ValueKind::Bytes),
            Self::Bool(_) => matches!(kind, ValueKind::Bool),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Integer(_) => f.write_str("<integer>"),
            Self::Text(text) => write!(f, "<{} characters>", text.chars().count()),
            Self::Timestamp(_) => f.write_str("<timestamp>"),
            Self::Bytes(bytes) => write!(f, "<{} bytes>", bytes.len()),
            Self::Bool(_) => f.write_str("<bool>"),
        }
    }
}

/// One row: a value for each column of the call, in their order.
pub type Row = Vec<Value>;

/// Something to do with a platform's table. There is no call that deletes rows: they are the platform's.
#[derive(Clone, PartialEq, Eq)]
pub enum TableCall {
    /// Put rows in.
    Insert(Insert),
    /// Read rows. Changes nothing.
    Select(Select),
    /// Change rows.
    Update(Update),
    /// Wait until the database says that something happened. Answered by [`TableAnswer::Notified`], perhaps much later;
    /// what happened since the last answer counts. At most one at a time.
    Watch {
        /// The channel on which it says so.
        channel: Identifier,
    },
}

/// Rows to put in, all in one transaction.
#[derive(Clone, PartialEq, Eq)]
pub struct Insert {
    /// The table.
    pub table: TableName,
    /// The columns that are given; the others get the table's own defaults.
    pub columns: Arc<[Column]>,
    /// Which of the columns, counted from zero, is the key that tells rows apart. A unique index on it makes sure of
    /// what this call promises also while another such call is being made.
    pub key: usize,
    /// The rows, in the order in which they are put in.
    pub rows: Vec<Row>,
    /// Whether rows may be there from an earlier such call, of which nobody knows if it was carried out: a row whose key
    /// is there is then left as it is, and told. Otherwise a key that is there is a [`TableError::CONFLICT`], and no
    /// row is put in.
    pub again: bool,
}

/// Rows to read.
#[derive(Clone, PartialEq, Eq)]
pub struct Select {
    /// The table.
    pub table: TableName,
    /// The columns to read.
    pub columns: Arc<[Column]>,
    /// What the rows must satisfy, each of these.
    pub conditions: Vec<Condition>,
    /// The column that orders them; absent: any order.
    pub order_by: Option<Identifier>,
    /// Most rows to read, 1 to 100,000.
    pub limit: u32,
}

/// What a row must satisfy.
#[derive(Clone, PartialEq, Eq)]
pub struct Condition {
    /// The column.
    pub column: Column,
    /// Whether its value must be one of these, or none of them. An empty column satisfies neither.
    pub among: bool,
    /// The values; at least one.
    pub values: Vec<Value>,
}

/// Rows to change, all in one transaction.
#[derive(Clone, PartialEq, Eq)]
pub struct Update {
    /// The table.
    pub table: TableName,
    /// The column that tells rows apart.
    pub key: Column,
    /// The columns to set.
    pub columns: Arc<[Column]>,
    /// For each row its key, and the values to set.
    pub rows: Vec<(Value, Row)>,
}

impl TableCall {
    /// Whether it changes nothing: if its answer is lost, nothing has happened.
    #[must_use]
    pub const fn is_harmless(&self) -> bool {
        matches!(self, Self::Select(_) | Self::Watch { .. })
    }
}

impl fmt::Debug for TableCall {
    /// Shows counts, not contents: rows hold subscriber data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert(insert) => write!(f, "Insert({}, {} rows)", insert.table, insert.rows.len()),
            Self::Select(select) => {
                write!(f, "Select({}", select.table)?;
                for Condition { column, among, values } in &select.conditions {
                    let word = if *among { "among" } else { "none of" };
                    write!(f, ", {} {word} {}", column.name, values.len())?;
                }
                write!(f, ", at most {})", select.limit)
            }
            Self::Update(update) => write!(f, "Update({}, {} rows)", update.table, update.rows.len()),
            Self::Watch { channel } => write!(f, "Watch({channel})"),
        }
    }
}

/// What a table call gave.
#[derive(Clone, PartialEq, Eq)]
pub enum TableAnswer {
    /// [`TableCall::Insert`]: the rows are there. The keys of those that were there before.
    Inserted {
        /// Those keys, in any order; empty: every row is new.
        found: Vec<Value>,
    },
    /// [`TableCall::Select`]: the rows.
    Rows(Vec<Row>),
    /// [`TableCall::Update`]: how many rows there were of those named.
    Updated(u64),
    /// [`TableCall::Watch`]: something happened.
    Notified,
}

impl fmt::Debug for TableAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inserted { found } => write!(f, "Inserted({} found)", found.len()),
            Self::Rows(rows) => write!(f, "Rows({})", rows.len()),
            Self::Updated(count) => write!(f, "Updated({count})"),
            Self::Notified => f.write_str("Notified"),
        }
    }
}

/// Why a table call failed. Unless [`TableError::sent`] says otherwise, nothing of it was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError {
    /// Short and stable: one of [`TableError`]'s constants.
    pub code: &'static str,
    /// What happened, for people. No secrets, no subscriber data.
    pub text: String,
    /// Whether the call may have been carried out: never for a call that only reads.
    pub sent: Sent,
}

impl TableError {
    /// The database could not be reached, or did not let us in.
    pub const CONNECT_FAILED: &'static str = "connect_failed";
    /// The connection broke.
    pub const CONNECTION_LOST: &'static str = "connection_lost";
    /// It took longer than the connection's limit.
    pub const NO_ANSWER: &'static str = "no_answer";
    /// The database said no: no such table, no right to it, a rule of the table's.
    pub const REFUSED: &'static str = "refused";
    /// A key, or another unique value, is there already.
    pub const CONFLICT: &'static str = "conflict";
    /// The database can not hold a value: too long, or characters that its character set does not have.
    pub const UNWRITABLE: &'static str = "unwritable";
    /// This database can not do that.
    pub const UNSUPPORTED: &'static str = "unsupported";

    /// An error after which nothing was carried out.
    #[must_use]
    pub fn not_done(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), sent: Sent::No }
    }

    /// Whether the database was not reached, rather than said no.
    #[must_use]
    pub fn is_link(&self) -> bool {
        matches!(self.code, Self::CONNECT_FAILED | Self::CONNECTION_LOST | Self::NO_ANSWER)
    }
}

/// A table that a simulated platform works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableShape {
    /// Its name.
    pub name: TableName,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Which of the columns, counted from zero, is the key.
    pub key: usize,
    /// Whether the database makes the keys: numbers that grow.
    pub generated: bool,
    /// Columns, counted from zero, whose values must differ from row to row, the key left out.
    pub unique: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["tqueue", "T_Queue$1", "#x", "_"] {
            assert_eq!(Identifier::new(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(64);
        for bad in ["", "1st", "a b", "a\"b", "a`b", "a;b", "a.b", "é", "a\0", &long] {
            assert_eq!(Identifier::new(bad), Err(IdentifierError), "{bad}");
        }
        assert_eq!(TableName::try_from("exset.tqueue".to_owned()).unwrap().to_string(), "exset.tqueue");
        for bad in ["a.b.c", ".b", "a."] {
            assert_eq!(TableName::try_from(bad.to_owned()), Err(IdentifierError), "{bad}");
        }
    }

    #[test]
    fn values_are_not_printed() {
        let name = |name: &str| Identifier::new(name).unwrap();
        let column = Column { name: name("card"), kind: ValueKind::Text };
        let call = TableCall::Select(Select {
            table: TableName { schema: None, name: name("tqueue") },
            columns: [column.clone()].into(),
            conditions: vec![Condition { column, among: true, values: vec![Value::text("0145"), Value::Integer(77)] }],
            order_by: None,
            limit: 5,
        });
        assert_eq!(format!("{call:?}"), "Select(tqueue, card among 2, at most 5)");
        let row = vec![Value::text("0145"), Value::Integer(77), Value::Null, Value::Bytes(Bytes::from_static(b"77"))];
        assert_eq!(format!("{row:?}"), "[<4 characters>, <integer>, null, <2 bytes>]");
    }
}
