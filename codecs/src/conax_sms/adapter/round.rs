//! Looking at the directories: `req`, then `ok`, then `err`, in this order, so that a file that moves
//! meanwhile is seen at least once; then `errors.txt` where it is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{FileAnswer, FileCall, FileError, FileErrorKind};
use headgate_core::{Now, Tick};

use super::super::settings::Site;
use super::super::wire::{ErrorEntry, ErrorsFile, FileName, Tail};
use super::flight::{Flight, Stage};
use super::{Call, ConaxAdapter};

/// Longest wait before a server that failed is tried again.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// The rounds, one after the other.
pub(super) struct Rounds {
    /// The round under way, or the last one; they are counted from one.
    current: u64,
    /// Absent: no round is under way.
    step: Option<Step>,
    /// When the next round begins; absent: not started.
    next_at: Option<Tick>,
    /// How long after a round the next one begins, and after a failed one.
    delay: Duration,
    retry: Duration,
    shortest: Duration,
    longest: Duration,
    idle: Duration,
    look: Look,
    /// The places of `errors.txt`, and what each held when it was last read.
    errors: Vec<(String, Errors)>,
    /// Files whose refusal was read there.
    explained: BTreeSet<FileName>,
    /// A part of the server's answer was for us since the last round.
    answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Req,
    Ok,
    Err,
    Errors(usize),
}

/// What lies in the directories.
#[derive(Default)]
struct Look {
    req: BTreeSet<FileName>,
    temporary: BTreeSet<FileName>,
    ok: BTreeSet<FileName>,
    err: BTreeSet<FileName>,
}

/// What an `errors.txt` held.
#[derive(Default)]
struct Errors {
    contents: Bytes,
    /// Since when it holds this.
    since: Tick,
    file: ErrorsFile,
    by_name: BTreeMap<FileName, Vec<ErrorEntry>>,
}

/// Where a file was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Req,
    Ok,
    Err,
    Nowhere,
}

impl Rounds {
    pub(super) fn new(site: &Site) -> Self {
        let settings = &site.settings;
        let places = [Some(&settings.directories.errors_file), settings.directories.second_errors_file.as_ref()];
        Self {
            current: 0,
            step: None,
            next_at: None,
            delay: settings.poll_interval,
            retry: settings.poll_interval,
            shortest: settings.poll_interval,
            longest: settings.longest_poll_interval,
            idle: settings.idle_poll_interval,
            look: Look::default(),
            errors: places.into_iter().flatten().map(|path| (path.clone(), Errors::default())).collect(),
            explained: BTreeSet::new(),
            answered: false,
        }
    }

    pub(super) const fn start(&mut self, now: Tick) {
        self.next_at = Some(now);
    }

    pub(super) const fn current(&self) -> u64 {
        self.current
    }

    /// When the next round begins; none while one is under way.
    pub(super) fn next_at(&self) -> Option<Tick> {
        if self.step.is_some() { None } else { self.next_at }
    }

    /// The next round begins as soon as none is under way.
    pub(super) fn hurry(&mut self, now: Tick) {
        if self.next_at.is_some() {
            self.next_at = Some(now);
        }
    }

    /// Something new lies in the directories: they are looked at after the shortest interval.
    pub(super) fn expect(&mut self, now: Tick) {
        self.delay = self.shortest;
        let soon = now + self.shortest;
        self.next_at = self.next_at.map(|at| at.min(soon));
    }

    /// The round did not go through.
    pub(super) fn failed(&mut self, now: Tick) {
        // Calls that were under way fail together with the first: that makes one wait longer, not one for each.
        let waiting = self.retry > self.shortest && self.next_at.is_some_and(|at| at > now);
        if self.step.take().is_none() && waiting {
            return;
        }
        self.next_at = Some(now + self.retry);
        self.retry = (self.retry * 2).min(LONGEST_RETRY.max(self.shortest));
    }

    /// An answer was found.
    pub(super) const fn answered(&mut self) {
        self.answered = true;
    }

    pub(super) fn seen(&self, name: &FileName) -> Seen {
        // A status order may lie in `req` still, when its answer is in `ok` already.
        if self.look.ok.contains(name) {
            Seen::Ok
        } else if self.look.err.contains(name) {
            Seen::Err
        } else if self.look.req.contains(name) {
            Seen::Req
        } else {
            Seen::Nowhere
        }
    }

    pub(super) fn sees_temporary(&self, name: &FileName) -> bool {
        self.look.temporary.contains(name)
    }

    /// What `errors.txt` tells of a file.
    pub(super) fn explanation(&self, name: &FileName) -> Vec<ErrorEntry> {
        self.errors.iter().flat_map(|(_, errors)| errors.by_name.get(name).into_iter().flatten().cloned()).collect()
    }

    /// The refusal of a file was read and dealt with.
    pub(super) fn explained(&mut self, name: FileName) {
        self.explained.insert(name);
    }

    pub(super) fn errors_deleted(&mut self) {
        for (_, errors) in &mut self.errors {
            *errors = Errors::default();
        }
        self.explained.clear();
    }

    /// The places of `errors.txt`, if each of its lines is of a file of ours that was dealt with.
    fn errors_to_delete(&self) -> Vec<String> {
        let dealt_with = |errors: &Errors| {
            errors.file.strange.is_empty()
                && errors.file.incomplete.is_none()
                && errors.by_name.keys().all(|name| self.explained.contains(name))
        };
        if !self.errors.iter().all(|(_, errors)| dealt_with(errors)) {
            return Vec::new();
        }
        let written = |(path, errors): &(String, Errors)| (!errors.contents.is_empty()).then(|| path.clone());
        self.errors.iter().filter_map(written).collect()
    }

    /// Every transaction number that is seen anywhere.
    fn numbers(&self) -> BTreeSet<u32> {
        let look = &self.look;
        let files = look.req.iter().chain(&look.temporary).chain(&look.ok).chain(&look.err);
        let told = self.errors.iter().flat_map(|(_, errors)| errors.by_name.keys());
        files.chain(told).map(|name| name.number.value()).collect()
    }
}

impl Errors {
    /// What did not grow for `settled` is whole, also without an end of line.
    fn read(&mut self, now: Tick, settled: Duration, contents: Bytes) {
        let since = if contents == self.contents { self.since } else { now };
        let tail = if now.since(since) >= settled { Tail::Final } else { Tail::MayGrow };
        let file = ErrorsFile::decode(&contents, tail);
        let mut by_name: BTreeMap<FileName, Vec<ErrorEntry>> = BTreeMap::new();
        for entry in &file.entries {
            by_name.entry(entry.file).or_default().push(entry.clone());
        }
        *self = Self { contents, since, file, by_name };
    }
}

impl ConaxAdapter {
    /// Begins a round, if it is time.
    pub(super) fn begin_round(&mut self, now: Now) {
        if self.rounds.next_at().is_some_and(|at| at <= now.tick) {
            self.rounds.current += 1;
            self.rounds.look = Look::default();
            self.step(Step::Req);
        }
    }

    fn step(&mut self, step: Step) {
        self.rounds.step = Some(step);
        let directories = &self.site.settings.directories;
        let list = |directory: &String| FileCall::List { directory: directory.clone() };
        let call = match step {
            Step::Req => list(&directories.req),
            Step::Ok => list(&directories.ok),
            Step::Err => list(&directories.err),
            Step::Errors(index) => {
                let path = self.rounds.errors.get(index).map(|(path, _)| path.clone()).unwrap_or_default();
                FileCall::Read { path, limit: self.site.settings.answer_limit }
            }
        };
        self.file(Call::Round, call);
    }

    pub(super) fn round_stepped(&mut self, now: Now, result: Result<FileAnswer, FileError>) {
        let Some(step) = self.rounds.step else { return };
        match (step, result) {
            (Step::Errors(index), result) => {
                let contents = match result {
                    Ok(FileAnswer::Contents(contents)) => contents,
                    Ok(_) => Bytes::new(),
                    Err(error) if error.kind == FileErrorKind::NotFound => Bytes::new(),
                    Err(error) if error.kind == FileErrorKind::TooLarge => {
                        self.noise("errors.txt is longer than the answer_limit; delete it", Bytes::new());
                        Bytes::new()
                    }
                    Err(error) => return self.server_failed(now, &error),
                };
                if let Some((_, errors)) = self.rounds.errors.get_mut(index) {
                    errors.read(now.tick, self.site.settings.settle_timeout / 2, contents);
                }
                self.step_errors(now, index + 1);
            }
            (step, Ok(FileAnswer::Names(names))) => {
                self.listed(step, &names);
                match step {
                    Step::Req => self.step(Step::Ok),
                    Step::Ok => self.step(Step::Err),
                    Step::Err | Step::Errors(_) if self.needs_errors() => self.step_errors(now, 0),
                    Step::Err | Step::Errors(_) => self.round_complete(now),
                }
            }
            (_, Ok(_)) => {
                let text = "a directory was listed, and something else was answered".to_owned();
                let kind = FileErrorKind::Other;
                self.server_failed(now, &FileError { kind, text, sent: headgate_core::failure::Sent::No });
            }
            (_, Err(error)) => self.server_failed(now, &error),
        }
    }

    fn listed(&mut self, step: Step, names: &[String]) {
        let suffix = &self.site.settings.temporary_suffix;
        let look = &mut self.rounds.look;
        let ours = names.iter().filter_map(|name| FileName::parse(name));
        match step {
            Step::Req => {
                look.req = ours.collect();
                let temporary =
                    |name: &String| FileName::parse(&format!("{}.emm", name.strip_suffix(suffix.as_str())?));
                look.temporary = names.iter().filter_map(temporary).collect();
            }
            Step::Ok => look.ok = ours.collect(),
            Step::Err => look.err = ours.collect(),
            Step::Errors(_) => {}
        }
    }

    /// At the first round, for the numbers that are told there; later when a file of ours was refused.
    fn needs_errors(&self) -> bool {
        let look = &self.rounds.look;
        let refused = |flight: &Flight| {
            look.err.contains(&flight.name) && matches!(flight.stage, Stage::Waiting | Stage::Doubtful | Stage::Putting)
        };
        self.server != super::Server::Up || self.flights.values().any(refused)
    }

    fn step_errors(&mut self, now: Now, index: usize) {
        if index < self.rounds.errors.len() {
            self.step(Step::Errors(index));
        } else {
            self.round_complete(now);
        }
    }

    fn round_complete(&mut self, now: Now) {
        self.rounds.step = None;
        self.rounds.retry = self.rounds.shortest;
        self.numbers.look(self.rounds.numbers());
        self.server_answers();
        self.rounds.answered = false;
        self.judge_all(now);
        self.tidy();
        let rounds = &mut self.rounds;
        rounds.delay = if rounds.answered { rounds.shortest } else { rounds.delay };
        let wait = if self.flights.is_empty() && self.probes.is_empty() { rounds.idle } else { rounds.delay };
        rounds.next_at = Some(now.tick + wait);
        rounds.delay = (rounds.delay * 2).min(rounds.longest);
    }

    /// Deletes late answers to files that were given up, and an `errors.txt` that nobody needs any more.
    fn tidy(&mut self) {
        if !self.site.settings.clean_up {
            return;
        }
        let directories = &self.site.settings.directories;
        let late = |name: &FileName| match self.rounds.seen(name) {
            Seen::Ok => Some((*name, format!("{}/{name}", directories.ok))),
            Seen::Err => Some((*name, format!("{}/{name}", directories.err))),
            Seen::Req | Seen::Nowhere => None,
        };
        let late: Vec<_> = self.abandoned.iter().filter_map(late).collect();
        for (name, path) in late {
            self.abandoned.remove(&name);
            self.file(Call::Tidy, FileCall::Delete { path });
        }
        if self.flights.is_empty() {
            for path in self.rounds.errors_to_delete() {
                self.file(Call::DeleteErrors, FileCall::Delete { path });
            }
        }
    }
}
