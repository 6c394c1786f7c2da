//! What the platforms themselves say they hold of a subscription.

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_core::outcome::{Answer, HeldService};
use headgate_core::provider::ServiceMap;
use headgate_core::reconcile::{Plan, questions, wanted};
use headgate_core::request::State;
use headgate_core::subscription::{Authorised, Difference, Held, Holder, ReadBack};
use headgate_core::text::{CaId, ProviderName, SubscriptionNumber};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::SubscriptionError;
use crate::gateway::{AcceptError, Gateway};
use crate::store::subscriptions::{Holding, SubscriptionChange};

/// What one platform says.
#[derive(Clone, Debug)]
pub struct Told {
    /// The platform.
    pub provider: ProviderName,
    /// How many questions it was asked; zero: it can not be asked.
    pub asked: usize,
    /// Why a question has no answer.
    pub unanswered: Vec<String>,
    /// What it holds; where it did not say, as it is believed.
    pub held: Held,
    /// Services it holds under ids that the configuration does not know.
    pub strangers: BTreeSet<(Holder, CaId)>,
    /// How that differs from what it should hold.
    pub differences: Vec<Difference>,
    /// Whether it is what is believed from now on. Not if a question has no answer, or requests were on their way.
    pub adopted: bool,
}

impl Gateway {
    /// Asks every platform of a subscription what it holds, through its queue, and waits for the answers. What they
    /// say is believed from now on; if it is not what was believed, the subscription is marked as out of step.
    ///
    /// # Errors
    /// [`SubscriptionError`] if there is none of that number.
    pub async fn ask_platforms(
        &self,
        number: &SubscriptionNumber,
        wait: Duration,
    ) -> Result<Vec<Told>, SubscriptionError> {
        let stored = self.store().subscription(number.clone()).await?.ok_or(SubscriptionError::NotFound)?;
        let until = Instant::now() + wait;
        let mut told = Vec::new();
        for (provider, holding) in &stored.holdings {
            let Some(running) = self.running(provider) else { continue };
            let terms = running.terms();
            let steps = questions(&stored.desired, &holding.authorised, &terms);
            let bodies = Plan { steps: steps.clone(), ..Plan::default() }.bodies(&stored.desired, provider);
            let mut accepted = Vec::new();
            for body in bodies {
                accepted.push(self.make_one(body).await);
            }
            let mut read = ReadBack::new(&holding.authorised.held);
            let mut unanswered = Vec::new();
            for (question, accepted) in steps.iter().zip(accepted) {
                let finish = match accepted {
                    Ok(accepted) => timeout_at(until, accepted.finish).await.ok().and_then(Result::ok),
                    Err(AcceptError::Stopping) => return Err(SubscriptionError::Stopping),
                    Err(error) => {
                        unanswered.push(format!("{}: {error}", question.kind()));
                        continue;
                    }
                };
                match finish.as_deref() {
                    Some(finish) if finish.state == State::Completed => {
                        if let Some(answer) = &finish.answer {
                            read.observe(question, &named(answer, terms.services));
                        }
                    }
                    Some(finish) => {
                        let why = finish.failure.as_ref().map(ToString::to_string).unwrap_or_default();
                        unanswered.push(format!("{}: {} {why}", question.kind(), finish.state));
                    }
                    None => unanswered.push(format!("{}: no answer within {} s", question.kind(), wait.as_secs())),
                }
            }
            let now = Timestamp::now();
            let sure = !steps.is_empty() && unanswered.is_empty() && holding.pending.is_empty();
            told.push(Told {
                provider: provider.clone(),
                asked: steps.len(),
                unanswered,
                differences: wanted(&stored.desired, &terms, now).differences(&read.held, now),
                adopted: sure && self.adopt(number, provider, holding, &read, now).await?,
                held: read.held,
                strangers: read.strangers,
            });
        }
        Ok(told)
    }

    /// Takes over what a platform said, unless a request ended since it was asked.
    async fn adopt(
        &self,
        number: &SubscriptionNumber,
        provider: &ProviderName,
        holding: &Holding,
        read: &ReadBack,
        now: Timestamp,
    ) -> Result<bool, SubscriptionError> {
        let mut authorised: Authorised = holding.authorised.clone();
        authorised.adopt(read, now);
        let change = SubscriptionChange::Adopt {
            number: number.clone(),
            provider: provider.clone(),
            seen: holding.revision,
            authorised: Box::new(authorised),
        };
        Ok(self.store().change_subscription(change).await?)
    }
}

/// The answer with the CRM's codes, where it tells only the platform's ids: third parties' workers need not know them.
fn named(answer: &Answer, services: &ServiceMap) -> Answer {
    let name = |held: &mut Vec<HeldService>| {
        for service in held.iter_mut().filter(|service| service.code.is_none()) {
            service.code = services.code(&service.ca_id).cloned();
        }
    };
    let mut answer = answer.clone();
    match &mut answer {
        Answer::Services(holders) => holders.iter_mut().for_each(|holder| name(&mut holder.services)),
        Answer::Subscriber(subscriber) => name(&mut subscriber.services),
        _ => {}
    }
    answer
}
