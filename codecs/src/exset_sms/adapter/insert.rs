//! Entries put in: as many submissions in one transaction as have gathered, each with all of its rows.

use std::sync::Arc;

use headgate_core::adapter::{Effect, SubmissionId};
use headgate_core::failure::{Blame, Failure, Sent};
use headgate_core::outcome::Verdict;
use headgate_core::table::{Insert, Row, TableCall, TableError};

use super::super::rows;
use super::job::Stage;
use super::{Call, ExsetAdapter, Link, not_sent};

/// How often new ids are made for a submission whose ids were taken already.
const MOST_COLLISIONS: u32 = 3;

impl ExsetAdapter {
    /// Begins to put in what waits: while transactions are under way more gathers, so the busier it is the larger they
    /// get.
    pub(super) fn insert(&mut self) {
        while self.database.state == Link::Up && self.inserting < self.plan.site.settings.inserts {
            let batch = self.take_batch();
            if batch.is_empty() {
                return;
            }
            let profile = &self.plan.site.profile;
            let record = |id: &SubmissionId| {
                let job = self.jobs.get(id)?;
                Some((*id, job.ids.record(profile, job.parts.len())?))
            };
            let references = batch.iter().filter_map(record).collect();
            for id in &batch {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.stage = Stage::Recording;
                }
            }
            self.inserting += 1;
            self.effect(Call::Record(batch), Effect::Record(references));
        }
    }

    /// The next jobs that go together: up to so many rows, and alike in whether their rows may be there.
    fn take_batch(&mut self) -> Vec<SubmissionId> {
        let limit = self.plan.site.settings.insert_rows;
        let (mut batch, mut rows, mut repeated) = (Vec::new(), 0, false);
        while let Some(id) = self.waiting.front().copied() {
            let Some(job) = self.jobs.get(&id) else {
                self.waiting.pop_front();
                continue;
            };
            rows += job.parts.len();
            if !batch.is_empty() && (job.alone || job.repeated != repeated || rows > limit) {
                break;
            }
            (repeated, _) = (job.repeated, self.waiting.pop_front());
            batch.push(id);
            if job.alone {
                break;
            }
        }
        batch
    }

    /// The ids are on disk: the rows go out.
    pub(super) fn recorded(&mut self, batch: Vec<SubmissionId>) {
        if self.database.state != Link::Up {
            self.inserting -= 1;
            let failure = Failure::not_sent(TableError::CONNECTION_LOST, "the connection broke before it was sent");
            for id in batch {
                self.hand_back(id, &failure);
            }
            return;
        }
        let plan = Arc::clone(&self.plan);
        let profile = &plan.site.profile;
        let (mut all, mut again) = (Vec::new(), false);
        for id in &batch {
            let Some(job) = self.jobs.get_mut(id) else { continue };
            let (mut bytes, mut written): (Vec<u8>, Vec<Row>) = (Vec::new(), Vec::new());
            for (index, part) in job.parts.iter().enumerate() {
                // It was written once already, when it was submitted.
                let Ok(row) = part.entry.write(profile, &job.ids.key(profile, index), self.now.wall) else { continue };
                bytes.extend(rows::line(&profile.written, &row));
                written.push(row);
            }
            job.sent(bytes);
            job.stage = Stage::Inserting;
            again |= job.repeated;
            all.extend(written);
        }
        let insert =
            Insert { table: profile.table.clone(), columns: Arc::clone(&profile.written), key: 0, rows: all, again };
        self.table(Call::Insert(batch), TableCall::Insert(insert));
    }

    pub(super) fn inserted(&mut self, batch: Vec<SubmissionId>, result: Result<(), TableError>) {
        self.inserting -= 1;
        let Err(error) = result else {
            self.database_answers();
            batch.into_iter().for_each(|id| self.opened(id));
            return;
        };
        if error.is_link() {
            let failure = not_sent(&error);
            for id in batch {
                if error.sent == Sent::No {
                    self.hand_back(id, &failure);
                } else {
                    self.doubt(id);
                }
            }
            self.database_failed(&error);
        } else if let [id] = *batch {
            self.refused(id, &error);
        } else {
            // Which of them is to blame is not told: each goes by itself, in the same order.
            for id in batch.into_iter().rev() {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.alone = true;
                    job.stage = Stage::Waiting;
                    self.waiting.push_front(id);
                }
            }
        }
    }

    /// The database said no to the rows of one submission.
    fn refused(&mut self, id: SubmissionId, error: &TableError) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if error.code == TableError::CONFLICT && job.repeated {
            self.doubt(id);
        } else if error.code == TableError::CONFLICT && job.collisions < MOST_COLLISIONS {
            // Somebody else's row has the id: the clock was set back, or another writer counts as we do.
            job.collisions += 1;
            self.renumber(id);
        } else {
            let failure = if error.code == TableError::UNWRITABLE {
                Failure::unspeakable(error.code, error.text.clone())
            } else {
                Failure { blame: Blame::Gateway, ..not_sent(error) }
            };
            self.end(id, |job| job.outcome_of(Verdict::Failed(failure)));
        }
    }

    fn renumber(&mut self, id: SubmissionId) {
        let Some(mut job) = self.jobs.remove(&id) else { return };
        for part in 0..job.parts.len() {
            self.by_key.remove(&job.ids.key(&self.plan.site.profile, part));
        }
        job.ids = self.ids.make(self.now.wall, job.request.id.0.as_u128(), job.parts.len());
        job.stage = Stage::Waiting;
        self.begin(id, job);
        self.waiting.push_front(id);
    }

    /// Its rows are there.
    pub(super) fn opened(&mut self, id: SubmissionId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.stage = Stage::Open;
        job.since = self.now.tick;
        job.wait = self.plan.site.settings.poll_interval;
        let due = self.now.tick + job.wait;
        self.schedule(id, due);
    }
}
