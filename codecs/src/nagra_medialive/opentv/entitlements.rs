//! Granting, stopping and resuming entitlements, one after the other.
//!
//! Each has an id that follows from the account, the device and the product, so that granting it again finds it.

use std::collections::VecDeque;

use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall, Method};
use headgate_core::text::Serial;

use super::listing::Listing;
use super::wire::{
    self, Created, ENTITLEMENTS, EntitlementChange, Grant, Held, SUBSCRIBED, Said, UNSUBSCRIBED, by_id, said, with_body,
};
use crate::http::tally::Tally;
use crate::http::{Step, answer, form};
use crate::nagra_medialive::settings::EntitlementSettings;

/// The kind of what a subscription pays for. Only these are taken away together; what was bought by itself stays.
pub(super) const SUBSCRIPTION: &str = "SUBSCRIPTION";

/// The id of a service on an account, or on one device of it. No two of them are the same: what separates the parts
/// is escaped within them.
pub(super) fn service_id(account: &str, device: Option<&str>, product: &str) -> String {
    let parts = [Some(account), device, Some(product)];
    parts.into_iter().flatten().map(form::escape).collect::<Vec<_>>().join(":")
}

/// The id of a use. No service has it: their parts are never empty.
pub(super) fn usage_id(usage: &str) -> String {
    format!("usage::{}", form::escape(usage))
}

/// One entitlement that is granted or changed.
pub(super) struct Part {
    /// What it is called if it is refused.
    pub(super) label: Serial,
    pub(super) deed: Deed,
}

/// What is done with an entitlement.
pub(super) enum Deed {
    /// It is granted; if it is there already, it is resumed.
    Grant(Grant),
    /// It is changed.
    Change(String, EntitlementChange),
}

impl Deed {
    pub(super) const fn stop(id: String) -> Self {
        Self::Change(id, EntitlementChange { status: UNSUBSCRIBED, valid_from: None, expiry_date: None })
    }

    pub(super) const fn resume(id: String) -> Self {
        Self::Change(id, EntitlementChange { status: SUBSCRIBED, valid_from: None, expiry_date: None })
    }
}

/// What the list of entitlements is read for.
pub(super) enum Reading {
    /// To stop every service, on these devices if some are named.
    StopAll(Vec<Serial>),
    /// To make it exactly these, each with a label, on this device if one is named.
    Set(Vec<(Serial, Grant)>, Option<Serial>),
}

/// Something done with each of some entitlements.
pub(super) struct EntitlementWork {
    settings: EntitlementSettings,
    /// Before anything is done, the list is read.
    reading: Option<(Listing, Reading)>,
    left: VecDeque<Part>,
    /// Why the first of them could not be granted, which may be because it is there already.
    refused: Option<Failure>,
    tally: Tally,
}

impl EntitlementWork {
    pub(super) fn of(settings: &EntitlementSettings, parts: Vec<Part>) -> Self {
        Self { settings: settings.clone(), reading: None, left: parts.into(), refused: None, tally: Tally::default() }
    }

    pub(super) fn reading(settings: &EntitlementSettings, account: &str, reading: Reading) -> Self {
        let reading = Some((Listing::new(settings, account), reading));
        Self { reading, ..Self::of(settings, Vec::new()) }
    }

    pub(super) fn call(&self) -> HttpCall {
        if let Some((listing, _)) = &self.reading {
            return listing.call();
        }
        match (self.left.front().map(|part| &part.deed), &self.refused) {
            (Some(Deed::Grant(grant)), None) => with_body(Method::Post, ENTITLEMENTS, grant),
            (Some(Deed::Grant(grant)), Some(_)) => {
                with_body(Method::Put, by_id(ENTITLEMENTS, &grant.id), &self.again(grant))
            }
            (Some(Deed::Change(id, change)), _) => with_body(Method::Put, by_id(ENTITLEMENTS, id), change),
            // Nothing is left only when the work has ended.
            (None, _) => HttpCall::get(ENTITLEMENTS),
        }
    }

    /// How a grant is made again.
    const fn again(&self, grant: &Grant) -> EntitlementChange {
        let mut change = EntitlementChange { status: SUBSCRIBED, valid_from: None, expiry_date: None };
        if self.settings.put_period {
            change.valid_from = Some(grant.valid_from);
            change.expiry_date = Some(grant.expiry_date);
        }
        change
    }

    pub(super) fn read(&mut self, answer: &HttpAnswer) -> Step {
        self.answered(answer).unwrap_or_else(|step| step)
    }

    fn answered(&mut self, answer: &HttpAnswer) -> Result<Step, Step> {
        if let Some((listing, _)) = &mut self.reading {
            let Some(held) = listing.read(answer)? else { return Ok(Step::Next) };
            if let Some((_, reading)) = self.reading.take() {
                self.left = self.parts(held, reading).into();
            }
            return Ok(if self.left.is_empty() { self.tally.end() } else { Step::Next });
        }
        let said = said(answer)?;
        let Some(part) = self.left.front() else { return Ok(self.tally.end()) };
        Ok(match (&part.deed, self.refused.take(), said) {
            (Deed::Grant(_), None, Said::Yes) => {
                answer::json::<Created>(answer).map_err(Step::failed)?;
                self.done()
            }
            (Deed::Grant(_), None, Said::No(failure)) if wire::may_exist(answer) => {
                self.refused = Some(failure);
                Step::Next
            }
            // It is not there: the first refusal meant something else.
            (_, Some(before), Said::No(_)) => self.part_refused(before),
            (_, before, Said::Yes) => match wire::matched(answer)? {
                true => self.done(),
                false => self.part_refused(before.unwrap_or_else(wire::nothing_matched)),
            },
            (_, None, Said::No(failure)) => self.part_refused(failure),
        })
    }

    /// What is to be done, now that it is known what is held.
    fn parts(&self, held: Vec<Held>, reading: Reading) -> Vec<Part> {
        let of_subscription = |held: &Held| held.product_type.as_deref().is_none_or(|kind| kind == SUBSCRIPTION);
        let held: Vec<_> = held.into_iter().filter(of_subscription).collect();
        let stop = |held: &Held| {
            let label = Serial::new(&held.product_id).or_else(|_| Serial::new("service")).ok()?;
            Some(Part { label, deed: Deed::stop(held.id.clone()) })
        };
        match reading {
            Reading::StopAll(devices) => {
                let named = |held: &Held| {
                    let device = held.device_id.as_deref();
                    devices.is_empty() || devices.iter().any(|named| Some(named.as_str()) == device)
                };
                held.iter().filter(|held| held.is_subscribed() && named(held)).filter_map(stop).collect()
            }
            Reading::Set(wanted, device) => {
                let here = |held: &&Held| held.device_id.as_deref() == device.as_ref().map(Serial::as_str);
                let is_wanted = |held: &Held| wanted.iter().any(|(_, grant)| grant.product_id == held.product_id);
                let unwanted: Vec<_> =
                    held.iter().filter(here).filter(|held| held.is_subscribed() && !is_wanted(held)).collect();
                let stops: Vec<_> = unwanted.into_iter().filter_map(stop).collect();
                let grants = wanted.into_iter().map(|(label, grant)| {
                    // Somebody else may have granted it under an id of theirs.
                    let there = held.iter().filter(here).find(|held| held.product_id == grant.product_id);
                    let deed = match there {
                        Some(held) => Deed::Change(held.id.clone(), self.again(&grant)),
                        None => Deed::Grant(grant),
                    };
                    Part { label, deed }
                });
                // What comes is granted before what goes is stopped: nothing that stays is dark in between.
                grants.chain(stops).collect()
            }
        }
    }

    fn done(&mut self) -> Step {
        self.tally.done();
        self.next()
    }

    fn part_refused(&mut self, failure: Failure) -> Step {
        if let Some(part) = self.left.front() {
            self.tally.refused(&part.label, failure);
        }
        self.next()
    }

    fn next(&mut self) -> Step {
        self.left.pop_front();
        if self.left.is_empty() { self.tally.end() } else { Step::Next }
    }
}
