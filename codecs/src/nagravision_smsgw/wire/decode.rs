//! Bytes to messages, with nom's streaming parsers: bytes that end too early are told apart from
//! bytes that can not be right.

use std::borrow::Cow;

use jiff::civil::Date;
use nom::bytes::streaming::take;
use nom::combinator::map_opt;
use nom::error::{ErrorKind, ParseError};
use nom::multi::count;
use nom::{Err, IResult, Parser};

use super::super::profile::{Alphabet, Charset, Field, FieldName, Form, Kind, Profile, ValueKind};
use super::{Body, Header, Message, Value, Values};

/// Why bytes are no message. Offsets are counted from the message's first byte. Holds no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the message does.
    #[error("the message ends within {} at byte {at}", field.name())]
    Incomplete {
        /// Where the field that is not whole starts.
        at: usize,
        /// The field.
        field: FieldName,
    },
    /// More bytes would not help.
    #[error("{} at byte {at}: {what}", field.name())]
    Malformed {
        /// Where the field starts.
        at: usize,
        /// The field.
        field: FieldName,
        /// What is wrong.
        what: &'static str,
    },
    /// The message is whole and bytes are left.
    #[error("{count} bytes too many at byte {at}")]
    Trailing {
        /// The first byte too many.
        at: usize,
        /// How many.
        count: usize,
    },
}

/// Reads a message: the content of one frame, all of it.
///
/// # Errors
/// [`DecodeError`] at the first field that does not fit. A command number that the profile does not
/// know is no error: see [`Body::Unknown`].
pub fn decode<'a>(profile: &Profile, bytes: &'a [u8]) -> Result<Message<'a>, DecodeError> {
    let (header, rest) = decode_header(profile, bytes)?;
    decode_behind(profile, header, bytes, rest)
}

/// Reads what stands behind a root header that was read already: `rest` is the end of `bytes`.
///
/// # Errors
/// As [`decode`].
pub fn decode_behind<'a>(
    profile: &Profile,
    header: Header,
    bytes: &'a [u8],
    rest: &'a [u8],
) -> Result<Message<'a>, DecodeError> {
    let (rest, number) = section(profile, rest).map_err(|error| located(bytes, error))?;
    let (rest, body) = match profile.form(number) {
        None => return Ok(Message { header, number, body: Body::Unknown(rest) }),
        Some(Form::Command(name)) => {
            let layout = profile.command(name).map(|form| &*form.body).unwrap_or_default();
            let (rest, values) = fields(profile.charset, layout, rest).map_err(|error| located(bytes, error))?;
            (rest, Body::Command(name, values))
        }
        Some(Form::Ack) => {
            let (rest, values) = ack(profile, rest).map_err(|error| located(bytes, error))?;
            (rest, Body::Ack(values))
        }
        Some(Form::Nack) => {
            let (rest, values) =
                fields(profile.charset, &profile.nack.body, rest).map_err(|error| located(bytes, error))?;
            (rest, Body::Nack(values))
        }
    };
    if rest.is_empty() {
        Ok(Message { header, number, body })
    } else {
        Err(DecodeError::Trailing { at: bytes.len() - rest.len(), count: rest.len() })
    }
}

/// Reads the root header alone; returns it with the bytes behind it.
///
/// # Errors
/// [`DecodeError`] at the first field that does not fit.
pub fn decode_header<'a>(profile: &Profile, bytes: &'a [u8]) -> Result<(Header, &'a [u8]), DecodeError> {
    let (rest, header) = header(profile, bytes).map_err(|error| located(bytes, error))?;
    Ok((header, rest))
}

/// Reads one field, for explaining a message step by step.
pub(in super::super) fn decode_field<'a>(
    charset: Charset,
    field: &Field,
    bytes: &'a [u8],
) -> Result<(&'a [u8], Value<'a>), DecodeError> {
    value(charset, field, bytes).map_err(|error| located(bytes, error))
}

fn header<'a>(profile: &Profile, bytes: &'a [u8]) -> Parsed<'a, Header> {
    let mut header = Header::default();
    let mut rest = bytes;
    for field in &profile.header {
        let (next, value) = value(profile.charset, field, rest)?;
        rest = next;
        match (field.name, value) {
            (FieldName::TransactionNumber, Value::Number(n)) => header.transaction_number = n,
            (FieldName::CommandType, Value::Number(n)) => header.command_type = n,
            (FieldName::SourceId, Value::Number(n)) => header.source_id = n,
            (FieldName::DestId, Value::Number(n)) => header.dest_id = n,
            (FieldName::MopPpid, Value::Number(n)) => header.mop_ppid = n,
            (FieldName::CreationDate, Value::Date(date)) => header.creation_date = date,
            _ => {}
        }
    }
    Ok((rest, header))
}

fn section<'a>(profile: &Profile, bytes: &'a [u8]) -> Parsed<'a, u64> {
    let mut rest = bytes;
    let mut number = 0;
    for field in &profile.section {
        let (next, value) = value(profile.charset, field, rest)?;
        rest = next;
        if let (FieldName::CommandNumber, Value::Number(n)) = (field.name, value) {
            number = n;
        }
    }
    Ok((rest, number))
}

fn ack<'a>(profile: &Profile, bytes: &'a [u8]) -> Parsed<'a, Values<'a>> {
    let (rest, mut values) = fields(profile.charset, &profile.ack.body, bytes)?;
    let answered = values.number_of(FieldName::AnsweredCommand).and_then(|number| profile.form(number));
    let Some(Form::Command(name)) = answered else { return Ok((rest, values)) };
    let layout = profile.command(name).map(|form| &*form.answer).unwrap_or_default();
    let rest = fields_into(&mut values, profile.charset, layout, rest)?;
    Ok((rest, values))
}

fn fields<'a>(charset: Charset, layout: &[Field], bytes: &'a [u8]) -> Parsed<'a, Values<'a>> {
    let mut values = Values::default();
    let rest = fields_into(&mut values, charset, layout, bytes)?;
    Ok((rest, values))
}

fn fields_into<'a>(
    values: &mut Values<'a>,
    charset: Charset,
    layout: &[Field],
    bytes: &'a [u8],
) -> Result<&'a [u8], Err<Broken>> {
    let mut rest = bytes;
    for field in layout {
        let (next, value) = value(charset, field, rest)?;
        rest = next;
        if field.name != FieldName::Literal {
            values.push(field.name, value);
        }
    }
    Ok(rest)
}

fn value<'a>(charset: Charset, field: &Field, bytes: &'a [u8]) -> Parsed<'a, Value<'a>> {
    let parsed = match &field.kind {
        Kind::Number { width } if field.name.value_kind() == ValueKind::Number => {
            map_opt(take(*width), decimal).map(Value::Number).parse(bytes)
        }
        Kind::Number { width } => map_opt(take(*width), |b| unpadded(b, u8::is_ascii_digit)).parse(bytes),
        Kind::Hex { width } => map_opt(take(*width), |b| unpadded(b, u8::is_ascii_hexdigit)).parse(bytes),
        Kind::Text { width, only } => map_opt(take(*width), |b| text(charset, *only, without_padding(b))).parse(bytes),
        Kind::Counted { width, max, only } => map_opt(take(*width), |b| count_up_to(b, *max))
            .flat_map(take)
            .map_opt(|b| text(charset, *only, b))
            .parse(bytes),
        Kind::Date => map_opt(take(8_usize), date).map(Value::Date).parse(bytes),
        Kind::List { width, max, fields: layout } => map_opt(take(*width), |b| count_up_to(b, *max))
            .flat_map(|items| count(|item: &'a [u8]| fields(charset, layout, item), items))
            .map(Value::List)
            .parse(bytes),
        Kind::Literal(wanted) => {
            map_opt(take(wanted.len()), |b: &[u8]| (b == &**wanted).then_some(Value::Number(0))).parse(bytes)
        }
    };
    parsed.map_err(|error| Err::Failure(named(error, field, bytes.len())))
}

type Parsed<'a, T> = IResult<&'a [u8], T, Broken>;

/// Why parsing stopped; the field is filled in where it is known.
#[derive(Debug)]
struct Broken {
    /// How many bytes were left where the field starts.
    left: usize,
    field: Option<FieldName>,
    incomplete: bool,
    what: &'static str,
}

impl ParseError<&[u8]> for Broken {
    fn from_error_kind(rest: &[u8], _: ErrorKind) -> Self {
        Self { left: rest.len(), field: None, incomplete: false, what: "can not be read" }
    }

    fn append(_: &[u8], _: ErrorKind, inner: Self) -> Self {
        inner
    }
}

/// The error of a field; that of a list item's field stays its own.
fn named(error: Err<Broken>, field: &Field, left: usize) -> Broken {
    let what = match field.kind {
        Kind::Number { .. } => "is not decimal digits",
        Kind::Hex { .. } => "is not hexadecimal digits",
        Kind::Text { .. } => "holds characters it may not hold",
        Kind::Counted { .. } => "has a wrong length, or characters it may not hold",
        Kind::Date => "is no day of the form YYYYMMDD",
        Kind::List { .. } => "has a wrong number of items",
        Kind::Literal(_) => "is not what always stands here",
    };
    match error {
        Err::Incomplete(_) => Broken { left, field: Some(field.name), incomplete: true, what },
        Err::Error(broken) | Err::Failure(broken) => match broken.field {
            Some(_) => broken,
            None => Broken { left, field: Some(field.name), incomplete: false, what },
        },
    }
}

fn located(bytes: &[u8], error: Err<Broken>) -> DecodeError {
    match error {
        Err::Incomplete(_) => DecodeError::Incomplete { at: bytes.len(), field: FieldName::Literal },
        Err::Error(Broken { left, field, incomplete, what })
        | Err::Failure(Broken { left, field, incomplete, what }) => {
            let at = bytes.len().saturating_sub(left);
            let field = field.unwrap_or(FieldName::Literal);
            if incomplete { DecodeError::Incomplete { at, field } } else { DecodeError::Malformed { at, field, what } }
        }
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

fn count_up_to(digits: &[u8], max: usize) -> Option<usize> {
    decimal(digits).and_then(|count| usize::try_from(count).ok()).filter(|count| *count <= max)
}

fn date(digits: &[u8]) -> Option<Option<Date>> {
    let all = decimal(digits)?;
    if all == 0 {
        return Some(None);
    }
    let (year, month, day) = (all / 10_000, all / 100 % 100, all % 100);
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok().map(Some)
}

/// An identifier of digits without the zeros before it; a single zero stays.
fn unpadded(digits: &[u8], is_digit: fn(&u8) -> bool) -> Option<Value<'_>> {
    if !digits.iter().all(is_digit) {
        return None;
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count().min(digits.len().saturating_sub(1));
    std::str::from_utf8(digits.get(zeros..)?).ok().map(|text| Value::Text(text.into()))
}

fn without_padding(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().rev().take_while(|byte| **byte == b' ').count();
    bytes.get(..bytes.len() - spaces).unwrap_or_default()
}

fn text(charset: Charset, only: Alphabet, bytes: &[u8]) -> Option<Value<'_>> {
    let text: Cow<'_, str> = match charset {
        Charset::Ascii if !bytes.is_ascii() => return None,
        Charset::Latin1 if !bytes.is_ascii() => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
        Charset::Ascii | Charset::Latin1 | Charset::Utf8 => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
    };
    only.allows(&text).then_some(Value::Text(text))
}
