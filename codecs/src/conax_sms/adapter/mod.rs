//! The gateway's side: requests gathered into order files, the files followed until they are answered.
//!
//! ```text
//! submit -> gathering -> recorded -> req/ -> ok/  -> recorded -> deleted, finished
//!              ^                        \--> err/ -> recorded -> deleted, the bad ones refused
//!              '------------------------------------------------ the others, in a new file
//! ```
//!
//! `gathering` collects what asks the same; `flight` writes a file and takes up those of an earlier
//! life; `round` looks at the directories; `answers` judges what was found there; `job` keeps where
//! each submission stands.

mod answers;
mod flight;
mod gathering;
mod job;
mod numbers;
mod reference;
mod round;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use headgate_core::adapter::{
    Adapter, Done, Effect, EffectId, Event, FileCall, FileError, FileErrorKind, Input, LinkId, Noise, Output,
    Submission, SubmissionId,
};
use headgate_core::command::Command;
use headgate_core::failure::{Blame, Failure, Retry, Sent};
use headgate_core::outcome::{Exchange, Outcome, Verdict};
use headgate_core::{Deadline, Now};

use super::plan::{self, Products};
use super::settings::Site;
use super::wire::{FileName, TransactionNumber};
use flight::{Flight, Settled};
use gathering::{Entry, Gathering, Member};
use job::Job;
use numbers::Numbers;
use reference::{Record, Stand};
use round::Rounds;

/// The one link there is: the file server.
const SERVER: LinkId = LinkId(0);

/// One conversation with one platform by files.
pub struct ConaxAdapter {
    site: Arc<Site>,
    products: Arc<Products>,
    jobs: BTreeMap<SubmissionId, Job>,
    /// Tests of the connection, each with the last round that began before it.
    probes: BTreeMap<SubmissionId, u64>,
    gathering: Gathering,
    flights: BTreeMap<TransactionNumber, Flight>,
    /// What became of files of an earlier life, for requests that come back late.
    settled: BTreeMap<TransactionNumber, Settled>,
    /// Files given up; an answer that comes late is only deleted.
    abandoned: BTreeSet<FileName>,
    numbers: Numbers,
    rounds: Rounds,
    server: Server,
    draining: bool,
    calls: BTreeMap<EffectId, Call>,
    last_effect: EffectId,
    outputs: VecDeque<Output>,
}

/// Whether the file server can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Unknown,
    Up,
    Down,
}

/// What an effect that is under way is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// A step of the round.
    Round,
    /// The references of a file's members, before it is written.
    RecordSending(TransactionNumber),
    /// The same with what became of them, before the answer is deleted.
    RecordOutcome(TransactionNumber),
    Put(TransactionNumber),
    ReadAnswer(TransactionNumber),
    DeleteAnswer(TransactionNumber),
    DeleteErrors,
    /// Nothing depends on it.
    Tidy,
}

impl ConaxAdapter {
    /// An adapter for this site. `seed` chooses the first transaction number.
    #[must_use]
    pub fn new(site: Arc<Site>, products: Arc<Products>, seed: u64) -> Self {
        Self {
            jobs: BTreeMap::new(),
            probes: BTreeMap::new(),
            gathering: Gathering::default(),
            flights: BTreeMap::new(),
            settled: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            numbers: Numbers::new(site.settings.numbers, seed),
            rounds: Rounds::new(&site),
            server: Server::Unknown,
            draining: false,
            calls: BTreeMap::new(),
            last_effect: EffectId::default(),
            outputs: VecDeque::new(),
            site,
            products,
        }
    }
}

impl Adapter for ConaxAdapter {
    fn capacity(&self) -> usize {
        if self.numbers.are_exhausted() { 0 } else { self.room() }
    }

    /// A submission that resumes is always taken: part of it may have been sent, so it can not be failed as unsent.
    fn submit(&mut self, now: Now, submission: Submission) {
        let Submission { id, request, resume } = submission;
        if resume.is_none() && self.room() == 0 {
            self.finish(id, Outcome::unsent(Failure::not_sent("no_capacity", "the adapter takes no more now")));
            return;
        }
        if matches!(request.command, Command::TestConnection) {
            self.probes.insert(id, self.rounds.current());
            self.rounds.hurry(now.tick);
            self.tick(now);
            return;
        }
        let record = resume.as_ref().and_then(Record::decode);
        let period = match record.as_ref().and_then(|record| record.period) {
            Some(period) => Ok(period),
            None => plan::default_period(&self.site, now.wall)
                .ok_or_else(|| Failure::unspeakable("period", "the clock shows a year that can not be written"))
                .and_then(|default| plan::period(&self.site, &request.command, default).map_err(unspeakable)),
        };
        let parts = period.and_then(|period| {
            let parts = plan::parts(&self.site, &self.products, &request.command, period).map_err(unspeakable)?;
            Ok((period, parts))
        });
        let (period, parts) = match parts {
            Ok(found) => found,
            Err(mut failure) => {
                if resume.is_some() {
                    failure.sent = Sent::Maybe;
                }
                self.finish(id, Outcome::unsent(failure));
                return;
            }
        };
        let period = Some(period).filter(|_| parts.iter().any(|part| part.ask.has_period()));
        let mut job = Job::new(request, period, parts);
        if resume.is_some() && !record.is_some_and(|record| job.restore(&record)) {
            let text = "was sent before the restart, but its reference no longer fits the settings or the services";
            self.finish(id, Outcome::unsent(Failure::unanswered("reference_lost", text)));
            return;
        }
        let adopted = job.in_files();
        self.jobs.insert(id, job);
        for (part, number) in adopted {
            self.adopt(now, Member { job: id, part }, number);
        }
        self.advance(now, id);
        self.tick(now);
    }

    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Start => self.rounds.start(now.tick),
            Input::Done(id, done) => {
                if let Some(call) = self.calls.remove(&id) {
                    self.called(now, call, done);
                }
            }
            _ => {}
        }
        self.tick(now);
    }

    fn drain(&mut self, now: Now) {
        self.draining = true;
        self.gathering.release_all();
        self.tick(now);
    }

    fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let flush = self.gathering.next_due().map(|at| Deadline { at, why: "write what was gathered" });
        let look = self.rounds.next_at().map(|at| Deadline { at, why: "look at the directories" });
        Output::Wait(Deadline::earliest(flush, look))
    }
}

impl ConaxAdapter {
    /// How many submissions are taken, also when no number is free: one of several that were promised
    /// may take the last number, and the others then wait.
    fn room(&self) -> usize {
        if self.draining || self.server != Server::Up {
            return 0;
        }
        self.site.settings.max_submissions.saturating_sub(self.jobs.len() + self.probes.len())
    }

    /// Does what is due.
    fn tick(&mut self, now: Now) {
        self.gathering.release_due(now.tick);
        if self.draining {
            self.gathering.release_all();
        }
        self.launch(now);
        self.begin_round(now);
    }

    fn called(&mut self, now: Now, call: Call, done: Done) {
        match (call, done) {
            (Call::Round, Done::File(result)) => self.round_stepped(now, result),
            (Call::RecordSending(number), Done::Recorded) => self.put(number),
            (Call::RecordOutcome(number), Done::Recorded) => self.settle(now, number),
            (Call::Put(number), Done::File(result)) => self.was_put(now, number, result.map(|_| ())),
            (Call::ReadAnswer(number), Done::File(result)) => self.answer_read(now, number, result),
            (Call::DeleteAnswer(number), Done::File(result)) => self.answer_deleted(now, number, result.map(|_| ())),
            (Call::DeleteErrors, Done::File(Ok(_))) => self.rounds.errors_deleted(),
            // What is tidied up is not needed any more; what stays is seen at the next round.
            (Call::Tidy | Call::DeleteErrors, _) => {}
            // A driver that answers one effect with the result of another: nothing can be concluded.
            (_, _) => self.noise("an effect was answered with another kind of result", Bytes::new()),
        }
    }

    /// Gathers the parts of a submission whose turn has come, or finishes it.
    fn advance(&mut self, now: Now, id: SubmissionId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let settings = &self.site.settings;
        let wait = if job.is_express() { settings.express_flush_interval } else { settings.flush_interval };
        let due = now.tick + wait;
        for part in job.take_ready() {
            let Some(planned) = job.part(part) else { continue };
            self.gathering.add(&Entry {
                ask: &planned.ask,
                member: Member { job: id, part },
                numbers: planned.numbers.len(),
                limit: planned.ask.limit(&self.site),
                due,
            });
        }
        if let Some(outcome) = job.outcome() {
            self.jobs.remove(&id);
            self.finish(id, outcome);
        }
    }

    /// A part is in no file any more, and not in a batch.
    fn reopen(&mut self, member: Member) {
        if let Some(job) = self.jobs.get_mut(&member.job) {
            job.note(member.part, Stand::Open, None);
            job.settle(member.part);
        }
    }

    /// The file server can not be reached, or not used. What was given no file yet is handed back: it
    /// was certainly not sent.
    fn server_failed(&mut self, now: Now, error: &FileError) {
        self.rounds.failed(now.tick);
        let failure = Failure::not_sent("file_server", error.text.clone());
        if self.server == Server::Down {
            return;
        }
        self.server = Server::Down;
        self.outputs.push_back(Output::Event(Event::LinkDown(SERVER, failure.clone())));
        let untouched: BTreeSet<SubmissionId> =
            self.jobs.iter().filter(|(_, job)| job.is_untouched()).map(|(id, _)| *id).collect();
        self.gathering.forget(&untouched);
        for id in untouched {
            self.jobs.remove(&id);
            self.finish(id, Outcome::unsent(failure.clone()));
        }
        for id in std::mem::take(&mut self.probes).into_keys() {
            self.finish(id, Outcome::unsent(failure.clone()));
        }
    }

    /// A round went through, so the server can be used.
    fn server_answers(&mut self) {
        if self.server != Server::Up {
            self.server = Server::Up;
            self.outputs.push_back(Output::Event(Event::LinkUp(SERVER)));
        }
        let before = self.rounds.current();
        for (id, round) in std::mem::take(&mut self.probes) {
            if round < before {
                let outcome =
                    Outcome { verdict: Verdict::Completed(None), reference: None, exchange: Exchange::default() };
                self.finish(id, outcome);
            } else {
                self.probes.insert(id, round);
            }
        }
    }

    fn finish(&mut self, id: SubmissionId, outcome: Outcome) {
        self.outputs.push_back(Output::Event(Event::Finished(id, outcome)));
    }

    fn noise(&mut self, text: impl Into<String>, raw: Bytes) {
        self.outputs.push_back(Output::Event(Event::Noise(Noise { text: text.into(), raw })));
    }

    fn file(&mut self, call: Call, file: FileCall) {
        self.effect(call, Effect::File(file));
    }

    fn effect(&mut self, call: Call, effect: Effect) {
        let id = self.last_effect.next();
        self.calls.insert(id, call);
        self.outputs.push_back(Output::Do(id, effect));
    }
}

fn unspeakable(refusal: headgate_core::body::Refusal) -> Failure {
    Failure::unspeakable(refusal.code, format!("{}: {}", refusal.field, refusal.detail))
}

/// The platform answered nonsense, or took a file away.
fn broken_answer(code: &'static str, text: &str) -> Failure {
    Failure {
        code: code.into(),
        text: text.to_owned(),
        blame: Blame::Platform,
        retry: Retry::Later(None),
        sent: Sent::Maybe,
        parts: Vec::new(),
    }
}

/// Whether the server could not be reached, or does not let us in.
const fn is_link(error: &FileError) -> bool {
    matches!(error.kind, FileErrorKind::Link)
}
