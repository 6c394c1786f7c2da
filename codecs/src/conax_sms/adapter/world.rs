//! An adapter and a platform over one file tree, under a clock that jumps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{
    Adapter, Done, Effect, EffectId, Event, FileCall, FileError, FileErrorKind, Input, Output, Submission, SubmissionId,
};
use headgate_core::body::RequestBody;
use headgate_core::command::Command;
use headgate_core::failure::{Failure, Sent};
use headgate_core::outcome::{Outcome, Verdict};
use headgate_core::platform::{Holdings, Platform, PlatformOutput};
use headgate_core::provider::ServiceMap;
use headgate_core::request::{Priority, Process, Request, RequestId, Source};
use headgate_core::text::{PlatformReference, ProviderName};
use headgate_core::{Deadline, Now, Tick};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::memory_files::MemoryFiles;
use crate::registry::Stock;

use super::super::plan::Products;
use super::super::platform::ConaxPlatform;
use super::super::settings::Site;
use super::ConaxAdapter;

pub(crate) struct World {
    pub(crate) files: MemoryFiles,
    pub(crate) adapter: ConaxAdapter,
    pub(crate) platform: ConaxPlatform,
    pub(crate) now: Now,
    pub(crate) outcomes: BTreeMap<SubmissionId, Outcome>,
    /// Outcomes that a crash would lose: they were not followed by a record yet.
    fresh: Vec<SubmissionId>,
    pub(crate) recorded: BTreeMap<SubmissionId, PlatformReference>,
    requests: BTreeMap<SubmissionId, Arc<Request>>,
    /// Everything that happened, as printed.
    pub(crate) log: Vec<String>,
    pub(crate) effects: usize,
    /// The adapter is dropped at this effect: before it is carried out, or after.
    pub(crate) crash: Option<(usize, Crash)>,
    /// So many effects after the restart it is dropped once more.
    pub(crate) crash_again: Option<usize>,
    /// So many of the next puts are carried out, but their answers lost.
    pub(crate) lost_puts: usize,
    pub(crate) platform_asleep: bool,
    settings: Value,
    next_id: u64,
    lives: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    Before,
    After,
}

pub(crate) fn services() -> ServiceMap {
    let map: BTreeMap<_, _> = serde_json::from_value(json!({"GOLD": "41", "SPORT": "00000042", "KIDS": "43"})).unwrap();
    ServiceMap::from(map)
}

fn open(settings: &Value, seed: u64) -> ConaxAdapter {
    let site = Arc::new(Site::read(settings).unwrap());
    ConaxAdapter::new(site, Arc::new(Products::new(&services()).unwrap()), seed)
}

impl World {
    pub(crate) fn new(settings: Value, cards: &[&str]) -> Self {
        let stock = Stock {
            cards: cards.iter().map(|s| (*s).to_owned()).collect(),
            products: vec!["41".into(), "42".into(), "43".into()],
        };
        let platform = ConaxPlatform::new(Site::read(&settings).unwrap(), &stock).unwrap();
        let wall: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let mut world = Self {
            files: MemoryFiles::new(["autreq/req", "autreq/ok", "autreq/err"]),
            adapter: open(&settings, 0),
            platform,
            now: Now { tick: Tick::new(Duration::from_secs(100)), wall },
            outcomes: BTreeMap::new(),
            fresh: Vec::new(),
            recorded: BTreeMap::new(),
            requests: BTreeMap::new(),
            log: Vec::new(),
            effects: 0,
            crash: None,
            crash_again: None,
            lost_puts: 0,
            platform_asleep: false,
            settings,
            next_id: 0,
            lives: 1,
        };
        world.adapter.handle_input(world.now, Input::Start);
        world.platform.handle_input(world.now, Input::Start);
        world.pump();
        world
    }

    /// Submits a request, written as its JSON without the provider.
    pub(crate) fn submit(&mut self, body: Value) -> SubmissionId {
        let mut body = body;
        body["provider"] = "conax".into();
        let body: RequestBody = serde_json::from_value(body).unwrap();
        let priority = body.priority;
        self.submit_command(body.command().unwrap(), priority)
    }

    pub(crate) fn submit_command(&mut self, command: Command, priority: Priority) -> SubmissionId {
        self.next_id += 1;
        let id = SubmissionId(self.next_id);
        let request = Arc::new(Request {
            id: RequestId(Default::default()),
            number: self.next_id,
            provider: ProviderName::new("conax").unwrap(),
            subscription: None,
            account: None,
            command,
            priority,
            process: Process::Now,
            not_before: None,
            expires: None,
            reference: None,
            source: Source::Api,
            created: self.now.wall,
            body: Default::default(),
            idempotency: None,
        });
        self.requests.insert(id, Arc::clone(&request));
        self.adapter.submit(self.now, Submission { id, request, resume: None });
        self.pump();
        id
    }

    /// Carries out what is wanted now, without time passing.
    pub(crate) fn pump(&mut self) -> Option<Deadline> {
        loop {
            let a = self.pump_adapter();
            if self.platform_asleep {
                return a;
            }
            let (worked, p) = self.pump_platform();
            if !worked {
                return Deadline::earliest(a, p);
            }
        }
    }

    fn pump_adapter(&mut self) -> Option<Deadline> {
        loop {
            match self.adapter.poll_output() {
                Output::Do(id, effect) => {
                    self.log.push(format!("{effect:?}"));
                    self.effects += 1;
                    let crash = self.crash.take_if(|(at, _)| *at <= self.effects).map(|(_, when)| when);
                    if crash == Some(Crash::Before) {
                        self.restart();
                        continue;
                    }
                    let done = self.carry_out(effect);
                    if crash == Some(Crash::After) {
                        self.restart();
                        continue;
                    }
                    self.adapter.handle_input(self.now, Input::Done(id, done));
                }
                Output::Event(event) => {
                    self.log.push(format!("{event:?}"));
                    if let Event::Finished(id, outcome) = event {
                        assert!(self.outcomes.insert(id, outcome).is_none(), "{id:?} finished twice");
                        self.fresh.push(id);
                    }
                }
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    fn pump_platform(&mut self) -> (bool, Option<Deadline>) {
        let mut worked = false;
        loop {
            match self.platform.poll_output() {
                PlatformOutput::Do(id, effect) => {
                    let done = self.platform_call(id, &effect);
                    self.platform.handle_input(self.now, done);
                    worked = true;
                }
                PlatformOutput::Wait(deadline) => return (worked, deadline),
            }
        }
    }

    fn platform_call(&mut self, id: EffectId, effect: &Effect) -> Input<'static> {
        let Effect::File(call) = effect else { panic!("{effect:?}") };
        Input::Done(id, Done::File(self.files.call(call)))
    }

    fn carry_out(&mut self, effect: Effect) -> Done {
        match effect {
            Effect::File(call) => {
                let result = self.files.call(&call);
                if matches!(call, FileCall::Put { .. }) && self.lost_puts > 0 {
                    self.lost_puts -= 1;
                    let text = "connection reset".into();
                    return Done::File(Err(FileError { kind: FileErrorKind::Link, text, sent: Sent::Maybe }));
                }
                Done::File(result)
            }
            Effect::Record(references) => {
                self.recorded.extend(references);
                self.fresh.clear();
                Done::Recorded
            }
            other => panic!("{other:?}"),
        }
    }

    /// A new adapter; what was not finished comes back with what was recorded for it, and so does what
    /// finished since the last record: that may have been lost.
    pub(crate) fn restart(&mut self) {
        for id in std::mem::take(&mut self.fresh) {
            self.outcomes.remove(&id);
        }
        self.lives += 1;
        self.adapter = open(&self.settings, self.lives * 1000);
        self.adapter.handle_input(self.now, Input::Start);
        let unfinished: Vec<_> = self.requests.keys().copied().filter(|id| !self.outcomes.contains_key(id)).collect();
        let mut unsent = Vec::new();
        for id in unfinished {
            let request = Arc::clone(&self.requests[&id]);
            match self.recorded.get(&id) {
                Some(reference) => {
                    self.adapter.submit(self.now, Submission { id, request, resume: Some(reference.clone()) });
                }
                None => unsent.push((id, request)),
            }
        }
        // Requests that were never recorded go out again once there is capacity, as the engine does it.
        let crash = self.crash.take();
        while self.adapter.capacity() == 0 {
            self.step();
        }
        self.crash = crash.or_else(|| self.crash_again.take().map(|after| (self.effects + after, Crash::After)));
        for (id, request) in unsent {
            self.adapter.submit(self.now, Submission { id, request, resume: None });
        }
    }

    /// A new adapter with nothing to take up.
    pub(crate) fn restart_without_looking(&mut self) {
        self.adapter = open(&self.settings, 0);
        self.adapter.handle_input(self.now, Input::Start);
        self.pump();
    }

    /// Jumps to the next deadline.
    pub(crate) fn step(&mut self) {
        if let Some(deadline) = self.pump() {
            self.pass(deadline.at.since(self.now.tick));
        }
    }

    /// Lets time pass at once.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = Now { tick: self.now.tick + time, wall: self.now.wall_after(time) };
        self.adapter.handle_input(self.now, Input::Deadline);
        if !self.platform_asleep {
            self.platform.handle_input(self.now, Input::Deadline);
        }
        self.pump();
    }

    /// Runs until so much time has passed.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now.tick + time;
        while let Some(deadline) = self.pump().filter(|deadline| deadline.at <= end) {
            self.pass(deadline.at.since(self.now.tick));
        }
        self.pass(end.since(self.now.tick));
    }

    /// Runs until every request has ended.
    pub(crate) fn run_out(&mut self) {
        for _ in 0..20_000 {
            if self.outcomes.len() == self.requests.len() {
                // The last answers are cleaned up.
                return self.run(Duration::from_mins(2));
            }
            self.step();
        }
        panic!("{} of {} requests ended", self.outcomes.len(), self.requests.len());
    }

    pub(crate) fn completed(&self, id: SubmissionId) -> bool {
        matches!(self.outcomes[&id].verdict, Verdict::Completed(_))
    }

    pub(crate) fn rejected(&self, id: SubmissionId) -> &Failure {
        match &self.outcomes[&id].verdict {
            Verdict::Rejected(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn failed(&self, id: SubmissionId) -> &Failure {
        match &self.outcomes[&id].verdict {
            Verdict::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn holdings(&self) -> &Holdings {
        self.platform.holdings()
    }

    pub(crate) fn services_of(&self, card: &str) -> Vec<&str> {
        self.holdings()
            .cards
            .get(card)
            .map(|card| card.services.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    /// The paths of all files there are.
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.files.iter().map(|(path, _)| path).collect()
    }

    /// How many files were written to `req`.
    pub(crate) fn puts(&self) -> usize {
        self.log.iter().filter(|line| line.starts_with("Put(")).count()
    }

    pub(crate) fn file(&self, path: &str) -> Bytes {
        self.files.read(path).cloned().unwrap()
    }
}
