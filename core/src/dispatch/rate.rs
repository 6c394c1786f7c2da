//! A rate that holds in every stretch of time, wherever it begins.

use std::collections::VecDeque;

use crate::provider::Rate;
use crate::time::Tick;

/// Counts what went out in the last stretch of time, and what is promised to go out.
///
/// A place is first reserved, later taken when the request really leaves. What left within the stretch and
/// what is reserved together never exceed the rate; so no stretch, wherever it begins, holds more
/// than the rate, however long the commit between the two takes.
#[derive(Debug)]
pub(super) struct RateWindow {
    rate: Option<Rate>,
    /// When each request of the last stretch left, oldest first.
    left: VecDeque<Tick>,
    reserved: u32,
}

impl RateWindow {
    pub(super) const fn new(rate: Option<Rate>) -> Self {
        Self { rate, left: VecDeque::new(), reserved: 0 }
    }

    /// Reserves a place, if there is one.
    pub(super) fn reserve(&mut self, now: Tick) -> bool {
        let Some(rate) = self.rate else { return true };
        self.forget(now, rate);
        let used = self.left.len().saturating_add(self.reserved as usize);
        let free = used < rate.count as usize;
        if free {
            self.reserved += 1;
        }
        free
    }

    /// Gives a reserved place back: the request will not leave.
    pub(super) const fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// Takes a reserved place: the request leaves now.
    pub(super) fn take(&mut self, now: Tick) {
        if self.rate.is_some() {
            self.release();
            self.left.push_back(now);
        }
    }

    /// When a place will be free, if none is now and time alone brings one.
    pub(super) fn free_at(&self, now: Tick) -> Option<Tick> {
        let rate = self.rate?;
        let used = self.left.len().saturating_add(self.reserved as usize);
        if used < rate.count as usize {
            return None;
        }
        self.left.front().map(|oldest| *oldest + rate.per).filter(|at| *at > now)
    }

    fn forget(&mut self, now: Tick, rate: Rate) {
        while self.left.front().is_some_and(|oldest| now.since(*oldest) >= rate.per) {
            self.left.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Tick {
        Tick::new(Duration::from_millis(millis))
    }

    #[test]
    fn one_per_ten_seconds() {
        let mut window = RateWindow::new(Some("1 per 10s".parse().unwrap()));
        assert!(window.reserve(ms(0)));
        window.take(ms(500));
        assert!(!window.reserve(ms(10_499)));
        assert_eq!(window.free_at(ms(10_499)), Some(ms(10_500)));
        assert!(window.reserve(ms(10_500)));
    }

    proptest! {
        /// Whatever the times of asking and the delays between reserving and leaving.
        #[test]
        fn no_stretch_holds_more_than_the_rate(count in 1u32..6, steps in prop::collection::vec((0u64..400, 0u64..300), 1..200)) {
            let rate = Rate { count, per: Duration::from_secs(1) };
            let mut window = RateWindow::new(Some(rate));
            let (mut clock, mut pending, mut left) = (0, Vec::new(), Vec::new());
            for (gap, delay) in steps {
                clock += gap;
                pending.sort_unstable();
                while let Some(&at) = pending.first().filter(|at| **at <= clock) {
                    pending.remove(0);
                    window.take(ms(at));
                    left.push(at);
                }
                if window.reserve(ms(clock)) {
                    pending.push(clock + delay);
                }
            }
            for (index, start) in left.iter().enumerate() {
                let within = left[index..].iter().filter(|at| **at < start + 1000).count();
                prop_assert!(within <= count as usize, "{within} within 1 s from {start}: {left:?}");
            }
        }
    }
}
