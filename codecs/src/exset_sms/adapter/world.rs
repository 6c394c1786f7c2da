//! An adapter and a platform over one table, under a clock that jumps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::{Adapter, Done, Effect, EffectId, Event, Input, Output, Submission, SubmissionId};
use headgate_core::failure::{Failure, Sent};
use headgate_core::outcome::{Outcome, Verdict};
use headgate_core::platform::{Platform, PlatformOutput};
use headgate_core::table::{TableAnswer, TableCall, TableError, TableName};
use headgate_core::text::PlatformReference;
use headgate_core::{Deadline, Now};
use serde_json::Value;

use super::super::plan::Plan;
use super::super::platform::ExsetPlatform;
use super::super::settings::Site;
use super::ExsetAdapter;
use crate::memory_table::MemoryTables;
use crate::registry::Stock;
use crate::test_support::{later, provider, start, submission};

pub(crate) struct World {
    pub(crate) tables: MemoryTables,
    pub(crate) adapter: ExsetAdapter,
    pub(crate) platform: ExsetPlatform,
    pub(crate) now: Now,
    pub(crate) outcomes: BTreeMap<SubmissionId, Outcome>,
    pub(crate) recorded: BTreeMap<SubmissionId, PlatformReference>,
    /// Every call of the adapter, as printed, and every change of the link.
    pub(crate) log: Vec<String>,
    /// How the adapter's next calls fail, after they were carried out or before.
    pub(crate) failures: VecDeque<Failing>,
    /// The adapter waits to be told.
    pub(crate) watching: Option<EffectId>,
    /// The platform does nothing.
    pub(crate) platform_asleep: bool,
    submitted: BTreeMap<SubmissionId, Submission>,
    settings: Value,
    lives: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It works.
    Not,
    /// It is carried out, but its answer is lost.
    Lost,
    /// It is not carried out, and nobody knows that.
    Maybe,
    /// It is refused with this code.
    With(&'static str),
    /// The gateway is killed before it is carried out.
    KilledBefore,
    /// The gateway is killed after it was carried out.
    KilledAfter,
}

const SERVICES: &[(&str, &str)] = &[("GOLD", "41"), ("SPORT", "42"), ("KIDS", "43")];

fn open(settings: &Value, seed: u64) -> ExsetAdapter {
    let services = provider(SERVICES).services;
    ExsetAdapter::new(Arc::new(Plan::new(Site::read(settings).unwrap(), services)), seed)
}

impl World {
    pub(crate) fn new(settings: Value, cards: &[&str]) -> Self {
        let stock = Stock {
            cards: cards.iter().map(|s| (*s).to_owned()).collect(),
            products: vec!["41".into(), "42".into(), "43".into()],
        };
        let platform = ExsetPlatform::new(Site::read(&settings).unwrap(), &stock);
        let mut world = Self {
            tables: MemoryTables::new(platform.tables()),
            adapter: open(&settings, 0),
            platform,
            now: start(),
            outcomes: BTreeMap::new(),
            recorded: BTreeMap::new(),
            log: Vec::new(),
            failures: VecDeque::new(),
            watching: None,
            platform_asleep: false,
            submitted: BTreeMap::new(),
            settings,
            lives: 0,
        };
        world.adapter.handle_input(world.now, Input::Start);
        world.platform.handle_input(world.now, Input::Start);
        world.pump();
        world
    }

    /// Submits a request, written as its JSON without the provider.
    pub(crate) fn submit(&mut self, json: &str) -> SubmissionId {
        let id = SubmissionId(self.submitted.len() as u64 + 1);
        let submission = submission(id.0, json);
        self.submitted.insert(id, submission.clone());
        self.adapter.submit(self.now, submission);
        id
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.tick + time;
        while let Some(next) = self.pump().filter(|deadline| deadline.at <= end) {
            let ahead = next.at.since(self.now.tick);
            self.now = later(self.now, ahead);
            self.adapter.handle_input(self.now, Input::Deadline);
            if !self.platform_asleep {
                self.platform.handle_input(self.now, Input::Deadline);
            }
        }
        self.now = later(self.now, end.since(self.now.tick));
        self.pump();
    }

    /// Lets time pass until everything that was submitted has ended.
    pub(crate) fn finish(&mut self) {
        for _ in 0..1_000 {
            if self.submitted.keys().all(|id| self.outcomes.contains_key(id)) {
                return;
            }
            self.pass(Duration::from_secs(10));
        }
        panic!("it does not end: {:#?}", self.log);
    }

    pub(crate) fn verdict(&self, id: SubmissionId) -> &Verdict {
        &self.outcomes.get(&id).unwrap_or_else(|| panic!("{id:?} has not ended: {:#?}", self.log)).verdict
    }

    pub(crate) fn completed(&self, id: SubmissionId) {
        assert_eq!(*self.verdict(id), Verdict::Completed(None), "{:#?}", self.log);
    }

    pub(crate) fn failed(&self, id: SubmissionId) -> &Failure {
        match self.verdict(id) {
            Verdict::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn table() -> TableName {
        TableName::try_from("tqueue".to_owned()).unwrap()
    }

    /// The database tells the adapter.
    pub(crate) fn tell(&mut self, result: Result<TableAnswer, TableError>) {
        let id = self.watching.take().expect("the adapter waits to be told");
        self.adapter.handle_input(self.now, Input::Done(id, Done::Table(result)));
        self.pump();
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.tables.rows(&Self::table()).count()
    }

    /// The services of a card.
    pub(crate) fn services(&self, card: &str) -> String {
        let card = self.platform.holdings().cards.get(card);
        card.map(|card| card.services.keys().cloned().collect::<Vec<_>>().join(" ")).unwrap_or_default()
    }

    /// Carries out what both sides want, until both wait; returns the earlier deadline.
    pub(crate) fn pump(&mut self) -> Option<Deadline> {
        loop {
            let (adapter_moved, adapter_due) = self.pump_adapter();
            let (platform_moved, platform_due) = self.pump_platform();
            if !adapter_moved && !platform_moved {
                return Deadline::earliest(adapter_due, platform_due);
            }
        }
    }

    fn pump_adapter(&mut self) -> (bool, Option<Deadline>) {
        let mut moved = false;
        loop {
            match self.adapter.poll_output() {
                Output::Do(id, effect) => self.carry_out(id, effect),
                Output::Event(Event::Finished(id, outcome)) => {
                    assert!(self.outcomes.insert(id, outcome).is_none(), "{id:?} ended twice");
                }
                Output::Event(event) => self.log.push(format!("{event:?}")),
                Output::Wait(due) => return (moved, due),
            }
            moved = true;
        }
    }

    fn pump_platform(&mut self) -> (bool, Option<Deadline>) {
        let mut moved = false;
        while !self.platform_asleep {
            match self.platform.poll_output() {
                PlatformOutput::Do(id, Effect::Table(call)) => {
                    let result = self.tables.call(&call);
                    self.platform.handle_input(self.now, Input::Done(id, Done::Table(result)));
                    moved = true;
                }
                PlatformOutput::Do(..) => panic!("the platform works on a table"),
                PlatformOutput::Wait(due) => return (moved, due),
            }
        }
        (moved, None)
    }

    fn carry_out(&mut self, id: EffectId, effect: Effect) {
        self.log.push(format!("{effect:?}"));
        let done = match effect {
            Effect::Record(references) => {
                self.recorded.extend(references);
                Done::Recorded
            }
            Effect::Table(TableCall::Watch { .. }) => {
                self.watching = Some(id);
                return;
            }
            Effect::Table(call) => match self.call(&call) {
                Some(result) => Done::Table(result),
                None => return self.restart(),
            },
            other => panic!("{other:?}"),
        };
        self.adapter.handle_input(self.now, Input::Done(id, done));
    }

    /// Nothing: the gateway is killed.
    fn call(&mut self, call: &TableCall) -> Option<Result<TableAnswer, TableError>> {
        let error = |code, sent| TableError { code, text: "made up".into(), sent };
        let lost = if call.is_harmless() { Sent::No } else { Sent::Maybe };
        Some(match self.failures.pop_front().unwrap_or(Failing::Not) {
            Failing::Not => self.tables.call(call),
            Failing::Lost => {
                let _ = self.tables.call(call);
                Err(error(TableError::CONNECTION_LOST, lost))
            }
            Failing::Maybe => Err(error(TableError::CONNECTION_LOST, lost)),
            Failing::With(code) => Err(error(code, Sent::No)),
            Failing::KilledBefore => return None,
            Failing::KilledAfter => {
                let _ = self.tables.call(call);
                return None;
            }
        })
    }

    /// The gateway is killed and started again: what has not ended is taken up.
    fn restart(&mut self) {
        self.lives += 1;
        self.adapter = open(&self.settings, self.lives);
        self.adapter.handle_input(self.now, Input::Start);
        for (id, submission) in &self.submitted {
            if !self.outcomes.contains_key(id) {
                let resume = self.recorded.get(id).cloned();
                assert!(resume.is_some(), "nothing is sent before it is recorded");
                self.adapter.submit(self.now, Submission { resume, ..submission.clone() });
            }
        }
    }
}
