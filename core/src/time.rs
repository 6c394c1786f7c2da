//! Time as an argument: the driver reads the clocks, the engine is told.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::Timestamp;

/// A monotonic instant: the time since an arbitrary start that the driver chose.
///
/// Resolution is one nanosecond; only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(Duration);

impl Tick {
    /// The instant `since_start` after the driver's start.
    #[must_use]
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// How long after `earlier` this instant is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    /// Saturates at the end of time rather than overflowing.
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl Sub<Duration> for Tick {
    type Output = Self;

    /// Saturates at the start.
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs))
    }
}

/// Both clocks, read once by the driver before it calls into an engine.
///
/// Deadlines and rates use [`Now::tick`]; what is shown to people or sent to platforms uses
/// [`Now::wall`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub tick: Tick,
    /// The wall clock, UTC.
    pub wall: Timestamp,
}

impl Now {
    /// When the wall clock will show `at`, told in monotonic time; now, if it is past.
    #[must_use]
    pub fn tick_at(&self, at: Timestamp) -> Tick {
        let ahead = at.duration_since(self.wall);
        self.tick + Duration::try_from(ahead).unwrap_or(Duration::ZERO)
    }

    /// The wall-clock time `after` from now; saturates at the last representable time.
    #[must_use]
    pub fn wall_after(&self, after: Duration) -> Timestamp {
        self.wall.saturating_add(after).unwrap_or(Timestamp::MAX)
    }
}

/// When an engine wants to be called again, and why.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// The instant.
    pub at: Tick,
    /// What will be done then, for transcripts and debugging.
    pub why: &'static str,
}

impl Deadline {
    /// The earlier of two deadlines that may be absent.
    #[must_use]
    pub fn earliest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        }
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.at.0, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_time_in_the_past_is_now() {
        let now = Now { tick: Tick::new(Duration::from_secs(5)), wall: Timestamp::from_second(100).unwrap() };
        assert_eq!(now.tick_at(Timestamp::from_second(90).unwrap()), now.tick);
        assert_eq!(now.tick_at(Timestamp::from_second(103).unwrap()), now.tick + Duration::from_secs(3));
    }
}
