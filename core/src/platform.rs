//! The platform's side of a protocol: a machine of the same shape as an adapter, with real state.
//!
//! A platform keeps what a real one keeps (cards, entitlements, pairings, PINs, messages) and refuses
//! what a real one would refuse. Joined to an adapter in memory it makes a simulation; put behind a
//! socket or on a directory by the gateway it makes `headgate simulate`. What it holds can be read
//! ([`Platform::holdings`]) and compared with what a CRM wanted, and it can be told to misbehave
//! ([`Fault`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::adapter::{Effect, EffectId, Input};
use crate::table::TableShape;
use crate::time::{Deadline, Now};

/// The platform's side of one provider. Called like an [`crate::adapter::Adapter`], with
/// [`Input::Connected`] meaning that somebody connected.
pub trait Platform: Send {
    /// Takes note of something that happened.
    fn handle_input(&mut self, now: Now, input: Input<'_>);

    /// What should happen next. Drain until [`PlatformOutput::Wait`].
    #[must_use = "an output that is not carried out is lost"]
    fn poll_output(&mut self) -> PlatformOutput;

    /// The directories it works on, for platforms that are reached by files: they are there before anybody looks.
    fn directories(&self) -> Vec<String> {
        Vec::new()
    }

    /// The tables it works on, for platforms that are reached by a database: they are there before anybody looks.
    fn tables(&self) -> Vec<TableShape> {
        Vec::new()
    }

    /// What it holds now.
    fn holdings(&self) -> &Holdings;

    /// Misbehaves this way once, at the next request (or answer) it applies to. Faults wait in a queue.
    ///
    /// # Errors
    /// The fault, if this platform can not have it.
    fn inject(&mut self, fault: Fault) -> Result<(), Fault>;
}

/// What a platform wants to happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformOutput {
    /// Carry this out.
    Do(EffectId, Effect),
    /// Nothing more, until something happens or the deadline passes.
    Wait(Option<Deadline>),
}

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Answer bytes that mean nothing.
    Garbage,
    /// Do it, and answer with a number nobody used.
    WrongNumber,
    /// Do it, send half of the answer, then nothing more on this link.
    HalfFrame,
    /// Do it, answer twice.
    DuplicateAnswer,
    /// Do it, never answer.
    Silence,
    /// Close the link before reading the request.
    CloseBefore,
    /// Do it, close the link instead of answering.
    CloseInstead,
    /// Do it, answer, close the link.
    CloseAfter,
    /// Do it at once, answer this many milliseconds later.
    Delay(u32),
    /// Refuse as if the card were not known.
    UnknownCard,
    /// Refuse because too much is asked; the platform asks for a pause.
    Throttle,
    /// Refuse the next login or session opening.
    RefuseLogin,
    /// Forget every session: whoever uses one is refused until the next login.
    LoseSessions,
    /// Do it, and answer with an error of the server (HTTP 500) in a form nobody expects.
    ServerError,
    /// Do it, and answer with far more than anybody takes.
    Oversized,
}

impl Fault {
    /// How long the answer waits.
    #[must_use]
    pub const fn delay(self) -> Duration {
        match self {
            Self::Delay(millis) => Duration::from_millis(millis as u64),
            _ => Duration::ZERO,
        }
    }
}

/// What a platform holds, in words no vendor owns, so that a test can compare it with what the CRM asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holdings {
    /// Every card the platform knows, by number.
    pub cards: BTreeMap<String, Card>,
    /// Every account the platform knows, by number, where it has accounts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<String, Account>,
    /// The messages shown to everybody, or to a part of the network, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broadcasts: Vec<String>,
    /// How many logins were granted, where there are logins.
    #[serde(skip_serializing_if = "is_zero")]
    pub logins: u64,
    /// How many requests changed something or were refused, for counting repeats.
    pub applied: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its state in the platform's own words; empty: it has none but being there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// The devices under it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub devices: BTreeSet<String>,
    /// What it may show on every device, by the platform's id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Holding>,
    /// Its PIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// What the platform was told of the subscriber, by the platform's own names. No passwords.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The messages shown, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
    /// How often its sessions were ended.
    #[serde(skip_serializing_if = "is_u32_zero")]
    pub sessions_removed: u32,
    /// The uses that were granted, by the CRM's id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub usages: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_u32_zero(number: &u32) -> bool {
    *number == 0
}

/// One card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Card {
    /// Why it is disabled; absent: enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<String>,
    /// What it may show, by the platform's id.
    pub services: BTreeMap<String, Holding>,
    /// The boxes it is paired with.
    pub stbs: BTreeSet<String>,
    /// Its PIN; absent: none. The default is shown as `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// The messages shown, in order, the newest last.
    pub messages: Vec<String>,
    /// How often a fingerprint was shown.
    pub fingerprints: u32,
    /// How often its entitlements were sent again.
    pub refreshes: u32,
}

/// One service on one card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Switched off for a while.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}
