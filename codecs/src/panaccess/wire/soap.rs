//! The SOAP binding \[S1\]: SOAP 1.1, rpc/encoded, with the references that Axis writes for values.

use std::collections::BTreeMap;

use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall, HttpRequest};

use super::value::{List, Record, Value};
use super::{Call, Reply, ServiceError, plain, prefixed};
use crate::http::answer;
use crate::http::soap::{self, ENCODING, SoapError};
use crate::xml::Element;
use crate::xml::write::{Unwritable, XmlWriter};

/// The namespace of schema types.
const XSD: &str = "http://www.w3.org/2001/XMLSchema";

/// The namespace of `xsi:type` and `xsi:nil`.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Most bytes of an envelope.
const LIMIT: usize = 256 << 20;

/// Most levels of values, references followed.
const MOST_LEVELS: usize = 32;

/// Most values of one envelope, references followed each time: what refers to what refers must not grow without end.
const MOST_VALUES: usize = 1_000_000;

/// The one operation that is not encoded but literal.
const LOGIN: &str = "login";

/// What varies between platforms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The contract's version, as in `4.0`.
    pub version: String,
    /// Whether the account works with the unstable set throughout.
    pub unstable: bool,
}

impl Dialect {
    /// The namespace of operations and types.
    fn namespace(&self) -> String {
        format!("https://cv.panaccess.com/wsdl/v{}/operator", self.version)
    }
}

/// Writes a call.
///
/// # Errors
/// [`Unwritable`] if a text can not stand in XML.
pub fn write_call(dialect: &Dialect, call: &Call) -> Result<HttpCall, Unwritable> {
    let name = prefixed(&call.function);
    let namespace = dialect.namespace();
    let unstable = if call.unstable || dialect.unstable { "&dev=true" } else { "" };
    let target = format!("/index.php?requestMode=wsdl&v={}&r=operator{unstable}", dialect.version);
    let body = if call.function == LOGIN {
        soap::write(&[("cv", &namespace)], |writer| {
            writer.element(&format!("cv:{name}"), &[], |writer| {
                for (name, value) in &call.parameters {
                    if let Value::Text(text) = value {
                        writer.text_element(name, text);
                    }
                }
            });
        })?
    } else {
        write_encoded(&namespace, &name, |writer| {
            for (name, value) in &call.parameters {
                write_value(writer, name, value);
            }
        })?
    };
    Ok(HttpCall::post(target, soap::CONTENT_TYPE, body).header("soapaction", format!("\"{namespace}#{name}\"")))
}

fn write_encoded(namespace: &str, name: &str, parts: impl FnOnce(&mut XmlWriter)) -> Result<bytes::Bytes, Unwritable> {
    soap::write(&[("xsd", XSD), ("xsi", XSI), ("soapenc", ENCODING), ("cv", namespace)], |writer| {
        writer.element(&format!("cv:{name}"), &[("soap:encodingStyle", ENCODING)], parts);
    })
}

/// Writes a value in place; references are not needed for values that stand in one place.
fn write_value(writer: &mut XmlWriter, name: &str, value: &Value) {
    let mut typed = |kind: &str, text: &str| writer.element(name, &[("xsi:type", kind)], |writer| writer.text(text));
    match value {
        Value::Absent => writer.empty(name, &[("xsi:nil", "true")]),
        Value::Bool(value) => typed("xsd:boolean", if *value { "true" } else { "false" }),
        Value::Number(number) if i32::try_from(*number).is_ok() => typed("xsd:int", &number.to_string()),
        Value::Number(number) => typed("xsd:long", &number.to_string()),
        Value::Text(text) => typed("xsd:string", text),
        Value::Time(time) => typed("xsd:dateTime", &time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        Value::List(List { kind, items }) => {
            // The list type's own name stands where an item's type would be expected \[S1\].
            let kind = if kind.is_empty() { "xsd:anyType".to_owned() } else { format!("cv:{kind}") };
            let array = format!("{kind}[{}]", items.len());
            let attributes = [("xsi:type", "soapenc:Array"), ("soapenc:arrayType", array.as_str())];
            writer.element(name, &attributes, |writer| {
                for item in items {
                    write_value(writer, name, item);
                }
            });
        }
        Value::Record(Record { kind, members }) => {
            let kind = format!("cv:{kind}");
            let attributes = [("xsi:type", kind.as_str())];
            let attributes = if kind == "cv:" { &[][..] } else { &attributes[..] };
            writer.element(name, attributes, |writer| {
                for (name, value) in members {
                    write_value(writer, name, value);
                }
            });
        }
    }
}

/// Reads an answer. A fault is a refusal, whatever its status.
///
/// # Errors
/// [`Failure`] if it is not an answer to a call of that function.
pub fn read_reply(dialect: &Dialect, function: &str, answer: &HttpAnswer) -> Result<Reply, Failure> {
    if matches!(answer.status, 401 | 403) {
        return Err(answer::not_admitted(answer));
    }
    let body = match soap::read(&answer.body, LIMIT) {
        Ok(body) if answer.is_success() => body,
        Err(SoapError::Fault(fault)) => return Ok(Err(refusal(&fault))),
        _ if answer.status >= 500 => return Err(answer::server_error(answer)),
        Ok(_) => return Err(answer::unreadable(answer, "it is no answer by its status")),
        Err(error) => return Err(answer::unreadable(answer, error)),
    };
    let unreadable = |why: String| answer::unreadable(answer, why);
    let name = format!("{}Response", prefixed(function));
    let Some((response, others)) = body.split_first() else { return Err(unreadable("its Body is empty".into())) };
    if !response.is(Some(&dialect.namespace()), &name) {
        return Err(unreadable(format!("it is not <{name}> in the namespace of version {}", dialect.version)));
    }
    let returned = response.at_most_one("return").map_err(unreadable)?;
    let mut references = References::of(others).map_err(unreadable)?;
    returned.map_or(Ok(Value::Absent), |element| references.value(element)).map(Ok).map_err(unreadable)
}

/// The error's name travels in `faultcode` or `faultstring`; where exactly is not confirmed \[I\].
fn refusal(fault: &soap::Fault) -> ServiceError {
    let code = fault.code.rsplit(['.', '#']).next().unwrap_or_default();
    let word = fault.string.split(|c: char| c.is_whitespace() || c == ':').next().unwrap_or_default();
    let is_name = |text: &str| text.contains('_') && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match [code, word].into_iter().find(|text| is_name(text)) {
        Some(name) => ServiceError::new(name, &fault.string),
        None => ServiceError::new(code, &fault.string),
    }
}

/// Reads a call, as the platform does.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read_call(dialect: &Dialect, request: &HttpRequest) -> Result<Call, String> {
    let body = soap::read(&request.body, LIMIT).map_err(|error| error.to_string())?;
    let (wrapper, others) = body.split_first().ok_or("the Body is empty")?;
    if wrapper.namespace.as_deref() != Some(dialect.namespace().as_str()) {
        return Err(format!("the operation is not in the namespace {}", dialect.namespace()));
    }
    let query = crate::http::form::parse(request.query().as_bytes());
    let unstable = query.iter().any(|(name, value)| name == "dev" && value == "true");
    let parameters = References::of(others)?.members(wrapper)?;
    Ok(Call { function: plain(&wrapper.name).into(), parameters, unstable, harmless: false })
}

/// Reads an operation that somebody wrote by hand: its name and its parameters.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read_operation(xml: &[u8]) -> Result<(String, Vec<super::value::Member>), String> {
    let root = crate::xml::parse(xml, LIMIT).map_err(|error| error.to_string())?;
    let parameters = References::of(&[])?.members(&root)?;
    Ok((plain(&root.name), parameters))
}

/// Writes a reply, as the platform does.
#[must_use]
pub fn write_reply(dialect: &Dialect, function: &str, reply: &Reply) -> HttpAnswer {
    let name = format!("{}Response", prefixed(function));
    let (status, body) = match reply {
        Ok(Value::Absent) => (200, write_encoded(&dialect.namespace(), &name, |_| {})),
        Ok(value) => (200, write_encoded(&dialect.namespace(), &name, |writer| write_value(writer, "return", value))),
        Err(error) => (500, soap::write_fault(&format!("soap:Server.{}", error.code), &error.text)),
    };
    match body {
        Ok(body) => HttpAnswer::new(status, soap::CONTENT_TYPE, body),
        Err(_) => HttpAnswer::new(500, "text/plain", "unwritable"),
    }
}

/// The elements beside the operation's own, which it refers to by `href`.
struct References<'a> {
    by_id: BTreeMap<&'a str, &'a Element>,
    /// Those that are being followed.
    open: Vec<&'a str>,
    values: usize,
}

impl<'a> References<'a> {
    fn of(elements: &'a [Element]) -> Result<Self, String> {
        let mut by_id = BTreeMap::new();
        for element in elements {
            if let Some(id) = element.attribute("id")
                && by_id.insert(id, element).is_some()
            {
                return Err("two elements have the same id".into());
            }
        }
        Ok(Self { by_id, open: Vec::new(), values: 0 })
    }

    fn value(&mut self, element: &'a Element) -> Result<Value, String> {
        self.nested(element, 0)
    }

    /// What stands in an element, by name.
    fn members(&mut self, element: &'a Element) -> Result<Vec<super::value::Member>, String> {
        self.members_at(element, 0)
    }

    fn nested(&mut self, element: &'a Element, level: usize) -> Result<Value, String> {
        self.values += 1;
        if level > MOST_LEVELS {
            return Err(format!("its values have more than {MOST_LEVELS} levels"));
        }
        if self.values > MOST_VALUES {
            return Err(format!("it has more than {MOST_VALUES} values, references followed"));
        }
        let Some(href) = element.attribute("href") else { return self.inline(element, level) };
        let id = href.strip_prefix('#').ok_or("a reference leads out of the document")?;
        let target = *self.by_id.get(id).ok_or("a reference leads nowhere")?;
        if self.open.contains(&id) {
            return Err("a reference leads to itself".into());
        }
        self.open.push(id);
        let value = self.nested(target, level + 1);
        self.open.pop();
        value
    }

    fn inline(&mut self, element: &'a Element, level: usize) -> Result<Value, String> {
        if typed(element, XSI, "nil").is_some_and(|nil| matches!(nil, "true" | "1")) {
            return Ok(Value::Absent);
        }
        let array = typed(element, ENCODING, "arrayType").map(|kind| local(kind).split('[').next().unwrap_or_default());
        let kind = typed(element, XSI, "type").map(local);
        let items = !element.children.is_empty() && element.children.iter().all(|child| child.name == "item");
        if array.is_some() || kind == Some("Array") || items {
            let kind = array.unwrap_or_default().to_owned().into();
            let items = element.children.iter().map(|child| self.nested(child, level + 1)).collect::<Result<_, _>>()?;
            return Ok(Value::List(List { kind, items }));
        }
        if !element.children.is_empty() {
            let kind = kind.unwrap_or_default().to_owned().into();
            return Ok(Value::Record(Record { kind, members: self.members_at(element, level)? }));
        }
        let text = element.text.as_str();
        match kind {
            Some("int" | "integer" | "long" | "short" | "byte") => {
                let number = text.trim().parse().map_err(|_| format!("<{}> is no whole number", element.name))?;
                Ok(Value::Number(number))
            }
            Some("boolean") => match text.trim() {
                "true" | "1" => Ok(Value::Bool(true)),
                "false" | "0" => Ok(Value::Bool(false)),
                _ => Err(format!("<{}> is neither true nor false", element.name)),
            },
            _ => Ok(Value::Text(text.to_owned())),
        }
    }

    fn members_at(&mut self, element: &'a Element, level: usize) -> Result<Vec<super::value::Member>, String> {
        let mut names = std::collections::BTreeSet::new();
        let mut members = Vec::with_capacity(element.children.len());
        for child in &element.children {
            if !names.insert(child.name.as_str()) {
                return Err(format!("<{}> has several <{}>", element.name, child.name));
            }
            members.push((child.name.to_string().into(), self.nested(child, level + 1)?));
        }
        Ok(members)
    }
}

/// The value of an attribute in a namespace.
fn typed<'e>(element: &'e Element, namespace: &str, name: &str) -> Option<&'e str> {
    let found = element.attributes.iter().find(|a| a.name == name && a.namespace.as_deref() == Some(namespace));
    found.map(|attribute| attribute.value.as_str())
}

/// A qualified name without its prefix: the types' names are told apart by where they stand.
fn local(name: &str) -> &str {
    name.trim().rsplit(':').next().unwrap_or_default()
}
