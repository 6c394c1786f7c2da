//! Entries of the queue table: types and codec.
//!
//! [`Entry`] is one command for the platform; [`Entry::write`] makes a row of it as the profile lays it out,
//! [`Entry::read`] reads one back.

use std::collections::BTreeMap;

use headgate_core::table::{Column, Row, Value, ValueKind};
use jiff::Timestamp;

use super::profile::{CommandName, Encoding, ParameterName, Place, Profile};

#[cfg(test)]
mod tests;

/// One command for the platform, without its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The command.
    pub command: CommandName,
    /// Its parameters, of those that the profile gives it: text, whole numbers and instants.
    pub parameters: BTreeMap<ParameterName, Value>,
}

/// An entry that can not be written: which parameter, and why. No subscriber data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {text}", parameter.name())]
pub struct WriteError {
    /// The parameter.
    pub parameter: ParameterName,
    /// What is wrong with it.
    pub text: String,
}

/// A row that is no entry: which column, and why. No subscriber data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{column}: {text}")]
pub struct ReadError {
    /// The column.
    pub column: String,
    /// What is wrong with it.
    pub text: String,
    /// Whether its command is known, so that only the parameters are wrong.
    pub command_known: bool,
}

impl Entry {
    /// Makes a row of [`Profile::written`] of it.
    ///
    /// # Errors
    /// [`WriteError`] if a parameter does not fit its column.
    pub fn write(&self, profile: &Profile, key: &Value, created: Timestamp) -> Result<Row, WriteError> {
        let form = profile.command(self.command);
        let code = form.map(|form| form.code.clone()).unwrap_or_default();
        let mut row = vec![key.clone(), code, profile.states.unprocessed.clone()];
        row.extend(profile.created.iter().map(|_| Value::Timestamp(created)));
        row.extend(profile.constants.iter().map(|(_, value)| value.clone()));
        match &profile.encoding {
            Encoding::Columns(places) => {
                for (parameter, place) in places {
                    row.push(match self.parameters.get(parameter) {
                        Some(value) => fitted(*parameter, value, place)?,
                        None => Value::Null,
                    });
                }
            }
            Encoding::Delimited { place, delimiter, escape } => {
                let mut text = String::new();
                for (index, parameter) in form.map(|form| &*form.parameters).unwrap_or_default().iter().enumerate() {
                    if index > 0 {
                        text.push(*delimiter);
                    }
                    let value =
                        if *parameter == ParameterName::EntryId { Some(key) } else { self.parameters.get(parameter) };
                    let value = value.map(words).unwrap_or_default();
                    push_escaped(&mut text, &value, *delimiter, *escape)
                        .map_err(|text| WriteError { parameter: *parameter, text })?;
                }
                within(&text, place.max).map_err(|text| WriteError { parameter: longest(&self.parameters), text })?;
                row.push(Value::Text(text));
            }
        }
        Ok(row)
    }

    /// Reads a row of these columns.
    ///
    /// # Errors
    /// [`ReadError`] if the command is unknown, or a parameter is missing or can not be read.
    pub fn read(profile: &Profile, columns: &[Column], row: &[Value]) -> Result<Self, ReadError> {
        let of = |column: &Column| {
            let found = columns.iter().zip(row).find(|(known, _)| *known == column);
            found.map_or(&Value::Null, |(_, value)| value)
        };
        let code = of(&profile.command);
        let Some((command, form)) = profile.command_of(code) else {
            let column = profile.command.name.to_string();
            return Err(ReadError { column, text: "is no command of the profile".into(), command_known: false });
        };
        let mut parameters = BTreeMap::new();
        let wrong =
            |column: &Column, text: String| ReadError { column: column.name.to_string(), text, command_known: true };
        match &profile.encoding {
            Encoding::Columns(places) => {
                for parameter in &form.parameters {
                    let Some(place) = places.get(parameter) else { continue };
                    let value = meant(*parameter, of(&place.column))
                        .map_err(|text| wrong(&place.column, format!("{}: {text}", parameter.name())))?;
                    parameters.extend(value.map(|value| (*parameter, value)));
                }
            }
            Encoding::Delimited { place, delimiter, escape } => {
                let Value::Text(text) = of(&place.column) else {
                    return Err(wrong(&place.column, "is empty".into()));
                };
                let pieces = split(text, *delimiter, *escape);
                if pieces.len() != form.parameters.len() {
                    let text = format!("has {} parameters instead of {}", pieces.len(), form.parameters.len());
                    return Err(wrong(&place.column, text));
                }
                for (parameter, piece) in form.parameters.iter().zip(pieces) {
                    let piece = if piece.is_empty() { Value::Null } else { Value::Text(piece) };
                    let value = meant(*parameter, &piece)
                        .map_err(|text| wrong(&place.column, format!("{}: {text}", parameter.name())))?;
                    parameters.extend(value.map(|value| (*parameter, value)));
                }
            }
        }
        match command.required().iter().find(|needed| !parameters.contains_key(needed)) {
            Some(missing) => Err(wrong(&profile.command, format!("{} has no {}", command.name(), missing.name()))),
            None => Ok(Self { command, parameters }),
        }
    }

    /// A parameter that is text.
    #[must_use]
    pub fn text(&self, parameter: ParameterName) -> &str {
        match self.parameters.get(&parameter) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// A parameter that is an instant.
    #[must_use]
    pub fn time(&self, parameter: ParameterName) -> Option<Timestamp> {
        match self.parameters.get(&parameter) {
            Some(Value::Timestamp(time)) => Some(*time),
            _ => None,
        }
    }
}

/// What a parameter's values are.
const fn kind(parameter: ParameterName) -> ValueKind {
    match parameter {
        ParameterName::Start | ParameterName::End => ValueKind::Timestamp,
        ParameterName::Duration | ParameterName::RepeatCount | ParameterName::RepeatInterval => ValueKind::Integer,
        _ => ValueKind::Text,
    }
}

/// A value as its column has it.
fn fitted(parameter: ParameterName, value: &Value, place: &Place) -> Result<Value, WriteError> {
    let wrong = |text: String| WriteError { parameter, text };
    match (value, place.column.kind) {
        (Value::Text(text), ValueKind::Integer) => {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| digits);
            number.map(Value::Integer).ok_or_else(|| wrong("must be a whole number of at most 18 digits here".into()))
        }
        (Value::Text(text), ValueKind::Bytes) => Ok(Value::Bytes(text.clone().into())),
        (Value::Timestamp(time), ValueKind::Integer) => Ok(Value::Integer(time.as_second())),
        (value, ValueKind::Text) => {
            let text = words(value);
            within(&text, place.max).map_err(wrong)?;
            Ok(Value::Text(text))
        }
        (value, kind) if value.fits(kind) => Ok(value.clone()),
        (_, kind) => Err(wrong(format!("can not be written to a column of type {}", kind.name()))),
    }
}

/// What a column's value means as this parameter; nothing if it is empty.
fn meant(parameter: ParameterName, value: &Value) -> Result<Option<Value>, &'static str> {
    let kind = kind(parameter);
    Ok(Some(match (value, kind) {
        (Value::Null, _) => return Ok(None),
        (Value::Integer(second), ValueKind::Timestamp) => {
            Value::Timestamp(Timestamp::from_second(*second).map_err(|_| "is no time")?)
        }
        (Value::Text(text), ValueKind::Timestamp) => Value::Timestamp(text.parse().map_err(|_| "is no time")?),
        (Value::Text(text), ValueKind::Integer) => Value::Integer(text.parse().map_err(|_| "is no number")?),
        (Value::Bytes(bytes), ValueKind::Text) => {
            Value::Text(String::from_utf8(bytes.to_vec()).map_err(|_| "is no text")?)
        }
        (value, kind) if value.fits(kind) => value.clone(),
        (value, ValueKind::Text) => Value::Text(words(value)),
        (_, _) => return Err("is of another type"),
    }))
}

/// A value in a text: numbers in decimal, times in RFC 3339 and UTC, bytes in hexadecimal.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Timestamp(time) => time.to_string(),
        Value::Bytes(bytes) => headgate_core::text::to_hex(bytes),
        Value::Bool(yes) => yes.to_string(),
    }
}

fn within(text: &str, max: Option<usize>) -> Result<(), String> {
    match max {
        Some(max) if text.len() > max && text.chars().count() > max => {
            Err(format!("has {} characters; the column takes {max}", text.chars().count()))
        }
        _ => Ok(()),
    }
}

/// The parameter to blame if all of them together are too long.
fn longest(parameters: &BTreeMap<ParameterName, Value>) -> ParameterName {
    let length = |value: &Value| words(value).chars().count();
    let longest = parameters.iter().max_by_key(|(_, value)| length(value));
    longest.map_or(ParameterName::Text, |(parameter, _)| *parameter)
}

fn push_escaped(text: &mut String, value: &str, delimiter: char, escape: Option<char>) -> Result<(), String> {
    for c in value.chars() {
        if c == delimiter || Some(c) == escape {
            match escape {
                Some(escape) => text.push(escape),
                None => return Err(format!("must not hold {delimiter:?} here: it stands between parameters")),
            }
        }
        text.push(c);
    }
    Ok(())
}

fn split(text: &str, delimiter: char, escape: Option<char>) -> Vec<String> {
    let (mut pieces, mut piece) = (Vec::new(), String::new());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if Some(c) == escape {
            piece.extend(characters.next());
        } else if c == delimiter {
            pieces.push(std::mem::take(&mut piece));
        } else {
            piece.push(c);
        }
    }
    pieces.push(piece);
    pieces
}
