//! A profile as an operator writes it: TOML, not yet checked.

use std::collections::BTreeMap;

use headgate_core::table::{Identifier, TableName, ValueKind};
use serde::Deserialize;

/// The queue table: its columns, what stands in them, and which commands there are. It replaces the shipped one as
/// a whole.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileTable {
    /// Its name, shown beside the provider.
    pub name: String,
    /// The table, as `table` or `schema.table`, in the database's own upper and lower case.
    pub table: TableName,
    /// Every column that Headgate names.
    pub columns: BTreeMap<Identifier, ColumnRow>,
    /// Which columns say what besides the parameters.
    pub roles: Roles,
    /// Who numbers the entries, and how.
    pub id: IdRow,
    /// The entries' states.
    pub state: StateRow,
    /// Where the parameters of commands stand.
    pub parameters: ParametersRow,
    /// The commands, by Headgate's names. A command left out can not be asked of the provider.
    pub commands: BTreeMap<String, CommandRow>,
    /// The codes of failures, by names: what they mean, where the table has no text for them.
    #[serde(default)]
    pub codes: BTreeMap<String, CodeRow>,
    /// Columns in which every entry has the same value.
    #[serde(default)]
    pub constants: BTreeMap<Identifier, Literal>,
    /// The channel on which the database tells that entries were processed (PostgreSQL's `NOTIFY`). Default: it does
    /// not tell, and is asked.
    #[serde(default)]
    pub channel: Option<Identifier>,
    /// Whether the platform takes processed entries out of the table. Then an entry that is not there after a restart may
    /// have been processed, and what is not safe to repeat ends as unknown. Default false.
    #[serde(default)]
    pub purges: bool,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnRow {
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: ValueKind,
    /// Most characters of a text, 1 to 65,536. Longer ones are refused before they are sent. Default: no limit.
    #[serde(default)]
    pub max: Option<usize>,
}

/// Which columns say what besides the parameters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// The command's code.
    pub command: Identifier,
    /// When the entry was made; written by us.
    #[serde(default)]
    pub created: Option<Identifier>,
    /// When the entry was processed; written by the platform.
    #[serde(default)]
    pub processed: Option<Identifier>,
    /// The code of a failure; written by the platform.
    #[serde(default)]
    pub error_code: Option<Identifier>,
    /// The words of a failure; written by the platform.
    #[serde(default)]
    pub error_text: Option<Identifier>,
    /// The platform's own number of an entry; written by the platform.
    #[serde(default)]
    pub reference: Option<Identifier>,
}

/// Who numbers the entries, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdRow {
    /// The column of the unique id, which also tells the order of entries.
    pub column: Identifier,
    /// Who makes it, and how.
    pub strategy: Strategy,
    /// For ids that are text and `strategy` is `sequence`: what stands before the number. Default: nothing.
    #[serde(default)]
    pub prefix: String,
    /// For `strategy` `database`: the column in which we put an id of our own, by which we find the entry again. A
    /// UUID where it is text, a number where it is an integer.
    #[serde(default)]
    pub own: Option<Identifier>,
}

/// Who makes the ids of entries, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// We do: UUIDs that grow with time. Text of at least 36 characters.
    Uuid,
    /// We do: numbers that grow, 16 digits long. An integer of 64 bits, or text.
    Sequence,
    /// The database does.
    Database,
}

/// The entries' states.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateRow {
    /// The column.
    pub column: Identifier,
    /// Not yet looked at: what we write.
    pub unprocessed: Literal,
    /// Being worked on: still open.
    #[serde(default)]
    pub processing: Vec<Literal>,
    /// Processed, and done.
    pub done: Vec<Literal>,
    /// Processed, and refused.
    pub failed: Vec<Literal>,
}

/// A value as the table has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "expected a text, an integer, true or false")]
pub enum Literal {
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Yes or no.
    Bool(bool),
}

/// Where the parameters of commands stand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParametersRow {
    /// In a column each, or in one text.
    pub encoding: EncodingKind,
    /// For `columns`: the column of each parameter.
    #[serde(default)]
    pub columns: BTreeMap<String, Identifier>,
    /// For `delimited`: the column of the text.
    #[serde(default)]
    pub column: Option<Identifier>,
    /// For `delimited`: the character between two parameters.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// For `delimited`: the character before a delimiter (or itself) that is part of a parameter. Default: there is
    /// none, and such parameters are refused.
    #[serde(default)]
    pub escape: Option<char>,
}

/// How parameters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodingKind {
    /// Each in a column of its own; those that a command does not have are empty.
    Columns,
    /// All in one text, in the command's order.
    Delimited,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRow {
    /// What stands in the command's column.
    pub code: Literal,
    /// Its parameters, in order.
    pub parameters: Vec<String>,
    /// Whether it was checked against the vendor's platform. Default false.
    #[serde(default)]
    pub confirmed: bool,
}

/// One code of failures.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeRow {
    /// What stands in the error code's column.
    pub code: Literal,
    /// What it means.
    pub text: String,
}
