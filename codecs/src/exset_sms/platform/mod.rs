//! The platform's side: a worker on the same table, which takes unprocessed entries, applies them, and writes how they
//! ended.
//!
//! It keeps what a real one keeps, and refuses what a real one would refuse, with the profile's codes. Entries are
//! taken in the order of their ids. It writes nothing but the columns of answers, and takes no row away.

mod apply;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use headgate_core::adapter::{Done, Effect, EffectId, Input};
use headgate_core::platform::{Fault, Holdings, Platform, PlatformOutput};
use headgate_core::table::{
    Column, Condition, Row, Select, TableAnswer, TableCall, TableError, TableShape, Update, Value,
};
use headgate_core::{Deadline, Now, Tick};

use super::settings::Site;
use super::wire::Entry;
use crate::registry::Stock;

/// Most entries taken at once.
const BATCH: u32 = 500;

/// What a state and a code that mean nothing look like.
const NONSENSE: &str = "?!";

/// A simulated platform.
pub struct ExsetPlatform {
    site: Site,
    /// The cards it knows; empty: every one.
    known_cards: BTreeSet<String>,
    /// The services it knows; empty: every one.
    known_products: BTreeSet<String>,
    holdings: Holdings,
    faults: VecDeque<Fault>,
    /// Entries that were taken, and whose answer is not written yet, or never will be.
    taken: BTreeSet<Value>,
    /// Answers to write, in order.
    answers: VecDeque<Answer>,
    /// Answers that wait for their time.
    later: Vec<(Tick, Answer)>,
    doing: Option<(EffectId, Work)>,
    next_look: Option<Tick>,
    /// The last number given to an entry.
    number: u64,
    last_effect: EffectId,
    outputs: VecDeque<(EffectId, Effect)>,
}

/// How an entry ended.
#[derive(Clone, Debug)]
struct Answer {
    key: Value,
    state: Value,
    code: Value,
    text: Value,
    reference: Value,
    /// The last word on this entry.
    last: bool,
}

/// A call under way.
#[derive(Clone, Debug)]
enum Work {
    Look,
    Write(Vec<Answer>),
}

impl ExsetPlatform {
    /// A platform at this site that holds `stock`.
    #[must_use]
    pub fn new(site: Site, stock: &Stock) -> Self {
        let mut holdings = Holdings::default();
        for card in &stock.cards {
            holdings.cards.entry(card.clone()).or_default();
        }
        Self {
            site,
            known_cards: stock.cards.iter().cloned().collect(),
            known_products: stock.products.iter().cloned().collect(),
            holdings,
            faults: VecDeque::new(),
            taken: BTreeSet::new(),
            answers: VecDeque::new(),
            later: Vec::new(),
            doing: None,
            next_look: None,
            number: 0,
            last_effect: EffectId::default(),
            outputs: VecDeque::new(),
        }
    }

    fn tick(&mut self, now: Now) {
        let due;
        (due, self.later) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now.tick);
        self.answers.extend(due.into_iter().map(|(_, answer)| answer));
        if self.doing.is_some() {
            return;
        }
        if !self.answers.is_empty() {
            self.write(now);
        } else if self.next_look.is_some_and(|at| at <= now.tick) {
            self.look(now);
        }
    }

    /// Looks for unprocessed entries, the oldest first.
    fn look(&mut self, now: Now) {
        self.next_look = Some(now.tick + self.site.settings.poll_interval);
        let profile = &self.site.profile;
        let unprocessed = vec![profile.states.unprocessed.clone()];
        let select = Select {
            table: profile.table.clone(),
            columns: self.columns(),
            conditions: vec![Condition { column: profile.state.clone(), among: true, values: unprocessed }],
            order_by: Some(profile.order.name.clone()),
            // Those that it will never answer are in the way.
            limit: BATCH.saturating_add(u32::try_from(self.taken.len()).unwrap_or(u32::MAX)).min(100_000),
        };
        self.call(Work::Look, TableCall::Select(select));
    }

    fn write(&mut self, now: Now) {
        let profile = &self.site.profile;
        let answer = &profile.answer;
        let told = [&answer.code, &answer.text, &answer.reference, &answer.processed].into_iter().flatten();
        let columns: Arc<[Column]> = std::iter::once(&profile.state).chain(told).cloned().collect();
        let answers: Vec<Answer> = self.answers.drain(..self.answers.len().min(BATCH as usize)).collect();
        let row = |given: &Answer| -> Row {
            let values = [
                (answer.code.is_some(), given.code.clone()),
                (answer.text.is_some(), given.text.clone()),
                (answer.reference.is_some(), given.reference.clone()),
                (answer.processed.is_some(), Value::Timestamp(now.wall)),
            ];
            let told = values.into_iter().filter(|(there, _)| *there).map(|(_, value)| value);
            std::iter::once(given.state.clone()).chain(told).collect()
        };
        let rows = answers.iter().map(|answer| (answer.key.clone(), row(answer))).collect();
        let (table, key) = (profile.table.clone(), profile.key.column.clone());
        self.call(Work::Write(answers), TableCall::Update(Update { table, key, columns, rows }));
    }

    fn call(&mut self, work: Work, call: TableCall) {
        let id = self.last_effect.next();
        self.doing = Some((id, work));
        self.outputs.push_back((id, Effect::Table(call)));
    }

    fn did(&mut self, now: Now, work: Work, result: Result<TableAnswer, TableError>) {
        match (work, result) {
            (Work::Look, Ok(TableAnswer::Rows(rows))) => {
                // More may wait where so many were.
                if rows.len() >= BATCH as usize {
                    self.next_look = Some(now.tick);
                }
                let columns = self.columns();
                for row in rows {
                    self.take(now, &columns, &row);
                }
            }
            (Work::Write(answers), Ok(_)) => {
                for answer in answers.iter().filter(|answer| answer.last) {
                    self.taken.remove(&answer.key);
                }
            }
            // Written again: that does no harm.
            (Work::Write(answers), Err(_)) => {
                let again = now.tick + self.site.settings.poll_interval;
                self.later.extend(answers.into_iter().map(|answer| (again, answer)));
            }
            (Work::Look, _) => {}
        }
    }

    /// Takes one entry: applies it, and plans its answer with the fault that is next in the queue.
    fn take(&mut self, now: Now, columns: &[Column], row: &Row) {
        let Some(key) = row.first().cloned().filter(|key| self.taken.insert(key.clone())) else { return };
        let fault = self.faults.pop_front();
        let entry = Entry::read(&self.site.profile, columns, row);
        let refused = self.apply(entry, fault == Some(Fault::UnknownCard));
        self.number += 1;
        let answer = self.answer(key, refused);
        let begun =
            Answer { last: false, ..self.answer_in(answer.key.clone(), self.site.profile.states.processing.first()) };
        let soon = now.tick + self.site.settings.poll_interval;
        match fault {
            Some(Fault::Silence) => {}
            Some(Fault::Garbage) => self.answers.push_back(self.nonsense(answer)),
            Some(Fault::HalfFrame) => {
                self.answers.push_back(begun);
                self.later.push((soon, answer));
            }
            Some(Fault::Delay(_)) => {
                self.answers.push_back(begun);
                self.later.push((now.tick + fault.map_or(std::time::Duration::ZERO, Fault::delay), answer));
            }
            Some(Fault::DuplicateAnswer) => {
                self.later.push((soon, answer.clone()));
                self.answers.push_back(answer);
            }
            _ => self.answers.push_back(answer),
        }
    }

    fn answer(&self, key: Value, refused: Result<(), &'static str>) -> Answer {
        let states = &self.site.profile.states;
        let name = match refused {
            Ok(()) => return self.answer_in(key, states.done.first()),
            Err(name) => name,
        };
        let code = self.site.profile.code_named(name);
        Answer {
            code: code.map(|code| code.code.clone()).unwrap_or_default(),
            text: Value::text(code.map_or(name, |code| code.text.as_str())),
            ..self.answer_in(key, states.failed.first())
        }
    }

    fn answer_in(&self, key: Value, state: Option<&Value>) -> Answer {
        let reference = self.site.profile.answer.reference.as_ref().map(|column| match column.kind {
            headgate_core::table::ValueKind::Integer => Value::Integer(i64::try_from(self.number).unwrap_or(i64::MAX)),
            _ => Value::Text(format!("CAS-{:06}", self.number)),
        });
        Answer {
            key,
            state: state.unwrap_or(&self.site.profile.states.unprocessed).clone(),
            code: Value::Null,
            text: Value::Null,
            reference: reference.unwrap_or_default(),
            last: true,
        }
    }

    /// An answer in a state that nobody knows, where states are text.
    fn nonsense(&self, answer: Answer) -> Answer {
        let state = match answer.state {
            Value::Text(_) => Value::text(NONSENSE),
            Value::Integer(_) => Value::Integer(i64::from(i16::MAX)),
            other => other,
        };
        Answer { state, code: Value::Null, text: Value::text(NONSENSE), last: false, ..answer }
    }

    /// The columns of an entry, the key first.
    fn columns(&self) -> Arc<[Column]> {
        Arc::clone(&self.site.profile.written)
    }
}

impl Platform for ExsetPlatform {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Start => self.next_look = Some(now.tick),
            Input::Done(id, Done::Table(result)) => {
                if let Some((_, work)) = self.doing.take_if(|(doing, _)| *doing == id) {
                    self.did(now, work, result);
                }
            }
            _ => {}
        }
        self.tick(now);
    }

    fn poll_output(&mut self) -> PlatformOutput {
        if let Some((id, effect)) = self.outputs.pop_front() {
            return PlatformOutput::Do(id, effect);
        }
        if self.doing.is_some() {
            return PlatformOutput::Wait(None);
        }
        let look = self.next_look.map(|at| Deadline { at, why: "look for entries" });
        let later = self.later.iter().map(|(at, _)| *at).min().map(|at| Deadline { at, why: "answer later" });
        PlatformOutput::Wait(Deadline::earliest(look, later))
    }

    fn tables(&self) -> Vec<TableShape> {
        vec![self.site.profile.shape()]
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// Faults of links and logins make no sense for a table: the database has those.
    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        match fault {
            Fault::Garbage
            | Fault::HalfFrame
            | Fault::DuplicateAnswer
            | Fault::Silence
            | Fault::Delay(_)
            | Fault::UnknownCard => {
                self.faults.push_back(fault);
                Ok(())
            }
            _ => Err(fault),
        }
    }
}

impl ExsetPlatform {
    fn card(&mut self, number: &str) -> Option<&mut headgate_core::platform::Card> {
        if !self.known_cards.is_empty() && !self.known_cards.contains(number) {
            return None;
        }
        Some(self.holdings.cards.entry(number.to_owned()).or_default())
    }

    /// Every card that is there.
    fn cards(&mut self) -> &mut BTreeMap<String, headgate_core::platform::Card> {
        &mut self.holdings.cards
    }
}
