//! Why the gateway did not do what it was asked for.

use std::time::Duration;

use headgate_core::body::Refusal;
use headgate_core::request::State;
use headgate_core::text::ProviderName;

use crate::store::StoreError;

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

/// Why a call of the platform's side was not answered by its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no provider of that name.
    #[error("there is no provider of that name")]
    UnknownProvider,
    /// Nobody fetches the work of this provider: Headgate calls its platform.
    #[error("nobody fetches the work of this provider: Headgate calls its platform")]
    NotServed,
    /// It is stopping.
    #[error("the provider is stopping")]
    Stopping,
}

/// Why something could not be done to a request or a provider.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ActionError {
    /// There is none.
    #[error("not found")]
    NotFound,
    /// Not in this state.
    #[error("the request is {0}")]
    WrongState(State),
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A provider can not be: the path in the configuration and what is wrong there.
    #[error("provider {provider:?}: {path}{}{text}", if path.is_empty() { "" } else { ": " })]
    Provider {
        /// Which provider.
        provider: ProviderName,
        /// Path below the provider's table.
        path: String,
        /// What is wrong.
        text: String,
    },
    /// A pull can not be, likewise.
    #[error("pull {pull:?}: {path}{}{text}", if path.is_empty() { "" } else { ": " })]
    Pull {
        /// Which pull.
        pull: String,
        /// Path below the pull's table.
        path: String,
        /// What is wrong.
        text: String,
    },
}
