//! Answers as trees, JSON and XML alike, and the paths that lead through them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::xml::Element;

/// Most steps of a path.
const LONGEST: usize = 32;

/// Most places that a path is followed to: `**` in a hostile answer must not multiply without end.
const MOST: usize = 10_000;

/// A place in an answer.
#[derive(Clone, Copy, Debug)]
pub enum Tree<'a> {
    /// A JSON value.
    Json(&'a Value),
    /// An XML element.
    Xml(&'a Element),
    /// An XML attribute's value.
    Attribute(&'a str),
}

/// A way through an answer, as in `data/*/id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A member, a place in a list, the elements of that local name.
    Named(String),
    /// An attribute, with its `@`.
    Attribute(String),
    /// Any one: `*`.
    Any,
    /// Any number of levels, also none: `**`.
    Deep,
}

impl Path {
    /// Reads a path; an empty one is the place itself. A leading `/` means nothing; `~1` is a `/` in a name and `~0` a `~`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('/').unwrap_or(text);
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let parts: Vec<_> = text.split('/').map(Part::parse).collect::<Result<_, _>>()?;
        let deep = parts.iter().filter(|part| **part == Part::Deep).count();
        if parts.len() > LONGEST || deep > 1 {
            return Err(format!("{text:?} must have at most {LONGEST} parts and one `**`"));
        }
        let within = parts.split_last().map_or(&[][..], |(_, within)| within);
        if within.iter().any(|part| matches!(part, Part::Attribute(_))) {
            return Err(format!("{text:?} goes on behind an attribute"));
        }
        Ok(Self(parts))
    }

    /// Whether it leads to places of that name.
    #[must_use]
    pub fn leads_to(&self, name: &str) -> bool {
        matches!(self.0.last(), Some(Part::Named(last)) if last == name)
    }

    /// The places it leads to, in the order of the answer.
    #[must_use]
    pub fn all<'a>(&self, from: Tree<'a>) -> Vec<Tree<'a>> {
        let mut places = vec![from];
        for part in &self.0 {
            let mut next = Vec::new();
            for place in places {
                part.follow(place, &mut next);
            }
            next.truncate(MOST);
            places = next;
        }
        places
    }

    /// The first text it leads to.
    #[must_use]
    pub fn text(&self, from: Tree<'_>) -> Option<String> {
        self.all(from).into_iter().find_map(Tree::text)
    }

    /// The texts it leads to.
    #[must_use]
    pub fn texts(&self, from: Tree<'_>) -> Vec<String> {
        self.all(from).into_iter().filter_map(Tree::text).collect()
    }

    /// Its parts, for writing what it leads to.
    pub(super) fn written(&self) -> Vec<&str> {
        let parts = self.0.iter().map(|part| match part {
            Part::Named(name) => name.as_str(),
            Part::Attribute(name) => name.as_str(),
            Part::Any => "*",
            Part::Deep => "**",
        });
        parts.collect()
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" => return Err("a part of the path is empty".to_owned()),
            "*" => Self::Any,
            "**" => Self::Deep,
            text => match text.strip_prefix('@') {
                Some(_) => Self::Attribute(text.to_owned()),
                None => Self::Named(text.replace("~1", "/").replace("~0", "~")),
            },
        })
    }

    fn follow<'a>(&self, from: Tree<'a>, next: &mut Vec<Tree<'a>>) {
        match (self, from) {
            (Self::Named(name), Tree::Json(Value::Object(members))) => next.extend(members.get(name).map(Tree::Json)),
            (Self::Named(name), Tree::Json(Value::Array(items))) => {
                next.extend(name.parse().ok().and_then(|index: usize| items.get(index)).map(Tree::Json));
            }
            (Self::Named(name), Tree::Xml(element)) => next.extend(element.all(name).map(Tree::Xml)),
            (Self::Attribute(name), Tree::Xml(element)) => {
                let name = name.trim_start_matches('@');
                let found = element.attributes.iter().find(|attribute| attribute.name == name);
                next.extend(found.map(|attribute| Tree::Attribute(&attribute.value)));
            }
            (Self::Any, from) => from.children(next),
            (Self::Deep, from) => from.descendants(next),
            _ => {}
        }
    }
}

impl<'a> Tree<'a> {
    /// The text here: a JSON text, number or truth value; what stands in an element. Nothing for what has parts, and for
    /// JSON's null.
    #[must_use]
    pub fn text(self) -> Option<String> {
        match self {
            Self::Json(Value::String(text)) => Some(text.clone()),
            Self::Json(value @ (Value::Bool(_) | Value::Number(_))) => Some(value.to_string()),
            Self::Json(_) => None,
            Self::Xml(element) if element.children.is_empty() => Some(element.text.trim().to_owned()),
            Self::Xml(_) => None,
            Self::Attribute(text) => Some(text.to_owned()),
        }
    }

    /// Whether there is something: JSON's null is nothing.
    #[must_use]
    pub const fn is_something(self) -> bool {
        !matches!(self, Self::Json(Value::Null))
    }

    fn children(self, next: &mut Vec<Self>) {
        match self {
            Self::Json(Value::Object(members)) => next.extend(members.values().map(Tree::Json)),
            Self::Json(Value::Array(items)) => next.extend(items.iter().map(Tree::Json)),
            Self::Xml(element) => next.extend(element.children.iter().map(Tree::Xml)),
            Self::Json(_) | Self::Attribute(_) => {}
        }
    }

    /// Itself and everything in it. The readers limit how deep that is.
    fn descendants(self, next: &mut Vec<Self>) {
        if next.len() >= MOST {
            return;
        }
        next.push(self);
        let mut children = Vec::new();
        self.children(&mut children);
        for child in children {
            child.descendants(next);
        }
    }
}

/// A JSON value in which no member comes twice: whoever writes one twice could mean either.
#[derive(Debug)]
pub struct Strict(pub Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Strict;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_unit<E: Error>(self) -> Result<Strict, E> {
                Ok(Strict(Value::Null))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strict, A::Error> {
                let mut items = Vec::new();
                while let Some(Strict(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Strict(items.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
                let mut members = serde_json::Map::new();
                while let Some((name, Strict(member))) = map.next_entry::<String, _>()? {
                    if members.insert(name, member).is_some() {
                        return Err(A::Error::custom("a member comes twice"));
                    }
                }
                Ok(Strict(members.into()))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
