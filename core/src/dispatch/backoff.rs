//! How long a request waits before it is tried again.

use std::time::Duration;

use crate::provider::RetryPolicy;

/// Delays that double, less a random part, so that requests that failed together come back apart.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    random: SplitMix,
}

impl Backoff {
    pub(super) const fn new(policy: &RetryPolicy, seed: u64) -> Self {
        Self { first: policy.first_delay, longest: policy.longest_delay, random: SplitMix(seed) }
    }

    /// The delay after the attempt of that number, the first being 1.
    pub(super) fn after(&mut self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        self.less_a_part(full)
    }

    /// `full`, less up to a quarter of it.
    fn less_a_part(&mut self, full: Duration) -> Duration {
        let part = (self.random.next() >> 40) as f64 / f64::from(1 << 24);
        full.mul_f64(0.25f64.mul_add(-part, 1.0))
    }
}

/// The SplitMix64 generator: enough for spreading delays, and the same for the same seed.
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_less_a_quarter() {
        let policy = RetryPolicy {
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(60),
            ..RetryPolicy::default()
        };
        let mut backoff = Backoff::new(&policy, 7);
        for (attempt, full) in [(1, 1), (2, 2), (3, 4), (7, 60), (100, 60)] {
            let (full, delay) = (Duration::from_secs(full), backoff.after(attempt));
            assert!(delay <= full && delay >= full.mul_f64(0.75), "attempt {attempt}: {delay:?}");
        }
    }
}
