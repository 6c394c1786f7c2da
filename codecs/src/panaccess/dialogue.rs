//! The conversation: sessions, the calls of a request one after the other, and what answers mean for what is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::failure::{Blame, FailedPart, Failure, Retry, Sent};
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::Verdict;
use headgate_core::request::Request;
use headgate_core::text::{PlatformReference, Secret, Serial};

use super::answers;
use super::confidential;
use super::login;
use super::rules::Speech;
use super::task::{Despite, Part, Stage, Task, Then, Words};
use super::wire::records::{FragmentedTask, RadioTask};
use super::wire::value::{Misfit, Value, Wire};
use super::wire::{Call, LOGGED_IN, Operation, Reply, ServiceError};
use crate::http::{Begun, Dialogue, End, LoginRules, OpenedSession, Step, answer};

/// What a lost session and a missing right look like alike \[S2,S10\].
const NO_ACCESS: &str = "no_access_to_function";

/// An error of the platform's own: nobody knows what it did.
const SERVER_SIDE: &str = "unknown_error_serverside";

/// Refusals that one card of a block can be the cause of.
const OF_ONE_CARD: &[&str] = &[
    "no_suitable_hc_found_for_smartcard",
    "not_a_smartcard",
    "smartcard_assigned_already",
    "smartcard_is_defect",
    "subscriber_does_not_own_smartcard",
];

/// The conversation with one provider's platform.
#[derive(Debug)]
pub struct CableView {
    pub(super) speech: Arc<Speech>,
    /// The functions that the account may use in their prefixed spelling only.
    prefixed: BTreeMap<String, bool>,
    sessions: u64,
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    id: Secret,
    /// Tells it from the others.
    number: u64,
}

impl CableView {
    /// A conversation by these rules.
    #[must_use]
    pub const fn new(speech: Arc<Speech>) -> Self {
        Self { speech, prefixed: BTreeMap::new(), sessions: 0 }
    }

    /// A session that is not open, to show how calls look.
    #[must_use]
    pub fn example_session() -> Session {
        Session { id: Secret::new("SESSION"), number: 0 }
    }
}

impl Dialogue for CableView {
    type Session = Session;
    type Task = Task;

    /// About 20 logins in 5 minutes are granted to an account \[S3\].
    fn login_rules(&self) -> Option<LoginRules> {
        Some(LoginRules {
            budget: Some((20, Duration::from_mins(5))),
            first_wait: Duration::from_secs(2),
            longest_wait: Duration::from_mins(5),
            keep_alive: Some(self.speech.settings().session_check),
        })
    }

    fn login(&mut self, _: Now, _: Option<&Session>) -> HttpCall {
        login::write(&self.speech.checked)
    }

    fn logged_in(&mut self, _: Now, answer: &HttpAnswer) -> Result<OpenedSession<Session>, Failure> {
        let id = login::read(&self.speech.checked, answer)?;
        self.sessions += 1;
        Ok(OpenedSession { session: Session { id, number: self.sessions }, renew_after: None })
    }

    fn keep_alive(&mut self, _: Now, session: &Session) -> Option<HttpCall> {
        self.operation(&LOGGED_IN, session).ok()
    }

    fn is_alive(&mut self, answer: &HttpAnswer) -> bool {
        // What can not be read says nothing of the session.
        self.reply(LOGGED_IN.function(), answer).map_or(true, |reply| self.says_alive(reply))
    }

    fn logout(&mut self, session: &Session) -> Option<HttpCall> {
        self.operation(&Operation::Logout {}, session).ok()
    }

    fn begin(&mut self, now: Now, request: &Request) -> Result<Begun<Task>, Refusal> {
        let task = self.speech.task(now, request)?;
        // An empty list of devices, which the rules refuse.
        if task.parts.is_empty() {
            return Ok(Begun::End(Verdict::Completed(None).into()));
        }
        Ok(Begun::Task(task))
    }

    fn call(&mut self, _: Now, session: Option<&Session>, task: &Task) -> Result<HttpCall, Failure> {
        let nothing = || Failure::not_sent("no_call", "there is nothing to call");
        let (session, part) = session.zip(task.parts.front()).ok_or_else(nothing)?;
        if task.doubt.is_some() {
            task.checked_in.set(session.number);
            return self.operation(&LOGGED_IN, session);
        }
        task.asked_in.set(session.number);
        match (&task.stage, &part.words) {
            (Stage::Continuing(id), _) => self.operation(&Operation::ContinueFragmentedTask { id: *id }, session),
            (Stage::Following { .. }, _) => self.operation(&Operation::GetTasksOfLastCall {}, session),
            (Stage::Calling, words) => {
                let call = match words {
                    Words::Operation(operation) => Call::new(operation, session.id.reveal()),
                    Words::Raw(raw) => Call::other(&raw.function, &raw.parameters, session.id.reveal()),
                };
                let prefixed = self.prefixed.get(words.function()).copied().unwrap_or_default();
                self.speech.checked.binding.write_call(&call, prefixed ^ task.respelled)
            }
        }
    }

    fn read(&mut self, now: Now, task: &mut Task, answer: &HttpAnswer) -> Step {
        let function = match (&task.doubt, &task.stage) {
            (Some(_), _) => LOGGED_IN.function().to_owned(),
            (None, Stage::Continuing(_)) => "continueFragmentedTask".to_owned(),
            (None, Stage::Following { .. }) => "getTasksOfLastCall".to_owned(),
            (None, Stage::Calling) => {
                task.parts.front().map(|part| part.words.function().to_owned()).unwrap_or_default()
            }
        };
        let reply = match self.reply(&function, answer) {
            Ok(Err(error)) if error.code == SERVER_SIDE => {
                let failure = Failure { code: SERVER_SIDE.into(), text: error.text, ..answer::server_error(answer) };
                return Step::failed(failure);
            }
            Ok(reply) => reply,
            Err(failure) => return Step::failed(failure),
        };
        if let Some(refusal) = task.doubt.take() {
            let alive = self.says_alive(reply);
            return self.session_checked(task, alive, refusal, answer);
        }
        if matches!(task.stage, Stage::Following { .. }) {
            return self.tasks_told(now, task, reply, answer);
        }
        match reply {
            Ok(value) => {
                let raw = task.parts.front().is_some_and(|part| matches!(part.words, Words::Raw(_)));
                if raw {
                    task.findings.raw = answer.body.clone();
                }
                self.granted(now, task, value, answer)
            }
            Err(error) if error.code == NO_ACCESS => {
                task.doubt = Some(error);
                Step::Undone
            }
            Err(error) => self.refused(task, error),
        }
    }

    fn secrets<'a>(&'a self, session: Option<&'a Session>) -> Vec<&'a str> {
        let settings = self.speech.settings();
        let mut secrets = vec![settings.password.reveal(), settings.api_token.reveal()];
        secrets.extend(session.map(|session| session.id.reveal()));
        secrets
    }

    fn confidential(&self, task: &Task, answer: Option<&HttpAnswer>) -> Vec<String> {
        match (answer, task.parts.front()) {
            (Some(answer), _) => confidential::in_answer(&answer.body),
            (None, Some(part)) => confidential::in_call(&part.words),
            (None, None) => Vec::new(),
        }
    }
}

impl CableView {
    fn operation(&self, operation: &Operation, session: &Session) -> Result<HttpCall, Failure> {
        self.speech.checked.binding.write_call(&Call::new(operation, session.id.reveal()), false)
    }

    fn reply(&self, function: &str, answer: &HttpAnswer) -> Result<Reply, Failure> {
        self.speech.checked.binding.read_reply(function, answer)
    }

    pub(super) fn read_value<T: Wire>(&self, value: Value) -> Result<T, Misfit> {
        T::read(value, self.speech.checked.binding.zone())
    }

    /// Whether that is the answer of a session that lives.
    fn says_alive(&self, reply: Reply) -> bool {
        reply.is_ok_and(|value| self.read_value(value).unwrap_or_default())
    }

    // ---- the session in doubt

    /// A refusal was looked into: is it the session, the spelling of the function, or the right?
    fn session_checked(&self, task: &mut Task, alive: bool, refusal: ServiceError, answer: &HttpAnswer) -> Step {
        let renewed_meanwhile = task.asked_in.get() != task.checked_in.get();
        if !alive {
            let lost = Failure { code: "session_lost".into(), ..answer::not_admitted(answer) };
            if std::mem::replace(&mut task.renewed, true) {
                return Step::failed(lost);
            }
            return Step::SessionLost(lost);
        }
        let calling = matches!(task.stage, Stage::Calling);
        if renewed_meanwhile {
            return Step::Undone;
        }
        if calling && self.speech.checked.binding.has_spellings() && !task.respelled {
            task.respelled = true;
            return Step::Undone;
        }
        self.refused(task, refusal)
    }

    // ---- answers

    /// The platform did what it was asked, or began to.
    fn granted(&mut self, now: Now, task: &mut Task, value: Value, answer: &HttpAnswer) -> Step {
        let Some(part) = task.parts.front() else { return Step::completed() };
        if task.respelled {
            let function = part.words.function().to_owned();
            let spelling = self.prefixed.entry(function).or_default();
            *spelling = !*spelling;
            task.respelled = false;
        }
        if matches!(&value, Value::Record(record) if record.get("fragmentedTaskId").is_some()) {
            match self.read_value::<FragmentedTask>(value.clone()) {
                Ok(work) if !work.finished => {
                    task.stage = Stage::Continuing(work.fragmented_task_id);
                    return Step::Next;
                }
                Ok(_) => {}
                Err(misfit) => return Step::failed(answer::unreadable(answer, misfit)),
            }
        }
        let changes = !matches!(&part.words, Words::Operation(operation) if operation.is_harmless());
        if changes && self.speech.settings().follow_tasks {
            task.stage = Stage::Following { since: now.tick, value };
            return Step::Next;
        }
        self.done(now, task, value, answer)
    }

    /// The radio side's work is told of.
    fn tasks_told(&self, now: Now, task: &mut Task, reply: Reply, answer: &HttpAnswer) -> Step {
        let settings = self.speech.settings();
        let unfinished = |code: String, text: String| {
            // The change is stored: asking for it again would not help.
            Step::failed(Failure {
                code: code.into(),
                text,
                blame: Blame::Platform,
                retry: Retry::Never,
                sent: Sent::Yes,
                parts: Vec::new(),
            })
        };
        let tasks = match reply.map(|value| self.read_value::<Vec<RadioTask>>(value)) {
            Ok(Ok(tasks)) => tasks,
            Ok(Err(misfit)) => return unfinished("tasks_unreadable".into(), misfit.to_string()),
            Err(error) => return unfinished(error.code, error.text),
        };
        if let Some(failed) = tasks.iter().find(|work| settings.task_failed.contains(&work.status)) {
            let code =
                failed.return_code.map_or_else(|| "task_failed".to_owned(), |code| format!("task_failed_{code}"));
            let error = ServiceError::new(&code, failed.message.as_deref().unwrap_or_default());
            return self.refused(task, error);
        }
        let Stage::Following { since, .. } = &task.stage else { return Step::completed() };
        if tasks.iter().any(|work| !settings.task_done.contains(&work.status)) {
            if now.tick.since(*since) >= settings.task_limit {
                let text = "the platform stored the change, and its radio side did not end its work in time";
                return unfinished("tasks_unfinished".into(), text.into());
            }
            return Step::After(settings.task_poll);
        }
        match std::mem::take(&mut task.stage) {
            Stage::Following { value, .. } => self.done(now, task, value, answer),
            Stage::Calling | Stage::Continuing(_) => Step::completed(),
        }
    }

    /// The part under way is answered in full.
    fn done(&self, now: Now, task: &mut Task, value: Value, answer: &HttpAnswer) -> Step {
        let Some(part) = self.next_part(task) else { return Step::completed() };
        match self.follow(now, task, part, value) {
            Ok(None) => self.go_on(task),
            Ok(Some(refusal)) => self.fail(task, refusal.0, &refusal.1),
            Err(misfit) => Step::failed(answer::unreadable(answer, misfit)),
        }
    }

    /// The part under way is refused.
    fn refused(&self, task: &mut Task, error: ServiceError) -> Step {
        let Some(part) = self.next_part(task) else { return Step::completed() };
        if OF_ONE_CARD.contains(&error.code.as_str())
            && let Some([first, second]) = part.halves()
        {
            task.parts.push_front(second);
            task.parts.push_front(first);
            return Step::Undone;
        }
        match part.despite {
            Despite::Anything => self.go_on(task),
            Despite::Already(codes) if codes.contains(&error.code.as_str()) => {
                task.done += part.about.len().max(1);
                self.go_on(task)
            }
            Despite::Ask(codes, mut ask) if codes.contains(&error.code.as_str()) => {
                match &mut ask.then {
                    Then::Confirm(refusal) | Then::Listed { refusal, .. } => *refusal = error,
                    _ => {}
                }
                task.parts.push_front(*ask);
                Step::Undone
            }
            _ => self.fail(task, part.about, &error),
        }
    }

    fn fail(&self, task: &mut Task, about: Vec<Serial>, error: &ServiceError) -> Step {
        let part = |part| FailedPart { part, code: error.code.clone().into(), text: error.text.clone() };
        let nothing_else = task.done == 0 && task.failed.is_empty() && task.parts.is_empty();
        if task.strict || about.is_empty() || nothing_else {
            return Step::rejected(Failure::refused(error.code.clone(), error.text.clone()));
        }
        task.failed.extend(about.into_iter().map(part));
        self.go_on(task)
    }

    fn next_part(&self, task: &mut Task) -> Option<Part> {
        task.stage = Stage::Calling;
        task.renewed = false;
        task.respelled = false;
        task.parts.pop_front()
    }

    /// The next part, or the end.
    fn go_on(&self, task: &mut Task) -> Step {
        if !task.parts.is_empty() {
            return Step::Next;
        }
        if let Some((pause, parts)) = task.afterwards.take()
            && !parts.is_empty()
        {
            task.parts = parts;
            return Step::After(pause);
        }
        let verdict = match (task.failed.first(), task.done) {
            (None, _) => match answers::told(&self.speech, &mut task.findings) {
                Ok(told) => Verdict::Completed(told),
                Err(misfit) => Verdict::Failed(answer::unreadable(&HttpAnswer::default(), misfit)),
            },
            (Some(first), 0) => Verdict::Rejected(Failure::refused(first.code.clone(), first.text.clone())),
            (Some(_), done) => {
                let failed = std::mem::take(&mut task.failed);
                let all = done + failed.len();
                Verdict::Rejected(Failure::partial(failed, all))
            }
        };
        let numbers = task.orders.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        Step::End(End { verdict, reference: PlatformReference::new(&numbers).ok() })
    }
}
