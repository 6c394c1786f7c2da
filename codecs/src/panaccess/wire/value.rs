//! Values in no binding's words: what operations are made of, and what answers tell.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value of a parameter or an answer. Subscriber data: `Debug` shows only its kind.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Value {
    /// None: left out, `null`, `xsi:nil`.
    #[default]
    Absent,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A text. What a form or an untyped element holds is always one.
    Text(String),
    /// An instant. Never read, only written: answers hold instants as texts.
    Time(Timestamp),
    /// Values of one kind in order.
    List(List),
    /// Values by name.
    Record(Record),
}

/// Values of one kind in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The list type's name in SOAP, as in `Integers`; empty where nobody told.
    pub kind: Cow<'static, str>,
    /// The values.
    pub items: Vec<Value>,
}

/// Values by name. Subscriber data: `Debug` shows only their names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The type's name in SOAP, as in `Subscriber`; empty where nobody told.
    pub kind: Cow<'static, str>,
    /// The values with their names, no name twice.
    pub members: Vec<Member>,
}

/// A value with its name.
pub type Member = (Cow<'static, str>, Value);

/// A value is not what was expected. Holds nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(pub String);

/// What can be written as a [`Value`] and read from one.
pub trait Wire: Sized {
    /// The value.
    fn write(&self) -> Value;

    /// Reads it. `zone` is where times without a zone are read.
    ///
    /// # Errors
    /// [`Misfit`]: what was expected.
    fn read(value: Value, zone: &TimeZone) -> Result<Self, Misfit>;
}

/// What can stand in a list.
pub trait Item: Wire {
    /// The list type's name in SOAP.
    const LIST: &'static str;
}

impl Value {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Time(_) => "a time",
            Self::List(_) => "a list",
            Self::Record(_) => "a record",
        }
    }

    fn misfit(&self, expected: &str) -> Misfit {
        Misfit(format!("{} where {expected} was expected", self.kind()))
    }

    /// Whether it is nothing, or an empty text, which is how a form writes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(text) => text.is_empty(),
            _ => false,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.kind())
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|(name, _)| name)).finish()
    }
}

impl Record {
    /// A record of that type without members.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        Self { kind: Cow::Borrowed(kind), members: Vec::new() }
    }

    /// The value of that name, if there is one that is not [`Value::Absent`].
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, value)| value).filter(|v| **v != Value::Absent)
    }

    /// Gives the value of that name another one, or adds it.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        let name = name.into();
        match self.members.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.members.push((name, value)),
        }
    }

    /// Takes the value of that name out and reads it.
    ///
    /// # Errors
    /// [`Misfit`] with the name.
    pub fn take<T: Wire>(&mut self, name: &str, zone: &TimeZone) -> Result<T, Misfit> {
        let at = self.members.iter().position(|(known, _)| known == name);
        let value = at.map(|at| self.members.swap_remove(at).1).unwrap_or_default();
        T::read(value, zone).map_err(|Misfit(text)| Misfit(format!("{name}: {text}")))
    }
}

impl Wire for Value {
    fn write(&self) -> Value {
        self.clone()
    }

    fn read(value: Value, _: &TimeZone) -> Result<Self, Misfit> {
        Ok(value)
    }
}

impl Wire for Record {
    fn write(&self) -> Value {
        Value::Record(self.clone())
    }

    fn read(value: Value, _: &TimeZone) -> Result<Self, Misfit> {
        match value {
            Value::Record(record) => Ok(record),
            other => Err(other.misfit("a record")),
        }
    }
}

impl Wire for bool {
    fn write(&self) -> Value {
        Value::Bool(*self)
    }

    /// A client is known to take `"true"`, `"1"` and `"yes"` too \[S2,S3\].
    fn read(value: Value, _: &TimeZone) -> Result<Self, Misfit> {
        match &value {
            Value::Bool(value) => Ok(*value),
            Value::Number(0) => Ok(false),
            Value::Number(1) => Ok(true),
            Value::Text(text) => match text.trim() {
                "true" | "1" | "yes" => Ok(true),
                "false" | "0" | "no" | "" => Ok(false),
                _ => Err(value.misfit("true or false")),
            },
            other => Err(other.misfit("true or false")),
        }
    }
}

impl Wire for i64 {
    fn write(&self) -> Value {
        Value::Number(*self)
    }

    fn read(value: Value, _: &TimeZone) -> Result<Self, Misfit> {
        match &value {
            Value::Number(number) => Ok(*number),
            Value::Text(text) => text.trim().parse().map_err(|_| value.misfit("a whole number")),
            other => Err(other.misfit("a whole number")),
        }
    }
}

impl Item for i64 {
    const LIST: &'static str = "Integers";
}

impl Wire for String {
    fn write(&self) -> Value {
        Value::Text(self.clone())
    }

    fn read(value: Value, _: &TimeZone) -> Result<Self, Misfit> {
        match value {
            Value::Text(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(value) => Ok(value.to_string()),
            other => Err(other.misfit("a text")),
        }
    }
}

impl Item for String {
    const LIST: &'static str = "Strings";
}

impl Wire for Timestamp {
    fn write(&self) -> Value {
        Value::Time(*self)
    }

    /// With a zone, as SOAP writes it, or without one, as JSON does.
    fn read(value: Value, zone: &TimeZone) -> Result<Self, Misfit> {
        let text = match &value {
            Value::Text(text) => text.trim(),
            Value::Time(time) => return Ok(*time),
            other => return Err(other.misfit("a time")),
        };
        if let Ok(time) = text.parse() {
            return Ok(time);
        }
        let local: jiff::civil::DateTime = text.parse().map_err(|_| value.misfit("a time"))?;
        zone.to_ambiguous_timestamp(local).compatible().map_err(|_| value.misfit("a time that there is"))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Absent, Wire::write)
    }

    fn read(value: Value, zone: &TimeZone) -> Result<Self, Misfit> {
        if value.is_empty() { Ok(None) } else { T::read(value, zone).map(Some) }
    }
}

impl<T: Item> Wire for Vec<T> {
    fn write(&self) -> Value {
        Value::List(List { kind: Cow::Borrowed(T::LIST), items: self.iter().map(Wire::write).collect() })
    }

    /// A form's list arrives as a record with numbers for names.
    fn read(value: Value, zone: &TimeZone) -> Result<Self, Misfit> {
        let items = match value {
            empty if empty.is_empty() => Vec::new(),
            Value::List(list) => list.items,
            Value::Record(Record { members, .. })
                if members.iter().all(|(name, _)| name.bytes().all(|b| b.is_ascii_digit())) =>
            {
                members.into_iter().map(|(_, value)| value).collect()
            }
            other => return Err(other.misfit("a list")),
        };
        items.into_iter().map(|item| T::read(item, zone)).collect()
    }
}

impl<'de> Deserialize<'de> for Value {
    /// As JSON. A name that comes twice is an error, whichever of the two was meant.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: Error>(self) -> Result<Value, E> {
                Ok(Value::Absent)
            }

            fn visit_none<E: Error>(self) -> Result<Value, E> {
                Ok(Value::Absent)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                Value::deserialize(deserializer)
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Number(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
                Ok(i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Number))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Text(value.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut list = List::default();
                while let Some(item) = seq.next_element()? {
                    list.items.push(item);
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut names = std::collections::BTreeSet::new();
                let mut record = Record::default();
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom("a name comes twice"));
                    }
                    record.members.push((Cow::Owned(name), map.next_value()?));
                }
                Ok(Value::Record(record))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
