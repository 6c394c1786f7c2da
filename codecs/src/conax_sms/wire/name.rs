//! File names: `PPNNNNNN.emm`.

use std::fmt;

use nom::bytes::complete::{tag, take, take_while_m_n};
use nom::combinator::{all_consuming, map_opt};
use nom::{IResult, Parser};

/// What kind of order a file holds: the first two letters of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderType([u8; 2]);

impl OrderType {
    /// Authorise a product for cards over a period; also extend it \[S:AB,AX,SGA\].
    pub const PS: Self = Self(*b"ps");
    /// Cancel a product for cards \[S:AB,AX,SGA\].
    pub const CS: Self = Self(*b"cs");
    /// Ask for the authorisation status of cards \[S:AB,AX,SGA\].
    pub const SC: Self = Self(*b"sc");
    /// Pair one card with one set-top box \[S:SGA\].
    pub const VP: Self = Self(*b"vp");
    /// Un-pair set-top boxes, or show a message \[S:SGA\].
    pub const GP: Self = Self(*b"gp");

    /// The type of these two letters, lower case. Others than the known five may exist: which is not public.
    #[must_use]
    pub const fn new(letters: [u8; 2]) -> Option<Self> {
        if letters[0].is_ascii_lowercase() && letters[1].is_ascii_lowercase() { Some(Self(letters)) } else { None }
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The number of an order: line 2 of the file and part of its name, 1 to 999,999 \[S:SGA,AB\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionNumber(u32);

impl TransactionNumber {
    /// The highest number.
    pub const MAX: u32 = 999_999;

    /// The number, if it is in the range.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number >= 1 && number <= Self::MAX { Some(Self(number)) } else { None }
    }

    /// Its value.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Reads exactly six digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (_, number) = all_consuming(six_digits).parse_complete(text).ok()?;
        Some(number)
    }
}

impl fmt::Display for TransactionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

/// The name of an order file. It says nothing about a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// The kind of order.
    pub order_type: OrderType,
    /// Its number.
    pub number: TransactionNumber,
}

impl FileName {
    /// Reads a whole name, as in `ps000123.emm`; anything else is not one of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let letters = map_opt(take(2_usize), |s: &[u8]| OrderType::new(s.try_into().ok()?));
        let mut whole = all_consuming((letters, six_digits, tag(&b".emm"[..])));
        let parsed: IResult<&[u8], _> = whole.parse_complete(name.as_bytes());
        let (_, (order_type, number, _)) = parsed.ok()?;
        Some(Self { order_type, number })
    }

    /// The name under which the file is written before it is renamed: `ps000123.tmp` \[S:AB,AX\].
    #[must_use]
    pub fn temporary(&self, suffix: &str) -> String {
        format!("{}{}{suffix}", self.order_type.as_str(), self.number)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}.emm", self.order_type.as_str(), self.number)
    }
}

fn six_digits(input: &[u8]) -> IResult<&[u8], TransactionNumber> {
    let digits = take_while_m_n(6, 6, |b: u8| b.is_ascii_digit());
    map_opt(digits, |digits: &[u8]| TransactionNumber::new(str::from_utf8(digits).ok()?.parse().ok()?)).parse(input)
}
