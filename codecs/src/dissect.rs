//! A message explained field by field: what `headgate decode` prints.

use serde::Serialize;

/// A message (a frame, a file), explained. A broken one is explained up to where it breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dissection {
    /// What it is: `acknowledgement`, `order file ps`.
    pub title: String,
    /// Its fields, in the order of their bytes.
    pub fields: Vec<Field>,
    /// Where and how it breaks; absent: it is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
}

/// One field of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name, as the fact sheets write it.
    pub name: String,
    /// Where its first byte is, counted from zero.
    pub offset: usize,
    /// How many bytes it has.
    pub length: usize,
    /// Its value, readable.
    pub value: String,
    /// What the value means; empty: nothing more to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

/// Where a message breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The first byte that does not fit, counted from zero.
    pub offset: usize,
    /// What was expected and what was found.
    pub text: String,
    /// Whether more bytes could make it whole.
    pub incomplete: bool,
}

impl Dissection {
    /// An empty one of that title.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Adds a field.
    pub fn field(
        &mut self,
        name: impl Into<String>,
        offset: usize,
        length: usize,
        value: impl Into<String>,
        meaning: impl Into<String>,
    ) {
        self.fields.push(Field { name: name.into(), offset, length, value: value.into(), meaning: meaning.into() });
    }
}
