//! How a command ended, and what the platform told.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::text::{CaId, PlatformReference, Serial, ServiceCode};

/// How one submission to an adapter ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Done, refused, or not known.
    pub verdict: Verdict,
    /// The platform's own number for it.
    pub reference: Option<PlatformReference>,
    /// What went out and what came back.
    pub exchange: Exchange,
}

impl Outcome {
    /// An outcome without a conversation: decided before anything was sent.
    #[must_use]
    pub fn unsent(failure: Failure) -> Self {
        Self { verdict: Verdict::Failed(failure), reference: None, exchange: Exchange::default() }
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The platform did it, and answered this.
    Completed(Option<Answer>),
    /// The platform said no: its code and text verbatim.
    Rejected(Failure),
    /// It could not be asked, or did not answer; [`Failure::sent`] tells which.
    Failed(Failure),
}

/// The literal bytes of a conversation. Subscriber data: `Debug` shows only their lengths.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// As sent, all messages of the submission one after the other.
    pub request: Bytes,
    /// As received, likewise.
    pub response: Bytes,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange(>{} bytes, <{} bytes)", self.request.len(), self.response.len())
    }
}

/// What a platform told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// What devices are paired with.
    Pairings(Vec<Pairing>),
    /// Bytes as they came, hexadecimal where shown.
    Raw(RawAnswer),
    /// Which services devices hold.
    Services(Vec<HeldServices>),
}

/// One device's services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HeldServices {
    /// The smartcard, as the platform writes it.
    pub smartcard: Serial,
    /// What it holds; empty: not authorised for anything.
    pub services: Vec<HeldService>,
}

/// One service a device holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HeldService {
    /// The CRM's code, where the provider's mapping knows the platform's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<ServiceCode>,
    /// The platform's id.
    pub ca_id: CaId,
    /// Since when, where the platform tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Until when, where the platform tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// One smartcard and the boxes it works in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pairing {
    /// The smartcard.
    pub smartcard: Serial,
    /// The boxes; empty: not paired.
    pub stbs: Vec<Serial>,
}

/// The answer to a raw message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct RawAnswer(pub Bytes);

impl fmt::Debug for RawAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawAnswer(<{} bytes>)", self.0.len())
    }
}

impl From<RawAnswer> for String {
    fn from(raw: RawAnswer) -> Self {
        crate::text::to_hex(&raw.0)
    }
}

impl TryFrom<String> for RawAnswer {
    type Error = crate::text::HexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        crate::text::from_hex(&text).map(|bytes| Self(bytes.into()))
    }
}
