//! Messages of the SMS gateway, as a [`super::profile::Profile`] lays them out.
//!
//! ```text
//! | root header                          | section        | body                        |
//! | transaction_number ... creation_date | command_number | what the command says: data |
//! ```
//!
//! The root header's fields are known in part \[S-code b\], everything behind it is not published: see
//! [`super::profile`]. A frame's length and limit are [`crate::framing`]'s business.

mod decode;
mod encode;

#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use jiff::civil::Date;
use smallvec::SmallVec;

pub(super) use self::decode::decode_field;
pub use self::decode::{DecodeError, decode, decode_behind, decode_header};
pub use self::encode::{EncodeError, Written, encode, encode_command, encode_raw};
use super::profile::{CommandName, FieldName};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The root header.
    pub header: Header,
    /// The command number; also of a command the profile does not know.
    pub number: u64,
    /// The rest.
    pub body: Body<'a>,
}

/// The root header. A field that the profile's layout does not have is zero, or no day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Ties an answer to its request.
    pub transaction_number: u64,
    /// Class of the command: 05 "other", 08 VOD \[S-code b\].
    pub command_type: u64,
    /// The sender.
    pub source_id: u64,
    /// The receiver.
    pub dest_id: u64,
    /// Meaning not published.
    pub mop_ppid: u64,
    /// The day the message was built.
    pub creation_date: Option<Date>,
}

/// What follows the header and the command number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A command of the profile.
    Command(CommandName, Values<'a>),
    /// The positive answer; behind its own values, those of the answered command's answer.
    Ack(Values<'a>),
    /// The negative answer.
    Nack(Values<'a>),
    /// A number the profile does not know, with everything behind it.
    Unknown(&'a [u8]),
}

/// Values of fields. Order matters to `==` alone; decoding gives the layout's order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values<'a>(SmallVec<[(FieldName, Value<'a>); 8]>);

/// One value. Subscriber data: `Debug` shows no text.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number.
    Number(u64),
    /// A text, decoded.
    Text(Cow<'a, str>),
    /// A day; nothing: no day.
    Date(Option<Date>),
    /// The items of a list.
    List(Vec<Values<'a>>),
}

impl<'a> Values<'a> {
    /// Adds a value.
    pub fn push(&mut self, name: FieldName, value: Value<'a>) {
        self.0.push((name, value));
    }

    /// The same with a number more.
    #[must_use]
    pub fn number(mut self, name: FieldName, number: u64) -> Self {
        self.push(name, Value::Number(number));
        self
    }

    /// The same with a text more.
    #[must_use]
    pub fn text(mut self, name: FieldName, text: impl Into<Cow<'a, str>>) -> Self {
        self.push(name, Value::Text(text.into()));
        self
    }

    /// The same with a day more.
    #[must_use]
    pub fn date(mut self, name: FieldName, date: Option<Date>) -> Self {
        self.push(name, Value::Date(date));
        self
    }

    /// The same with a list more.
    #[must_use]
    pub fn list(mut self, name: FieldName, items: Vec<Self>) -> Self {
        self.push(name, Value::List(items));
        self
    }

    /// The value of a field.
    #[must_use]
    pub fn value(&self, name: FieldName) -> Option<&Value<'a>> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The number of a field, if it has one.
    #[must_use]
    pub fn number_of(&self, name: FieldName) -> Option<u64> {
        match self.value(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// The text of a field, if it has one.
    #[must_use]
    pub fn text_of(&self, name: FieldName) -> Option<&str> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The day of a field, if it has one.
    #[must_use]
    pub fn date_of(&self, name: FieldName) -> Option<Date> {
        match self.value(name) {
            Some(Value::Date(date)) => *date,
            _ => None,
        }
    }

    /// The items of a field; empty, if it has none.
    #[must_use]
    pub fn items_of(&self, name: FieldName) -> &[Self] {
        match self.value(name) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, value)| (name, value))).finish()
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "<{} characters>", text.chars().count()),
            Self::Date(Some(date)) => write!(f, "{date}"),
            Self::Date(None) => f.write_str("no day"),
            Self::List(items) => write!(f, "<{} items>", items.len()),
        }
    }
}
