//! HTTP messages explained field by field, whatever the form of their bodies.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dissect::{Broken, Dissection};
use crate::xml::{self, Element};

/// Most bytes of a message that is explained.
const LIMIT: usize = 64 << 20;

/// Most levels of JSON that are explained.
const DEPTH: usize = 64;

/// What a protocol knows of its messages.
pub trait Describe {
    /// What the message is, from its start line (empty: a body alone) and the names at the top of its body.
    fn title(&self, start_line: &str, names: &[String]) -> Option<String>;

    /// What a value at that path means; empty: nothing more to say. Paths are names joined by `/`, numbers of lists
    /// left out.
    fn meaning(&self, path: &str, value: &str) -> String;
}

/// Explains one message: a whole HTTP message, or a body alone (JSON, XML or a form).
#[must_use]
pub fn dissect(bytes: &[u8], describe: &dyn Describe) -> Dissection {
    let mut dissection = Dissection::default();
    let (start_line, offset) = head(bytes, describe, &mut dissection);
    let body = bytes.get(offset..).unwrap_or_default();
    let fields = dissection.fields.len();
    let mut names = Vec::new();
    let form = body_fields(body, offset, describe, &mut dissection, &mut names);
    let title = describe.title(&start_line, &names);
    dissection.title = title.unwrap_or_else(|| match (start_line.is_empty(), dissection.fields.len() > fields) {
        (false, _) => start_line,
        (true, true) => form.to_owned(),
        (true, false) => "empty".to_owned(),
    });
    dissection
}

/// The start line and the header fields, if there are any; returns the start line and where the body begins.
fn head(bytes: &[u8], describe: &dyn Describe, dissection: &mut Dissection) -> (String, usize) {
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let start_line = String::from_utf8_lossy(first).trim_end().to_owned();
    let is_head = start_line.starts_with("HTTP/")
        || start_line.rsplit(' ').next().is_some_and(|version| version.starts_with("HTTP/"));
    if !is_head {
        return (String::new(), 0);
    }
    dissection.field("start line", 0, start_line.len(), &start_line, "");
    if let Some((_, query)) = start_line.split(' ').nth(1).and_then(|target| target.split_once('?')) {
        let at = start_line.find('?').map_or(0, |at| at + 1);
        form_fields(query.as_bytes(), at, describe, dissection);
    }
    let mut offset = first.len() + 1;
    loop {
        let rest = bytes.get(offset..).unwrap_or_default();
        let Some(end) = rest.iter().position(|b| *b == b'\n') else {
            let text = "the head has no end".to_owned();
            dissection.broken = Some(Broken { offset: bytes.len(), text, incomplete: true });
            return (start_line, bytes.len());
        };
        let line = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).trim_end().to_owned();
        let here = offset;
        offset += end + 1;
        if line.is_empty() {
            return (start_line, offset);
        }
        let (name, value) = line.split_once(':').unwrap_or((line.as_str(), ""));
        let meaning = describe.meaning(name, value.trim());
        dissection.field(name, here, line.len(), value.trim(), meaning);
    }
}

/// Returns what form the body has.
fn body_fields(
    body: &[u8],
    offset: usize,
    describe: &dyn Describe,
    dissection: &mut Dissection,
    names: &mut Vec<String>,
) -> &'static str {
    match body.iter().find(|b| !b.is_ascii_whitespace()) {
        None => "empty",
        Some(b'<') => {
            match xml::parse(body, LIMIT) {
                Ok(root) => {
                    // An envelope says nothing: what is in its body does.
                    match root.child("Body") {
                        Some(inner) => names.extend(inner.children.iter().map(|child| child.name.to_string())),
                        None => names.push(root.name.to_string()),
                    }
                    xml_fields(&root, "", offset, describe, dissection);
                }
                Err(error) => {
                    let at = offset + error.offset;
                    dissection.broken = Some(Broken { offset: at, text: error.text, incomplete: error.incomplete });
                }
            }
            "XML document"
        }
        Some(b'{' | b'[' | b'"') => {
            match serde_json::from_slice::<&RawValue>(body) {
                Ok(value) => {
                    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()) {
                        names.extend(members.into_keys());
                    }
                    let json = Json { body, offset, describe };
                    json.fields(value, "", 0, dissection);
                }
                Err(error) => {
                    let line_start = nth_line(body, error.line());
                    let at = offset + line_start + error.column().saturating_sub(1);
                    let text = format!("not JSON: line {}, column {}", error.line(), error.column());
                    dissection.broken = Some(Broken { offset: at, text, incomplete: error.is_eof() });
                }
            }
            "JSON document"
        }
        Some(_) => {
            // A form is plain ASCII: everything else in it is escaped.
            if let Some(at) = body.iter().position(|b| !(b.is_ascii_graphic() || b.is_ascii_whitespace())) {
                let text = "neither JSON, XML nor a form".to_owned();
                dissection.broken = Some(Broken { offset: offset + at, text, incomplete: false });
            }
            names.extend(form_fields(body, offset, describe, dissection));
            "form"
        }
    }
}

fn xml_fields(element: &Element, path: &str, offset: usize, describe: &dyn Describe, dissection: &mut Dissection) {
    let path = join(path, &element.name);
    let text = element.text.trim();
    if element.children.is_empty() || !text.is_empty() {
        let meaning = describe.meaning(&path, text);
        dissection.field(&path, offset + element.offset, element.tag_length, text, meaning);
    }
    for attribute in &element.attributes {
        let path = format!("{path}@{}", attribute.name);
        let meaning = describe.meaning(&path, &attribute.value);
        dissection.field(path, offset + element.offset, element.tag_length, &attribute.value, meaning);
    }
    for child in &element.children {
        xml_fields(child, &path, offset, describe, dissection);
    }
}

/// A JSON body, walked so that every value keeps its place in the bytes.
struct Json<'a> {
    body: &'a [u8],
    offset: usize,
    describe: &'a dyn Describe,
}

impl Json<'_> {
    fn fields(&self, value: &RawValue, path: &str, depth: usize, dissection: &mut Dissection) {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Parts<'a> {
            #[serde(borrow)]
            List(Vec<&'a RawValue>),
            #[serde(borrow)]
            Members(BTreeMap<String, &'a RawValue>),
        }
        let text = value.get();
        let parts = match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).map(Parts::Members).ok(),
            Some(b'[') => serde_json::from_str(text).map(Parts::List).ok(),
            _ => None,
        };
        match parts {
            Some(Parts::Members(members)) if depth < DEPTH => {
                for (name, value) in members {
                    self.fields(value, &join(path, &name), depth + 1, dissection);
                }
            }
            Some(Parts::List(list)) if depth < DEPTH && !list.is_empty() => {
                for value in list {
                    self.fields(value, path, depth + 1, dissection);
                }
            }
            _ => {
                let shown = serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned());
                let meaning = self.describe.meaning(path, &shown);
                let at = (text.as_ptr() as usize).saturating_sub(self.body.as_ptr() as usize);
                dissection.field(path, self.offset + at, text.len(), shown, meaning);
            }
        }
    }
}

/// Returns the fields' names.
fn form_fields(bytes: &[u8], offset: usize, describe: &dyn Describe, dissection: &mut Dissection) -> Vec<String> {
    let mut at = offset;
    let mut names = Vec::new();
    for piece in bytes.split(|b| *b == b'&') {
        if let Some((name, value)) = super::form::parse(piece).into_iter().next() {
            let meaning = describe.meaning(&name, &value);
            dissection.field(&name, at, piece.len(), value, meaning);
            names.push(name);
        }
        at += piece.len() + 1;
    }
    names
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// Where a line begins, counted from one.
fn nth_line(bytes: &[u8], line: usize) -> usize {
    if line <= 1 {
        return 0;
    }
    bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(line - 2).map_or(0, |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    impl Describe for Plain {
        fn title(&self, _: &str, names: &[String]) -> Option<String> {
            names.first().map(|name| format!("message {name}"))
        }

        fn meaning(&self, path: &str, _: &str) -> String {
            if path.ends_with("card") { "a card".into() } else { String::new() }
        }
    }

    fn fields(message: &str) -> Vec<(String, String)> {
        let dissection = dissect(message.as_bytes(), &Plain);
        for field in &dissection.fields {
            let slice = &message[field.offset..field.offset + field.length];
            assert!(!slice.is_empty(), "{field:?}");
        }
        dissection.fields.into_iter().map(|field| (field.name, field.value)).collect()
    }

    #[test]
    fn every_form_of_body_is_explained_with_places() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(fields(r#"{"a":{"card":"1"},"b":[2,3]}"#), [pair("a/card", "1"), pair("b", "2"), pair("b", "3")]);
        assert_eq!(fields("<a><card x='y'>1</card></a>"), [pair("a/card", "1"), pair("a/card@x", "y")]);
        assert_eq!(fields("f=login&card=a%20b"), [pair("f", "login"), pair("card", "a b")]);
        let message = "POST /x?f=login HTTP/1.1\r\nhost: h\r\n\r\n{\"card\":1}";
        assert_eq!(
            fields(message),
            [pair("start line", "POST /x?f=login HTTP/1.1"), pair("f", "login"), pair("host", "h"), pair("card", "1")]
        );
        let dissection = dissect(message.as_bytes(), &Plain);
        assert_eq!((dissection.title.as_str(), dissection.fields[3].meaning.as_str()), ("message card", "a card"));
    }

    #[test]
    fn broken_bodies_say_where() {
        let broken = |text: &str| dissect(text.as_bytes(), &Plain).broken.map(|b| (b.offset, b.incomplete));
        assert_eq!(broken("{\"a\":\n 1 2}"), Some((9, false)));
        assert!(broken("<a><b></a>").is_some_and(|(_, incomplete)| !incomplete));
        assert!(broken("{\"a\":").is_some_and(|(_, incomplete)| incomplete));
        assert_eq!(broken("GET / HTTP/1.1\r\nhost: h"), Some((23, true)));
        assert_eq!(broken("a=\u{1}"), Some((2, false)));
    }
}
