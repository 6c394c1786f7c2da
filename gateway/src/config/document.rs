//! A TOML text with the place of every value, so that a mistake can be pointed at.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::{Problem, Problems};
use super::secrets::{is_secret, is_secret_table};

/// A TOML text and where its values are.
#[derive(Debug)]
pub struct Document {
    /// The file's name, for people.
    pub name: String,
    text: String,
    pub(super) root: BTreeMap<String, Entry>,
}

/// A key and its value, with their places.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Range<usize>,
    pub(super) node: Node,
}

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Table(BTreeMap<String, Entry>),
    Array(Vec<Node>),
    Leaf(Value),
}

impl Document {
    /// Reads `text`.
    ///
    /// # Errors
    /// [`Problems`]: every place that is not TOML.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut problems = Vec::new();
        for error in errors {
            let problem = Problem::error("", error.message(), "");
            problems.push(match error.span() {
                Some(span) => problem.at(span),
                None => problem,
            });
        }
        // Text that is not TOML is half read: what is wrong with its values says nothing.
        let mut numbers = Vec::new();
        let root = entries(table.get_ref(), "", &mut numbers);
        if problems.is_empty() {
            problems = numbers;
        }
        let document = Self { name: name.to_owned(), text: text.to_owned(), root };
        if problems.is_empty() { Ok(document) } else { Err(document.problems(problems)) }
    }

    /// Problems of this document, each with its place.
    #[must_use]
    pub fn problems(&self, list: Vec<Problem>) -> Problems {
        let placed = list.into_iter().map(|mut problem| {
            problem.span = problem.span.or_else(|| self.place(&problem.path));
            problem
        });
        Problems::new(&self.name, self.masked(), placed.collect())
    }

    /// Where the setting `path` is: its value, the key of a table, or what is nearest to it.
    fn place(&self, path: &str) -> Option<Range<usize>> {
        if path.is_empty() { None } else { place_in(&self.root, path) }
    }

    /// Where the key at the end of `path` is.
    pub(super) fn key(&self, path: &str) -> Option<Range<usize>> {
        let mut table = &self.root;
        let mut rest = path;
        loop {
            let (name, entry) = longest_key(table, rest)?;
            rest = rest.get(name.len()..)?;
            if rest.is_empty() {
                return Some(entry.key.clone());
            }
            let mut node = &entry.node;
            while let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                let Content::Array(items) = &node.content else { return None };
                node = items.get(index.parse::<usize>().ok()?)?;
                rest = after;
            }
            let Content::Table(inner) = &node.content else { return None };
            (table, rest) = (inner, rest.strip_prefix('.')?);
        }
    }

    /// The text with the values of secrets replaced by stars of the same length.
    fn masked(&self) -> String {
        let mut text = self.text.clone();
        mask_table(&self.root, &mut text);
        text
    }
}

fn entries(table: &DeTable<'_>, path: &str, problems: &mut Vec<Problem>) -> BTreeMap<String, Entry> {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        let path = join(path, name);
        (name.to_string(), Entry { key: key.span(), node: node(value, &path, problems) })
    };
    table.iter().map(entry).collect()
}

fn node(value: &Spanned<DeValue<'_>>, path: &str, problems: &mut Vec<Problem>) -> Node {
    let content = match value.get_ref() {
        DeValue::Table(table) => Content::Table(entries(table, path, problems)),
        DeValue::Array(array) => Content::Array(items(array, path, problems)),
        DeValue::String(text) => Content::Leaf(Value::from(text.as_ref())),
        DeValue::Boolean(flag) => Content::Leaf(Value::from(*flag)),
        DeValue::Datetime(time) => Content::Leaf(Value::from(time.to_string())),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Content::Leaf(Value::from(number)),
            Err(_) => unreadable(value, path, "is not a whole number of 64 bits", problems),
        },
        DeValue::Float(number) => match number.as_str().parse().ok().and_then(serde_json::Number::from_f64) {
            Some(number) => Content::Leaf(Value::Number(number)),
            None => unreadable(value, path, "is not a finite number", problems),
        },
    };
    Node { span: value.span(), content }
}

fn items(array: &DeArray<'_>, path: &str, problems: &mut Vec<Problem>) -> Vec<Node> {
    array.iter().enumerate().map(|(index, item)| node(item, &format!("{path}[{index}]"), problems)).collect()
}

fn unreadable(value: &Spanned<DeValue<'_>>, path: &str, text: &str, problems: &mut Vec<Problem>) -> Content {
    problems.push(Problem::error(path, text, "").at(value.span()));
    Content::Leaf(Value::Null)
}

/// `path` and the key below it.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn place_in(table: &BTreeMap<String, Entry>, path: &str) -> Option<Range<usize>> {
    let (key, entry) = longest_key(table, path)?;
    let rest = path.get(key.len()..).unwrap_or_default();
    Some(match &entry.node.content {
        Content::Leaf(_) => entry.node.span.clone(),
        Content::Table(_) if rest.is_empty() => entry.key.clone(),
        _ => place_below(&entry.node, rest).unwrap_or_else(|| entry.key.clone()),
    })
}

/// The key that `path` begins with. A key may itself hold a dot: the longest that fits is meant.
fn longest_key<'a>(table: &'a BTreeMap<String, Entry>, path: &str) -> Option<(&'a String, &'a Entry)> {
    let fits = |key: &str| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    table.iter().filter(|(key, _)| fits(key)).max_by_key(|(key, _)| key.len())
}

fn place_below(node: &Node, rest: &str) -> Option<Range<usize>> {
    if rest.is_empty() {
        return Some(node.span.clone());
    }
    match &node.content {
        Content::Leaf(_) => Some(node.span.clone()),
        Content::Table(table) => {
            let key = rest.strip_prefix('.').unwrap_or(rest);
            place_in(table, key).or_else(|| Some(node.span.clone()))
        }
        Content::Array(items) => {
            let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
            place_below(items.get(index.parse::<usize>().ok()?)?, rest)
        }
    }
}

fn mask_table(table: &BTreeMap<String, Entry>, text: &mut String) {
    for (key, entry) in table {
        mask_node(&entry.node, is_secret(key) || is_secret_table(key), text);
    }
}

fn mask_node(node: &Node, secret: bool, text: &mut String) {
    match &node.content {
        Content::Table(table) if secret => table.values().for_each(|entry| mask_node(&entry.node, true, text)),
        Content::Table(table) => mask_table(table, text),
        Content::Array(items) => items.iter().for_each(|item| mask_node(item, secret, text)),
        Content::Leaf(Value::String(value)) if secret && !is_reference(value) => {
            // The quotes stay, so that places keep their meaning; a span always lies between characters.
            let inner = node.span.start + 1..node.span.end.saturating_sub(1).max(node.span.start + 1);
            if let Some(shown) = text.get(inner.clone()) {
                let stars = shown.chars().flat_map(|c| {
                    let star = if c == '\n' { '\n' } else { '*' };
                    std::iter::repeat_n(star, c.len_utf8())
                });
                let stars: String = stars.collect();
                text.replace_range(inner, &stars);
            }
        }
        Content::Leaf(_) => {}
    }
}

/// Whether a value only says where the secret is.
fn is_reference(value: &str) -> bool {
    value.starts_with("file:") || (value.starts_with("${") && value.ends_with('}'))
}
