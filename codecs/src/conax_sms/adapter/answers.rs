//! What a round found, judged: accepted, refused with a reason, half written, gone.

use std::collections::BTreeSet;

use bytes::Bytes;
use headgate_core::Now;
use headgate_core::adapter::{FileAnswer, FileCall, FileError, FileErrorKind};
use headgate_core::failure::{Failure, Sent};
use headgate_core::outcome::{HeldService, HeldServices, Verdict};
use headgate_core::text::{CaId, Serial};
use jiff::civil::Date;

use super::super::plan::Ask;
use super::super::wire::{
    CardStatus, DecodeError, DeviceNumber, ErrorCode, ErrorEntry, ErrorsFile, Head, Order, ProductStatus, Status,
    TransactionNumber,
};
use super::flight::{Flight, Place, Settled, Stage, holds};
use super::gathering::{Batch, Member};
use super::job::refusal;
use super::reference::Stand;
use super::round::Seen;
use super::{Call, ConaxAdapter, broken_answer, is_link};

/// So many rounds in a row must miss a file before it counts as gone.
const MISSES: u32 = 3;

impl ConaxAdapter {
    /// Judges every file by what the round saw.
    pub(super) fn judge_all(&mut self, now: Now) {
        let numbers: Vec<TransactionNumber> = self.flights.keys().copied().collect();
        for number in numbers {
            let Some(flight) = self.flights.get_mut(&number) else { continue };
            match flight.stage {
                Stage::Waiting | Stage::Doubtful => match self.rounds.seen(&flight.name) {
                    Seen::Ok => self.found(now, number, Place::Ok),
                    Seen::Err => self.found(now, number, Place::Err),
                    Seen::Req => self.still_there(now, number),
                    Seen::Nowhere => self.missed(now, number),
                },
                Stage::Unput => self.put(number),
                Stage::Cleaning => self.clean(number),
                Stage::Recording | Stage::Putting | Stage::Reading | Stage::Settling | Stage::Deleting => {}
            }
        }
    }

    /// An answer is there. It is read where its contents matter: a status, a raw order, a file of an
    /// earlier life, which is believed only if it holds what its members asked.
    fn found(&mut self, now: Now, number: TransactionNumber, place: Place) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        flight.place = place;
        let contents_matter = flight.ask.is_query() || matches!(flight.ask, Ask::Raw(_));
        if flight.adopted || flight.unsure || (place == Place::Ok && contents_matter) {
            flight.stage = Stage::Reading;
            let path = self.answer_path(number);
            self.file(Call::ReadAnswer(number), FileCall::Read { path, limit: self.site.settings.answer_limit });
        } else if place == Place::Ok {
            self.accept(now, number);
        } else {
            self.refuse(now, number);
        }
    }

    fn still_there(&mut self, now: Now, number: TransactionNumber) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        flight.stage = Stage::Waiting;
        flight.missed = 0;
        if now.tick.since(flight.since) < self.site.settings.answer_timeout {
            return;
        }
        let text = "the order file lay unanswered for longer than the answer_timeout";
        self.give_up(now, number, &Failure::unanswered("no_answer", text));
    }

    fn missed(&mut self, now: Now, number: TransactionNumber) {
        let current = self.rounds.current();
        let Some(flight) = self.flights.get_mut(&number) else { return };
        if current <= flight.as_of {
            return;
        }
        if flight.adopted {
            self.never_was(now, number);
        } else if flight.stage == Stage::Doubtful {
            self.put(number);
        } else {
            flight.missed += 1;
            if flight.missed >= MISSES {
                let text = "the order file is in none of the directories any more";
                self.give_up(now, number, &Failure::unanswered("file_vanished", text));
            }
        }
    }

    pub(super) fn answer_read(&mut self, now: Now, number: TransactionNumber, result: Result<FileAnswer, FileError>) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        flight.stage = Stage::Waiting;
        match result {
            Ok(FileAnswer::Contents(contents)) => self.judge_contents(now, number, &contents),
            Ok(_) => {}
            Err(error) if error.kind == FileErrorKind::TooLarge => {
                self.give_up(
                    now,
                    number,
                    &broken_answer("answer_too_long", "the answer is longer than the answer_limit"),
                );
            }
            Err(error) if is_link(&error) => self.server_failed(now, &error),
            // Not there any more, or not readable now: the next round looks again.
            Err(_) => {}
        }
    }

    fn judge_contents(&mut self, now: Now, number: TransactionNumber, contents: &Bytes) {
        let Some(flight) = self.flights.get(&number) else { return };
        let place = flight.place;
        match &flight.ask {
            Ask::Raw(_) if place == Place::Ok => {
                for member in flight.members.clone() {
                    if let Some(job) = self.jobs.get_mut(&member.job) {
                        job.answered_raw(contents.clone());
                        job.exchanged(&[], contents);
                    }
                }
                self.accept(now, number);
            }
            Ask::Raw(_) => self.refuse(now, number),
            Ask::Order(Head::Status) if place == Place::Ok => {
                match Status::decode(contents, self.site.settings.answer_limit) {
                    Ok(status) => self.told(now, number, &status, contents),
                    Err(error) => self.unreadable(now, number, &error, contents),
                }
            }
            Ask::Order(head) => match Order::decode(head.order_type(), contents) {
                Ok(order) => {
                    let ours = order.number == number && order.head == *head;
                    self.verified(now, number, if ours { order.numbers } else { Vec::new() });
                }
                Err(error) => self.unreadable(now, number, &error, contents),
            },
        }
    }

    /// A file's contents are known: members that it does not hold were not in it.
    fn verified(&mut self, now: Now, number: TransactionNumber, numbers: Vec<DeviceNumber>) {
        let Some(flight) = self.flights.get(&number) else { return };
        let held = |member: &Member| self.planned(*member).is_some_and(|(_, own)| holds(&numbers, &own));
        let (ours, strangers): (Vec<_>, Vec<_>) = flight.members.iter().copied().partition(held);
        let place = flight.place;
        let none = ours.is_empty();
        if let Some(flight) = self.flights.get_mut(&number) {
            flight.members = ours;
            flight.numbers = numbers;
        }
        if none {
            // Somebody else's file, which is left alone.
            self.flights.remove(&number);
            self.numbers.release(number);
            self.numbers.occupied(number);
        } else if place == Place::Ok {
            self.accept(now, number);
        } else {
            self.refuse(now, number);
        }
        for member in strangers {
            self.reopen(member);
            self.advance(now, member.job);
        }
    }

    /// An answer that can not be read yet: it may be half written.
    fn unreadable(&mut self, now: Now, number: TransactionNumber, error: &DecodeError, contents: &Bytes) {
        if self.may_settle(now, number) {
            return;
        }
        self.noise(format!("an answer can not be read: {error}"), contents.clone());
        self.give_up(now, number, &broken_answer("bad_answer", &format!("the answer can not be read: {error}")));
    }

    /// Whether an answer that is not whole may still become so.
    fn may_settle(&mut self, now: Now, number: TransactionNumber) -> bool {
        let limit = self.site.settings.settle_timeout;
        self.rounds.answered();
        self.flights.get_mut(&number).is_some_and(|flight| {
            let since = *flight.settling.get_or_insert(now.tick);
            now.tick.since(since) < limit
        })
    }

    /// A status answer: each member learns what it asked about.
    fn told(&mut self, now: Now, number: TransactionNumber, status: &Status, contents: &Bytes) {
        let Some(flight) = self.flights.get(&number) else { return };
        let mut cards: Vec<&CardStatus> = status.cards.iter().collect();
        cards.sort_by_key(|card| card.card);
        let members = flight.members.clone();
        let alone = members.len() == 1;
        let adopted = flight.adopted;
        let mut strangers = Vec::new();
        for member in members {
            let Some((_, numbers)) = self.planned(member) else { continue };
            let mut own = Status::default();
            for number in &numbers {
                let found = cards.binary_search_by_key(number, |card| card.card).ok().and_then(|at| cards.get(at));
                if let Some(card) = found {
                    own.cards.push((*card).clone());
                } else if adopted {
                    strangers.push(member);
                    break;
                } else {
                    // Told nothing about: not authorised for anything [I].
                    own.cards.push(CardStatus { card: *number, products: Vec::new() });
                }
            }
            if strangers.last() == Some(&member) {
                continue;
            }
            let services = own.cards.iter().filter_map(|card| self.held(card)).collect();
            let response = if alone { contents.clone() } else { own.encode().into() };
            if let Some(job) = self.jobs.get_mut(&member.job) {
                job.told(services);
                job.exchanged(&[], &response);
            }
        }
        if let Some(flight) = self.flights.get_mut(&number) {
            flight.members.retain(|member| !strangers.contains(member));
        }
        for member in strangers {
            self.reopen(member);
            self.advance(now, member.job);
        }
        self.accept(now, number);
    }

    fn held(&self, card: &CardStatus) -> Option<HeldServices> {
        let services = card.products.iter().filter_map(|product| self.held_service(product)).collect();
        Some(HeldServices { smartcard: Some(Serial::new(card.card.as_str()).ok()?), account: None, services })
    }

    /// Days become the first and the last minute of themselves.
    fn held_service(&self, status: &ProductStatus) -> Option<HeldService> {
        let at = |date: Option<Date>, hour, minute| {
            date.and_then(|date| self.site.zone.to_timestamp(date.at(hour, minute, 0, 0)).ok())
        };
        let (code, ca_id) = match self.products.service(status.product) {
            Some((code, ca_id)) => (Some(code.clone()), ca_id.clone()),
            None => (None, CaId::new(&status.product.value().to_string()).ok()?),
        };
        Some(HeldService { code, ca_id, start: at(status.start, 0, 0), end: at(status.end, 23, 59), suspended: false })
    }

    /// The platform took the whole file.
    fn accept(&mut self, now: Now, number: TransactionNumber) {
        let Some(flight) = self.flights.get(&number) else { return };
        for member in flight.members.clone() {
            self.ended(number, member, Stand::Accepted, None, &[]);
        }
        self.remember(number, true);
        self.conclude(now, number, Vec::new());
    }

    /// The platform refused the whole file: perhaps for one card only, then the others go out again.
    fn refuse(&mut self, now: Now, number: TransactionNumber) {
        let Some(flight) = self.flights.get(&number) else { return };
        let name = flight.name;
        let entries = self.rounds.explanation(&name);
        let Some(first) = entries.first().cloned() else {
            if self.may_settle(now, number) {
                return;
            }
            let code = ErrorCode::Other("unexplained_refusal".into());
            let unexplained = ErrorEntry { file: name, code, line: None };
            return self.refuse_all(now, number, &unexplained, &[]);
        };
        self.rounds.explained(name);
        let response = ErrorsFile::encode(&entries);
        match bad_numbers(flight, &entries) {
            None => {
                let whole = entries.iter().find(|entry| entry.code != ErrorCode::CardNum).unwrap_or(&first).clone();
                self.refuse_all(now, number, &whole, &response);
            }
            Some(bad) => {
                let refused = |member: &Member| {
                    let planned = self.planned(*member);
                    planned.is_none_or(|(_, numbers)| numbers.iter().any(|number| bad.contains(number)))
                };
                let (refused, rest): (Vec<_>, Vec<_>) = flight.members.iter().copied().partition(refused);
                for member in refused {
                    let verdict = Verdict::Rejected(refusal(&first.code, first.line));
                    self.ended(number, member, Stand::Refused(first.code.clone()), Some(verdict), &response);
                }
                for member in &rest {
                    if let Some(job) = self.jobs.get_mut(&member.job) {
                        job.note(member.part, Stand::Open, None);
                    }
                }
                self.remember(number, false);
                self.conclude(now, number, rest);
            }
        }
    }

    fn refuse_all(&mut self, now: Now, number: TransactionNumber, entry: &ErrorEntry, response: &[u8]) {
        let members = self.flights.get(&number).map(|flight| flight.members.clone()).unwrap_or_default();
        let failure = match &entry.code {
            ErrorCode::Other(code) if code == "unexplained_refusal" => {
                Failure::refused(code.clone(), "the order file is in err, and no errors.txt tells why")
            }
            code => refusal(code, entry.line),
        };
        for member in members {
            let verdict = Verdict::Rejected(failure.clone());
            self.ended(number, member, Stand::Refused(entry.code.clone()), Some(verdict), response);
        }
        self.remember(number, false);
        self.conclude(now, number, Vec::new());
    }

    /// Notes how a member ended, and what was said.
    pub(super) fn ended(
        &mut self,
        number: TransactionNumber,
        member: Member,
        stand: Stand,
        verdict: Option<Verdict>,
        response: &[u8],
    ) {
        let Some(flight) = self.flights.get(&number) else { return };
        let request = self.excerpt(&flight.ask, number, flight.numbers.len(), member);
        if let Some(flight) = self.flights.get_mut(&number) {
            flight.ended.push(member);
        }
        if let Some(job) = self.jobs.get_mut(&member.job) {
            job.exchanged(&request, response);
            job.note(member.part, stand, verdict);
        }
    }

    /// Keeps the outcome of a file of an earlier life, for members that come back late.
    fn remember(&mut self, number: TransactionNumber, accepted: bool) {
        if let Some(flight) = self.flights.get(&number).filter(|flight| flight.adopted && !flight.ask.is_query()) {
            let settled = Settled { ask: flight.ask.clone(), numbers: flight.numbers.clone(), accepted };
            self.settled.insert(number, settled);
        }
    }

    /// Records the outcome, before the answer that tells it is deleted. A query can be asked again instead.
    fn conclude(&mut self, now: Now, number: TransactionNumber, rest: Vec<Member>) {
        self.rounds.answered();
        let Some(flight) = self.flights.get_mut(&number) else { return };
        flight.rest = rest;
        flight.stage = Stage::Settling;
        if flight.ask.is_query() && flight.rest.is_empty() {
            self.settle(now, number);
        } else {
            self.record(number, Call::RecordOutcome(number));
        }
    }

    /// The outcome is on disk: the answer goes, its members end, the rest goes out again.
    pub(super) fn settle(&mut self, now: Now, number: TransactionNumber) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        let ended = std::mem::take(&mut flight.ended);
        let rest = std::mem::take(&mut flight.rest);
        flight.members.clear();
        let ask = flight.ask.clone();
        if flight.given_up {
            self.forget(number);
        } else {
            self.clean(number);
        }
        if !rest.is_empty() {
            self.gathering.add_first(Batch { ask, members: rest });
        }
        for member in ended {
            if let Some(job) = self.jobs.get_mut(&member.job) {
                job.settle(member.part);
            }
            self.advance(now, member.job);
        }
    }

    fn clean(&mut self, number: TransactionNumber) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        if self.site.settings.clean_up {
            flight.stage = Stage::Deleting;
            let path = self.answer_path(number);
            self.file(Call::DeleteAnswer(number), FileCall::Delete { path });
        } else {
            self.flights.remove(&number);
            self.numbers.release(number);
        }
    }

    pub(super) fn answer_deleted(&mut self, now: Now, number: TransactionNumber, result: Result<(), FileError>) {
        match result {
            Ok(()) => {
                self.flights.remove(&number);
                self.numbers.release(number);
            }
            Err(error) => {
                if let Some(flight) = self.flights.get_mut(&number) {
                    flight.stage = Stage::Cleaning;
                }
                if is_link(&error) || error.sent == Sent::Maybe {
                    self.server_failed(now, &error);
                }
            }
        }
    }

    fn answer_path(&self, number: TransactionNumber) -> String {
        let directories = &self.site.settings.directories;
        let path = |flight: &Flight| match flight.place {
            Place::Ok => format!("{}/{}", directories.ok, flight.name),
            Place::Err => format!("{}/{}", directories.err, flight.name),
        };
        self.flights.get(&number).map(path).unwrap_or_default()
    }
}

/// The numbers at fault, if the refusal is about single numbers and tells their lines. None: it is about the
/// whole file, or can not be pinned down.
fn bad_numbers(flight: &Flight, entries: &[ErrorEntry]) -> Option<BTreeSet<DeviceNumber>> {
    let Ask::Order(head) = &flight.ask else { return None };
    if *head == Head::Pair {
        return None;
    }
    let at = |entry: &ErrorEntry| {
        let line = entry.line.filter(|_| entry.code == ErrorCode::CardNum)?;
        let index = usize::try_from(line.checked_sub(head.first_number_line())?).ok()?;
        flight.numbers.get(index).copied()
    };
    entries.iter().map(at).collect()
}
