//! The JSON "function" binding \[S2,S3,S9\]: form fields with PHP's nesting in, JSON out.

use std::borrow::Cow;

use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall, HttpRequest};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::json;

use super::value::{List, Record, Value};
use super::{Call, Reply, ServiceError, plain, prefixed};
use crate::http::answer;
use crate::http::form::{self, Form, escape};

/// Most fields of a form that is read.
const MOST_FIELDS: usize = 4_000;

/// Most levels of a form that is read.
const MOST_LEVELS: usize = 8;

/// What varies between platforms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The zone in which times are written and read: the account's.
    pub zone: TimeZone,
    /// How lists are written.
    pub lists: Lists,
}

/// How the fields of a list are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lists {
    /// `smartcards[0]=A&smartcards[1]=B`, as a client in production does \[S3\].
    #[default]
    Numbered,
    /// `smartcards[]=A&smartcards[]=B`, as the public Go client does \[S2\].
    Plain,
}

/// Writes a call.
#[must_use]
pub fn write_call(dialect: &Dialect, call: &Call, with_prefix: bool) -> HttpCall {
    let name = if with_prefix { Cow::Owned(prefixed(&call.function)) } else { Cow::Borrowed(&*call.function) };
    let mut form = Form::new();
    for (name, value) in &call.parameters {
        write_fields(dialect, &mut form, name, value);
    }
    HttpCall::post(format!("/?f={}&requestMode=function", escape(&name)), form::CONTENT_TYPE, form.finish())
}

fn write_fields(dialect: &Dialect, form: &mut Form, name: &str, value: &Value) {
    match value {
        Value::Absent => {}
        Value::Bool(value) => form.push(name, if *value { "true" } else { "false" }),
        Value::Number(number) => form.push(name, &number.to_string()),
        Value::Text(text) => form.push(name, text),
        Value::Time(time) => form.push(name, &write_time(*time, &dialect.zone)),
        // A form has no other way to say that a list is there and empty \[I\].
        Value::List(list) if list.items.is_empty() => form.push(name, ""),
        Value::List(list) => {
            for (index, item) in list.items.iter().enumerate() {
                let plain = dialect.lists == Lists::Plain && !matches!(item, Value::Record(_) | Value::List(_));
                let name = if plain { format!("{name}[]") } else { format!("{name}[{index}]") };
                write_fields(dialect, form, &name, item);
            }
        }
        Value::Record(record) => {
            for (member, value) in &record.members {
                write_fields(dialect, form, &format!("{name}[{member}]"), value);
            }
        }
    }
}

/// `YYYY-MM-DD HH:MM:SS`, without a zone.
fn write_time(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// An answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    success: bool,
    #[serde(default)]
    answer: Value,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    error_tag: Option<String>,
    #[serde(default)]
    error_message: Option<String>,
}

/// Reads an answer. Any status other than 200 is trouble of the transport.
///
/// # Errors
/// [`Failure`] if it is not an answer of this binding.
pub fn read_reply(answer: &HttpAnswer) -> Result<Reply, Failure> {
    match answer.status {
        200 => {}
        401 | 403 => return Err(answer::not_admitted(answer)),
        500.. => return Err(answer::server_error(answer)),
        _ => return Err(answer::unreadable(answer, "only status 200 carries an answer")),
    }
    let envelope: Envelope = answer::json(answer)?;
    if envelope.success {
        return Ok(Ok(envelope.answer));
    }
    let code = envelope.error_code.unwrap_or_default();
    let text = [envelope.error_message, envelope.error_tag].into_iter().flatten().find(|text| !text.trim().is_empty());
    Ok(Err(ServiceError::new(&code, &text.unwrap_or_default())))
}

/// Reads a call, as the platform does.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read_call(request: &HttpRequest) -> Result<Call, String> {
    let query = form::parse(request.query().as_bytes());
    let named = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if named("requestMode") != Some("function") {
        return Err("requestMode is not \"function\"".into());
    }
    let function = named("f").filter(|name| !name.is_empty()).ok_or("no function is named: f")?;
    let fields = form::parse(&request.body);
    if fields.len() > MOST_FIELDS {
        return Err(format!("more than {MOST_FIELDS} fields"));
    }
    let mut record = Record::default();
    for (name, value) in fields {
        let mut path = path_of(&name).ok_or("the name of a field is not well formed")?.into_iter();
        let first = path.next().ok_or("a field has no name")?;
        place(&mut record, first, path.as_slice(), value)?;
    }
    Ok(Call { function: plain(function).into(), parameters: record.members, ..Call::default() })
}

/// The parts of `a[b][]`: `a`, `b` and an empty one.
fn path_of(name: &str) -> Option<Vec<&str>> {
    let (first, mut rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut path = vec![first];
    while !rest.is_empty() {
        let (part, after) = rest.strip_prefix('[')?.split_once(']')?;
        path.push(part);
        rest = after;
    }
    (path.len() <= MOST_LEVELS && !first.is_empty()).then_some(path)
}

/// Puts a text where its path leads, as PHP does: a list is a record with numbers for names.
fn place(record: &mut Record, name: &str, path: &[&str], text: String) -> Result<(), String> {
    let name = if name.is_empty() { record.members.len().to_string() } else { name.to_owned() };
    let at = record.members.iter().position(|(known, _)| *known == name);
    match (path.split_first(), at.and_then(|at| record.members.get_mut(at))) {
        (None, None) => record.members.push((name.into(), Value::Text(text))),
        (None, Some(_)) => return Err("a field comes twice".into()),
        (Some((next, path)), Some((_, Value::Record(inner)))) => place(inner, next, path, text)?,
        (Some(_), Some(_)) => return Err("a field is a text and a record".into()),
        (Some((next, path)), None) => {
            let mut inner = Record::default();
            place(&mut inner, next, path, text)?;
            record.members.push((name.into(), Value::Record(inner)));
        }
    }
    Ok(())
}

/// Writes a reply, as the platform does.
#[must_use]
pub fn write_reply(dialect: &Dialect, reply: &Reply) -> HttpAnswer {
    let body = match reply {
        Ok(value) => json!({ "success": true, "answer": to_json(dialect, value) }),
        Err(error) => json!({
            "success": false,
            "errorCode": error.code,
            "errorTag": format!("txt_{}", error.code),
            "errorMessage": error.text,
            "showErrorMessage": true,
            "showErrorTag": false,
        }),
    };
    HttpAnswer::new(200, "application/json", body.to_string())
}

fn to_json(dialect: &Dialect, value: &Value) -> serde_json::Value {
    match value {
        Value::Absent => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Time(time) => json!(write_time(*time, &dialect.zone)),
        Value::List(List { items, .. }) => items.iter().map(|item| to_json(dialect, item)).collect(),
        Value::Record(Record { members, .. }) => {
            let members = members.iter().map(|(name, value)| (name.to_string(), to_json(dialect, value)));
            serde_json::Value::Object(members.collect())
        }
    }
}
