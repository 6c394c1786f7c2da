//! The circuit breaker: a provider that fails again and again is left alone for a while.

use crate::provider::BreakerPolicy;
use crate::time::{Deadline, Tick};

/// Closed, open, or letting one request through to see.
///
/// ```text
///           failures in a row            open_for has passed
///  closed --------------------> open ----------------------> half-open
///    ^                           ^                            |     |
///    |                           '--- the probe failed -------'     |
///    '-------------------------------- the probe was answered ------'
/// ```
///
/// A refusal is an answer: it closes the breaker. Only silence, broken links and nonsense open it.
#[derive(Debug)]
pub(super) struct Breaker {
    policy: BreakerPolicy,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Tick, why: String },
    HalfOpen { probing: bool, why: String },
}

/// The breaker, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests go out.
    Closed,
    /// Nothing goes out; why it tripped.
    Open(String),
    /// One request goes out to see; why it tripped.
    HalfOpen(String),
}

impl BreakerState {
    /// Its name, as in `half_open`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open(_) => "open",
            Self::HalfOpen(_) => "half_open",
        }
    }
}

/// What an outcome did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Opened,
    Closed,
}

impl Breaker {
    pub(super) const fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::Closed { failures: 0 } }
    }

    /// Whether a request may go out now. Moves from open to half-open when the time has come.
    pub(super) fn allows(&mut self, now: Tick) -> bool {
        if let State::Open { until, why } = &mut self.state
            && *until <= now
        {
            self.state = State::HalfOpen { probing: false, why: std::mem::take(why) };
        }
        match &self.state {
            State::Closed { .. } => true,
            State::Open { .. } => false,
            State::HalfOpen { probing, .. } => !probing,
        }
    }

    /// A request goes out: in half-open it is the probe. Returns whether it is.
    pub(super) const fn note_sent(&mut self) -> bool {
        if let State::HalfOpen { probing, .. } = &mut self.state {
            *probing = true;
            return true;
        }
        false
    }

    /// The probe did not go out, for reasons that say nothing of the platform.
    pub(super) const fn note_withdrawn(&mut self) {
        if let State::HalfOpen { probing, .. } = &mut self.state {
            *probing = false;
        }
    }

    /// The platform answered, be it with a refusal.
    pub(super) fn note_answer(&mut self) -> Effect {
        let was_closed = matches!(self.state, State::Closed { .. });
        self.state = State::Closed { failures: 0 };
        if was_closed { Effect::Nothing } else { Effect::Closed }
    }

    /// The platform did not answer, or not sensibly. `probe`: the request was the probe.
    pub(super) fn note_failure(&mut self, now: Tick, probe: bool, why: impl FnOnce() -> String) -> Effect {
        if self.policy.failures == 0 {
            return Effect::Nothing;
        }
        let until = now + self.policy.open_for;
        match &mut self.state {
            State::Closed { failures } => {
                *failures += 1;
                if *failures < self.policy.failures {
                    return Effect::Nothing;
                }
                self.state = State::Open { until, why: format!("{} failures in a row, the last: {}", failures, why()) };
                Effect::Opened
            }
            State::HalfOpen { .. } if probe => {
                self.state = State::Open { until, why: format!("the probe failed: {}", why()) };
                Effect::Opened
            }
            // Requests that were already under way when it opened fail later; they tell nothing new.
            State::Open { .. } | State::HalfOpen { .. } => Effect::Nothing,
        }
    }

    /// When it will let a probe through.
    pub(super) const fn deadline(&self) -> Option<Deadline> {
        match &self.state {
            State::Open { until, .. } => Some(Deadline { at: *until, why: "breaker half-opens" }),
            State::Closed { .. } | State::HalfOpen { .. } => None,
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match &self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { why, .. } => BreakerState::Open(why.clone()),
            State::HalfOpen { why, .. } => BreakerState::HalfOpen(why.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seconds(s: u64) -> Tick {
        Tick::new(Duration::from_secs(s))
    }

    #[test]
    fn trips_probes_and_closes() {
        let mut breaker = Breaker::new(BreakerPolicy { failures: 2, open_for: Duration::from_secs(10) });
        assert_eq!(breaker.note_failure(seconds(0), false, || "silence".into()), Effect::Nothing);
        assert_eq!(breaker.note_failure(seconds(1), false, || "silence".into()), Effect::Opened);
        assert_eq!(breaker.state(), BreakerState::Open("2 failures in a row, the last: silence".into()));
        assert!(!breaker.allows(seconds(10)));
        assert!(breaker.allows(seconds(11)));
        assert!(breaker.note_sent(), "it is the probe");
        assert!(!breaker.allows(seconds(11)), "one probe at a time");
        assert_eq!(breaker.note_failure(seconds(12), true, || "silence".into()), Effect::Opened);
        assert!(breaker.allows(seconds(22)));
        breaker.note_sent();
        assert_eq!(breaker.note_answer(), Effect::Closed);
        assert!(breaker.allows(seconds(22)));
    }

    #[test]
    fn an_answer_between_failures_starts_the_count_again() {
        let mut breaker = Breaker::new(BreakerPolicy { failures: 2, open_for: Duration::from_secs(10) });
        breaker.note_failure(seconds(0), false, String::new);
        breaker.note_answer();
        assert_eq!(breaker.note_failure(seconds(1), false, String::new), Effect::Nothing);
    }
}
