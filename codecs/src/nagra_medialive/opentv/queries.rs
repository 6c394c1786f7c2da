//! What the platform tells of an account.

use std::collections::BTreeMap;

use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::{Answer, HeldService, HeldServices, KnownSubscriber};
use headgate_core::provider::ServiceMap;
use headgate_core::text::{AccountNumber, CaId, Serial};

use super::accounts::account;
use super::listing::Listing;
use super::wire::{ACCOUNTS, Held, Said, by_id, said};
use crate::http::{Step, answer};
use crate::nagra_medialive::members::{self, Object};
use crate::nagra_medialive::settings::EntitlementSettings;

/// A question about an account.
pub(super) struct Query {
    account: AccountNumber,
    /// Whether its members are asked for, beside the services.
    members: Members,
    listing: Listing,
}

enum Members {
    NotAsked,
    Wanted,
    Known(Object),
}

impl Query {
    pub(super) fn services(settings: &EntitlementSettings, account: AccountNumber) -> Self {
        Self { listing: Listing::new(settings, account.as_str()), account, members: Members::NotAsked }
    }

    pub(super) fn subscriber(settings: &EntitlementSettings, account: AccountNumber) -> Self {
        Self { members: Members::Wanted, ..Self::services(settings, account) }
    }

    pub(super) fn call(&self) -> HttpCall {
        match self.members {
            Members::Wanted => HttpCall::get(by_id(ACCOUNTS, self.account.as_str())),
            Members::NotAsked | Members::Known(_) => self.listing.call(),
        }
    }

    pub(super) fn read(&mut self, services: &ServiceMap, answer: &HttpAnswer) -> Step {
        self.answered(services, answer).unwrap_or_else(|step| step)
    }

    fn answered(&mut self, services: &ServiceMap, answer: &HttpAnswer) -> Result<Step, Step> {
        if let Members::Wanted = self.members {
            return match said(answer)? {
                Said::No(failure) => Err(Step::rejected(failure)),
                Said::Yes => {
                    self.members = Members::Known(account(answer)?);
                    Ok(Step::Next)
                }
            };
        }
        let Some(held) = self.listing.read(answer)? else { return Ok(Step::Next) };
        let odd = |_| Step::failed(odd_product(answer));
        Ok(Step::answered(match &self.members {
            Members::Known(members) => {
                let held = held.iter().filter(|held| held.is_subscribed());
                Answer::Subscriber(KnownSubscriber {
                    account: self.account.clone(),
                    state: members::text(members, "status"),
                    devices: Vec::new(),
                    services: held.map(|held| service(services, held)).collect::<Result<_, _>>().map_err(odd)?,
                    attributes: members::attributes(members, &["_id", "status"]),
                })
            }
            _ => Answer::Services(self.by_device(services, &held).map_err(odd)?),
        }))
    }

    /// What is good on every device comes first, then what is good on one.
    fn by_device(&self, services: &ServiceMap, held: &[Held]) -> Result<Vec<HeldServices>, ()> {
        let mut devices = BTreeMap::from([(None, Vec::new())]);
        for held in held.iter().filter(|held| held.is_subscribed()) {
            let device = held.device_id.as_deref().map(Serial::new).transpose().map_err(drop)?;
            devices.entry(device).or_default().push(service(services, held)?);
        }
        let all = |(smartcard, services)| HeldServices { smartcard, account: Some(self.account.clone()), services };
        Ok(devices.into_iter().map(all).collect())
    }
}

fn service(services: &ServiceMap, held: &Held) -> Result<HeldService, ()> {
    let ca_id = CaId::new(&held.product_id).map_err(drop)?;
    let code = services.code(&ca_id).cloned();
    Ok(HeldService { code, ca_id, start: held.valid_from, end: held.expiry_date, suspended: false })
}

fn odd_product(answer: &HttpAnswer) -> Failure {
    answer::unreadable(answer, "the id of a product or a device is empty, too long or holds odd characters")
}
