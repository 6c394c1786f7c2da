//! How a provider stands, for people and programs that ask.

use headgate_core::capabilities::Capabilities;
use headgate_core::text::ProviderName;
use serde::Serialize;

use crate::config::ProviderState;

/// A provider as it stands.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Provider")]
pub struct ProviderStatus {
    /// Its name.
    pub name: ProviderName,
    /// Its protocol.
    pub protocol: &'static str,
    /// What of the protocol's wire form is not confirmed by a public source; empty: all is.
    pub unconfirmed: &'static str,
    /// Whether anything is sent to it.
    pub state: ProviderState,
    /// Whether it can be reached.
    pub health: Health,
    /// Links that are up.
    pub links_up: usize,
    /// Requests accepted and not sent.
    pub waiting: usize,
    /// Requests sent and not answered.
    pub in_flight: usize,
    /// The breaker: `closed`, `open`, `half_open`.
    pub breaker: &'static str,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// Whether a provider can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// A link is up and the breaker is closed.
    Up,
    /// A link is up, but it fails, or the platform asked for a pause.
    Degraded,
    /// No link is up.
    Down,
}
