//! Answers: read, matched by their transaction number, handed to the submission they belong to.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use headgate_core::Now;
use headgate_core::adapter::{Event, LinkId, Noise};
use headgate_core::command::{Command, Devices};
use headgate_core::failure::{Blame, Failure, Retry, Sent};
use headgate_core::outcome::{HeldService, HeldServices, Pairing, Verdict};
use headgate_core::text::{CaId, PlatformReference, Serial};

use super::super::days::{first_second, last_second};
use super::super::profile::{CodeKind, FieldName, Kind, Profile, find};
use super::super::speech::Speech;
use super::super::wire::{Body, Header, Values, decode_behind, decode_header};
use super::jobs::{JobKey, PartEnd, Told};
use super::links::{Link, LinkState};
use super::{Flight, Purpose, SmsGateway};
use crate::framing::Frame;

impl SmsGateway {
    pub(super) fn received(&mut self, now: Now, id: LinkId, bytes: &[u8]) {
        let Some(slot) = self.slot_of(id) else { return };
        let speech = Arc::clone(&self.speech);
        let open = |link: &&mut Link| matches!(link.state, LinkState::Up | LinkState::Opening);
        let Some(link) = self.links.get_mut(slot).filter(open) else { return };
        link.heard = now.tick;
        link.inbox.push(bytes);
        loop {
            // An answer may have closed the link; what came behind it is of no more use.
            let Some(link) = self.links.get_mut(slot).filter(open) else { return };
            match link.inbox.next_frame(&speech.profile().framing) {
                Ok(Some(frame)) => self.frame(Heard { speech: &speech, now, slot, frame: &frame }),
                Ok(None) => break,
                Err(lost) => {
                    let raw = link.inbox.take_all();
                    self.noise(format!("the framing is lost: {lost}"), raw);
                    let text = format!("the platform sent bytes that are no frame: {lost}");
                    return self.lose(now, slot, Failure::unanswered("framing_lost", text), true);
                }
            }
        }
        self.forget_answered(slot);
        self.write_waiting(now, slot);
    }

    fn frame(&mut self, heard: Heard<'_>) {
        let Heard { speech, slot, frame, .. } = heard;
        let whole = || frame.whole.clone();
        let (header, rest) = match decode_header(speech.profile(), frame.content()) {
            Ok(read) => read,
            Err(error) => return self.noise(format!("a message that can not be read: {error}"), whole()),
        };
        if !is_for_us(speech, &header) {
            return self.noise("a message that is addressed to somebody else".into(), whole());
        }
        let number = header.transaction_number;
        let Some(flight) = self.flights.get(&number).copied().filter(|flight| flight.slot == slot) else {
            return self.noise(format!("an answer to {number}, which nobody waits for"), whole());
        };
        match flight.purpose {
            Purpose::GivenUp => {
                self.flights.remove(&number);
                if let Some(link) = self.links.get_mut(slot) {
                    link.given_up_count = link.given_up_count.saturating_sub(1);
                }
                self.noise(format!("a late answer to {number}"), whole());
            }
            Purpose::Part { job, index } if flight.command.is_none() => {
                self.land(slot, number);
                let told = Some(Told::Raw(frame.whole.slice_ref(rest)));
                self.end_part(job, index, whole(), PartEnd::Done { told, reference: None });
            }
            _ => self.answer(heard, header, rest, flight),
        }
    }

    fn answer(&mut self, heard: Heard<'_>, header: Header, rest: &[u8], flight: Flight) {
        let Heard { speech, now, slot, frame } = heard;
        let number = header.transaction_number;
        let (values, verdict) = match decode_behind(speech.profile(), header, frame.content(), rest) {
            Ok(message) => match message.body {
                Body::Ack(values) => (values, None),
                Body::Nack(values) => {
                    let refused = refused(speech.profile(), &values);
                    (values, Some(refused))
                }
                Body::Command(..) | Body::Unknown(_) => {
                    return self.noise(format!("{number} names a message that is no answer"), frame.whole.clone());
                }
            },
            Err(error) => {
                self.noise(format!("an answer to {number} that can not be read: {error}"), frame.whole.clone());
                let text = format!("the platform's answer can not be read: {error}");
                (
                    Values::default(),
                    Some(Refused { kind: None, failure: Failure::unanswered("unreadable_answer", text) }),
                )
            }
        };
        let answered = values.number_of(FieldName::AnsweredCommand);
        if answered.is_some() && answered != flight.command {
            self.noise(format!("an answer to {number} that names another command"), frame.whole.clone());
            let text = "the platform answers with numbers that do not match their commands";
            return self.lose(now, slot, Failure::unanswered("answers_mixed_up", text), true);
        }
        self.land(slot, number);
        match flight.purpose {
            Purpose::Part { job, index } => {
                self.part_answered(heard, (job, index), &values, verdict);
            }
            Purpose::Check => {
                if let Some(link) = self.links.get_mut(slot) {
                    link.checking = false;
                }
                self.session_lost(now, slot, verdict);
            }
            Purpose::Opening => match verdict {
                None => self.up(now, slot),
                Some(Refused { failure, .. }) => {
                    let failure = Failure { blame: Blame::Gateway, retry: Retry::Later(None), ..failure };
                    self.lose(now, slot, failure, true);
                }
            },
            Purpose::GivenUp => {}
        }
    }

    fn part_answered(
        &mut self,
        heard: Heard<'_>,
        (job, index): (JobKey, usize),
        values: &Values<'_>,
        verdict: Option<Refused>,
    ) {
        let Heard { speech, now, slot, frame } = heard;
        let end = match &verdict {
            None => {
                let command = self.jobs.get(job).map(|job| &job.request.command);
                let told = command.and_then(|command| told(speech, command, index, values));
                let reference = values.text_of(FieldName::Reference).and_then(|text| PlatformReference::new(text).ok());
                PartEnd::Done { told, reference }
            }
            Some(Refused { kind: Some(CodeKind::Rejected), failure }) => {
                PartEnd::Trouble(Verdict::Rejected(failure.clone()))
            }
            Some(Refused { failure, .. }) => PartEnd::Trouble(Verdict::Failed(failure.clone())),
        };
        if let Some(Refused { kind: Some(CodeKind::RetryLater), failure }) = &verdict
            && let Retry::Later(Some(pause)) = failure.retry
        {
            self.event(Event::SlowDown { pause, why: failure.text.clone() });
        }
        self.end_part(job, index, frame.whole.clone(), end);
        self.session_lost(now, slot, verdict);
    }

    /// Opens the session again, if the platform says that it is gone.
    fn session_lost(&mut self, now: Now, slot: usize, verdict: Option<Refused>) {
        if let Some(Refused { kind: Some(CodeKind::SessionLost), failure }) = verdict {
            self.lose(now, slot, failure, true);
        }
    }

    /// A message is not in flight any more.
    fn land(&mut self, slot: usize, number: u64) {
        self.flights.remove(&number);
        if let Some(link) = self.links.get_mut(slot) {
            link.in_flight = link.in_flight.saturating_sub(1);
        }
    }

    fn noise(&mut self, text: String, raw: Bytes) {
        self.event(Event::Noise(Noise { text, raw }));
    }
}

/// A frame that came in, and where.
#[derive(Clone, Copy)]
struct Heard<'a> {
    speech: &'a Speech,
    now: Now,
    slot: usize,
    frame: &'a Frame,
}

/// A negative answer, or one that can not be read.
#[derive(Debug)]
struct Refused {
    /// What kind of code; nothing: the answer could not be read.
    kind: Option<CodeKind>,
    failure: Failure,
}

fn refused(profile: &Profile, values: &Values<'_>) -> Refused {
    let number = values.number_of(FieldName::Code).unwrap_or_default();
    let known = profile.code(number);
    let said = values.text_of(FieldName::ErrorText).filter(|text| !text.is_empty());
    let text = said
        .or_else(|| known.map(|code| code.text.as_str()))
        .unwrap_or("refused, for a reason the profile does not list");
    let failure = Failure::refused(code_digits(profile, number), text);
    match known {
        Some(code) if code.kind == CodeKind::RetryLater => {
            Refused { kind: Some(code.kind), failure: Failure { retry: Retry::Later(Some(code.pause)), ..failure } }
        }
        Some(code) if code.kind == CodeKind::SessionLost => Refused {
            kind: Some(code.kind),
            failure: Failure { retry: Retry::Later(None), sent: Sent::Yes, ..failure },
        },
        _ => Refused { kind: Some(CodeKind::Rejected), failure },
    }
}

/// A code as it stands on the wire.
fn code_digits(profile: &Profile, number: u64) -> Cow<'static, str> {
    let width = match find(&profile.nack.body, FieldName::Code).map(|field| &field.kind) {
        Some(Kind::Number { width }) => *width,
        _ => 0,
    };
    format!("{number:0width$}").into()
}

/// Answers have source and destination the other way round.
fn is_for_us(speech: &Speech, header: &Header) -> bool {
    let has_dest = find(&speech.profile().header, FieldName::DestId).is_some();
    !has_dest || header.dest_id == speech.checked.settings.source_id
}

/// What the positive answer to a question tells.
fn told(speech: &Speech, command: &Command, index: usize, values: &Values<'_>) -> Option<Told> {
    let card = |devices: &Devices| devices.smartcards.get(index).cloned();
    match command {
        Command::GetServices(devices) => {
            let services = values.items_of(FieldName::Products).iter().filter_map(|item| held(speech, item)).collect();
            Some(Told::Services(HeldServices { smartcard: Some(card(devices)?), account: None, services }))
        }
        Command::GetPairing(devices) => {
            let boxes = values.items_of(FieldName::Stbs).iter();
            let stbs = boxes.filter_map(|item| Serial::new(item.text_of(FieldName::Stb)?).ok()).collect();
            Some(Told::Pairing(Pairing { smartcard: card(devices)?, stbs }))
        }
        _ => None,
    }
}

fn held(speech: &Speech, item: &Values<'_>) -> Option<HeldService> {
    let ca_id = CaId::new(item.text_of(FieldName::Product)?).ok()?;
    let zone = &speech.checked.zone;
    Some(HeldService {
        code: speech.services().code(&ca_id).cloned(),
        start: item.date_of(FieldName::BeginDate).and_then(|day| first_second(day, zone)),
        end: item.date_of(FieldName::EndDate).and_then(|day| last_second(day, zone)),
        ca_id,
        suspended: item.number_of(FieldName::Suspended).is_some_and(|flag| flag != 0),
    })
}
