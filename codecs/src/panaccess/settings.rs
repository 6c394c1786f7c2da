//! What an operator can set for a provider of this protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::text::{CaId, Secret};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::wire::json::Lists;
use super::wire::{Binding, json, soap};
use crate::http::CallSettings;
use crate::registry::{SettingsError, read_settings};

/// The settings of one provider: its `settings` table.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which of the platform's two languages is spoken. Default `json`.
    pub binding: BindingName,
    /// The operator's user.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The API token, which the JSON binding's login takes beside user and password.
    pub api_token: Secret,
    /// What is appended to the password before it is hashed. Default `_panaccess`.
    pub password_salt: String,
    /// Whether the SOAP binding's login takes the password as it is, or hashed as in the JSON binding. Default
    /// `plain`.
    pub soap_password: SoapPassword,
    /// The version of the SOAP contract, digits and dots. Default `4.0`.
    pub soap_version: String,
    /// Whether every SOAP call goes to the larger, unstable set; otherwise those do that only it has. Default false.
    pub soap_unstable: bool,
    /// How the JSON binding's lists are written. Default `numbered`.
    pub lists: Lists,
    /// What the services' CA IDs are, and how they get to the cards. Default `products`.
    pub mode: Mode,
    /// The headcontrol of new subscribers without a region of their own, and of cards that are switched on. Default:
    /// none.
    pub headcontrol: Option<String>,
    /// The country of new subscribers without an address, two letters of ISO 3166. Default: none.
    pub country: Option<String>,
    /// The zone in which the JSON binding writes times without a zone, by its IANA name. Default `UTC`.
    pub time_zone: String,
    /// For how many months services without an end are switched on, 1 to 1,200. Default 12.
    #[schemars(range(min = 1, max = 1_200))]
    pub default_period_months: u32,
    /// Resumed orders are switched on for so many days, 1 to 7; the platform refuses more. Default: without an end.
    #[schemars(range(min = 1, max = 7))]
    pub resume_days: Option<u8>,
    /// The PIN that `reset_pin` sets, 4 digits. Default `0000`.
    pub default_pin: Secret,
    /// Whether swapping takes the new card away from another subscriber, who gets the old one. Default false.
    pub allow_exchange: bool,
    /// Whether a subscriber's streaming licences are given back before it is removed; seen at version 4.3 of the JSON
    /// binding only. Default false.
    pub license_blocks: bool,
    /// The box configurations that show a fingerprint and end it. Default: no fingerprints.
    pub fingerprint: Option<Fingerprint>,
    /// Most bytes of a message; the platform's own limit is not published. Default 200.
    #[schemars(range(min = 1, max = 65_535))]
    pub message_limit: usize,
    /// In what the delay of a message is counted, which is not published. Default: messages can not be delayed.
    pub message_delay: Option<DelayUnit>,
    /// The cycle of repeated messages to cards, subscribers and holders of packages, 0 to 7. Default 0.
    #[schemars(range(min = 0, max = 7))]
    pub message_cycle: u8,
    /// The cycle of repeated messages to headcontrols and to everybody, 8 to 255. Default 8.
    #[schemars(range(min = 8, max = 255))]
    pub broadcast_cycle: u8,
    /// The package by which the holders of a service are reached, by the service's CA ID. Not needed with
    /// `mode = "packages"`, where CA IDs are packages. Default: none.
    pub packages: BTreeMap<CaId, i64>,
    /// Whether a request ends only when the radio side has done its work. Needs `calls.at_once = 1`. Default false.
    pub follow_tasks: bool,
    /// The status numbers of work that is done, which are not published. Default `[2]`, unconfirmed.
    pub task_done: Vec<i64>,
    /// The status numbers of work that failed, which are not published. Default `[3]`, unconfirmed.
    pub task_failed: Vec<i64>,
    /// How often work is asked after, 10 ms to 1 h. Default 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub task_poll: Duration,
    /// How long work may take, up to 24 h. Default 1 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub task_limit: Duration,
    /// After how long without a call the session is checked, 1 s to 24 h. Default 15 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub session_check: Duration,
    /// How calls are made.
    pub calls: CallSettings,
}

/// One of the platform's two languages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BindingName {
    /// Form fields in, JSON out.
    #[default]
    Json,
    /// SOAP 1.1, rpc/encoded.
    Soap,
}

/// How the SOAP binding's login takes the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SoapPassword {
    /// As it is \[S4\].
    #[default]
    Plain,
    /// As in the JSON binding.
    Hashed,
}

/// What services are, and how they get to the cards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Flexible orders of a subscriber; CA IDs are products.
    Orders,
    /// The whole list of packages is set on a card, past products and subscribers; CA IDs are packages. Unstable, and
    /// deprecated by the vendor.
    Packages,
    /// Products are added to cards, removed from them, or set as a whole; CA IDs are products.
    #[default]
    Products,
}

/// The box configurations that show a fingerprint and end it.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// The configuration that shows it.
    pub on: i64,
    /// The one that ends it; -1: none. Default -1.
    #[serde(default = "no_configuration")]
    pub off: i64,
    /// Whether rules per package must leave the configuration alone. Default false.
    #[serde(default)]
    pub protected: bool,
}

const fn no_configuration() -> i64 {
    -1
}

/// In what the delay of a message is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DelayUnit {
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            binding: BindingName::default(),
            user: String::new(),
            password: Secret::new(""),
            api_token: Secret::new(""),
            password_salt: "_panaccess".into(),
            soap_password: SoapPassword::default(),
            soap_version: "4.0".into(),
            soap_unstable: false,
            lists: Lists::default(),
            mode: Mode::default(),
            headcontrol: None,
            country: None,
            time_zone: "UTC".into(),
            default_period_months: 12,
            resume_days: None,
            default_pin: Secret::new("0000"),
            allow_exchange: false,
            license_blocks: false,
            fingerprint: None,
            message_limit: 200,
            message_delay: None,
            message_cycle: 0,
            broadcast_cycle: 8,
            packages: BTreeMap::new(),
            follow_tasks: false,
            task_done: vec![2],
            task_failed: vec![3],
            task_poll: Duration::from_secs(1),
            task_limit: Duration::from_mins(1),
            session_check: Duration::from_mins(15),
            calls: CallSettings::default(),
        }
    }
}

/// Settings that were checked, with the binding they choose.
#[derive(Clone, Debug)]
pub struct Checked {
    /// As written.
    pub settings: Settings,
    /// The language, with its variants.
    pub binding: Binding,
    /// The default PIN as the platform takes it.
    pub default_pin: i64,
}

impl Checked {
    /// Reads and checks a provider's `settings` table.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake.
    pub fn read(settings: &Value) -> Result<Self, SettingsError> {
        Self::check(read_settings(settings)?)
    }

    /// Checks settings that were read.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake.
    pub fn check(settings: Settings) -> Result<Self, SettingsError> {
        let zone = TimeZone::get(&settings.time_zone).map_err(|_| {
            SettingsError::new("time_zone", "is no time zone of the IANA database, as in \"Europe/Nicosia\"")
        })?;
        ranges(&settings)?;
        tasks(&settings)?;
        settings.calls.check()?;
        let version = &settings.soap_version;
        if version.is_empty() || version.len() > 16 || !version.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(SettingsError::new("soap_version", "must be digits and dots, as in \"4.0\""));
        }
        if settings.country.as_ref().is_some_and(|c| c.len() != 2 || !c.bytes().all(|b| b.is_ascii_alphabetic())) {
            return Err(SettingsError::new("country", "must be two letters of ISO 3166"));
        }
        let default_pin =
            pin(settings.default_pin.reveal()).ok_or_else(|| SettingsError::new("default_pin", "must be 4 digits"))?;
        let binding = match settings.binding {
            BindingName::Json => Binding::Json(json::Dialect { zone, lists: settings.lists }),
            BindingName::Soap => {
                Binding::Soap(soap::Dialect { version: version.clone(), unstable: settings.soap_unstable })
            }
        };
        Ok(Self { settings, binding, default_pin })
    }
}

/// A PIN as the platform takes it: a number, its leading zeros dropped; nothing: it is not of 4 digits.
#[must_use]
pub fn pin(digits: &str) -> Option<i64> {
    let well_formed = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    if well_formed { digits.parse().ok() } else { None }
}

fn ranges(settings: &Settings) -> Result<(), SettingsError> {
    let day = Duration::from_hours(24);
    in_range("default_period_months", settings.default_period_months, 1, 1_200)?;
    if settings.resume_days.is_some_and(|days| !(1..=7).contains(&days)) {
        let text = "must be 1 to 7: the platform refuses orders that are switched on until later than in 7 days";
        return Err(SettingsError::new("resume_days", text));
    }
    in_range("message_limit", settings.message_limit, 1, 65_535)?;
    in_range("message_cycle", settings.message_cycle, 0, 7)?;
    in_range("broadcast_cycle", settings.broadcast_cycle, 8, 255)?;
    in_range("task_poll", settings.task_poll, Duration::from_millis(10), Duration::from_hours(1))?;
    in_range("task_limit", settings.task_limit, settings.task_poll, day)?;
    in_range("session_check", settings.session_check, Duration::from_secs(1), day)
}

fn tasks(settings: &Settings) -> Result<(), SettingsError> {
    if !settings.follow_tasks {
        return Ok(());
    }
    if settings.calls.at_once != 1 {
        let text = "must be 1 with follow_tasks: the platform tells of the session's last call, whoever made it";
        return Err(SettingsError::new("calls.at_once", text));
    }
    if settings.task_done.is_empty() {
        return Err(SettingsError::new("task_done", "must name a number: no work would ever be done"));
    }
    if settings.task_done.iter().any(|status| settings.task_failed.contains(status)) {
        return Err(SettingsError::new("task_failed", "must name other numbers than task_done"));
    }
    Ok(())
}

fn in_range<T: PartialOrd + std::fmt::Debug>(path: &str, value: T, least: T, most: T) -> Result<(), SettingsError> {
    if least <= value && value <= most {
        return Ok(());
    }
    Err(SettingsError::new(path, format!("must be {least:?} to {most:?}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mistakes_are_told_with_their_place() {
        let wrong = |settings: Value| Checked::read(&settings).unwrap_err().to_string();
        for (settings, words) in [
            (json!({"binding": "xml"}), "binding: unknown variant"),
            (json!({"colour": 1}), "unknown field `colour`"),
            (json!({"follow_tasks": true}), "calls.at_once: must be 1 with follow_tasks"),
            (json!({"follow_tasks": true, "calls": {"at_once": 1}, "task_done": []}), "task_done: must name"),
            (json!({"follow_tasks": true, "calls": {"at_once": 1}, "task_failed": [2]}), "task_failed: must name"),
            (json!({"default_pin": "12"}), "default_pin: must be 4 digits"),
            (json!({"resume_days": 8}), "resume_days: must be 1 to 7"),
            (json!({"soap_version": "4\"/>"}), "soap_version: must be digits"),
            (json!({"time_zone": "Mars"}), "time_zone: is no time zone"),
            (json!({"broadcast_cycle": 3}), "broadcast_cycle: must be 8 to 255"),
            (json!({"calls": {"at_once": 0}}), "calls.at_once: must be 1 to 10000"),
            (json!({"country": "Cyprus"}), "country: must be two letters"),
            (json!({"task_poll": "1h", "task_limit": "1s"}), "task_limit: must be"),
        ] {
            assert!(wrong(settings.clone()).contains(words), "{settings}: {}", wrong(settings.clone()));
        }
        let secret = Settings { password: Secret::new("hunter2"), ..Settings::default() };
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn pins_lose_their_leading_zeros() {
        assert_eq!(["0032", "9999", "32", "00x2", "00032"].map(pin), [Some(32), Some(9999), None, None, None]);
    }
}
