//! What lies in the directories: file names, order files, `errors.txt` and status answers.
//!
//! Marks: \[S\] a source of the fact sheet states it, \[I\] inferred there.

mod errors_file;
mod lines;
mod message;
mod name;
mod number;
mod order;
mod order_reader;
mod status;
mod time;

#[cfg(test)]
mod tests;

pub use errors_file::{ErrorCode, ErrorEntry, ErrorsFile, Tail};
pub use message::{CLASS, Message, PAYLOAD_LIMIT, PackedTime, Repeat, TlvError, TlvField};
pub use name::{FileName, OrderType, TransactionNumber};
pub use number::{DeviceNumber, NumberError, NumberRules, ProductId};
pub(crate) use order::encode;
pub use order::{CountWidths, Head, LineEnd, Order, Style};
pub use order_reader::{LINE_LIMIT, ReadLine};
pub use status::{CardStatus, ProductStatus, Status};
pub use time::{OrderTime, Period};

/// Why bytes were not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes could make it whole.
    #[error("it ends too early, at byte {offset}")]
    Incomplete {
        /// Where it ends, in bytes from zero.
        offset: usize,
    },
    /// No further byte helps.
    #[error("line {line}, byte {offset}: {what}")]
    Malformed {
        /// The line, from one.
        line: u32,
        /// The first byte of what does not fit, from zero.
        offset: usize,
        /// What was expected. Holds no content of the file.
        what: String,
        /// The code the platform answers this with, where the fact sheet knows one.
        code: Option<ErrorCode>,
    },
}
