//! Bodies with placeholders: JSON, XML and forms. Values are written by the rules of the body's form, so that none can
//! leave its place.

use std::collections::BTreeMap;

use headgate_core::body::Refusal;
use headgate_core::text::{Serial, ServiceCode};

use super::scope::Scope;
use super::table::EachTable;
use super::text::{Allowed, Mistake, Template};
use super::values::Value;
use crate::registry::SettingsError;
use crate::xml::write::XmlWriter;
use crate::xml::{self, Element};

/// The namespace of `each` in XML templates.
pub const NAMESPACE: &str = "urn:headgate:template";

/// The member that repeats an object of a list in JSON templates.
pub const EACH: &str = "@each";

/// Most bytes of an XML template.
const LIMIT: usize = 256 << 10;

/// What placeholders may name, inside and outside of a repetition.
pub trait AllowedEach: Allowed {
    /// The same within a repetition over these.
    fn within(&self, each: EachTable) -> Box<dyn AllowedEach + '_>;
}

/// A list of names and templates: a query, a form, header fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, Template)>);

/// A JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// As it is.
    Literal(serde_json::Value),
    /// A text with placeholders.
    Leaf(Template),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(BTreeMap<String, Self>),
    /// In a list: once for each.
    Each(EachTable, Box<Self>),
}

/// An XML element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    /// With the prefix, where it has one.
    pub(super) attributes: Vec<(String, Template)>,
    pub(super) each: Option<EachTable>,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Nodes(Vec<Node>),
    Text(Template),
}

impl Pairs {
    /// Reads pairs.
    ///
    /// # Errors
    /// [`SettingsError`] with the path below `path`.
    pub fn compile(pairs: &[(String, String)], path: &str, allowed: &dyn Allowed) -> Result<Self, SettingsError> {
        let compiled = pairs.iter().enumerate().map(|(index, (name, text))| {
            let template = Template::parse(text, allowed)
                .map_err(|mistake| SettingsError::new(format!("{path}[{index}][1]"), mistake.in_words(text, 0)))?;
            Ok((name.clone(), template))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// The pairs that are there.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field.
    pub fn write(&self, scope: &Scope<'_>) -> Result<Vec<(String, String)>, Refusal> {
        let pairs = self.0.iter().filter_map(|(name, template)| match template.value(scope) {
            Ok(value) => value.map(|value| Ok((name.clone(), value.into_text()))),
            Err(refusal) => Some(Err(refusal)),
        });
        pairs.collect()
    }
}

impl Json {
    /// Reads a body: a tree with templates in its texts, or, if it is one text, JSON that holds such a tree.
    ///
    /// # Errors
    /// [`SettingsError`] with the path below `path`, and with line and column where the body is a text.
    pub fn compile(json: &serde_json::Value, path: &str, allowed: &dyn AllowedEach) -> Result<Self, SettingsError> {
        let serde_json::Value::String(source) = json else { return Self::node(json, path, None, allowed) };
        let tree: serde_json::Value = serde_json::from_str(source).map_err(|error| {
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default().to_owned();
            let text = format!("line {}, column {}: {what}", error.line(), error.column());
            SettingsError::new(path, text)
        })?;
        Self::node(&tree, path, Some(source), allowed)
    }

    fn node(
        json: &serde_json::Value,
        path: &str,
        source: Option<&str>,
        allowed: &dyn AllowedEach,
    ) -> Result<Self, SettingsError> {
        // A text that was read has no paths of its own: its lines and columns tell.
        let below = |name: String| if source.is_some() { path.to_owned() } else { format!("{path}{name}") };
        Ok(match json {
            serde_json::Value::String(text) => {
                let template =
                    Template::parse(text, allowed).map_err(|mistake| json_mistake(&mistake, text, path, source))?;
                match template.as_literal() {
                    Some(text) => Self::Literal(text.into()),
                    None => Self::Leaf(template),
                }
            }
            serde_json::Value::Array(items) => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    let path = below(format!("[{index}]"));
                    match item.get(EACH) {
                        Some(each) => {
                            let each = each_named(each.as_str().unwrap_or_default())
                                .map_err(|text| SettingsError::new(&path, text))?;
                            let node = Self::node(item, &path, source, &*allowed.within(each))?;
                            Ok(Self::Each(each, Box::new(node)))
                        }
                        None => Self::node(item, &path, source, allowed),
                    }
                });
                Self::List(items.collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(members) => {
                let members = members.iter().filter(|(name, _)| *name != EACH).map(|(name, member)| {
                    Ok((name.clone(), Self::node(member, &below(format!(".{name}")), source, allowed)?))
                });
                Self::Object(members.collect::<Result<_, _>>()?)
            }
            other => Self::Literal(other.clone()),
        })
    }

    /// The body as it is sent; an empty one for a body that is left out.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field.
    pub fn write(&self, scope: &Scope<'_>) -> Result<Vec<u8>, Refusal> {
        let value = self.value(scope)?;
        Ok(value.map(|value| value.to_string().into_bytes()).unwrap_or_default())
    }

    fn value(&self, scope: &Scope<'_>) -> Result<Option<serde_json::Value>, Refusal> {
        Ok(Some(match self {
            Self::Literal(value) => value.clone(),
            Self::Leaf(template) => match template.value(scope)? {
                None => return Ok(None),
                Some(Value::List(items)) => items.into(),
                Some(Value::Number(number)) => number.into(),
                Some(value) => value.into_text().into(),
            },
            Self::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    match item {
                        Self::Each(each, item) => repeat(*each, scope, |scope| {
                            list.extend(item.value(scope)?);
                            Ok(())
                        })?,
                        item => list.extend(item.value(scope)?),
                    }
                }
                list.into()
            }
            Self::Object(members) => {
                let mut object = serde_json::Map::new();
                for (name, member) in members {
                    if let Some(value) = member.value(scope)? {
                        object.insert(name.clone(), value);
                    }
                }
                object.into()
            }
            Self::Each(_, item) => return item.value(scope),
        }))
    }
}

impl Node {
    /// Reads an XML template.
    ///
    /// # Errors
    /// [`SettingsError`] at `path`, with line and column.
    pub fn compile(
        source: &str,
        path: &str,
        prefixes: &BTreeMap<String, String>,
        allowed: &dyn AllowedEach,
    ) -> Result<Self, SettingsError> {
        let wrong = |mistake: &Mistake, offset| SettingsError::new(path, mistake.in_words(source, offset));
        let root = xml::parse(source.as_bytes(), LIMIT)
            .map_err(|error| wrong(&Mistake { at: 0, text: error.text }, error.offset))?;
        let node = Self::of(&root, prefixes, allowed).map_err(|(mistake, offset)| wrong(&mistake, offset))?;
        match node.each {
            Some(_) => {
                Err(SettingsError::new(path, "the root element can not be repeated; put `each` on one within it"))
            }
            None => Ok(node),
        }
    }

    fn of(
        element: &Element,
        prefixes: &BTreeMap<String, String>,
        allowed: &dyn AllowedEach,
    ) -> Result<Self, (Mistake, usize)> {
        let here = |text: String| (Mistake { at: 0, text }, element.offset);
        let mut each = None;
        for attribute in element.attributes.iter().filter(|a| a.namespace.as_deref() == Some(NAMESPACE)) {
            if attribute.name != "each" {
                return Err(here(format!("there is no attribute {} in {NAMESPACE}; there is each", attribute.name)));
            }
            each = Some(each_named(&attribute.value).map_err(here)?);
        }
        let inner = each.map(|each| allowed.within(each));
        let allowed = inner.as_deref().unwrap_or(allowed);
        let template = |text: &str| {
            // The text's own place is not known: the element's is.
            Template::parse(text, allowed).map_err(|mistake| here(format!("<{}>: {}", element.name, mistake.text)))
        };
        let mut attributes = Vec::new();
        for attribute in element.attributes.iter().filter(|a| a.namespace.as_deref() != Some(NAMESPACE)) {
            let name = match &attribute.namespace {
                None => attribute.name.to_string(),
                Some(uri) => match prefixes.iter().find(|(_, known)| known.as_str() == &**uri) {
                    Some((prefix, _)) => format!("{prefix}:{}", attribute.name),
                    None => {
                        let text = format!(
                            "the namespace of the attribute {} needs a prefix: add it to `prefixes`",
                            attribute.name
                        );
                        return Err(here(text));
                    }
                },
            };
            attributes.push((name, template(&attribute.value)?));
        }
        let content = if element.children.is_empty() {
            Content::Text(template(&element.text)?)
        } else if element.text.trim().is_empty() {
            Content::Nodes(
                element.children.iter().map(|child| Self::of(child, prefixes, allowed)).collect::<Result<_, _>>()?,
            )
        } else {
            return Err(here(format!("<{}> has both text and elements", element.name)));
        };
        Ok(Self {
            name: element.name.to_string(),
            namespace: element.namespace.as_deref().map(str::to_owned),
            attributes,
            each,
            content,
        })
    }

    /// An element that is written as it is: nothing in it is a placeholder.
    ///
    /// # Errors
    /// That an attribute has a namespace, in words: its prefix is not known any more.
    pub(super) fn verbatim(element: &Element) -> Result<Self, String> {
        if let Some(attribute) = element.attributes.iter().find(|attribute| attribute.namespace.is_some()) {
            return Err(format!(
                "the attribute {} of <{}> has a prefix, which is not carried",
                attribute.name, element.name
            ));
        }
        let content = if element.children.is_empty() {
            Content::Text(Template::literal(&element.text))
        } else {
            Content::Nodes(element.children.iter().map(Self::verbatim).collect::<Result<_, _>>()?)
        };
        Ok(Self {
            name: element.name.to_string(),
            namespace: element.namespace.as_deref().map(str::to_owned),
            attributes: element.attributes.iter().map(|a| (a.name.to_string(), Template::literal(&a.value))).collect(),
            each: None,
            content,
        })
    }

    /// Writes the element. `default` is the namespace of elements without a prefix where it stands.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field.
    pub fn write(
        &self,
        writer: &mut XmlWriter,
        scope: &Scope<'_>,
        prefixes: &BTreeMap<String, String>,
        default: Option<&str>,
    ) -> Result<(), Refusal> {
        match self.each {
            Some(each) => repeat(each, scope, |scope| self.write_one(writer, scope, prefixes, default, &[])),
            None => self.write_one(writer, scope, prefixes, default, &[]),
        }
    }

    /// Writes the element as the root of a document, which declares the prefixes.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field.
    pub fn write_root(
        &self,
        writer: &mut XmlWriter,
        scope: &Scope<'_>,
        prefixes: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        let declared: Vec<_> = prefixes.iter().map(|(prefix, uri)| (format!("xmlns:{prefix}"), uri.clone())).collect();
        self.write_one(writer, scope, prefixes, None, &declared)
    }

    fn write_one(
        &self,
        writer: &mut XmlWriter,
        scope: &Scope<'_>,
        prefixes: &BTreeMap<String, String>,
        default: Option<&str>,
        declared: &[(String, String)],
    ) -> Result<(), Refusal> {
        let text = match &self.content {
            Content::Nodes(_) => None,
            Content::Text(template) => match template.value(scope)? {
                Some(value) => Some(value.into_text()),
                None => return Ok(()),
            },
        };
        let own = self.namespace.as_deref();
        let prefix = prefixes.iter().find(|(_, uri)| Some(uri.as_str()) == own).map(|(prefix, _)| prefix);
        let mut attributes = declared.to_vec();
        let (name, default) = match prefix {
            Some(prefix) => (format!("{prefix}:{}", self.name), default),
            None => {
                if own != default {
                    attributes.push(("xmlns".to_owned(), own.unwrap_or_default().to_owned()));
                }
                (self.name.clone(), own)
            }
        };
        for (name, template) in &self.attributes {
            attributes.extend(template.value(scope)?.map(|value| (name.clone(), value.into_text())));
        }
        let attributes: Vec<_> = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        writer.start(&name, &attributes);
        match &self.content {
            Content::Nodes(nodes) => {
                for node in nodes {
                    node.write(writer, scope, prefixes, default)?;
                }
            }
            Content::Text(_) => writer.text(text.as_deref().unwrap_or_default()),
        }
        writer.end(&name);
        Ok(())
    }
}

/// Goes through the services or devices of a call one by one.
pub(super) fn repeat(
    each: EachTable,
    scope: &Scope<'_>,
    mut body: impl FnMut(&Scope<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    match each {
        EachTable::Service => {
            let mut services = scope.services.chunks(1);
            services.try_for_each(|services: &[ServiceCode]| body(&Scope { services, ..*scope }))
        }
        EachTable::Smartcard => {
            let mut smartcards = scope.smartcards.chunks(1);
            smartcards.try_for_each(|smartcards: &[Serial]| body(&Scope { smartcards, ..*scope }))
        }
        EachTable::Stb => {
            let mut stbs = scope.stbs.chunks(1);
            stbs.try_for_each(|stbs: &[Serial]| body(&Scope { stbs, ..*scope }))
        }
    }
}

fn each_named(name: &str) -> Result<EachTable, String> {
    match name {
        "service" | "services" => Ok(EachTable::Service),
        "smartcard" | "smartcards" => Ok(EachTable::Smartcard),
        "stb" | "stbs" => Ok(EachTable::Stb),
        _ => Err(format!("{name:?} can not be gone through; there are services, smartcards, stbs")),
    }
}

/// A mistake in a text of a JSON body; its place is found again in the source, where there is one.
fn json_mistake(mistake: &Mistake, text: &str, path: &str, source: Option<&str>) -> SettingsError {
    let Some(source) = source else { return SettingsError::new(path, mistake.in_words(text, 0)) };
    let written = serde_json::Value::from(text).to_string();
    let place = source.find(&written).map(|at| at + 1);
    let text = match place {
        Some(place) => mistake.in_words(source, place),
        None => mistake.text.clone(),
    };
    SettingsError::new(path, text)
}
