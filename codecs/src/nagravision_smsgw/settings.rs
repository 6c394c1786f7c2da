//! What an operator can set for a provider of this protocol.

#[cfg(test)]
mod tests;

use std::time::Duration;

use headgate_core::text::Secret;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::adapter::MOST_GIVEN_UP;
use super::profile::{CommandName, Field, FieldName, Kind, Profile, ProfileTable, find};
use crate::registry::{SettingsError, read_settings};

/// The settings of one provider: its `settings` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Our identifier, as agreed with the platform: CRM.COM's *Source ID*. Default 1.
    pub source_id: u64,
    /// The gateway's identifier: CRM.COM's *Destination ID*. Default 1.
    pub dest_id: u64,
    /// The header's MOP PPID; its meaning is not published. Default 0.
    pub mop_ppid: u64,
    /// How many connections are kept open, 1 to 16. Default 1.
    #[schemars(range(min = 1, max = 16))]
    pub links: u32,
    /// Most transactions sent on one connection and not yet answered, 1 to 10,000. Default 256.
    #[schemars(range(min = 1, max = 10_000))]
    pub window_per_link: usize,
    /// How long an answer may take, 1 ms to 1 h: CRM.COM's *Timeout of TCP connection*. What is not
    /// answered by then is reported as unanswered; a later answer is only noted. Default 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub answer_timeout: Duration,
    /// After how long without a word from the platform a connection is checked with a connection test,
    /// 100 ms to 1 h. A test without an answer closes it. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub link_check_after: Duration,
    /// How long to wait before a lost connection is opened again, 1 ms to 1 h; doubles with each
    /// failure. Default 1 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub reconnect_first: Duration,
    /// The longest such wait, up to 1 h. Default 1 min.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub reconnect_longest: Duration,
    /// The user of the session. If set, every connection starts with the profile's `open_session`. Default: none.
    pub user: Option<String>,
    /// The password of the session. Default: empty.
    pub password: Secret,
    /// For how many days services without an end are switched on, 1 to 36,500. Default 365.
    #[schemars(range(min = 1, max = 36_500))]
    pub default_period_days: u32,
    /// The PIN that `reset_pin` sets, where the profile sends one. Default `0000`.
    pub pin_default: Secret,
    /// The time zone whose days the platform counts in, by its IANA name. Default `UTC`.
    pub time_zone: String,
    /// The wire layout, in place of the shipped one: the vendor's own is not public.
    pub profile: Option<ProfileTable>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source_id: 1,
            dest_id: 1,
            mop_ppid: 0,
            links: 1,
            window_per_link: 256,
            answer_timeout: Duration::from_secs(10),
            link_check_after: Duration::from_secs(30),
            reconnect_first: Duration::from_secs(1),
            reconnect_longest: Duration::from_mins(1),
            user: None,
            password: Secret::new(""),
            default_period_days: 365,
            pin_default: Secret::new("0000"),
            time_zone: "UTC".into(),
            profile: None,
        }
    }
}

/// Settings that were checked, with the compiled profile and the time zone.
#[derive(Clone, Debug)]
pub struct Checked {
    /// As written.
    pub settings: Settings,
    /// The wire layout.
    pub profile: Profile,
    /// The zone whose days the platform counts in.
    pub zone: TimeZone,
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
        let profile = match &settings.profile {
            Some(table) => Profile::compile(table)?,
            None => Profile::shipped()?,
        };
        ranges(&settings)?;
        identifiers(&settings, &profile)?;
        session(&settings, &profile)?;
        numbers(&settings, &profile)?;
        let zone = TimeZone::get(&settings.time_zone).map_err(|_| {
            SettingsError::new("time_zone", "is no time zone of the IANA database, as in \"Europe/Nicosia\"")
        })?;
        Ok(Self { settings, profile, zone })
    }
}

fn ranges(settings: &Settings) -> Result<(), SettingsError> {
    let hour = Duration::from_hours(1);
    let milli = Duration::from_millis(1);
    in_range("links", settings.links, 1, 16)?;
    in_range("window_per_link", settings.window_per_link, 1, 10_000)?;
    in_range("default_period_days", settings.default_period_days, 1, 36_500)?;
    in_range("answer_timeout", settings.answer_timeout, milli, hour)?;
    in_range("link_check_after", settings.link_check_after, Duration::from_millis(100), hour)?;
    in_range("reconnect_first", settings.reconnect_first, milli, hour)?;
    in_range("reconnect_longest", settings.reconnect_longest, settings.reconnect_first, hour)
}

/// The header's own numbers must fit their fields.
fn identifiers(settings: &Settings, profile: &Profile) -> Result<(), SettingsError> {
    for (path, name, value) in [
        ("source_id", FieldName::SourceId, settings.source_id),
        ("dest_id", FieldName::DestId, settings.dest_id),
        ("mop_ppid", FieldName::MopPpid, settings.mop_ppid),
    ] {
        if let Some(Field { kind: Kind::Number { width }, .. }) = find(&profile.header, name)
            && value.to_string().len() > *width
        {
            return Err(SettingsError::new(path, format!("{value} has more than the {width} digits of its field")));
        }
    }
    Ok(())
}

fn session(settings: &Settings, profile: &Profile) -> Result<(), SettingsError> {
    if settings.user.is_some() && profile.command(CommandName::OpenSession).is_none() {
        return Err(SettingsError::new("user", "the profile has no open_session command that could send it"));
    }
    if settings.user.is_none() && !settings.password.reveal().is_empty() {
        return Err(SettingsError::new("password", "is of no use without a user"));
    }
    Ok(())
}

/// Numbers of transactions in flight and of those that were given up must never meet.
fn numbers(settings: &Settings, profile: &Profile) -> Result<(), SettingsError> {
    let links = usize::try_from(settings.links).unwrap_or(usize::MAX);
    let busy_per_link = settings.window_per_link + settings.window_per_link.max(MOST_GIVEN_UP) + 1;
    let busy = busy_per_link.saturating_mul(links);
    if u64::try_from(busy).is_ok_and(|busy| busy < profile.highest_transaction) {
        return Ok(());
    }
    let text = format!(
        "up to {busy} transaction numbers would be in use at once, and they end at {}; lower links or window_per_link",
        profile.highest_transaction
    );
    Err(SettingsError::new("window_per_link", text))
}

fn in_range<T: PartialOrd + std::fmt::Debug>(path: &str, value: T, least: T, most: T) -> Result<(), SettingsError> {
    if least <= value && value <= most {
        return Ok(());
    }
    Err(SettingsError::new(path, format!("must be {least:?} to {most:?}")))
}
