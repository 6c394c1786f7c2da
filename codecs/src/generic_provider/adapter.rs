//! The adapter: workers call, it gives them what waits and takes their answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{Adapter, Effect, EffectId, Event, Input, LinkId, Output, Submission, SubmissionId};
use headgate_core::command::{Command, CommandKind};
use headgate_core::failure::{FailedPart, Failure, Sent};
use headgate_core::http::{CallId, HttpAnswer, HttpReply, HttpRequest};
use headgate_core::outcome::{Answer, Exchange, KnownSubscriber, Outcome, Verdict};
use headgate_core::text::{PlatformReference, Secret, Serial};
use headgate_core::{Deadline, Now, Tick};

use super::crm_com;
use super::queue::{self, Item, Queue};
use super::settings::Settings;
use super::types::{Vocabulary, Work};
use super::wire::{
    self, AnswerState, AnswersCall, ExtendCall, FailedItem, NotTaken, Offer, PullCall, Pulled, WorkerAnswer,
};

/// The adapter's one link: whether a worker is there.
const LINK: LinkId = LinkId(0);

/// Most calls that wait for something to do; the oldest gets nothing when one more comes.
const WAITING: usize = 256;

/// The conversation with the workers of one provider.
pub struct GenericProvider {
    settings: Settings,
    vocabulary: Arc<Vocabulary>,
    queue: Queue,
    jobs: BTreeMap<SubmissionId, Job>,
    /// Calls that wait for something to do, oldest first.
    waiting: VecDeque<Waiting>,
    /// When a worker called last; absent: never.
    last_call: Option<Tick>,
    up: bool,
    draining: bool,
    outputs: VecDeque<Output>,
    effects: EffectId,
    now: Tick,
}

/// A submission, until all its items are answered.
#[derive(Debug)]
struct Job {
    kind: CommandKind,
    /// How many items are not answered.
    left: usize,
    of: usize,
    failed: Vec<(String, Failure)>,
    reference: Option<PlatformReference>,
    answer: Option<Answer>,
    request: Vec<u8>,
    response: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    call: CallId,
    until: Tick,
    max: usize,
    lease: Duration,
}

impl GenericProvider {
    /// An adapter without work.
    #[must_use]
    pub fn new(settings: Settings, vocabulary: Arc<Vocabulary>) -> Self {
        Self {
            settings,
            vocabulary,
            queue: Queue::default(),
            jobs: BTreeMap::new(),
            waiting: VecDeque::new(),
            last_call: None,
            up: false,
            draining: false,
            outputs: VecDeque::new(),
            effects: EffectId::default(),
            now: Tick::default(),
        }
    }

    // ---- calls of workers

    fn called(&mut self, now: Now, call: CallId, request: &HttpRequest) {
        self.last_call = Some(now.tick);
        if !self.up {
            self.up = true;
            self.outputs.push_back(Output::Event(Event::LinkUp(LINK)));
        }
        let answer = match request.path() {
            "/pull" => match wire::read::<PullCall>(request) {
                Ok(pull) => return self.pull(now, call, &pull),
                Err(problem) => problem,
            },
            "/answers" => match wire::read::<AnswersCall>(request) {
                Ok(answers) => wire::answer(&NotTaken { failed: self.answers(answers.answers) }),
                Err(problem) => problem,
            },
            "/extend" => match wire::read::<ExtendCall>(request) {
                Ok(extend) => wire::answer(&NotTaken { failed: self.extend(now, &extend) }),
                Err(problem) => problem,
            },
            "/get_pending" => crm_com::pending(now, &self.queue, request),
            "/send_response" => match crm_com::responses(request) {
                Ok(answers) => crm_com::not_taken(&self.answers(answers)),
                Err(problem) => problem,
            },
            _ => wire::problem(404, "not_found", "", "there is no such call"),
        };
        self.reply(call, answer);
    }

    fn pull(&mut self, now: Now, call: CallId, pull: &PullCall) {
        if !(1..=wire::MOST).contains(&pull.max) {
            return self.reply(call, wire::problem(400, "out_of_range", "max", "must be 1 to 50"));
        }
        let lease = pull.lease_seconds.map_or(self.settings.lease, Duration::from_secs);
        if !(Duration::from_secs(1)..=Duration::from_hours(24)).contains(&lease) {
            return self.reply(call, wire::problem(400, "out_of_range", "lease_seconds", "must be 1 to 86400"));
        }
        let wait = Duration::from_secs(pull.wait_seconds).min(self.settings.longest_wait);
        if self.waiting.len() >= WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.reply(oldest.call, wire::answer(&Pulled::default()));
        }
        self.waiting.push_back(Waiting { call, until: now.tick + wait, max: pull.max, lease });
    }

    /// Gives waiting calls what there is; a call whose time is over gets nothing.
    fn serve_waiting(&mut self, now: Now) {
        while let Some(first) = self.waiting.front() {
            if !self.queue.has_free(now.tick) {
                break;
            }
            let (call, max, lease) = (first.call, first.max, first.lease);
            let offers: Vec<_> = self.queue.lease(now, max, lease).into_iter().filter_map(offer).collect();
            self.waiting.pop_front();
            self.reply(call, wire::answer(&Pulled { requests: offers }));
        }
        let over = |waiting: &Waiting| waiting.until <= now.tick;
        while let Some(at) = self.waiting.iter().position(over) {
            if let Some(waiting) = self.waiting.remove(at) {
                self.reply(waiting.call, wire::answer(&Pulled::default()));
            }
        }
    }

    fn extend(&mut self, now: Now, extend: &ExtendCall) -> Vec<FailedItem> {
        let lease = extend.lease_seconds.map_or(self.settings.lease, Duration::from_secs);
        let lease = lease.clamp(Duration::from_secs(1), Duration::from_hours(24));
        let failed = |reference: &wire::LeaseRef| {
            let error = self.queue.extend(now, &reference.number, &reference.lease, lease).err()?;
            Some(not_taken(&reference.number, error))
        };
        extend.leases.iter().filter_map(failed).collect()
    }

    fn answers(&mut self, answers: Vec<WorkerAnswer>) -> Vec<FailedItem> {
        let mut failed = Vec::new();
        for answer in answers {
            let verdict = match answer.state {
                AnswerState::Completed => queue::Verdict::Completed,
                AnswerState::Rejected => queue::Verdict::Rejected,
            };
            match self.queue.answer(&answer.number, answer.lease.as_deref(), verdict) {
                Ok(Some(item)) => self.answered(&item, answer),
                Ok(None) => {}
                Err(error) => failed.push(not_taken(&answer.number, error)),
            }
        }
        failed
    }

    fn answered(&mut self, item: &Item, answer: WorkerAnswer) {
        let Some(job) = self.jobs.get_mut(&item.submission) else { return };
        note(&mut job.response, &answer);
        job.left = job.left.saturating_sub(1);
        let WorkerAnswer { state, code, text, reference, account, answer, .. } = answer;
        job.reference = job.reference.take().or(reference);
        if state == AnswerState::Rejected {
            let code = code.filter(|code| !code.is_empty()).unwrap_or_else(|| "rejected".to_owned());
            let failure = Failure::refused(code, text.unwrap_or_default());
            job.failed.push((part(&item.work, &item.number), failure));
        } else if let Some(account) = account.filter(|_| job.kind == CommandKind::CreateSubscriber) {
            job.answer = Some(Answer::Subscriber(KnownSubscriber {
                account,
                state: None,
                devices: Vec::new(),
                services: Vec::new(),
                attributes: BTreeMap::new(),
            }));
        } else {
            // Only a reading request has an answer; what a worker says beyond that is kept in the record alone.
            let reads = job.kind.is_query() || job.kind == CommandKind::Raw;
            job.answer = job.answer.take().or_else(|| answer.filter(|_| reads));
        }
        if job.left == 0 {
            self.finish(item.submission);
        }
    }

    fn finish(&mut self, submission: SubmissionId) {
        let Some(job) = self.jobs.remove(&submission) else { return };
        let verdict = match job.failed.first() {
            None => Verdict::Completed(job.answer),
            Some((_, first)) if job.failed.len() == job.of => Verdict::Rejected(first.clone()),
            Some(_) => {
                let part = |(part, failure): (String, Failure)| {
                    let part = Serial::new(&part).ok()?;
                    Some(FailedPart { part, code: failure.code, text: failure.text })
                };
                Verdict::Rejected(Failure::partial(job.failed.into_iter().filter_map(part).collect(), job.of))
            }
        };
        let exchange = Exchange { request: job.request.into(), response: job.response.into() };
        let outcome = Outcome { verdict, reference: job.reference, exchange };
        self.outputs.push_back(Output::Event(Event::Finished(submission, outcome)));
    }

    /// Gives a submission up.
    fn give_up(&mut self, submission: SubmissionId, failure: Failure) {
        self.queue.withdraw(submission);
        let Some(job) = self.jobs.remove(&submission) else { return };
        let exchange = Exchange { request: job.request.into(), response: job.response.into() };
        let outcome = Outcome { verdict: Verdict::Failed(failure), reference: job.reference, exchange };
        self.outputs.push_back(Output::Event(Event::Finished(submission, outcome)));
    }

    // ---- time

    fn tick(&mut self, now: Now) {
        self.now = now.tick;
        let overdue = |item: &&Item| item.offered + self.settings.answer_within <= now.tick;
        // The oldest come first.
        let overdue: Vec<_> = self.queue.iter().take_while(overdue).map(|item| item.submission).collect();
        for submission in overdue {
            let text = "no worker answered in time";
            self.give_up(submission, Failure::unanswered("no_answer", text));
        }
        if self.draining {
            self.let_go(now);
        } else {
            self.serve_waiting(now);
        }
        if self.up && self.waiting.is_empty() && self.absent_at().is_some_and(|at| at <= now.tick) {
            self.up = false;
            let text = format!("no worker has called for {:?}", self.settings.worker_absent_after);
            let failure = Failure::not_sent("no_worker", text);
            self.outputs.push_back(Output::Event(Event::LinkDown(LINK, failure)));
        }
    }

    /// While draining: what no worker has goes back; what one has is waited for.
    fn let_go(&mut self, now: Now) {
        while let Some(waiting) = self.waiting.pop_front() {
            self.reply(waiting.call, wire::answer(&Pulled::default()));
        }
        let leased: Vec<_> =
            self.queue.iter().filter(|item| item.is_leased(now.tick)).map(|item| item.submission).collect();
        let free: Vec<_> = self.jobs.keys().copied().filter(|submission| !leased.contains(submission)).collect();
        for submission in free {
            let seen = self.jobs.get(&submission).is_some_and(|job| job.left < job.of)
                || self.queue.iter().any(|item| item.submission == submission && item.deliveries > 0);
            let text = "the gateway is stopping";
            let sent = if seen { Sent::Maybe } else { Sent::No };
            self.give_up(submission, Failure { sent, ..Failure::not_sent("stopping", text) });
        }
    }

    fn absent_at(&self) -> Option<Tick> {
        self.last_call.map(|at| at + self.settings.worker_absent_after)
    }

    fn reply(&mut self, call: CallId, answer: HttpAnswer) {
        let id = self.effects.next();
        self.outputs.push_back(Output::Do(id, Effect::Reply(call, HttpReply::Whole(answer))));
    }
}

impl Adapter for GenericProvider {
    fn capacity(&self) -> usize {
        if self.up && !self.draining { self.settings.held.saturating_sub(self.jobs.len()) } else { 0 }
    }

    fn submit(&mut self, now: Now, submission: Submission) {
        let Submission { id, request, .. } = submission;
        if self.capacity() == 0 {
            let failure = Failure::not_sent("no_worker", "no worker is there");
            return self.outputs.push_back(Output::Event(Event::Finished(id, Outcome::unsent(failure))));
        }
        if request.command == Command::TestConnection {
            // A worker called not long ago: that is all there is to know.
            let outcome = Outcome { verdict: Verdict::Completed(None), reference: None, exchange: Exchange::default() };
            return self.outputs.push_back(Output::Event(Event::Finished(id, outcome)));
        }
        let work = match self.vocabulary.work(&request) {
            Ok(work) => work,
            Err(refusal) => {
                let failure = Failure::unspeakable(refusal.code, refusal.to_string());
                return self.outputs.push_back(Output::Event(Event::Finished(id, Outcome::unsent(failure))));
            }
        };
        let of = work.len();
        let mut job = Job {
            kind: request.command.kind(),
            left: of,
            of,
            failed: Vec::new(),
            reference: None,
            answer: None,
            request: Vec::new(),
            response: Vec::new(),
        };
        if of == 0 {
            self.jobs.insert(id, job);
            return self.finish(id);
        }
        for (index, work) in work.into_iter().enumerate() {
            let number = if of == 1 { request.number.to_string() } else { format!("{}.{}", request.number, index + 1) };
            note(&mut job.request, &masked(&work));
            self.queue.push(Item {
                number,
                submission: id,
                work,
                created: request.created,
                offered: now.tick,
                deliveries: 0,
                lease: None,
            });
        }
        self.jobs.insert(id, job);
        self.tick(now);
    }

    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        if let Input::Called(call, request) = input {
            self.called(now, call, &request);
        }
        self.tick(now);
    }

    fn drain(&mut self, now: Now) {
        self.draining = true;
        self.tick(now);
    }

    fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let deadline = |at: Option<Tick>, why| at.map(|at| Deadline { at, why });
        let patience =
            deadline(self.waiting.iter().map(|waiting| waiting.until).min(), "a worker has waited long enough");
        let free = if self.waiting.is_empty() && !self.draining { None } else { self.queue.next_free(self.now) };
        let free = deadline(free, "a lease runs out");
        let absent = if self.up && self.waiting.is_empty() { self.absent_at() } else { None };
        let absent = deadline(absent, "no worker calls any more");
        let overdue = self.queue.iter().next().map(|item| item.offered + self.settings.answer_within);
        let overdue = deadline(overdue, "nobody answered");
        let all = [patience, free, absent, overdue];
        Output::Wait(all.into_iter().fold(None, Deadline::earliest))
    }
}

fn offer(item: &Item) -> Option<Offer> {
    let lease = item.lease.as_ref()?;
    Some(Offer {
        number: item.number.clone(),
        lease: lease.token.clone(),
        lease_until: lease.until_wall,
        delivery: item.deliveries,
        created: item.created,
        work: item.work.clone(),
    })
}

fn not_taken(number: &str, error: queue::QueueError) -> FailedItem {
    FailedItem { number: number.to_owned(), code: error.code().to_owned(), detail: error.to_string() }
}

/// What an item is a part for: the service or the device that tells it from its sisters; else its number.
fn part(work: &Work, number: &str) -> String {
    match (work.services.as_slice(), work.devices.first()) {
        ([service], _) => service.code.as_str().to_owned(),
        (_, Some(device)) => device.serial_number.as_str().to_owned(),
        _ => number.to_owned(),
    }
}

/// The work as it is recorded: without secrets.
fn masked(work: &Work) -> Work {
    let stars = |secret: &Option<Secret>| secret.as_ref().map(|_| Secret::new("***"));
    let mut masked = Work { pin: stars(&work.pin), password: stars(&work.password), ..work.clone() };
    if let Some(subscriber) = &mut masked.subscriber {
        subscriber.password = stars(&subscriber.password);
        subscriber.pin = stars(&subscriber.pin);
    }
    masked
}

/// Adds a line of JSON to a record.
fn note(record: &mut Vec<u8>, value: &impl serde::Serialize) {
    if !record.is_empty() {
        record.push(b'\n');
    }
    record.extend_from_slice(&Bytes::from(serde_json::to_vec(value).unwrap_or_default()));
}
