//! A request: a command with everything that says who asked, for whom, when and how urgently.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::body::RequestBody;
use crate::command::Command;
use crate::text::{AccountNumber, ProviderName, Reference, SubscriptionNumber};

/// The id of a request: a UUID of version 7, made by the driver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct RequestId(pub Uuid);

impl RequestId {
    /// When it was made, to the millisecond: a UUID of version 7 tells. 1970 for any other.
    #[must_use]
    pub fn made_at(self) -> Timestamp {
        let time = self.0.get_timestamp().map(|time| time.to_unix());
        let time = time.and_then(|(seconds, nanoseconds)| {
            Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
        });
        time.unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A request as it was accepted. It never changes; its [`State`] is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// Its human number. Numbers grow in the order of acceptance, so they also tell which of two
    /// requests of one subscription goes first.
    pub number: u64,
    /// Which provider carries it out.
    pub provider: ProviderName,
    /// Whose it is. Requests of one subscription go out one after the other, in order.
    pub subscription: Option<SubscriptionNumber>,
    /// The platform's number of the account, where it is not the subscription's.
    pub account: Option<AccountNumber>,
    /// What to do.
    pub command: Command,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether it goes out by itself or waits for a run.
    pub process: Process,
    /// It does not go out before this time.
    pub not_before: Option<Timestamp>,
    /// It does not go out after this time; still waiting then, it ends as [`State::Expired`].
    pub expires: Option<Timestamp>,
    /// The CRM's own reference.
    pub reference: Option<Reference>,
    /// Who made it.
    pub source: Source,
    /// When it was accepted.
    pub created: Timestamp,
    /// The JSON it came as, kept to read it again after a restart.
    pub body: Body,
    /// What makes a repeat of it recognisable; kept in the transaction that accepts it.
    pub idempotency: Option<Idempotency>,
}

impl Request {
    /// The request that `body` makes, `command` being its [`RequestBody::command`]: without a number yet, from
    /// [`Source::Api`], accepted when `id` was made, with no JSON to keep and no key.
    #[must_use]
    pub fn new(id: RequestId, body: &RequestBody, command: Command) -> Self {
        Self {
            id,
            number: 0,
            provider: body.provider.clone(),
            subscription: body.subscription.clone(),
            account: body.account.clone(),
            command,
            priority: body.priority,
            process: body.process,
            not_before: body.not_before,
            expires: body.expires,
            reference: body.reference.clone(),
            source: Source::Api,
            created: id.made_at(),
            body: Body::default(),
            idempotency: None,
        }
    }
}

/// Recognises a request that is posted twice: the same key and the same body mean the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's key, with the caller's name before it and the place in the array behind it.
    pub key: String,
    /// SHA-256 of the body the key came with.
    pub digest: [u8; 32],
}

impl Request {
    /// The platform's number of the account: the request's own, or else the subscription's.
    #[must_use]
    pub fn account_number(&self) -> Option<&str> {
        let own = self.account.as_ref().map(AccountNumber::as_str);
        own.or_else(|| self.subscription.as_ref().map(SubscriptionNumber::as_str))
    }

    /// What must go out one after the other: the subscription, or else the device; requests
    /// with neither are not ordered.
    #[must_use]
    pub fn lane(&self) -> Option<LaneKey> {
        if let Some(subscription) = &self.subscription {
            return Some(LaneKey::Subscription(subscription.clone()));
        }
        let device = self.command.devices()?.first()?;
        Some(LaneKey::Device(device.clone()))
    }
}

/// What orders requests: see [`Request::lane`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneKey {
    /// One subscription.
    Subscription(SubscriptionNumber),
    /// One device, for requests that name no subscription.
    Device(crate::text::Serial),
}

/// A request's JSON, as it came. Subscriber data: `Debug` shows only its length.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Body(pub Bytes);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// How urgent a request is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before every regular request of other subscriptions. Within its own subscription the order of acceptance stays.
    Express,
    /// In the order of acceptance.
    #[default]
    Regular,
}

/// When a request goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Process {
    /// By itself, as soon as it may.
    #[default]
    Now,
    /// When an operator retries it. Meant for processing runs, which are not there yet.
    WithRun,
}

/// Who made a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A CRM, through the API.
    #[default]
    Api,
    /// A person, with a utility.
    Utility,
    /// A CRM, whose pending requests were fetched.
    Pull,
    /// A subscription that was put, acted on or reset: see [`crate::reconcile`].
    Action,
}

/// Where a request stands.
///
/// ```text
/// accepted -> waiting -> sent -> completed     the platform did it
///                |        |--> rejected        the platform said no
///                |        |--> waiting         retry later, still in order
///                |        '--> unknown         sent, no answer, not safe to repeat
///                |--> failed                   could not be carried out, retries spent
///                '--> cancelled | expired
/// ```
///
/// A request that can go out at once is stored as `sent` in the very commit that accepts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its turn has not come.
    Waiting,
    /// On its way: from before the first byte leaves until the outcome is stored.
    Sent,
    /// The platform did it.
    Completed,
    /// The platform said no.
    Rejected,
    /// It could not be carried out, and no attempt is left or would help. Can be retried without harm.
    Failed,
    /// It was sent, no answer came, and repeating it could do harm. An operator or a read-back decides.
    Unknown,
    /// Somebody took it back before it went out.
    Cancelled,
    /// Its time ran out before it went out.
    Expired,
}

impl State {
    /// Every state, in the order of a request's life.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Sent,
        Self::Completed,
        Self::Rejected,
        Self::Failed,
        Self::Unknown,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Whether nothing more will happen by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Sent)
    }

    /// Its name, as in `completed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Completed => "completed",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The same in the words of a CRM that knows three states.
    #[must_use]
    pub const fn in_three(self) -> &'static str {
        match self {
            Self::Waiting | Self::Sent | Self::Unknown => "PENDING",
            Self::Completed => "COMPLETED",
            Self::Rejected | Self::Failed | Self::Cancelled | Self::Expired => "REJECTED",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
