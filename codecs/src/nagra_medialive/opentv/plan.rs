//! Which work a command is, in the platform's words.

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::command::{Command, Devices, Entitlement, Period, Selection, Services, Subscriber};
use headgate_core::request::Request;
use headgate_core::text::{AccountNumber, Serial, ServiceCode};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::json;

use super::accounts::{AccountWork, Change};
use super::devices::{DeviceWork, What};
use super::entitlements::{Deed, EntitlementWork, Part, Reading, SUBSCRIPTION, service_id, usage_id};
use super::queries::Query;
use super::wire::{AccountStatus, Grant};
use super::{OpenTv, Work};
use crate::http::raw::RawCall;
use crate::nagra_medialive::members::{self, Object};
use crate::nagra_medialive::settings::AccountForm;

impl OpenTv {
    pub(super) fn work(&self, now: Now, request: &Request) -> Result<Work, Refusal> {
        let account = || request.account_number().unwrap_or_default().to_owned();
        Ok(match &request.command {
            Command::CreateSubscriber(subscriber) => {
                let members = self.new_account(&account(), request, subscriber);
                self.account(account(), Change::Create(members))
            }
            Command::UpdateSubscriber(subscriber) => {
                self.account(account(), Change::Update(self.members(request, subscriber)))
            }
            Command::RemoveSubscriber if self.settings.remove_suspends => {
                self.account(account(), Change::Status(AccountStatus::Suspended))
            }
            Command::RemoveSubscriber => self.account(account(), Change::Status(AccountStatus::Cancelled)),
            Command::Suspend(Selection { services: Services::All, .. }) => {
                self.account(account(), Change::Status(AccountStatus::Suspended))
            }
            Command::Resume(Selection { services: Services::All, .. }) => {
                self.account(account(), Change::Status(AccountStatus::Active))
            }
            Command::Suspend(selection) => self.each(&account(), selection, Deed::stop)?,
            Command::Resume(selection) => self.each(&account(), selection, Deed::resume)?,
            Command::DeactivateServices(Selection { services: Services::All, devices }) => {
                self.reading(&account(), Reading::StopAll(devices.stbs.clone()))
            }
            Command::DeactivateServices(selection) => self.each(&account(), selection, Deed::stop)?,
            Command::ActivateServices(entitlement) => self.activate(now, &account(), entitlement)?,
            Command::SetServices(entitlement) => {
                let grants = self.grants(now, &account(), entitlement)?;
                self.reading(&account(), Reading::Set(grants, entitlement.devices.stbs.first().cloned()))
            }
            Command::AddUsage(usage) => {
                let label = label(&usage.service)?;
                let (valid_from, expiry_date) = self.period(now, usage.period)?;
                let grant = Grant {
                    id: usage_id(usage.usage.as_str()),
                    product_id: self.product(&usage.service)?,
                    account_id: account(),
                    validity_type: self.settings.entitlements.validity,
                    product_type: "TRANSACTIONAL",
                    valid_from,
                    expiry_date,
                    device_id: usage.devices.stbs.first().map(|device| device.as_str().to_owned()),
                };
                self.parts(vec![Part { label, deed: Deed::Grant(grant) }])
            }
            Command::CancelUsage(usage) => {
                let label = Serial::new("usage").map_err(|_| unspeakable())?;
                self.parts(vec![Part { label, deed: Deed::stop(usage_id(usage.usage.as_str())) }])
            }
            Command::AddDevice(devices) => self.devices(What::Add, Some(account()), devices),
            Command::RemoveDevice(devices) => self.devices(What::Remove, Some(account()), devices),
            Command::EnableDevice(devices) => self.devices(What::ENABLE, named_account(request), devices),
            Command::DisableDevice { devices, .. } => self.devices(What::DISABLE, named_account(request), devices),
            Command::GetDevice(devices) => self.devices(What::Tell, None, devices),
            Command::GetServices(_) => {
                Work::Query(Query::services(&self.settings.entitlements, account_number(request)?))
            }
            Command::GetSubscriber => {
                Work::Query(Query::subscriber(&self.settings.entitlements, account_number(request)?))
            }
            Command::Authenticate(credentials) => {
                let login = credentials.login.as_ref().map_or_else(account, |login| login.as_str().to_owned());
                let password = credentials.password.clone().ok_or_else(unspeakable)?;
                Work::SignOn { login, password }
            }
            Command::TestConnection => Work::Count,
            Command::Raw(raw) => Work::Raw(RawCall::read(&raw.payload)?),
            _ => return Err(unspeakable()),
        })
    }

    fn account(&self, id: String, change: Change) -> Work {
        Work::Account(AccountWork::new(self.settings.accounts, id, change, self.settings.account_places()))
    }

    fn devices(&self, what: What, account: Option<String>, devices: &Devices) -> Work {
        Work::Devices(DeviceWork::new(&self.settings.devices, what, account, &devices.stbs))
    }

    fn parts(&self, parts: Vec<Part>) -> Work {
        Work::Entitlements(EntitlementWork::of(&self.settings.entitlements, parts))
    }

    fn reading(&self, account: &str, reading: Reading) -> Work {
        Work::Entitlements(EntitlementWork::reading(&self.settings.entitlements, account, reading))
    }

    fn activate(&self, now: Now, account: &str, entitlement: &Entitlement) -> Result<Work, Refusal> {
        let grants = self.grants(now, account, entitlement)?.into_iter();
        Ok(self.parts(grants.map(|(label, grant)| Part { label, deed: Deed::Grant(grant) }).collect()))
    }

    /// The same with each of the services named, on each of the devices.
    fn each(&self, account: &str, selection: &Selection, deed: fn(String) -> Deed) -> Result<Work, Refusal> {
        let mut parts = Vec::new();
        for device in devices_or_all(&selection.devices) {
            for service in selection.services.listed() {
                let id = service_id(account, device.map(Serial::as_str), &self.product(service)?);
                parts.push(Part { label: self.label(service, device, &selection.devices)?, deed: deed(id) });
            }
        }
        Ok(self.parts(parts))
    }

    /// A grant of each service on each device, and what it is called.
    fn grants(&self, now: Now, account: &str, entitlement: &Entitlement) -> Result<Vec<(Serial, Grant)>, Refusal> {
        let (valid_from, expiry_date) = self.period(now, entitlement.period)?;
        let mut grants = Vec::new();
        for device in devices_or_all(&entitlement.devices) {
            for service in &entitlement.services {
                let product_id = self.product(service)?;
                let grant = Grant {
                    id: service_id(account, device.map(Serial::as_str), &product_id),
                    product_id,
                    account_id: account.to_owned(),
                    validity_type: self.settings.entitlements.validity,
                    product_type: SUBSCRIPTION,
                    valid_from,
                    expiry_date,
                    device_id: device.map(|device| device.as_str().to_owned()),
                };
                grants.push((self.label(service, device, &entitlement.devices)?, grant));
            }
        }
        Ok(grants)
    }

    fn product(&self, service: &ServiceCode) -> Result<String, Refusal> {
        let ca_id = self.services.ca_id(service);
        let missing = || Refusal::new("services", "unknown_service", "a service has no CA ID at this provider");
        ca_id.map(|id| id.as_str().to_owned()).ok_or_else(missing)
    }

    /// A part is called by its device where there are several, or else by its service.
    fn label(&self, service: &ServiceCode, device: Option<&Serial>, devices: &Devices) -> Result<Serial, Refusal> {
        match device {
            Some(device) if devices.stbs.len() > 1 => Ok(device.clone()),
            _ => label(service),
        }
    }

    /// From when to when, in whole seconds.
    fn period(&self, now: Now, period: Period) -> Result<(Timestamp, Timestamp), Refusal> {
        let wrong = |detail: &'static str| Refusal::new("end", "out_of_range", detail);
        let seconds = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
        let start = period.start.unwrap_or(now.wall);
        let months = Span::new().try_months(self.settings.entitlements.default_period_months);
        let default = || start.to_zoned(TimeZone::UTC).checked_add(months.ok()?).ok().map(|end| end.timestamp());
        let end = period.end.or_else(default).ok_or_else(|| wrong("lies in a year that can not be written"))?;
        if end <= start {
            return Err(wrong("must be after the start"));
        }
        Ok((seconds(start), seconds(end)))
    }

    fn new_account(&self, account: &str, request: &Request, subscriber: &Subscriber) -> Object {
        let mut members = Object::new();
        for (name, value) in [
            ("billingAddress", json!([])),
            ("pvrStatus", json!("DISABLED")),
            ("status", json!(AccountStatus::Active.name())),
        ] {
            members::set(&mut members, name, &value);
        }
        if self.settings.accounts == AccountForm::PreHashed {
            members::set(&mut members, "geoBlockExempt", &false);
        }
        for (name, value) in &self.settings.account_defaults {
            members::set(&mut members, name, value);
        }
        members.extend(self.members(request, subscriber));
        members::set(&mut members, "_id", &account);
        members
    }

    /// What the request says of the subscriber, in the platform's words.
    fn members(&self, request: &Request, subscriber: &Subscriber) -> Object {
        let mut members = Object::new();
        for (name, value) in &subscriber.attributes {
            members::set(&mut members, name, &value.as_str());
        }
        if let Some(sign_on) = subscriber.login.as_ref().or(subscriber.email.as_ref()) {
            members::set(&mut members, "signonId", &sign_on.as_str());
        }
        if let Some(password) = &subscriber.password {
            let hashed = self.settings.password_hash.of_request(password, request.id);
            members::set(&mut members, "password", &hashed.hash.reveal());
            members::set(&mut members, "salt", &hashed.salt);
        }
        members
    }
}

fn devices_or_all(devices: &Devices) -> Vec<Option<&Serial>> {
    match devices.stbs.as_slice() {
        [] => vec![None],
        some => some.iter().map(Some).collect(),
    }
}

fn named_account(request: &Request) -> Option<String> {
    request.account_number().map(str::to_owned)
}

fn account_number(request: &Request) -> Result<AccountNumber, Refusal> {
    AccountNumber::new(request.account_number().unwrap_or_default()).map_err(|_| unspeakable())
}

fn label(service: &ServiceCode) -> Result<Serial, Refusal> {
    Serial::new(service.as_str()).map_err(|_| unspeakable())
}

fn unspeakable() -> Refusal {
    Refusal::new("command", "unspeakable", "can not be put into the platform's words")
}
