//! `application/x-www-form-urlencoded`, and percent-encoding in paths.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The content type of a form.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// What stands for itself in a path segment or a query value: letters, digits and `-._~` (RFC 3986, "unreserved").
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one segment of a path, or one value of a query: nothing in it can end its place.
#[must_use]
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A percent-encoded segment as text; bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn unescape(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Writes a form, or a query.
#[derive(Clone, Debug, Default)]
pub struct Form(String);

impl Form {
    /// An empty form.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a field.
    pub fn push(&mut self, name: &str, value: &str) {
        form_urlencoded::Serializer::for_suffix(&mut self.0, 0).append_pair(name, value);
    }

    /// The form as it is sent.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

/// The fields of a form or a query, in order, decoded.
#[must_use]
pub fn parse(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_can_not_leave_their_place() {
        let form = Form::new().field("a[]", "1&b=2").field("t", "é \"<\0;").finish();
        assert_eq!(form, "a%5B%5D=1%26b%3D2&t=%C3%A9+%22%3C%00%3B");
        assert_eq!(
            parse(form.as_bytes()),
            [("a[]".to_owned(), "1&b=2".to_owned()), ("t".to_owned(), "é \"<\0;".to_owned())]
        );
        assert_eq!(escape("../a b?"), "..%2Fa%20b%3F");
        assert_eq!(unescape("..%2Fa%20b%3F"), "../a b?");
    }
}
