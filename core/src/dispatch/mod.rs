//! What goes out next: one dispatcher for each provider, a state machine without I/O.
//!
//! The dispatcher takes requests ([`Dispatcher::offer`]), has them stored ([`Output::Store`]), submits them
//! to the adapter when it is their turn ([`Output::Submit`]), and turns what the adapter reports into
//! an end or another attempt. It keeps these rules:
//!
//! * A request is acknowledged ([`Output::Accepted`]) and sent only once it is stored. One that can go out
//!   at once is stored as sent in the change that accepts it; any other is marked as sent before it is.
//! * Requests of one lane (subscription, or device) go out one after the other, in the order of
//!   acceptance, also across retries and restarts.
//! * Express requests go before the regular ones of other lanes.
//! * Never more than the window are on their way, never more than the rate leave in any stretch of
//!   time, and nothing leaves while the breaker is open, the platform asked for a pause, the provider is not
//!   effective or the gateway is stopping.
//! * What nobody knows to have arrived is sent again only if that is safe; else it ends as `unknown`.
//! * Beyond the queue limit nothing is accepted ([`Busy`]); nothing accepted is ever dropped.
//!
//! Queries change nothing at the platform, so they do not wait for the disk: their changes are stored
//! in order, but not durably.

mod backoff;
mod breaker;
mod entry;
mod life;
mod queue;
mod rate;
pub mod store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use self::backoff::Backoff;
pub use self::breaker::BreakerState;
use self::breaker::{Breaker, Effect as BreakerEffect};
use self::entry::{Entries, Entry, Stage};
use self::queue::{Queue, Slot};
use self::rate::RateWindow;
use self::store::{Change, ChangeId, Finish, Recovered, StoreCall};
use crate::adapter::{Submission, SubmissionId};
use crate::capabilities::Capabilities;
use crate::failure::{Blame, Failure, Retry, Sent};
use crate::outcome::{Outcome, Verdict};
use crate::provider::Provider;
use crate::request::{Process, Request, RequestId, State};
use crate::text::PlatformReference;
use crate::time::{Deadline, Now, Tick};

/// Decides what goes out next at one provider. See the [module](self).
#[derive(Debug)]
pub struct Dispatcher {
    provider: Provider,
    entries: Entries,
    queue: Queue,
    rate: RateWindow,
    breaker: Breaker,
    backoff: Backoff,
    /// Wake-ups: an entry may go out, or its time has run out.
    timers: BTreeSet<(Tick, Timer, Slot)>,
    /// Changes handed to the store and not yet reported, oldest first, and what follows each.
    storing: VecDeque<(ChangeId, After)>,
    last_change: ChangeId,
    submissions: HashMap<SubmissionId, Slot>,
    last_submission: u64,
    /// Sent or about to be: what the window bounds.
    in_flight: usize,
    /// Sent or about to be, and not yet handed over: not yet counted by the adapter's capacity.
    reserved: usize,
    paused_until: Option<Tick>,
    effective: bool,
    draining: bool,
    outputs: VecDeque<Output>,
}

/// What the dispatcher wants.
#[derive(Clone, Debug)]
pub enum Output {
    /// Store this change, in order.
    Store(StoreCall),
    /// The request is stored: tell its maker.
    Accepted(RequestId, State),
    /// Hand this to the adapter.
    Submit(Submission),
    /// The request ended, and that is stored.
    Ended(Arc<Finish>),
    /// The request waits again, and that is stored.
    Reopened(RequestId),
    /// The references are stored: tell the adapter that asked.
    Recorded(crate::adapter::EffectId),
    /// The breaker opened (with the reason) or closed.
    Breaker(BreakerState),
}

/// What follows when a change is stored.
#[derive(Debug)]
enum After {
    /// Nothing to wait for.
    Nothing,
    /// The request is accepted.
    Accept(Slot),
    /// The request may be submitted.
    Submit(Slot),
    /// The request has ended.
    End(Arc<Finish>),
    /// The adapter's references are recorded.
    Recorded(crate::adapter::EffectId),
    /// The request waits again.
    Reopened(RequestId, Slot),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Eligible,
    Expires,
}

/// The queue is full, or the gateway is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// As many requests wait as may; trying again after that long can help.
    Full(Duration),
    /// No more requests are taken.
    Stopping,
}

/// How busy a dispatcher is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Accepted and not sent.
    pub waiting: usize,
    /// Sent and not answered.
    pub in_flight: usize,
    /// The breaker.
    pub breaker: BreakerState,
    /// The platform asked for a pause that has not passed.
    pub paused: bool,
}

/// How long a caller is asked to wait when the queue is full. A queue of the default size drains within
/// seconds at any rate worth having; a smaller number would only bring the callers back sooner.
const RETRY_AFTER_FULL: Duration = Duration::from_secs(2);

impl Dispatcher {
    /// A dispatcher for `provider`. `seed` varies the delays between attempts.
    #[must_use]
    pub fn new(provider: Provider, seed: u64) -> Self {
        Self {
            rate: RateWindow::new(provider.limits.rate),
            breaker: Breaker::new(provider.breaker.clone()),
            backoff: Backoff::new(&provider.retry, seed),
            entries: Entries::default(),
            queue: Queue::default(),
            timers: BTreeSet::new(),
            storing: VecDeque::new(),
            last_change: ChangeId::default(),
            submissions: HashMap::new(),
            last_submission: 0,
            in_flight: 0,
            reserved: 0,
            paused_until: None,
            effective: true,
            draining: false,
            outputs: VecDeque::new(),
            provider,
        }
    }

    /// Takes up what an earlier life left unfinished, before anything is offered. `found` is in the order
    /// of numbers.
    ///
    /// What was waiting waits again. What was sent and not answered is resumed by adapters that
    /// can, else sent again if that is safe, else ended as `unknown`.
    pub fn recover(&mut self, now: Now, found: Vec<Recovered>, capabilities: &Capabilities) {
        for Recovered { request, state, attempts, retry_at, reference } in found {
            let slot = self.admit(now, request, Stage::Waiting);
            let Some(entry) = self.entries.get_mut(slot) else { continue };
            entry.attempts = attempts;
            // What went out once waits for no other run.
            entry.released |= attempts > 0;
            if let Some(at) = retry_at {
                entry.not_before = entry.not_before.max(Some(now.tick_at(at)));
            }
            if state == State::Sent {
                if capabilities.resumes {
                    entry.resume = reference;
                    // It is on its way: its time ends it only if it has to go again.
                    if let Some(at) = entry.expires.filter(|_| entry.resume.is_some()) {
                        self.timers.remove(&(at, Timer::Expires, slot));
                    }
                } else if !capabilities.safe_to_repeat(&entry.request.command) {
                    let text = "the gateway stopped before the platform answered; whether it was done is not known";
                    let failure = Failure::unanswered("interrupted", text);
                    self.end(now, slot, State::Unknown, Some(failure), None);
                    continue;
                }
            }
            self.consider(now, slot);
        }
    }

    /// Takes a new request. It is stored next; [`Output::Accepted`] follows, or the store refuses it
    /// ([`Dispatcher::handle_refused`]).
    ///
    /// # Errors
    /// [`Busy`]: nothing was taken.
    pub fn offer(&mut self, now: Now, request: Arc<Request>, capacity: usize) -> Result<(), Busy> {
        if self.draining {
            return Err(Busy::Stopping);
        }
        if self.entries.len() >= self.provider.limits.queue {
            return Err(Busy::Full(RETRY_AFTER_FULL));
        }
        let query = request.command.kind().is_query();
        let lane = request.lane();
        let goes_out = self.queue.next().is_none()
            && self.queue.is_free(lane.as_ref())
            && request.process == Process::Now
            && request.not_before.is_none_or(|at| at <= now.wall)
            && request.expires.is_none_or(|at| at > now.wall)
            && self.may_send(now, capacity)
            && self.rate.reserve(now.tick);
        let slot = self.admit(now, Arc::clone(&request), Stage::Accepting { goes_out });
        let state = if goes_out { State::Sent } else { State::Waiting };
        if goes_out {
            self.reserve();
            if let Some(entry) = self.entries.get_mut(slot) {
                entry.attempts = 1;
                entry.probe = self.breaker.note_sent();
                entry.sent_at = Some(now.wall);
            }
        }
        if query {
            self.store(false, Change::Accept(request, state), After::Nothing);
            self.accepted(now, slot);
        } else {
            self.store(true, Change::Accept(request, state), After::Accept(slot));
        }
        Ok(())
    }

    /// The store reports these changes as stored, in order.
    pub fn handle_stored(&mut self, now: Now, changes: &[ChangeId]) {
        for change in changes {
            match self.stored(*change) {
                None | Some(After::Nothing) => {}
                Some(After::Accept(slot)) => self.accepted(now, slot),
                Some(After::Submit(slot)) => self.submit(now, slot),
                Some(After::End(finish)) => self.outputs.push_back(Output::Ended(finish)),
                Some(After::Recorded(effect)) => self.outputs.push_back(Output::Recorded(effect)),
                Some(After::Reopened(id, slot)) => {
                    self.outputs.push_back(Output::Reopened(id));
                    self.consider(now, slot);
                }
            }
        }
    }

    /// The store could not keep a new request: it never was. Returns which.
    pub fn handle_refused(&mut self, now: Now, change: ChangeId) -> Option<RequestId> {
        let Some(After::Accept(slot)) = self.stored(change) else { return None };
        let entry = self.entries.get(slot)?;
        let (id, probe) = (entry.request.id, entry.probe);
        if entry.stage == (Stage::Accepting { goes_out: true }) {
            self.unreserve();
            self.in_flight = self.in_flight.saturating_sub(1);
            self.rate.release();
            if probe {
                self.breaker.note_withdrawn();
            }
        }
        self.remove(now, slot);
        Some(id)
    }

    /// The adapter reports how a submission ended.
    pub fn handle_outcome(
        &mut self,
        now: Now,
        submission: SubmissionId,
        outcome: Outcome,
        capabilities: &Capabilities,
    ) {
        let Some(slot) = self.submissions.remove(&submission) else { return };
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(entry) = self.entries.get(slot) else { return };
        let (attempts, probe) = (entry.attempts, entry.probe);
        let safe = capabilities.safe_to_repeat(&entry.request.command);
        let Outcome { verdict, reference, exchange } = outcome;
        match verdict {
            Verdict::Completed(answer) => {
                self.note_answer();
                self.conclude(now, slot, State::Completed, None, answer, reference, exchange);
            }
            Verdict::Rejected(failure) => {
                self.note_answer();
                match self.provider.retry.codes.get(failure.code.as_ref()) {
                    Some(rule) if attempts < rule.attempts.unwrap_or(self.provider.retry.attempts) => {
                        let after = rule.after;
                        self.again(now, slot, after, failure);
                    }
                    Some(_) | None => {
                        self.conclude(now, slot, State::Rejected, Some(failure), None, reference, exchange);
                    }
                }
            }
            Verdict::Failed(failure) => {
                self.note_failure(now, &failure, probe);
                let repeatable = failure.sent != Sent::Maybe || safe;
                let tries_left = attempts < self.provider.retry.attempts;
                match failure.retry {
                    Retry::Later(after) if repeatable && tries_left => {
                        let after = after.unwrap_or_else(|| self.backoff.after(attempts));
                        self.again(now, slot, after, failure);
                    }
                    Retry::Later(_) | Retry::Never => {
                        let state = if repeatable { State::Failed } else { State::Unknown };
                        self.conclude(now, slot, state, Some(failure), None, reference, exchange);
                    }
                }
            }
        }
    }

    /// The adapter is about to send submissions under these references: they are recorded first.
    pub fn record(&mut self, effect: crate::adapter::EffectId, references: Vec<(SubmissionId, PlatformReference)>) {
        let mut recorded = Vec::with_capacity(references.len());
        for (submission, reference) in references {
            let slot = self.submissions.get(&submission).copied();
            if let Some(entry) = slot.and_then(|slot| self.entries.get(slot)) {
                recorded.push((entry.request.id, reference));
            }
        }
        self.store(true, Change::References(recorded), After::Recorded(effect));
    }

    /// The platform asked for a pause.
    pub fn pause(&mut self, now: Now, pause: Duration) {
        self.paused_until = self.paused_until.max(Some(now.tick + pause));
    }

    /// Takes a waiting request back. [`Output::Ended`] follows when that is stored.
    ///
    /// # Errors
    /// [`State::Sent`] if it is on its way; [`None`] if it is not here.
    pub fn cancel(&mut self, now: Now, id: RequestId) -> Result<(), Option<State>> {
        let slot = self.waiting(id)?;
        let sent = self.entries.get(slot).map_or(Sent::No, Entry::sent_before);
        let again = if sent == Sent::No { "" } else { " again" };
        let failure = Failure {
            code: "cancelled".into(),
            text: format!("taken back before it was sent{again}"),
            blame: Blame::Crm,
            retry: Retry::Later(None),
            sent,
            parts: Vec::new(),
        };
        self.end(now, slot, State::Cancelled, Some(failure), None);
        Ok(())
    }

    /// Lets a waiting request go now: it does not wait for a run, its own time or its next attempt.
    ///
    /// # Errors
    /// [`State::Sent`] if it is on its way; [`None`] if it is not here.
    pub fn hurry(&mut self, now: Now, id: RequestId) -> Result<(), Option<State>> {
        let slot = self.waiting(id)?;
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.released = true;
            if let Some(at) = entry.not_before.take() {
                self.timers.remove(&(at, Timer::Eligible, slot));
            }
        }
        self.consider(now, slot);
        Ok(())
    }

    /// Takes up a request that had ended: somebody retries it. It goes to the end of its lane, with
    /// all its attempts before it and no end of its time. [`Output::Reopened`] follows when that is stored.
    ///
    /// # Errors
    /// [`Busy`]: nothing was taken.
    pub fn reopen(&mut self, now: Now, request: Arc<Request>) -> Result<(), Busy> {
        if self.draining {
            return Err(Busy::Stopping);
        }
        if self.entries.slot_of(request.id).is_some() {
            self.outputs.push_back(Output::Reopened(request.id));
            return Ok(());
        }
        let id = request.id;
        let slot = self.admit(now, request, Stage::Accepting { goes_out: false });
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.stage = Stage::Waiting;
            entry.released = true;
            entry.not_before = None;
            if let Some(at) = entry.expires.take() {
                self.timers.remove(&(at, Timer::Expires, slot));
            }
        }
        self.store(true, Change::Reopen { id }, After::Reopened(id, slot));
        Ok(())
    }

    /// Records how a request that had ended as `unknown` really ended. [`Output::Ended`] follows when that is stored.
    pub fn resolve(&mut self, finish: Arc<Finish>) {
        self.store(true, Change::Finish(Arc::clone(&finish)), After::End(finish));
    }

    /// Switches sending on or off. What is on its way is not called back.
    pub const fn set_effective(&mut self, effective: bool) {
        self.effective = effective;
    }

    /// Nothing more is taken or sent; what is on its way goes on.
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether nothing is on its way, neither to the platform nor to the store.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.storing.is_empty()
    }

    /// How busy it is.
    #[must_use]
    pub fn load(&self, now: Now) -> Load {
        let (waiting, in_flight) = self.depth();
        Load {
            waiting,
            in_flight,
            breaker: self.breaker.state(),
            paused: self.paused_until.is_some_and(|until| until > now.tick),
        }
    }

    /// Requests that wait, and requests that are on their way.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        (self.entries.len().saturating_sub(self.in_flight), self.in_flight)
    }

    /// Lets go what may go. `capacity` is how many submissions the adapter takes now.
    pub fn dispatch(&mut self, now: Now, capacity: usize) {
        self.fire_timers(now);
        while let Some(slot) = self.queue.next() {
            if !self.may_send(now, capacity) || !self.rate.reserve(now.tick) {
                return;
            }
            self.send(now, slot);
        }
    }

    /// The next output.
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front()?;
        if matches!(output, Output::Submit(_)) {
            self.unreserve();
        }
        Some(output)
    }

    /// When [`Dispatcher::dispatch`] has to be called although nothing happened.
    #[must_use]
    pub fn deadline(&self, now: Now) -> Option<Deadline> {
        let timer = self.timers.first().map(|(at, timer, _)| Deadline {
            at: *at,
            why: match timer {
                Timer::Eligible => "request may go out",
                Timer::Expires => "request expires",
            },
        });
        if self.queue.next().is_none() || !self.effective || self.draining {
            return timer;
        }
        let pause = self.paused_until.filter(|at| *at > now.tick).map(|at| Deadline { at, why: "pause ends" });
        let rate = self.rate.free_at(now.tick).map(|at| Deadline { at, why: "rate allows" });
        // One that has passed is no deadline: the breaker looks at the time when a request could go, and
        // none can while the adapter has no link.
        let breaker = self.breaker.deadline().filter(|deadline| deadline.at > now.tick);
        [timer, pause, rate, breaker].into_iter().fold(None, Deadline::earliest)
    }

    fn may_send(&mut self, now: Now, capacity: usize) -> bool {
        self.effective
            && !self.draining
            && self.paused_until.is_none_or(|until| until <= now.tick)
            && self.in_flight < self.provider.limits.window
            && self.reserved < capacity
            && self.breaker.allows(now.tick)
    }

    const fn reserve(&mut self) {
        self.in_flight += 1;
        self.reserved += 1;
    }

    const fn unreserve(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    fn store(&mut self, durable: bool, change: Change, after: After) {
        self.last_change.0 += 1;
        let id = self.last_change;
        self.storing.push_back((id, after));
        self.outputs.push_back(Output::Store(StoreCall { id, durable, change }));
    }

    /// What follows a change that is stored or refused. Reports come nearly in order: only a refusal may overtake.
    fn stored(&mut self, change: ChangeId) -> Option<After> {
        let position = match self.storing.front() {
            Some((id, _)) if *id == change => 0,
            _ => self.storing.iter().position(|(id, _)| *id == change)?,
        };
        self.storing.remove(position).map(|(_, after)| after)
    }

    /// The slot of a request that waits.
    fn waiting(&self, id: RequestId) -> Result<Slot, Option<State>> {
        let slot = self.entries.slot_of(id).ok_or(None)?;
        match self.entries.get(slot).map(|entry| entry.stage) {
            Some(Stage::Waiting) => Ok(slot),
            Some(_) => Err(Some(State::Sent)),
            None => Err(None),
        }
    }

    fn note_answer(&mut self) {
        if self.breaker.note_answer() == BreakerEffect::Closed {
            self.outputs.push_back(Output::Breaker(BreakerState::Closed));
        }
    }

    fn note_failure(&mut self, now: Now, failure: &Failure, probe: bool) {
        match failure.blame {
            Blame::Link | Blame::Platform if failure.sent != Sent::Yes => {
                if self.breaker.note_failure(now.tick, probe, || failure.to_string()) == BreakerEffect::Opened {
                    self.outputs.push_back(Output::Breaker(self.breaker.state()));
                }
            }
            // The platform answered, or was not asked: nothing is learnt about the way to it.
            Blame::Link | Blame::Platform => self.note_answer(),
            Blame::Crm | Blame::Gateway if probe => self.breaker.note_withdrawn(),
            Blame::Crm | Blame::Gateway => {}
        }
    }
}
