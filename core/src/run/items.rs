//! The requests of a run's items.

use jiff::{Timestamp, ToSpan};

use super::Item;
use super::definition::{Filter, RunKind};
use crate::body::{AudienceBody, MessageBody, RequestBody};
use crate::command::{Command, CommandKind};
use crate::reconcile::{Plan, Terms, questions, reconcile, renew};
use crate::subscription::{Authorised, DeviceKind, Subscription};
use crate::text::{ItemKey, Serial};

/// The requests that a run of this kind makes for one subscription at one provider, in order. `begun` is when the run
/// began.
#[must_use]
pub fn requests(
    kind: &RunKind,
    subscription: &Subscription,
    authorised: &Authorised,
    terms: &Terms<'_>,
    begun: Timestamp,
    now: Timestamp,
) -> Vec<RequestBody> {
    let bodies = |plan: Plan| plan.bodies(subscription, terms.provider);
    let steps = |steps: Vec<Command>| bodies(Plan { steps, ..Plan::default() });
    match kind {
        RunKind::ProcessRequests {} | RunKind::Reset {} => bodies(reconcile(subscription, authorised, terms, now)),
        RunKind::Renewal { months } => match renewed_until(begun, *months) {
            Some(until) => bodies(renew(subscription, authorised, terms, until, now)),
            None => Vec::new(),
        },
        RunKind::Audit { .. } => steps(questions(subscription, authorised, terms)),
        RunKind::Message { message } => {
            let template = message_body(message, terms);
            match message.to {
                AudienceBody::Subscriber => vec![RequestBody {
                    subscription: Some(subscription.number.clone()),
                    account: subscription.accounts.get(terms.provider).cloned(),
                    ..template
                }],
                _ => to_devices(&template, subscription, terms),
            }
        }
        RunKind::Fingerprint { duration_seconds } => {
            to_devices(&fingerprint_body(*duration_seconds, terms), subscription, terms)
        }
        RunKind::ErrorHandling {} | RunKind::Archive { .. } => Vec::new(),
    }
}

/// The one request that reaches everybody at once, if the run means everybody and the platform has a broadcast.
#[must_use]
pub fn broadcast(kind: &RunKind, filter: &Filter, terms: &Terms<'_>) -> Option<RequestBody> {
    let RunKind::Message { message } = kind else { return None };
    let has_broadcast = terms.capabilities.messages.to_everybody;
    match message.to {
        AudienceBody::Devices | AudienceBody::Everybody if has_broadcast && filter.means_everybody() => {
            let message = MessageBody { to: AudienceBody::Everybody, ..message.clone() };
            Some(message_body(&message, terms))
        }
        // Whoever is meant, one request reaches them.
        AudienceBody::Everybody | AudienceBody::HoldersOf(_) | AudienceBody::Region(_) => {
            Some(message_body(message, terms))
        }
        AudienceBody::Devices | AudienceBody::Subscriber => None,
    }
}

/// Packs the cards of many subscriptions into requests of as many as the platform takes at once.
///
/// Push subscriptions in the order of the run; an item comes out when one is full, and the last from
/// [`Packer::finish`]. An item's key is that of the last subscription in it, so a run that is taken up again reads on
/// after it.
#[derive(Clone, Debug)]
pub struct Packer {
    template: RequestBody,
    most: usize,
    cards: Vec<Serial>,
    last: Option<ItemKey>,
}

impl Packer {
    /// A packer for messages to devices or fingerprints, if the platform takes several cards at once.
    #[must_use]
    pub fn new(kind: &RunKind, terms: &Terms<'_>) -> Option<Self> {
        let template = match kind {
            RunKind::Message { message } if message.to == AudienceBody::Devices => message_body(message, terms),
            RunKind::Fingerprint { duration_seconds } => fingerprint_body(*duration_seconds, terms),
            _ => return None,
        };
        let most = terms.capabilities.commands.get(&template.command)?.smartcards.max;
        (most > 1).then_some(Self { template, most, cards: Vec::new(), last: None })
    }

    /// Adds the cards of a subscription. A subscription is never divided, unless it alone has too many cards.
    pub fn push(&mut self, key: ItemKey, subscription: &Subscription, terms: &Terms<'_>) -> Option<Item> {
        let cards = devices(subscription, &DeviceKind::Smartcard, terms);
        if cards.is_empty() {
            return None;
        }
        let full = self.cards.len() + cards.len() > self.most;
        let item = if full { self.finish() } else { None };
        self.cards.extend(cards);
        self.last = Some(key);
        item
    }

    /// What is left.
    pub fn finish(&mut self) -> Option<Item> {
        let key = self.last.take()?;
        let cards = std::mem::take(&mut self.cards);
        let bodies = cards.chunks(self.most).map(|cards| with_cards(&self.template, cards));
        Some(Item { key, bodies: bodies.collect() })
    }
}

fn renewed_until(begun: Timestamp, months: u8) -> Option<Timestamp> {
    let begun = begun.to_zoned(jiff::tz::TimeZone::UTC);
    begun.checked_add(i64::from(months).months()).ok().map(|until| until.timestamp())
}

fn message_body(message: &MessageBody, terms: &Terms<'_>) -> RequestBody {
    let body = RequestBody::new(terms.provider.clone(), CommandKind::SendMessage);
    RequestBody { message: Some(message.clone()), ..body }
}

fn fingerprint_body(duration_seconds: u32, terms: &Terms<'_>) -> RequestBody {
    let body = RequestBody::new(terms.provider.clone(), CommandKind::Fingerprint);
    RequestBody { duration_seconds: Some(duration_seconds), ..body }
}

/// One request for as many of the subscription's devices as the command takes: its cards, or else its boxes.
fn to_devices(template: &RequestBody, subscription: &Subscription, terms: &Terms<'_>) -> Vec<RequestBody> {
    let Some(rules) = terms.capabilities.commands.get(&template.command) else { return Vec::new() };
    let template = RequestBody {
        subscription: Some(subscription.number.clone()),
        account: subscription.accounts.get(terms.provider).cloned(),
        ..template.clone()
    };
    let cards = devices(subscription, &DeviceKind::Smartcard, terms);
    if rules.smartcards.max > 0 && !cards.is_empty() {
        return cards.chunks(rules.smartcards.max).map(|cards| with_cards(&template, cards)).collect();
    }
    let stbs = devices(subscription, &DeviceKind::Stb, terms);
    if rules.stbs.max > 0 {
        let bodies = stbs.chunks(rules.stbs.max).map(|stbs| RequestBody { stbs: stbs.to_vec(), ..template.clone() });
        return bodies.collect();
    }
    Vec::new()
}

fn with_cards(template: &RequestBody, cards: &[Serial]) -> RequestBody {
    RequestBody { smartcards: cards.to_vec(), ..template.clone() }
}

/// The subscription's devices of that kind at the provider, unless no platform should know it.
fn devices(subscription: &Subscription, kind: &DeviceKind, terms: &Terms<'_>) -> Vec<Serial> {
    if !subscription.state.is_known_to_platforms() {
        return Vec::new();
    }
    let distributors = subscription.distributors_of(terms.provider);
    let devices = distributors.flat_map(|distributor| subscription.devices_at(distributor, kind));
    devices.map(|device| device.serial.clone()).collect()
}
