//! How a command ended, and what the platform told.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::text::{AccountNumber, CaId, PersonalText, PlatformReference, Secret, Serial, ServiceCode};

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
    /// Which services devices or accounts hold.
    Services(Vec<HeldServices>),
    /// What the platform knows of devices.
    Devices(Vec<KnownDevice>),
    /// What the platform knows of an account.
    Subscriber(KnownSubscriber),
    /// The credentials are good.
    Authenticated(Authenticated),
}

/// A device, as the platform knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KnownDevice {
    /// Its serial number, as the platform writes it.
    pub serial: Serial,
    /// Whether it may be used, where the platform tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The account it is under, where the platform tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountNumber>,
    /// What it is paired with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paired: Vec<Serial>,
    /// What else the platform tells, by its own names. No secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, PersonalText>,
}

/// An account, as the platform knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KnownSubscriber {
    /// Its number.
    pub account: AccountNumber,
    /// Its state in the platform's own words, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The devices under it, where the platform tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Serial>,
    /// The services it holds, where the platform tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<HeldService>,
    /// What else the platform tells, by its own names. No secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, PersonalText>,
}

/// Credentials that are good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Authenticated {
    /// The account they are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountNumber>,
    /// What proves it to third parties, where there is such a token. Shown to the CRM that asked, to nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// What one device, or one account, holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HeldServices {
    /// The smartcard, as the platform writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smartcard: Option<Serial>,
    /// The account, where services belong to accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountNumber>,
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
    /// Switched off for a while, where the platform tells it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
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
