//! Bounded text: names and numbers that are checked once, where they enter, and never printed by
//! accident when they belong to a subscriber.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Why a text was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It has no characters.
    #[error("must not be empty")]
    Empty,
    /// It is longer than its kind allows.
    #[error("must have at most {limit} characters")]
    TooLong {
        /// The limit, in characters.
        limit: usize,
    },
    /// It holds a control character, which no platform or log could carry safely.
    #[error("must not contain control characters")]
    Control,
}

fn check(text: &str, limit: usize) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    // Bytes are counted first: characters are never more than bytes, so the common case is one compare.
    if text.len() > limit && text.chars().count() > limit {
        return Err(TextError::TooLong { limit });
    }
    if text.chars().any(char::is_control) {
        return Err(TextError::Control);
    }
    Ok(())
}

macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, $limit:literal, $debug:expr) => {
        $(#[$doc])*
        ///
        #[doc = concat!("One to ", stringify!($limit), " characters, none of them a control character.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(#[schemars(length(min = 1, max = $limit))] Arc<str>);

        impl $name {
            /// The most characters one may have.
            pub const LIMIT: usize = $limit;

            /// Checks and keeps `text`.
            ///
            /// # Errors
            /// [`TextError`] if it is empty, too long or holds a control character.
            pub fn new(text: &str) -> Result<Self, TextError> {
                check(text, Self::LIMIT)?;
                Ok(Self(Arc::from(text)))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                Self::from(&*text.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let show: fn(&str, &mut fmt::Formatter<'_>) -> fmt::Result = $debug;
                show(&self.0, f)
            }
        }
    };
}

/// For configuration data: shown as it is.
fn shown(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fmt::Debug::fmt(text, f)
}

/// For subscriber data: only its length is shown.
fn hidden(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "<{} characters>", text.chars().count())
}

bounded_text! {
    /// The name of a provider in the configuration.
    ProviderName, 64, shown
}
bounded_text! {
    /// The CRM's code of a service (a product, a package).
    ServiceCode, 64, shown
}
bounded_text! {
    /// A platform's own id of a service: CRM.COM's *CA ID*.
    CaId, 64, shown
}
bounded_text! {
    /// The CRM's number of a subscription. Subscriber data: `Debug` shows only its length.
    SubscriptionNumber, 64, hidden
}
bounded_text! {
    /// The serial number of a device: smartcard, set-top box. Subscriber data: `Debug` shows only
    /// its length.
    Serial, 64, hidden
}
bounded_text! {
    /// The platform's number of an account, where it is not the subscription's. Subscriber data: `Debug` shows only
    /// its length.
    AccountNumber, 64, hidden
}
bounded_text! {
    /// The name of a viewing point of a subscription (living room, bedroom): CRM.COM's *provisioning distributor*.
    DistributorName, 64, shown
}
bounded_text! {
    /// The CRM's type of a subscription: residential, hotel, demo.
    SubscriptionKind, 64, shown
}
bounded_text! {
    /// A platform's own type of hardware, where it is neither a smartcard nor a set-top box.
    HardwareType, 64, shown
}
bounded_text! {
    /// The name of a run's definition.
    DefinitionName, 64, shown
}
bounded_text! {
    /// What one item of a run is about, in the order in which the run goes: a subscription's number. Subscriber data:
    /// `Debug` shows only its length.
    ItemKey, 256, hidden
}
bounded_text! {
    /// Something personal: a name, an address. Subscriber data: `Debug` shows only its length.
    PersonalText, 256, hidden
}
bounded_text! {
    /// The CRM's own reference of a request, given back with its outcome.
    Reference, 128, shown
}
bounded_text! {
    /// The platform's own number of a request: a transaction number, an order file's name.
    PlatformReference, 256, shown
}

/// A value that must never be shown: a PIN, a password. Wiped from memory when dropped.
///
/// It is written in clear where it is serialised, because that is how it reaches the store; who
/// shows a command to a person masks it first ([`crate::body::RequestBody::mask`]).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The value itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String can not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Why a text is not hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// A digit is missing at the end.
    #[error("hexadecimal text must have an even number of digits")]
    Odd,
    /// Not one of `0-9a-fA-F`.
    #[error("not a hexadecimal digit at character {at}")]
    Digit {
        /// Counted from one, white space left out.
        at: usize,
    },
}

/// Reads hexadecimal digits of either case; white space between them is passed over.
///
/// # Errors
/// [`HexError`] if a character is no digit or one digit is left over.
pub fn from_hex(text: &str) -> Result<Vec<u8>, HexError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for (index, c) in text.chars().filter(|c| !c.is_whitespace()).enumerate() {
        let digit = c.to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(HexError::Digit { at: index + 1 })?;
        match high.take() {
            None => high = Some(digit << 4),
            Some(h) => bytes.push(h | digit),
        }
    }
    if high.is_some() { Err(HexError::Odd) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_empty_long_and_control() {
        assert_eq!(Serial::new(""), Err(TextError::Empty));
        assert_eq!(Serial::new(&"9".repeat(65)), Err(TextError::TooLong { limit: 64 }));
        assert_eq!(Serial::new("12\n34"), Err(TextError::Control));
        assert!(Serial::new(&"é".repeat(64)).is_ok());
    }

    #[test]
    fn subscriber_data_and_secrets_are_not_printed() {
        let printed = format!("{:?} {:?}", Serial::new("014500").unwrap(), Secret::new("1234"));
        assert_eq!(printed, "<6 characters> <secret>");
    }

    #[test]
    fn hex_both_ways() {
        assert_eq!(from_hex("0a FF").as_deref(), Ok(&[0x0a, 0xff][..]));
        assert_eq!(to_hex(&[0x0a, 0xff]), "0aff");
        assert_eq!(from_hex("0a f"), Err(HexError::Odd));
        assert_eq!(from_hex("0ag0"), Err(HexError::Digit { at: 3 }));
    }
}
