//! What an operator can set for a provider of this protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::text::ServiceCode;
use serde::Deserialize;
use serde_json::Value;

use super::profile::{ParameterName, Profile, ProfileTable};
use crate::registry::{SettingsError, read_settings};

/// The settings of one provider: its `settings` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The distributor that is sent with each service: CRM.COM's alternative code of it. Default `1`.
    pub distributor: String,
    /// Services that have another distributor, by the CRM's code of the service. Default: none.
    pub distributors: BTreeMap<ServiceCode, String>,
    /// Most rows put in by one transaction, 1 to 5,000; the rows of one request are never parted. Default 500.
    #[schemars(range(min = 1, max = 5_000))]
    pub insert_rows: usize,
    /// Most transactions that put rows in at the same time, 1 to 16. Default 2.
    #[schemars(range(min = 1, max = 16))]
    pub inserts: usize,
    /// Most entries asked for at once, 1 to 10,000. Default 500.
    #[schemars(range(min = 1, max = 10_000))]
    pub poll_rows: usize,
    /// How long after it was put in an entry is first asked for, 1 ms to 1 h; each time it is still open the wait
    /// doubles. Default 200 ms. The simulated platform looks for entries this often.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub poll_interval: Duration,
    /// The longest such wait, up to 1 h. Default 15 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub longest_poll_interval: Duration,
    /// How long an entry may stay open, 1 s to 30 days. What is open then is reported as unanswered; the row stays
    /// where it is. Default 1 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub answer_timeout: Duration,
    /// How long to wait before a database that can not be reached is tried again, 1 ms to 1 h; doubles with each
    /// failure. Default 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub reconnect_first: Duration,
    /// The longest such wait, up to 1 h. Default 1 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub reconnect_longest: Duration,
    /// Most requests that are open at once, 1 to 1,000,000. Default 20,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_requests: usize,
    /// The queue table, in place of the shipped one: the vendor's own is not public.
    pub profile: Option<ProfileTable>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            distributor: "1".into(),
            distributors: BTreeMap::new(),
            insert_rows: 500,
            inserts: 2,
            poll_rows: 500,
            poll_interval: Duration::from_millis(200),
            longest_poll_interval: Duration::from_secs(15),
            answer_timeout: Duration::from_hours(1),
            reconnect_first: Duration::from_secs(1),
            reconnect_longest: Duration::from_mins(1),
            max_requests: 20_000,
            profile: None,
        }
    }
}

/// Settings that were checked, with the compiled profile.
#[derive(Clone, Debug)]
pub struct Site {
    /// As written.
    pub settings: Settings,
    /// The queue table.
    pub profile: Profile,
}

impl Site {
    /// Reads and checks a provider's `settings` table.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake.
    pub fn read(settings: &Value) -> Result<Self, SettingsError> {
        Self::new(read_settings(settings)?)
    }

    /// Checks settings that were read.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let profile = match &settings.profile {
            Some(table) => Profile::compile(table)?,
            None => Profile::shipped()?,
        };
        ranges(&settings)?;
        distributors(&settings, &profile)?;
        Ok(Self { settings, profile })
    }

    /// The distributor of a service.
    #[must_use]
    pub fn distributor(&self, service: Option<&ServiceCode>) -> &str {
        service.and_then(|code| self.settings.distributors.get(code)).unwrap_or(&self.settings.distributor)
    }
}

fn ranges(settings: &Settings) -> Result<(), SettingsError> {
    let (milli, second, hour) = (Duration::from_millis(1), Duration::from_secs(1), Duration::from_hours(1));
    in_range("insert_rows", settings.insert_rows, 1, 5_000)?;
    in_range("inserts", settings.inserts, 1, 16)?;
    in_range("poll_rows", settings.poll_rows, 1, 10_000)?;
    in_range("max_requests", settings.max_requests, 1, 1_000_000)?;
    in_range("poll_interval", settings.poll_interval, milli, hour)?;
    in_range("longest_poll_interval", settings.longest_poll_interval, settings.poll_interval, hour)?;
    in_range("answer_timeout", settings.answer_timeout, second, Duration::from_hours(720))?;
    in_range("reconnect_first", settings.reconnect_first, milli, hour)?;
    in_range("reconnect_longest", settings.reconnect_longest, settings.reconnect_first, hour)
}

fn distributors(settings: &Settings, profile: &Profile) -> Result<(), SettingsError> {
    if !profile.commands().any(|(_, form)| form.parameters.contains(&ParameterName::Distributor)) {
        let text = "the profile sends no distributor; remove it";
        return if settings.distributors.is_empty() { Ok(()) } else { Err(SettingsError::new("distributors", text)) };
    }
    let of_services =
        settings.distributors.iter().map(|(code, name)| (format!("distributors.{}", code.as_str()), name));
    for (path, name) in std::iter::once(("distributor".to_owned(), &settings.distributor)).chain(of_services) {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(SettingsError::new(path, "must be text without control characters, and not empty"));
        }
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
    fn what_can_not_be_is_refused_with_its_path() {
        for (settings, path) in [
            (json!({ "insert_rows": 0 }), "insert_rows"),
            (json!({ "poll_interval": "2s", "longest_poll_interval": "1s" }), "longest_poll_interval"),
            (json!({ "poll_interval": 5 }), "poll_interval"),
            (json!({ "distributor": "" }), "distributor"),
            (json!({ "distributors": { "SPORT": "\n" } }), "distributors.SPORT"),
            (json!({ "pol_interval": "1s" }), "pol_interval"),
            (json!({ "profile": { "name": "x" } }), "profile"),
        ] {
            assert_eq!(Site::read(&settings).unwrap_err().path, path, "{settings}");
        }
        assert!(Site::read(&json!({})).is_ok());
    }
}
