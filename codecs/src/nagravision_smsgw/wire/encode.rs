//! Messages to bytes, straight into a link's output buffer.

use std::ops::Range;

use bytes::{BufMut, BytesMut};
use jiff::civil::Date;

use super::super::profile::{Alphabet, Charset, CommandForm, Field, FieldName, Form, Kind, Profile};
use super::{Body, Header, Message, Value, Values};
use crate::framing::Unframeable;

/// Why a message was not written. Holds no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A value does not fit its field.
    #[error("{}: {what}", field.name())]
    Unfit {
        /// The field.
        field: FieldName,
        /// What is wrong.
        what: Unfit,
    },
    /// The message does not fit a frame.
    #[error(transparent)]
    Unframeable(#[from] Unframeable),
    /// The profile does not have the command.
    #[error("the profile has no such command")]
    NoSuchCommand,
}

/// Why a value does not fit its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is no value of the field's kind.
    #[error("has no value")]
    Missing,
    /// It is longer than the field.
    #[error("is longer than the {limit} characters its field has")]
    TooLong {
        /// How many there may be.
        limit: usize,
    },
    /// It holds characters that the field may not hold.
    #[error("holds characters that its field may not hold")]
    Characters,
    /// It ends with a space, which can not be told from the padding.
    #[error("ends with a space")]
    TrailingSpace,
    /// It has more items than the list may have.
    #[error("has more than {limit} items")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Where in the buffer a PIN or a password stands, so that records can leave it out.
    pub secret: Option<Range<usize>>,
}

/// Appends a message to `out`, as a whole frame.
///
/// # Errors
/// [`EncodeError`]; `out` is then as before.
pub fn encode(profile: &Profile, message: &Message<'_>, out: &mut BytesMut) -> Result<Written, EncodeError> {
    let Message { header, number, body } = message;
    match body {
        Body::Command(name, values) => {
            let form = profile.command(*name).ok_or(EncodeError::NoSuchCommand)?;
            encode_command(profile, header, form, values, out)
        }
        Body::Ack(values) => {
            let answered = values.number_of(FieldName::AnsweredCommand).and_then(|number| profile.form(number));
            let answer = match answered {
                Some(Form::Command(name)) => profile.command(name).map(|form| &*form.answer).unwrap_or_default(),
                _ => &[],
            };
            frame(profile, header, *number, out, |writer| {
                writer.fields(&profile.ack.body, values)?;
                writer.fields(answer, values)
            })
        }
        Body::Nack(values) => frame(profile, header, *number, out, |w| w.fields(&profile.nack.body, values)),
        Body::Unknown(bytes) => frame(profile, header, *number, out, |writer| {
            writer.out.put_slice(bytes);
            Ok(())
        }),
    }
}

/// Appends a command to `out`, as a whole frame. `values` may hold more than the command's fields.
///
/// # Errors
/// [`EncodeError`]; `out` is then as before.
pub fn encode_command(
    profile: &Profile,
    header: &Header,
    form: &CommandForm,
    values: &Values<'_>,
    out: &mut BytesMut,
) -> Result<Written, EncodeError> {
    frame(profile, header, form.number, out, |writer| writer.fields(&form.body, values))
}

/// Appends a frame to `out` that holds the root header and then `payload` as it is: section and body.
///
/// # Errors
/// [`EncodeError`]; `out` is then as before.
pub fn encode_raw(
    profile: &Profile,
    header: &Header,
    payload: &[u8],
    out: &mut BytesMut,
) -> Result<Written, EncodeError> {
    framed(profile, out, |writer| {
        writer.header(&profile.header, header)?;
        writer.out.put_slice(payload);
        Ok(())
    })
}

fn frame(
    profile: &Profile,
    header: &Header,
    number: u64,
    out: &mut BytesMut,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<Written, EncodeError> {
    framed(profile, out, |writer| {
        writer.header(&profile.header, header)?;
        for field in &profile.section {
            match field.name {
                FieldName::CommandNumber => writer.number(field, number)?,
                _ => writer.literal(field),
            }
        }
        body(writer)
    })
}

fn framed(
    profile: &Profile,
    out: &mut BytesMut,
    content: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<Written, EncodeError> {
    let start = profile.framing.begin(out);
    let mut writer = Writer { out, charset: profile.charset, written: Written::default() };
    let result = content(&mut writer);
    let written = writer.written;
    match result {
        Ok(()) => {
            profile.framing.finish(out, start)?;
            Ok(written)
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

struct Writer<'o> {
    out: &'o mut BytesMut,
    charset: Charset,
    written: Written,
}

impl Writer<'_> {
    fn header(&mut self, layout: &[Field], header: &Header) -> Result<(), EncodeError> {
        for field in layout {
            match field.name {
                FieldName::TransactionNumber => self.number(field, header.transaction_number)?,
                FieldName::CommandType => self.number(field, header.command_type)?,
                FieldName::SourceId => self.number(field, header.source_id)?,
                FieldName::DestId => self.number(field, header.dest_id)?,
                FieldName::MopPpid => self.number(field, header.mop_ppid)?,
                FieldName::CreationDate => self.date(header.creation_date),
                _ => self.literal(field),
            }
        }
        Ok(())
    }

    fn fields(&mut self, layout: &[Field], values: &Values<'_>) -> Result<(), EncodeError> {
        for field in layout {
            let start = self.out.len();
            match values.value(field.name) {
                _ if field.name == FieldName::Literal => self.literal(field),
                Some(Value::Number(number)) => self.number(field, *number)?,
                Some(Value::Text(text)) => self.text(field, text)?,
                Some(Value::Date(date)) => self.date(*date),
                Some(Value::List(items)) => self.list(field, items)?,
                None => return unfit(field, Unfit::Missing),
            }
            if field.name.is_secret() {
                self.written.secret = Some(start..self.out.len());
            }
        }
        Ok(())
    }

    fn number(&mut self, field: &Field, number: u64) -> Result<(), EncodeError> {
        match field.kind {
            Kind::Number { width } => {
                let start = self.out.len();
                self.out.put_bytes(b'0', width);
                if self.fill(start, width, number) { Ok(()) } else { unfit(field, Unfit::TooLong { limit: width }) }
            }
            _ => unfit(field, Unfit::Missing),
        }
    }

    fn text(&mut self, field: &Field, text: &str) -> Result<(), EncodeError> {
        match field.kind {
            Kind::Text { width, only } => {
                if text.ends_with(' ') {
                    return unfit(field, Unfit::TrailingSpace);
                }
                let length = self.characters(field, text, only, width)?;
                self.out.put_bytes(b' ', width - length);
                Ok(())
            }
            Kind::Counted { width, max, only } => {
                let start = self.out.len();
                self.out.put_bytes(b'0', width);
                let length = self.characters(field, text, only, max)?;
                self.fill(start, width, length as u64);
                Ok(())
            }
            Kind::Number { width } => self.padded(field, text, width, |b| b.is_ascii_digit()),
            Kind::Hex { width } => self.padded(field, text, width, |b| b.is_ascii_hexdigit()),
            Kind::Date | Kind::List { .. } | Kind::Literal(_) => unfit(field, Unfit::Missing),
        }
    }

    /// Text in the profile's character set; returns how many bytes it has, at most `limit`.
    fn characters(&mut self, field: &Field, text: &str, only: Alphabet, limit: usize) -> Result<usize, EncodeError> {
        if !only.allows(text) {
            return unfit(field, Unfit::Characters);
        }
        let start = self.out.len();
        if text.is_ascii() || self.charset == Charset::Utf8 {
            self.out.put_slice(text.as_bytes());
        } else if self.charset == Charset::Latin1 {
            for c in text.chars() {
                match u8::try_from(c) {
                    Ok(byte) => self.out.put_u8(byte),
                    Err(_) => return unfit(field, Unfit::Characters),
                }
            }
        } else {
            return unfit(field, Unfit::Characters);
        }
        let length = self.out.len() - start;
        if length <= limit { Ok(length) } else { unfit(field, Unfit::TooLong { limit }) }
    }

    /// An identifier of digits with zeros before it.
    fn padded(&mut self, field: &Field, text: &str, width: usize, digit: fn(&u8) -> bool) -> Result<(), EncodeError> {
        if text.is_empty() || !text.bytes().all(|b| digit(&b)) {
            return unfit(field, Unfit::Characters);
        }
        let Some(zeros) = width.checked_sub(text.len()) else {
            return unfit(field, Unfit::TooLong { limit: width });
        };
        self.out.put_bytes(b'0', zeros);
        self.out.put_slice(text.as_bytes());
        Ok(())
    }

    fn date(&mut self, date: Option<Date>) {
        let Some(date) = date else { return self.out.put_bytes(b'0', 8) };
        let number = i32::from(date.year()) * 10_000 + i32::from(date.month()) * 100 + i32::from(date.day());
        let start = self.out.len();
        self.out.put_bytes(b'0', 8);
        self.fill(start, 8, u64::try_from(number).unwrap_or_default());
    }

    fn list(&mut self, field: &Field, items: &[Values<'_>]) -> Result<(), EncodeError> {
        let Kind::List { width, max, fields } = &field.kind else { return unfit(field, Unfit::Missing) };
        if items.len() > *max {
            return unfit(field, Unfit::TooMany { limit: *max });
        }
        let start = self.out.len();
        self.out.put_bytes(b'0', *width);
        self.fill(start, *width, items.len() as u64);
        items.iter().try_for_each(|item| self.fields(fields, item))
    }

    fn literal(&mut self, field: &Field) {
        if let Kind::Literal(bytes) = &field.kind {
            self.out.put_slice(bytes);
        }
    }

    /// Writes a number over the `width` zeros at `start`; tells whether it fits.
    fn fill(&mut self, start: usize, width: usize, number: u64) -> bool {
        let mut left = number;
        for place in self.out.get_mut(start..start + width).unwrap_or_default().iter_mut().rev() {
            // The remainder is one digit.
            *place = b'0' + u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
        }
        left == 0
    }
}

fn unfit<T>(field: &Field, what: Unfit) -> Result<T, EncodeError> {
    Err(EncodeError::Unfit { field: field.name, what })
}
