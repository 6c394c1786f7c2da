//! The gateway's side: commands to messages and back, over several links.
//!
//! * Every message has a transaction number of its own. Numbers wrap, and one that is in flight, or that
//!   was given up and may still be answered, is not used again.
//! * A submission goes to the link with the fewest submissions and stays there. It may need several
//!   messages; it ends when all of them are answered, and the first refusal decides.
//! * What is written for a link between two rounds of [`Adapter::poll_output`] goes out as one
//!   [`Effect::Send`].
//! * A link from which nothing was heard for a while is checked; a check without an answer, a
//!   window full of answers that never came, or broken framing close it.
//!
//! Read on in this order: `links` (opened, lost), `jobs` (submissions under way), `answers`, `timers`.

mod answers;
mod jobs;
mod links;
mod numbers;
mod timers;

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use headgate_core::adapter::{Adapter, Effect, EffectId, Event, Input, Output, Submission};
use headgate_core::{Deadline, Now, Tick};
use slab::Slab;

use self::jobs::{Job, JobKey};
use self::links::Link;
pub(super) use self::links::MOST_GIVEN_UP;
use self::numbers::Numbers;
use super::days::Today;
use super::speech::Speech;
use crate::backoff::Jitter;

/// One conversation with one SMS gateway.
pub struct SmsGateway {
    speech: Arc<Speech>,
    links: Vec<Link>,
    jobs: Slab<Job>,
    /// Every message in flight and every one given up, by transaction number. Looked up, never walked.
    flights: HashMap<u64, Flight>,
    numbers: Numbers,
    outputs: VecDeque<Output>,
    effects: EffectId,
    jitter: Jitter,
    today: Today,
    draining: bool,
}

/// A message that was written for a link and is not answered.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// Which place among the links.
    slot: usize,
    deadline: Tick,
    /// The command number an answer must name; of raw messages it is not known.
    command: Option<u64>,
    purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Part of a submission.
    Part { job: JobKey, index: usize },
    /// The link check.
    Check,
    /// The opening of the session.
    Opening,
    /// Given up. Kept so that its number is not used again before the link closes or the answer comes late.
    GivenUp,
}

impl SmsGateway {
    /// A conversation with these settings; `seed` varies the first transaction number and the waits before reconnecting.
    #[must_use]
    pub fn new(speech: Arc<Speech>, seed: u64) -> Self {
        let settings = &speech.checked.settings;
        let links = (0..settings.links).map(|_| Link::new(settings)).collect();
        let numbers = Numbers::new(seed, speech.profile().highest_transaction);
        Self {
            links,
            numbers,
            jobs: Slab::new(),
            flights: HashMap::new(),
            outputs: VecDeque::new(),
            effects: EffectId::default(),
            jitter: Jitter::new(seed),
            today: Today::default(),
            draining: false,
            speech,
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn act(&mut self, effect: Effect) {
        self.outputs.push_back(Output::Do(self.effects.next(), effect));
    }

    /// What was written and not sent, one effect for each link; then the leave of links that are done.
    fn flush(&mut self) {
        for slot in 0..self.links.len() {
            let Some(link) = self.links.get_mut(slot) else { return };
            if let Some(bytes) = link.flush(&mut self.jobs) {
                let effect = Effect::Send(link.id, bytes);
                self.act(effect);
            }
        }
        if self.draining {
            self.close_idle_links();
        }
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.links.iter().map(Link::next_deadline).fold(None, Deadline::earliest)
    }
}

impl Adapter for SmsGateway {
    fn capacity(&self) -> usize {
        if self.draining { 0 } else { self.links.iter().map(Link::room).sum() }
    }

    fn submit(&mut self, now: Now, submission: Submission) {
        self.take_on(now, submission);
    }

    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Start => self.connect_all(),
            Input::Connected(link) => self.connected(now, link),
            Input::Received(link, bytes) => self.received(now, link, bytes),
            Input::Closed(link, why) => self.closed(now, link, why),
            Input::Deadline => self.deadline_passed(now),
            Input::Done(..) | Input::Called(..) => {}
        }
    }

    fn drain(&mut self, _: Now) {
        self.draining = true;
        self.stop_opening_links();
    }

    fn poll_output(&mut self) -> Output {
        if self.outputs.is_empty() {
            self.flush();
        }
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Wait(self.next_deadline()),
        }
    }
}
