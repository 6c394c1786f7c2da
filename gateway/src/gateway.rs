//! The running gateway: one engine task for each provider, one store, and the handle that the API and
//! the command line use.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::body::{Refusal, RequestBody};
use headgate_core::capabilities::Capabilities;
use headgate_core::dispatch::store::Finish;
use headgate_core::request::{Idempotency, RequestId, Source, State};
use headgate_core::text::ProviderName;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::config::{Config, ProviderState};
use crate::store::{Store, StoreError};

/// A running gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<()>,
}

impl Gateway {
    /// Opens the store, recovers what had not ended, and starts an engine for each provider.
    ///
    /// # Errors
    /// [`StartError`] if the store can not be opened or a provider's settings can not be.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        todo!()
    }

    /// Takes over a changed configuration: providers that are new, changed or gone; certificates.
    /// Providers that did not change keep their links.
    ///
    /// # Errors
    /// [`StartError`] if something in it can not be; then nothing has changed.
    pub async fn reload(&self, config: &Config) -> Result<(), StartError> {
        todo!()
    }

    /// Checks a request, stores it and starts it on its way. Returns once it is stored (durably,
    /// unless it is a query).
    ///
    /// `raw` is the JSON that `body` was read from; it is what the store keeps.
    ///
    /// # Errors
    /// [`AcceptError`]: then nothing was stored.
    pub async fn accept(&self, body: RequestBody, raw: Bytes, origin: Origin) -> Result<Accepted, AcceptError> {
        todo!()
    }

    /// Takes a waiting request back.
    ///
    /// # Errors
    /// [`ActionError`] if there is none, or it is not waiting.
    pub async fn cancel(&self, id: RequestId) -> Result<(), ActionError> {
        todo!()
    }

    /// Sends a request again that ended as failed, unknown, rejected, cancelled or expired; or at once one
    /// that waits for a run or a retry.
    ///
    /// # Errors
    /// [`ActionError`] if there is none, or it completed or is being sent.
    pub async fn retry(&self, id: RequestId) -> Result<(), ActionError> {
        todo!()
    }

    /// Says how an unknown request really ended.
    ///
    /// # Errors
    /// [`ActionError`] if there is none, or it is not unknown.
    pub async fn resolve(&self, id: RequestId, resolution: Resolution) -> Result<(), ActionError> {
        todo!()
    }

    /// Every provider, by name, as it stands now.
    pub async fn providers(&self) -> Vec<ProviderStatus> {
        todo!()
    }

    /// Switches a provider on or off. Lasts until the next start or reload.
    ///
    /// # Errors
    /// [`ActionError::NotFound`] if there is none of that name.
    pub async fn set_state(&self, name: &ProviderName, state: ProviderState) -> Result<(), ActionError> {
        todo!()
    }

    /// The store, for reading.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        todo!()
    }

    /// Stops: accepts nothing more, waits up to `drain` for what is in flight, closes the store.
    /// What still waits stays in the store.
    pub async fn stop(&self, drain: Duration) -> Result<(), StoreError> {
        todo!()
    }
}

/// Where a request came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Who made it.
    pub source: Source,
    /// The key that makes a repeat recognisable.
    pub idempotency: Option<Idempotency>,
}

/// A request that is stored.
#[derive(Debug)]
pub struct Accepted {
    /// Its id.
    pub id: RequestId,
    /// Its number.
    pub number: u64,
    /// `waiting`, or `sent`.
    pub state: State,
    /// Resolves when it ends. An error means that the gateway stopped first; the request is in the store.
    pub finish: oneshot::Receiver<Arc<Finish>>,
}

/// Why a request was not accepted. Nothing was stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcceptError {
    /// It can not be: the field at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The provider's queue is full, or its engine can not keep up.
    #[error("the queue of this provider is full; try again in {} s", retry_after.as_secs())]
    Busy {
        /// When trying again can help.
        retry_after: Duration,
    },
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
    /// The idempotency key was used in the meantime.
    #[error("another request with this idempotency key was accepted in the meantime")]
    KeyTaken,
    /// The store could not keep it.
    #[error("the request could not be stored: {0}")]
    Store(String),
}

/// Why something could not be done to a request or a provider.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ActionError {
    /// There is none.
    #[error("not found")]
    NotFound,
    /// Not in this state.
    #[error("not possible while the request is {0}")]
    WrongState(State),
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How an unknown request really ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The platform did it.
    Completed,
    /// It did not, and will not be asked again.
    Failed,
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A provider can not be: the path in the configuration and what is wrong there.
    #[error("provider {provider:?}: {path}: {text}")]
    Provider {
        /// Which provider.
        provider: ProviderName,
        /// Path below the provider's table.
        path: String,
        /// What is wrong.
        text: String,
    },
}

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
    pub capabilities: Arc<Capabilities>,
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
