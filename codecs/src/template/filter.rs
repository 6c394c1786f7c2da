//! What can be done to a value in a placeholder, after a `|`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::values::{Kind, Value};

/// What can be done to a value. On a list, filters of text work on each of its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `base64`: the UTF-8 bytes in base64.
    Base64,
    /// `date:FORMAT`: a time in the profile's zone, by the letters of `strftime`.
    Date(String),
    /// `default:TEXT`: this, where the value is absent.
    Default(String),
    /// `digits`: refused if there is anything but digits.
    Digits,
    /// `epoch`: a time as seconds since 1970.
    Epoch,
    /// `epoch_ms`: a time as milliseconds since 1970.
    EpochMillis,
    /// `hex`: the UTF-8 bytes in hexadecimal.
    Hex,
    /// `join:SEPARATOR`: a list as one text.
    Join(String),
    /// `left:N`: the first N characters.
    Left(usize),
    /// `length:MIN:MAX`: refused if it has fewer or more characters.
    Length(usize, usize),
    /// `lower`: in lower case.
    Lower,
    /// `map:A=B,C=D`: B where it is A; refused if it is nothing of these.
    Map(Vec<(String, String)>),
    /// `number`: a text of digits as a number.
    Number,
    /// `pad:N:C`: filled up with C on the left until it has N characters.
    Pad(usize, char),
    /// `upper`: in upper case.
    Upper,
}

/// The names of the filters, for error messages.
const NAMES: &str =
    "base64, date, default, digits, epoch, epoch_ms, hex, join, left, length, lower, map, number, pad, upper";

/// Most characters that a filter counts.
const LONGEST: usize = 10_000;

impl Filter {
    /// Reads a filter, as in `pad:8:0`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        let with = |example: &str| argument.ok_or_else(|| format!("the filter {name} needs an argument: `{example}`"));
        let filter = match name {
            "date" => Self::date(with("date:%Y-%m-%d")?)?,
            "default" => return Ok(Self::Default(with("default:none")?.to_owned())),
            "join" => return Ok(Self::Join(with("join:,")?.to_owned())),
            "left" => Self::Left(count(with("left:8")?)?),
            "length" => {
                let argument = with("length:4:8")?;
                let (least, most) = argument.split_once(':').unwrap_or((argument, argument));
                let (least, most) = (count(least)?, count(most)?);
                if least > most {
                    return Err("the filter length needs the smaller number first: `length:4:8`".to_owned());
                }
                Self::Length(least, most)
            }
            "map" => Self::map(with("map:lost=L,stolen=S")?)?,
            "pad" => {
                let wrong = || "the filter pad needs a width and one character: `pad:8:0`".to_owned();
                let (width, fill) = with("pad:8:0")?.split_once(':').ok_or_else(wrong)?;
                let mut chars = fill.chars();
                match (chars.next(), chars.next()) {
                    (Some(fill), None) => Self::Pad(count(width)?, fill),
                    _ => return Err(wrong()),
                }
            }
            _ => {
                let plain = match name {
                    "base64" => Self::Base64,
                    "digits" => Self::Digits,
                    "epoch" => Self::Epoch,
                    "epoch_ms" => Self::EpochMillis,
                    "hex" => Self::Hex,
                    "lower" => Self::Lower,
                    "number" => Self::Number,
                    "upper" => Self::Upper,
                    _ => return Err(format!("there is no filter {name:?}; there are {NAMES}")),
                };
                if argument.is_some() {
                    return Err(format!("the filter {name} takes no argument"));
                }
                plain
            }
        };
        Ok(filter)
    }

    /// The kind of what it makes of that kind.
    ///
    /// # Errors
    /// That it makes nothing of it, in words.
    pub fn kind(&self, of: Kind) -> Result<Kind, String> {
        match (self, of) {
            (Self::Date(_), Kind::Time) => Ok(Kind::Text),
            (Self::Epoch | Self::EpochMillis, Kind::Time) => Ok(Kind::Number),
            (Self::Date(_) | Self::Epoch | Self::EpochMillis, _) => {
                Err(format!("it is for a time, and this is a {of}"))
            }
            (Self::Join(_), Kind::List) => Ok(Kind::Text),
            (Self::Join(_), _) => Err(format!("it is for a list, and this is a {of}")),
            (Self::Default(text), Kind::Number) if text.parse::<i64>().is_err() => Ok(Kind::Text),
            (Self::Default(_), Kind::Number) => Ok(Kind::Number),
            (Self::Default(_), Kind::Text) => Ok(Kind::Text),
            (Self::Default(_), _) => Err(format!("it is for a text or a number, and this is a {of}")),
            (Self::Number, Kind::Text | Kind::Number) => Ok(Kind::Number),
            (Self::Number, _) => Err(format!("it is for a text, and this is a {of}")),
            (_, Kind::Time) => Err("it is for a text, and this is a time; write it with `date` first".to_owned()),
            (_, Kind::List) => Ok(Kind::List),
            (_, Kind::Number | Kind::Text) => Ok(Kind::Text),
        }
    }

    /// What it makes of a value.
    ///
    /// # Errors
    /// Why the value is refused, in words without the value.
    pub fn apply(&self, value: Value, zone: &TimeZone) -> Result<Value, String> {
        Ok(match (self, value) {
            (Self::Default(_), value) => value,
            (Self::Date(format), Value::Time(time)) => Value::Text(write_date(format, time.to_zoned(zone.clone()))?),
            (Self::Epoch, Value::Time(time)) => Value::Number(time.as_second()),
            (Self::EpochMillis, Value::Time(time)) => Value::Number(time.as_millisecond()),
            (Self::Join(separator), Value::List(items)) => Value::Text(items.join(separator)),
            (Self::Number, Value::Number(number)) => Value::Number(number),
            (Self::Number, value) => {
                let text = value.into_text();
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let number = digits.then(|| text.parse().ok()).flatten();
                Value::Number(number.ok_or("must be a number of up to 18 digits at this platform")?)
            }
            (filter, Value::List(items)) => {
                Value::List(items.into_iter().map(|item| filter.text(item)).collect::<Result<_, _>>()?)
            }
            (filter, value) => Value::Text(filter.text(value.into_text())?),
        })
    }

    /// What stands in for a value that is absent.
    pub(super) fn stand_in(&self, kind: Kind) -> Option<Value> {
        let Self::Default(text) = self else { return None };
        let number = if kind == Kind::Number { text.parse().ok() } else { None };
        Some(number.map_or_else(|| Value::Text(text.clone()), Value::Number))
    }

    fn text(&self, text: String) -> Result<String, String> {
        Ok(match self {
            Self::Base64 => STANDARD.encode(text),
            Self::Hex => headgate_core::text::to_hex(text.as_bytes()),
            Self::Lower => text.to_lowercase(),
            Self::Upper => text.to_uppercase(),
            Self::Left(count) => text.chars().take(*count).collect(),
            Self::Pad(width, fill) => {
                let missing = width.saturating_sub(text.chars().count());
                std::iter::repeat_n(*fill, missing).chain(text.chars()).collect()
            }
            Self::Digits if !text.bytes().all(|b| b.is_ascii_digit()) => {
                return Err("must have nothing but digits at this platform".to_owned());
            }
            Self::Length(least, most) if !(*least..=*most).contains(&text.chars().count()) => {
                let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
                return Err(format!("must have {range} characters at this platform"));
            }
            Self::Map(pairs) => {
                let found = pairs.iter().find(|(from, _)| *from == text).map(|(_, to)| to.clone());
                found.ok_or_else(|| {
                    let known: Vec<_> = pairs.iter().map(|(from, _)| from.as_str()).collect();
                    format!("must be one of {} at this platform", known.join(", "))
                })?
            }
            _ => text,
        })
    }

    fn date(format: &str) -> Result<Self, String> {
        let probe = write_date(format, Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC));
        probe.map(|_| Self::Date(format.to_owned()))
    }

    fn map(pairs: &str) -> Result<Self, String> {
        let pairs = pairs.split(',').map(|pair| {
            let (from, to) = pair.split_once('=').ok_or("the filter map needs pairs: `map:lost=L,stolen=S`")?;
            Ok((from.to_owned(), to.to_owned()))
        });
        pairs.collect::<Result<_, &str>>().map(Self::Map).map_err(ToOwned::to_owned)
    }
}

fn write_date(format: &str, time: Zoned) -> Result<String, String> {
    jiff::fmt::strtime::format(format, &time).map_err(|_| {
        format!("{format:?} is no date format; the letters are those of strftime, as in %Y-%m-%dT%H:%M:%S")
    })
}

fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=LONGEST).contains(count));
    count.ok_or_else(|| format!("{text:?} is not a number from 1 to {LONGEST}"))
}
