//! Links: opened, logged in, lost and opened again.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headgate_core::adapter::{Effect, Event, LinkId, SubmissionId};
use headgate_core::failure::{Blame, Failure, Retry, Sent};
use headgate_core::{Deadline, Now, Tick};
use slab::Slab;

use super::super::profile::{CommandName, FieldName};
use super::super::settings::Settings;
use super::super::speech::{Content, Part};
use super::super::wire::{Values, Written};
use super::jobs::{Job, JobKey, append};
use super::{Flight, Purpose, SmsGateway};
use crate::backoff::Backoff;
use crate::framing::Inbox;

/// So many unanswered messages close a link, or as many as its window, if that is more.
pub(in super::super) const MOST_GIVEN_UP: usize = 16;

/// One place for a link. The link in it gets a new id each time it is opened, so that what comes late
/// from an old one is not taken for the new one's.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) state: LinkState,
    pub(super) inbox: Inbox,
    /// Frames written and not yet sent, and which submissions they belong to.
    pub(super) out: BytesMut,
    pub(super) fresh: Vec<Fresh>,
    /// Messages in flight, oldest first: all have the same time to be answered, so the first is due first.
    /// Answered ones stay until they are the first.
    pub(super) order: VecDeque<(Tick, u64)>,
    pub(super) in_flight: usize,
    /// Numbers given up; late answers take them off the count, not off the list.
    pub(super) given_up: VecDeque<u64>,
    pub(super) given_up_count: usize,
    /// Submissions on this link.
    pub(super) jobs: usize,
    /// Submissions with messages that are not written yet.
    pub(super) waiting: VecDeque<JobKey>,
    /// When something was last heard.
    pub(super) heard: Tick,
    pub(super) checking: bool,
    /// An answer is missing: the link is checked without waiting for a silence.
    pub(super) doubted: bool,
    backoff: Backoff,
    pub(super) window: usize,
    /// How long nothing may be heard; nothing: the profile has no link check.
    pub(super) check_after: std::time::Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    /// Not open; opened again at that time.
    Down(Tick),
    /// Asked for, not open yet.
    Connecting,
    /// Open, the session's opening is not answered yet.
    Opening,
    /// Carries commands.
    Up,
    /// Not opened again.
    Stopped,
}

/// Bytes in the output buffer that belong to a submission.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    pub(super) job: JobKey,
    pub(super) id: SubmissionId,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) written: Written,
}

impl Link {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            id: LinkId(0),
            state: LinkState::Stopped,
            inbox: Inbox::default(),
            // The buffer grows by what it started with.
            out: BytesMut::with_capacity(16 * 1024),
            fresh: Vec::new(),
            order: VecDeque::new(),
            in_flight: 0,
            given_up: VecDeque::new(),
            given_up_count: 0,
            jobs: 0,
            waiting: VecDeque::new(),
            heard: Tick::default(),
            checking: false,
            doubted: false,
            backoff: Backoff::new(settings.reconnect_first, settings.reconnect_longest),
            window: settings.window_per_link,
            check_after: settings.link_check_after,
        }
    }

    /// How many more submissions it takes.
    pub(super) fn room(&self) -> usize {
        if self.state == LinkState::Up { self.window.saturating_sub(self.jobs) } else { 0 }
    }

    /// Takes what was written and not sent; each submission keeps its share, without secrets.
    pub(super) fn flush(&mut self, jobs: &mut Slab<Job>) -> Option<Bytes> {
        if self.out.is_empty() {
            return None;
        }
        let bytes = self.out.split().freeze();
        for fresh in self.fresh.drain(..) {
            if let Some(job) = jobs.get_mut(fresh.job).filter(|job| job.id == fresh.id) {
                append(&mut job.sent, fresh.record(&bytes));
            }
        }
        Some(bytes)
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        let due = self.order.front().map(|(at, _)| Deadline { at: *at, why: "an answer is due" });
        match self.state {
            LinkState::Down(at) => Some(Deadline { at, why: "open the link again" }),
            LinkState::Up if !self.checking => {
                let check = Deadline { at: self.heard + self.check_after, why: "check the link" };
                Deadline::earliest(due, Some(check))
            }
            LinkState::Up | LinkState::Opening => due,
            LinkState::Connecting | LinkState::Stopped => None,
        }
    }

    /// Notes a number that was given up; tells whether the platform leaves too much unanswered.
    pub(super) fn give_up(&mut self, number: u64) -> bool {
        self.given_up.push_back(number);
        self.given_up_count += 1;
        self.given_up_count >= self.window.max(MOST_GIVEN_UP)
    }
}

impl Fresh {
    /// The bytes, with stars in place of a secret.
    fn record(&self, bytes: &Bytes) -> Bytes {
        let Some(secret) = &self.written.secret else {
            return bytes.slice(self.start.min(bytes.len())..self.end.min(bytes.len()));
        };
        let mut copy = bytes.get(self.start..self.end).unwrap_or_default().to_vec();
        let masked = secret.start.saturating_sub(self.start)..secret.end.saturating_sub(self.start);
        copy.get_mut(masked).unwrap_or_default().fill(b'*');
        copy.into()
    }
}

impl SmsGateway {
    pub(super) fn connect_all(&mut self) {
        for slot in 0..self.links.len() {
            self.connect(slot);
        }
    }

    pub(super) fn connected(&mut self, now: Now, id: LinkId) {
        let Some(slot) = self.slot_of(id) else { return };
        let speech = Arc::clone(&self.speech);
        let settings = &speech.checked.settings;
        let Some(link) = self.links.get_mut(slot).filter(|link| link.state == LinkState::Connecting) else { return };
        link.heard = now.tick;
        match (&settings.user, speech.profile().command(CommandName::OpenSession)) {
            (Some(user), Some(form)) => {
                link.state = LinkState::Opening;
                let values = Values::default()
                    .text(FieldName::User, user.as_str())
                    .text(FieldName::Password, settings.password.reveal());
                let part = Part { content: Content::Command(form, values), card: "" };
                self.write_own(now, slot, &part, Purpose::Opening);
            }
            _ => self.up(now, slot),
        }
    }

    /// The link carries commands from now on.
    pub(super) fn up(&mut self, now: Now, slot: usize) {
        let Some(link) = self.links.get_mut(slot) else { return };
        link.state = LinkState::Up;
        link.heard = now.tick;
        link.backoff.reset();
        let event = Event::LinkUp(link.id);
        self.event(event);
    }

    pub(super) fn closed(&mut self, now: Now, id: LinkId, why: &str) {
        let Some(slot) = self.slot_of(id) else { return };
        let opened = self.links.get(slot).is_some_and(|link| link.state != LinkState::Connecting);
        let code = if opened { "link_closed" } else { "link_not_opened" };
        self.lose(now, slot, Failure::not_sent(code, why), false);
    }

    /// The link is of no more use: everything on it ends, each submission for itself.
    pub(super) fn lose(&mut self, now: Now, slot: usize, failure: Failure, close: bool) {
        let Some(link) = self.links.get_mut(slot) else { return };
        if matches!(link.state, LinkState::Down(_) | LinkState::Stopped) {
            return;
        }
        let id = link.id;
        link.state = match self.draining {
            true => LinkState::Stopped,
            false => LinkState::Down(now.tick + link.backoff.wait(&mut self.jitter)),
        };
        link.inbox = Inbox::default();
        link.out.clear();
        link.fresh.clear();
        link.in_flight = 0;
        link.given_up_count = 0;
        link.checking = false;
        link.doubted = false;
        let order = std::mem::take(&mut link.order);
        let given_up = std::mem::take(&mut link.given_up);
        let waiting = std::mem::take(&mut link.waiting);
        if close {
            self.act(Effect::Close(id));
        }
        self.event(Event::LinkDown(id, failure.clone()));
        for number in order.into_iter().map(|(_, number)| number).chain(given_up) {
            let Some(flight) = self.flights.get(&number).copied().filter(|flight| flight.slot == slot) else {
                continue;
            };
            self.flights.remove(&number);
            if let Purpose::Part { job, .. } = flight.purpose {
                self.end_lost(job, &failure);
            }
        }
        for job in waiting {
            self.end_lost(job, &failure);
        }
    }

    /// Links that carry no commands yet never will.
    pub(super) fn stop_opening_links(&mut self) {
        for slot in 0..self.links.len() {
            let Some(link) = self.links.get_mut(slot) else { return };
            let close = match link.state {
                LinkState::Up | LinkState::Stopped => continue,
                LinkState::Down(_) => false,
                LinkState::Connecting | LinkState::Opening => true,
            };
            link.state = LinkState::Stopped;
            link.order.clear();
            link.out.clear();
            let effect = Effect::Close(link.id);
            if close {
                self.act(effect);
            }
        }
    }

    /// Takes leave on links whose submissions are all answered.
    pub(super) fn close_idle_links(&mut self) {
        for slot in 0..self.links.len() {
            let Some(link) = self.links.get_mut(slot).filter(|link| link.state == LinkState::Up && link.jobs == 0)
            else {
                continue;
            };
            link.state = LinkState::Stopped;
            link.order.clear();
            let effect = Effect::Close(link.id);
            self.act(effect);
        }
    }

    pub(super) fn slot_of(&self, id: LinkId) -> Option<usize> {
        self.links.iter().position(|link| link.id == id && link.state != LinkState::Stopped)
    }

    /// Opens the link of a place, under the next id: ids of a place are `slot`, `slot + links`, ...
    pub(super) fn connect(&mut self, slot: usize) {
        let step = u32::try_from(self.links.len()).unwrap_or(1);
        let first = u32::try_from(slot).unwrap_or_default();
        let Some(link) = self.links.get_mut(slot) else { return };
        link.id = match link.state {
            LinkState::Stopped => LinkId(first),
            _ => LinkId(link.id.0.wrapping_add(step)),
        };
        link.state = LinkState::Connecting;
        let effect = Effect::Connect(link.id);
        self.act(effect);
    }

    /// Writes a message that belongs to no submission.
    pub(super) fn write_own(&mut self, now: Now, slot: usize, part: &Part<'_>, purpose: Purpose) {
        let speech = Arc::clone(&self.speech);
        let today = self.today.at(now, &speech.checked.zone);
        let number = self.numbers.next(|number| self.flights.contains_key(&number));
        let Some(link) = self.links.get_mut(slot) else { return };
        if let Err(error) = speech.write(part, number, today, &mut link.out) {
            let failure = Failure {
                code: "unspeakable".into(),
                text: format!("the profile can not write what keeps the link: {error}"),
                blame: Blame::Gateway,
                retry: Retry::Later(None),
                sent: Sent::No,
                parts: Vec::new(),
            };
            return self.lose(now, slot, failure, true);
        }
        let command = match &part.content {
            Content::Command(form, _) => Some(form.number),
            Content::Raw(_) => None,
        };
        self.take_off(now, slot, number, command, purpose);
    }

    /// Notes a message that was written: it is in flight.
    pub(super) fn take_off(&mut self, now: Now, slot: usize, number: u64, command: Option<u64>, purpose: Purpose) {
        let deadline = now.tick + self.speech.checked.settings.answer_timeout;
        if let Some(link) = self.links.get_mut(slot) {
            link.order.push_back((deadline, number));
            link.in_flight += 1;
            self.flights.insert(number, Flight { slot, deadline, command, purpose });
        }
    }
}
