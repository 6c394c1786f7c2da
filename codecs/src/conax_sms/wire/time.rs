//! Times in order files: `YYYYMMDDhhmm`, without a zone.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

/// A time to the minute, in the zone the provider's settings name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderTime(DateTime);

impl OrderTime {
    /// Reads exactly 12 digits that name a time that exists, in the years 1 to 9999.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 12 || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let part = |range: std::ops::Range<usize>| str::from_utf8(text.get(range)?).ok()?.parse::<i16>().ok();
        let small = |range| i8::try_from(part(range)?).ok();
        let year = part(0..4).filter(|year| *year > 0)?;
        DateTime::new(year, small(4..6)?, small(6..8)?, small(8..10)?, small(10..12)?, 0, 0).ok().map(Self)
    }

    /// The same to the minute, seconds dropped; none outside of the years 1 to 9999.
    #[must_use]
    pub fn new(time: DateTime) -> Option<Self> {
        if time.year() < 1 {
            return None;
        }
        DateTime::new(time.year(), time.month(), time.day(), time.hour(), time.minute(), 0, 0).ok().map(Self)
    }

    /// An instant, as a clock in `zone` shows it.
    #[must_use]
    pub fn at(instant: Timestamp, zone: &TimeZone) -> Option<Self> {
        Self::new(zone.to_datetime(instant))
    }

    /// The instant, if a clock in `zone` ever shows this time; in the hour that comes twice, the first.
    #[must_use]
    pub fn instant(self, zone: &TimeZone) -> Option<Timestamp> {
        zone.to_timestamp(self.0).ok().and_then(|at| at.round(Unit::Minute).ok())
    }
}

impl fmt::Display for OrderTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        write!(f, "{:04}{:02}{:02}{:02}{:02}", t.year(), t.month(), t.day(), t.hour(), t.minute())
    }
}

/// From when to when a product is authorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// First minute.
    pub start: OrderTime,
    /// Last minute.
    pub end: OrderTime,
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}
