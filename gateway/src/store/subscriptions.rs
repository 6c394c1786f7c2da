//! What the store keeps of subscriptions: what the CRM wants, and what each platform is believed to hold.
//!
//! Desired state is changed by [`SubscriptionChange`]. What is believed is changed by the store itself, in the very
//! transaction that stores how a request of the subscription ended: so no crash comes between the two.

use std::collections::BTreeMap;

use headgate_core::command::Command;
use headgate_core::subscription::{Authorised, OutOfSync, OutOfSyncReason, Subscription, SubscriptionState};
use headgate_core::text::{ProviderName, SubscriptionKind, SubscriptionNumber};
use jiff::Timestamp;

/// A subscription, as the store holds it. Holds secrets: mask it before showing.
#[derive(Clone, Debug)]
pub struct StoredSubscription {
    /// What the CRM wants.
    pub desired: Subscription,
    /// What the platforms are believed to hold, those included that should hold nothing any more.
    pub holdings: BTreeMap<ProviderName, Holding>,
}

/// What one platform is believed to hold of a subscription.
#[derive(Clone, Debug, Default)]
pub struct Holding {
    /// What it is believed to hold.
    pub authorised: Authorised,
    /// Grows whenever that changes; zero: nothing is stored.
    pub revision: u64,
    /// Requests are still to be made: the gateway had no time yet, or the provider's queue was full.
    pub unplanned: bool,
    /// The commands of its requests that have not ended, in their order.
    pub pending: Vec<Command>,
}

/// A change to a subscription.
#[derive(Clone, Debug)]
pub enum SubscriptionChange {
    /// What the CRM wants, and how that stands with the platforms. Not done unless each platform's revision is the
    /// one that was seen.
    Want {
        /// What the CRM wants.
        desired: Box<Subscription>,
        /// When that changes by itself.
        next_change: Option<Timestamp>,
        /// What was planned from it.
        plans: Vec<Planned>,
    },
    /// Its requests are made, as far as they could be.
    Made {
        /// Which.
        number: SubscriptionNumber,
        /// For each provider that is done with: why it is out of step now, if a request could not be made.
        providers: Vec<(ProviderName, Option<OutOfSyncReason>)>,
        /// When.
        at: Timestamp,
    },
    /// The platform was asked, and this is believed now. Not done unless the revision is the one that was seen.
    Adopt {
        /// Which.
        number: SubscriptionNumber,
        /// The platform.
        provider: ProviderName,
        /// The revision that was seen.
        seen: u64,
        /// What is believed now.
        authorised: Box<Authorised>,
    },
    /// It is forgotten.
    Forget {
        /// Which.
        number: SubscriptionNumber,
    },
}

/// What was planned for one platform.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The platform.
    pub provider: ProviderName,
    /// The revision that it was planned from.
    pub seen: u64,
    /// Whether it is out of step from now on.
    pub out_of_sync: Option<OutOfSync>,
    /// Whether requests are to be made.
    pub unplanned: bool,
}

/// Which subscriptions.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionFilter {
    /// With something wanted of this provider, or held there.
    pub provider: Option<ProviderName>,
    /// In this state.
    pub state: Option<SubscriptionState>,
    /// Of this type of the CRM.
    pub kind: Option<SubscriptionKind>,
    /// Out of step, or in step.
    pub out_of_sync: Option<bool>,
    /// Made at or after this time.
    pub from: Option<Timestamp>,
    /// Made before this time.
    pub to: Option<Timestamp>,
}

/// Which part of a listing.
#[derive(Clone, Debug)]
pub struct SubscriptionPage {
    /// Only numbers behind this one; absent: from the first.
    pub after: Option<String>,
    /// At most so many, 1 to 1,000.
    pub limit: usize,
}

/// One page of a listing.
#[derive(Clone, Debug)]
pub struct SubscriptionListing {
    /// The subscriptions, by number, as text is sorted.
    pub subscriptions: Vec<StoredSubscription>,
    /// [`SubscriptionPage::after`] of the next page; absent: this is the last.
    pub next: Option<String>,
}

/// How many subscriptions are out of step at one provider, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfSyncCount {
    /// The provider's name.
    pub provider: String,
    /// The reason's name, as [`OutOfSyncReason::name`] has it.
    pub reason: String,
    /// How many.
    pub count: u64,
}
