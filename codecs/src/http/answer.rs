//! Answers that can not be understood, told apart: each protocol reads its own bodies, all fail in the same words.

use headgate_core::failure::{Blame, Failure, Retry, Sent};
use headgate_core::http::HttpAnswer;
use serde::de::DeserializeOwned;

/// The platform answered, but not so that anybody could tell what it did.
///
/// `why` holds nothing of the answer's content.
#[must_use]
pub fn unreadable(answer: &HttpAnswer, why: impl std::fmt::Display) -> Failure {
    let kind = answer.header("content-type").map_or("without a content type", |kind| known_kind(kind));
    Failure {
        code: "answer_unreadable".into(),
        text: format!("the answer can not be read: {why} (HTTP {}, {kind})", answer.status),
        blame: Blame::Platform,
        retry: Retry::Later(None),
        sent: Sent::Maybe,
        parts: Vec::new(),
    }
}

/// The platform, or what stands before it, has an error of its own: nobody can tell what it did.
#[must_use]
pub fn server_error(answer: &HttpAnswer) -> Failure {
    Failure {
        code: "server_error".into(),
        text: format!("the platform has an error of its own (HTTP {})", answer.status),
        blame: Blame::Platform,
        retry: Retry::Later(None),
        sent: Sent::Maybe,
        parts: Vec::new(),
    }
}

/// The platform does not accept how Headgate identifies itself (HTTP 401, 403): nothing was done.
#[must_use]
pub fn not_admitted(answer: &HttpAnswer) -> Failure {
    Failure {
        code: "not_admitted".into(),
        text: format!("the platform does not accept our credentials (HTTP {}); check them", answer.status),
        blame: Blame::Gateway,
        retry: Retry::Later(None),
        sent: Sent::No,
        parts: Vec::new(),
    }
}

/// Reads a JSON body. Nesting is limited by the parser to 128 levels; of a member that comes twice, a type made by
/// `derive(Deserialize)` says that it does.
///
/// # Errors
/// [`unreadable`], with the line and column.
pub fn json<T: DeserializeOwned>(answer: &HttpAnswer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        // The error's own words quote what was found.
        let what = match error.classify() {
            serde_json::error::Category::Syntax => "it is not JSON",
            serde_json::error::Category::Eof => "its JSON ends too early",
            serde_json::error::Category::Data => "its JSON is not of the expected form",
            serde_json::error::Category::Io => "it could not be read",
        };
        unreadable(answer, format_args!("{what} (line {}, column {})", error.line(), error.column()))
    })
}

/// A content type without what could be of interest to nobody, or to somebody else.
fn known_kind(kind: &str) -> &str {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let plain = kind.len() <= 40 && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-.".contains(&b));
    if plain { kind } else { "of an odd content type" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_answers_are_described_without_their_content() {
        let html = HttpAnswer::new(502, "text/html; charset=utf-8", "<html>card 0145</html>");
        let failure = json::<serde_json::Value>(&html).unwrap_err();
        assert_eq!(failure.text, "the answer can not be read: it is not JSON (line 1, column 1) (HTTP 502, text/html)");
        let data = HttpAnswer::new(200, "application/json", r#"{"a":"0145"}"#);
        assert!(!json::<u32>(&data).unwrap_err().text.contains("0145"));
        let odd = HttpAnswer::new(200, "0145 is the card", "");
        assert!(!unreadable(&odd, "x").text.contains("0145"));
    }
}
