//! XML documents for platforms: written through a writer that escapes, never by pasting text.

use bytes::Bytes;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

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
    fn what_xml_can_not_carry_is_told() {
        let mut writer = XmlWriter::fragment();
        writer.text_element("a", "b\0c");
        assert_eq!(writer.finish().unwrap_err().to_string(), "XML can not carry the character U+0000");
        assert!(check("ok \t\n 🎬").is_ok());
    }
}
