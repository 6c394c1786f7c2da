//! Effects carried out: what an adapter asks for, done on real sockets and files.

use bytes::Bytes;
use headgate_core::adapter::{EffectId, FileAnswer, FileError, LinkId};

/// Something that happened outside, on its way to an engine.
#[derive(Debug)]
pub enum DriverEvent {
    /// A link is open.
    Connected(LinkId),
    /// Bytes came.
    Received(LinkId, Bytes),
    /// A link is closed, or could not be opened.
    Closed(LinkId, String),
    /// A file call ended.
    File(EffectId, Result<FileAnswer, FileError>),
}

/// How a provider is reached.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Placeholder.
    pub address: Option<String>,
    /// Placeholder.
    pub directory: Option<std::path::PathBuf>,
}
