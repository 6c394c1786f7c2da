//! What is to be done at one platform for one subscription.

use headgate_core::body::RequestBody;
use headgate_core::reconcile::{Terms, reconcile};
use headgate_core::subscription::{OutOfSyncReason, Subscription};
use headgate_core::text::ProviderName;
use jiff::Timestamp;

use super::Note;
use crate::store::subscriptions::{Holding, Planned, StoredSubscription};

/// What is to be done at one platform.
pub(super) struct Step {
    /// What the store is told.
    pub(super) planned: Planned,
    /// The requests, in their order.
    pub(super) bodies: Vec<RequestBody>,
    /// What the caller is told.
    pub(super) note: Note,
}

impl Step {
    /// Whether the store has it like this already.
    pub(super) fn changes_nothing(&self, stored: &StoredSubscription) -> bool {
        let Planned { provider, out_of_sync, unplanned, .. } = &self.planned;
        let as_planned =
            |holding: &Holding| holding.unplanned == *unplanned && holding.authorised.out_of_sync == *out_of_sync;
        stored.holdings.get(provider).is_some_and(as_planned)
    }
}

/// Plans from what the platform will hold once the requests that are on their way are done. If one of them fails, the
/// subscription is marked by that.
pub(super) fn step(
    provider: &ProviderName,
    desired: &Subscription,
    holding: &Holding,
    terms: Option<&Terms<'_>>,
    reset: bool,
    now: Timestamp,
) -> Step {
    let mut authorised = holding.authorised.clone();
    let mut note = Note::default();
    let mut bodies = Vec::new();
    match terms {
        None => authorised.mark(OutOfSyncReason::Failed { code: "unknown_provider".into() }, now),
        Some(terms) => {
            for command in &holding.pending {
                authorised.held.apply(command);
            }
            let plan = reconcile(desired, &authorised, terms, now);
            let sends = reset || holding.unplanned || terms.strategy.model.sends_on_action();
            if sends || plan.is_empty() {
                if plan.left.is_empty() {
                    authorised.settle();
                }
                bodies = plan.bodies(desired, provider);
            } else {
                note.awaits_run = true;
                let waits =
                    authorised.out_of_sync.as_ref().is_some_and(|mark| mark.reason == OutOfSyncReason::AwaitsRun);
                if !waits {
                    authorised.mark(OutOfSyncReason::AwaitsRun, now);
                }
            }
            (note.left, note.unmapped) = (plan.left, plan.unmapped);
        }
    }
    let planned = Planned {
        provider: provider.clone(),
        seen: holding.revision,
        out_of_sync: authorised.out_of_sync,
        unplanned: !bodies.is_empty(),
    };
    Step { planned, bodies, note }
}
