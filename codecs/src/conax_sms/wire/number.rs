//! Numbers of cards, set-top boxes and products.

use std::fmt;

use crate::conax_card;

/// Most digits of a set-top box. Their form is not public; this is only a bound.
pub(super) const STB_DIGITS: usize = 20;

/// The number of a card or a set-top box, as sent. Subscriber data: `Debug` shows only its length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    digits: [u8; STB_DIGITS],
    length: u8,
}

impl DeviceNumber {
    /// A card's 11 digits, as they stand in a file.
    #[must_use]
    pub fn card(digits: &[u8]) -> Option<Self> {
        if digits.len() == conax_card::DIGITS { Self::new(digits) } else { None }
    }

    /// A set-top box's digits, 1 to 20, as they stand in a file.
    #[must_use]
    pub fn stb(digits: &[u8]) -> Option<Self> {
        Self::new(digits)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let digits = self.digits.get(..usize::from(self.length)).unwrap_or_default();
        str::from_utf8(digits).unwrap_or_default()
    }

    fn new(text: &[u8]) -> Option<Self> {
        let mut digits = [0; STB_DIGITS];
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        digits.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { digits, length: u8::try_from(text.len()).ok()? })
    }
}

impl fmt::Debug for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} digits>", self.length)
    }
}

/// How serial numbers become numbers as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberRules {
    /// What a card's 11 digits must begin with; empty: anything.
    pub card_prefix: String,
    /// What a set-top box's digits must begin with; empty: anything.
    pub stb_prefix: String,
}

/// Why a serial number can not be sent. Does not hold the number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// A card with other than 11 or 12 digits.
    #[error("{}", conax_card::FORM)]
    Card,
    /// A set-top box with other than 1 to 20 digits.
    #[error("a set-top box number must have 1 to 20 digits")]
    Stb,
    /// It begins with something else.
    #[error("the number must begin with {0}")]
    Prefix(String),
}

impl NumberRules {
    /// A card, by its 11 digits as sent: see [`conax_card::as_sent`].
    ///
    /// # Errors
    /// [`NumberError`] if it has another form or prefix.
    pub fn card(&self, serial: &str) -> Result<DeviceNumber, NumberError> {
        let sent = conax_card::as_sent(serial).and_then(|digits| DeviceNumber::card(digits.as_bytes()));
        check_prefix(sent.ok_or(NumberError::Card)?, &self.card_prefix)
    }

    /// A set-top box: its digits as they are; whether it has a check digit is unknown.
    ///
    /// # Errors
    /// [`NumberError`] if it has another form or prefix.
    pub fn stb(&self, serial: &str) -> Result<DeviceNumber, NumberError> {
        check_prefix(DeviceNumber::stb(serial.as_bytes()).ok_or(NumberError::Stb)?, &self.stb_prefix)
    }
}

fn check_prefix(number: DeviceNumber, prefix: &str) -> Result<DeviceNumber, NumberError> {
    if number.as_str().starts_with(prefix) { Ok(number) } else { Err(NumberError::Prefix(prefix.to_owned())) }
}

/// A product, written with 8 digits in order files; in status answers perhaps without the leading
/// zeros, which is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductId(u32);

impl ProductId {
    /// Reads 1 to 8 digits, with or without leading zeros.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if fits { text.parse().ok().map(Self) } else { None }
    }

    /// Its value.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}
