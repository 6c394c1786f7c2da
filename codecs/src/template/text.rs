//! A text with placeholders: `{name}`, `{name?}`, `{name|filter:argument}`; `{{` and `}}` stand for braces.

use headgate_core::body::Refusal;
use headgate_core::command::CommandKind;

use super::filter::Filter;
use super::values::{Kind, Name, Plain, Scope, Value};

/// A text with placeholders, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Place(Placeholder),
}

/// A placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// What it stands for; what is tried next where that is absent.
    pub names: Vec<Name>,
    /// Whether the place is left out where the value is absent.
    pub optional: bool,
    /// What is done to the value.
    pub filters: Vec<Filter>,
    /// The kind of what comes out.
    pub kind: Kind,
}

/// A mistake in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, in bytes from the template's start.
    pub at: usize,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl Mistake {
    /// The mistake in words, with its line and column in `source`, where the template begins at `offset`.
    #[must_use]
    pub fn in_words(&self, source: &str, offset: usize) -> String {
        let before = source.get(..offset.saturating_add(self.at)).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        if source.contains('\n') {
            format!("line {line}, column {column}: {}", self.text)
        } else {
            format!("column {column}: {}", self.text)
        }
    }
}

/// What placeholders may name at some place.
pub trait Allowed {
    /// Whether that value can be there.
    ///
    /// # Errors
    /// Why not, and what would be right.
    fn check(&self, name: &Name) -> Result<(), String>;
}

/// A value that every one of these commands gives.
impl Allowed for [CommandKind] {
    fn check(&self, name: &Name) -> Result<(), String> {
        match self.iter().find(|command| !name.is_given_by(**command)) {
            Some(command) => Err(format!("{command} has no {name}")),
            None => Ok(()),
        }
    }
}

impl Template {
    /// Reads a template whose placeholders may name what is `allowed`.
    ///
    /// # Errors
    /// [`Mistake`]: where and what.
    pub fn parse(text: &str, allowed: &dyn Allowed) -> Result<Self, Mistake> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '{' | '}' if chars.peek().is_some_and(|(_, next)| *next == c) => {
                    chars.next();
                    literal.push(c);
                }
                '{' => {
                    let rest = text.get(at + 1..).unwrap_or_default();
                    let end = rest.find(['{', '}']).filter(|end| rest.as_bytes().get(*end) == Some(&b'}'));
                    let Some(end) = end else {
                        let text = "`{` without its `}`; write `{{` for a brace".to_owned();
                        return Err(Mistake { at, text });
                    };
                    let inside = rest.get(..end).unwrap_or_default();
                    let place = Placeholder::parse(inside, allowed)
                        .map_err(|text| Mistake { at, text: format!("{{{inside}}}: {text}") })?;
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Place(place));
                    while chars.next_if(|(next, _)| *next <= at + 1 + end).is_some() {}
                }
                '}' => {
                    let text = "`}` without its `{`; write `}}` for a brace".to_owned();
                    return Err(Mistake { at, text });
                }
                c => literal.push(c),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let template = Self { pieces };
        if template.whole().is_none()
            && let Some(list) = template.placeholders().find(|place| place.kind == Kind::List)
        {
            let name = list.names.first().map(ToString::to_string).unwrap_or_default();
            let text = format!("{name} is a list and stands within a text; write {{{name}|join:,}}");
            return Err(Mistake { at: 0, text });
        }
        Ok(template)
    }

    /// A text without placeholders.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self { pieces: vec![Piece::Literal(text.to_owned())] }
    }

    /// The text, if it has no placeholders.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Place(place) => Some(place),
            Piece::Literal(_) => None,
        })
    }

    /// The kind of what it writes: that of the placeholder, if it is nothing but one.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.whole().map_or(Kind::Text, |place| place.kind)
    }

    /// What it writes; a template that is one placeholder keeps the value's kind. Nothing: a value is absent whose
    /// placeholder is optional, and the place is to be left out.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field: a value that is absent, or that a filter refuses.
    pub fn value(&self, scope: &Scope<'_>) -> Result<Option<Value>, Refusal> {
        match self.whole() {
            Some(place) => place.value(scope),
            None => Ok(self.text(scope)?.map(Value::Text)),
        }
    }

    /// What it writes, as text.
    ///
    /// # Errors
    /// As [`Template::value`].
    pub fn text(&self, scope: &Scope<'_>) -> Result<Option<String>, Refusal> {
        self.written(scope, |text| text)
    }

    /// What it writes, as text, with every value (not the text around them) passed through `escape`.
    ///
    /// # Errors
    /// As [`Template::value`].
    pub fn written(&self, scope: &Scope<'_>, escape: fn(String) -> String) -> Result<Option<String>, Refusal> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Place(place) => match place.value(scope)? {
                    Some(value) => text.push_str(&escape(value.into_text())),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(text))
    }

    /// The pieces as text around placeholders, for reading what the template wrote: alternately literal and placeholder,
    /// beginning and ending with a literal.
    pub(super) fn around(&self) -> (Vec<&str>, Vec<&Placeholder>) {
        let mut literals = vec![""];
        let mut places = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => {
                    if let Some(last) = literals.last_mut() {
                        *last = text;
                    }
                }
                Piece::Place(place) => {
                    places.push(place);
                    literals.push("");
                }
            }
        }
        (literals, places)
    }

    /// The placeholder that it is nothing but.
    pub(super) fn whole(&self) -> Option<&Placeholder> {
        match self.pieces.as_slice() {
            [Piece::Place(place)] => Some(place),
            _ => None,
        }
    }
}

impl Placeholder {
    fn parse(inside: &str, allowed: &dyn Allowed) -> Result<Self, String> {
        let mut parts = inside.split('|');
        let first = parts.next().unwrap_or_default();
        let (name, optional) = match first.strip_suffix('?') {
            Some(name) => (name, true),
            None => (first, false),
        };
        let mut names = vec![named(name, allowed)?];
        let mut kind = names.first().map_or(Kind::Text, Name::kind);
        let mut filters = Vec::new();
        for part in parts {
            if let Some(other) = part.strip_prefix("or:") {
                let other = named(other, allowed)?;
                if !filters.is_empty() {
                    return Err("`or` comes before the filters".to_owned());
                }
                if other.kind() != kind {
                    return Err(format!("{name} is a {kind} and {other} is a {}", other.kind()));
                }
                names.push(other);
                continue;
            }
            let filter = Filter::parse(part)?;
            kind = filter.kind(kind).map_err(|why| format!("|{part}: {why}"))?;
            filters.push(filter);
        }
        Ok(Self { names, optional, filters, kind })
    }

    /// What it stands for, filtered; nothing: absent, and to be left out.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field.
    pub fn value(&self, scope: &Scope<'_>) -> Result<Option<Value>, Refusal> {
        let kind = self.names.first().map_or(Kind::Text, Name::kind);
        let mut value = self.names.iter().find_map(|name| scope.value(name));
        for filter in &self.filters {
            value = match value {
                None => filter.stand_in(kind),
                Some(value) => {
                    let filtered = filter.apply(value, &scope.context.zone);
                    Some(filtered.map_err(|why| Refusal::new(self.field(), "out_of_range", why))?)
                }
            };
        }
        match value {
            None if !self.optional => {
                let command = scope.request.command.kind();
                let detail = format!("this provider needs it for {command}");
                Err(Refusal::new(self.field(), "missing_field", detail))
            }
            value => Ok(value),
        }
    }

    fn field(&self) -> String {
        self.names.first().map(Name::field).filter(|field| !field.is_empty()).unwrap_or_else(|| "command".to_owned())
    }
}

fn named(name: &str, allowed: &dyn Allowed) -> Result<Name, String> {
    let known = Name::parse(name).ok_or_else(|| {
        let near = Plain::ALL.iter().map(|plain| plain.name()).filter(|known| resembles(known, name));
        let near: Vec<_> = near.collect();
        let hint = if near.is_empty() { "see the list on the page of templates".to_owned() } else { near.join(", ") };
        format!("there is no value {name:?}; perhaps {hint}")
    })?;
    allowed.check(&known)?;
    Ok(known)
}

/// Whether a known name is worth being proposed for a wrong one.
fn resembles(known: &str, wrong: &str) -> bool {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().trim_end_matches('s').to_owned();
    let (known, wrong) = (last(known), last(&wrong.to_ascii_lowercase()));
    !wrong.is_empty() && (known.contains(&wrong) || wrong.contains(&known))
}
