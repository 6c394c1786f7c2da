//! Calls and answers, and the two bindings that put them into words: [`json`] and [`soap`].
//!
//! An [`Operation`] with a session makes a [`Call`]; a binding writes it and reads what comes back as a [`Reply`]. The
//! platform's side reads the call and writes the reply with the same two files.

pub mod json;
pub mod operations;
pub mod records;
pub mod soap;
#[cfg(test)]
mod tests;
pub mod value;

use std::borrow::Cow;
use std::fmt;

use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall, HttpRequest};
use jiff::tz::TimeZone;

pub use self::operations::{LOGGED_IN, Operation};
use self::value::{Member, Record, Value};

/// The name of the parameter that every call but a login begins with.
pub const SESSION: &str = "sessionId";

/// SOAP's times have a zone of their own; those that lack it are taken for UTC \[I\].
static SOAP_ZONE: TimeZone = TimeZone::UTC;

/// A function with its parameters, the session among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The function's name as the JSON binding has it: without `cv`, the first letter small.
    pub function: Cow<'static, str>,
    /// Its parameters in the platform's order.
    pub parameters: Vec<Member>,
    /// Whether only the larger, unstable set of the SOAP binding has it.
    pub unstable: bool,
    /// Whether it changes nothing.
    pub harmless: bool,
}

impl Call {
    /// An operation within a session.
    #[must_use]
    pub fn new(operation: &Operation, session: &str) -> Self {
        let mut parameters = vec![session_of(session)];
        parameters.extend(operation.parameters());
        Self {
            function: operation.function().into(),
            parameters,
            unstable: operation.is_unstable(),
            harmless: operation.is_harmless(),
        }
    }

    /// A function that only its caller knows, within a session.
    #[must_use]
    pub fn other(function: &str, parameters: &[Member], session: &str) -> Self {
        let mut all = vec![session_of(session)];
        all.extend_from_slice(parameters);
        Self { function: plain(function).into(), parameters: all, unstable: true, harmless: false }
    }
}

impl fmt::Debug for Call {
    /// Secrets and subscriber data: only its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.function)
    }
}

fn session_of(session: &str) -> Member {
    (SESSION.into(), Value::Text(session.to_owned()))
}

/// What the platform answers: a value, or a refusal.
pub type Reply = Result<Value, ServiceError>;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// Its name, as in `not_a_smartcard`.
    pub code: String,
    /// The platform's words; the name again where there are none.
    pub text: String,
}

impl ServiceError {
    /// Most characters that are kept of the platform's words.
    const LIMIT: usize = 500;

    /// A refusal with the platform's words, cut where they are far too long.
    #[must_use]
    pub fn new(code: &str, text: &str) -> Self {
        let cut = |text: &str| text.trim().chars().take(Self::LIMIT).collect::<String>();
        let (code, text) = (cut(code), cut(text));
        let code = if code.is_empty() { "refused".to_owned() } else { code };
        Self { text: if text.is_empty() { code.clone() } else { text }, code }
    }
}

/// Which words are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Form fields in, JSON out.
    Json(json::Dialect),
    /// SOAP 1.1, rpc/encoded.
    Soap(soap::Dialect),
}

impl Binding {
    /// Writes a call. `prefixed`: with the function's other spelling, where the binding has two.
    ///
    /// # Errors
    /// [`Failure`] if a text holds what the binding can not carry.
    pub fn write_call(&self, call: &Call, prefixed: bool) -> Result<HttpCall, Failure> {
        let written = match self {
            Self::Json(dialect) => json::write_call(dialect, call, prefixed),
            Self::Soap(dialect) => soap::write_call(dialect, call)
                .map_err(|error| Failure::unspeakable("unwritable", error.to_string()))?,
        };
        Ok(HttpCall { harmless: call.harmless, ..written })
    }

    /// Reads an answer to a call of that function.
    ///
    /// # Errors
    /// [`Failure`] if it can not be read: nobody knows what the platform did.
    pub fn read_reply(&self, function: &str, answer: &HttpAnswer) -> Result<Reply, Failure> {
        match self {
            Self::Json(_) => json::read_reply(answer),
            Self::Soap(dialect) => soap::read_reply(dialect, function, answer),
        }
    }

    /// Reads a call, as the platform does.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read_call(&self, request: &HttpRequest) -> Result<Call, String> {
        match self {
            Self::Json(_) => json::read_call(request),
            Self::Soap(dialect) => soap::read_call(dialect, request),
        }
    }

    /// Writes a reply to a call of that function, as the platform does.
    #[must_use]
    pub fn write_reply(&self, function: &str, reply: &Reply) -> HttpAnswer {
        match self {
            Self::Json(dialect) => json::write_reply(dialect, reply),
            Self::Soap(dialect) => soap::write_reply(dialect, function, reply),
        }
    }

    /// Where times without a zone are read.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        match self {
            Self::Json(dialect) => &dialect.zone,
            Self::Soap(_) => &SOAP_ZONE,
        }
    }

    /// Whether a function has two spellings, of which an account may be allowed only one.
    #[must_use]
    pub const fn has_spellings(&self) -> bool {
        matches!(self, Self::Json(_))
    }
}

/// The function's name in the SOAP binding: `addSmartcard` becomes `cvAddSmartcard`.
#[must_use]
pub fn prefixed(function: &str) -> String {
    let mut chars = function.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    "cv".chars().chain(first).chain(chars).collect()
}

/// The function's name without the prefix: `cvAddSmartcard` becomes `addSmartcard`.
#[must_use]
pub fn plain(name: &str) -> String {
    match name.strip_prefix("cv") {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_uppercase()) => {
            let mut chars = rest.chars();
            chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
        }
        _ => name.to_owned(),
    }
}

/// The parameters of a call, as a record to read an operation from; the session taken out.
#[must_use]
pub fn without_session(call: &Call) -> (Option<String>, Record) {
    let mut members = call.parameters.clone();
    let at = members.iter().position(|(name, _)| name == SESSION);
    let session = match at.map(|at| members.swap_remove(at).1) {
        Some(Value::Text(session)) => Some(session),
        _ => None,
    };
    (session, Record { kind: Cow::Borrowed(""), members })
}

/// Whether the binding can carry a text.
///
/// # Errors
/// What it can not carry, in words.
pub fn check_text(binding: &Binding, text: &str) -> Result<(), String> {
    match binding {
        Binding::Json(_) => Ok(()),
        Binding::Soap(_) => crate::xml::write::check(text).map_err(|error| error.to_string()),
    }
}
