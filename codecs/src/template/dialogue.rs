//! The conversation by a profile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::command::Command;
use headgate_core::failure::{Blame, FailedPart, Failure, Retry, Sent};
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::{Answer, RawAnswer, Verdict};
use headgate_core::request::Request;
use headgate_core::text::{PlatformReference, Secret, Serial};

use super::answer::{Reading, Told};
use super::profile::Operation;
use super::scope::Scope;
use super::speech::{Speech, Unit};
use super::table::Meaning;
use crate::http::answer::{not_admitted, server_error};
use crate::http::{Begun, Dialogue, End, LoginRules, OpenedSession, Step};

/// A conversation by a profile.
pub struct TemplateDialogue {
    speech: Arc<Speech>,
}

/// Where a request stands between its calls.
pub struct Task {
    request: Request,
    units: Vec<Unit>,
    /// The unit that is carried out.
    at: usize,
    /// Its operation: of several, one follows the other.
    operation: usize,
    /// What earlier answers of the unit told.
    kept: BTreeMap<String, String>,
    /// What failed, by service or device, with the first failure.
    failed: Vec<(Serial, Failure)>,
    refused: Option<Failure>,
    done: usize,
    answer: Option<Answer>,
    reference: Option<PlatformReference>,
}

impl TemplateDialogue {
    /// A conversation.
    #[must_use]
    pub const fn new(speech: Arc<Speech>) -> Self {
        Self { speech }
    }

    fn login_operation(&self) -> Option<&Operation> {
        self.speech.profile.login.and_then(|(index, _)| self.speech.profile.operation(index))
    }
}

impl Dialogue for TemplateDialogue {
    type Session = Secret;
    type Task = Task;

    fn login_rules(&self) -> Option<LoginRules> {
        self.speech.profile.login.map(|_| LoginRules::default())
    }

    fn login(&mut self, now: Now, _: Option<&Secret>) -> HttpCall {
        let scope = self.speech.for_nobody(now);
        // That it can be written was seen when the profile was read.
        let call = self.login_operation().and_then(|operation| self.speech.write(operation, &scope).ok());
        call.unwrap_or_else(|| HttpCall::get("/"))
    }

    fn logged_in(&mut self, now: Now, answer: &HttpAnswer) -> Result<OpenedSession<Secret>, Failure> {
        let operation = self.login_operation().ok_or_else(|| not_admitted(answer))?;
        match operation.answer.read(answer, &self.speech.for_nobody(now)) {
            Reading::Done(Told { session: Some(session), .. }) => {
                let renew_after = self.speech.profile.login.and_then(|(_, after)| after);
                Ok(OpenedSession { session, renew_after })
            }
            Reading::Done(_) => Err(not_admitted(answer)),
            Reading::Not(_, failure) => {
                Err(Failure { blame: Blame::Gateway, retry: Retry::Later(None), sent: Sent::No, ..failure })
            }
        }
    }

    fn begin(&mut self, now: Now, request: &Request) -> Result<Begun<Task>, Refusal> {
        if let Some(answer) = self.speech.answer_here(now, request) {
            return Ok(Begun::End(Verdict::Completed(Some(answer?)).into()));
        }
        let units = match &request.command {
            Command::Raw(raw) => {
                self.speech.write_raw(raw, now)?;
                Vec::new()
            }
            _ => self.speech.units(&self.speech.scope(now, request))?,
        };
        let operation = units.first().map_or(0, |unit| unit.operation);
        Ok(Begun::Task(Task {
            request: request.clone(),
            units,
            at: 0,
            operation,
            kept: BTreeMap::new(),
            failed: Vec::new(),
            refused: None,
            done: 0,
            answer: None,
            reference: None,
        }))
    }

    fn call(&mut self, now: Now, session: Option<&Secret>, task: &Task) -> Result<HttpCall, Failure> {
        let call = match &task.request.command {
            Command::Raw(raw) => self.speech.write_raw(raw, now),
            _ => match (self.speech.profile.operation(task.operation), task.scope(&self.speech, now)) {
                (Some(operation), Some(scope)) => {
                    self.speech.write(operation, &Scope { session: session.map(Secret::reveal), ..scope })
                }
                _ => Err(Refusal::new("command", "unsupported_command", "there is no such operation")),
            },
        };
        call.map_err(|refusal| Failure::unspeakable(refusal.code, refusal.to_string()))
    }

    fn read(&mut self, now: Now, task: &mut Task, answer: &HttpAnswer) -> Step {
        if matches!(task.request.command, Command::Raw(_)) {
            return raw_answer(answer);
        }
        let operation = self.speech.profile.operation(task.operation);
        let (Some(operation), Some(scope)) = (operation, task.scope(&self.speech, now)) else {
            return Step::failed(server_error(answer));
        };
        let reading = operation.answer.read(answer, &scope);
        match reading {
            Reading::Done(told) => task.told(told, operation.then),
            // Who needs to be told something can not go on without it.
            Reading::Not(Meaning::RepeatIsFine, failure) if operation.answer.keeps().next().is_some() => {
                task.refused(&self.speech, failure)
            }
            Reading::Not(Meaning::RepeatIsFine, _) => task.told(Told::default(), operation.then),
            Reading::Not(Meaning::Rejected, failure) => task.refused(&self.speech, failure),
            Reading::Not(Meaning::SessionLost, failure) => Step::SessionLost(failure),
            Reading::Not(Meaning::NotAdmitted | Meaning::RetryLater, failure) => {
                let sent = if task.has_changed() { Sent::Maybe } else { Sent::No };
                Step::failed(Failure { sent, ..failure })
            }
            Reading::Not(Meaning::Unclear, failure) => Step::failed(failure),
        }
    }

    /// Passwords that stand under a name of the platform's own, and what an answer confides.
    fn confidential(&self, task: &Task, answer: Option<&HttpAnswer>) -> Vec<String> {
        let own = match &task.request.command {
            Command::CreateSubscriber(subscriber) | Command::UpdateSubscriber(subscriber) => {
                subscriber.attributes.iter().filter(|(name, _)| name.contains("password")).collect()
            }
            _ => Vec::new(),
        };
        let mut confidential: Vec<_> = own.into_iter().map(|(_, text)| text.as_str().to_owned()).collect();
        if let Some(answer) = answer
            && let Some(operation) = self.speech.profile.operation(task.operation)
        {
            confidential.extend(operation.answer.confides(answer));
        }
        confidential
    }

    fn secrets<'a>(&'a self, session: Option<&'a Secret>) -> Vec<&'a str> {
        let mut secrets = self.speech.signer.secrets();
        secrets.extend(session.map(Secret::reveal));
        secrets.extend(self.speech.context.password.as_ref().map(Secret::reveal));
        secrets
    }
}

impl Task {
    /// What the call is about that the task is at.
    fn scope<'a>(&'a self, speech: &'a Speech, now: Now) -> Option<Scope<'a>> {
        let unit = self.units.get(self.at)?;
        Some(Scope { kept: &self.kept, ..unit.scope(speech.scope(now, &self.request)) })
    }

    fn has_changed(&self) -> bool {
        self.done > 0 || !self.kept.is_empty()
    }

    /// The call was answered well: on to what follows.
    fn told(&mut self, told: Told, then: Option<usize>) -> Step {
        self.reference = told.reference.or_else(|| self.reference.take());
        self.answer = match (self.answer.take(), told.answer) {
            (Some(before), Some(now)) => Some(joined(before, now)),
            (before, now) => now.or(before),
        };
        if let Some(next) = then {
            self.kept.extend(told.kept);
            self.operation = next;
            return Step::Next;
        }
        self.done += 1;
        self.next_unit()
    }

    /// The platform said no to this unit: the others may do.
    fn refused(&mut self, speech: &Speech, failure: Failure) -> Step {
        let unit = self.units.get(self.at).cloned();
        let first = unit.as_ref().is_some_and(|unit| unit.operation == self.operation);
        let parts = unit.map(|unit| parts(speech, &self.request, &unit)).unwrap_or_default();
        self.failed.extend(parts.into_iter().map(|part| (part, failure.clone())));
        self.refused.get_or_insert(failure);
        match self.next_unit() {
            // What an earlier operation of the same unit did is done.
            Step::Next if first => Step::Undone,
            step => step,
        }
    }

    fn next_unit(&mut self) -> Step {
        self.at += 1;
        self.kept.clear();
        match self.units.get(self.at) {
            Some(unit) => {
                self.operation = unit.operation;
                Step::Next
            }
            None => Step::End(self.end()),
        }
    }

    fn end(&mut self) -> End {
        let verdict = match self.refused.take() {
            None => Verdict::Completed(self.answer.take()),
            Some(first) if self.done == 0 => Verdict::Rejected(first),
            Some(_) => {
                let mut seen = BTreeSet::new();
                let failed = std::mem::take(&mut self.failed);
                let parts: Vec<_> = failed
                    .into_iter()
                    .filter(|(part, _)| seen.insert(part.clone()))
                    .map(|(part, failure)| FailedPart { part, code: failure.code, text: failure.text })
                    .collect();
                let of = (parts.len() + self.done).max(self.total());
                Verdict::Rejected(Failure::partial(parts, of))
            }
        };
        End { verdict, reference: self.reference.take() }
    }

    /// How many parts there are, where a unit is one.
    fn total(&self) -> usize {
        let devices =
            self.request.command.devices().map_or(0, |devices| devices.smartcards.len().max(devices.stbs.len()));
        devices.max(self.request.command.services().len()).min(self.units.len().max(devices))
    }
}

/// What a unit is about, for telling which parts failed: its devices where they are gone through, else its services.
fn parts(speech: &Speech, request: &Request, unit: &Unit) -> Vec<Serial> {
    let now = Now { tick: headgate_core::Tick::default(), wall: request.created };
    let whole = speech.scope(now, request);
    let scope = unit.scope(whole);
    if scope.smartcards.len() < whole.smartcards.len() {
        return scope.smartcards.to_vec();
    }
    if scope.stbs.len() < whole.stbs.len() {
        return scope.stbs.to_vec();
    }
    scope.services.iter().filter_map(|service| Serial::new(service.as_str()).ok()).collect()
}

fn joined(before: Answer, now: Answer) -> Answer {
    match (before, now) {
        (Answer::Services(mut all), Answer::Services(more)) => {
            all.extend(more);
            Answer::Services(all)
        }
        (Answer::Pairings(mut all), Answer::Pairings(more)) => {
            all.extend(more);
            Answer::Pairings(all)
        }
        (Answer::Devices(mut all), Answer::Devices(more)) => {
            all.extend(more);
            Answer::Devices(all)
        }
        (_, now) => now,
    }
}

/// The answer to a raw message, as it came; only what says that nothing was done is no answer.
fn raw_answer(answer: &HttpAnswer) -> Step {
    match answer.status {
        401 | 403 => Step::failed(not_admitted(answer)),
        500.. => Step::failed(server_error(answer)),
        _ => Step::answered(Answer::Raw(RawAnswer(answer.body.clone()))),
    }
}
