//! Values as the content of an element, and the two macros that declare complex types and closed sets of words.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::TYPES;
use crate::xml::Element;
use crate::xml::write::XmlWriter;

/// The namespace of `xsi:nil`.
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Something that stands in an element.
pub trait Content: Sized {
    /// Writes the content of the element.
    fn write(&self, writer: &mut XmlWriter);

    /// Writes it as an element of that name, prefix included.
    fn write_as(&self, name: &str, writer: &mut XmlWriter) {
        writer.element(name, &[], |writer| self.write(writer));
    }

    /// Reads the element's content.
    ///
    /// # Errors
    /// [`Misfit`]: what does not fit.
    fn read(element: &Element, strictness: Strictness) -> Result<Self, Misfit>;
}

/// How exactly an element must be what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// In order, with nothing more, of known words: what a CRM gives us as `raw`, what the simulated platform takes.
    Strict,
    /// In any order, with unknown elements passed over and unknown words kept: what a platform answers, whose version
    /// may be later than ours.
    Lenient,
}

/// Why an element is not what its type says. Names elements, never shows their content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(pub String);

impl Misfit {
    pub(super) fn of(element: &Element, what: &str) -> Self {
        Self(format!("<{}> {what}", shown(&element.name)))
    }
}

/// The name of an element, unless it is so odd that it may be something else.
pub(super) fn shown(name: &str) -> &str {
    let plain = name.len() <= 48 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if plain { name } else { "?" }
}

/// The elements in an element, taken one after the other.
pub(super) struct Children<'a> {
    parent: &'a Element,
    namespace: Option<&'static str>,
    strictness: Strictness,
    next: usize,
}

impl<'a> Children<'a> {
    /// Those in the namespace of types.
    pub(super) const fn of(parent: &'a Element, strictness: Strictness) -> Self {
        Self { parent, namespace: Some(TYPES), strictness, next: 0 }
    }

    /// Those in no namespace: the parts of an operation.
    pub(super) const fn parts(operation: &'a Element, strictness: Strictness) -> Self {
        Self { parent: operation, namespace: None, strictness, next: 0 }
    }

    /// The one of that name; there must be one.
    pub(super) fn one(&mut self, name: &str) -> Result<&'a Element, Misfit> {
        self.maybe(name)?.ok_or_else(|| Misfit::of(self.parent, &format!("has no <{name}> where it belongs")))
    }

    /// The one of that name, if it is there.
    pub(super) fn maybe(&mut self, name: &str) -> Result<Option<&'a Element>, Misfit> {
        match self.strictness {
            Strictness::Strict => Ok(self.next_if(name)),
            Strictness::Lenient => {
                let mut all = self.parent.children.iter().filter(|child| child.is(self.namespace, name));
                match (all.next(), all.next()) {
                    (one, None) => Ok(one),
                    (_, Some(_)) => Err(Misfit::of(self.parent, &format!("has several <{name}>"))),
                }
            }
        }
    }

    /// All of that name.
    pub(super) fn many(&mut self, name: &str) -> Vec<&'a Element> {
        match self.strictness {
            Strictness::Strict => std::iter::from_fn(|| self.next_if(name)).collect(),
            Strictness::Lenient => self.parent.children.iter().filter(|child| child.is(self.namespace, name)).collect(),
        }
    }

    /// Nothing more may be there.
    pub(super) fn finish(self) -> Result<(), Misfit> {
        match self.parent.children.get(self.next) {
            Some(child) if self.strictness == Strictness::Strict => {
                let qualified = match (self.namespace, child.namespace.as_deref()) {
                    (own, other) if own == other => "",
                    (Some(_), _) => " outside of the namespace of OMI's types",
                    (None, _) => " in a namespace, though parts are in none",
                };
                let text = format!("has <{}>{qualified} where it does not belong", shown(&child.name));
                Err(Misfit::of(self.parent, &text))
            }
            _ => Ok(()),
        }
    }

    fn next_if(&mut self, name: &str) -> Option<&'a Element> {
        let child = self.parent.children.get(self.next).filter(|child| child.is(self.namespace, name))?;
        self.next += 1;
        Some(child)
    }
}

/// The text of an element that holds nothing else.
fn text(element: &Element) -> Result<&str, Misfit> {
    match element.children.is_empty() {
        true => Ok(&element.text),
        false => Err(Misfit::of(element, "must hold a text and no elements")),
    }
}

impl Content for String {
    fn write(&self, writer: &mut XmlWriter) {
        writer.text(self);
    }

    fn read(element: &Element, _: Strictness) -> Result<Self, Misfit> {
        text(element).map(ToOwned::to_owned)
    }
}

impl Content for i32 {
    fn write(&self, writer: &mut XmlWriter) {
        writer.text(&self.to_string());
    }

    fn read(element: &Element, _: Strictness) -> Result<Self, Misfit> {
        let number = text(element)?.trim().parse();
        number.map_err(|_| Misfit::of(element, "must hold a whole number of 32 bits"))
    }
}

impl Content for bool {
    fn write(&self, writer: &mut XmlWriter) {
        writer.text(if *self { "true" } else { "false" });
    }

    fn read(element: &Element, _: Strictness) -> Result<Self, Misfit> {
        match text(element)?.trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(Misfit::of(element, "must hold true or false")),
        }
    }
}

/// `xs:dateTime`. Written in UTC; one without a zone is read as UTC: the platform's rule is not known \[I\].
impl Content for Timestamp {
    fn write(&self, writer: &mut XmlWriter) {
        writer.text(&self.to_string());
    }

    fn read(element: &Element, _: Strictness) -> Result<Self, Misfit> {
        let text = text(element)?.trim();
        let local = || text.parse::<DateTime>().and_then(|time| time.to_zoned(TimeZone::UTC));
        text.parse::<Self>()
            .or_else(|_| local().map(|zoned| zoned.timestamp()))
            .map_err(|_| Misfit::of(element, "must hold a time, as in 2025-01-31T23:59:59Z"))
    }
}

/// Bytes in base64, kept as they are written.
#[derive(Clone, PartialEq, Eq)]
pub struct Base64(pub String);

impl Content for Base64 {
    fn write(&self, writer: &mut XmlWriter) {
        writer.text(&self.0);
    }

    fn read(element: &Element, _: Strictness) -> Result<Self, Misfit> {
        let text: String = text(element)?.split_whitespace().collect();
        let digits = text.trim_end_matches('=');
        let plain = digits.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b));
        match plain && text.len() - digits.len() <= 2 && text.len().is_multiple_of(4) {
            true => Ok(Self(text)),
            false => Err(Misfit::of(element, "must hold bytes in base64")),
        }
    }
}

/// Something whose inside no public source tells: kept as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque(pub Element);

impl Content for Opaque {
    fn write(&self, writer: &mut XmlWriter) {
        match self.0.children.as_slice() {
            [] => writer.text(&self.0.text),
            children => children.iter().for_each(|child| writer.tree(child)),
        }
    }

    fn read(element: &Element, _: Strictness) -> Result<Self, Misfit> {
        Ok(Self(element.clone()))
    }
}

/// Something that may be there as nothing: `xsi:nil`.
#[derive(Clone, PartialEq, Eq)]
pub struct Nillable<T>(pub Option<T>);

impl<T: Content> Content for Nillable<T> {
    fn write(&self, writer: &mut XmlWriter) {
        if let Some(value) = &self.0 {
            value.write(writer);
        }
    }

    fn write_as(&self, name: &str, writer: &mut XmlWriter) {
        match &self.0 {
            Some(value) => value.write_as(name, writer),
            None => writer.empty(name, &[("xmlns:xsi", INSTANCE), ("xsi:nil", "true")]),
        }
    }

    fn read(element: &Element, strictness: Strictness) -> Result<Self, Misfit> {
        let nil = element.attributes.iter().any(|attribute| {
            attribute.namespace.as_deref() == Some(INSTANCE)
                && attribute.name == "nil"
                && matches!(attribute.value.trim(), "true" | "1")
        });
        if nil { Ok(Self(None)) } else { T::read(element, strictness).map(|value| Self(Some(value))) }
    }
}

/// Declares a complex type: its fields in the order of the wire, each with how often it comes (`one`, `maybe`, `many`)
/// and its name. `Debug` shows the type alone: what is in it is subscriber data.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($how:ident $field:ident: $type:ty = $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            $(#[doc = concat!("`", $wire, "`")] pub $field: record!(@type $how $type),)*
        }

        impl $crate::vcas_omi::wire::value::Content for $name {
            #[allow(unused_variables, reason = "a type without fields writes nothing")]
            fn write(&self, writer: &mut $crate::xml::write::XmlWriter) {
                $(record!(@write $how self.$field, concat!("t:", $wire), writer);)*
            }

            #[allow(unused_mut, reason = "a type without fields takes nothing")]
            fn read(
                element: &$crate::xml::Element,
                strictness: $crate::vcas_omi::wire::value::Strictness,
            ) -> Result<Self, $crate::vcas_omi::wire::value::Misfit> {
                let mut children = $crate::vcas_omi::wire::value::Children::of(element, strictness);
                let this = Self { $($field: record!(@read $how $type, children, $wire, strictness),)* };
                children.finish()?;
                Ok(this)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
    (@type one $type:ty) => { $type };
    (@type maybe $type:ty) => { Option<$type> };
    (@type many $type:ty) => { Vec<$type> };
    (@write one $value:expr, $name:expr, $writer:ident) => { $value.write_as($name, $writer) };
    // A field that may be absent, and one that comes often, are both gone through.
    (@write $how:ident $value:expr, $name:expr, $writer:ident) => {
        $value.iter().for_each(|value| value.write_as($name, $writer))
    };
    (@read one $type:ty, $children:ident, $name:literal, $strictness:ident) => {
        <$type>::read($children.one($name)?, $strictness)?
    };
    (@read maybe $type:ty, $children:ident, $name:literal, $strictness:ident) => {
        $children.maybe($name)?.map(|element| <$type>::read(element, $strictness)).transpose()?
    };
    (@read many $type:ty, $children:ident, $name:literal, $strictness:ident) => {
        $children.many($name).into_iter().map(|element| <$type>::read(element, $strictness)).collect::<Result<_, _>>()?
    };
}

/// Declares a closed set of words. One that is not in it is kept where a platform wrote it, and refused where we
/// would send it.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] #[serde(rename = $text)] $variant,)*
            /// A word of a version that we do not know.
            #[serde(skip)]
            Other(String),
        }

        impl $name {
            /// Every known word.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl $crate::vcas_omi::wire::value::Content for $name {
            fn write(&self, writer: &mut $crate::xml::write::XmlWriter) {
                writer.text(self.as_str());
            }

            fn read(
                element: &$crate::xml::Element,
                strictness: $crate::vcas_omi::wire::value::Strictness,
            ) -> Result<Self, $crate::vcas_omi::wire::value::Misfit> {
                let text = String::read(element, strictness)?;
                match Self::ALL.iter().find(|known| known.as_str() == text.trim()) {
                    Some(known) => Ok(known.clone()),
                    None if strictness == $crate::vcas_omi::wire::value::Strictness::Lenient => Ok(Self::Other(text)),
                    None => {
                        let known = Self::ALL.iter().map(Self::as_str).collect::<Vec<_>>().join(", ");
                        let text = format!("must be one of {known}");
                        Err($crate::vcas_omi::wire::value::Misfit::of(element, &text))
                    }
                }
            }
        }
    };
}

pub(super) use {record, words};
