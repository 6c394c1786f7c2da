//! XML documents from platforms, read without trusting them; those for platforms are written by [`mod@write`].
//!
//! A document is read whole into [`Element`]s. Refused before or while reading: documents longer than
//! the caller's limit, `DOCTYPE`, processing instructions, entities other than XML's own five, more
//! than [`MAX_DEPTH`] levels and more than [`MAX_ATTRIBUTES`] attributes on one element. Names are
//! compared as namespace and local name, never by prefix.

mod name;
pub mod write;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use quick_xml::{Error, NsReader};

pub use self::name::Name;
use self::name::Names;

/// Most levels of elements.
pub const MAX_DEPTH: usize = 64;

/// Most attributes of one element, namespace declarations included.
pub const MAX_ATTRIBUTES: usize = 64;

/// An element with everything in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its namespace; absent: none. Elements of one document share their names and namespaces.
    pub namespace: Option<Name>,
    /// Its local name.
    pub name: Name,
    /// Its attributes in document order, without namespace declarations.
    pub attributes: Vec<Attribute>,
    /// The elements in it, in document order.
    pub children: Vec<Self>,
    /// The text directly in it, entities resolved, pieces between children joined.
    pub text: String,
    /// Where its `<` is, in bytes from zero.
    pub offset: usize,
    /// How many bytes its start tag has.
    pub tag_length: usize,
}

/// An attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribute {
    /// Its namespace; absent: none, as of every attribute without a prefix.
    pub namespace: Option<Name>,
    /// Its local name.
    pub name: Name,
    /// Its value, entities resolved.
    pub value: String,
}

/// Why a document was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} (at byte {offset})")]
pub struct XmlError {
    /// Where, in bytes from zero.
    pub offset: usize,
    /// What is wrong. Holds no content of the document.
    pub text: String,
    /// Whether more bytes could make it whole.
    pub incomplete: bool,
}

impl Element {
    /// The value of the attribute of that name that has no namespace.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.namespace.is_none() && a.name == name).map(|a| a.value.as_str())
    }

    /// Whether it has that namespace and local name.
    #[must_use]
    pub fn is(&self, namespace: Option<&str>, name: &str) -> bool {
        self.name == name && self.namespace.as_deref() == namespace
    }

    /// The elements in it of that local name, in whatever namespace.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The one element in it of that local name, in whatever namespace.
    ///
    /// # Errors
    /// That there is none, or that there are several, in words.
    pub fn one(&self, name: &str) -> Result<&Self, String> {
        self.at_most_one(name)?.ok_or_else(|| format!("<{}> has no <{name}>", self.name))
    }

    /// The one element in it of that local name, if there is one.
    ///
    /// # Errors
    /// That there are several, in words.
    pub fn at_most_one(&self, name: &str) -> Result<Option<&Self>, String> {
        let mut all = self.children.iter().filter(|child| child.name == name);
        match (all.next(), all.next()) {
            (one, None) => Ok(one),
            (_, Some(_)) => Err(format!("<{}> has several <{name}>", self.name)),
        }
    }

    /// The first element in it of that local name, in whatever namespace.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Reads a document of at most `limit` bytes, in UTF-8, and gives its root element.
///
/// # Errors
/// [`XmlError`]: where it breaks, and whether that is only because it ends too early.
pub fn parse(bytes: &[u8], limit: usize) -> Result<Element, XmlError> {
    if bytes.len() > limit {
        return Err(malformed(limit, format!("the document is longer than {limit} bytes")));
    }
    let text = str::from_utf8(bytes).map_err(|error| XmlError {
        offset: error.valid_up_to(),
        text: "the document is not UTF-8".into(),
        incomplete: error.error_len().is_none(),
    })?;
    Tree::default().read(text)
}

const fn malformed(offset: usize, text: String) -> XmlError {
    XmlError { offset, text, incomplete: false }
}

/// The elements that are open, and the root once it is closed.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    names: Names,
}

impl Tree {
    fn read(mut self, text: &str) -> Result<Element, XmlError> {
        let mut reader = NsReader::from_str(text);
        loop {
            let offset = position(reader.buffer_position());
            let event = reader.read_event().map_err(|error| broken(position(reader.error_position()), &error))?;
            let end = position(reader.buffer_position());
            match event {
                Event::Start(start) => {
                    let element = element(&start, reader.resolver(), &mut self.names, offset, end)?;
                    self.start(element)?;
                }
                Event::Empty(start) => {
                    let element = element(&start, reader.resolver(), &mut self.names, offset, end)?;
                    self.start(element)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(content) => self.text(&content.xml10_content(), offset)?,
                Event::CData(content) => self.text(&content.xml10_content(), offset)?,
                Event::GeneralRef(reference) => {
                    let c = entity(&reference)
                        .ok_or_else(|| malformed(offset, "an entity is not one of XML's own".into()))?;
                    self.text(c.encode_utf8(&mut [0; 4]), offset)?;
                }
                Event::Comment(_) => {}
                Event::Decl(declaration) => {
                    if offset != 0 && text.get(..offset) != Some("\u{feff}") {
                        return Err(malformed(offset, "an XML declaration must come first".into()));
                    }
                    let named = declaration.encoding().and_then(Result::ok);
                    if let Some(name) = named
                        && !text.is_ascii()
                        && !name.eq_ignore_ascii_case("utf-8")
                    {
                        return Err(malformed(offset, "the document declares an encoding other than UTF-8".into()));
                    }
                }
                Event::PI(_) => return Err(malformed(offset, "processing instructions are refused".into())),
                Event::DocType(_) => return Err(malformed(offset, "a DOCTYPE is refused".into())),
                Event::Eof => break,
            }
        }
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(XmlError { offset: text.len(), text: "the document ends too early".into(), incomplete: true }),
        }
    }

    fn start(&mut self, element: Element) -> Result<(), XmlError> {
        if self.root.is_some() && self.open.is_empty() {
            return Err(malformed(element.offset, "a second root element".into()));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(malformed(element.offset, format!("more than {MAX_DEPTH} levels of elements")));
        }
        self.open.push(element);
        Ok(())
    }

    /// The reader has checked that the names of start and end agree.
    fn end(&mut self) {
        if let Some(element) = self.open.pop() {
            match self.open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => self.root = Some(element),
            }
        }
    }

    fn text(&mut self, text: &str, offset: usize) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim_start_matches('\u{feff}').trim().is_empty() => {}
            None => return Err(malformed(offset, "text outside of the root element".into())),
        }
        Ok(())
    }
}

fn element(
    start: &BytesStart<'_>,
    resolver: &NamespaceResolver,
    names: &mut Names,
    offset: usize,
    end: usize,
) -> Result<Element, XmlError> {
    let (namespace, name) = resolver.resolve_element(start.name());
    let mut element = Element {
        namespace: bound(&namespace, names, offset)?,
        name: names.share(name.into_inner()),
        attributes: Vec::new(),
        children: Vec::new(),
        text: String::new(),
        offset,
        tag_length: end.saturating_sub(offset),
    };
    for (index, attribute) in start.attributes().enumerate() {
        if index >= MAX_ATTRIBUTES {
            return Err(malformed(offset, format!("more than {MAX_ATTRIBUTES} attributes on one element")));
        }
        let attribute = attribute.map_err(|_| malformed(offset, "an attribute is not well formed".into()))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (namespace, name) = resolver.resolve_attribute(attribute.key);
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(|_| malformed(offset, "an attribute's value is not well formed".into()))?;
        element.attributes.push(Attribute {
            namespace: bound(&namespace, names, offset)?,
            name: names.share(name.into_inner()),
            value: value.into_owned(),
        });
    }
    Ok(element)
}

fn bound(namespace: &ResolveResult<'_>, names: &mut Names, offset: usize) -> Result<Option<Name>, XmlError> {
    match namespace {
        ResolveResult::Bound(namespace) => Ok(Some(names.share(namespace.into_inner()))),
        ResolveResult::Unbound => Ok(None),
        ResolveResult::Unknown(_) => Err(malformed(offset, "a prefix is not bound to a namespace".into())),
    }
}

/// The character of a reference: one of XML's five names, or a number.
fn entity(reference: &BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten();
    }
    quick_xml::escape::resolve_predefined_entity(&reference.xml10_content()).and_then(|text| text.chars().next())
}

/// An error of the reader. Markup that is not closed, and a reference cut in its middle, may only lack bytes.
fn broken(offset: usize, error: &Error) -> XmlError {
    let incomplete = match error {
        Error::Syntax(_) => true,
        Error::IllFormed(error) => matches!(error, quick_xml::errors::IllFormedError::UnclosedReference),
        _ => false,
    };
    let text = if incomplete { "the document ends within a tag" } else { "the document is not well formed" };
    XmlError { offset, text: text.into(), incomplete }
}

fn position(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(document: &str) -> XmlError {
        parse(document.as_bytes(), 100_000).unwrap_err()
    }

    #[test]
    fn reads_namespaces_attributes_and_text() {
        let root =
            parse(br#"<?xml version="1.0"?><a:x xmlns:a="urn:1" b="&lt;1"> <y/>t&amp;u<![CDATA[<]]></a:x>"#, 1000)
                .unwrap();
        assert_eq!((root.namespace.as_deref(), root.name.as_str()), (Some("urn:1"), "x"));
        assert_eq!(root.attribute("b"), Some("<1"));
        assert_eq!(root.text.trim(), "t&u<");
        assert_eq!(root.child("y").unwrap().namespace, None);
        assert_eq!(root.child("y").unwrap().tag_length, 4);
    }

    #[test]
    fn refuses_what_could_do_harm() {
        for document in [
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<a>&b;</a>",
            "<?php x?><a/>",
            "<a/><b/>",
            "<a/>text",
            "<a></b>",
            "<p:a/>",
            "<a b='1' b='2'/>",
        ] {
            assert!(!refusal(document).incomplete, "{document}");
        }
        let deep = format!("{}{}", "<a>".repeat(65), "</a>".repeat(65));
        assert!(refusal(&deep).text.contains("64 levels"));
        let wide = format!("<a {}/>", (0..65).map(|n| format!("b{n}='1' ")).collect::<String>());
        assert!(refusal(&wide).text.contains("64 attributes"));
        assert!(parse(b"<a/>", 3).unwrap_err().text.contains("longer than 3"));
        assert!(!parse(b"<a>\xff</a>", 100).unwrap_err().incomplete);
    }

    #[test]
    fn every_prefix_is_incomplete() {
        let document = r#"<?xml version="1.0" encoding="UTF-8"?><a b="c"><!-- d --><e>f&amp;é</e></a>"#.as_bytes();
        assert!(parse(document, 1000).is_ok());
        for end in 0..document.len() {
            let error = parse(&document[..end], 1000).unwrap_err();
            assert!(error.incomplete, "{end}: {error}");
        }
    }
}
