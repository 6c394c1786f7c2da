//! What every call of CRM.COM V4 shares: parameters in a query, a form or a JSON body; identifiers; times without a zone;
//! an answer in an envelope of `status` and `data` \[S:A-CWS, A-NAG\].

use std::fmt;
use std::str::FromStr;

use headgate_core::http::{HttpAnswer, HttpRequest};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::http::form;

/// A successful answer with this data.
#[must_use]
pub fn ok(data: &Value) -> HttpAnswer {
    enveloped(200, "OK", "", "", data)
}

/// An answer that says no. CRM.COM's own codes are not published, nor whether HTTP's status tells: these are Headgate's.
#[must_use]
pub fn refused(status: u16, code: &str, message: &str, description: &str) -> HttpAnswer {
    enveloped(status, code, message, description, &json!({}))
}

fn enveloped(status: u16, code: &str, message: &str, description: &str, data: &Value) -> HttpAnswer {
    let status_object = json!({ "code": code, "message": message, "description": description });
    HttpAnswer::new(status, "application/json", json!({ "status": status_object, "data": data }).to_string())
}

/// A parameter that is wrong: which, and what would be right. Quotes no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {text}")]
pub struct Invalid {
    /// The parameter, or a path below it.
    pub field: String,
    /// What is wrong with it.
    pub text: String,
}

impl Invalid {
    /// A parameter that is wrong.
    #[must_use]
    pub fn new(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self { field: field.into(), text: text.into() }
    }
}

impl From<Invalid> for HttpAnswer {
    fn from(invalid: Invalid) -> Self {
        refused(400, "INVALID_PARAMETER", &invalid.to_string(), &invalid.field)
    }
}

/// The parameters of a call.
#[derive(Clone, Default)]
pub struct Parameters(Map<String, Value>);

impl fmt::Debug for Parameters {
    /// Shows names, not values: those hold tokens, PINs and subscriber data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Parameters {
    /// Those of a call that came.
    ///
    /// # Errors
    /// [`Invalid`], if its body is not JSON although it begins like it.
    pub fn of(request: &HttpRequest) -> Result<Self, Invalid> {
        Self::read(request.query().as_bytes(), &request.body)
    }

    /// Those of a query and of a JSON or form body. Objects and lists may come as JSON texts.
    ///
    /// # Errors
    /// [`Invalid`], if the body is not JSON although it begins like it.
    pub fn read(query: &[u8], body: &[u8]) -> Result<Self, Invalid> {
        let mut parameters = Map::new();
        let mut add = |bytes: &[u8]| {
            for (name, value) in form::parse(bytes) {
                let value = match value.trim_start().as_bytes().first() {
                    Some(b'{' | b'[') => serde_json::from_str(&value).unwrap_or(Value::String(value)),
                    _ => Value::String(value),
                };
                parameters.insert(name, value);
            }
        };
        add(query);
        let body = body.trim_ascii();
        if body.starts_with(b"{") {
            let object: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
                Invalid::new("the body", format!("is not JSON (line {}, column {})", error.line(), error.column()))
            })?;
            parameters.extend(object);
        } else {
            add(body);
        }
        Ok(Self(parameters))
    }

    /// A parameter as it came; nothing for `null`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The names of those that are there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str())
    }

    /// A text, or a number as text; nothing if it is absent or empty.
    ///
    /// # Errors
    /// [`Invalid`], if it is something else.
    pub fn text(&self, name: &str) -> Result<Option<String>, Invalid> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => {
                let text = text_of(value).ok_or_else(|| Invalid::new(name, "must be a text"))?;
                Ok(Some(text).filter(|text| !text.is_empty()))
            }
        }
    }

    /// A whole number, also as a text.
    ///
    /// # Errors
    /// [`Invalid`], if it is something else.
    pub fn number(&self, name: &str) -> Result<Option<usize>, Invalid> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number: u64 = text.trim().parse().map_err(|_| Invalid::new(name, "must be a whole number"))?;
        Ok(Some(usize::try_from(number).unwrap_or(usize::MAX)))
    }

    /// `true` or `false`, also as a text.
    ///
    /// # Errors
    /// [`Invalid`], if it is something else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Invalid> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(Invalid::new(name, "must be true or false")),
        }
    }

    /// An identifier: an object with exactly one of `keys` \[S:all A-*\].
    ///
    /// # Errors
    /// [`Invalid`], if it is something else.
    pub fn identifier(&self, name: &str, keys: &[&str]) -> Result<Option<Identifier>, Invalid> {
        self.value(name).map(|value| Identifier::read(name, value, keys)).transpose()
    }

    /// A list of objects.
    ///
    /// # Errors
    /// [`Invalid`], if it is something else.
    pub fn list(&self, name: &str) -> Result<&[Value], Invalid> {
        match self.value(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(Invalid::new(name, "must be a list")),
        }
    }

    /// The parameters read as a whole.
    ///
    /// # Errors
    /// [`Invalid`] with the path of the first that does not fit.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T, Invalid> {
        serde_path_to_error::deserialize(Value::Object(self.0)).map_err(|error| {
            let path = error.path().to_string();
            // Serde quotes values; what was expected is said behind them.
            let words = error.inner().to_string();
            let words = match words.rsplit_once(", expected ") {
                Some((_, expected)) => format!("must be {expected}"),
                None => words,
            };
            Invalid::new(path, words)
        })
    }
}

/// What an identifier names something by.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    /// The member that is there: `number`.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{} characters>", self.key, self.value.chars().count())
    }
}

impl Identifier {
    /// Reads an object with exactly one of `keys`.
    ///
    /// # Errors
    /// [`Invalid`], if it is something else.
    pub fn read(name: &str, value: &Value, keys: &[&str]) -> Result<Self, Invalid> {
        let wrong = || Invalid::new(name, format!("must be an object with exactly one of {}", keys.join(", ")));
        let members = value.as_object().ok_or_else(wrong)?;
        let mut given = keys.iter().filter_map(|key| Some((*key, members.get(*key).and_then(text_of)?)));
        match (given.next(), given.next()) {
            (Some((key, value)), None) if !value.is_empty() => Ok(Self { key: key.to_owned(), value }),
            _ => Err(wrong()),
        }
    }
}

/// A text, or a number as text.
#[must_use]
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Where the CRM's clock stands: its times carry no zone \[S:A-CMN\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcOffset(Offset);

impl Default for UtcOffset {
    fn default() -> Self {
        Self(Offset::UTC)
    }
}

impl UtcOffset {
    /// A time in the CRM's form, `YYYY-MM-DDTHH:MM:SS`.
    #[must_use]
    pub fn write(self, time: Timestamp) -> String {
        self.0.to_datetime(time).strftime("%Y-%m-%dT%H:%M:%S").to_string()
    }

    /// The time that a text of that form tells, or one with a zone of its own; a date alone is its first moment.
    #[must_use]
    pub fn read(self, text: &str) -> Option<Timestamp> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Some(time);
        }
        self.0.to_timestamp(text.parse::<DateTime>().ok()?).ok()
    }
}

impl FromStr for UtcOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no offset from UTC; write it as in \"+02:00\"");
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'+') => (1, text.get(1..)),
            Some(b'-') => (-1, text.get(1..)),
            _ => return Err(wrong()),
        };
        let (hours, minutes) = rest.and_then(|rest| rest.split_once(':')).ok_or_else(wrong)?;
        let digits = |text: &str, most: i32| {
            let number = (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten().map(i32::from);
            number.filter(|number| *number <= most).ok_or_else(wrong)
        };
        let seconds = digits(hours, 23)? * 3_600 + digits(minutes, 59)? * 60;
        Offset::from_seconds(sign * seconds).map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for UtcOffset {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<UtcOffset> for String {
    fn from(offset: UtcOffset) -> Self {
        let seconds = offset.0.seconds();
        let minutes = seconds.unsigned_abs() / 60;
        format!("{}{:02}:{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    }
}

impl schemars::JsonSchema for UtcOffset {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UtcOffset".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[+-][0-9]{2}:[0-9]{2}$", "examples": ["+02:00"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_in_queries_forms_and_json() {
        let query = b"token=T&number_of_results=50&provisioning_provider_identifier=%7B%22name%22%3A%22G%22%7D";
        let read = Parameters::read(query, b"offset=0").unwrap();
        assert_eq!(read.number("number_of_results"), Ok(Some(50)));
        assert_eq!(read.number("offset"), Ok(Some(0)));
        let identifier = read.identifier("provisioning_provider_identifier", &["id", "name"]).unwrap().unwrap();
        assert_eq!((identifier.key.as_str(), identifier.value.as_str()), ("name", "G"));
        assert!(!format!("{read:?} {identifier:?}").contains("\"G\""));

        let read = Parameters::read(b"", br#"{"n":7,"b":true,"e":null,"i":{"id":"1","name":"x"}}"#).unwrap();
        assert_eq!((read.text("n"), read.flag("b")), (Ok(Some("7".into())), Ok(Some(true))));
        assert_eq!(read.value("e"), None);
        assert_eq!(
            read.identifier("i", &["id", "name"]).unwrap_err().to_string(),
            "i must be an object with exactly one of id, name"
        );
        assert_eq!(Parameters::read(b"", b"{\"a\":").unwrap_err().field, "the body");
    }

    #[test]
    fn times_have_the_crm_s_offset() {
        let offset: UtcOffset = "+02:00".parse().unwrap();
        let time: Timestamp = "2026-01-15T10:00:00Z".parse().unwrap();
        assert_eq!(offset.write(time), "2026-01-15T12:00:00");
        assert_eq!(offset.read("2026-01-15T12:00:00"), Some(time));
        assert_eq!(offset.read("2026-01-15T10:00:00Z"), Some(time));
        assert_eq!(offset.read("2026-01-15"), Some("2026-01-14T22:00:00Z".parse().unwrap()));
        assert_eq!(offset.read("soon"), None);
        assert_eq!(String::from("-05:30".parse::<UtcOffset>().unwrap()), "-05:30");
        for wrong in ["", "2", "+2:00", "+24:00", "+00:60", "+0a:00", "é"] {
            assert!(wrong.parse::<UtcOffset>().is_err(), "{wrong}");
        }
    }
}
