//! What an action makes of a subscription: desired state + action + now -> desired state, or a refusal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::action::{Action, DeviceAt, MovedService, PostedAction, ServiceAt};
use super::{
    Device, DeviceBody, SCHEDULED_LIMIT, Service, ServiceBody, ServiceState, Subscription, SubscriptionState as State,
    Switch,
};
use crate::body::Refusal;
use crate::command::{Address, Subscriber};
use crate::text::{DistributorName, Serial, ServiceCode};

/// An action that waits for its day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScheduledAction {
    /// When it takes effect.
    pub due: Timestamp,
    /// What will be done.
    pub action: Action,
}

/// What happened by itself: see [`Subscription::catch_up`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performed {
    /// When it was due.
    pub due: Timestamp,
    /// What was done.
    pub action: Action,
    /// Why not, if it was refused: the subscription had changed in the meantime.
    pub refused: Option<Refusal>,
}

impl Subscription {
    /// The subscription after a posted action: performed at once, or kept for its day.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field at fault and why the action can not be done.
    pub fn post(&self, posted: &PostedAction, now: Timestamp) -> Result<Self, Refusal> {
        let Some(due) = posted.effective.later(now)? else { return self.perform(&posted.action, now) };
        if self.scheduled.len() >= SCHEDULED_LIMIT {
            let detail = format!("{SCHEDULED_LIMIT} actions of the subscription wait for their day already");
            return Err(Refusal::new("effective", "out_of_range", detail));
        }
        let mut after = self.clone();
        let place = after.scheduled.partition_point(|other| other.due <= due);
        after.scheduled.insert(place, ScheduledAction { due, action: posted.action.clone() });
        Ok(after)
    }

    /// The subscription after an action that takes effect now.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field at fault and why the action can not be done.
    pub fn perform(&self, action: &Action, now: Timestamp) -> Result<Self, Refusal> {
        let mut after = self.clone();
        after.change(action, now)?;
        Ok(after)
    }

    /// Does what is due by itself: ends temporary states, performs scheduled actions, in the order they were due.
    /// Tells what was done; an action that can not be done any more is dropped, and told with its refusal.
    pub fn catch_up(&mut self, now: Timestamp) -> Vec<Performed> {
        let mut performed = Vec::new();
        // Every turn takes away an action or an end, so the loop ends.
        while let Some((due, action)) = self.next_due(now) {
            let refused = match self.perform(&action, due) {
                Ok(after) => {
                    *self = after;
                    None
                }
                Err(refusal) => Some(refusal),
            };
            performed.push(Performed { due, action, refused });
        }
        performed
    }

    fn next_due(&mut self, now: Timestamp) -> Option<(Timestamp, Action)> {
        let scheduled = self.scheduled.first().map(|scheduled| scheduled.due).filter(|due| *due <= now);
        let end = self.until.filter(|end| *end <= now);
        match (end, scheduled) {
            (Some(end), scheduled) if scheduled.is_none_or(|due| end <= due) => {
                self.until = None;
                let action = match self.state {
                    State::InResting => Action::EndSubscriptionResting {},
                    State::ShortTermEffective => Action::EndShortTermActivation {},
                    _ => Action::EndShortTermDeactivation {},
                };
                Some((end, action))
            }
            (_, Some(_)) => {
                let ScheduledAction { due, action } = self.scheduled.remove(0);
                Some((due, action))
            }
            _ => None,
        }
    }

    /// Changes in place; half done where it is refused, so only ever called on a copy.
    fn change(&mut self, action: &Action, now: Timestamp) -> Result<(), Refusal> {
        if self.state == State::Terminated {
            return Err(Refusal::new(
                "action",
                "wrong_state",
                "the subscription is terminated; put a new one to begin again",
            ));
        }
        match action {
            Action::BecomeSubscriber { subscriber } => {
                self.turn(action, &[State::Draft], State::Effective, None, now)?;
                if let Some(subscriber) = subscriber {
                    subscriber.check("subscriber")?;
                    self.subscriber.update(subscriber);
                }
            }
            Action::ActivateSubscription {} => {
                let from = [State::Draft, State::NotEffective, State::ShortTermEffective];
                self.turn(action, &from, State::Effective, None, now)?;
            }
            Action::DeactivateSubscription {} => {
                let from =
                    [State::Effective, State::InResting, State::ShortTermEffective, State::ShortTermNotEffective];
                self.turn(action, &from, State::NotEffective, None, now)?;
            }
            Action::TerminateSubscription {} => {
                (self.state, self.until) = (State::Terminated, None);
                self.scheduled.clear();
            }
            Action::RestSubscription { until } => {
                self.turn(action, &[State::Effective], State::InResting, *until, now)?;
            }
            Action::EndSubscriptionResting {} => self.turn(action, &[State::InResting], State::Effective, None, now)?,
            Action::ShortTermActivation { until } => {
                self.turn(action, &[State::NotEffective], State::ShortTermEffective, *until, now)?;
            }
            Action::EndShortTermActivation {} => {
                self.turn(action, &[State::ShortTermEffective], State::NotEffective, None, now)?;
            }
            Action::ShortTermDeactivation { until } => {
                self.turn(action, &[State::Effective], State::ShortTermNotEffective, *until, now)?;
            }
            Action::EndShortTermDeactivation {} => {
                self.turn(action, &[State::ShortTermNotEffective], State::Effective, None, now)?;
            }
            Action::AddService { service } => self.subscribe(service.clone(), "service")?,
            Action::RemoveService(at) => self.end_service(at, ServiceState::Removed, "service")?,
            Action::CancelService(at) => self.end_service(at, ServiceState::Cancelled, "service")?,
            Action::StartService(at) => {
                let service = self.running(at, "service")?;
                if service.state.switch() == Switch::On {
                    return Err(Refusal::new("service", "wrong_state", "is started already"));
                }
                service.state = ServiceState::Effective;
            }
            Action::StopService(at) => {
                let service = self.running(at, "service")?;
                if matches!(service.state, ServiceState::Draft | ServiceState::NotEffective) {
                    return Err(Refusal::new("service", "wrong_state", "does not run"));
                }
                service.state = ServiceState::NotEffective;
            }
            Action::SwapService { service, distributor, replacement } => {
                let at = ServiceAt { service: service.clone(), distributor: distributor.clone() };
                self.swap_service(&at, replacement)?;
            }
            Action::RegretService(at) => self.regret(at)?,
            Action::UndoAddService(at) => {
                let Service { code, distributor, .. } = self.running(at, "service")?.clone();
                self.services.retain(|service| service.code != code || service.distributor != distributor);
            }
            Action::SwapPackage { remove, add } => self.amend(remove, add, ["remove", "add"])?,
            Action::AddInstalledItem { device } => self.install(device.clone(), "device")?,
            Action::RemoveInstalledItem { serial } | Action::UndoAddInstItem { serial } => {
                self.uninstall(serial, "serial")?;
            }
            Action::SwapInstalledItem { serial, replacement } => self.swap_device(serial, replacement)?,
            Action::AmendServicesInstalledItems { remove_services, add_services, remove_devices, add_devices } => {
                for (index, serial) in remove_devices.iter().enumerate() {
                    self.uninstall(serial, &format!("remove_devices/{index}"))?;
                }
                for (index, device) in add_devices.iter().enumerate() {
                    self.install(device.clone(), &format!("add_devices/{index}"))?;
                }
                self.amend(remove_services, add_services, ["remove_services", "add_services"])?;
            }
            Action::ChangeSubscriptionDistribution { services, devices } => self.redistribute(services, devices)?,
            Action::ReplaceSubscription { services, devices } => self.replace(services, devices)?,
            Action::UpdateSubscriber { subscriber } => {
                subscriber.check("subscriber")?;
                self.subscriber.update(subscriber);
            }
            Action::UpdateAddress { address } | Action::ChangeSubscriptionLocation { address } => {
                address.check("address")?;
                self.subscriber.address.get_or_insert_default().update(address);
            }
            Action::ChangeSubscriberAccount { provider, account } => {
                if !self.providers().contains(provider) {
                    let detail = "is not the provider of any viewing point of the subscription";
                    return Err(Refusal::new("provider", "unknown_provider", detail));
                }
                self.accounts.insert(provider.clone(), account.clone());
            }
            Action::AmendBillingTerms {} | Action::BillAsOfDate {} | Action::ExtendGracePeriod {} => {}
        }
        Ok(())
    }

    fn turn(
        &mut self,
        action: &Action,
        from: &[State],
        to: State,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if !from.contains(&self.state) {
            let from = from.iter().map(|state| state.name()).collect::<Vec<_>>().join(", ");
            let detail = format!("{} needs a subscription that is {from}; it is {}", action.name(), self.state);
            return Err(Refusal::new("action", "wrong_state", detail));
        }
        if until.is_some_and(|until| until <= now) {
            return Err(Refusal::new("until", "out_of_range", "must be in the future"));
        }
        (self.state, self.until) = (to, until);
        Ok(())
    }
}

/// Services and devices, one by one.
impl Subscription {
    /// The service meant, which is not over.
    fn running(&mut self, at: &ServiceAt, field: &str) -> Result<&mut Service, Refusal> {
        let meant = |service: &&mut Service| {
            service.code == at.service
                && !service.state.is_over()
                && at.distributor.as_ref().is_none_or(|distributor| service.distributor == *distributor)
        };
        let mut candidates = self.services.iter_mut().filter(meant);
        match (candidates.next(), candidates.next()) {
            (Some(service), None) => Ok(service),
            (None, _) => {
                Err(Refusal::new(field.to_owned(), "unknown_service", "the subscription has no such service there"))
            }
            (Some(_), Some(_)) => {
                let detail = "several viewing points have the service; say which";
                Err(Refusal::new(format!("{field}/distributor"), "missing_field", detail))
            }
        }
    }

    fn end_service(&mut self, at: &ServiceAt, state: ServiceState, field: &str) -> Result<(), Refusal> {
        self.running(at, field)?.state = state;
        Ok(())
    }

    fn swap_service(&mut self, at: &ServiceAt, replacement: &ServiceCode) -> Result<(), Refusal> {
        let old = self.running(at, "service")?;
        if old.code == *replacement {
            return Err(Refusal::new("replacement", "out_of_range", "is the service that it replaces"));
        }
        let new = ServiceBody {
            distributor: Some(old.distributor.clone()),
            state: old.state,
            mandatory: old.mandatory,
            ..ServiceBody::new(replacement.clone())
        };
        let (distributor, code) = (old.distributor.clone(), old.code.clone());
        old.state = ServiceState::Swapped;
        self.subscribe(new, "replacement")?;
        let at = ServiceAt { service: replacement.clone(), distributor: Some(distributor) };
        self.running(&at, "replacement")?.replaces = Some(code);
        Ok(())
    }

    fn regret(&mut self, at: &ServiceAt) -> Result<(), Refusal> {
        let regretted = self.running(at, "service")?;
        let (state, distributor) = (regretted.state, regretted.distributor.clone());
        let replaced = regretted.replaces.take();
        regretted.state = ServiceState::Regretted;
        let Some(replaced) = replaced else { return Ok(()) };
        let old = |service: &&mut Service| {
            service.code == replaced && service.distributor == distributor && service.state == ServiceState::Swapped
        };
        match self.services.iter_mut().find(old) {
            Some(old) => old.state = state,
            None => {
                let detail = "the service it replaced is not there to come back; add it";
                return Err(Refusal::new("service", "wrong_state", detail));
            }
        }
        Ok(())
    }

    fn amend(&mut self, remove: &[ServiceAt], add: &[ServiceBody], fields: [&str; 2]) -> Result<(), Refusal> {
        let [remove_field, add_field] = fields;
        for (index, at) in remove.iter().enumerate() {
            self.end_service(at, ServiceState::Removed, &format!("{remove_field}/{index}"))?;
        }
        for (index, service) in add.iter().enumerate() {
            self.subscribe(service.clone(), &format!("{add_field}/{index}"))?;
        }
        Ok(())
    }

    fn uninstall(&mut self, serial: &Serial, field: &str) -> Result<Device, Refusal> {
        match self.devices.iter().position(|device| device.serial == *serial) {
            Some(index) => Ok(self.devices.remove(index)),
            None => {
                Err(Refusal::new(field.to_owned(), "unknown_device", "the subscription has no device of this number"))
            }
        }
    }

    fn swap_device(&mut self, serial: &Serial, replacement: &Serial) -> Result<(), Refusal> {
        let old = self.uninstall(serial, "serial")?;
        let new = DeviceBody {
            serial: replacement.clone(),
            kind: old.kind,
            distributor: Some(old.distributor),
            replaces: Some(old.serial),
        };
        self.install(new, "replacement")
    }

    fn redistribute(&mut self, services: &[MovedService], devices: &[DeviceAt]) -> Result<(), Refusal> {
        for (index, MovedService { service, from, to }) in services.iter().enumerate() {
            let field = format!("services/{index}");
            self.must_have(to, &field)?;
            let at = ServiceAt { service: service.clone(), distributor: from.clone() };
            let moved = self.running(&at, &field)?.clone();
            let there = |other: &Service| other.code == *service && other.distributor == *to;
            if self.services.iter().any(|other| there(other) && !other.state.is_over()) {
                return Err(Refusal::new(
                    format!("{field}/to"),
                    "duplicate",
                    "the viewing point has this service already",
                ));
            }
            self.services.retain(|other| !there(other));
            let leaves = |other: &&mut Service| other.code == moved.code && other.distributor == moved.distributor;
            if let Some(service) = self.services.iter_mut().find(leaves) {
                service.distributor = to.clone();
            }
        }
        for (index, DeviceAt { serial, to }) in devices.iter().enumerate() {
            let field = format!("devices/{index}");
            self.must_have(to, &field)?;
            let Some(device) = self.devices.iter_mut().find(|device| device.serial == *serial) else {
                return Err(Refusal::new(
                    format!("{field}/serial"),
                    "unknown_device",
                    "the subscription has no device of this number",
                ));
            };
            device.distributor = to.clone();
        }
        Ok(())
    }

    fn must_have(&self, distributor: &DistributorName, field: &str) -> Result<(), Refusal> {
        if self.distributors.contains_key(distributor) {
            return Ok(());
        }
        Err(Refusal::new(format!("{field}/to"), "unknown_distributor", "is not a viewing point of the subscription"))
    }

    fn replace(&mut self, services: &[ServiceBody], devices: &[DeviceBody]) -> Result<(), Refusal> {
        self.services.clear();
        self.devices.clear();
        for (index, device) in devices.iter().enumerate() {
            self.install(device.clone(), &format!("devices/{index}"))?;
        }
        for (index, service) in services.iter().enumerate() {
            self.subscribe(service.clone(), &format!("services/{index}"))?;
        }
        Ok(())
    }
}

impl Action {
    /// Its name, as in `rest_subscription`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BecomeSubscriber { .. } => "become_subscriber",
            Self::ActivateSubscription {} => "activate_subscription",
            Self::DeactivateSubscription {} => "deactivate_subscription",
            Self::TerminateSubscription {} => "terminate_subscription",
            Self::RestSubscription { .. } => "rest_subscription",
            Self::EndSubscriptionResting {} => "end_subscription_resting",
            Self::ShortTermActivation { .. } => "short_term_activation",
            Self::EndShortTermActivation {} => "end_short_term_activation",
            Self::ShortTermDeactivation { .. } => "short_term_deactivation",
            Self::EndShortTermDeactivation {} => "end_short_term_deactivation",
            Self::AddService { .. } => "add_service",
            Self::RemoveService(_) => "remove_service",
            Self::StartService(_) => "start_service",
            Self::StopService(_) => "stop_service",
            Self::SwapService { .. } => "swap_service",
            Self::RegretService(_) => "regret_service",
            Self::CancelService(_) => "cancel_service",
            Self::UndoAddService(_) => "undo_add_service",
            Self::SwapPackage { .. } => "swap_package",
            Self::AddInstalledItem { .. } => "add_installed_item",
            Self::RemoveInstalledItem { .. } => "remove_installed_item",
            Self::UndoAddInstItem { .. } => "undo_add_inst_item",
            Self::SwapInstalledItem { .. } => "swap_installed_item",
            Self::AmendServicesInstalledItems { .. } => "amend_services_installed_items",
            Self::ChangeSubscriptionDistribution { .. } => "change_subscription_distribution",
            Self::ReplaceSubscription { .. } => "replace_subscription",
            Self::UpdateSubscriber { .. } => "update_subscriber",
            Self::UpdateAddress { .. } => "update_address",
            Self::ChangeSubscriptionLocation { .. } => "change_subscription_location",
            Self::ChangeSubscriberAccount { .. } => "change_subscriber_account",
            Self::AmendBillingTerms {} => "amend_billing_terms",
            Self::BillAsOfDate {} => "bill_as_of_date",
            Self::ExtendGracePeriod {} => "extend_grace_period",
        }
    }
}

impl Subscriber {
    /// Takes over what `news` says; what it does not say stays.
    pub fn update(&mut self, news: &Self) {
        let Self {
            first_name,
            last_name,
            login,
            password,
            pin,
            email,
            phone,
            address,
            language,
            region,
            since,
            attributes,
        } = news;
        take(&mut self.first_name, first_name);
        take(&mut self.last_name, last_name);
        take(&mut self.login, login);
        take(&mut self.password, password);
        take(&mut self.pin, pin);
        take(&mut self.email, email);
        take(&mut self.phone, phone);
        take(&mut self.language, language);
        take(&mut self.region, region);
        take(&mut self.since, since);
        if let Some(address) = address {
            self.address.get_or_insert_default().update(address);
        }
        self.attributes.extend(attributes.clone());
    }
}

impl Address {
    /// Takes over what `news` says; what it does not say stays.
    pub fn update(&mut self, news: &Self) {
        let Self { street, postal_code, city, country } = news;
        take(&mut self.street, street);
        take(&mut self.postal_code, postal_code);
        take(&mut self.city, city);
        take(&mut self.country, country);
    }
}

fn take<T: Clone>(old: &mut Option<T>, news: &Option<T>) {
    if news.is_some() {
        old.clone_from(news);
    }
}
