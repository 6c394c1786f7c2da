//! What a template wrote, read again: the values at the places of its placeholders.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::http::form;
use crate::template::body::{Content, Json, Node, Pairs};
use crate::template::draft::{Draft, DraftBody};
use crate::template::filter::Filter;
use crate::template::profile::{Body, Operation};
use crate::template::text::{Placeholder, Template};
use crate::template::tree::Strict;
use crate::template::values::{Name, Plain};
use crate::xml::{self, Element};

/// Most bytes of an XML body that is read.
const LIMIT: usize = 4 << 20;

/// The values at the places of a call, in the order of the call.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<Name, Vec<String>>);

impl Values {
    /// The first value of that name.
    #[must_use]
    pub(super) fn one(&self, plain: Plain) -> Option<&str> {
        self.0.get(&Name::Plain(plain)).and_then(|values| values.first()).map(String::as_str)
    }

    /// Every value of these names.
    #[must_use]
    pub(super) fn all(&self, names: &[Plain]) -> Vec<String> {
        names.iter().filter_map(|plain| self.0.get(&Name::Plain(*plain))).flatten().cloned().collect()
    }

    /// What was told of a subscriber, by our names; no secrets.
    pub(super) fn of_subscriber(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().filter_map(|(name, values)| {
            let told = match name {
                Name::Plain(Plain::SubscriberPassword | Plain::SubscriberPin) => None,
                Name::Plain(plain) => plain.name().strip_prefix("subscriber."),
                Name::Attribute(name) => Some(name.as_str()),
                Name::Kept(_) | Name::Var(_) => None,
            };
            Some((told?.to_owned(), values.first()?.clone()))
        })
    }

    /// A time, in whatever form it was written.
    #[must_use]
    pub(super) fn time(&self, plain: Plain) -> Option<Timestamp> {
        self.one(plain)?.parse().ok()
    }

    /// Values that an earlier call's answer gave, named as it keeps them.
    #[must_use]
    pub(super) fn kept(&self) -> Option<&str> {
        let mut kept = self.0.iter().filter(|(name, _)| matches!(name, Name::Kept(_)));
        kept.next().and_then(|(_, values)| values.first()).map(String::as_str)
    }

    fn put(&mut self, place: &Placeholder, text: &str, zone: &TimeZone) {
        let Some(name) = place.names.first() else { return };
        let mut text = text.to_owned();
        for filter in place.filters.iter().rev() {
            match undone(filter, &text, zone) {
                Some(before) => text = before,
                None => return,
            }
        }
        let joined = place.filters.iter().find_map(|filter| match filter {
            Filter::Join(separator) if !separator.is_empty() => Some(separator),
            _ => None,
        });
        let values = self.0.entry(name.clone()).or_default();
        match joined {
            Some(separator) => values.extend(text.split(separator.as_str()).map(ToOwned::to_owned)),
            None => values.push(text),
        }
    }
}

/// The values of a call, if it is one that the operation writes. The call's signature was taken away before.
#[must_use]
pub(super) fn read(operation: &Operation, draft: &Draft, zone: &TimeZone) -> Option<Values> {
    if operation.method != draft.method {
        return None;
    }
    let mut reader = Reader { values: Values::default(), zone };
    reader.path(&operation.path, &draft.path)?;
    reader.pairs(&operation.query, &draft.query, true)?;
    let body = draft.bytes();
    match (&operation.body, &draft.body) {
        (Body::None, DraftBody::None) => {}
        (Body::Form(pairs), DraftBody::Form(found)) => reader.pairs(pairs, found, true)?,
        (Body::Form(pairs), DraftBody::None) => reader.pairs(pairs, &[], true)?,
        (Body::Json(json), DraftBody::Bytes(..)) => {
            let Strict(value) = serde_json::from_slice(body).ok()?;
            reader.json(json, Some(&value))?;
        }
        (Body::Xml(node), DraftBody::Bytes(..)) => {
            let root = xml::parse(body, LIMIT).ok()?;
            let content = match root.is(Some(crate::http::soap::ENVELOPE), "Envelope") {
                true => root.child("Body")?.children.first()?,
                false => &root,
            };
            reader.node(node, content)?;
        }
        _ => return None,
    }
    reader.pairs(&operation.headers, &draft.headers, false)?;
    Some(reader.values)
}

struct Reader<'a> {
    values: Values,
    zone: &'a TimeZone,
}

impl Reader<'_> {
    fn path(&mut self, template: &Template, path: &str) -> Option<()> {
        let (literals, places) = template.around();
        let parts = between(&literals, path)?;
        for (place, part) in places.iter().zip(parts) {
            if part.contains('/') || part.is_empty() {
                return None;
            }
            self.values.put(place, &form::unescape(part), self.zone);
        }
        Some(())
    }

    /// Pairs of a query, a form or a head; `all`: there must be no others.
    fn pairs(&mut self, Pairs(pairs): &Pairs, found: &[(String, String)], all: bool) -> Option<()> {
        let mut left: Vec<_> = found.iter().collect();
        for (name, template) in pairs {
            match left.iter().position(|(known, _)| known == name) {
                Some(at) => {
                    let (_, value) = left.remove(at);
                    self.text(template, value)?;
                }
                None if is_optional(template) => {}
                None => return None,
            }
        }
        (left.is_empty() || !all).then_some(())
    }

    fn text(&mut self, template: &Template, text: &str) -> Option<()> {
        let (literals, places) = template.around();
        let parts = between(&literals, text)?;
        for (place, part) in places.iter().zip(parts) {
            self.values.put(place, part, self.zone);
        }
        Some(())
    }

    fn json(&mut self, json: &Json, found: Option<&Value>) -> Option<()> {
        match (json, found) {
            (Json::Literal(expected), Some(found)) => (expected == found).then_some(()),
            (Json::Leaf(template), None) => is_optional(template).then_some(()),
            (Json::Leaf(template), Some(found)) => match (template.whole(), found) {
                (Some(place), Value::Array(items)) => {
                    for item in items {
                        self.values.put(place, item.as_str()?, self.zone);
                    }
                    Some(())
                }
                (_, Value::String(text)) => self.text(template, text),
                (Some(place), Value::Number(number)) => {
                    self.values.put(place, &number.to_string(), self.zone);
                    Some(())
                }
                _ => None,
            },
            (Json::List(expected), Some(Value::Array(items))) => {
                let mut items = items.iter().peekable();
                for json in expected {
                    match json {
                        Json::Each(_, json) => {
                            while let Some(item) = items.peek() {
                                let before = self.values.clone();
                                if self.json(json, Some(item)).is_none() {
                                    self.values = before;
                                    break;
                                }
                                items.next();
                            }
                        }
                        json => self.json(json, items.next())?,
                    }
                }
                items.next().is_none().then_some(())
            }
            (Json::Object(expected), Some(Value::Object(members))) => {
                for (name, json) in expected {
                    self.json(json, members.get(name))?;
                }
                members.keys().all(|name| expected.contains_key(name)).then_some(())
            }
            (Json::Each(_, json), found) => self.json(json, found),
            _ => None,
        }
    }

    fn node(&mut self, node: &Node, element: &Element) -> Option<()> {
        if !element.is(node.namespace.as_deref(), &node.name) {
            return None;
        }
        for (name, template) in &node.attributes {
            let local = name.rsplit(':').next().unwrap_or_default();
            match element.attributes.iter().find(|attribute| attribute.name == local) {
                Some(attribute) => self.text(template, &attribute.value)?,
                None if is_optional(template) => {}
                None => return None,
            }
        }
        match &node.content {
            Content::Text(template) => {
                if !element.children.is_empty() {
                    return None;
                }
                self.text(template, &element.text)
            }
            Content::Nodes(nodes) => {
                let mut children = element.children.iter().peekable();
                for node in nodes {
                    let mut found = false;
                    while let Some(child) = children.peek() {
                        let before = self.values.clone();
                        if self.node(node, child).is_none() {
                            self.values = before;
                            break;
                        }
                        children.next();
                        found = true;
                        if node.each.is_none() {
                            break;
                        }
                    }
                    let may_lack = matches!(&node.content, Content::Text(template) if is_optional(template));
                    if !found && node.each.is_none() && !may_lack {
                        return None;
                    }
                }
                children.next().is_none().then_some(())
            }
        }
    }
}

/// The texts between literals: the first literal begins the text, the last ends it, each other one is where it comes first.
fn between<'a>(literals: &[&str], text: &'a str) -> Option<Vec<&'a str>> {
    let (first, rest) = literals.split_first()?;
    let mut text = text.strip_prefix(first)?;
    let mut parts = Vec::with_capacity(rest.len());
    for (index, literal) in rest.iter().enumerate() {
        let last = index + 1 == rest.len();
        let at = match (last, literal.is_empty()) {
            (true, _) => text.len().checked_sub(literal.len()).filter(|at| text.get(*at..) == Some(*literal))?,
            (false, true) => 0,
            (false, false) => text.find(literal)?,
        };
        parts.push(text.get(..at)?);
        text = text.get(at + literal.len()..)?;
    }
    text.is_empty().then_some(parts)
}

fn is_optional(template: &Template) -> bool {
    template.placeholders().any(|place| place.optional)
}

/// The text before a filter; nothing: there was no value.
fn undone(filter: &Filter, text: &str, zone: &TimeZone) -> Option<String> {
    let as_it_is = || Some(text.to_owned());
    match filter {
        Filter::Base64 => STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        Filter::Hex => headgate_core::text::from_hex(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        Filter::Date(format) => {
            let time = BrokenDownTime::parse(format, text).ok()?;
            let time = time.to_timestamp().or_else(|_| {
                let date = time.to_date()?;
                let clock = time.to_time().unwrap_or(jiff::civil::Time::midnight());
                zone.to_timestamp(date.to_datetime(clock))
            });
            time.ok().map(|time| time.to_string())
        }
        Filter::Default(default) if default == text => None,
        Filter::Epoch => Timestamp::from_second(text.parse().ok()?).ok().map(|time| time.to_string()),
        Filter::EpochMillis => Timestamp::from_millisecond(text.parse().ok()?).ok().map(|time| time.to_string()),
        Filter::Map(pairs) => pairs.iter().find(|(_, to)| to == text).map(|(from, _)| from.clone()),
        _ => as_it_is(),
    }
}
