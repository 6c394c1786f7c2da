//! Values that databases give as text.

use headgate_core::table::{Value, ValueKind};
use headgate_core::text::from_hex;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use headgate_core::table::TableError;

use super::session::SqlError;

/// A text as a value of that kind.
pub(super) fn from_text(kind: ValueKind, text: &str) -> Result<Value, SqlError> {
    let value = match kind {
        ValueKind::Text => Some(Value::text(text)),
        ValueKind::Integer => integer(text).map(Value::Integer),
        ValueKind::Timestamp => timestamp(text).map(Value::Timestamp),
        ValueKind::Bytes => text.strip_prefix("\\x").and_then(|hex| from_hex(hex).ok()).map(|b| Value::Bytes(b.into())),
        ValueKind::Bool => boolean(text).map(Value::Bool),
    };
    value.ok_or_else(|| unreadable(kind))
}

/// A time as databases write it: with a space or a `T`, with an offset or in UTC.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let with_t = text.replacen(' ', "T", 1);
    if let Ok(time) = with_t.parse() {
        return Some(time);
    }
    let civil: DateTime = with_t.parse().ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

/// A column whose values are not of the kind that the profile says.
pub(super) fn unreadable(kind: ValueKind) -> SqlError {
    SqlError::said_no(TableError::REFUSED, format!("a column holds something that is no {}", kind.name()))
}

/// A whole number; also as numeric columns write it, with zeros behind the point.
fn integer(text: &str) -> Option<i64> {
    let (whole, rest) = text.trim().split_once('.').unwrap_or_else(|| (text.trim(), ""));
    whole.parse().ok().filter(|_| rest.bytes().all(|byte| byte == b'0'))
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_database_s_texts_are_read() {
        let noon: Timestamp = "2026-11-24T12:00:00.5Z".parse().unwrap();
        for text in [
            "2026-11-24 12:00:00.5+00",
            "2026-11-24 14:00:00.5+02",
            "2026-11-24 12:00:00.500000",
            "2026-11-24T12:00:00.5Z",
        ] {
            assert_eq!(timestamp(text), Some(noon), "{text}");
        }
        assert_eq!(timestamp("yesterday"), None);
        assert_eq!([integer("7"), integer("-7.00"), integer("7.5"), integer("x")], [Some(7), Some(-7), None, None]);
        assert_eq!(from_text(ValueKind::Bytes, "\\x00ff").unwrap(), Value::Bytes(vec![0, 255].into()));
        assert!(from_text(ValueKind::Bool, "maybe").is_err());
    }
}
