//! An adapter and a platform over HTTP, joined in memory: the clock jumps from deadline to deadline.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use headgate_core::adapter::{Adapter, Done, Effect, EffectId, Event, Input, Output};
use headgate_core::failure::Sent;
use headgate_core::http::{CallId, HttpAnswer, HttpCall, HttpError, HttpReply, HttpRequest};
use headgate_core::outcome::Outcome;
use headgate_core::platform::{Platform, PlatformOutput};
use headgate_core::{Deadline, Now, Tick};

use super::pair::{finished, in_words};
use super::{later, start, submission};

/// Both sides, and everything that was seen between them.
pub(crate) struct HttpPair {
    pub(crate) adapter: Box<dyn Adapter>,
    pub(crate) platform: Box<dyn Platform>,
    pub(crate) now: Now,
    /// Every event, oldest first.
    pub(crate) events: Vec<Event>,
    /// `Debug` of every output of the adapter: what a log could show.
    pub(crate) log: String,
    /// Every call that reached the platform, oldest first.
    pub(crate) calls: Vec<HttpRequest>,
    /// So many of the next calls can not connect.
    pub(crate) refuse: usize,
    /// Answers that are held back until [`HttpPair::release`].
    pub(crate) hold: bool,
    held: VecDeque<(CallId, HttpReply)>,
    under_way: BTreeMap<EffectId, Tick>,
    due: (Option<Deadline>, Option<Deadline>),
}

impl HttpPair {
    /// Joins them, and lets what follows at once happen.
    pub(crate) fn new(adapter: Box<dyn Adapter>, platform: Box<dyn Platform>) -> Self {
        let mut pair = Self {
            adapter,
            platform,
            now: start(),
            events: Vec::new(),
            log: String::new(),
            calls: Vec::new(),
            refuse: 0,
            hold: false,
            held: VecDeque::new(),
            under_way: BTreeMap::new(),
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
        while !(self.drain_adapter() & self.drain_platform()) {}
    }

    /// Lets the answers go that were held back, in the order of the calls; later ones are not held.
    pub(crate) fn release(&mut self) {
        self.hold = false;
        while let Some((call, reply)) = self.held.pop_front() {
            self.deliver(call, reply);
        }
        self.settle();
    }

    /// Lets the time pass, every deadline at its moment.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = later(self.now, time);
        for _ in 0..100_000 {
            let timeout = self.under_way.values().min().copied().map(|at| Deadline { at, why: "time-out" });
            let next = Deadline::earliest(timeout, Deadline::earliest(self.due.0, self.due.1));
            let Some(next) = next.filter(|next| next.at <= end.tick) else {
                self.now = end;
                return;
            };
            self.now = later(self.now, next.at.since(self.now.tick));
            let now = self.now.tick;
            let late: Vec<_> = self.under_way.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
            for id in late {
                let text = "no answer in time".to_owned();
                self.done(id, Err(HttpError { code: "no_answer", text, sent: Sent::Maybe }));
            }
            if self.due.0.is_some_and(|due| due.at <= now) {
                self.adapter.handle_input(self.now, Input::Deadline);
            }
            if self.due.1.is_some_and(|due| due.at <= now) {
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

    /// The end of a submission in a few words.
    pub(crate) fn end(&self, id: u64) -> String {
        in_words(&self.outcome(id).verdict)
    }

    /// Whether a submission has ended.
    pub(crate) fn has_ended(&self, id: u64) -> bool {
        self.events.iter().any(|event| finished(event, id).is_some())
    }

    /// The last call that reached the platform.
    pub(crate) fn last_call(&self) -> &HttpRequest {
        self.calls.last().expect("a call")
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
                Output::Do(id, Effect::Http(call)) => {
                    quiet = false;
                    self.carry_out(id, call);
                }
                Output::Do(_, other) => panic!("{other:?} is no effect of a protocol over HTTP"),
            }
        }
    }

    fn carry_out(&mut self, id: EffectId, call: HttpCall) {
        if self.refuse > 0 {
            self.refuse -= 1;
            let text = "connection refused".to_owned();
            return self.done_now(id, Err(HttpError { code: "connect_failed", text, sent: Sent::No }));
        }
        let headers = call.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        let HttpCall { method, endpoint, target, body, timeout, .. } = call;
        // An end point of a name is, here, that path of the one platform.
        let target = if endpoint.is_empty() { target } else { format!("/{endpoint}{target}") };
        let request = HttpRequest { method, target, headers, body };
        self.calls.push(request.clone());
        self.under_way.insert(id, self.now.tick + timeout.expect("every call has a time-out"));
        self.platform.handle_input(self.now, Input::Called(CallId(id.0), request));
    }

    fn drain_platform(&mut self) -> bool {
        let mut quiet = true;
        loop {
            match self.platform.poll_output() {
                PlatformOutput::Wait(due) => {
                    self.due.1 = due;
                    return quiet;
                }
                PlatformOutput::Do(_, Effect::Reply(call, reply)) if self.hold => self.held.push_back((call, reply)),
                PlatformOutput::Do(_, Effect::Reply(call, reply)) => {
                    quiet = false;
                    self.deliver(call, reply);
                }
                PlatformOutput::Do(_, other) => panic!("{other:?} is no effect of a platform over HTTP"),
            }
        }
    }

    fn deliver(&mut self, call: CallId, reply: HttpReply) {
        let broken = |code, text: &str| Err(HttpError { code, text: text.to_owned(), sent: Sent::Maybe });
        let result: Result<HttpAnswer, HttpError> = match reply {
            HttpReply::Whole(answer) | HttpReply::AndClose(answer) => Ok(answer),
            HttpReply::Cut(_, declared) if declared > 64 << 20 => broken("answer_too_long", "far too long"),
            HttpReply::Cut(..) => broken("answer_broken", "the connection broke in the middle of the answer"),
            HttpReply::Close => broken("answer_broken", "the connection was closed"),
        };
        self.done(EffectId(call.0), result);
    }

    fn done(&mut self, id: EffectId, result: Result<HttpAnswer, HttpError>) {
        // Whoever waited has given up.
        if self.under_way.remove(&id).is_some() {
            self.done_now(id, result);
        }
    }

    fn done_now(&mut self, id: EffectId, result: Result<HttpAnswer, HttpError>) {
        self.adapter.handle_input(self.now, Input::Done(id, Done::Http(result)));
    }
}
