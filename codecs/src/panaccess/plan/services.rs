//! Services: products on cards, orders of subscribers, packages.

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::command::{Devices, Entitlement, Period, Selection};
use headgate_core::request::Request;
use headgate_core::text::{Serial, ServiceCode};
use jiff::{Timestamp, ToSpan};

use super::super::orders::{Aim, OrderGoal};
use super::super::rules::Speech;
use super::super::settings::Mode;
use super::super::task::{Part, Task, Telling, Then};
use super::super::wire::Operation;
use super::{blocks, cards, changes, questions, text};

impl Speech {
    pub(super) fn numbers(&self, services: &[ServiceCode]) -> Result<Vec<i64>, Refusal> {
        services.iter().map(|service| self.number(service)).collect()
    }

    pub(super) fn selected(&self, selection: &Selection) -> Result<Vec<i64>, Refusal> {
        self.numbers(selection.services.listed())
    }

    /// When services without an end of their own end.
    pub(super) fn end_of(&self, now: Now, period: Period) -> Timestamp {
        let months = i64::from(self.settings().default_period_months).months();
        let start = period.start.unwrap_or(now.wall).max(now.wall);
        let end = || start.to_zoned(jiff::tz::TimeZone::UTC).checked_add(months).map(|end| end.timestamp());
        period.end.unwrap_or_else(|| end().unwrap_or(Timestamp::MAX))
    }

    pub(super) fn orders(
        &self,
        now: Now,
        aim: Aim,
        subscriber: String,
        products: Vec<i64>,
        devices: &Devices,
        period: Period,
    ) -> Task {
        let days = self.settings().resume_days;
        let goal = OrderGoal {
            aim,
            subscriber: subscriber.clone(),
            products,
            cards: cards(devices),
            start: period.start,
            end: self.end_of(now, period),
            resume_until: days.map(|days| now.wall_after(std::time::Duration::from_hours(24 * u64::from(days)))),
        };
        let read = Operation::GetOrdersOfSubscriber { subscriber_code: subscriber, include_expired_orders: false };
        changes([Part::new(read).then(Then::Orders(goal))])
    }

    /// Every product to every block of cards.
    pub(super) fn add_products(&self, now: Now, entitlement: &Entitlement) -> Result<Task, Refusal> {
        let end = self.end_of(now, entitlement.period);
        let mut parts = Vec::new();
        for product_id in self.numbers(&entitlement.services)? {
            parts.extend(blocks(&entitlement.devices, |smartcards| Operation::AddProductToSmartcards {
                smartcards,
                product_id,
                hc_id: self.settings().headcontrol.clone(),
                expiry_time: Some(end),
            }));
        }
        Ok(changes(parts))
    }

    /// The whole list to every card. Nothing at all is said with words of its own.
    pub(super) fn set_whole(&self, now: Now, entitlement: &Entitlement) -> Result<Task, Refusal> {
        let Entitlement { devices, period, .. } = entitlement;
        let ids = self.numbers(&entitlement.services)?;
        let end = Some(self.end_of(now, *period));
        let hc_id = self.settings().headcontrol.clone();
        let packages = self.settings().mode == Mode::Packages;
        if ids.is_empty() && !packages {
            return Ok(changes(blocks(devices, |smartcards| Operation::CleanSmartcards { smartcards })));
        }
        Ok(changes(devices.smartcards.iter().map(|card| {
            let operation = if packages {
                Operation::SetSmartcardPackages {
                    smartcard_id: text(card),
                    packages: ids.clone(),
                    hc_id: hc_id.clone(),
                    activation_time: period.start,
                    expiry_time: end,
                }
            } else {
                let (sn, product_ids) = (text(card), ids.clone());
                Operation::SetSmartcardProducts { sn, product_ids, hc_id: hc_id.clone(), expiry_time: end }
            };
            Part::new(operation).about(Some(card.clone()))
        })))
    }

    pub(super) fn remove_products(&self, selection: &Selection) -> Result<Task, Refusal> {
        let Selection { services, devices } = selection;
        let listed = self.numbers(services.listed())?;
        if !listed.is_empty() {
            let mut parts = Vec::new();
            for product_id in listed {
                let remove = |smartcards| Operation::RemoveProductFromSmartcards { smartcards, product_id };
                parts.extend(blocks(devices, remove));
            }
            return Ok(changes(parts));
        }
        if self.settings().mode == Mode::Packages {
            return Ok(changes(devices.smartcards.iter().map(|card| {
                let operation = Operation::SetSmartcardPackages {
                    smartcard_id: text(card),
                    packages: Vec::new(),
                    hc_id: self.settings().headcontrol.clone(),
                    activation_time: None,
                    expiry_time: None,
                };
                Part::new(operation).about(Some(card.clone()))
            })));
        }
        Ok(changes(blocks(devices, |smartcards| Operation::CleanSmartcards { smartcards })))
    }

    /// Products on cards are orders too, which can be switched off and on.
    pub(super) fn switch_on_cards(&self, selection: &Selection, off: bool) -> Result<Task, Refusal> {
        let products = self.selected(selection)?;
        Ok(changes(selection.devices.smartcards.iter().map(|card| {
            let read = Operation::GetOrdersOnSmartcard { smartcard_id: text(card) };
            let then = Then::CardOrders { products: products.clone(), off };
            Part::new(read).about(Some(card.clone())).then(then)
        })))
    }

    pub(super) fn get_services(&self, request: &Request, devices: &Devices) -> Result<Task, Refusal> {
        let asked = |card: &Serial, operation| (Some(text(card)), operation);
        let each = devices.smartcards.iter();
        match self.settings().mode {
            Mode::Products => {
                let parts = each.map(|c| asked(c, Operation::GetOrdersOnSmartcard { smartcard_id: text(c) }));
                Ok(questions(Telling::CardOrders, None, parts))
            }
            Mode::Packages => {
                let parts = each.map(|c| asked(c, Operation::GetSmartcardPackages { smartcard_id: text(c) }));
                let mut task = questions(Telling::CardPackages, None, parts);
                // Packages are told by name.
                let names = Part::new(Operation::GetPackages {}).then(Then::Tell(Telling::PackageNames));
                task.parts.push_front(names);
                Ok(task)
            }
            Mode::Orders => {
                let missing = || Refusal::new("subscription", "missing_field", "name the subscription, or its account");
                let subscriber_code = request.account_number().map(str::to_owned).ok_or_else(missing)?;
                let account = Some(subscriber_code.clone());
                let read = Operation::GetOrdersOfSubscriber { subscriber_code, include_expired_orders: false };
                let mut task = questions(Telling::SubscriberOrders, account, [(None, read)]);
                task.findings.cards = cards(devices);
                Ok(task)
            }
        }
    }
}
