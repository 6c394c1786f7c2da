//! Rows as JSON, one object a line: what is kept of a conversation, and what `headgate decode` reads.

use headgate_core::table::{Column, Value, ValueKind};
use headgate_core::text::{from_hex, to_hex};
use serde_json::{Map, Value as Json};

/// A row as a line of JSON. Columns without a value are left out.
#[must_use]
pub fn line(columns: &[Column], row: &[Value]) -> Vec<u8> {
    let mut object = Map::new();
    for (column, value) in columns.iter().zip(row) {
        let json = match value {
            Value::Null => continue,
            Value::Integer(number) => Json::from(*number),
            Value::Text(text) => Json::from(text.as_str()),
            Value::Timestamp(time) => Json::from(time.to_string()),
            Value::Bytes(bytes) => Json::from(to_hex(bytes)),
            Value::Bool(yes) => Json::from(*yes),
        };
        object.insert(column.name.to_string(), json);
    }
    let mut line = Json::Object(object).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// A column's value, read from JSON.
///
/// # Errors
/// What would be right.
pub fn value(kind: ValueKind, json: &Json) -> Result<Value, &'static str> {
    Ok(match (kind, json) {
        (_, Json::Null) => Value::Null,
        (ValueKind::Integer, Json::Number(number)) => {
            Value::Integer(number.as_i64().ok_or("must be a whole number of at most 64 bits")?)
        }
        (ValueKind::Text, Json::String(text)) => Value::text(text),
        (ValueKind::Timestamp, Json::String(text)) => {
            Value::Timestamp(text.parse().map_err(|_| "must be a time as in 2026-11-24T12:00:00Z")?)
        }
        (ValueKind::Bytes, Json::String(text)) => {
            Value::Bytes(from_hex(text).map_err(|_| "must be hexadecimal")?.into())
        }
        (ValueKind::Bool, Json::Bool(yes)) => Value::Bool(*yes),
        (ValueKind::Integer, _) => return Err("must be a whole number"),
        (ValueKind::Bool, _) => return Err("must be true or false"),
        (ValueKind::Text | ValueKind::Timestamp | ValueKind::Bytes, _) => return Err("must be a text"),
    })
}
