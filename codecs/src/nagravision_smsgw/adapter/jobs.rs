//! Submissions under way: their messages written, their answers gathered, their end told once.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headgate_core::Now;
use headgate_core::adapter::{Event, Submission, SubmissionId};
use headgate_core::failure::{Failure, Sent};
use headgate_core::outcome::{Answer, Exchange, HeldServices, Outcome, Pairing, RawAnswer, Verdict};
use headgate_core::request::Request;
use headgate_core::text::PlatformReference;

use super::super::speech::{Content, refusal};
use super::links::Fresh;
use super::{Purpose, SmsGateway};

/// Where a submission stands in the table of those under way.
pub(super) type JobKey = usize;

/// A submission under way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: SubmissionId,
    pub(super) request: Arc<Request>,
    slot: usize,
    /// How many messages it needs, and the index of the next one to write.
    parts: usize,
    next: usize,
    /// Messages written and not answered.
    outstanding: usize,
    /// Each message waits for the answer to the one before.
    in_order: bool,
    /// What went out; empty: nothing left yet.
    pub(super) sent: Bytes,
    received: Bytes,
    /// What decided against it.
    trouble: Option<Verdict>,
    /// What was told, by the index of the message that asked.
    told: Vec<(usize, Told)>,
    reference: Option<PlatformReference>,
}

/// What a positive answer tells.
#[derive(Debug)]
pub(super) enum Told {
    Services(HeldServices),
    Pairing(Pairing),
    Raw(Bytes),
}

/// What an answer means for one message of a submission.
#[derive(Debug)]
pub(super) enum PartEnd {
    Done { told: Option<Told>, reference: Option<PlatformReference> },
    Trouble(Verdict),
}

impl Job {
    fn is_over(&self) -> bool {
        self.outstanding == 0 && (self.next >= self.parts || (self.in_order && self.trouble.is_some()))
    }

    /// The first refusal decides; before one, what went wrong first.
    fn note(&mut self, trouble: Verdict) {
        let refused_first =
            matches!(trouble, Verdict::Rejected(_)) && !matches!(self.trouble, Some(Verdict::Rejected(_)));
        if self.trouble.is_none() || refused_first {
            self.trouble = Some(trouble);
        }
    }

    fn outcome(mut self) -> Outcome {
        let verdict = match self.trouble.take() {
            Some(trouble) => trouble,
            None => Verdict::Completed(self.answer()),
        };
        let exchange = Exchange { request: self.sent, response: self.received };
        Outcome { verdict, reference: self.reference, exchange }
    }

    /// What was told, in the order asked. All messages of one submission ask the same kind of question.
    fn answer(&mut self) -> Option<Answer> {
        self.told.sort_by_key(|(index, _)| *index);
        let mut services = Vec::new();
        let mut pairings = Vec::new();
        for (_, told) in self.told.drain(..) {
            match told {
                Told::Services(held) => services.push(held),
                Told::Pairing(pairing) => pairings.push(pairing),
                Told::Raw(bytes) => return Some(Answer::Raw(RawAnswer(bytes))),
            }
        }
        match (services.is_empty(), pairings.is_empty()) {
            (false, _) => Some(Answer::Services(services)),
            (true, false) => Some(Answer::Pairings(pairings)),
            (true, true) => None,
        }
    }
}

/// Adds bytes to those kept; the first are shared, not copied.
pub(super) fn append(kept: &mut Bytes, more: Bytes) {
    if kept.is_empty() {
        *kept = more;
        return;
    }
    let mut both = BytesMut::with_capacity(kept.len() + more.len());
    both.extend_from_slice(kept);
    both.extend_from_slice(&more);
    *kept = both.freeze();
}

impl SmsGateway {
    /// Gives a submission to the link with the fewest.
    pub(super) fn take_on(&mut self, now: Now, submission: Submission) {
        let free = self.links.iter().enumerate().filter(|(_, link)| link.room() > 0);
        let slot = free.min_by_key(|(_, link)| link.jobs).map(|(slot, _)| slot);
        let parts = self.speech.parts(&submission.request.command);
        let refusal = match slot {
            _ if self.draining => Some(Failure::not_sent("stopping", "the provider is being stopped")),
            None => Some(Failure::not_sent("no_room", "no link is up, or all are full")),
            Some(_) if parts == 0 => Some(Failure::unspeakable("missing_field", "smartcards: name at least one")),
            Some(_) => None,
        };
        let slot = slot.unwrap_or_default();
        if let Some(failure) = refusal {
            return self.event(Event::Finished(submission.id, Outcome::unsent(failure)));
        }
        let in_order = self.speech.in_order(&submission.request.command);
        let Some(link) = self.links.get_mut(slot) else { return };
        let key = self.jobs.insert(Job {
            id: submission.id,
            request: submission.request,
            slot,
            parts,
            next: 0,
            outstanding: 0,
            in_order,
            sent: Bytes::new(),
            received: Bytes::new(),
            trouble: None,
            told: Vec::new(),
            reference: None,
        });
        link.jobs += 1;
        link.waiting.push_back(key);
        self.write_waiting(now, slot);
    }

    /// Writes messages of waiting submissions, as many as the link's window lets through.
    pub(super) fn write_waiting(&mut self, now: Now, slot: usize) {
        let speech = Arc::clone(&self.speech);
        let today = self.today.at(now, &speech.checked.zone);
        loop {
            let Some(link) = self.links.get_mut(slot).filter(|link| link.in_flight < link.window) else { return };
            let Some(key) = link.waiting.front().copied() else { return };
            let Some(job) = self.jobs.get_mut(key) else {
                link.waiting.pop_front();
                continue;
            };
            let number = self.numbers.next(|number| self.flights.contains_key(&number));
            let start = link.out.len();
            let index = job.next;
            let written = speech.part(&job.request.command, index, today).and_then(|part| {
                let written = speech.write(&part, number, today, &mut link.out).map_err(|error| refusal(&error))?;
                let command = match part.content {
                    Content::Command(form, _) => Some(form.number),
                    Content::Raw(_) => None,
                };
                Ok((written, command))
            });
            match written {
                Ok((written, command)) => {
                    link.fresh.push(Fresh { job: key, id: job.id, start, end: link.out.len(), written });
                    job.next += 1;
                    job.outstanding += 1;
                    if job.next >= job.parts || job.in_order {
                        link.waiting.pop_front();
                    }
                    self.take_off(now, slot, number, command, Purpose::Part { job: key, index });
                }
                Err(refusal) => {
                    link.waiting.pop_front();
                    let sent = if index == 0 { Sent::No } else { Sent::Yes };
                    let failure = Failure { sent, ..Failure::unspeakable(refusal.code, refusal.to_string()) };
                    job.note(Verdict::Failed(failure));
                    job.next = job.parts;
                    self.end_if_over(key);
                }
            }
        }
    }

    /// One message of a submission was answered; `received` is the answer's frame.
    pub(super) fn end_part(&mut self, key: JobKey, index: usize, received: Bytes, end: PartEnd) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        append(&mut job.received, received);
        match end {
            PartEnd::Done { told, reference } => {
                job.told.extend(told.map(|told| (index, told)));
                if reference.is_some() {
                    job.reference = reference;
                }
            }
            PartEnd::Trouble(verdict) => job.note(verdict),
        }
        self.part_over(key);
    }

    /// One message of a submission will not be answered in time.
    pub(super) fn end_part_unanswered(&mut self, key: JobKey) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.note(Verdict::Failed(Failure::unanswered("no_answer", "the platform did not answer in time")));
        self.part_over(key);
    }

    /// A submission ends because its link is lost.
    pub(super) fn end_lost(&mut self, key: JobKey, why: &Failure) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        let text = format!("the link was lost: {why}");
        let failure = if job.sent.is_empty() {
            Failure::not_sent("link_lost", text)
        } else {
            Failure::unanswered("link_lost", text)
        };
        job.note(Verdict::Failed(failure));
        job.next = job.parts;
        job.outstanding = 0;
        self.end_if_over(key);
    }

    fn part_over(&mut self, key: JobKey) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.outstanding = job.outstanding.saturating_sub(1);
        if job.in_order
            && !job.is_over()
            && let Some(link) = self.links.get_mut(job.slot)
        {
            link.waiting.push_back(key);
        }
        self.end_if_over(key);
    }

    fn end_if_over(&mut self, key: JobKey) {
        if !self.jobs.get(key).is_some_and(Job::is_over) {
            return;
        }
        let Some(job) = self.jobs.try_remove(key) else { return };
        if let Some(link) = self.links.get_mut(job.slot) {
            link.jobs = link.jobs.saturating_sub(1);
        }
        self.event(Event::Finished(job.id, job.outcome()));
    }
}
