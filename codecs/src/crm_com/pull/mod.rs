//! The Generic provider, pulled: Headgate fetches a CRM's pending requests, has them carried out, and answers them.
//!
//! [`Pull`] is a machine without I/O or clock. It looks for what is pending ([`listing`]), turns each request of the CRM
//! into requests of Headgate ([`mapping`]), has them begun one after the other, and posts what became of them ([`wire`]).
//!
//! ```text
//! pending at the CRM -> waiting -> begun -> ended -> posted -> settled
//!                       its line's turn       |         |--> not settled: still pending at the next look: posted again
//!                                             |         '--> given up: the CRM does not take it
//!                                             '<-- a part that is `unknown` waits here for an operator
//! ```
//!
//! The rules, from the traps of the CRM's calls \[I\]:
//! - A look is a whole one before anything of it is answered: answers shrink the set that offsets count in. Each page
//!   begins with the last result of the one before; if another is there, the set has shrunk, and the look starts anew.
//! - Requests of one subscription are carried out in the CRM's order, one after the other; the next begins when the
//!   one before has ended, whatever its end.
//! - Nothing is claimed at the CRM: the same request comes again with every look, and after a restart. By
//!   [`Part::key`] it is recognised, and what became of the first is told.
//! - An answer whose fate is not known is not posted again until a whole look shows that the request is still pending.
//! - What has no final outcome is not answered.

mod contract;
pub mod listing;
pub mod mapping;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use headgate_core::failure::Sent;
use headgate_core::http::{HttpAnswer, HttpError};
use headgate_core::text::ProviderName;
use headgate_core::{Deadline, Now, Tick};
use jiff::Timestamp;

pub use self::contract::{Event, Input, Load, Output};
use self::listing::{Listing, Looked};
pub use self::mapping::Part;
use self::mapping::{Unfit, parts};
use self::settings::PullSettings;
pub use self::wire::{CrmError, Verdict};
use self::wire::{Pending, Response};
use crate::backoff::{Backoff, Jitter};
use crate::crm_com::MOST;

/// The first wait after a call that failed; later ones double.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait after a call that failed.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// One pull. Tell it what happens with [`Pull::handle`], then drain [`Pull::poll_output`].
#[derive(Debug)]
pub struct Pull {
    name: String,
    provider: ProviderName,
    settings: PullSettings,
    /// What is known of the CRM's requests, by number, from their first look until they are settled.
    entries: BTreeMap<String, Entry>,
    /// The numbers of each subscription that have not ended, the one whose turn it is first.
    lines: BTreeMap<String, VecDeque<String>>,
    /// The lines whose first one can begin, in the order of looks.
    ready: VecDeque<String>,
    running: usize,
    /// The numbers that ended and can be posted, oldest first.
    answers: VecDeque<String>,
    call: Call,
    next_look: Tick,
    paused_until: Option<Tick>,
    backoff: Backoff,
    jitter: Jitter,
    is_down: bool,
    /// How many answers go in one call; less than [`MOST`] after the CRM refused a whole one.
    batch: usize,
    last_look: Option<Timestamp>,
    outputs: VecDeque<Output>,
    stopping: bool,
}

#[derive(Debug)]
struct Entry {
    line: String,
    since: Timestamp,
    /// The parts that have not begun.
    parts: VecDeque<Part>,
    /// The platform's number of the account.
    account: Option<String>,
    /// Whether the CRM wants to know it.
    makes_account: bool,
    stage: Stage,
    posts: u32,
    warned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Unknown,
    /// To be posted.
    Ended(Verdict),
    /// Posted; whether it was taken is not known. The next whole look tells.
    Posted(Verdict),
    GivenUp,
}

#[derive(Debug)]
enum Call {
    None,
    Look(Listing),
    Post(Vec<String>),
}

impl Pull {
    /// The pull `name`, whose requests go to `provider`. `seed` varies when calls are made again.
    ///
    /// The settings must pass [`PullSettings::check`].
    #[must_use]
    pub fn new(name: &str, provider: ProviderName, settings: PullSettings, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            provider,
            settings,
            entries: BTreeMap::new(),
            lines: BTreeMap::new(),
            ready: VecDeque::new(),
            running: 0,
            answers: VecDeque::new(),
            call: Call::None,
            next_look: Tick::default(),
            paused_until: None,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            jitter: Jitter::new(seed),
            is_down: false,
            batch: MOST,
            last_look: None,
            outputs: VecDeque::new(),
            stopping: false,
        }
    }

    /// Takes note of something that happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Called(result) => self.called(now, result),
            Input::Begun(number, since) => {
                if let Some(entry) = self.entries.get_mut(&number) {
                    entry.since = entry.since.min(since);
                }
            }
            Input::Unknown(number) => {
                if let Some(entry) = self.entries.get_mut(&number).filter(|entry| entry.stage == Stage::Running) {
                    entry.stage = Stage::Unknown;
                    // It may wait for days: others take its place.
                    self.running = self.running.saturating_sub(1);
                }
            }
            Input::Ended(number, verdict) => self.ended(&number, verdict),
            Input::Deadline => {}
            Input::Stop => self.stopping = true,
        }
        self.go_on(now);
    }

    /// What should happen next. Drain until [`Output::Wait`].
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let why = "ask the CRM";
        let due = match (&self.call, self.paused_until) {
            (Call::None, Some(at)) => Some(Deadline { at, why }),
            (Call::None, None) if !self.stopping => Some(Deadline { at: self.next_look, why }),
            _ => None,
        };
        Output::Wait(due)
    }

    /// Whether it has stopped: no call is under way, and nothing is left that could be posted now.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stopping && self.outputs.is_empty() && matches!(self.call, Call::None)
    }

    /// How it stands.
    #[must_use]
    pub fn load(&self) -> Load {
        let mut load = Load::default();
        for entry in self.entries.values() {
            match entry.stage {
                Stage::Waiting => load.waiting += 1,
                Stage::Running => load.running += 1,
                Stage::Unknown => load.unknown += 1,
                Stage::Ended(_) | Stage::Posted(_) | Stage::GivenUp => load.unanswered += 1,
            }
            load.oldest = Some(load.oldest.map_or(entry.since, |oldest| oldest.min(entry.since)));
        }
        load
    }

    fn go_on(&mut self, now: Now) {
        // What was before the start, nobody knows.
        self.last_look.get_or_insert(now.wall);
        self.begin();
        if self.paused_until.is_some_and(|until| until <= now.tick) {
            self.paused_until = None;
        }
        if !matches!(self.call, Call::None) || self.paused_until.is_some() {
            return;
        }
        // A look that is due goes first, or answers that never end would put it off for ever.
        if !self.stopping && self.next_look <= now.tick {
            let listing = Listing::new(self.settings.page_size, self.settings.page_counts);
            self.outputs.push_back(Output::Call(wire::get_pending(&self.settings, listing.offset())));
            self.call = Call::Look(listing);
        } else if !self.answers.is_empty() {
            self.post();
        }
    }

    /// Begins what can begin.
    fn begin(&mut self) {
        while !self.stopping && self.running < self.settings.in_flight {
            let Some(line) = self.ready.pop_front() else { return };
            let Some(number) = self.lines.get(&line).and_then(VecDeque::front).cloned() else { continue };
            self.begin_part(number);
        }
    }

    /// Begins the next part of a request; without one, it has ended well.
    fn begin_part(&mut self, number: String) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        match entry.parts.pop_front() {
            Some(part) => {
                entry.stage = Stage::Running;
                self.running += 1;
                self.outputs.push_back(Output::Begin(number, Box::new(part)));
            }
            None => {
                let account = entry.account.take().filter(|_| entry.makes_account);
                self.finish(&number, Verdict::Accepted(account));
            }
        }
    }

    /// A part ended.
    fn ended(&mut self, number: &str, verdict: Verdict) {
        let Some(entry) = self.entries.get_mut(number) else { return };
        match entry.stage {
            Stage::Running => self.running = self.running.saturating_sub(1),
            Stage::Unknown => {}
            Stage::Waiting | Stage::Ended(_) | Stage::Posted(_) | Stage::GivenUp => return,
        }
        match verdict {
            Verdict::Accepted(account) => {
                entry.account = account.or_else(|| entry.account.take());
                if self.stopping && !entry.parts.is_empty() {
                    // The next start takes it up where it is.
                    entry.stage = Stage::Waiting;
                } else {
                    self.begin_part(number.to_owned());
                }
            }
            rejected @ Verdict::Rejected(..) => self.finish(number, rejected),
        }
    }

    /// A request ended: it is to be posted, and the next of its subscription's turn has come.
    fn finish(&mut self, number: &str, verdict: Verdict) {
        let Some(entry) = self.entries.get_mut(number) else { return };
        entry.stage = Stage::Ended(verdict);
        self.answers.push_back(number.to_owned());
        let line = entry.line.clone();
        let Some(numbers) = self.lines.get_mut(&line) else { return };
        numbers.retain(|other| other != number);
        if numbers.is_empty() {
            self.lines.remove(&line);
        } else {
            self.ready.push_back(line);
        }
    }

    fn post(&mut self) {
        let mut numbers = Vec::new();
        let mut responses = Vec::new();
        while numbers.len() < self.batch
            && let Some(number) = self.answers.pop_front()
        {
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            if let Stage::Ended(verdict) = &entry.stage {
                responses.push(Response { number: number.clone(), verdict: verdict.clone() });
                numbers.push(number);
            }
        }
        if numbers.is_empty() {
            return;
        }
        self.outputs.push_back(Output::Call(wire::send_response(&self.settings, &responses)));
        self.call = Call::Post(numbers);
    }

    fn called(&mut self, now: Now, result: Result<HttpAnswer, HttpError>) {
        match std::mem::replace(&mut self.call, Call::None) {
            Call::None => {}
            Call::Look(listing) => self.looked(now, listing, result),
            Call::Post(numbers) => self.posted(now, numbers, result),
        }
    }

    fn looked(&mut self, now: Now, mut listing: Listing, result: Result<HttpAnswer, HttpError>) {
        let page = match result {
            Ok(answer) => wire::page(&answer, self.settings.page_counts).map_err(|error| error.to_string()),
            Err(error) => Err(error.text),
        };
        let page = match page {
            Ok(page) => page,
            Err(why) => {
                if let Some(since) = self.last_look.filter(|since| is_older(now, *since, self.settings.warn_after)) {
                    self.outputs.push_back(Output::Event(Event::Blind { since }));
                }
                return self.failed(now, why);
            }
        };
        self.worked();
        if self.stopping {
            return;
        }
        match listing.take(page) {
            Looked::Further => {
                self.outputs.push_back(Output::Call(wire::get_pending(&self.settings, listing.offset())));
                self.call = Call::Look(listing);
            }
            Looked::Done { whole } => self.merge(now, listing, whole),
        }
    }

    /// Takes over what a look found.
    fn merge(&mut self, now: Now, listing: Listing, whole: bool) {
        self.next_look = now.tick + self.settings.interval;
        self.last_look = Some(now.wall);
        let unreadable = listing.unreadable();
        let found = listing.into_requests();
        let pending = found.len();
        let numbers: BTreeSet<_> = found.iter().map(|request| request.number.clone()).collect();
        if whole {
            self.settle(&numbers);
        }
        let mut new = 0;
        for request in found {
            if !self.entries.contains_key(&request.number) {
                new += 1;
                self.add(now, request);
            }
        }
        self.outputs.push_back(Output::Event(Event::Looked { pending, new, unreadable }));
        self.warn_of_old(now);
    }

    /// Decides on what was posted, by what is still pending.
    fn settle(&mut self, pending: &BTreeSet<String>) {
        let open = |entry: &Entry| matches!(entry.stage, Stage::Posted(_) | Stage::GivenUp);
        let numbers: Vec<_> = self.entries.iter().filter(|(_, entry)| open(entry)).map(|(n, _)| n.clone()).collect();
        for number in numbers {
            if !pending.contains(&number) {
                // It was taken, or the CRM waits for it no more.
                if let Some(Entry { stage: Stage::Posted(verdict), .. }) = self.entries.remove(&number) {
                    let accepted = matches!(verdict, Verdict::Accepted(_));
                    self.outputs.push_back(Output::Event(Event::Answered { number, accepted }));
                }
                continue;
            }
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            let Stage::Posted(verdict) = &entry.stage else { continue };
            if entry.posts < self.settings.answer_attempts {
                entry.stage = Stage::Ended(verdict.clone());
                self.answers.push_back(number);
            } else {
                entry.stage = Stage::GivenUp;
                self.outputs.push_back(Output::Event(Event::GivenUp { number }));
            }
        }
    }

    fn add(&mut self, now: Now, request: Pending) {
        let parts = parts(&self.name, &self.settings, &self.provider, &request);
        let told = request.members.get("executed_date").and_then(serde_json::Value::as_str);
        let since = told.and_then(|text| self.settings.utc_offset.read(text)).unwrap_or(now.wall).min(now.wall);
        // What an account is known by at the platform, unless that tells another number of it.
        let account = request.account.or_else(|| request.subscription.clone());
        // A request without a subscription stands in a line of its own.
        let line = request.subscription.unwrap_or_else(|| format!("\n{}", request.number));
        let mut entry = Entry {
            line: line.clone(),
            since,
            parts: VecDeque::new(),
            account,
            makes_account: request.kind == "BECOME_SUBSCRIBER",
            stage: Stage::Waiting,
            posts: 0,
            warned: false,
        };
        match parts {
            Ok(parts) => {
                entry.parts = parts.into();
                self.entries.insert(request.number.clone(), entry);
                let numbers = self.lines.entry(line.clone()).or_default();
                numbers.push_back(request.number);
                if numbers.len() == 1 {
                    self.ready.push_back(line);
                }
            }
            Err(Unfit { code, text }) => {
                entry.stage = Stage::Ended(Verdict::Rejected(code.to_owned(), text));
                self.answers.push_back(request.number.clone());
                self.entries.insert(request.number, entry);
            }
        }
    }

    fn warn_of_old(&mut self, now: Now) {
        for (number, entry) in &mut self.entries {
            if !entry.warned && is_older(now, entry.since, self.settings.warn_after) {
                entry.warned = true;
                let unknown = entry.stage == Stage::Unknown;
                let event = Event::Old { number: number.clone(), since: entry.since, unknown };
                self.outputs.push_back(Output::Event(event));
            }
        }
    }

    /// A call with answers ended.
    fn posted(&mut self, now: Now, numbers: Vec<String>, result: Result<HttpAnswer, HttpError>) {
        match result.map(|answer| wire::not_taken(&answer)) {
            Ok(Ok(failed)) => {
                self.worked();
                self.batch = MOST;
                // An entry that names nobody could be any of them: then the next look tells.
                let nameless = failed.iter().any(|entry| entry.number.is_none());
                for number in numbers {
                    let refusal = failed.iter().find(|entry| entry.number.as_ref() == Some(&number));
                    if refusal.is_none() && !nameless {
                        self.answered(number);
                    } else {
                        self.not_taken(number, refusal.and_then(|refusal| refusal.code.clone()));
                    }
                }
            }
            Ok(Err(CrmError::Refused { code })) => {
                // Perhaps because of one of them: fewer at a time, and in the end that one alone is told apart.
                if numbers.len() > 1 {
                    self.batch = numbers.len().div_ceil(2);
                    self.put_back(numbers);
                } else {
                    self.batch = MOST;
                    numbers.into_iter().for_each(|number| self.not_taken(number, Some(code.clone())));
                }
                self.failed(now, CrmError::Refused { code }.to_string());
            }
            Ok(Err(error @ CrmError::Unreadable { .. })) => {
                numbers.into_iter().for_each(|number| self.not_taken(number, None));
                self.failed(now, error.to_string());
            }
            Err(HttpError { text, sent: Sent::No, .. }) => {
                self.put_back(numbers);
                self.failed(now, text);
            }
            Err(HttpError { text, .. }) => {
                numbers.into_iter().for_each(|number| self.not_taken(number, None));
                self.failed(now, text);
            }
        }
    }

    fn answered(&mut self, number: String) {
        if let Some(Entry { stage: Stage::Ended(verdict), .. }) = self.entries.remove(&number) {
            let accepted = matches!(verdict, Verdict::Accepted(_));
            self.outputs.push_back(Output::Event(Event::Answered { number, accepted }));
        }
    }

    fn not_taken(&mut self, number: String, code: Option<String>) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if let Stage::Ended(verdict) = &entry.stage {
            // Only what the CRM itself refused counts: a lost answer says nothing of it.
            entry.posts += u32::from(code.is_some());
            entry.stage = Stage::Posted(verdict.clone());
        }
        self.outputs.push_back(Output::Event(Event::NotTaken { number, code }));
    }

    fn put_back(&mut self, numbers: Vec<String>) {
        numbers.into_iter().rev().for_each(|number| self.answers.push_front(number));
    }

    /// A call worked.
    fn worked(&mut self) {
        self.backoff.reset();
        if std::mem::take(&mut self.is_down) {
            self.outputs.push_back(Output::Event(Event::Up));
        }
    }

    /// A call did not work: the CRM is left alone for a while.
    fn failed(&mut self, now: Now, why: String) {
        let wait = self.backoff.wait(&mut self.jitter);
        self.is_down = true;
        self.paused_until = Some(now.tick + wait).filter(|_| !self.stopping);
        // Nothing more is tried once it is to stop.
        if self.stopping {
            self.answers.clear();
        }
        self.outputs.push_back(Output::Event(Event::Down { why, wait }));
    }
}

/// Whether `since` is longer ago than `limit`.
fn is_older(now: Now, since: Timestamp, limit: Duration) -> bool {
    let age = Duration::try_from(now.wall.duration_since(since)).unwrap_or_default();
    age > limit
}
