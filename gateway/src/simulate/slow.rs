//! A platform that is late with everything it does.

use std::collections::VecDeque;
use std::time::Duration;

use headgate_core::adapter::{Effect, EffectId, Input};
use headgate_core::platform::{Fault, Holdings, Platform, PlatformOutput};
use headgate_core::{Deadline, Now, Tick};

/// Carries out every effect of another platform later, in its order.
pub struct Slow {
    platform: Box<dyn Platform>,
    delay: Duration,
    now: Tick,
    late: VecDeque<(Tick, EffectId, Effect)>,
    deadline: Option<Deadline>,
}

impl Slow {
    /// Makes `platform` late by `delay`.
    #[must_use]
    pub fn new(platform: Box<dyn Platform>, delay: Duration) -> Self {
        Self { platform, delay, now: Tick::default(), late: VecDeque::new(), deadline: None }
    }
}

impl Platform for Slow {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.now = now.tick;
        // The deadline that passed may be ours alone.
        if matches!(input, Input::Deadline) && self.deadline.is_none_or(|deadline| deadline.at > now.tick) {
            return;
        }
        self.platform.handle_input(now, input);
    }

    fn poll_output(&mut self) -> PlatformOutput {
        loop {
            match self.platform.poll_output() {
                PlatformOutput::Do(id, effect) => self.late.push_back((self.now + self.delay, id, effect)),
                PlatformOutput::Wait(deadline) => {
                    self.deadline = deadline;
                    break;
                }
            }
        }
        let now = self.now;
        if let Some((_, id, effect)) = self.late.pop_front_if(|(at, ..)| *at <= now) {
            return PlatformOutput::Do(id, effect);
        }
        let ours = self.late.front().map(|(at, ..)| Deadline { at: *at, why: "a late effect" });
        PlatformOutput::Wait(Deadline::earliest(ours, self.deadline))
    }

    fn holdings(&self) -> &Holdings {
        self.platform.holdings()
    }

    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        self.platform.inject(fault)
    }
}
