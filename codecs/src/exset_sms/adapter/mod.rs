//! The gateway's side: commands put into the queue table, and asked for until they are processed.
//!
//! ```text
//! submit -> waiting -> recorded -> put in -> open -> processed: finished
//!              ^                      |        ^
//!              |                   unsure -----'  its rows are there
//!              '----------------------'           they are not
//! ```
//!
//! The ids of a submission's entries are recorded before its rows are put in, all of them in one transaction. When it is
//! not known whether that worked (the connection broke, the gateway was killed), the rows are looked for by their
//! ids. `insert` puts rows in, `poll` asks for them, `job` keeps where each submission stands, `ids` numbers entries.

mod ids;
mod insert;
mod job;
mod poll;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use headgate_core::adapter::{
    Adapter, Done, Effect, EffectId, Event, Input, LinkId, Noise, Output, Submission, SubmissionId,
};
use headgate_core::command::Command;
use headgate_core::failure::{Failure, Sent};
use headgate_core::outcome::{Exchange, Outcome, Verdict};
use headgate_core::request::Request;
use headgate_core::table::{Select, TableAnswer, TableCall, TableError, Value};
use headgate_core::{Deadline, Now, Tick};
use jiff::Timestamp;

use super::plan::SharedPlan;
use super::profile::Profile;
use crate::backoff::{Backoff, Jitter};
use ids::{IdMaker, Ids};
use job::{Job, Stage};

/// The one link there is: the database.
const DATABASE: LinkId = LinkId(0);

/// Most states that the profile does not list which are told of.
const MOST_STRANGE: usize = 16;

/// One conversation with one platform by a table.
pub struct ExsetAdapter {
    plan: SharedPlan,
    ids: IdMaker,
    jobs: BTreeMap<SubmissionId, Job>,
    /// Whose entry an id is, and which of them.
    by_key: BTreeMap<Value, (SubmissionId, usize)>,
    /// Tests of the connection that wait for their turn.
    tests: Vec<SubmissionId>,
    /// Jobs to put in, in order.
    waiting: VecDeque<SubmissionId>,
    /// Batches that are being recorded or put in.
    inserting: usize,
    /// Jobs to look for.
    unsure: BTreeSet<SubmissionId>,
    /// Open jobs, by when they are asked for next.
    due: BTreeSet<(Tick, SubmissionId)>,
    /// A question about entries is under way.
    asking: bool,
    /// States that the profile does not list, told of once.
    strange: BTreeSet<Value>,
    database: Database,
    watch: Watch,
    draining: bool,
    calls: BTreeMap<EffectId, Call>,
    last_effect: EffectId,
    /// The latest time told.
    now: Now,
    outputs: VecDeque<Output>,
}

/// Whether the database can be used.
struct Database {
    state: Link,
    /// When it is tried again, while it can not.
    retry_at: Option<Tick>,
    backoff: Backoff,
    jitter: Jitter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Unknown,
    Up,
    Down,
}

/// Whether the database tells when entries were processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// It is not to be asked to.
    Off,
    /// It is to be asked to, from then on.
    From(Tick),
    /// It has been.
    On,
}

/// What an effect that is under way is for.
#[derive(Clone, Debug)]
enum Call {
    /// Whether the database can be used; for these tests too.
    Try(Vec<SubmissionId>),
    /// The ids of these, before they are put in.
    Record(Vec<SubmissionId>),
    Insert(Vec<SubmissionId>),
    /// Rows of these, whatever their state.
    Look(Vec<SubmissionId>),
    /// Rows of these that are not open any more.
    Poll(Vec<SubmissionId>),
    Watch,
}

impl ExsetAdapter {
    /// An adapter that follows this plan. `seed` varies the ids and the pauses between attempts to connect.
    #[must_use]
    pub fn new(plan: SharedPlan, seed: u64) -> Self {
        let settings = &plan.site.settings;
        let now = Now { tick: Tick::default(), wall: Timestamp::UNIX_EPOCH };
        Self {
            ids: IdMaker::new(&plan.site.profile, seed),
            jobs: BTreeMap::new(),
            by_key: BTreeMap::new(),
            tests: Vec::new(),
            waiting: VecDeque::new(),
            inserting: 0,
            unsure: BTreeSet::new(),
            due: BTreeSet::new(),
            asking: false,
            strange: BTreeSet::new(),
            database: Database {
                state: Link::Unknown,
                retry_at: None,
                backoff: Backoff::new(settings.reconnect_first, settings.reconnect_longest),
                jitter: Jitter::new(seed),
            },
            watch: if plan.site.profile.channel.is_some() { Watch::From(now.tick) } else { Watch::Off },
            draining: false,
            calls: BTreeMap::new(),
            last_effect: EffectId::default(),
            now,
            outputs: VecDeque::new(),
            plan,
        }
    }
}

impl Adapter for ExsetAdapter {
    fn capacity(&self) -> usize {
        if self.draining || self.database.state != Link::Up {
            return 0;
        }
        self.plan.site.settings.max_requests.saturating_sub(self.jobs.len() + self.tests.len())
    }

    /// A submission that resumes is always taken: its rows may be there, so it can not be failed as unsent.
    fn submit(&mut self, now: Now, submission: Submission) {
        self.now = now;
        let Submission { id, request, resume } = submission;
        if resume.is_none() && self.capacity() == 0 {
            self.finish(id, Outcome::unsent(Failure::not_sent("no_capacity", "the adapter takes no more now")));
            return;
        }
        if matches!(request.command, Command::TestConnection) {
            self.tests.push(id);
            return;
        }
        let parts = match self.plan.parts(&request) {
            Ok(parts) => parts,
            Err(refusal) => {
                let sent = if resume.is_some() { Sent::Maybe } else { Sent::No };
                let failure = Failure { sent, ..Failure::unspeakable(refusal.code, refusal.to_string()) };
                self.finish(id, Outcome::unsent(failure));
                return;
            }
        };
        let Some(reference) = resume else {
            let ids = self.ids.make(now.wall, request.id.0.as_u128(), parts.len());
            self.begin(id, Job::new(request, parts, ids, now.tick));
            self.waiting.push_back(id);
            return;
        };
        match Ids::recorded(&self.plan.site.profile, &reference).filter(|(_, count)| *count == parts.len()) {
            Some((ids, _)) => {
                let mut job = Job::new(request, parts, ids, now.tick);
                job.resumed = true;
                self.begin(id, job);
                self.doubt(id);
            }
            None => {
                let text = "was sent before the restart, but its reference no longer fits the settings or the services";
                self.finish(id, Outcome::unsent(Failure::unanswered("reference_lost", text)));
            }
        }
    }

    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.now = now;
        match input {
            Input::Start => self.database.retry_at = Some(now.tick),
            Input::Done(id, done) => {
                if let Some(call) = self.calls.remove(&id) {
                    self.called(call, done);
                }
            }
            _ => {}
        }
    }

    fn drain(&mut self, now: Now) {
        self.now = now;
        self.draining = true;
    }

    fn poll_output(&mut self) -> Output {
        if self.outputs.is_empty() {
            self.try_database();
            self.insert();
            self.ask();
            self.watch();
        }
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Wait(self.deadline()),
        }
    }
}

impl ExsetAdapter {
    fn deadline(&self) -> Option<Deadline> {
        let retry = self.database.retry_at.map(|at| Deadline { at, why: "try the database again" });
        let poll = self.due.first().map(|(at, _)| *at).filter(|_| !self.asking && self.database.state == Link::Up);
        let poll = poll.map(|at| Deadline { at, why: "ask for entries" });
        let watch = match self.watch {
            Watch::From(at) if self.database.state == Link::Up => Some(Deadline { at, why: "ask to be told" }),
            _ => None,
        };
        Deadline::earliest(Deadline::earliest(retry, poll), watch)
    }

    fn called(&mut self, call: Call, done: Done) {
        match (call, done) {
            (Call::Record(batch), Done::Recorded) => self.recorded(batch),
            (Call::Try(tests), Done::Table(result)) => self.tried(tests, result.map(drop)),
            (Call::Insert(batch), Done::Table(result)) => self.inserted(batch, result.map(drop)),
            (Call::Look(batch), Done::Table(result)) => self.looked(batch, result.map(rows)),
            (Call::Poll(batch), Done::Table(result)) => self.polled(batch, result.map(rows)),
            (Call::Watch, Done::Table(result)) => self.told(result.map(drop)),
            // A driver that answers one effect with the result of another: nothing can be concluded but that it is over.
            (call, _) => {
                self.noise("an effect was answered with another kind of result");
                self.lost(call);
            }
        }
    }

    /// What a call was for is done later, as if its answer had been lost.
    fn lost(&mut self, call: Call) {
        let error =
            || TableError { code: TableError::CONNECTION_LOST, text: "the answer was none".into(), sent: Sent::Maybe };
        match call {
            Call::Try(tests) => self.tried(tests, Err(error())),
            Call::Record(batch) | Call::Insert(batch) => self.inserted(batch, Err(error())),
            Call::Look(batch) => self.looked(batch, Err(error())),
            Call::Poll(batch) => self.polled(batch, Err(error())),
            Call::Watch => self.told(Err(error())),
        }
    }

    /// Reads a row, to see whether the database can be used: when it could not, or a test asks for it.
    fn try_database(&mut self) {
        let due = self.database.retry_at.is_some_and(|at| at <= self.now.tick);
        if !due && (self.tests.is_empty() || self.database.state != Link::Up) {
            return;
        }
        self.database.retry_at = None;
        let select = harmless(&self.plan.site.profile);
        let tests = std::mem::take(&mut self.tests);
        self.table(Call::Try(tests), TableCall::Select(select));
    }

    fn tried(&mut self, tests: Vec<SubmissionId>, result: Result<(), TableError>) {
        if let Err(error) = &result {
            self.database_failed(error);
        } else {
            self.database_answers();
        }
        for id in tests {
            let outcome = match &result {
                Ok(()) => Outcome { verdict: Verdict::Completed(None), reference: None, exchange: Exchange::default() },
                Err(error) => Outcome::unsent(not_sent(error)),
            };
            self.finish(id, outcome);
        }
    }

    fn database_answers(&mut self) {
        if self.database.state != Link::Up {
            self.database.state = Link::Up;
            self.database.retry_at = None;
            self.database.backoff.reset();
            self.outputs.push_back(Output::Event(Event::LinkUp(DATABASE)));
        }
    }

    /// The database can not be reached, or not be used. What was not put in is handed back: it was certainly not sent.
    fn database_failed(&mut self, error: &TableError) {
        // One try is enough, however many calls fail together.
        let trying = self.calls.values().any(|call| matches!(call, Call::Try(_)));
        if self.database.retry_at.is_none() && !trying {
            let Database { backoff, jitter, .. } = &mut self.database;
            self.database.retry_at = Some(self.now.tick + backoff.wait(jitter));
        }
        if self.database.state == Link::Down {
            return;
        }
        self.database.state = Link::Down;
        let failure = not_sent(error);
        self.outputs.push_back(Output::Event(Event::LinkDown(DATABASE, failure.clone())));
        for id in std::mem::take(&mut self.waiting) {
            self.hand_back(id, &failure);
        }
        for id in std::mem::take(&mut self.tests) {
            self.finish(id, Outcome::unsent(failure.clone()));
        }
    }

    /// Nothing of it is there, unless from an earlier try: then it is looked for.
    fn hand_back(&mut self, id: SubmissionId, failure: &Failure) {
        match self.jobs.get(&id) {
            Some(job) if job.repeated => self.doubt(id),
            Some(_) => self.end(id, |job| job.outcome_of(Verdict::Failed(failure.clone()))),
            None => {}
        }
    }

    /// Nobody knows whether its rows are there.
    fn doubt(&mut self, id: SubmissionId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.repeated = true;
            job.stage = Stage::Unsure;
            self.unsure.insert(id);
        }
    }

    fn begin(&mut self, id: SubmissionId, job: Job) {
        for part in 0..job.parts.len() {
            self.by_key.insert(job.ids.key(&self.plan.site.profile, part), (id, part));
        }
        self.jobs.insert(id, job);
    }

    /// Ends a job.
    fn end(&mut self, id: SubmissionId, outcome: impl FnOnce(&mut Job) -> Outcome) {
        let Some(mut job) = self.jobs.remove(&id) else { return };
        for part in 0..job.parts.len() {
            self.by_key.remove(&job.ids.key(&self.plan.site.profile, part));
        }
        if let Some(due) = job.due {
            self.due.remove(&(due, id));
        }
        self.unsure.remove(&id);
        let outcome = outcome(&mut job);
        self.finish(id, outcome);
    }

    fn finish(&mut self, id: SubmissionId, outcome: Outcome) {
        self.outputs.push_back(Output::Event(Event::Finished(id, outcome)));
    }

    fn noise(&mut self, text: &str) {
        let noise = Noise { text: text.to_owned(), raw: bytes::Bytes::new() };
        self.outputs.push_back(Output::Event(Event::Noise(noise)));
    }

    fn table(&mut self, call: Call, table: TableCall) {
        self.effect(call, Effect::Table(table));
    }

    fn effect(&mut self, call: Call, effect: Effect) {
        let id = self.last_effect.next();
        self.calls.insert(id, call);
        self.outputs.push_back(Output::Do(id, effect));
    }

    /// Asks to be told when entries were processed, where the database does that.
    fn watch(&mut self) {
        let Some(channel) = &self.plan.site.profile.channel else { return };
        if let (Watch::From(at), Link::Up) = (self.watch, self.database.state)
            && at <= self.now.tick
        {
            let channel = channel.clone();
            self.watch = Watch::On;
            self.table(Call::Watch, TableCall::Watch { channel });
        }
    }

    fn told(&mut self, result: Result<(), TableError>) {
        match result {
            Ok(()) => {
                self.watch = Watch::From(self.now.tick);
                self.hurry();
            }
            Err(error) if error.is_link() => {
                self.watch = Watch::From(self.now.tick + self.plan.site.settings.reconnect_longest);
            }
            Err(error) => {
                self.watch = Watch::Off;
                self.noise(&format!("the database does not tell when entries were processed: {}", error.text));
            }
        }
    }
}

/// Reads a row, any: what a test of the connection does.
#[must_use]
pub(super) fn harmless(profile: &Profile) -> Select {
    let (table, columns) = (profile.table.clone(), profile.answered());
    Select { table, columns, conditions: Vec::new(), order_by: None, limit: 1 }
}

/// The ids that a request's entries would have, for showing them.
#[must_use]
pub(super) fn first_ids(profile: &Profile, wall: Timestamp, request: &Request, count: usize) -> Vec<Value> {
    let ids = IdMaker::new(profile, 0).make(wall, request.id.0.as_u128(), count);
    (0..count).map(|index| ids.key(profile, index)).collect()
}

fn rows(answer: TableAnswer) -> Vec<Vec<Value>> {
    match answer {
        TableAnswer::Rows(rows) => rows,
        TableAnswer::Inserted { .. } | TableAnswer::Updated(_) | TableAnswer::Notified => Vec::new(),
    }
}

fn not_sent(error: &TableError) -> Failure {
    Failure::not_sent(error.code, error.text.clone())
}

/// Twice as long, up to `longest`; `first` if it was nothing yet.
fn longer(wait: Duration, first: Duration, longest: Duration) -> Duration {
    if wait.is_zero() { first } else { wait.saturating_mul(2).min(longest) }
}
