//! When things happen: now, at a time, after some days, or again and again by the calendar.
//!
//! A [`Schedule`] reads no clock. A driver asks [`Schedule::next`] for its alarm, and when that rings (or after a
//! restart) asks [`Schedule::look`] whether something was due since it last looked.
//!
//! # Summer time
//!
//! A pattern is read on the wall clock of its time zone, taken from the tables that are compiled in.
//!
//! * **The clock goes forward**, 02:00 to 03:00. A pattern of fixed times (`30 2 * * *`) whose time does not exist that
//!   day is due at the first instant after the gap, 03:00. A pattern with wildcards or steps in its minutes or hours
//!   (`*/15 * * * *`) has no times within the gap and goes on after it.
//! * **The clock goes back**, 03:00 to 02:00. A pattern of fixed times is due once, at the earlier of the two. A
//!   pattern with wildcards or steps is due in both hours, so that its distances stay the same.
//!
//! # Months
//!
//! A day that a month has not is left out: `0 4 31 * *` is due seven times a year, `0 4 29 2 *` in leap years. The
//! last day of every month is `L`: `0 4 L * *`. Where both the day of the month and the day of the week are given, either
//! makes it due, as in every cron: `0 4 13 * 5` means every 13th and every Friday.
//!
//! ```
//! use headgate_core::schedule::{Missed, Schedule};
//!
//! let json = r#"{"recurring":{"cron":"30 2 * * *","time_zone":"Europe/Helsinki"}}"#;
//! let schedule: Schedule = serde_json::from_str(json).unwrap();
//! let evening = "2026-11-24T20:00:00Z".parse().unwrap();
//! assert_eq!(schedule.next(evening, evening), Some("2026-11-25T00:30:00Z".parse().unwrap()));
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use croner::parser::{CronParser, Seconds};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::body::Refusal;

/// Most days after which something may happen: ten years.
pub const AFTER_DAYS_LIMIT: u16 = 3_650;

/// How late something may be noticed and still count as on time.
pub const GRACE: Duration = Duration::from_mins(1);

/// When an action takes effect, or a run begins: CRM.COM's three choices \[S:SCHED\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At once.
    #[default]
    Now,
    /// At this time, RFC 3339; must be in the future.
    At(Timestamp),
    /// So many times 24 hours from now, 1 to 3650.
    AfterDays(u16),
}

impl When {
    /// Whether it is at once.
    #[must_use]
    pub const fn is_now(&self) -> bool {
        matches!(self, Self::Now)
    }

    /// The time meant, if it is not at once.
    ///
    /// # Errors
    /// A [`Refusal`] of the field `effective` if the time is past or the number of days out of range.
    pub fn later(&self, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let refusal = |detail: &str| Refusal::new("effective", "out_of_range", detail);
        match self {
            Self::Now => Ok(None),
            Self::At(at) if *at > now => Ok(Some(*at)),
            Self::At(_) => Err(refusal("must be in the future")),
            Self::AfterDays(days @ 1..=AFTER_DAYS_LIMIT) => {
                let hours = i64::from(*days) * 24;
                now.checked_add(hours.hours()).map(Some).map_err(|_| refusal("is beyond the last day there is"))
            }
            Self::AfterDays(_) => Err(refusal("must be 1 to 3650 days")),
        }
    }
}

/// When runs of a definition begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Once, counted from when the definition is submitted.
    Once(When),
    /// Again and again.
    Recurring(Recurring),
}

impl Default for Schedule {
    /// Once, at once.
    fn default() -> Self {
        Self::Once(When::Now)
    }
}

/// Again and again, by the calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurring {
    /// The pattern.
    pub cron: Cron,
    /// Whose wall clock it is read on. Default `UTC`.
    #[serde(default)]
    pub time_zone: Zone,
    /// What becomes of times at which Headgate did not run. Default `skip`.
    #[serde(default)]
    pub missed: Missed,
}

/// What becomes of times that were missed by more than [`GRACE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing: the next time counts.
    #[default]
    Skip,
    /// One run makes up for all of them.
    Once,
}

/// What a look at the schedule tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A run is due, since this time.
    Due(Timestamp),
    /// The time passed while nobody looked, and is skipped.
    Skipped(Timestamp),
    /// Nothing was due.
    Nothing,
}

impl Schedule {
    /// The first time after `after` at which it is due; nothing if there is none. `submitted` is when the definition
    /// was submitted, from which "after N days" counts.
    #[must_use]
    pub fn next(&self, submitted: Timestamp, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once(when) => when.due(submitted).filter(|due| *due > after),
            Self::Recurring(recurring) => recurring.next(after),
        }
    }

    /// What was due after `since`, when somebody last looked, up to `now`. Several missed times are one.
    ///
    /// A run that happens once and is missed is due nevertheless: whoever submitted it wants it.
    #[must_use]
    pub fn look(&self, submitted: Timestamp, since: Timestamp, now: Timestamp) -> Look {
        match self {
            Self::Once(when) => match when.due(submitted) {
                Some(due) if since < due && due <= now => Look::Due(due),
                _ => Look::Nothing,
            },
            Self::Recurring(recurring) => recurring.look(since, now),
        }
    }
}

impl When {
    /// The instant, counted from `submitted`, which lies just after whatever was looked at before.
    fn due(&self, submitted: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Now => Some(submitted),
            Self::At(at) => Some(*at),
            Self::AfterDays(days) => submitted.checked_add((i64::from(*days) * 24).hours()).ok(),
        }
    }
}

impl Recurring {
    /// The first time after `after`; nothing if there is none until the year 5000.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.time_zone.zone.clone());
        self.cron.pattern.find_next_occurrence(&after, false).ok().map(|next| next.timestamp())
    }

    fn look(&self, since: Timestamp, now: Timestamp) -> Look {
        let zoned = now.to_zoned(self.time_zone.zone.clone());
        let latest = self.cron.pattern.find_previous_occurrence(&zoned, true).ok().map(|latest| latest.timestamp());
        let Some(latest) = latest.filter(|latest| since < *latest && *latest <= now) else { return Look::Nothing };
        let late = Duration::try_from(now.duration_since(latest)).unwrap_or_default();
        if late <= GRACE || self.missed == Missed::Once { Look::Due(latest) } else { Look::Skipped(latest) }
    }
}

/// A cron pattern of five fields: minute, hour, day of the month, month, day of the week; as in `30 2 * * *`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    pattern: Box<croner::Cron>,
}

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &dyn fmt::Display| {
            format!(
                "{text:?} is not a cron pattern ({why}); write minute, hour, day, month and weekday: \"30 2 * * *\""
            )
        };
        if text.len() > 200 {
            return Err("a cron pattern has at most 200 characters".into());
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let pattern = parser.parse(text).map_err(|error| wrong(&error))?;
        // Leap days come at most eight years apart: a pattern without a time from here is never due.
        let start = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        pattern.find_next_occurrence(&start, true).map_err(|_| wrong(&"it is never due"))?;
        Ok(Self { text: text.to_owned(), pattern: Box::new(pattern) })
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// A time zone by its IANA name, as in `Europe/Helsinki`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    zone: TimeZone,
    name: String,
}

impl Default for Zone {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".into() }
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        // Not the system's own tables: the same schedule must mean the same on every machine.
        let zone = TimeZoneDatabase::bundled().get(name);
        let zone = zone.map_err(|_| format!("{name:?} is not a time zone; write an IANA name: \"Europe/Helsinki\""))?;
        Ok(Self { zone, name: name.to_owned() })
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}

macro_rules! written_as_text {
    ($name:ident, $field:ident, $example:literal) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.$field
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.$field)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "examples": [$example] })
            }
        }
    };
}

written_as_text!(Cron, text, "30 2 * * *");
written_as_text!(Zone, name, "Europe/Helsinki");

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
