//! Entries asked for: only open ones, many at once, each after waits that grow.

use std::collections::BTreeSet;

use headgate_core::Tick;
use headgate_core::adapter::{Event, Noise, Output, SubmissionId};
use headgate_core::failure::Failure;
use headgate_core::outcome::Verdict;
use headgate_core::table::{Condition, Row, Select, TableCall, TableError, Value};

use super::super::profile::{Profile, State};
use super::super::rows;
use super::job::{Stage, Stand};
use super::{Call, ExsetAdapter, Link, MOST_STRANGE, longer};

impl ExsetAdapter {
    /// Asks for entries, if it is time and nothing else is being asked.
    pub(super) fn ask(&mut self) {
        if self.asking || self.database.state != Link::Up {
            return;
        }
        // Each job has a row at least, so there are never more of them.
        let most = self.plan.site.settings.poll_rows;
        if !self.unsure.is_empty() {
            let batch = self.take(self.unsure.iter().copied().take(most));
            for id in &batch {
                self.unsure.remove(id);
            }
            self.select(Call::Look(batch.clone()), &batch, false);
            return;
        }
        let (now, timeout) = (self.now.tick, self.plan.site.settings.answer_timeout);
        let due = self.due.iter().take_while(|(at, _)| *at <= now).take(most);
        let due: Vec<SubmissionId> = due.map(|(_, id)| *id).collect();
        let late = |id: &SubmissionId| self.jobs.get(id).is_some_and(|job| now.since(job.since) >= timeout);
        let (late, due): (Vec<_>, Vec<_>) = due.into_iter().partition(late);
        // What is given up is looked at once more, whatever its state, to tell why.
        let look = !late.is_empty();
        let batch = self.take(if look { late } else { due }.into_iter());
        if batch.is_empty() {
            return;
        }
        for id in &batch {
            self.unschedule(*id);
        }
        let call = if look { Call::Look(batch.clone()) } else { Call::Poll(batch.clone()) };
        self.select(call, &batch, !look);
    }

    /// As many of `jobs` as are asked for at once.
    fn take(&self, jobs: impl Iterator<Item = SubmissionId>) -> Vec<SubmissionId> {
        let (mut rows, limit) = (0, self.plan.site.settings.poll_rows);
        let mut batch = Vec::new();
        for id in jobs {
            rows += self.jobs.get(&id).map_or(0, |job| job.open().count());
            if !batch.is_empty() && rows > limit {
                break;
            }
            batch.push(id);
        }
        batch
    }

    fn select(&mut self, call: Call, batch: &[SubmissionId], processed_only: bool) {
        let profile = &self.plan.site.profile;
        let jobs = batch.iter().filter_map(|id| self.jobs.get(id));
        let keys: Vec<Value> = jobs.flat_map(|job| job.open().map(|part| job.ids.key(profile, part))).collect();
        if keys.is_empty() {
            return;
        }
        let limit = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let mut conditions = vec![Condition { column: profile.key.column.clone(), among: true, values: keys }];
        if processed_only {
            let values = profile.states.open();
            conditions.push(Condition { column: profile.state.clone(), among: false, values });
        }
        let (table, columns) = (profile.table.clone(), profile.answered());
        self.asking = true;
        self.table(call, TableCall::Select(Select { table, columns, conditions, order_by: None, limit }));
    }

    /// Rows that are not open any more.
    pub(super) fn polled(&mut self, batch: Vec<SubmissionId>, result: Result<Vec<Row>, TableError>) {
        self.asking = false;
        match result {
            Ok(rows) => {
                let answered = self.note(rows);
                for id in batch {
                    self.judge(id, answered.contains(&id));
                }
            }
            Err(error) => {
                for id in batch {
                    self.schedule(id, self.now.tick);
                }
                self.database_failed(&error);
            }
        }
    }

    /// Rows of jobs that nobody is sure of, and of jobs that have waited too long.
    pub(super) fn looked(&mut self, batch: Vec<SubmissionId>, result: Result<Vec<Row>, TableError>) {
        self.asking = false;
        let rows = match result {
            Ok(rows) => rows,
            Err(error) => {
                for id in batch {
                    match self.jobs.get(&id).map(|job| job.stage) {
                        Some(Stage::Unsure) => self.doubt(id),
                        Some(_) => self.schedule(id, self.now.tick),
                        None => {}
                    }
                }
                self.database_failed(&error);
                return;
            }
        };
        let there: BTreeSet<Value> = rows.iter().filter_map(|row| row.first().cloned()).collect();
        let missing = |this: &Self, id: &SubmissionId| -> Vec<usize> {
            let profile = &this.plan.site.profile;
            let job = this.jobs.get(id);
            job.map(|job| job.open().filter(|part| !there.contains(&job.ids.key(profile, *part))).collect())
                .unwrap_or_default()
        };
        let absent: Vec<(SubmissionId, Vec<usize>)> = batch.iter().map(|id| (*id, missing(self, id))).collect();
        let answered = self.note(rows);
        for (id, absent) in absent {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let unsure = job.stage == Stage::Unsure;
            let safe = self.plan.is_safe_to_repeat(&job.request.command);
            let may_be_purged = job.resumed && self.plan.site.profile.purges && !safe;
            if unsure && absent.len() == job.parts.len() && !may_be_purged {
                // All rows of a submission are put in together, so none was.
                job.stage = Stage::Waiting;
                self.waiting.push_back(id);
                continue;
            }
            for part in absent {
                job.set(part, Stand::Gone);
            }
            if unsure {
                self.opened(id);
                self.judge(id, true);
            } else if job.has_ended() {
                self.judge(id, answered.contains(&id));
            } else {
                let text = "the platform has not processed it within the answer_timeout; its rows are still there";
                self.end(id, |job| job.outcome_of(Verdict::Failed(Failure::unanswered("no_answer", text))));
            }
        }
    }

    /// Takes note of rows; returns whose they are.
    fn note(&mut self, rows: Vec<Row>) -> BTreeSet<SubmissionId> {
        let plan = std::sync::Arc::clone(&self.plan);
        let profile = &plan.site.profile;
        let columns = profile.answered();
        let mut answered = BTreeSet::new();
        for row in rows {
            let (Some(key), Some(state)) = (row.first(), row.get(1)) else { continue };
            let Some((id, part)) = self.by_key.get(key).copied() else { continue };
            let line = rows::line(&columns, &row);
            let stand = match profile.states.meaning(state) {
                State::Open => continue,
                State::Unknown => {
                    self.stranger(state, line);
                    continue;
                }
                State::Done => Stand::Done,
                State::Failed => refusal(profile, &row),
            };
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if let Some(reference) = of(profile, &row, profile.answer.reference.as_ref()) {
                job.refer(reference);
            }
            job.received(&line);
            job.set(part, stand);
            answered.insert(id);
        }
        answered
    }

    /// A state that the profile does not list: its entry stays open.
    fn stranger(&mut self, state: &Value, raw: Vec<u8>) {
        if self.strange.len() < MOST_STRANGE && self.strange.insert(state.clone()) {
            let text = "an entry has a state that the profile does not list; it counts as open".to_owned();
            self.outputs.push_back(Output::Event(Event::Noise(Noise { text, raw: raw.into() })));
        }
    }

    /// Ends a job if nothing of it is open; otherwise it is asked for again, later.
    fn judge(&mut self, id: SubmissionId, answered: bool) {
        let settings = &self.plan.site.settings;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.has_ended() {
            self.end(id, super::job::Job::outcome);
            return;
        }
        job.wait = if answered {
            settings.poll_interval
        } else {
            longer(job.wait, settings.poll_interval, settings.longest_poll_interval)
        };
        // Never later than it is given up.
        let end = job.since + settings.answer_timeout;
        let due = (self.now.tick + job.wait).min(end.max(self.now.tick));
        self.schedule(id, due);
    }

    /// Something was processed: what is open is asked for now.
    pub(super) fn hurry(&mut self) {
        let waiting: Vec<SubmissionId> = self.due.iter().map(|(_, id)| *id).collect();
        for id in waiting {
            self.schedule(id, self.now.tick);
        }
    }

    pub(super) fn schedule(&mut self, id: SubmissionId, at: Tick) {
        self.unschedule(id);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.due = Some(at);
            self.due.insert((at, id));
        }
    }

    fn unschedule(&mut self, id: SubmissionId) {
        if let Some(due) = self.jobs.get_mut(&id).and_then(|job| job.due.take()) {
            self.due.remove(&(due, id));
        }
    }
}

/// The platform's refusal, in its words.
fn refusal(profile: &Profile, row: &Row) -> Stand {
    let code = of(profile, row, profile.answer.code.as_ref());
    let text = match of(profile, row, profile.answer.text.as_ref()) {
        Some(Value::Text(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => code.and_then(|code| profile.meaning(code)).map(str::to_owned),
    };
    let code = match code {
        Some(Value::Text(code)) if !code.trim().is_empty() => code.trim().to_owned(),
        Some(Value::Integer(code)) => code.to_string(),
        _ => "refused".to_owned(),
    };
    Stand::Refused(code, text.unwrap_or_else(|| "refused by the platform, without a reason".to_owned()))
}

/// A column's value in a row that was read.
fn of<'a>(profile: &Profile, row: &'a Row, column: Option<&headgate_core::table::Column>) -> Option<&'a Value> {
    let at = profile.answered().iter().position(|known| Some(known) == column)?;
    row.get(at).filter(|value| **value != Value::Null)
}
