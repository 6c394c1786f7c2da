//! The vendor's side, simulated: what a gateway of this profile would hold, answer and refuse.
//!
//! What it does follows our own profile, which is unconfirmed: it shows how Headgate behaves, not how the
//! vendor's platform does. `state` is what it holds, `session` is one client's link.

mod session;
mod state;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{Effect, EffectId, Input, LinkId};
use headgate_core::platform::{Fault, Holdings, Platform, PlatformOutput};
use headgate_core::{Deadline, Now, Tick};

use self::session::Session;
use self::state::State;
use super::profile::{CommandName, FieldName, find};
use super::settings::Checked;
use super::wire::{Body, Header, Message, Values, decode, decode_header, encode};
use crate::framing::Frame;
use crate::registry::Stock;

/// A simulated SMS gateway.
pub struct SimulatedGateway {
    checked: Checked,
    state: State,
    sessions: BTreeMap<LinkId, Session>,
    faults: VecDeque<Fault>,
    /// Answers that wait for their time, by time and order.
    delayed: BTreeMap<(Tick, u64), (LinkId, Bytes)>,
    outputs: VecDeque<PlatformOutput>,
    effects: EffectId,
}

/// A refusal: the name of a code in the profile.
type Refused = &'static str;

impl SimulatedGateway {
    /// A gateway of these settings that holds this stock.
    #[must_use]
    pub fn new(checked: Checked, stock: &Stock) -> Self {
        Self {
            state: State::new(stock, checked.zone.clone()),
            checked,
            sessions: BTreeMap::new(),
            faults: VecDeque::new(),
            delayed: BTreeMap::new(),
            outputs: VecDeque::new(),
            effects: EffectId::default(),
        }
    }

    fn received(&mut self, now: Now, link: LinkId, bytes: &[u8]) {
        if let Some(session) = self.sessions.get_mut(&link) {
            session.inbox.push(bytes);
        }
        loop {
            let Some(session) = self.sessions.get_mut(&link).filter(|session| !session.mute) else { return };
            match session.inbox.next_frame(&self.checked.profile.framing) {
                Ok(Some(frame)) => self.frame(now, link, &frame),
                Ok(None) => return,
                Err(_) => return self.close(link),
            }
        }
    }

    fn frame(&mut self, now: Now, link: LinkId, frame: &Frame) {
        let content = frame.content();
        let Ok((header, _)) = decode_header(&self.checked.profile, content) else { return self.close(link) };
        let message = decode(&self.checked.profile, content);
        let command = match &message {
            Ok(Message { body: Body::Command(name, _), .. }) => Some(*name),
            _ => None,
        };
        let fault = self.take_fault(command);
        if fault == Some(Fault::CloseBefore) {
            return self.close(link);
        }
        if fault == Some(Fault::Garbage) {
            return self.send(link, &self.garbage());
        }
        let answered = message.as_ref().map_or(0, |message| message.number);
        let result = match (&message, fault) {
            (_, Some(Fault::UnknownCard)) => Err("unknown_card"),
            (_, Some(Fault::Throttle)) => Err("throttled"),
            (_, Some(Fault::RefuseLogin)) => Err("login_refused"),
            (Err(_), _) => Err("malformed"),
            (Ok(message), _) => self.carry_out(link, message),
        };
        if command.is_some_and(|command| !state::is_query(command)) {
            self.state.holdings.applied += 1;
        }
        let number = match fault {
            Some(Fault::WrongNumber) => self.other_number(header.transaction_number),
            _ => header.transaction_number,
        };
        let answer = self.answer(now, &header, number, answered, result);
        self.deliver(now, link, answer, fault);
    }

    /// Does what a message says; tells what its answer tells.
    fn carry_out<'a>(&mut self, link: LinkId, message: &Message<'a>) -> Result<Values<'a>, Refused> {
        let settings = &self.checked.settings;
        if message.header.dest_id != settings.dest_id || message.header.source_id != settings.source_id {
            return Err("wrong_destination");
        }
        let Body::Command(name, values) = &message.body else { return Err("unknown_command") };
        let Some(session) = self.sessions.get_mut(&link) else { return Err("not_logged_in") };
        if *name == CommandName::OpenSession {
            let right = values.text_of(FieldName::User) == settings.user.as_deref()
                && values.text_of(FieldName::Password) == Some(settings.password.reveal());
            session.open = right;
            return if right { Ok(Values::default()) } else { Err("login_refused") };
        }
        if settings.user.is_some() && !session.open {
            return Err("not_logged_in");
        }
        self.state.apply(&self.checked.profile, *name, values)
    }

    fn answer(
        &self,
        now: Now,
        request: &Header,
        number: u64,
        answered: u64,
        result: Result<Values<'_>, Refused>,
    ) -> Bytes {
        let profile = &self.checked.profile;
        let (form, body) = match result {
            Ok(values) => (&profile.ack, Body::Ack(values.number(FieldName::AnsweredCommand, answered))),
            Err(name) => {
                // A profile may do without the names this simulator knows.
                let (code, text) = profile.code_named(name).map_or((0, name), |(code, row)| (code, row.text.as_str()));
                let values = Values::default().number(FieldName::AnsweredCommand, answered);
                let values = values.number(FieldName::Code, code).text(FieldName::ErrorText, text.to_owned());
                (&profile.nack, Body::Nack(values))
            }
        };
        let body = self.with_reference(body, request.transaction_number);
        let header = Header {
            transaction_number: number,
            command_type: form.command_type,
            source_id: request.dest_id,
            dest_id: request.source_id,
            mop_ppid: request.mop_ppid,
            creation_date: Some(super::days::day_of(now.wall, &self.checked.zone)),
        };
        let mut out = bytes::BytesMut::with_capacity(128);
        let message = Message { header, number: form.number, body };
        if encode(profile, &message, &mut out).is_err() {
            // Too much to tell in one frame.
            let body = Body::Nack(
                Values::default()
                    .number(FieldName::AnsweredCommand, answered)
                    .number(FieldName::Code, profile.code_named("malformed").map_or(0, |(code, _)| code))
                    .text(FieldName::ErrorText, "the answer does not fit"),
            );
            // What does not fit either is not answered, as by a platform that gave up.
            let _ = encode(profile, &Message { number: profile.nack.number, body, ..message }, &mut out);
        }
        out.freeze()
    }

    /// Adds the platform's own number, where the profile's answers have one.
    fn with_reference<'a>(&self, body: Body<'a>, number: u64) -> Body<'a> {
        let profile = &self.checked.profile;
        let reference = || format!("P{number}");
        match body {
            Body::Ack(values) if find(&profile.ack.body, FieldName::Reference).is_some() => {
                Body::Ack(values.text(FieldName::Reference, reference()))
            }
            Body::Nack(values) if find(&profile.nack.body, FieldName::Reference).is_some() => {
                Body::Nack(values.text(FieldName::Reference, reference()))
            }
            body => body,
        }
    }

    fn deliver(&mut self, now: Now, link: LinkId, answer: Bytes, fault: Option<Fault>) {
        match fault {
            Some(Fault::Silence) => {}
            Some(Fault::CloseInstead) => self.close(link),
            Some(Fault::CloseAfter) => {
                self.send(link, &answer);
                self.close(link);
            }
            Some(Fault::DuplicateAnswer) => {
                self.send(link, &answer);
                self.send(link, &answer);
            }
            Some(Fault::HalfFrame) => {
                self.send(link, answer.get(..answer.len() / 2).unwrap_or_default());
                if let Some(session) = self.sessions.get_mut(&link) {
                    session.mute = true;
                }
            }
            Some(fault @ Fault::Delay(_)) => {
                let at = now.tick + fault.delay();
                self.delayed.insert((at, self.effects.next().0), (link, answer));
            }
            _ => self.send(link, &answer),
        }
    }

    /// The first waiting fault that can happen to this message.
    fn take_fault(&mut self, command: Option<CommandName>) -> Option<Fault> {
        if self.faults.is_empty() || command == Some(CommandName::ConnectionTest) {
            return None;
        }
        let opening = command == Some(CommandName::OpenSession);
        let at = self.faults.iter().position(|fault| (*fault == Fault::RefuseLogin) == opening)?;
        self.faults.remove(at)
    }

    /// Bytes that no framing of this kind could carry.
    fn garbage(&self) -> Vec<u8> {
        let mut bytes = vec![0xff; 8];
        if let crate::framing::Marking::Delimiter(delimiter) = &self.checked.profile.framing.marking {
            bytes.extend_from_slice(delimiter);
        }
        bytes
    }

    /// A number far from those in use.
    const fn other_number(&self, number: u64) -> u64 {
        let highest = self.checked.profile.highest_transaction;
        1 + (number + highest / 2) % highest
    }

    fn send(&mut self, link: LinkId, bytes: &[u8]) {
        if let Some(session) = self.sessions.get_mut(&link).filter(|session| !session.mute) {
            session.out.extend_from_slice(bytes);
        }
    }

    fn close(&mut self, link: LinkId) {
        if let Some(mut session) = self.sessions.remove(&link) {
            if !session.out.is_empty() {
                let bytes = session.out.split().freeze();
                self.act(Effect::Send(link, bytes));
            }
            self.act(Effect::Close(link));
        }
    }

    fn send_due(&mut self, now: Now) {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now.tick) {
            let (link, bytes) = entry.remove();
            self.send(link, &bytes);
        }
    }

    fn act(&mut self, effect: Effect) {
        self.outputs.push_back(PlatformOutput::Do(self.effects.next(), effect));
    }
}

impl Platform for SimulatedGateway {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.send_due(now);
        match input {
            Input::Connected(link) => {
                self.sessions.insert(link, Session::default());
            }
            Input::Received(link, bytes) => self.received(now, link, bytes),
            Input::Closed(link, _) => {
                self.sessions.remove(&link);
            }
            Input::Start | Input::Deadline | Input::Done(..) | Input::Called(..) => {}
        }
    }

    fn poll_output(&mut self) -> PlatformOutput {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let waiting = self.sessions.iter_mut().find(|(_, session)| !session.out.is_empty());
        if let Some((link, session)) = waiting {
            let effect = Effect::Send(*link, session.out.split().freeze());
            return PlatformOutput::Do(self.effects.next(), effect);
        }
        let due = self.delayed.keys().next().map(|(at, _)| Deadline { at: *at, why: "a delayed answer" });
        PlatformOutput::Wait(due)
    }

    fn holdings(&self) -> &Holdings {
        &self.state.holdings
    }

    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        let no_login = fault == Fault::RefuseLogin && self.checked.settings.user.is_none();
        let no_http = matches!(fault, Fault::LoseSessions | Fault::ServerError | Fault::Oversized);
        let no_time = matches!(fault, Fault::Delay(_)) && fault.delay() > Duration::from_hours(1);
        if no_login || no_http || no_time {
            return Err(fault);
        }
        self.faults.push_back(fault);
        Ok(())
    }
}
