//! A profile as an operator writes it: TOML rows, not yet checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::names::FieldName;

/// The wire layout: how frames are told apart, what a message's header holds, which commands there are
/// and how they are answered. It replaces the shipped one as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileTable {
    /// Its name, shown beside the provider.
    pub name: String,
    /// How text is encoded.
    pub charset: Charset,
    /// How frames are told apart.
    pub framing: FramingRow,
    /// The root header, in order. Answers have the same one.
    pub header: Vec<FieldRow>,
    /// The command-specific section between header and body: holds `command_number`.
    pub section: Vec<FieldRow>,
    /// The command type of commands that name none of their own.
    pub command_type: u64,
    /// The commands, by Headgate's names. A command left out can not be asked of the provider.
    pub commands: BTreeMap<String, CommandRow>,
    /// The answer "done": its fields stand before those of the command's own `answer`.
    pub ack: AnswerRow,
    /// The answer "refused".
    pub nack: AnswerRow,
    /// The codes of refusals, by names. Codes that are not listed are final refusals.
    #[serde(default)]
    pub codes: BTreeMap<String, CodeRow>,
    /// The numbers that say why a card is disabled.
    #[serde(default)]
    pub reasons: Reasons,
}

/// How text is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Charset {
    /// US-ASCII: one byte a character, 0 to 127.
    Ascii,
    /// ISO 8859-1: one byte a character, 0 to 255.
    Latin1,
    /// UTF-8. Widths count bytes.
    Utf8,
}

/// How frames are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FramingRow {
    /// What marks a frame.
    pub kind: FramingKind,
    /// How many bytes (1 to 4) or digits (1 to 9) the length has.
    #[serde(default)]
    pub width: Option<usize>,
    /// Whether the length counts itself. Default false.
    #[serde(default)]
    pub counts_itself: Option<bool>,
    /// The delimiter, in hexadecimal: `"0d0a"`.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Most bytes of a frame's content, 16 to 1,048,576.
    pub limit: usize,
}

/// What marks a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FramingKind {
    /// A big-endian length before it.
    BinaryLength,
    /// A length in decimal digits before it.
    DecimalLength,
    /// Bytes behind it.
    Delimiter,
}

/// One field of a layout.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldRow {
    /// What it means.
    pub field: FieldName,
    /// How it is written.
    pub kind: FieldKind,
    /// How many characters it has; for `counted` and `list`: how many digits its count has.
    #[serde(default)]
    pub width: Option<usize>,
    /// For `counted`: most bytes. For `list`: most items. Default: what the count can say.
    #[serde(default)]
    pub max: Option<usize>,
    /// Which characters a text may hold. Default `printable`.
    #[serde(default)]
    pub only: Option<Alphabet>,
    /// For `literal`: the characters.
    #[serde(default)]
    pub text: Option<String>,
    /// For `list`: the fields of one item.
    #[serde(default)]
    pub fields: Option<Vec<Self>>,
}

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Decimal digits with zeros before them.
    Number,
    /// Text with spaces behind it.
    Text,
    /// A decimal count of bytes, then so much text.
    Counted,
    /// Hexadecimal digits with zeros before them.
    Hex,
    /// `YYYYMMDD`; zeros: none.
    Date,
    /// A decimal count of items, then the items.
    List,
    /// Always the same characters.
    Literal,
}

/// Which characters a text may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// `0` to `9`.
    Digits,
    /// ASCII letters and digits.
    Alphanumeric,
    /// Everything but control characters.
    #[default]
    Printable,
}

impl Alphabet {
    /// Whether a text holds nothing else.
    #[must_use]
    pub fn allows(self, text: &str) -> bool {
        match self {
            Self::Digits => text.bytes().all(|b| b.is_ascii_digit()),
            Self::Alphanumeric => text.bytes().all(|b| b.is_ascii_alphanumeric()),
            Self::Printable => !text.chars().any(char::is_control),
        }
    }
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRow {
    /// Its number, in digits as in `"0002"`.
    pub number: String,
    /// Its command type. Default: the profile's.
    #[serde(default)]
    pub command_type: Option<u64>,
    /// What it carries.
    #[serde(default)]
    pub body: Vec<FieldRow>,
    /// What its `ack` tells beyond the common fields.
    #[serde(default)]
    pub answer: Vec<FieldRow>,
    /// Whether somebody checked it against the vendor's platform. Only shown. Default false.
    #[serde(default)]
    pub confirmed: bool,
}

/// One form of answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRow {
    /// Its command number, in digits.
    pub number: String,
    /// Its command type. Default: the profile's.
    #[serde(default)]
    pub command_type: Option<u64>,
    /// What it carries.
    #[serde(default)]
    pub body: Vec<FieldRow>,
}

/// One code of refusals.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeRow {
    /// Its number, in digits.
    pub number: String,
    /// What it means; used where the platform sends no words of its own.
    pub text: String,
    /// What to do about it. Default `rejected`.
    #[serde(default)]
    pub kind: CodeKind,
    /// For `retry_later`: how long to pause, 1 ms to 1 h. Default 1 s.
    #[serde(default, with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub pause: Option<Duration>,
}

/// What to do about a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeKind {
    /// Final.
    #[default]
    Rejected,
    /// The platform is busy: pause, then ask again.
    RetryLater,
    /// The session is gone: open it again, then ask again.
    SessionLost,
}

/// The numbers that say why a card is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reasons {
    /// It does not work. Default 1.
    pub damaged: u64,
    /// Nobody knows where it is. Default 2.
    pub lost: u64,
    /// Somebody took it. Default 3.
    pub stolen: u64,
}

impl Default for Reasons {
    fn default() -> Self {
        Self { damaged: 1, lost: 2, stolen: 3 }
    }
}
