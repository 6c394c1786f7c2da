//! Order files: what they say, and how they are written.
//!
//! ```text
//! layout A (ps, cs, sc, vp)                     layout B (gp)
//!  1  U              CA mode                     1  U | 01         CA mode (01: un-pair)
//!  2  NNNNNN         transaction number          2  NNNNNN         transaction number
//!  3  product, U, or 00000001 (vp)               3  00000002 | 00001001   function
//!  4  start, or U                                4  payload in hex, or U
//!  5  end, or U                                  5-8  U
//!  6  U              priority? [I]               9  EMM
//!  7  EMM                                       10  count
//!  8  U                                         11.. numbers
//!  9  count                                      last  ZZZ
//! 10.. numbers
//!  last  ZZZ
//! ```

use std::fmt::Write;

use headgate_core::text::to_hex;

use super::{DeviceNumber, FileName, Message, OrderType, Period, ProductId, TransactionNumber};

/// An order file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its number: line 2, and part of its name.
    pub number: TransactionNumber,
    /// What it asks for.
    pub head: Head,
    /// For whom: cards; for [`Head::Unpair`] set-top boxes; for [`Head::Pair`] one card, then one box.
    pub numbers: Vec<DeviceNumber>,
}

/// What an order asks for: every line but the numbers. Requests with equal heads can share a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Head {
    /// `ps`: authorise a product over a period \[S:AB,AX,SGA\].
    Authorise(ProductId, Period),
    /// `cs`: cancel a product, with the same lines \[S:AB,AX,SGA\].
    Cancel(ProductId, Period),
    /// `sc`: ask for the authorisation status \[S:AB,AX,SGA\].
    Status,
    /// `vp`: pair \[S:SGA\].
    Pair,
    /// `gp` 00001001: un-pair \[S:SGA\].
    Unpair,
    /// `gp` 00000002: show a message \[S:SGA\].
    Message(Message),
}

/// What may differ from site to site in how a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// How a line ends.
    pub line_end: LineEnd,
    /// How many digits the count of numbers has.
    pub widths: CountWidths,
}

/// How a line ends. Both were in production \[S:AB,AX,SGA\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineEnd {
    /// With LF alone \[S:AB,AX\].
    #[default]
    Lf,
    /// With CR LF \[S:SGA\].
    Crlf,
}

impl LineEnd {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::Crlf => "\r\n",
        }
    }
}

/// How many digits the count of numbers has, by kind of order: 5 or 6 each. The sources differ, so a
/// platform seems to take either \[I\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CountWidths {
    /// In `ps`. Default 6.
    #[schemars(range(min = 5, max = 6))]
    pub ps: u8,
    /// In `cs`. Default 6.
    #[schemars(range(min = 5, max = 6))]
    pub cs: u8,
    /// In `sc`. Default 6.
    #[schemars(range(min = 5, max = 6))]
    pub sc: u8,
    /// In `vp`. Default 5.
    #[schemars(range(min = 5, max = 6))]
    pub vp: u8,
    /// In `gp` that un-pairs. Default 6.
    #[schemars(range(min = 5, max = 6))]
    pub unpair: u8,
    /// In `gp` that shows a message. Default 5.
    #[schemars(range(min = 5, max = 6))]
    pub message: u8,
}

impl Default for CountWidths {
    fn default() -> Self {
        Self { ps: 6, cs: 6, sc: 6, vp: 5, unpair: 6, message: 5 }
    }
}

impl CountWidths {
    const fn of(&self, head: &Head) -> usize {
        let width = match head {
            Head::Authorise(..) => self.ps,
            Head::Cancel(..) => self.cs,
            Head::Status => self.sc,
            Head::Pair => self.vp,
            Head::Unpair => self.unpair,
            Head::Message(_) => self.message,
        };
        width as usize
    }
}

/// Line 3 of a pairing order.
pub(super) const PAIR_PRODUCT: &str = "00000001";
/// Line 3 of an order that un-pairs.
pub(super) const UNPAIR_FUNCTION: &str = "00001001";
/// Line 3 of a message order.
pub(super) const MESSAGE_FUNCTION: &str = "00000002";
/// Line 1 of an order that un-pairs; elsewhere it is `U`.
pub(super) const UNPAIR_MODE: &str = "01";

impl Head {
    /// The type of order.
    #[must_use]
    pub const fn order_type(&self) -> OrderType {
        match self {
            Self::Authorise(..) => OrderType::PS,
            Self::Cancel(..) => OrderType::CS,
            Self::Status => OrderType::SC,
            Self::Pair => OrderType::VP,
            Self::Unpair | Self::Message(_) => OrderType::GP,
        }
    }

    /// The number of the line that holds the first device number.
    #[must_use]
    pub const fn first_number_line(&self) -> u32 {
        match self {
            Self::Authorise(..) | Self::Cancel(..) | Self::Status | Self::Pair => 10,
            Self::Unpair | Self::Message(_) => 11,
        }
    }

    /// The lines before the count.
    fn lines(&self, number: TransactionNumber) -> String {
        match self {
            Self::Authorise(product, period) | Self::Cancel(product, period) => {
                format!("U|{number}|{product}|{}|{}|U|EMM|U", period.start, period.end)
            }
            Self::Status => format!("U|{number}|U|U|U|U|EMM|U"),
            Self::Pair => format!("U|{number}|{PAIR_PRODUCT}|U|U|U|EMM|U"),
            Self::Unpair => format!("{UNPAIR_MODE}|{number}|{UNPAIR_FUNCTION}|U|U|U|U|U|EMM"),
            Self::Message(message) => {
                // A message that does not fit is refused before a head is made of it.
                let payload = to_hex(&message.encode().unwrap_or_default());
                format!("U|{number}|{MESSAGE_FUNCTION}|{payload}|U|U|U|U|EMM")
            }
        }
    }
}

impl Order {
    /// The name of its file.
    #[must_use]
    pub const fn file_name(&self) -> FileName {
        FileName { order_type: self.head.order_type(), number: self.number }
    }

    /// The file's bytes.
    #[must_use]
    pub fn encode(&self, style: &Style) -> Vec<u8> {
        encode(self.number, &self.head, self.numbers.len(), &self.numbers, style)
    }
}

/// Writes a file that says it has `count` numbers and lists `numbers`: for a whole file they agree,
/// an excerpt lists some only.
pub(crate) fn encode(
    number: TransactionNumber,
    head: &Head,
    count: usize,
    numbers: &[DeviceNumber],
    style: &Style,
) -> Vec<u8> {
    let end = style.line_end.as_str();
    let mut text = head.lines(number).replace('|', end);
    text.reserve(numbers.len() * 14 + 16);
    // Writing to a String can not fail.
    let _ = write!(text, "{end}{count:0width$}{end}", width = style.widths.of(head));
    for (index, device) in numbers.iter().enumerate() {
        text.push_str(match (head, index) {
            (Head::Pair, 0) => "S",
            (Head::Pair, _) => "V",
            _ => "",
        });
        text.push_str(device.as_str());
        text.push_str(end);
    }
    text.push_str("ZZZ");
    text.push_str(end);
    text.into_bytes()
}
