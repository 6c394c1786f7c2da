//! A pull, a CRM and a gateway of a few lines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headgate_core::adapter::{Effect, Input as PlatformInput};
use headgate_core::command::CommandKind;
use headgate_core::failure::Sent;
use headgate_core::http::{CallId, HttpCall, HttpError, HttpReply, HttpRequest};
use headgate_core::platform::{Platform, PlatformOutput};
use headgate_core::{Deadline, Now, Tick};
use serde_json::{Value, json};

use super::provider;
use crate::crm_com::pull::settings::PullSettings;
use crate::crm_com::pull::{Event, Input, Output, Part, Pull, Verdict};
use crate::crm_com::simulator::{Crm, CrmBackend};
use crate::http::HttpPlatform;
use crate::test_support::{later, start};

const SECOND: Duration = Duration::from_secs(1);

/// What became of a part, as a gateway's store would hold it: it outlives the pull.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// By key: the command, and what became of it.
    pub(super) parts: BTreeMap<String, (CommandKind, Option<Verdict>)>,
    /// The keys in the order they were begun.
    pub(super) order: Vec<String>,
}

/// A pull, a CRM, and a gateway.
pub(super) struct World {
    pub(super) pull: Pull,
    pub(super) crm: Crm,
    pub(super) platform: HttpPlatform<CrmBackend>,
    pub(super) now: Now,
    pub(super) stored: Stored,
    /// Parts that were begun, by the CRM's number, and are to end when the test says so.
    pub(super) held: BTreeMap<String, String>,
    /// Whether parts end at once.
    pub(super) prompt: bool,
    /// The numbers whose parts are refused.
    pub(super) refuse: BTreeSet<String>,
    /// The numbers whose parts have no outcome that is known.
    pub(super) unknown: BTreeSet<String>,
    pub(super) down: bool,
    pub(super) events: Vec<Event>,
    pub(super) offsets: Vec<String>,
    pub(super) log: String,
    pub(super) due: Option<Deadline>,
    /// The call that was made and is not answered.
    pub(super) waits_since: Option<Tick>,
}

impl World {
    pub(super) fn new(settings: PullSettings) -> Self {
        let crm = Crm::new("GEN", "T0K");
        let platform = HttpPlatform::new(crm.backend());
        settings.check().unwrap();
        Self {
            pull: Pull::new("crm", provider(), settings, 7),
            crm,
            platform,
            now: start(),
            stored: Stored::default(),
            held: BTreeMap::new(),
            prompt: true,
            refuse: BTreeSet::new(),
            unknown: BTreeSet::new(),
            down: false,
            events: Vec::new(),
            offsets: Vec::new(),
            log: String::new(),
            due: Some(Deadline { at: start().tick, why: "start" }),
            waits_since: None,
        }
    }

    pub(super) fn request(&self, subscription: &str, kind: &str, members: Value) -> String {
        self.crm.request(self.now.wall, subscription, kind, members).to_string()
    }

    pub(super) fn activate(&self, subscription: &str) -> String {
        self.request(subscription, "ACTIVATE_SERVICE", json!({ "service": { "code": "BASIC" } }))
    }

    pub(super) fn tell(&mut self, input: Input) {
        self.log.push_str(&format!("{input:?}\n"));
        self.pull.handle(self.now, input);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        loop {
            let output = self.pull.poll_output();
            self.log.push_str(&format!("{output:?}\n"));
            match output {
                Output::Wait(due) => {
                    self.due = due;
                    return;
                }
                Output::Event(event) => self.events.push(event),
                Output::Call(call) => self.call(call),
                Output::Begin(number, part) => self.begin(number, &part),
            }
        }
    }

    pub(super) fn begin(&mut self, number: String, part: &Part) {
        let known = self.stored.parts.contains_key(&part.key);
        if !known {
            self.stored.order.push(part.key.clone());
            self.stored.parts.insert(part.key.clone(), (part.body.command, None));
        }
        self.pull.handle(self.now, Input::Begun(number.clone(), self.now.wall));
        if let Some((_, Some(verdict))) = self.stored.parts.get(&part.key) {
            let verdict = verdict.clone();
            self.pull.handle(self.now, Input::Ended(number, verdict));
        } else if self.unknown.contains(&number) {
            self.held.insert(number.clone(), part.key.clone());
            self.pull.handle(self.now, Input::Unknown(number));
        } else {
            self.held.insert(number.clone(), part.key.clone());
            if self.prompt {
                self.end(&number);
            }
        }
    }

    /// Ends the part of this number.
    pub(super) fn end(&mut self, number: &str) {
        let key = self.held.remove(number).unwrap();
        let (command, outcome) = self.stored.parts.get_mut(&key).unwrap();
        let verdict = if self.refuse.contains(number) {
            Verdict::Rejected("E1".into(), "no".into())
        } else {
            Verdict::Accepted((*command == CommandKind::CreateSubscriber).then(|| "ACC".into()))
        };
        *outcome = Some(verdict.clone());
        self.pull.handle(self.now, Input::Ended(number.to_owned(), verdict));
    }

    pub(super) fn end_all(&mut self) {
        while let Some(number) = self.held.keys().next().cloned() {
            self.end(&number);
            self.drain();
        }
    }

    pub(super) fn call(&mut self, call: HttpCall) {
        assert!(self.waits_since.is_none(), "two calls at once");
        if let Some((_, query)) = call.target.split_once("offset=") {
            self.offsets.push(query.to_owned());
        }
        if self.down {
            let text = "connection refused".to_owned();
            let error = HttpError { code: "connect_failed", text, sent: Sent::No };
            return self.pull.handle(self.now, Input::Called(Err(error)));
        }
        self.waits_since = Some(self.now.tick);
        let HttpCall { method, target, body, .. } = call;
        let request = HttpRequest { method, target, headers: Vec::new(), body };
        self.platform.handle_input(self.now, PlatformInput::Called(CallId(1), request));
        while let PlatformOutput::Do(_, Effect::Reply(_, reply)) = self.platform.poll_output() {
            let broken =
                || Err(HttpError { code: "answer_broken", text: "the connection broke".into(), sent: Sent::Maybe });
            let result = match reply {
                HttpReply::Whole(answer) | HttpReply::AndClose(answer) => Ok(answer),
                HttpReply::Cut(..) | HttpReply::Close => broken(),
            };
            self.waits_since = None;
            self.pull.handle(self.now, Input::Called(result));
        }
    }

    /// Lets the time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.tick + time;
        for _ in 0..200_000 {
            let timeout = self.waits_since.map(|since| Deadline { at: since + 30 * SECOND, why: "time-out" });
            let next = Deadline::earliest(timeout, self.due).filter(|next| next.at <= end);
            let Some(next) = next else {
                self.now = later(self.now, end.since(self.now.tick));
                return;
            };
            self.now = later(self.now, next.at.since(self.now.tick));
            if timeout.is_some_and(|timeout| timeout.at <= self.now.tick) {
                self.waits_since = None;
                let error = HttpError { code: "no_answer", text: "no answer".into(), sent: Sent::Maybe };
                self.tell(Input::Called(Err(error)));
            } else {
                self.tell(Input::Deadline);
            }
        }
        panic!("deadlines without end");
    }

    /// A new pull on what the gateway stored.
    pub(super) fn restart(&mut self) {
        self.pull = Pull::new("crm", provider(), self.pull.settings.clone(), 8);
        self.held.clear();
        self.waits_since = None;
        self.due = Some(Deadline { at: self.now.tick, why: "start" });
    }

    pub(super) fn states(&self) -> String {
        self.crm.requests().values().map(|request| &request.state[..1]).collect()
    }

    pub(super) fn assert_answered_once(&self) {
        for (number, request) in self.crm.requests() {
            assert_eq!((request.answers, request.state == "PENDING"), (1, false), "{number}: {request:?}");
        }
    }

    pub(super) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(event)).count()
    }
}
