//! What an operator can set for a pull.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::command::CommandKind;
use headgate_core::text::Secret;
use serde::Deserialize;

use super::mapping;
use crate::crm_com::MOST;
use crate::crm_com::envelope::UtcOffset;
use crate::registry::SettingsError;

/// The settings of one pull: its `settings` table.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullSettings {
    /// The Generic provider at the CRM whose requests are fetched.
    pub provider_identifier: ProviderIdentifier,
    /// The token that every call shows. CRM.COM's login that gives one is not published: get one there that lasts.
    pub token: Option<Secret>,
    /// How long after a look the next one comes, 1 s to 1 day. Default 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// How many results a call asks for, 2 to 50 \[S:GP\]. Default 50.
    #[schemars(range(min = 2, max = 50))]
    pub page_size: usize,
    /// What the CRM counts as a result; its page does not say. Default `requests`.
    pub page_counts: PageCounts,
    /// Most requests of the CRM that are carried out at once, 1 to 10,000. Default 200.
    #[schemars(range(min = 1, max = 10_000))]
    pub in_flight: usize,
    /// How often an answer is posted at most that the CRM says it could not take, 1 to 100. Default 3.
    #[schemars(range(min = 1, max = 100))]
    pub answer_attempts: u32,
    /// From which age on a request that is not answered is warned of, up to 7 days: after those the CRM shows it no more
    /// \[S:GP\]. Default 6 days.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub warn_after: Duration,
    /// Where the CRM's clock stands: its times carry no zone \[S:A-CMN\]. Default `+00:00`.
    pub utc_offset: UtcOffset,
    /// What each request type becomes: commands, carried out one after the other. An empty list accepts the request
    /// without doing anything. Those that are not here keep their default.
    pub types: BTreeMap<String, Vec<CommandKind>>,
    /// What services are switched on: the account, or devices. Default `account`.
    pub services_on: ServicesOn,
    /// Where the members stand that CRM.COM does not publish. The defaults are Headgate's, unconfirmed.
    pub members: PullMembers,
}

/// The Generic provider's name at the CRM: exactly one of these \[S:GP\].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderIdentifier {
    /// Its name.
    pub name: Option<String>,
    /// Its internal id.
    pub id: Option<String>,
    /// Its alternative code.
    pub alternative_code: Option<String>,
}

/// What a page's length and offset count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PageCounts {
    /// Requests.
    #[default]
    Requests,
    /// Subscriptions, each with all of its requests.
    Subscriptions,
}

/// What services are switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServicesOn {
    /// The subscription's account.
    #[default]
    Account,
    /// The devices that stand in the service, or else beside it.
    Devices,
}

/// Where members stand, by name; parts of a path are joined by dots.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullMembers {
    /// In a service: the code that the provider's `services` know. Default `code`.
    pub service_code: String,
    /// In a service: from when. Default `start_date`.
    pub service_start: String,
    /// In a service: until when. Default `end_date`.
    pub service_end: String,
    /// In a service: the list of devices it is for. Default `installed_items_set`.
    pub service_devices: String,
    /// In a service: the id of the use, of `ADD_UDR` and `CANCEL_UDR`. Default `usage_id`.
    pub usage: String,
    /// In an installed item: its serial number. Default `serial_number`.
    pub device_serial: String,
    /// In an installed item: what it is. Default `type`.
    pub device_type: String,
    /// The device types that are set-top boxes; every other is a smartcard. Default `stb` and `STB`.
    pub stb_types: Vec<String>,
    /// In a request: what the subscriber's fields are taken from, by field, as in `first_name =
    /// "account_information.first_name"`; a part of the address as in `address.city`.
    pub subscriber: BTreeMap<String, String>,
}

impl Default for PullSettings {
    fn default() -> Self {
        Self {
            provider_identifier: ProviderIdentifier::default(),
            token: None,
            interval: Duration::from_secs(10),
            page_size: MOST,
            page_counts: PageCounts::default(),
            in_flight: 200,
            answer_attempts: 3,
            warn_after: Duration::from_hours(6 * 24),
            utc_offset: UtcOffset::default(),
            types: mapping::default_types(),
            services_on: ServicesOn::default(),
            members: PullMembers::default(),
        }
    }
}

impl Default for PullMembers {
    fn default() -> Self {
        let account = ["first_name", "last_name", "login", "email", "phone", "language", "region"]
            .map(|field| (field.to_owned(), format!("account_information.{field}")));
        let address = ["street", "postal_code", "city", "country"]
            .map(|field| (format!("address.{field}"), format!("address.{field}")));
        Self {
            service_code: "code".into(),
            service_start: "start_date".into(),
            service_end: "end_date".into(),
            service_devices: "installed_items_set".into(),
            usage: "usage_id".into(),
            device_serial: "serial_number".into(),
            device_type: "type".into(),
            stb_types: vec!["stb".into(), "STB".into()],
            subscriber: account.into_iter().chain(address).collect(),
        }
    }
}

impl ProviderIdentifier {
    /// The member that is set, and its value; nothing unless exactly one is.
    #[must_use]
    pub fn given(&self) -> Option<(&'static str, &str)> {
        let members = [("name", &self.name), ("id", &self.id), ("alternative_code", &self.alternative_code)];
        let mut given = members.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        match (given.next(), given.next()) {
            (Some(one), None) if !one.1.is_empty() => Some(one),
            _ => None,
        }
    }
}

impl PullSettings {
    /// Checks what the types can not say.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |path: &str, text: &str| Err(SettingsError::new(path, text));
        if self.provider_identifier.given().is_none() {
            return wrong("provider_identifier", "must have exactly one of name, id and alternative_code");
        }
        if !(Duration::from_secs(1)..=Duration::from_hours(24)).contains(&self.interval) {
            return wrong("interval", "must be 1s to 24h");
        }
        if !(2..=MOST).contains(&self.page_size) {
            return wrong("page_size", "must be 2 to 50");
        }
        if !(1..=10_000).contains(&self.in_flight) {
            return wrong("in_flight", "must be 1 to 10000");
        }
        if !(1..=100).contains(&self.answer_attempts) {
            return wrong("answer_attempts", "must be 1 to 100");
        }
        if !(Duration::from_mins(1)..=Duration::from_hours(7 * 24)).contains(&self.warn_after) {
            return wrong("warn_after", "must be 1m to 7 days (168h)");
        }
        mapping::check(self)
    }

    /// What a request type becomes; nothing if it is not known.
    #[must_use]
    pub fn steps(&self, kind: &str) -> Option<Vec<CommandKind>> {
        self.types.get(kind).cloned().or_else(|| mapping::default_types().remove(kind))
    }
}
