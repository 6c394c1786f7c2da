//! What the dispatcher asks of a store: changes, in order, some of which it waits for.

use std::sync::Arc;

use jiff::Timestamp;

use crate::failure::Failure;
use crate::outcome::{Answer, Exchange};
use crate::request::{Request, RequestId, State};
use crate::text::PlatformReference;

/// Names one change. Numbers grow; changes are applied in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(pub u64);

/// A change to the store.
///
/// A store applies the changes of one provider in the order given. Only an [`Change::Accept`]
/// may fail for good (the disk is full, the idempotency key is taken): the store then tells, and the
/// request never was. Every other change is tried again until it goes through, for what it tells has happened.
#[derive(Clone, Debug)]
pub struct StoreCall {
    /// Names it when it is reported as stored.
    pub id: ChangeId,
    /// Whether it must be on disk before it is reported. What is not durable may be lost in a crash,
    /// but never reordered.
    pub durable: bool,
    /// What changes.
    pub change: Change,
}

/// What changes about requests.
#[derive(Clone, Debug)]
pub enum Change {
    /// There is a new request, in this state: `waiting`, or `sent` when it goes out at once.
    Accept(Arc<Request>, State),
    /// A waiting request goes out now.
    Sent {
        /// Which.
        id: RequestId,
        /// Which attempt this is, the first being 1.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// What is being sent goes out under these references: see [`crate::adapter::Effect::Record`].
    References(Vec<(RequestId, PlatformReference)>),
    /// A request that was sent waits again.
    Again {
        /// Which.
        id: RequestId,
        /// Not before this time.
        retry_at: Timestamp,
        /// Why the last attempt did not work.
        failure: Failure,
    },
    /// A request ended.
    Finish(Arc<Finish>),
    /// A request that had ended waits again: an operator retries it.
    Reopen {
        /// Which.
        id: RequestId,
    },
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Which request.
    pub id: RequestId,
    /// A final state.
    pub state: State,
    /// How often it was sent.
    pub attempts: u32,
    /// When it last went out; absent: never.
    pub sent_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Why, unless it completed.
    pub failure: Option<Failure>,
    /// What the platform told.
    pub answer: Option<Answer>,
    /// The platform's own number for it.
    pub reference: Option<PlatformReference>,
    /// What went out and what came back.
    pub exchange: Exchange,
}

/// A request found in the store after a restart, in state `waiting` or `sent`.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The request.
    pub request: Arc<Request>,
    /// `waiting` or `sent`.
    pub state: State,
    /// How often it was sent.
    pub attempts: u32,
    /// It does not go out before this time.
    pub retry_at: Option<Timestamp>,
    /// The last reference recorded for it.
    pub reference: Option<PlatformReference>,
}
