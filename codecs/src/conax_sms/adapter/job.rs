//! One submission: its parts, where each stands, and what becomes of it.

use std::sync::Arc;

use bytes::Bytes;
use headgate_core::failure::{Failure, Sent};
use headgate_core::outcome::{Answer, Exchange, HeldServices, Outcome, RawAnswer, Verdict};
use headgate_core::request::{Priority, Request};
use headgate_core::text::PlatformReference;

use super::super::plan::Part;
use super::super::wire::{ErrorCode, FileName, Period};
use super::reference::{Record, Stand, WINDOW};

/// Most characters of the files' names an outcome tells.
const NAMES_LIMIT: usize = PlatformReference::LIMIT;

/// A submission on its way.
pub(super) struct Job {
    pub(super) request: Arc<Request>,
    pub(super) period: Option<Period>,
    pub(super) parts: Vec<Part>,
    stands: Vec<Stand>,
    /// So many parts are accepted, from the first on.
    done: usize,
    /// Parts that are gathered, or in a file whose outcome is not settled.
    outstanding: usize,
    gathered: Vec<bool>,
    /// Some of it has been written to the server at some time.
    written: bool,
    ending: Option<Verdict>,
    /// The files it was in, the newest last.
    files: Vec<FileName>,
    request_bytes: Vec<u8>,
    response_bytes: Vec<u8>,
    services: Vec<HeldServices>,
    raw: Option<Bytes>,
}

impl Job {
    pub(super) fn new(request: Arc<Request>, period: Option<Period>, parts: Vec<Part>) -> Self {
        Self {
            request,
            period,
            stands: vec![Stand::Open; parts.len()],
            gathered: vec![false; parts.len()],
            parts,
            done: 0,
            outstanding: 0,
            written: false,
            ending: None,
            files: Vec::new(),
            request_bytes: Vec::new(),
            response_bytes: Vec::new(),
            services: Vec::new(),
            raw: None,
        }
    }

    /// Takes up what was recorded. False: the record does not fit these parts.
    pub(super) fn restore(&mut self, record: &Record) -> bool {
        if record.total != self.parts.len() {
            return false;
        }
        self.written = true;
        self.done = record.done;
        let stands = std::iter::repeat_n(&Stand::Accepted, record.done).chain(&record.window);
        for (slot, stand) in self.stands.iter_mut().zip(stands) {
            *slot = stand.clone();
            let ending = match stand {
                Stand::Refused(code) => Verdict::Rejected(refusal(code, None)),
                Stand::Lost => Verdict::Failed(Failure::unanswered("no_answer", "was given up before the restart")),
                Stand::Open | Stand::In(_) | Stand::Accepted => continue,
            };
            self.ending.get_or_insert(ending);
        }
        self.outstanding = self.stands.iter().filter(|stand| matches!(stand, Stand::In(_))).count();
        true
    }

    /// The reference that lets it be taken up again.
    pub(super) fn reference(&self) -> Option<PlatformReference> {
        // The answer to a query is not recorded, so it is asked for again.
        let kept = |(stand, part): (&Stand, &Part)| match stand {
            Stand::Accepted | Stand::Lost if part.ask.is_query() => Stand::Open,
            other => other.clone(),
        };
        let query = self.parts.first().is_some_and(|part| part.ask.is_query());
        let done = if query { 0 } else { self.done };
        let mut window: Vec<Stand> = self.stands.iter().zip(&self.parts).skip(done).take(WINDOW).map(kept).collect();
        while window.last() == Some(&Stand::Open) {
            window.pop();
        }
        Record { period: self.period, done, total: self.parts.len(), window }.encode()
    }

    pub(super) fn is_express(&self) -> bool {
        self.request.priority == Priority::Express
    }

    /// Whether nothing of it was ever given a file.
    pub(super) const fn is_untouched(&self) -> bool {
        !self.written
    }

    pub(super) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    pub(super) fn part(&self, part: usize) -> Option<&Part> {
        self.parts.get(part)
    }

    /// The parts that are in files, with the files' numbers.
    pub(super) fn in_files(&self) -> Vec<(usize, super::super::wire::TransactionNumber)> {
        let number = |(part, stand): (usize, &Stand)| match stand {
            Stand::In(number) => Some((part, *number)),
            _ => None,
        };
        self.stands.iter().enumerate().filter_map(number).collect()
    }

    /// The parts to gather next; they count as outstanding from now on.
    pub(super) fn take_ready(&mut self) -> Vec<usize> {
        while self.stands.get(self.done) == Some(&Stand::Accepted) {
            self.done += 1;
        }
        let step = self.parts.get(self.done).map(|part| part.step);
        if self.ending.is_some() {
            return Vec::new();
        }
        let mut ready = Vec::new();
        for index in self.done..self.parts.len().min(self.done + WINDOW) {
            let same_step = self.parts.get(index).map(|part| part.step) == step;
            let open = self.stands.get(index) == Some(&Stand::Open);
            if let Some(gathered) = self.gathered.get_mut(index)
                && same_step
                && open
                && !*gathered
            {
                *gathered = true;
                ready.push(index);
            }
        }
        self.outstanding += ready.len();
        ready
    }

    /// A gathered part goes into a file.
    pub(super) fn enter(&mut self, part: usize, name: FileName) {
        self.written = true;
        self.set(part, Stand::In(name.number));
        self.files.push(name);
    }

    /// A file of that name was not ours.
    pub(super) fn was_not_in(&mut self, name: FileName) {
        self.files.retain(|file| *file != name);
    }

    /// Notes how a part ended. It stays outstanding until [`Job::settle`].
    pub(super) fn note(&mut self, part: usize, stand: Stand, verdict: Option<Verdict>) {
        self.set(part, stand);
        if let Some(verdict) = verdict {
            self.ending.get_or_insert(verdict);
        }
    }

    /// A part is outstanding no more; if it is open it can be gathered again.
    pub(super) fn settle(&mut self, part: usize) {
        self.outstanding = self.outstanding.saturating_sub(1);
        if let Some(gathered) = self.gathered.get_mut(part) {
            *gathered = false;
        }
    }

    pub(super) fn exchanged(&mut self, request: &[u8], response: &[u8]) {
        self.request_bytes.extend_from_slice(request);
        self.response_bytes.extend_from_slice(response);
    }

    pub(super) fn told(&mut self, services: Vec<HeldServices>) {
        self.services.extend(services);
    }

    pub(super) fn answered_raw(&mut self, contents: Bytes) {
        self.raw = Some(contents);
    }

    /// Its outcome, if nothing is outstanding and nothing is left to do.
    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        if self.outstanding > 0 {
            return None;
        }
        let verdict = match self.ending.take() {
            Some(Verdict::Failed(mut failure)) => {
                let accepted = self.stands.contains(&Stand::Accepted);
                if failure.sent == Sent::No && accepted {
                    failure.sent = Sent::Maybe;
                }
                Verdict::Failed(failure)
            }
            Some(verdict) => verdict,
            None if self.done < self.parts.len() => return None,
            None => Verdict::Completed(self.answer()),
        };
        let reference = PlatformReference::new(&self.names()).ok();
        let exchange = Exchange {
            request: std::mem::take(&mut self.request_bytes).into(),
            response: std::mem::take(&mut self.response_bytes).into(),
        };
        Some(Outcome { verdict, reference, exchange })
    }

    /// As many names as a reference holds.
    fn names(&self) -> String {
        let mut names = String::new();
        for file in &self.files {
            let name = file.to_string();
            if names.len() + 1 + name.len() > NAMES_LIMIT {
                break;
            }
            if !names.is_empty() {
                names.push(',');
            }
            names.push_str(&name);
        }
        names
    }

    fn answer(&mut self) -> Option<Answer> {
        if let Some(raw) = self.raw.take() {
            return Some(Answer::Raw(RawAnswer(raw)));
        }
        let query = self.parts.first().is_some_and(|part| part.ask.is_query());
        query.then(|| Answer::Services(std::mem::take(&mut self.services)))
    }

    fn set(&mut self, part: usize, stand: Stand) {
        if let Some(slot) = self.stands.get_mut(part) {
            *slot = stand;
        }
    }
}

/// The platform's refusal, in its words.
pub(super) fn refusal(code: &ErrorCode, line: Option<u32>) -> Failure {
    let place = line.map(|line| format!(" (line {line} of the order file)")).unwrap_or_default();
    Failure::refused(code.as_str().to_owned(), format!("{}{place}", code.meaning()))
}
