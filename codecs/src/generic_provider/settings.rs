//! What an operator can set for a Generic provider.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::command::CommandKind;
use serde::Deserialize;
use serde_json::Value;

use crate::registry::{SettingsError, read_settings};

/// The settings of one provider: its `settings` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How services are switched: one request for each service, or one for the whole subscription with the list in
    /// it. CRM.COM's *method used on activation and on deactivation* \[S:G1\]. Default `single_service`.
    pub activation: Activation,
    /// Offer only CRM.COM's eleven request types; every other command is then refused. Default false.
    pub crm_com_types_only: bool,
    /// Other names for request types, by command: `{ suspend = "REST" }`. Default: CRM.COM's where it has one, else
    /// the command's own name in capitals.
    pub types: BTreeMap<CommandKind, String>,
    /// How long a worker has for what it fetched, where its call does not say, 1 s to 1 day. After that others get
    /// it. Default 1 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub lease: Duration,
    /// How long a call waits for something to do, at most, up to 1 min. Default 20 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub longest_wait: Duration,
    /// How long without a call from any worker until the provider counts as down, 1 s to 1 h. While it is down, requests
    /// wait. Default 2 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub worker_absent_after: Duration,
    /// How long an answer may take altogether, from the first time a worker could fetch the request, 1 s to 31 days.
    /// CRM.COM shows requests for 7 days \[S:GP\]. Default 7 days.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub answer_within: Duration,
    /// Most requests offered to workers at once, 1 to 100,000; others wait behind them. Default 10,000.
    #[schemars(range(min = 1, max = 100_000))]
    pub held: usize,
}

/// How services are switched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `ACTIVATE_SERVICE` and `DEACTIVATE_SERVICE`, one for each service.
    #[default]
    SingleService,
    /// `ACTIVATE_SUBSCRIBER` and `DEACTIVATE_SUBSCRIBER` with the list.
    WholeSubscription,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            activation: Activation::default(),
            crm_com_types_only: false,
            types: BTreeMap::new(),
            lease: Duration::from_mins(1),
            longest_wait: Duration::from_secs(20),
            worker_absent_after: Duration::from_mins(2),
            answer_within: Duration::from_hours(7 * 24),
            held: 10_000,
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
        let (second, minute, hour) = (Duration::from_secs(1), Duration::from_mins(1), Duration::from_hours(1));
        for (path, value, least, most, text) in [
            ("lease", settings.lease, second, hour * 24, "must be 1 s to 1 day"),
            ("longest_wait", settings.longest_wait, Duration::ZERO, minute, "must be at most 1 min"),
            ("worker_absent_after", settings.worker_absent_after, second, hour, "must be 1 s to 1 h"),
            ("answer_within", settings.answer_within, second, hour * 24 * 31, "must be 1 s to 31 days"),
        ] {
            if !(least..=most).contains(&value) {
                return Err(SettingsError::new(path, text));
            }
        }
        if settings.worker_absent_after <= settings.longest_wait {
            let text = "must be longer than `longest_wait`: a worker that waits is there";
            return Err(SettingsError::new("worker_absent_after", text));
        }
        if !(1..=100_000).contains(&settings.held) {
            return Err(SettingsError::new("held", "must be 1 to 100000"));
        }
        for (command, name) in &settings.types {
            let plain = (1..=64).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            if !plain {
                let path = format!("types.{command}");
                return Err(SettingsError::new(path, "must be 1 to 64 capital letters, digits and underscores"));
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mistakes_are_told_with_their_path() {
        let path = |settings: Value| Settings::read(&settings).unwrap_err().path;
        assert_eq!(path(json!({ "lease": "0s" })), "lease");
        assert_eq!(path(json!({ "longest_wait": "2m" })), "longest_wait");
        assert_eq!(path(json!({ "worker_absent_after": "5s" })), "worker_absent_after");
        assert_eq!(path(json!({ "types": { "suspend": "rest" } })), "types.suspend");
        assert_eq!(path(json!({ "held": 0 })), "held");
        assert_eq!(path(json!({ "leases": "1s" })), "leases");
        assert!(Settings::read(&json!({ "types": { "suspend": "REST" } })).is_ok());
    }
}
