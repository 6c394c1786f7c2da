//! Messages explained field by field: what `headgate decode` prints.

#[cfg(test)]
mod tests;

use bytes::BytesMut;
use headgate_core::Now;
use headgate_core::adapter::Rules;
use headgate_core::request::Request;
use headgate_core::text::to_hex;

use super::days::day_of;
use super::profile::{AnswerForm, Field, FieldName, Form, Kind, Profile};
use super::speech::{Content, Speech, refusal};
use super::wire::{DecodeError, Value, decode_field};
use crate::dissect::{Broken, Dissection};
use crate::framing::Cut;
use crate::registry::{EncodeError, Encoded};

/// Explains a stream of whole frames, one dissection each. Offsets count from the stream's first byte.
#[must_use]
pub fn decode(profile: &Profile, bytes: &[u8]) -> Vec<Dissection> {
    let mut dissections = Vec::new();
    let mut start = 0;
    while let Some(rest) = bytes.get(start..).filter(|rest| !rest.is_empty()) {
        match profile.framing.cut(rest) {
            Ok(Some(cut)) => {
                dissections.push(frame(profile, rest, start, &cut));
                start += cut.end;
            }
            Ok(None) => {
                let text = "the bytes end before the frame does";
                dissections.push(broken("incomplete frame", start + rest.len(), text.into(), true));
                break;
            }
            Err(lost) => {
                dissections.push(broken("bytes that are no frame", start + lost.offset, lost.text, false));
                break;
            }
        }
    }
    dissections
}

/// The frames that would carry a command, under transaction numbers from 1.
///
/// # Errors
/// [`EncodeError::Refused`], if the profile can not say it.
pub fn encode(speech: &Speech, now: Now, request: &Request) -> Result<Vec<Encoded>, EncodeError> {
    speech.capabilities().check(request, speech.services())?;
    speech.check(request)?;
    let command = &request.command;
    let today = day_of(now.wall, &speech.checked.zone);
    (0..speech.parts(command))
        .map(|index| {
            let part = speech.part(command, index, today)?;
            let title = match &part.content {
                Content::Command(form, _) => form.name.name(),
                Content::Raw(_) => "raw",
            };
            let mut out = BytesMut::new();
            speech.write(&part, index as u64 + 1, today, &mut out).map_err(|error| refusal(&error))?;
            Ok(Encoded { title: title.to_owned(), bytes: out.freeze() })
        })
        .collect()
}

fn frame(profile: &Profile, rest: &[u8], start: usize, cut: &Cut) -> Dissection {
    let mut dissection = Dissection::new("message");
    let content = rest.get(cut.content.clone()).unwrap_or_default();
    if cut.content.start > 0 {
        let prefix = rest.get(..cut.content.start).unwrap_or_default();
        let meaning = format!("{} bytes follow", content.len());
        dissection.field("length", start, prefix.len(), to_hex(prefix), meaning);
    }
    let mut reader = Reader { profile, rest: content, at: start + cut.content.start, dissection };
    if let Err(error) = reader.message() {
        let at = reader.at;
        let (offset, text, incomplete) = match error {
            DecodeError::Incomplete { at: within, .. } => (at + within, error.to_string(), false),
            DecodeError::Malformed { at: within, field, what } => {
                (at + within, format!("{} {what}", field.name()), false)
            }
            DecodeError::Trailing { count, .. } => (at, format!("{count} bytes too many"), false),
        };
        reader.dissection.broken = Some(Broken { offset, text, incomplete });
    }
    let mut dissection = reader.dissection;
    if cut.content.end < cut.end {
        let delimiter = rest.get(cut.content.end..cut.end).unwrap_or_default();
        dissection.field("delimiter", start + cut.content.end, delimiter.len(), to_hex(delimiter), "");
    }
    dissection
}

/// Reads a message field by field and notes each.
struct Reader<'p> {
    profile: &'p Profile,
    rest: &'p [u8],
    /// Where `rest` starts.
    at: usize,
    dissection: Dissection,
}

impl<'p> Reader<'p> {
    fn message(&mut self) -> Result<(), DecodeError> {
        let profile = self.profile;
        self.layout(&profile.header)?;
        let number = self.layout(&profile.section)?.unwrap_or_default();
        match profile.form(number) {
            Some(Form::Command(name)) => {
                self.dissection.title = name.name().to_owned();
                self.layout(profile.command(name).map(|form| &*form.body).unwrap_or_default())?;
            }
            Some(Form::Ack) => self.answer("acknowledgement", &profile.ack)?,
            Some(Form::Nack) => self.answer("refusal", &profile.nack)?,
            None => {
                self.dissection.title = format!("unknown command {number}");
                self.dissection.field("body", self.at, self.rest.len(), to_hex(self.rest), "not in the profile");
                self.rest = &[];
            }
        }
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { at: self.at, count }),
        }
    }

    fn answer(&mut self, title: &str, form: &'p AnswerForm) -> Result<(), DecodeError> {
        self.dissection.title = title.to_owned();
        let answered = self.layout(&form.body)?.and_then(|number| self.profile.form(number));
        if let Some(Form::Command(name)) = answered {
            self.dissection.title = format!("{title} of {}", name.name());
            if form.number == self.profile.ack.number {
                self.layout(self.profile.command(name).map(|form| &*form.answer).unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Reads a layout; returns the command number in it, its own or the answered one.
    fn layout(&mut self, layout: &'p [Field]) -> Result<Option<u64>, DecodeError> {
        let mut number = None;
        for field in layout {
            match (&field.kind, self.field(field, "")?) {
                (_, Value::Number(n)) if is_command_number(field.name) => number = Some(n),
                _ => {}
            }
        }
        Ok(number)
    }

    fn field(&mut self, field: &'p Field, prefix: &str) -> Result<Value<'p>, DecodeError> {
        let (rest, value) = decode_field(self.profile.charset, field, self.rest)?;
        let length = self.rest.len() - rest.len();
        let name = format!("{prefix}{}", field.name.name());
        match (&field.kind, &value) {
            (Kind::List { width, fields, .. }, Value::List(items)) => {
                let meaning = format!("{}, one after the other", field.name.meaning());
                self.dissection.field(&*name, self.at, *width, items.len().to_string(), meaning);
                self.skip(*width);
                for index in 0..items.len() {
                    for inner in fields {
                        self.field(inner, &format!("{name}[{index}]."))?;
                    }
                }
            }
            (kind, value) => {
                let (shown, meaning) = (self.shown(field.name, kind, value), self.meaning(field.name, value));
                self.dissection.field(name, self.at, length, shown, meaning);
                self.skip(length);
            }
        }
        Ok(value)
    }

    fn skip(&mut self, length: usize) {
        self.at += length;
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    fn shown(&self, name: FieldName, kind: &Kind, value: &Value<'_>) -> String {
        match (kind, value) {
            (Kind::Literal(bytes), _) => String::from_utf8_lossy(bytes).into_owned(),
            (Kind::Number { width }, Value::Number(number)) => format!("{number:0width$}"),
            (_, Value::Number(number)) => number.to_string(),
            (_, Value::Text(_)) if name.is_secret() => "***".to_owned(),
            (_, Value::Text(text)) => text.clone().into_owned(),
            (_, Value::Date(Some(date))) => date.to_string(),
            (_, Value::Date(None)) => "none".to_owned(),
            (_, Value::List(items)) => items.len().to_string(),
        }
    }

    fn meaning(&self, name: FieldName, value: &Value<'_>) -> String {
        let known = match (name, value) {
            (FieldName::CommandType, Value::Number(5)) => Some("other"),
            (FieldName::CommandType, Value::Number(8)) => Some("VOD"),
            (FieldName::Code, Value::Number(code)) => self.profile.code(*code).map(|code| code.text.as_str()),
            (FieldName::Reason, Value::Number(reason)) => self.profile.reason_of(*reason).map(|reason| reason.name()),
            (_, Value::Number(number)) if is_command_number(name) => match self.profile.form(*number) {
                Some(Form::Command(name)) => Some(name.name()),
                Some(Form::Ack) => Some("acknowledgement"),
                Some(Form::Nack) => Some("refusal"),
                None => Some("not in the profile"),
            },
            _ => None,
        };
        known.unwrap_or_else(|| name.meaning()).to_owned()
    }
}

const fn is_command_number(name: FieldName) -> bool {
    matches!(name, FieldName::CommandNumber | FieldName::AnsweredCommand)
}

fn broken(title: &str, offset: usize, text: String, incomplete: bool) -> Dissection {
    Dissection { broken: Some(Broken { offset, text, incomplete }), ..Dissection::new(title) }
}
