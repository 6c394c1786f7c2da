//! A request's way through the dispatcher, step by step, in the order of its life.

use std::sync::Arc;
use std::time::Duration;

use super::entry::{Entry, Stage};
use super::queue::Slot;
use super::store::{Change, Finish};
use super::{After, Dispatcher, Output, Timer};
use crate::adapter::{Submission, SubmissionId};
use crate::failure::{Blame, Failure, Retry, Sent};
use crate::outcome::{Answer, Exchange};
use crate::request::{Process, Request, State};
use crate::text::PlatformReference;
use crate::time::Now;

impl Dispatcher {
    /// Makes an entry and puts it at the end of its lane.
    pub(super) fn admit(&mut self, now: Now, request: Arc<Request>, stage: Stage) -> Slot {
        let lane = request.lane();
        let priority = request.priority;
        let expires = request.expires.map(|at| now.tick_at(at));
        let not_before = request.not_before.filter(|at| *at > now.wall).map(|at| now.tick_at(at));
        let slot = self.entries.insert(Entry {
            released: request.process == Process::Now,
            request,
            lane: lane.clone(),
            stage,
            attempts: 0,
            sent_at: None,
            not_before,
            expires,
            probe: false,
            resume: None,
            failure: None,
        });
        self.queue.join(lane.as_ref(), slot, priority);
        if let Some(at) = expires {
            self.timers.insert((at, Timer::Expires, slot));
        }
        slot
    }

    /// A new request is stored: tell, and let it go or wait.
    pub(super) fn accepted(&mut self, now: Now, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        let Stage::Accepting { goes_out } = entry.stage else { return };
        let (id, state) = (entry.request.id, if goes_out { State::Sent } else { State::Waiting });
        self.outputs.push_back(Output::Accepted(id, state));
        if goes_out {
            self.submit(now, slot);
        } else {
            entry.stage = Stage::Waiting;
            self.consider(now, slot);
        }
    }

    /// Makes a waiting request ready if it is its lane's first and its time has come.
    pub(super) fn consider(&mut self, now: Now, slot: Slot) {
        let Some(entry) = self.entries.get(slot) else { return };
        if entry.stage != Stage::Waiting || !entry.released || !self.queue.is_first(entry.lane.as_ref(), slot) {
            return;
        }
        match entry.not_before.filter(|at| *at > now.tick) {
            Some(at) => {
                self.timers.insert((at, Timer::Eligible, slot));
            }
            None => self.queue.ready(entry.lane.as_ref(), slot, entry.request.number, entry.request.priority),
        }
    }

    /// Marks a ready request as sent; it is submitted once that is stored.
    pub(super) fn send(&mut self, now: Now, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        self.queue.unready(entry.lane.as_ref(), slot, entry.request.number);
        entry.stage = Stage::Marking;
        entry.probe = self.breaker.note_sent();
        if entry.resume.is_none() {
            entry.attempts = entry.attempts.saturating_add(1);
        }
        entry.sent_at = Some(now.wall);
        let query = entry.request.command.kind().is_query();
        let change = Change::Sent { id: entry.request.id, attempt: entry.attempts, at: now.wall };
        self.reserve();
        if query {
            self.store(false, change, After::Nothing);
            self.submit(now, slot);
        } else {
            self.store(true, change, After::Submit(slot));
        }
    }

    /// Hands a request to the adapter.
    pub(super) fn submit(&mut self, now: Now, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        entry.stage = Stage::Submitted;
        self.last_submission += 1;
        let id = SubmissionId(self.last_submission);
        self.submissions.insert(id, slot);
        let submission = Submission { id, request: Arc::clone(&entry.request), resume: entry.resume.take() };
        self.outputs.push_back(Output::Submit(submission));
        self.rate.take(now.tick);
    }

    /// Lets a request wait for another attempt, still the first of its lane.
    pub(super) fn again(&mut self, now: Now, slot: Slot, after: Duration, failure: Failure) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        if entry.expires.is_some_and(|at| at <= now.tick) {
            self.end(now, slot, State::Expired, Some(failure), None);
            return;
        }
        entry.stage = Stage::Waiting;
        entry.released = true;
        entry.not_before = Some(now.tick + after);
        entry.failure = Some(failure.clone());
        if let Some(at) = entry.expires {
            self.timers.insert((at, Timer::Expires, slot));
        }
        let change = Change::Again { id: entry.request.id, retry_at: now.wall_after(after), failure };
        self.store(false, change, After::Nothing);
        self.consider(now, slot);
    }

    /// Ends a request that has no conversation to show.
    pub(super) fn end(
        &mut self,
        now: Now,
        slot: Slot,
        state: State,
        failure: Option<Failure>,
        reference: Option<PlatformReference>,
    ) {
        self.conclude(now, slot, state, failure, None, reference, Exchange::default());
    }

    /// Ends a request and lets the next of its lane come forward. The end is stored before anything that
    /// the next one stores, so a crash in between can not turn their order around.
    #[expect(clippy::too_many_arguments, reason = "the parts of a Finish, which is made here and nowhere else")]
    pub(super) fn conclude(
        &mut self,
        now: Now,
        slot: Slot,
        state: State,
        failure: Option<Failure>,
        answer: Option<Answer>,
        reference: Option<PlatformReference>,
        exchange: Exchange,
    ) {
        let Some(entry) = self.entries.get(slot) else { return };
        let finish = Arc::new(Finish {
            id: entry.request.id,
            state,
            attempts: entry.attempts,
            sent_at: entry.sent_at,
            finished_at: now.wall,
            failure,
            answer,
            reference,
            exchange,
        });
        let query = entry.request.command.kind().is_query();
        let change = Change::Finish(Arc::clone(&finish));
        if query {
            self.store(false, change, After::Nothing);
            self.outputs.push_back(Output::Ended(finish));
        } else {
            self.store(true, change, After::End(finish));
        }
        self.remove(now, slot);
    }

    /// Forgets a request; the next of its lane comes forward.
    pub(super) fn remove(&mut self, now: Now, slot: Slot) {
        let Some(entry) = self.entries.remove(slot) else { return };
        if let Some(at) = entry.not_before {
            self.timers.remove(&(at, Timer::Eligible, slot));
        }
        if let Some(at) = entry.expires {
            self.timers.remove(&(at, Timer::Expires, slot));
        }
        let Request { number, priority, .. } = *entry.request;
        if let Some(next) = self.queue.leave(entry.lane.as_ref(), slot, number, priority) {
            self.consider(now, next);
        }
    }

    pub(super) fn fire_timers(&mut self, now: Now) {
        while let Some((at, timer, slot)) = self.timers.first().copied().filter(|(at, _, _)| *at <= now.tick) {
            self.timers.remove(&(at, timer, slot));
            match timer {
                Timer::Eligible => self.consider(now, slot),
                Timer::Expires => self.expire(now, slot),
            }
        }
    }

    /// Ends a request whose time ran out, unless it is on its way.
    pub(super) fn expire(&mut self, now: Now, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        match entry.stage {
            Stage::Waiting => {
                let sent = entry.sent_before();
                let again = if sent == Sent::No { "" } else { " again" };
                let failure = entry.failure.take().unwrap_or_else(|| Failure {
                    code: "expired".into(),
                    text: format!("its time ran out before it could be sent{again}"),
                    blame: Blame::Gateway,
                    retry: Retry::Later(None),
                    sent,
                    parts: Vec::new(),
                });
                self.end(now, slot, State::Expired, Some(failure), None);
            }
            // Not stored yet: look again when it is.
            Stage::Accepting { goes_out: false } => {
                let later = now.tick + Duration::from_millis(10);
                entry.expires = Some(later);
                self.timers.insert((later, Timer::Expires, slot));
            }
            Stage::Accepting { goes_out: true } | Stage::Marking | Stage::Submitted => {}
        }
    }
}
