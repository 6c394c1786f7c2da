//! An engine whose platform answers at once and whose store keeps whole batches: what is left is the engine's own time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::{self, Adapter, Event, Input, Rules, Submission};
use headgate_core::body::Refusal;
use headgate_core::capabilities::{Capabilities, CommandRules};
use headgate_core::command::CommandKind;
use headgate_core::dispatch::store::Recovered;
use headgate_core::engine::{Engine, Output};
use headgate_core::outcome::{Exchange, Outcome, Verdict};
use headgate_core::provider::{BreakerPolicy, Limits, Provider, Rate, RetryPolicy, ServiceMap};
use headgate_core::request::Request;
use headgate_core::text::ProviderName;
use headgate_core::{Now, Tick};
use jiff::Timestamp;

/// Requests that are offered between two drains, as a busy API would.
const BATCH: usize = 100;

/// An engine at work.
pub struct Desk {
    engine: Engine,
    now: Now,
    ended: usize,
}

impl Desk {
    /// A new engine, with a rate or without.
    ///
    /// # Panics
    /// Never: the provider's name is one.
    #[must_use]
    pub fn new(rate: Option<Rate>) -> Self {
        let provider = Provider {
            name: ProviderName::new("p").expect("a name"),
            services: ServiceMap::default(),
            limits: Limits { rate, ..Limits::default() },
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
        };
        let now = Now { tick: Tick::new(Duration::from_secs(1)), wall: Timestamp::UNIX_EPOCH };
        let engine = Engine::new(provider, Arc::new(AnyPin::default()), Box::new(Answering::default()), 1);
        Self { engine, now, ended: 0 }
    }

    /// Starts with what had not ended.
    pub fn start(&mut self, unfinished: Vec<Recovered>) {
        self.engine.start(self.now, unfinished);
    }

    /// Offers requests in batches and drains after each.
    ///
    /// # Panics
    /// If a request is not taken.
    pub fn offer(&mut self, requests: Vec<Arc<Request>>) {
        for batch in requests.chunks(BATCH) {
            for request in batch {
                self.engine.offer(self.now, Arc::clone(request)).expect("room for a request");
            }
            self.drain();
        }
    }

    /// Goes on until that many requests have ended; the clock jumps where there is only waiting.
    ///
    /// # Panics
    /// If they never end.
    pub fn finish(&mut self, count: usize) {
        while self.ended < count {
            let deadline = self.drain();
            if self.ended < count {
                let wait = deadline.expect("requests that do not wait for ever").since(self.now.tick);
                self.now = Now { tick: self.now.tick + wait, wall: self.now.wall_after(wait) };
            }
        }
    }

    /// Carries out everything; returns when the engine wants to be called again.
    fn drain(&mut self) -> Option<Tick> {
        let mut stored = Vec::new();
        loop {
            match self.engine.poll_output(self.now) {
                Output::Store(call) => stored.push(call.id),
                Output::Ended(_) => self.ended += 1,
                Output::Wait(deadline) if stored.is_empty() => return deadline.map(|deadline| deadline.at),
                Output::Wait(_) => self.engine.handle_stored(self.now, &std::mem::take(&mut stored)),
                Output::Do(..) | Output::Accepted(..) | Output::Reopened(_) | Output::Notice(_) => {}
            }
        }
    }
}

/// Rules of a platform that can reset PINs.
struct AnyPin(Capabilities);

impl Default for AnyPin {
    fn default() -> Self {
        let commands = [(CommandKind::ResetPin, CommandRules::new())];
        Self(Capabilities { commands: commands.into(), ..Capabilities::default() })
    }
}

impl Rules for AnyPin {
    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    fn check(&self, _: &Request) -> Result<(), Refusal> {
        Ok(())
    }
}

/// An adapter that has done everything as soon as it is asked.
#[derive(Default)]
struct Answering(VecDeque<Event>);

impl Adapter for Answering {
    fn capacity(&self) -> usize {
        usize::MAX
    }

    fn submit(&mut self, _: Now, submission: Submission) {
        let outcome = Outcome { verdict: Verdict::Completed(None), reference: None, exchange: Exchange::default() };
        self.0.push_back(Event::Finished(submission.id, outcome));
    }

    fn handle_input(&mut self, _: Now, _: Input<'_>) {}

    fn drain(&mut self, _: Now) {}

    fn poll_output(&mut self) -> adapter::Output {
        self.0.pop_front().map_or(adapter::Output::Wait(None), adapter::Output::Event)
    }
}
