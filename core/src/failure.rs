//! Why something did not work, shaped by the two questions that decide what happens next: whose
//! fault is it, and may it be tried again?

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::Serial;

/// A refusal or a failure. Its text never holds secrets or subscriber data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Short and stable: the platform's own code, or one of ours in `snake_case`.
    pub code: Cow<'static, str>,
    /// What happened, for people: the platform's own words where there are some.
    pub text: String,
    /// Who must act.
    pub blame: Blame,
    /// Whether trying again can help.
    pub retry: Retry,
    /// Whether the platform may have acted.
    pub sent: Sent,
    /// Which parts did not work, where a command has many and the platform did the others. Empty: none of it was
    /// done, or nobody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<FailedPart>,
}

/// A part of a command that did not work, while others did: one card of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FailedPart {
    /// The device or the service.
    pub part: Serial,
    /// The platform's code.
    pub code: Cow<'static, str>,
    /// The platform's words.
    pub text: String,
}

impl Failure {
    /// The platform understood and said no. Final, unless the provider's `retry.codes` names the code.
    #[must_use]
    pub fn refused(code: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
            blame: Blame::Platform,
            retry: Retry::Never,
            sent: Sent::Yes,
            parts: Vec::new(),
        }
    }

    /// Nothing left for the platform; trying again later can help.
    #[must_use]
    pub fn not_sent(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
            blame: Blame::Link,
            retry: Retry::Later(None),
            sent: Sent::No,
            parts: Vec::new(),
        }
    }

    /// The platform did some parts and said no to these. Final: the code and text are those of the first.
    #[must_use]
    pub fn partial(parts: Vec<FailedPart>, of: usize) -> Self {
        let code = parts.first().map_or(Cow::Borrowed("refused_in_part"), |part| part.code.clone());
        let words = parts.first().map_or("", |part| part.text.as_str());
        let text = format!("{} of {of} were refused, the others done; the first: {words}", parts.len());
        Self { parts, ..Self::refused(code, text) }
    }

    /// It left, and no answer came.
    #[must_use]
    pub fn unanswered(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
            blame: Blame::Link,
            retry: Retry::Later(None),
            sent: Sent::Maybe,
            parts: Vec::new(),
        }
    }

    /// It can not be put into the platform's words; nothing left.
    #[must_use]
    pub fn unspeakable(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
            blame: Blame::Crm,
            retry: Retry::Never,
            sent: Sent::No,
            parts: Vec::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
    }
}

/// Who must act for it to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The CRM asked for something that can not be.
    Crm,
    /// Headgate itself, or its configuration.
    Gateway,
    /// The way between Headgate and the platform.
    Link,
    /// The platform refused, or answered nonsense.
    Platform,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It would fail the same way.
    Never,
    /// It may work later; after that long, where the platform said so.
    Later(Option<Duration>),
}

/// Whether the platform may have seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// Certainly not.
    No,
    /// It may have.
    Maybe,
    /// It answered.
    Yes,
}
