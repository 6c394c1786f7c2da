//! The one place that reads clocks.

use headgate_core::Now;
use headgate_core::time::Tick;
use jiff::Timestamp;
use tokio::time::Instant;

/// Turns the machine's clocks into the [`Now`] that engines are told, and their deadlines back into
/// instants a timer understands.
///
/// Ticks are counted from when the clock was made: give copies of one clock to everything that
/// shares deadlines. The monotonic side is tokio's, so a runtime whose time is paused stops it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks, read now.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { tick: Tick::new(self.start.elapsed()), wall: Timestamp::now() }
    }

    /// The instant of a tick, for a timer. One that lies too far ahead to be told is a year away.
    #[must_use]
    pub fn instant(&self, tick: Tick) -> Instant {
        const FAR: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);
        self.start + tick.since(Tick::default()).min(self.start.elapsed() + FAR)
    }

    /// Waits until `tick`; forever without one.
    pub async fn sleep_until(&self, tick: Option<Tick>) {
        match tick {
            Some(tick) => tokio::time::sleep_until(self.instant(tick)).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_deadline_has_passed_when_its_sleep_ends() {
        let clock = Clock::start();
        let now = clock.now();
        assert!(clock.instant(now.tick) <= Instant::now());
        let deadline = now.tick + Duration::from_millis(20);
        clock.sleep_until(Some(deadline)).await;
        assert!(clock.now().tick >= deadline);
    }

    #[tokio::test]
    async fn the_end_of_time_is_no_overflow() {
        let clock = Clock::start();
        assert!(clock.instant(Tick::default() + Duration::MAX) > Instant::now());
    }
}
