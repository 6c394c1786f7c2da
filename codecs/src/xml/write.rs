//! XML documents for platforms: written through a writer that escapes, never by pasting text.

use bytes::Bytes;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::Element;

/// The namespace that the prefix `xml` always stands for.
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Writes a document, element by element.
pub struct XmlWriter {
    writer: Writer<Vec<u8>>,
    unwritable: Option<char>,
}

/// A text holds a character that XML 1.0 has no form for, not even an escaped one: NUL, most control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("XML can not carry the character U+{:04X}", u32::from(self.0))]
pub struct Unwritable(pub char);

/// The first character of `text` that XML 1.0 can not carry.
///
/// # Errors
/// [`Unwritable`] with that character.
pub fn check(text: &str) -> Result<(), Unwritable> {
    let carried = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    text.chars().find(|c| !carried(*c)).map_or(Ok(()), |c| Err(Unwritable(c)))
}

impl XmlWriter {
    /// A document with its declaration.
    #[must_use]
    pub fn document() -> Self {
        let mut this = Self::fragment();
        this.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        this
    }

    /// A document, or a part of one, without a declaration.
    #[must_use]
    pub fn fragment() -> Self {
        Self { writer: Writer::new(Vec::with_capacity(1024)), unwritable: None }
    }

    /// An element and what `content` writes into it.
    pub fn element(&mut self, name: &str, attributes: &[(&str, &str)], content: impl FnOnce(&mut Self)) {
        self.start(name, attributes);
        content(self);
        self.end(name);
    }

    /// An element that holds a text.
    pub fn text_element(&mut self, name: &str, text: &str) {
        self.element(name, &[], |writer| writer.text(text));
    }

    /// An element that holds a text, if there is one.
    pub fn optional_element(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text_element(name, text);
        }
    }

    /// An element without content.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        for (_, value) in attributes {
            self.note(value);
        }
        self.event(Event::Empty(BytesStart::new(name).with_attributes(attributes.iter().copied())));
    }

    /// An element that was read, with everything in it, at a place where no default namespace holds.
    ///
    /// Names keep their namespaces, prefixes do not: a value that names a prefix (`xsi:type`) loses its meaning. White
    /// space between elements goes.
    pub fn tree(&mut self, element: &Element) {
        self.subtree(element, None);
    }

    fn subtree(&mut self, element: &Element, around: Option<&str>) {
        let own = element.namespace.as_deref();
        let mut attributes = Vec::new();
        if own != around {
            attributes.push(("xmlns".to_owned(), own.unwrap_or_default()));
        }
        for (index, attribute) in element.attributes.iter().enumerate() {
            let name = match attribute.namespace.as_deref() {
                None => attribute.name.to_string(),
                Some(XML) => format!("xml:{}", attribute.name),
                Some(namespace) => {
                    attributes.push((format!("xmlns:a{index}"), namespace));
                    format!("a{index}:{}", attribute.name)
                }
            };
            attributes.push((name, &attribute.value));
        }
        let attributes: Vec<_> = attributes.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        self.element(&element.name, &attributes, |writer| {
            if element.children.is_empty() || !element.text.trim().is_empty() {
                writer.text(&element.text);
            }
            for child in &element.children {
                writer.subtree(child, own);
            }
        });
    }

    /// A start tag; [`XmlWriter::end`] must follow.
    pub fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        for (_, value) in attributes {
            self.note(value);
        }
        self.event(Event::Start(BytesStart::new(name).with_attributes(attributes.iter().copied())));
    }

    /// An end tag.
    pub fn end(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.note(text);
        self.event(Event::Text(BytesText::new(text)));
    }

    /// A part that is written already: one that [`super::parse`] has read.
    pub(crate) fn written(&mut self, part: &str) {
        self.event(Event::Text(BytesText::from_escaped(part)));
    }

    /// The document.
    ///
    /// # Errors
    /// [`Unwritable`] if a text or an attribute held a character that XML can not carry.
    pub fn finish(self) -> Result<Bytes, Unwritable> {
        match self.unwritable {
            Some(c) => Err(Unwritable(c)),
            None => Ok(self.writer.into_inner().into()),
        }
    }

    fn note(&mut self, text: &str) {
        if self.unwritable.is_none()
            && let Err(Unwritable(c)) = check(text)
        {
            self.unwritable = Some(c);
        }
    }

    fn event(&mut self, event: Event<'_>) {
        // Writing into memory can not fail.
        let _ = self.writer.write_event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_can_not_leave_their_place() {
        let mut writer = XmlWriter::document();
        let evil = "</b>&amp;<!--\"'é\r\n";
        writer.element("a", &[("c", evil)], |writer| {
            writer.text_element("b", evil);
            writer.empty("d", &[]);
        });
        let document = writer.finish().unwrap();
        let read = super::super::parse(&document, 10_000).unwrap();
        assert_eq!(read.child("b").unwrap().text, evil);
        assert_eq!(read.children.len(), 2);
        assert!(read.attribute("c").unwrap().starts_with("</b>&amp;<!--\"'é"));
    }

    #[test]
    fn what_was_read_is_written_again_as_the_same() {
        let document = "<a:x xmlns:a='urn:1' xmlns:i='urn:2' i:nil='&lt;' xml:lang='en' b='c'>\n <y>1 </y>\
            <a:z><y xmlns='urn:3'/></a:z></a:x>";
        let plain = |document: &[u8]| {
            fn strip(mut element: Element) -> Element {
                (element.offset, element.tag_length) = (0, 0);
                if !element.children.is_empty() {
                    element.text.clear();
                }
                element.children = element.children.into_iter().map(strip).collect();
                element
            }
            strip(super::super::parse(document, 10_000).unwrap())
        };
        let read = super::super::parse(document.as_bytes(), 10_000).unwrap();
        let mut writer = XmlWriter::fragment();
        writer.tree(&read);
        assert_eq!(plain(&writer.finish().unwrap()), plain(document.as_bytes()));
    }

    #[test]
    fn what_xml_can_not_carry_is_told() {
        let mut writer = XmlWriter::fragment();
        writer.text_element("a", "b\0c");
        assert_eq!(writer.finish().unwrap_err().to_string(), "XML can not carry the character U+0000");
        assert!(check("ok \t\n 🎬").is_ok());
    }
}
