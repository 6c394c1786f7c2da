//! One order file under way: recorded, written, waiting for its answer; and those of an earlier life.

use bytes::Bytes;
use headgate_core::adapter::{Effect, FileCall, FileError, FileErrorKind};
use headgate_core::failure::{Failure, Sent};
use headgate_core::outcome::Verdict;
use headgate_core::{Now, Tick};

use super::super::plan::Ask;
use super::super::wire::{DeviceNumber, FileName, Head, TransactionNumber};
use super::gathering::{Batch, Member};
use super::reference::Stand;
use super::{Call, ConaxAdapter, Server, is_link};

/// How often a file is tried that the server does not take.
const PUT_TRIES: u32 = 5;

/// A file under way.
pub(super) struct Flight {
    pub(super) name: FileName,
    pub(super) ask: Ask,
    pub(super) members: Vec<Member>,
    /// Its numbers in the order of their lines. Of an adopted file: once it was read.
    pub(super) numbers: Vec<DeviceNumber>,
    /// Its bytes, until they are known to be on the server.
    contents: Bytes,
    pub(super) stage: Stage,
    /// Written in an earlier life.
    pub(super) adopted: bool,
    /// The server did not say whether it took the file: one of that name may be a stranger's.
    pub(super) unsure: bool,
    /// It is, or may be, on the server.
    written: bool,
    /// Its answer is not waited for any more.
    pub(super) given_up: bool,
    /// The round under way when it was last written to the server. Only a later round can miss it.
    pub(super) as_of: u64,
    /// When it was written.
    pub(super) since: Tick,
    /// Since when its answer is there, but half written or unexplained.
    pub(super) settling: Option<Tick>,
    /// Rounds in a row that did not see it.
    pub(super) missed: u32,
    puts: u32,
    /// Members whose outcome is recorded.
    pub(super) ended: Vec<Member>,
    /// Members that go out again.
    pub(super) rest: Vec<Member>,
    /// Where its answer lies.
    pub(super) place: Place,
}

/// What comes next for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its references are being recorded.
    Recording,
    /// Recorded; to be written at the next round that goes through.
    Unput,
    /// Being written.
    Putting,
    /// Written or not: the next round tells.
    Doubtful,
    /// On the server.
    Waiting,
    /// Its answer is being read.
    Reading,
    /// Its outcome is being recorded.
    Settling,
    /// Its answer is to be deleted at the next round that goes through.
    Cleaning,
    /// Its answer is being deleted.
    Deleting,
}

/// Where an answer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Ok,
    Err,
}

/// What became of a file of an earlier life.
pub(super) struct Settled {
    pub(super) ask: Ask,
    pub(super) numbers: Vec<DeviceNumber>,
    pub(super) accepted: bool,
}

impl ConaxAdapter {
    /// Writes the batches that are ready, as far as files may be under way.
    pub(super) fn launch(&mut self, now: Now) {
        while self.server == Server::Up
            && self.gathering.has_ready()
            && self.flights.len() < self.site.settings.max_files_in_flight
            && !self.numbers.are_exhausted()
        {
            let Some(mut batch) = self.gathering.take_ready() else { break };
            self.drop_ending(now, &mut batch);
            if batch.members.is_empty() {
                continue;
            }
            let Some(number) = self.numbers.take() else {
                self.gathering.add_first(batch);
                let text = "no transaction number is free; delete old answers, or widen the range of numbers";
                self.noise(text, Bytes::new());
                break;
            };
            self.depart(batch, number);
        }
    }

    /// Leaves out the parts of submissions that end anyway.
    fn drop_ending(&mut self, now: Now, batch: &mut Batch) {
        let mut dropped = Vec::new();
        let jobs = &self.jobs;
        batch.members.retain(|member| {
            let ends = jobs.get(&member.job).is_none_or(super::job::Job::is_ending);
            if ends {
                dropped.push(*member);
            }
            !ends
        });
        for member in dropped {
            self.reopen(member);
            self.advance(now, member.job);
        }
    }

    fn depart(&mut self, batch: Batch, number: TransactionNumber) {
        let Batch { ask, members } = batch;
        let name = FileName { order_type: ask.order_type(), number };
        let mut numbers = Vec::new();
        for member in &members {
            if let Some(job) = self.jobs.get_mut(&member.job) {
                job.enter(member.part, name);
                numbers.extend(job.part(member.part).into_iter().flat_map(|part| part.numbers.iter().copied()));
            }
        }
        if ask != Ask::Order(Head::Pair) {
            numbers.sort_unstable();
            numbers.dedup();
        }
        let contents = ask.encode(&self.site, number, numbers.len(), &numbers).into();
        self.abandoned.remove(&name);
        let flight = Flight { numbers, contents, stage: Stage::Recording, ..Flight::new(name, ask, members) };
        self.flights.insert(number, flight);
        self.record(number, Call::RecordSending(number));
    }

    /// Records where the members of a file stand.
    pub(super) fn record(&mut self, number: TransactionNumber, call: Call) {
        let members = self.flights.get(&number).map_or(&[][..], |flight| &flight.members);
        let reference = |member: &Member| Some((member.job, self.jobs.get(&member.job)?.reference()?));
        let references = members.iter().filter_map(reference).collect();
        self.effect(call, Effect::Record(references));
    }

    pub(super) fn put(&mut self, number: TransactionNumber) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        if self.server != Server::Up {
            flight.stage = Stage::Unput;
            return;
        }
        flight.stage = Stage::Putting;
        flight.puts += 1;
        let directory = &self.site.settings.directories.req;
        let path = format!("{directory}/{}", flight.name);
        let temporary = format!("{directory}/{}", flight.name.temporary(&self.site.settings.temporary_suffix));
        let contents = flight.contents.clone();
        self.file(Call::Put(number), FileCall::Put { path, temporary, contents });
    }

    pub(super) fn was_put(&mut self, now: Now, number: TransactionNumber, result: Result<(), FileError>) {
        let current = self.rounds.current();
        let Some(flight) = self.flights.get_mut(&number) else { return };
        match result {
            Ok(()) => {
                flight.stage = Stage::Waiting;
                flight.contents = Bytes::new();
                flight.unsure = false;
                flight.written = true;
                flight.as_of = current;
                flight.since = now.tick;
                self.rounds.expect(now.tick);
            }
            Err(error) if error.kind == FileErrorKind::Exists && flight.puts == 1 => self.renumber(now, number),
            Err(error) => {
                // A file that exists at a second try is ours, or a stranger's: the round tells by its contents.
                let unsure = error.sent != Sent::No || error.kind == FileErrorKind::Exists;
                flight.stage = if unsure { Stage::Doubtful } else { Stage::Unput };
                flight.as_of = current;
                flight.since = now.tick;
                flight.unsure = unsure;
                flight.written |= unsure;
                if is_link(&error) {
                    flight.puts = if unsure { flight.puts } else { 0 };
                    self.server_failed(now, &error);
                } else if flight.puts >= PUT_TRIES {
                    let sent = if unsure { Sent::Maybe } else { Sent::No };
                    let failure = Failure { sent, ..Failure::not_sent("file_not_written", error.text) };
                    self.give_up(now, number, &failure);
                } else {
                    self.rounds.expect(now.tick);
                }
            }
        }
    }

    /// Somebody else has a file of that name: another number is taken, and recorded.
    fn renumber(&mut self, now: Now, number: TransactionNumber) {
        self.numbers.occupied(number);
        let Some(flight) = self.flights.remove(&number) else { return };
        self.numbers.release(number);
        for member in &flight.members {
            if let Some(job) = self.jobs.get_mut(&member.job) {
                job.was_not_in(flight.name);
            }
        }
        match self.numbers.take() {
            Some(next) => self.depart(Batch { ask: flight.ask, members: flight.members }, next),
            None => {
                self.flights.insert(number, flight);
                let text = "no transaction number is free; delete old answers, or widen the range of numbers";
                self.give_up(now, number, &Failure::not_sent("no_free_number", text));
            }
        }
    }

    /// Ends a file's members with a failure. If it may have been carried out, that is recorded before
    /// anything is deleted: after a restart it must not look as if it had never been written.
    pub(super) fn give_up(&mut self, now: Now, number: TransactionNumber, failure: &Failure) {
        let Some(flight) = self.flights.get(&number) else { return };
        let unsent = failure.sent == Sent::No;
        let stand = if unsent { Stand::Open } else { Stand::Lost };
        for member in flight.members.clone() {
            self.ended(number, member, stand.clone(), Some(Verdict::Failed(failure.clone())), &[]);
        }
        if let Some(flight) = self.flights.get_mut(&number) {
            flight.given_up = true;
            flight.stage = Stage::Settling;
        }
        if unsent {
            self.settle(now, number);
        } else {
            self.record(number, Call::RecordOutcome(number));
        }
    }

    /// Forgets a file that was given up. It is withdrawn, so that it can not be carried out after a newer
    /// order; it may have been read already.
    pub(super) fn forget(&mut self, number: TransactionNumber) {
        let Some(flight) = self.flights.remove(&number) else { return };
        self.numbers.release(number);
        if !flight.written {
            return;
        }
        let path = format!("{}/{}", self.site.settings.directories.req, flight.name);
        self.file(Call::Tidy, FileCall::Delete { path });
        if !flight.adopted {
            self.abandoned.insert(flight.name);
        }
    }

    /// A part was in the file of that number in an earlier life.
    pub(super) fn adopt(&mut self, now: Now, member: Member, number: TransactionNumber) {
        let Some((ask, numbers)) = self.planned(member) else { return };
        if let Some(settled) = self.settled.get(&number) {
            let accepted = settled.accepted && settled.ask == ask && holds(&settled.numbers, &numbers);
            if let Some(job) = self.jobs.get_mut(&member.job) {
                job.note(member.part, if accepted { Stand::Accepted } else { Stand::Open }, None);
                job.settle(member.part);
            }
            return;
        }
        if self.numbers.is_born(number) {
            // The number is used anew, so the earlier file was nowhere when it was taken.
            self.reopen(member);
            return;
        }
        let name = FileName { order_type: ask.order_type(), number };
        let current = self.rounds.current();
        let flight = self.flights.entry(number).or_insert_with(|| Flight {
            stage: Stage::Waiting,
            adopted: true,
            written: true,
            ..Flight::new(name, ask.clone(), Vec::new())
        });
        flight.as_of = current;
        flight.since = now.tick;
        if flight.ask == ask {
            flight.members.push(member);
            if let Some(job) = self.jobs.get_mut(&member.job) {
                job.enter(member.part, name);
            }
        } else {
            self.reopen(member);
        }
        self.numbers.adopt(number);
        self.rounds.expect(now.tick);
    }

    /// An adopted file is nowhere: it was never written. Its parts are gathered anew; half of it may lie there.
    pub(super) fn never_was(&mut self, now: Now, number: TransactionNumber) {
        let Some(flight) = self.flights.remove(&number) else { return };
        self.numbers.release(number);
        if self.rounds.sees_temporary(&flight.name) {
            let temporary = flight.name.temporary(&self.site.settings.temporary_suffix);
            let path = format!("{}/{temporary}", self.site.settings.directories.req);
            self.file(Call::Tidy, FileCall::Delete { path });
        }
        for member in flight.members {
            self.reopen(member);
            self.advance(now, member.job);
        }
    }

    /// What a member's part asks, and for whom.
    pub(super) fn planned(&self, member: Member) -> Option<(Ask, Vec<DeviceNumber>)> {
        let part = self.jobs.get(&member.job)?.part(member.part)?;
        Some((part.ask.clone(), part.numbers.clone()))
    }

    /// A file's lines as sent, of the numbers only a member's own.
    pub(super) fn excerpt(&self, ask: &Ask, number: TransactionNumber, count: usize, member: Member) -> Vec<u8> {
        let numbers = self.jobs.get(&member.job).and_then(|job| job.part(member.part)).map(|part| &part.numbers);
        ask.encode(&self.site, number, count, numbers.map_or(&[], |numbers| numbers))
    }
}

impl Flight {
    const fn new(name: FileName, ask: Ask, members: Vec<Member>) -> Self {
        Self {
            name,
            ask,
            members,
            numbers: Vec::new(),
            contents: Bytes::new(),
            stage: Stage::Recording,
            adopted: false,
            unsure: false,
            written: false,
            given_up: false,
            as_of: 0,
            since: Tick::new(std::time::Duration::ZERO),
            settling: None,
            missed: 0,
            puts: 0,
            ended: Vec::new(),
            rest: Vec::new(),
            place: Place::Ok,
        }
    }
}

/// Whether `all`, in any order, holds each of `some`.
pub(super) fn holds(all: &[DeviceNumber], some: &[DeviceNumber]) -> bool {
    if all.is_sorted() {
        some.iter().all(|number| all.binary_search(number).is_ok())
    } else {
        some.iter().all(|number| all.contains(number))
    }
}
