//! Subscriptions kept in step: what the CRM wants is stored, compared with what the platforms are believed to hold,
//! and the difference becomes requests that go the way of all requests.
//!
//! No crash loses a step. What is wanted is stored together with the note that its requests are still to be made;
//! the note is taken away once they are accepted. The caretaker finds every note that is left, plans again, and
//! makes what is missing: requests that were accepted count as done in a plan. What is believed is changed by the
//! store, in the transaction that stores how a request ended.

pub(crate) mod caretaker;
mod platform;
mod step;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use headgate_core::body::{Refusal, RequestBody};
use headgate_core::command::CommandKind;
use headgate_core::reconcile::{unmapped, wanted};
use headgate_core::request::{RequestId, Source};
use headgate_core::subscription::{Difference, OutOfSyncReason, PostedAction, Subscription, SubscriptionBody};
use headgate_core::text::{ProviderName, ServiceCode, SubscriptionNumber};
use jiff::Timestamp;

pub use self::platform::Told;
use self::step::{Step, step};
use crate::gateway::{AcceptError, Accepted, Gateway, Origin};
use crate::store::StoreError;
use crate::store::subscriptions::{Planned, StoredSubscription, SubscriptionChange};

/// How often a change is planned anew because requests of the subscription ended meanwhile.
const PLANNINGS: usize = 16;

/// What is to be done with a subscription.
#[derive(Clone, Debug)]
pub enum Wish {
    /// It should be like this from now on.
    Put(Box<SubscriptionBody>),
    /// The CRM did something to it.
    Act(Box<PostedAction>),
    /// Every platform is brought in step, whatever its model.
    Reset,
    /// What is due by itself is done, and requests that are still to be made are made.
    CatchUp,
}

/// What became of a wish.
#[derive(Debug)]
pub struct Changed {
    /// The subscription as the CRM wants it now.
    pub desired: Subscription,
    /// Whether it is new.
    pub created: bool,
    /// The requests that were made, in their order.
    pub requests: Vec<Made>,
    /// The requests that could not be made; those behind them were not tried.
    pub not_made: Vec<NotMade>,
    /// What else is to be known, by provider.
    pub notes: BTreeMap<ProviderName, Note>,
}

/// A request that was made.
#[derive(Debug)]
pub struct Made {
    /// Its provider.
    pub provider: ProviderName,
    /// Its command.
    pub command: CommandKind,
    /// The request.
    pub accepted: Accepted,
}

/// A request that could not be made.
#[derive(Debug)]
pub struct NotMade {
    /// Its provider.
    pub provider: ProviderName,
    /// Its command.
    pub command: CommandKind,
    /// Why. A queue that is full or a gateway that stops is no more than a delay: it is made later.
    pub error: AcceptError,
}

/// What is to be known of a plan.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// The requests are left to the processing run, as the provider's model wants it.
    pub awaits_run: bool,
    /// What no command of this platform can bring in step.
    pub left: Vec<Difference>,
    /// Services that the platform has no name for.
    pub unmapped: Vec<ServiceCode>,
}

/// A subscription beside its platforms.
#[derive(Clone, Debug)]
pub struct Standing {
    /// As it is stored.
    pub stored: StoredSubscription,
    /// How what each platform is believed to hold differs from what it should hold; absent: the provider is not
    /// configured.
    pub differences: BTreeMap<ProviderName, Vec<Difference>>,
    /// Services that a platform has no name for.
    pub unmapped: BTreeMap<ProviderName, Vec<ServiceCode>>,
}

/// Why a subscription was not changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// There is none of that number.
    #[error("there is no such subscription")]
    NotFound,
    /// It can not be: the field at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It can not be forgotten: this platform may still hold something of it.
    #[error("{0:?} may still hold something of it; terminate it first, and wait until its requests have ended")]
    StillHeld(ProviderName),
    /// Its requests end faster than it can be planned.
    #[error("requests of this subscription are ending at this moment; try again")]
    Unsteady,
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
    /// The store does not take it at present.
    #[error("the subscription could not be stored: {0}")]
    NotStored(StoreError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What orders the changes of one subscription, without a lock for each of millions.
#[derive(Default)]
pub(crate) struct Turns([[tokio::sync::Mutex<()>; 16]; 16]);

impl Turns {
    /// Waits for the turn of a subscription; it lasts as long as the guard lives.
    async fn of(&self, number: &SubscriptionNumber) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        number.hash(&mut hasher);
        let [first, second, ..] = hasher.finish().to_le_bytes();
        self.0[usize::from(first % 16)][usize::from(second % 16)].lock().await
    }
}

impl Gateway {
    /// Does what is wished, stores it, and makes the requests that bring the platforms in step.
    ///
    /// # Errors
    /// [`SubscriptionError`]: then nothing has changed.
    pub async fn change_subscription(
        &self,
        number: &SubscriptionNumber,
        wish: &Wish,
    ) -> Result<Changed, SubscriptionError> {
        let _turn = self.turns().of(number).await;
        if self.is_stopping() {
            return Err(SubscriptionError::Stopping);
        }
        for _ in 0..PLANNINGS {
            let now = Timestamp::now();
            let stored = self.store().subscription(number.clone()).await?;
            let created = stored.is_none();
            let desired = self.desired(number, stored.as_ref().map(|stored| &stored.desired), wish, now)?;
            let stored =
                stored.unwrap_or_else(|| StoredSubscription { desired: desired.clone(), holdings: BTreeMap::new() });
            let steps = self.steps(&desired, &stored, matches!(wish, Wish::Reset), now);
            let same = !created && desired == stored.desired && !matches!(wish, Wish::CatchUp);
            if !(same && steps.iter().all(|step| step.changes_nothing(&stored))) {
                let want = SubscriptionChange::Want {
                    desired: Box::new(desired.clone()),
                    next_change: desired.next_change(now),
                    plans: steps.iter().map(|step| step.planned.clone()).collect(),
                };
                if !self.store().change_subscription(want).await.map_err(SubscriptionError::NotStored)? {
                    continue;
                }
            }
            return Ok(self.make(desired, created, steps).await);
        }
        Err(SubscriptionError::Unsteady)
    }

    /// A subscription, beside what its platforms are believed to hold.
    ///
    /// # Errors
    /// [`SubscriptionError`] if there is none of that number.
    pub async fn subscription(&self, number: &SubscriptionNumber) -> Result<Standing, SubscriptionError> {
        let stored = self.store().subscription(number.clone()).await?.ok_or(SubscriptionError::NotFound)?;
        let now = Timestamp::now();
        let mut standing = Standing { differences: BTreeMap::new(), unmapped: BTreeMap::new(), stored };
        for (provider, holding) in &standing.stored.holdings {
            let Some(running) = self.running(provider) else { continue };
            let (terms, desired) = (running.terms(), &standing.stored.desired);
            let differences = wanted(desired, &terms, now).differences(&holding.authorised.held, now);
            standing.differences.insert(provider.clone(), differences);
            let unmapped: Vec<_> = unmapped(desired, &terms).into_iter().cloned().collect();
            if !unmapped.is_empty() {
                standing.unmapped.insert(provider.clone(), unmapped);
            }
        }
        Ok(standing)
    }

    /// Forgets a subscription that no platform holds anything of.
    ///
    /// # Errors
    /// [`SubscriptionError::StillHeld`] if one may.
    pub async fn forget_subscription(&self, number: &SubscriptionNumber) -> Result<(), SubscriptionError> {
        let _turn = self.turns().of(number).await;
        let stored = self.store().subscription(number.clone()).await?.ok_or(SubscriptionError::NotFound)?;
        let empty = headgate_core::subscription::Held::default();
        let holds = stored
            .holdings
            .iter()
            .find(|(_, holding)| holding.authorised.held != empty || !holding.pending.is_empty() || holding.unplanned);
        if let Some((provider, _)) = holds {
            return Err(SubscriptionError::StillHeld(provider.clone()));
        }
        let forget = SubscriptionChange::Forget { number: number.clone() };
        self.store().change_subscription(forget).await.map_err(SubscriptionError::NotStored)?;
        Ok(())
    }

    /// What the CRM wants, after the wish.
    fn desired(
        &self,
        number: &SubscriptionNumber,
        stored: Option<&Subscription>,
        wish: &Wish,
        now: Timestamp,
    ) -> Result<Subscription, SubscriptionError> {
        if let Wish::Put(body) = wish {
            let mut body = (**body).clone();
            body.created = body.created.or_else(|| stored.map(|stored| stored.created));
            let short = body.provider.is_some();
            let desired = body.subscription(number.clone(), now)?;
            for (distributor, provider) in &desired.distributors {
                if self.running(provider).is_none() {
                    let field = format!("distributors/{}", distributor.as_str());
                    let field = if short { "provider".to_owned() } else { field };
                    return Err(Refusal { field: field.into(), ..self.unknown_provider(provider) }.into());
                }
            }
            return Ok(desired);
        }
        let mut desired = stored.ok_or(SubscriptionError::NotFound)?.clone();
        for performed in desired.catch_up(now) {
            if let Some(refusal) = performed.refused {
                // Its words may name a device or a service.
                tracing::warn!(code = refusal.code, due = %performed.due, "an action of a subscription that was due can not be done any more");
            }
        }
        match wish {
            Wish::Act(posted) => Ok(desired.post(posted, now)?),
            Wish::Put(_) | Wish::Reset | Wish::CatchUp => Ok(desired),
        }
    }

    /// What is to be done at each platform.
    fn steps(&self, desired: &Subscription, stored: &StoredSubscription, reset: bool, now: Timestamp) -> Vec<Step> {
        let mut providers: Vec<_> = desired.providers().into_iter().chain(stored.holdings.keys()).collect();
        providers.sort();
        providers.dedup();
        let none = crate::store::subscriptions::Holding::default();
        let each = providers.into_iter().map(|provider| {
            let running = self.running(provider);
            let terms = running.as_ref().map(|running| running.terms());
            step(provider, desired, stored.holdings.get(provider).unwrap_or(&none), terms.as_ref(), reset, now)
        });
        each.collect()
    }

    /// Makes the requests of what was planned, and notes which are made.
    async fn make(&self, desired: Subscription, created: bool, steps: Vec<Step>) -> Changed {
        let number = desired.number.clone();
        let mut changed =
            Changed { desired, created, requests: Vec::new(), not_made: Vec::new(), notes: BTreeMap::new() };
        let mut done = Vec::new();
        for Step { planned: Planned { provider, unplanned, .. }, bodies, note } in steps {
            changed.notes.insert(provider.clone(), note);
            let mut end = Some(None);
            for body in bodies {
                let command = body.command;
                match self.make_one(body).await {
                    Ok(accepted) => changed.requests.push(Made { provider: provider.clone(), command, accepted }),
                    Err(error) => {
                        end = match &error {
                            AcceptError::Refused(refusal) => {
                                Some(Some(OutOfSyncReason::Failed { code: refusal.code.to_owned() }))
                            }
                            // The caretaker tries again.
                            _ => None,
                        };
                        changed.not_made.push(NotMade { provider: provider.clone(), command, error });
                        break;
                    }
                }
            }
            if let Some(end) = end.filter(|_| unplanned) {
                done.push((provider, end));
            }
        }
        if !done.is_empty() {
            let made = SubscriptionChange::Made { number, providers: done, at: Timestamp::now() };
            if let Err(error) = self.store().change_subscription(made).await {
                // The requests are accepted all the same; the caretaker finds the note and nothing left to make.
                tracing::warn!(%error, "that requests were made could not be stored; they are looked at again");
            }
        }
        changed
    }

    async fn make_one(&self, body: RequestBody) -> Result<Accepted, AcceptError> {
        let raw = serde_json::to_vec(&body).map_err(|error| AcceptError::Store(error.to_string()))?;
        self.accept(body, raw.into(), Origin { source: Source::Action, idempotency: None }).await
    }
}

impl Changed {
    /// The ids of the requests that were made.
    pub fn ids(&self) -> impl Iterator<Item = RequestId> {
        self.requests.iter().map(|made| made.accepted.id)
    }
}
