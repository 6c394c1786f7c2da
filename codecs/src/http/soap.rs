//! SOAP 1.1 envelopes, written and read.
//!
//! Prefixes are never relied on: names are compared as namespace and local name.

use bytes::Bytes;

use crate::xml::write::{Unwritable, XmlWriter};
use crate::xml::{Element, XmlError, parse};

/// The namespace of SOAP 1.1's envelope.
pub const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// The encoding style of SOAP 1.1, section 5.
pub const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";

/// The content type of SOAP 1.1.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

/// Writes an envelope whose body is what `body` writes. The prefix `soap` is taken; `namespaces` are prefixes and
/// URIs that the body uses.
///
/// # Errors
/// [`Unwritable`] if a text can not stand in XML.
pub fn write(namespaces: &[(&str, &str)], body: impl FnOnce(&mut XmlWriter)) -> Result<Bytes, Unwritable> {
    let names: Vec<String> = namespaces.iter().map(|(prefix, _)| format!("xmlns:{prefix}")).collect();
    let mut attributes = vec![("xmlns:soap", ENVELOPE)];
    attributes.extend(names.iter().map(String::as_str).zip(namespaces.iter().map(|(_, uri)| *uri)));
    let mut writer = XmlWriter::document();
    writer.element("soap:Envelope", &attributes, |writer| writer.element("soap:Body", &[], body));
    writer.finish()
}

/// Puts an envelope around an element that somebody else wrote, of at most `limit` bytes.
///
/// # Errors
/// [`XmlError`] if it is not one element by itself, with every prefix that it uses.
pub fn wrap(element: &[u8], limit: usize) -> Result<Bytes, XmlError> {
    let root = parse(element, limit)?;
    let wrong = |text: &str| XmlError { offset: 0, text: text.to_owned(), incomplete: false };
    if root.offset != 0 {
        return Err(wrong("the element must come first, without an XML declaration"));
    }
    let text = str::from_utf8(element).map_err(|_| wrong("the document is not UTF-8"))?;
    write(&[], |writer| writer.written(text)).map_err(|Unwritable(_)| wrong("XML can not carry it"))
}

/// Writes a fault, as a platform does.
///
/// # Errors
/// [`Unwritable`] if a text can not stand in XML.
pub fn write_fault(code: &str, string: &str) -> Result<Bytes, Unwritable> {
    write(&[], |writer| {
        writer.element("soap:Fault", &[], |writer| {
            writer.text_element("faultcode", code);
            writer.text_element("faultstring", string);
        });
    })
}

/// Why an envelope gives no body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoapError {
    /// It is no document that we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is a document, but no envelope.
    #[error("not a SOAP 1.1 envelope: {0}")]
    NotSoap(String),
    /// It is an envelope with nothing in it, which some platforms mean as "done".
    #[error("not a SOAP 1.1 envelope with an answer: the Body is empty")]
    EmptyBody,
    /// It holds a fault.
    #[error("{0}")]
    Fault(Box<Fault>),
}

/// What a platform says instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{string} ({code})")]
pub struct Fault {
    /// `faultcode`, without its prefix.
    pub code: String,
    /// `faultstring`.
    pub string: String,
    /// What stands in `detail`, if there is one.
    pub detail: Option<Element>,
}

/// Reads an envelope of at most `limit` bytes; gives the elements of its body, at least one.
///
/// # Errors
/// [`SoapError`]: what it is instead.
pub fn read(bytes: &[u8], limit: usize) -> Result<Vec<Element>, SoapError> {
    let root = parse(bytes, limit)?;
    if !root.is(Some(ENVELOPE), "Envelope") {
        return Err(SoapError::NotSoap("the root element is another one".into()));
    }
    let mut bodies = root.children.into_iter().filter(|child| child.is(Some(ENVELOPE), "Body"));
    let body = bodies.next().ok_or_else(|| SoapError::NotSoap("there is no Body".into()))?;
    if bodies.next().is_some() {
        return Err(SoapError::NotSoap("there are several Bodies".into()));
    }
    let first = body.children.first().ok_or(SoapError::EmptyBody)?;
    if first.is(Some(ENVELOPE), "Fault") {
        return Err(SoapError::Fault(Box::new(Fault::of(first))));
    }
    Ok(body.children)
}

impl Fault {
    fn of(element: &Element) -> Self {
        let text = |name: &str| element.child(name).map(|child| child.text.trim().to_owned()).unwrap_or_default();
        let code = text("faultcode");
        Self {
            code: code.rsplit(':').next().unwrap_or_default().to_owned(),
            string: text("faultstring"),
            detail: element.child("detail").cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_read_whatever_their_prefixes() {
        let written = write(&[("o", "urn:o")], |writer| writer.text_element("o:done", "1")).unwrap();
        let read = read(&written, 10_000).unwrap();
        assert!(read[0].is(Some("urn:o"), "done"));
        let other = format!(
            "<x:Envelope xmlns:x='{ENVELOPE}'><x:Header/><x:Body><done xmlns='urn:o'>1</done></x:Body></x:Envelope>"
        );
        assert_eq!(super::read(other.as_bytes(), 10_000).unwrap()[0].text, "1");
    }

    #[test]
    fn an_element_of_somebody_else_is_wrapped_as_it_is() {
        let element = b"<a:x xmlns:a='urn:a' b=\"1\"><!-- c --><y>&lt;</y></a:x>";
        let wrapped = wrap(element, 1_000).unwrap();
        assert!(wrapped.windows(element.len()).any(|window| window == element));
        assert!(read(&wrapped, 10_000).unwrap()[0].is(Some("urn:a"), "x"));
        for bad in ["", "<a/><b/>", "<a:x/>", "<?xml version='1.0'?><a/>", " <a/>", "</soap:Body>", "<!DOCTYPE a><a/>"]
        {
            assert!(wrap(bad.as_bytes(), 1_000).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let fault = write_fault("soap:Server", "Couldn't parse stream.").unwrap();
        assert_eq!(read(&fault, 10_000).unwrap_err().to_string(), "Couldn't parse stream. (Server)");
        let body = |inner: &str| format!("<s:Envelope xmlns:s='{ENVELOPE}'>{inner}</s:Envelope>");
        for (document, words) in [
            ("<html><body>502</body></html>".to_owned(), "another one"),
            ("<Envelope><Body><a/></Body></Envelope>".to_owned(), "another one"),
            (body(""), "no Body"),
            (body("<s:Body/>"), "empty"),
            (body("<s:Body><a/></s:Body><s:Body><b/></s:Body>"), "several"),
            ("<html><br></html>".to_owned(), "not well formed"),
        ] {
            let error = read(document.as_bytes(), 10_000).unwrap_err().to_string();
            assert!(error.contains(words), "{document}: {error}");
        }
    }
}
