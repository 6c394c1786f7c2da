//! What OMI says on the wire: SOAP 1.1, rpc / literal \[S:FIM\].
//!
//! The element of an operation is in the namespace [`OMI`], its parts are in none, and what is in the parts is in the
//! namespace [`TYPES`]. Every complex type is a sequence: the order of elements matters \[S:FIM\]. [`value`] reads and
//! writes single values, [`sets`] are the closed sets of words, [`types`] the complex types, [`operations`] the table of
//! all operations, [`call`] what is asked and [`reply`] what is answered.

pub mod call;
pub mod operations;
pub mod reply;
pub mod sets;
#[cfg(test)]
mod tests;
pub mod types;
pub mod value;

pub use self::call::{Call, QueryParts, RawCall};
pub use self::operations::{Form, OPERATIONS, Operation, Service, find};
pub use self::reply::{ItemResult, Reply, ReplyError};
pub use self::value::{Content, Misfit, Strictness};

/// The namespace of operations \[S:FIM\].
pub const OMI: &str = "http://www.verimatrix.com/omi";

/// The namespace of everything below the parts \[S:FIM\].
pub const TYPES: &str = "http://www.verimatrix.com/schemas/OMItypes.xsd";

/// The prefixes that we write. Those of others are never relied on.
const PREFIXES: &[(&str, &str)] = &[("omi", OMI), ("t", TYPES)];
