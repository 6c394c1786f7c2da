//! What an operator can set for a provider of this protocol.

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::time::Duration;

use headgate_core::text::Secret;
use serde::Deserialize;
use serde_json::Value;

use super::wire::sets::{ContentMode, DeviceType, DisplayMode, TextAlign, XAnchor, XOrigin, YAnchor, YOrigin};
use super::wire::{Form, QueryParts, Service, find};
use crate::http::CallSettings;
use crate::registry::{SettingsError, read_settings};

/// The settings of one provider: its `settings` table.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The user that signs on. Default `headgate`.
    pub user: String,
    /// Its password. Default: empty.
    pub password: Secret,
    /// The version of the interface: `3.5`, `3.6` or `later`. Default `3.6`.
    pub version: Version,
    /// The id of the network that devices are on: CRM.COM's *SMS Network ID*. Default `dvb-network`.
    pub network: String,
    /// The type of devices that requests name as smartcards. Default `STB_DVB_SC`.
    pub smartcard_type: DeviceType,
    /// The type of devices that requests name as boxes. Default `STB_DVB_STB`.
    pub stb_type: DeviceType,
    /// Where the services are, below the connection's own path.
    pub paths: Paths,
    /// Whether calls carry a `SOAPAction`; platforms seem not to need it. Default true.
    pub soap_action: bool,
    /// The name of the one part of a question, by operation, where it is not `query`: the names are not public.
    pub query_parts: QueryParts,
    /// Most items of one list call, 1 to 1,000; the platform's own limit is not public. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    pub block_size: usize,
    /// How `get_device` looks: by the question for its entitlements (`entitlements`), or through the list of all
    /// devices (`device_list`). Default `entitlements`.
    pub find_device: FindDevice,
    /// How many devices a page of their list has, 1 to 10,000. Default 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: i32,
    /// Whether `activate_services` and `set_services` first add the devices. Default false.
    pub create_devices: bool,
    /// For how many months services without an end are switched on, 0 to 1,200; 0: without limit. Default 0.
    #[schemars(range(min = 0, max = 1_200))]
    pub default_period_months: i32,
    /// Which of the four PINs `set_pin` sets, 0 to 3. Default 0.
    #[schemars(range(min = 0, max = 3))]
    pub pin_index: i32,
    /// Whether a subscription's account is a domain: then domains are made and removed, devices put into them, services
    /// of requests that name no device held by them, and messages shown in them. Default false.
    pub accounts_are_domains: bool,
    /// How many devices a new domain may hold, 1 to 10,000. Default 10.
    #[schemars(range(min = 1, max = 10_000))]
    pub domain_devices: i32,
    /// After how long without a call the session is kept alive by `getNetworkList`, up to 24 h; zero: never. The
    /// platform's idle time-out is not public; one client sends something every 360 s. Default 5 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub keep_alive: Duration,
    /// Most logins in any 5 minutes, 1 to 1,000; the platform's rules are not public. Default 20.
    #[schemars(range(min = 1, max = 1_000))]
    pub most_logins: usize,
    /// The result codes that say "your session is not known". Not public. Default: none; see `probe_session`.
    pub session_lost_codes: Vec<i32>,
    /// Whether a call that was refused as a whole, with a code that is not known yet, is followed by `getNetworkList`:
    /// if that is refused too, the session is lost. Default true.
    pub probe_session: bool,
    /// The result codes that say "it is not there": where something is removed, they mean success. Not public.
    /// Default: none.
    pub absent_codes: Vec<i32>,
    /// How messages look.
    pub osm: Osm,
    /// How calls are made.
    pub calls: CallSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user: "headgate".into(),
            password: Secret::new(""),
            version: Version::V3_6,
            network: "dvb-network".into(),
            smartcard_type: DeviceType::StbDvbSc,
            stb_type: DeviceType::StbDvbStb,
            paths: Paths::default(),
            soap_action: true,
            query_parts: QueryParts::new(),
            block_size: 100,
            find_device: FindDevice::Entitlements,
            page_size: 100,
            create_devices: false,
            default_period_months: 0,
            pin_index: 0,
            accounts_are_domains: false,
            domain_devices: 10,
            keep_alive: Duration::from_mins(5),
            most_logins: 20,
            session_lost_codes: Vec::new(),
            probe_session: true,
            absent_codes: Vec::new(),
            osm: Osm::default(),
            calls: CallSettings::default(),
        }
    }
}

/// A version of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
pub enum Version {
    /// Without `refreshDeviceEntitlements` and `verifyDevice`.
    #[serde(rename = "3.5")]
    V3_5,
    /// All of ours.
    #[serde(rename = "3.6")]
    V3_6,
    /// One with priorities, cycles and character sets of messages; only clients of it are public.
    #[serde(rename = "later")]
    Later,
}

/// How a device is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindDevice {
    /// By `getDeviceEntitlements`, whose answer holds the device.
    Entitlements,
    /// By `getDeviceList`, page by page.
    DeviceList,
}

/// Where the services are, below the connection's own path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Default `/services/AdminMgmtService`.
    pub admin: String,
    /// Default `/services/ConfigurationMgmtService`.
    pub configuration: String,
    /// Default `/services/ContentMgmtService`.
    pub content: String,
    /// Default `/services/DeviceMgmtService`.
    pub device: String,
    /// Default `/services/DomainMgmtService`.
    pub domain: String,
    /// Default `/services/EntitlementMgmtService`.
    pub entitlement: String,
    /// Default `/services/MessagingService`.
    pub messaging: String,
}

impl Default for Paths {
    fn default() -> Self {
        let below = |service: Service| format!("/services/{}", service.name());
        Self {
            admin: below(Service::Admin),
            configuration: below(Service::Configuration),
            content: below(Service::Content),
            device: below(Service::Device),
            domain: below(Service::Domain),
            entitlement: below(Service::Entitlement),
            messaging: below(Service::Messaging),
        }
    }
}

impl Paths {
    /// The path of a service.
    #[must_use]
    pub fn of(&self, service: Service) -> &str {
        match service {
            Service::Admin => &self.admin,
            Service::Configuration => &self.configuration,
            Service::Content => &self.content,
            Service::Device => &self.device,
            Service::Domain => &self.domain,
            Service::Entitlement => &self.entitlement,
            Service::Messaging => &self.messaging,
        }
    }

    const fn named(&self) -> [(&'static str, &String); 7] {
        [
            ("admin", &self.admin),
            ("configuration", &self.configuration),
            ("content", &self.content),
            ("device", &self.device),
            ("domain", &self.domain),
            ("entitlement", &self.entitlement),
            ("messaging", &self.messaging),
        ]
    }
}

/// How messages look: CRM.COM's OSM defaults \[S:C1\].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Osm {
    /// The sector of messages; its meaning and range are not public. Default 1.
    pub sector: i32,
    /// The lowest number of a message. Default 1.
    pub first_message: i32,
    /// The highest; after it the numbers begin again. Their range is not public. Default 65,535.
    pub last_message: i32,
    /// Default `POS`; the meaning is not public.
    pub content_mode: ContentMode,
    /// Default `RM_IMMED`: at once, and the viewer can take it away.
    pub display_mode: DisplayMode,
    /// Default `ORIGL`.
    pub x_origin: XOrigin,
    /// 0 to 4,095. Default 0.
    #[schemars(range(min = 0, max = 4_095))]
    pub x_position: i32,
    /// Default `CENTER`.
    pub x_anchor: XAnchor,
    /// Default `ORIGTOP`.
    pub y_origin: YOrigin,
    /// 0 to 1,023. Default 0.
    #[schemars(range(min = 0, max = 1_023))]
    pub y_position: i32,
    /// Default `CENTER`.
    pub y_anchor: YAnchor,
    /// Default `CENTER`.
    pub text_align: TextAlign,
    /// 0 to 15. Default 0.
    #[schemars(range(min = 0, max = 15))]
    pub bg_color: i32,
    /// 0 to 15. Default 0.
    #[schemars(range(min = 0, max = 15))]
    pub alpha: i32,
    /// The id of everybody in messages to `GLOBAL`; what belongs there is not public. Default `GLOBAL`.
    pub global_id: String,
    /// Most bytes of a text in UTF-8, 1 to 65,535; the platform's limit is not public. Default 255.
    #[schemars(range(min = 1, max = 65_535))]
    pub text_limit: usize,
    /// The priority of messages, with version `later` only. Default: not sent.
    pub priority: Option<i32>,
    /// The character set's name, with version `later` only: CRM.COM's *Character Set Encoding*. Default: not sent.
    pub charset_name: Option<String>,
}

impl Default for Osm {
    fn default() -> Self {
        Self {
            sector: 1,
            first_message: 1,
            last_message: 65_535,
            content_mode: ContentMode::Pos,
            display_mode: DisplayMode::RmImmed,
            x_origin: XOrigin::Left,
            x_position: 0,
            x_anchor: XAnchor::Center,
            y_origin: YOrigin::Top,
            y_position: 0,
            y_anchor: YAnchor::Center,
            text_align: TextAlign::Center,
            bg_color: 0,
            alpha: 0,
            global_id: "GLOBAL".into(),
            text_limit: 255,
            priority: None,
            charset_name: None,
        }
    }
}

impl Settings {
    /// Reads and checks a provider's `settings` table.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake.
    pub fn read(settings: &Value) -> Result<Self, SettingsError> {
        let settings: Self = read_settings(settings)?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        for (path, text) in [("user", &self.user), ("network", &self.network), ("osm.global_id", &self.osm.global_id)] {
            if text.is_empty() {
                return Err(SettingsError::new(path, "must not be empty"));
            }
            writable(path, text)?;
        }
        writable("password", self.password.reveal())?;
        for (name, path) in self.paths.named() {
            let plain = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#');
            if !plain {
                let text = "must be a path: `/`, then visible ASCII without `?` and `#`";
                return Err(SettingsError::new(format!("paths.{name}"), text));
            }
        }
        for (operation, name) in &self.query_parts {
            let path = || format!("query_parts.{operation}");
            if !find(operation).is_some_and(|known| known.form == Form::Query && !known.parts.is_empty()) {
                return Err(SettingsError::new(path(), "is no operation of OMI that asks with a part"));
            }
            if !is_name(name) {
                return Err(SettingsError::new(path(), "must be the name of an element"));
            }
        }
        in_range("block_size", &self.block_size, 1..=1_000)?;
        in_range("page_size", &self.page_size, 1..=10_000)?;
        in_range("default_period_months", &self.default_period_months, 0..=1_200)?;
        in_range("pin_index", &self.pin_index, 0..=3)?;
        in_range("domain_devices", &self.domain_devices, 1..=10_000)?;
        in_range("keep_alive", &self.keep_alive, Duration::ZERO..=Duration::from_hours(24))?;
        in_range("most_logins", &self.most_logins, 1..=1_000)?;
        for (path, codes) in [("session_lost_codes", &self.session_lost_codes), ("absent_codes", &self.absent_codes)] {
            if codes.contains(&0) {
                return Err(SettingsError::new(path, "must not name 0, which says that it is done"));
            }
        }
        if let Some(code) = self.absent_codes.iter().find(|code| self.session_lost_codes.contains(code)) {
            let text = format!("names {code}, which session_lost_codes names too");
            return Err(SettingsError::new("absent_codes", text));
        }
        self.check_osm()?;
        self.calls.check()
    }

    fn check_osm(&self) -> Result<(), SettingsError> {
        let osm = &self.osm;
        in_range("osm.x_position", &osm.x_position, 0..=4_095)?;
        in_range("osm.y_position", &osm.y_position, 0..=1_023)?;
        in_range("osm.bg_color", &osm.bg_color, 0..=15)?;
        in_range("osm.alpha", &osm.alpha, 0..=15)?;
        in_range("osm.text_limit", &osm.text_limit, 1..=65_535)?;
        in_range("osm.first_message", &osm.first_message, 0..=i32::MAX)?;
        in_range("osm.last_message", &osm.last_message, osm.first_message..=i32::MAX)?;
        if let Some(name) = &osm.charset_name {
            writable("osm.charset_name", name)?;
        }
        let later = [("osm.priority", osm.priority.is_some()), ("osm.charset_name", osm.charset_name.is_some())];
        match later.iter().find(|(_, set)| *set && self.version != Version::Later) {
            Some((path, _)) => {
                Err(SettingsError::new(*path, "only versions after 3.6 know it: set version = \"later\""))
            }
            None => Ok(()),
        }
    }
}

/// Whether it can name an element, without a prefix.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn writable(path: &str, text: &str) -> Result<(), SettingsError> {
    crate::xml::write::check(text).map_err(|error| SettingsError::new(path, error.to_string()))
}

fn in_range<T: PartialOrd + std::fmt::Debug>(
    path: &str,
    value: &T,
    range: RangeInclusive<T>,
) -> Result<(), SettingsError> {
    match range.contains(value) {
        true => Ok(()),
        false => Err(SettingsError::new(path, format!("must be {:?} to {:?}", range.start(), range.end()))),
    }
}
