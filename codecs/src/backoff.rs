//! How long to wait before a link is opened again.

use std::time::Duration;

/// Waits that double from `first` up to `longest`, less a part of up to a quarter that [`Jitter`]
/// chooses, so that links that broke together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits from `first` to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// How long to wait now that it failed once more.
    pub fn wait(&mut self, jitter: &mut Jitter) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let full = doubled.min(self.longest);
        full.saturating_sub(full / 4 / 256 * u32::from(jitter.byte()))
    }

    /// It worked: the next wait is the first again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A deterministic source of small variations (SplitMix64). Not for secrets.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// The same seed gives the same variations.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed.to_be_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        let mut jitter = Jitter::new(7);
        for full in [1, 2, 4, 8, 10, 10].map(Duration::from_secs) {
            let wait = backoff.wait(&mut jitter);
            assert!(wait <= full && wait >= full * 3 / 4, "{wait:?} of {full:?}");
        }
        for _ in 0..100 {
            assert!(backoff.wait(&mut jitter) <= Duration::from_secs(10));
        }
        backoff.reset();
        assert!(backoff.wait(&mut jitter) <= Duration::from_secs(1));
    }

    #[test]
    fn seeds_decide_the_variation() {
        let waits = |seed| {
            let mut jitter = Jitter::new(seed);
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
            [(); 5].map(|()| backoff.wait(&mut jitter))
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
