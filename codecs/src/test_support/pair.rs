//! An adapter and a platform of a stream protocol, joined in memory: the clock jumps from deadline to deadline.

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_core::adapter::{Adapter, Effect, Event, Input, LinkId, Output, SubmissionId};
use headgate_core::outcome::{Outcome, Verdict};
use headgate_core::platform::{Platform, PlatformOutput};
use headgate_core::{Deadline, Now};

use super::{later, start, submission};

/// Both sides, and everything that was seen between them.
pub(crate) struct Pair {
    pub(crate) adapter: Box<dyn Adapter>,
    pub(crate) platform: Box<dyn Platform>,
    pub(crate) now: Now,
    /// Every event, oldest first.
    pub(crate) events: Vec<Event>,
    /// `Debug` of every output of the adapter: what a log could show.
    pub(crate) log: String,
    /// How many effects sent bytes to the platform.
    pub(crate) sends: usize,
    /// When each link was asked for.
    pub(crate) connects: Vec<Now>,
    /// So many of the next connections fail.
    pub(crate) refuse: usize,
    open: BTreeSet<LinkId>,
    due: (Option<Deadline>, Option<Deadline>),
}

impl Pair {
    /// Joins them; links are opened at once.
    pub(crate) fn new(adapter: Box<dyn Adapter>, platform: Box<dyn Platform>) -> Self {
        let mut pair = Self {
            adapter,
            platform,
            now: start(),
            events: Vec::new(),
            log: String::new(),
            sends: 0,
            connects: Vec::new(),
            refuse: 0,
            open: BTreeSet::new(),
            due: (None, None),
        };
        pair.platform.handle_input(pair.now, Input::Start);
        pair.adapter.handle_input(pair.now, Input::Start);
        pair.settle();
        pair
    }

    /// Submits a command and carries out what follows at once.
    pub(crate) fn submit(&mut self, id: u64, json: &str) {
        self.submit_only(id, json);
        self.settle();
    }

    /// Submits a command; nothing is carried out yet.
    pub(crate) fn submit_only(&mut self, id: u64, json: &str) {
        self.adapter.submit(self.now, submission(id, json));
    }

    /// Carries out everything that can happen now.
    pub(crate) fn settle(&mut self) {
        loop {
            let quiet = self.drain_adapter() & self.drain_platform();
            if quiet {
                return;
            }
        }
    }

    /// The link breaks: both sides learn it, if it was open.
    pub(crate) fn break_link(&mut self, link: LinkId) {
        if self.open.remove(&link) {
            self.platform.handle_input(self.now, Input::Closed(link, "broken"));
            self.adapter.handle_input(self.now, Input::Closed(link, "broken"));
        }
    }

    /// Lets the time pass, every deadline at its moment.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = later(self.now, time);
        for _ in 0..100_000 {
            let next = Deadline::earliest(self.due.0, self.due.1).filter(|next| next.at <= end.tick);
            let Some(next) = next else {
                self.now = end;
                return;
            };
            self.now = later(self.now, next.at.since(self.now.tick));
            if self.due.0.is_some_and(|due| due.at <= self.now.tick) {
                self.adapter.handle_input(self.now, Input::Deadline);
            }
            if self.due.1.is_some_and(|due| due.at <= self.now.tick) {
                self.platform.handle_input(self.now, Input::Deadline);
            }
            self.settle();
        }
        panic!("deadlines without end");
    }

    /// The end of a submission; it must have exactly one.
    pub(crate) fn outcome(&self, id: u64) -> &Outcome {
        let ends: Vec<_> = self.events.iter().filter_map(|event| finished(event, id)).collect();
        assert_eq!(ends.len(), 1, "ends of submission {id} in {:?}", self.events);
        ends[0]
    }

    /// Whether a submission has ended.
    pub(crate) fn has_ended(&self, id: u64) -> bool {
        self.events.iter().any(|event| finished(event, id).is_some())
    }

    /// The end of a submission in a few words.
    pub(crate) fn end(&self, id: u64) -> String {
        in_words(&self.outcome(id).verdict)
    }

    /// The texts of all noise.
    pub(crate) fn noises(&self) -> Vec<&str> {
        fn text(event: &Event) -> Option<&str> {
            match event {
                Event::Noise(noise) => Some(&noise.text),
                _ => None,
            }
        }
        self.events.iter().filter_map(text).collect()
    }

    fn drain_adapter(&mut self) -> bool {
        let mut quiet = true;
        loop {
            let output = self.adapter.poll_output();
            self.log.push_str(&format!("{output:?}\n"));
            match output {
                Output::Wait(due) => {
                    self.due.0 = due;
                    return quiet;
                }
                Output::Event(event) => self.events.push(event),
                Output::Do(_, effect) => {
                    quiet = false;
                    self.carry_out(effect);
                }
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect(link) => {
                self.connects.push(self.now);
                if self.refuse > 0 {
                    self.refuse -= 1;
                    return self.adapter.handle_input(self.now, Input::Closed(link, "connection refused"));
                }
                assert!(self.open.insert(link), "{link:?} is open already");
                self.platform.handle_input(self.now, Input::Connected(link));
                self.adapter.handle_input(self.now, Input::Connected(link));
            }
            Effect::Send(link, bytes) => {
                self.sends += 1;
                if self.open.contains(&link) {
                    self.platform.handle_input(self.now, Input::Received(link, &bytes));
                }
            }
            Effect::Close(link) => {
                if self.open.remove(&link) {
                    self.platform.handle_input(self.now, Input::Closed(link, "closed by the gateway"));
                }
            }
            other => panic!("{other:?} is no effect of a stream protocol"),
        }
    }

    fn drain_platform(&mut self) -> bool {
        let mut quiet = true;
        loop {
            match self.platform.poll_output() {
                PlatformOutput::Wait(due) => {
                    self.due.1 = due;
                    return quiet;
                }
                PlatformOutput::Do(_, Effect::Send(link, bytes)) => {
                    quiet = false;
                    if self.open.contains(&link) {
                        // In two pieces, as a network may deliver them.
                        let (first, second) = bytes.split_at(bytes.len() / 3);
                        self.adapter.handle_input(self.now, Input::Received(link, first));
                        self.adapter.handle_input(self.now, Input::Received(link, second));
                    }
                }
                PlatformOutput::Do(_, Effect::Close(link)) => {
                    quiet = false;
                    if self.open.remove(&link) {
                        self.adapter.handle_input(self.now, Input::Closed(link, "closed by the platform"));
                    }
                }
                PlatformOutput::Do(_, other) => panic!("{other:?} is no effect of a stream protocol"),
            }
        }
    }
}

/// A verdict in a few words: `completed`, `rejected 0201`, `failed no_answer Maybe`.
pub(crate) fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Completed(None) => "completed".to_owned(),
        Verdict::Completed(Some(answer)) => {
            format!("completed {}", serde_json::to_string(answer).unwrap())
        }
        Verdict::Rejected(failure) => format!("rejected {}: {}", failure.code, failure.text),
        Verdict::Failed(failure) => format!("failed {} {:?}", failure.code, failure.sent),
    }
}

/// How a submission ended, if the event says so.
pub(crate) fn finished(event: &Event, id: u64) -> Option<&Outcome> {
    match event {
        Event::Finished(finished, outcome) if *finished == SubmissionId(id) => Some(outcome),
        _ => None,
    }
}
