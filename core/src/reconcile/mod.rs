//! Closing the difference between what a CRM wants and what a platform is believed to hold.
//!
//! [`reconcile`] is a pure function: the desired state of a subscription, what one platform is believed to hold of it,
//! and the [`Terms`] on which that platform is told, make an ordered list of commands. It plans by pretending: each
//! command is applied to a copy of what is held ([`Held::apply`]), and the next step is planned from there. So
//!
//! * carrying out the whole plan makes the platform hold what is [`wanted`];
//! * carrying out any beginning of it, and planning again, gets there too;
//! * where nothing differs, nothing is sent.
//!
//! The order keeps a subscriber's picture on: the account comes first, then devices, pairings, services; only when all
//! that is new is on is the old taken away.
//!
//! ```text
//! create_subscriber | update_subscriber      account
//! swap_device, add_device                    devices that come
//! pair, add_to_pairing                       (after the services, if the strategy says so)
//! deactivate (what is dark), suspend, resume, activate | set_services
//! deactivate | set_services                  services that go
//! unpair, remove_device                      devices that go
//! remove_subscriber
//! ```
//!
//! A card is swapped on a platform that knows no swap:
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use headgate_core::capabilities::{Capabilities, CommandRules, Count};
//! use headgate_core::command::CommandKind;
//! use headgate_core::provider::ServiceMap;
//! use headgate_core::reconcile::{Strategy, Terms, reconcile};
//! use headgate_core::subscription::{Action, Authorised, SubscriptionBody};
//! # use headgate_core::text::{CaId, ProviderName, ServiceCode, SubscriptionNumber};
//!
//! let cards = CommandRules::new().smartcards(Count::up_to(10)).services(Count::up_to(10));
//! let capabilities = Capabilities {
//!     commands: [CommandKind::ActivateServices, CommandKind::DeactivateServices].map(|kind| (kind, cards.clone())).into(),
//!     ..Capabilities::default()
//! };
//! let provider = ProviderName::new("conax").unwrap();
//! let services = ServiceMap::from(BTreeMap::from([(ServiceCode::new("SPORT").unwrap(), CaId::new("7001").unwrap())]));
//! let strategy = Strategy::default();
//! let terms = Terms { provider: &provider, capabilities: &capabilities, services: &services, strategy: &strategy };
//!
//! let now = "2026-11-24T12:00:00Z".parse().unwrap();
//! let body: SubscriptionBody =
//!     serde_json::from_str(r#"{"provider":"conax","services":["SPORT"],"smartcard":"1"}"#).unwrap();
//! let mut subscription = body.subscription(SubscriptionNumber::new("S1").unwrap(), now).unwrap();
//! let mut authorised = Authorised::default();
//! for step in reconcile(&subscription, &authorised, &terms, now).steps {
//!     authorised.held.apply(&step); // as if the platform had done it
//! }
//!
//! let swap: Action =
//!     serde_json::from_str(r#"{"action":"swap_installed_item","serial":"1","replacement":"2"}"#).unwrap();
//! subscription = subscription.perform(&swap, now).unwrap();
//! let plan = reconcile(&subscription, &authorised, &terms, now);
//! let kinds: Vec<_> = plan.steps.iter().map(|command| command.kind().name()).collect();
//! assert_eq!(kinds, ["activate_services", "deactivate_services"]); // the new card first
//! ```

mod plan;
mod strategy;
mod terms;
mod wanted;

use jiff::Timestamp;

pub use self::strategy::{HolderRule, Model, Pause, Strategy};
pub use self::terms::Terms;
pub use self::wanted::{unmapped, wanted};
use crate::body::RequestBody;
use crate::command::{Command, Period};
use crate::subscription::{Authorised, Difference, Grant, Held, Subscription};
use crate::text::{ProviderName, ServiceCode};

/// What is to be sent to one platform for one subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The commands, in order. Each relies on those before it.
    pub steps: Vec<Command>,
    /// What would still differ after them: no command of this platform closes it.
    pub left: Vec<Difference>,
    /// Services that the platform has no name for, and that are therefore not switched on.
    pub unmapped: Vec<ServiceCode>,
}

impl Plan {
    /// Whether nothing is to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The requests that carry it out, in order, for the subscription and its account.
    #[must_use]
    pub fn bodies(&self, subscription: &Subscription, provider: &ProviderName) -> Vec<RequestBody> {
        let bodies = self.steps.iter().map(|command| RequestBody {
            subscription: Some(subscription.number.clone()),
            account: subscription.accounts.get(provider).cloned(),
            ..RequestBody::of(provider.clone(), command)
        });
        bodies.collect()
    }
}

/// The commands that make the platform hold what the CRM wants. See the [module](self).
#[must_use]
pub fn reconcile(subscription: &Subscription, authorised: &Authorised, terms: &Terms<'_>, now: Timestamp) -> Plan {
    let wanted = wanted(subscription, terms, now);
    let mut plan = plan::close(subscription, &wanted, &authorised.held, terms, now);
    plan.unmapped = unmapped(subscription, terms).into_iter().cloned().collect();
    plan
}

/// The commands that extend services that run for good, on platforms that give every service an end: each that is on
/// and wanted until further notice, and would end before `until`, is switched on until then \[S:R9a\].
///
/// `until` must be the same when a run goes on after a crash; take it from the run's start.
#[must_use]
pub fn renew(
    subscription: &Subscription,
    authorised: &Authorised,
    terms: &Terms<'_>,
    until: Timestamp,
    now: Timestamp,
) -> Plan {
    let wanted = wanted(subscription, terms, now);
    let mut due = Held::default();
    for (holder, services) in &wanted.services {
        let shows = |code: &ServiceCode, grant: &Grant| {
            !grant.suspended && !wanted.suspended.contains_key(holder) && authorised.held.shows(holder, code, now)
        };
        let is_due = |code: &ServiceCode| {
            let end = authorised.held.grant(holder, code).and_then(|grant| grant.end);
            end.is_none_or(|end| end < until)
        };
        let open = services.iter().filter(|(code, grant)| grant.end.is_none() && shows(code, grant));
        let mut codes: Vec<&ServiceCode> = open.map(|(code, _)| code).collect();
        match terms.whole_list() {
            // The list is sent as a whole, or not at all.
            true if !codes.iter().any(|code| is_due(code)) => codes.clear(),
            true => {}
            false => codes.retain(|code| is_due(code)),
        }
        if !codes.is_empty() {
            let grant = Grant::over(Period { start: None, end: Some(until) });
            due.services.insert(holder.clone(), codes.into_iter().map(|code| (code.clone(), grant)).collect());
        }
    }
    Plan { steps: plan::entitle(&due, terms), ..Plan::default() }
}

/// Every command that says again what the platform should hold, whatever it is believed to hold: for a platform that
/// lost its data. Changes nothing where the platform holds it already.
#[must_use]
pub fn say_again(subscription: &Subscription, terms: &Terms<'_>, now: Timestamp) -> Plan {
    reconcile(subscription, &Authorised::default(), terms, now)
}

/// The queries that ask the platform what it holds of the subscription, as far as it can be asked: put each answer
/// into a [`crate::subscription::ReadBack`].
#[must_use]
pub fn questions(subscription: &Subscription, authorised: &Authorised, terms: &Terms<'_>) -> Vec<Command> {
    plan::questions(subscription, authorised, terms)
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
