//! The conversation: signing on, the calls of a task, and what their answers mean.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::failure::{Blame, Failure, Retry, Sent};
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::RawAnswer;
use headgate_core::request::Request;
use headgate_core::text::Secret;

use super::answers;
use super::plan::{hidden, plan};
use super::speech::Speech;
use super::task::{Action, Refused, Task};
use super::wire::call::{Part, SECRETS, secrets_in};
use super::wire::operations::{self, Operation};
use super::wire::reply::{DONE, match_items};
use super::wire::types::{ResultRecord, UserAttributes};
use super::wire::{Call, ItemResult, OMI, Reply, ReplyError};
use crate::http::soap::{self, SoapError};
use crate::http::{Begun, Dialogue, LoginRules, OpenedSession, Step, answer};
use crate::xml::parse;
use crate::xml::write::check;

/// The stretch of time in which logins are counted.
const LOGIN_STRETCH: Duration = Duration::from_mins(5);

/// The conversation with one platform.
pub struct OmiDialogue {
    speech: Arc<Speech>,
    /// Codes that a probe showed to mean that the session is lost.
    lost: BTreeSet<i32>,
    /// Codes that a probe showed to mean something else.
    refusals: BTreeSet<i32>,
}

/// A session's handle.
#[derive(Debug)]
pub struct Session {
    handle: Secret,
}

impl Session {
    /// The session of that handle.
    #[must_use]
    pub fn new(handle: &str) -> Self {
        Self { handle: Secret::new(handle) }
    }
}

impl OmiDialogue {
    /// A conversation in these words.
    #[must_use]
    pub const fn new(speech: Arc<Speech>) -> Self {
        Self { speech, lost: BTreeSet::new(), refusals: BTreeSet::new() }
    }

    /// The HTTP call that carries a body to an operation's service.
    fn post(&self, operation: &Operation, body: bytes::Bytes) -> HttpCall {
        let settings = &self.speech.settings;
        let call = HttpCall::post(settings.paths.of(operation.service), soap::CONTENT_TYPE, body);
        let call = match settings.soap_action {
            true => call.header("soapaction", format!("\"{OMI}/{}\"", operation.name)),
            false => call,
        };
        HttpCall { harmless: operation.reads, ..call }
    }

    /// What is said of the session itself; the settings were checked to be writable, and so is a handle that was read.
    fn of_session(&self, operation: &'static Operation, parts: Vec<Part>, session: Option<&Session>) -> HttpCall {
        let call = Call { operation, parts };
        let handle = session.map(|session| session.handle.reveal());
        let body = call.write(handle, &self.speech.settings.query_parts).unwrap_or_default();
        self.post(operation, body).harmless()
    }

    fn read_reply(&self, operation: &Operation, answer: &HttpAnswer) -> Result<Reply, Unread> {
        let limit = self.speech.settings.calls.answer_limit;
        match Reply::read(operation, &answer.body, limit) {
            Ok(reply) if answer.is_success() => Ok(reply),
            Ok(_) => Err(Unread::Failed(answer::server_error(answer))),
            Err(ReplyError::Soap(SoapError::Fault(fault))) if fault.code.starts_with("Client") => {
                Err(Unread::Rejected(Failure::refused(fault.code, fault.string)))
            }
            Err(ReplyError::Soap(SoapError::Fault(fault))) => {
                let failure = answer::server_error(answer);
                let text = format!("{}: {}", failure.text, fault.string);
                Err(Unread::Failed(Failure { text, ..failure }))
            }
            Err(_) if matches!(answer.status, 401 | 403) => Err(Unread::Failed(answer::not_admitted(answer))),
            Err(_) if !answer.is_success() => Err(Unread::Failed(answer::server_error(answer))),
            Err(error) => Err(Unread::Failed(answer::unreadable(answer, error))),
        }
    }

    /// Whether a refusal of the whole says that the session is lost; if nobody knows yet, a probe goes first.
    fn judge(&self, task: &Task, action: &Action, why: &Refused) -> Judgement {
        let settings = &self.speech.settings;
        if settings.session_lost_codes.contains(&why.code) {
            return Judgement::Lost;
        }
        if !settings.probe_session {
            return Judgement::Refusal;
        }
        match action {
            // A client of the platform takes any refusal of this harmless question for a lost session \[S:FIM\].
            Action::Networks if !task.renewed => Judgement::Lost,
            Action::Networks => Judgement::Refusal,
            _ if self.lost.contains(&why.code) && !task.renewed => Judgement::Lost,
            _ if self.refusals.contains(&why.code) => Judgement::Refusal,
            _ => Judgement::Unknown,
        }
    }

    /// Takes the answer to a probe.
    fn probed(&mut self, task: &mut Task, refused: Action, reply: Reply, why: Refused, probe: &Reply) -> Step {
        match refusal_of_all(&Action::Networks, probe) {
            None => {
                self.lost.remove(&why.code);
                self.refusals.insert(why.code);
                answers::take(&self.speech, task, refused, reply)
            }
            Some(_) => {
                self.lost.insert(why.code);
                lost(task, refused, why)
            }
        }
    }
}

/// What an answer is that is no reply.
enum Unread {
    /// A fault that says that we are wrong.
    Rejected(Failure),
    /// Anything else.
    Failed(Failure),
}

enum Judgement {
    Lost,
    Refusal,
    Unknown,
}

impl Dialogue for OmiDialogue {
    type Session = Session;
    type Task = Task;

    fn login_rules(&self) -> Option<LoginRules> {
        let settings = &self.speech.settings;
        Some(LoginRules {
            budget: Some((settings.most_logins, LOGIN_STRETCH)),
            keep_alive: Some(settings.keep_alive).filter(|after| !after.is_zero()),
            ..LoginRules::default()
        })
    }

    fn login(&mut self, _: Now, _: Option<&Session>) -> HttpCall {
        let settings = &self.speech.settings;
        let attributes = UserAttributes {
            user_name: settings.user.clone(),
            password: settings.password.reveal().to_owned(),
            new_password: None,
        };
        self.of_session(&operations::SIGN_ON, vec![Part::UserAttributes(attributes)], None)
    }

    fn logged_in(&mut self, _: Now, answer: &HttpAnswer) -> Result<OpenedSession<Session>, Failure> {
        match self.read_reply(&operations::SIGN_ON, answer) {
            Ok(Reply::Session(Some(handle), _)) if !handle.is_empty() && check(&handle).is_ok() => {
                Ok(OpenedSession { session: Session::new(&handle), renew_after: None })
            }
            Ok(Reply::Session(_, result)) if result.code != DONE => {
                Err(Failure { text: result.text, ..not_signed_on(result.code.to_string()) })
            }
            Ok(_) => Err(answer::unreadable(answer, "it has no session's handle")),
            Err(Unread::Rejected(failure) | Unread::Failed(failure)) => Err(failure),
        }
    }

    fn logout(&mut self, session: &Session) -> Option<HttpCall> {
        Some(self.of_session(&operations::SIGN_OFF, Vec::new(), Some(session)))
    }

    fn keep_alive(&mut self, _: Now, session: &Session) -> Option<HttpCall> {
        Some(self.of_session(&operations::GET_NETWORK_LIST, Vec::new(), Some(session)))
    }

    fn is_alive(&mut self, answer: &HttpAnswer) -> bool {
        let reply = self.read_reply(&operations::GET_NETWORK_LIST, answer);
        // What can not be read says nothing of the session.
        !reply.is_ok_and(|reply| refusal_of_all(&Action::Networks, &reply).is_some())
    }

    fn begin(&mut self, now: Now, request: &Request) -> Result<Begun<Task>, Refusal> {
        plan(&self.speech, now, request).map(Begun::Task)
    }

    fn call(&mut self, _: Now, session: Option<&Session>, task: &Task) -> Result<HttpCall, Failure> {
        let Some(action) = task.queue.front() else {
            return Err(Failure::unspeakable("unspeakable", "there is nothing left to say"));
        };
        let handle = session.map(|session| session.handle.reveal());
        let operation = action.operation();
        let body = match action {
            Action::Raw(raw) => raw.write(handle),
            _ => Call { operation, parts: action.parts() }.write(handle, &self.speech.settings.query_parts),
        };
        let body = body.map_err(|error| Failure::unspeakable("unspeakable", error.to_string()))?;
        Ok(self.post(operation, body))
    }

    fn read(&mut self, _: Now, task: &mut Task, answer: &HttpAnswer) -> Step {
        let Some(action) = task.queue.pop_front() else {
            return Step::failed(answer::unreadable(answer, "nothing was asked"));
        };
        let reply = match self.read_reply(action.operation(), answer) {
            Ok(reply) => reply,
            Err(Unread::Rejected(failure)) => return Step::rejected(failure),
            Err(Unread::Failed(failure)) => return Step::failed(failure),
        };
        if let Action::Raw(_) = &action {
            task.tally.raw = Some(RawAnswer(answer.body.clone()));
        }
        if let Action::Probe { refused, reply: before, why } = action {
            return self.probed(task, *refused, *before, why, &reply);
        }
        let fine = |why: &Refused| answers::is_fine(&self.speech, action.operation(), why.code);
        let Some(why) = refusal_of_all(&action, &reply).filter(|why| !fine(why)) else {
            return answers::take(&self.speech, task, action, reply);
        };
        match self.judge(task, &action, &why) {
            Judgement::Lost => lost(task, action, why),
            Judgement::Refusal => answers::take(&self.speech, task, action, reply),
            Judgement::Unknown => {
                task.queue.push_front(Action::Probe { refused: Box::new(action), reply: Box::new(reply), why });
                Step::Undone
            }
        }
    }

    fn secrets<'a>(&'a self, session: Option<&'a Session>) -> Vec<&'a str> {
        session.map(|session| session.handle.reveal()).into_iter().collect()
    }

    fn confidential(&self, task: &Task, answer: Option<&HttpAnswer>) -> Vec<String> {
        let Some(answer) = answer else { return task.private.clone() };
        // Lists of networks, sites and devices tell secrets that are not ours. Most answers do not.
        let tells = |name: &str| answer.body.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        if !SECRETS.iter().any(|name| tells(name)) {
            return Vec::new();
        }
        let body = parse(&answer.body, self.speech.settings.calls.answer_limit).unwrap_or_default();
        secrets_in(&body).into_iter().map(hidden).collect()
    }
}

/// The task goes on where it was, with another session.
fn lost(task: &mut Task, action: Action, why: Refused) -> Step {
    task.renewed = true;
    task.queue.push_front(action);
    Step::SessionLost(Failure { text: why.text, ..not_signed_on(why.code.to_string()) })
}

fn not_signed_on(code: String) -> Failure {
    Failure {
        code: code.into(),
        text: String::new(),
        blame: Blame::Gateway,
        retry: Retry::Later(None),
        sent: Sent::No,
        parts: Vec::new(),
    }
}

/// Why nothing of a call was done, if nothing was: one code for all of it.
fn refusal_of_all(action: &Action, reply: &Reply) -> Option<Refused> {
    let one =
        |result: &ResultRecord| (result.code != DONE).then(|| Refused { code: result.code, text: result.text.clone() });
    match (reply, action) {
        (Reply::Session(_, result) | Reply::Result(result) | Reply::Query(result, _), _) => one(result),
        (Reply::List(results), Action::List(block)) => {
            let ids: Vec<_> = block.items.iter().map(|item| item.id.as_str()).collect();
            let mut items = match_items(&ids, results).into_iter();
            match items.next()? {
                ItemResult::Refused(code, text)
                    if items.all(|item| matches!(item, ItemResult::Refused(other, _) if other == code)) =>
                {
                    Some(Refused { code, text: text.to_owned() })
                }
                _ => None,
            }
        }
        (Reply::List(results), _) => {
            let first = one(results.first()?)?;
            results.iter().all(|result| result.code == first.code).then_some(first)
        }
    }
}
