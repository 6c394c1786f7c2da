//! One provider's engine: a dispatcher and an adapter joined, still without I/O.
//!
//! # Calling an engine
//!
//! 1. Call [`Engine::start`] once, with what the store says has not ended.
//! 2. Whenever something happened, call the method for it: [`Engine::offer`] (a new request),
//!    [`Engine::handle_stored`] and [`Engine::handle_refused`] (the store reports), [`Engine::handle_input`]
//!    (a driver reports), the operator's [`Engine::cancel`], [`Engine::hurry`], [`Engine::reopen`] and so on. Calls may
//!    be gathered: many inputs, then one drain, makes few and large writes.
//! 3. Then call [`Engine::poll_output`] until it returns [`Output::Wait`], carrying out each output in
//!    the order given.
//! 4. When the deadline of the last [`Output::Wait`] has passed, poll again.
//! 5. To stop: [`Engine::drain`], go on until [`Engine::is_idle`], drop it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::adapter::{self, Adapter, Done, Effect, EffectId, Event, Input, LinkId, Noise, Rules};
use crate::dispatch::store::{ChangeId, Finish, Recovered, StoreCall};
use crate::dispatch::{self, BreakerState, Busy, Dispatcher, Load};
use crate::failure::Failure;
use crate::provider::Provider;
use crate::request::{Request, RequestId, State};
use crate::time::{Deadline, Now};

/// One provider's engine. See the [module](self) for how to call it.
pub struct Engine {
    dispatcher: Dispatcher,
    adapter: Box<dyn Adapter>,
    rules: Arc<dyn Rules>,
    adapter_deadline: Option<Deadline>,
    outputs: VecDeque<Output>,
}

/// What an engine wants.
#[derive(Clone, Debug)]
pub enum Output {
    /// Store this change, in order. Reported by [`Engine::handle_stored`] or [`Engine::handle_refused`].
    Store(StoreCall),
    /// Carry this out. Reported by [`Engine::handle_input`] where the effect has a result.
    Do(EffectId, Effect),
    /// The request is stored: tell its maker.
    Accepted(RequestId, State),
    /// The request ended, and that is stored.
    Ended(Arc<Finish>),
    /// The request waits again, and that is stored.
    Reopened(RequestId),
    /// Something operators want to know.
    Notice(Notice),
    /// Nothing more, until something happens or the deadline passes.
    Wait(Option<Deadline>),
}

/// Something operators want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The breaker changed.
    Breaker(BreakerState),
    /// A link can carry commands.
    LinkUp(LinkId),
    /// A link can not carry commands any more.
    LinkDown(LinkId, Failure),
    /// The platform sent something that belongs to no request.
    Noise(Noise),
    /// The platform asked for a pause; its words.
    Paused(std::time::Duration, String),
}

impl Engine {
    /// Joins an adapter to a new dispatcher. `seed` varies the delays between attempts.
    #[must_use]
    pub fn new(provider: Provider, rules: Arc<dyn Rules>, adapter: Box<dyn Adapter>, seed: u64) -> Self {
        Self {
            dispatcher: Dispatcher::new(provider, seed),
            adapter,
            rules,
            adapter_deadline: None,
            outputs: VecDeque::new(),
        }
    }

    /// Starts: takes up what had not ended, in the order of numbers, and lets the adapter open its links.
    pub fn start(&mut self, now: Now, unfinished: Vec<Recovered>) {
        self.dispatcher.recover(now, unfinished, self.rules.capabilities());
        self.adapter.handle_input(now, Input::Start);
    }

    /// Takes a new request, which must have passed the provider's [`Rules`].
    ///
    /// # Errors
    /// [`Busy`]: nothing was taken.
    pub fn offer(&mut self, now: Now, request: Arc<Request>) -> Result<(), Busy> {
        self.dispatcher.offer(now, request, self.adapter.capacity())?;
        // Keeps the adapter's capacity true while requests are gathered. The adapter is not drained yet, so that
        // many requests make one write.
        self.drain_dispatcher(now);
        Ok(())
    }

    /// The store reports these changes as stored, in order.
    pub fn handle_stored(&mut self, now: Now, changes: &[ChangeId]) {
        self.dispatcher.handle_stored(now, changes);
    }

    /// The store could not keep a new request, which therefore never was. Returns which.
    pub fn handle_refused(&mut self, now: Now, change: ChangeId) -> Option<RequestId> {
        self.dispatcher.handle_refused(now, change)
    }

    /// A driver reports.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.adapter.handle_input(now, input);
    }

    /// Takes a waiting request back. [`Output::Ended`] follows when that is stored.
    ///
    /// # Errors
    /// Its state if it is on its way; nothing if it is not here.
    pub fn cancel(&mut self, now: Now, id: RequestId) -> Result<(), Option<State>> {
        self.dispatcher.cancel(now, id)
    }

    /// Lets a waiting request go now: it does not wait for its own time, its next attempt or a run. Order, rate,
    /// window and breaker still hold.
    ///
    /// # Errors
    /// Its state if it is on its way; nothing if it is not here.
    pub fn hurry(&mut self, now: Now, id: RequestId) -> Result<(), Option<State>> {
        self.dispatcher.hurry(now, id)
    }

    /// Takes up a request that had ended: an operator retries it. It goes to the end of its lane with all its
    /// attempts before it. The queue limit does not stop it. [`Output::Reopened`] follows when it is stored.
    ///
    /// # Errors
    /// [`Busy::Stopping`]: nothing was taken.
    pub fn reopen(&mut self, now: Now, request: Arc<Request>) -> Result<(), Busy> {
        self.dispatcher.reopen(now, request)
    }

    /// Records how a request that had ended as `unknown` really ended. [`Output::Ended`] follows when that is stored.
    pub fn resolve(&mut self, finish: Arc<Finish>) {
        self.dispatcher.resolve(finish);
    }

    /// Switches sending on or off.
    pub const fn set_effective(&mut self, effective: bool) {
        self.dispatcher.set_effective(effective);
    }

    /// Takes and sends nothing more; what is on its way goes on.
    pub fn drain(&mut self, now: Now) {
        self.dispatcher.drain();
        self.adapter.drain(now);
    }

    /// Whether nothing is on its way, neither to the platform nor to the store.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.dispatcher.is_idle()
    }

    /// How busy it is.
    #[must_use]
    pub fn load(&self, now: Now) -> Load {
        self.dispatcher.load(now)
    }

    /// Requests that wait, and requests that are on their way: [`Engine::load`] without its words, for every turn.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        self.dispatcher.depth()
    }

    /// The next output. Drain until [`Output::Wait`].
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self, now: Now) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if self.adapter_deadline.is_some_and(|deadline| deadline.at <= now.tick) {
            self.adapter_deadline = None;
            self.adapter.handle_input(now, Input::Deadline);
        }
        self.turn(now);
        self.outputs
            .pop_front()
            .unwrap_or_else(|| Output::Wait(Deadline::earliest(self.adapter_deadline, self.dispatcher.deadline(now))))
    }

    /// Moves requests from the dispatcher to the adapter and outcomes back, until nothing moves.
    fn turn(&mut self, now: Now) {
        loop {
            self.dispatcher.dispatch(now, self.adapter.capacity());
            let submitted = self.drain_dispatcher(now);
            let reported = self.drain_adapter(now);
            if !submitted && !reported {
                return;
            }
        }
    }

    /// Returns whether something went to the adapter.
    fn drain_dispatcher(&mut self, now: Now) -> bool {
        let mut moved = false;
        while let Some(output) = self.dispatcher.poll_output() {
            let output = match output {
                dispatch::Output::Submit(submission) => {
                    self.adapter.submit(now, submission);
                    moved = true;
                    continue;
                }
                dispatch::Output::Recorded(effect) => {
                    self.adapter.handle_input(now, Input::Done(effect, Done::Recorded));
                    moved = true;
                    continue;
                }
                dispatch::Output::Store(call) => Output::Store(call),
                dispatch::Output::Accepted(id, state) => Output::Accepted(id, state),
                dispatch::Output::Ended(finish) => Output::Ended(finish),
                dispatch::Output::Reopened(id) => Output::Reopened(id),
                dispatch::Output::Breaker(state) => Output::Notice(Notice::Breaker(state)),
            };
            self.outputs.push_back(output);
        }
        moved
    }

    /// Returns whether something went to the dispatcher.
    fn drain_adapter(&mut self, now: Now) -> bool {
        let mut moved = false;
        loop {
            match self.adapter.poll_output() {
                adapter::Output::Do(id, Effect::Record(references)) => {
                    self.dispatcher.record(id, references);
                    moved = true;
                }
                adapter::Output::Do(id, effect) => self.outputs.push_back(Output::Do(id, effect)),
                adapter::Output::Event(event) => {
                    self.handle_event(now, event);
                    moved = true;
                }
                adapter::Output::Wait(deadline) => {
                    self.adapter_deadline = deadline;
                    return moved;
                }
            }
        }
    }

    fn handle_event(&mut self, now: Now, event: Event) {
        let notice = match event {
            Event::Finished(submission, outcome) => {
                self.dispatcher.handle_outcome(now, submission, outcome, self.rules.capabilities());
                return;
            }
            Event::SlowDown { pause, why } => {
                self.dispatcher.pause(now, pause);
                Notice::Paused(pause, why)
            }
            Event::LinkUp(link) => Notice::LinkUp(link),
            Event::LinkDown(link, failure) => Notice::LinkDown(link, failure),
            Event::Noise(noise) => Notice::Noise(noise),
        };
        self.outputs.push_back(Output::Notice(notice));
    }
}
