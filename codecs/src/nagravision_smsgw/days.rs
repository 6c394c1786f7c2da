//! Instants and calendar days: the wire knows days only, in a time zone that the settings name.

use headgate_core::Now;
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The day on which `at` falls.
#[must_use]
pub fn day_of(at: Timestamp, zone: &TimeZone) -> Date {
    zone.to_datetime(at).date()
}

/// The first second of a day.
#[must_use]
pub fn first_second(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_timestamp(day.to_datetime(time(0, 0, 0, 0))).ok()
}

/// The last whole second of a day.
#[must_use]
pub fn last_second(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_timestamp(day.to_datetime(time(23, 59, 59, 0))).ok()
}

/// The day that many days later; the last day there is, if that is beyond it.
#[must_use]
pub fn days_after(day: Date, days: u32) -> Date {
    day.checked_add(i64::from(days).days()).unwrap_or(Date::MAX)
}

/// The day of `now`, worked out once a day rather than once a message.
#[derive(Clone, Debug, Default)]
pub struct Today(Option<(Date, Timestamp, Timestamp)>);

impl Today {
    /// The day on which `now` falls.
    pub fn at(&mut self, now: Now, zone: &TimeZone) -> Date {
        match self.0 {
            Some((day, first, last)) if first <= now.wall && now.wall <= last => day,
            _ => {
                let day = day_of(now.wall, zone);
                self.0 = first_second(day, zone).zip(last_second(day, zone)).map(|(first, last)| (day, first, last));
                day
            }
        }
    }
}
