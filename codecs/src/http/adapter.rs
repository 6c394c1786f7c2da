//! The adapter of every protocol over HTTP: carries out what a [`Dialogue`] says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use headgate_core::adapter::{Adapter, Done, Effect, EffectId, Event, Input, LinkId, Output, Submission, SubmissionId};
use headgate_core::command::Command;
use headgate_core::failure::{Blame, Failure, Retry, Sent};
use headgate_core::http::{ANSWER_LIMIT, HttpAnswer, HttpCall, HttpError};
use headgate_core::outcome::{Outcome, Verdict};
use headgate_core::request::Request;
use headgate_core::{Deadline, Now, Tick};
use schemars::JsonSchema;
use serde::Deserialize;

use super::dialogue::{Begun, Dialogue, End, OpenedSession, Step};
use super::message::Record;
use super::session::{Generation, Sessions};
use crate::registry::{EncodeError, Encoded};

/// The adapter's one link: whether the platform can be called.
const LINK: LinkId = LinkId(0);

/// How often one submission may find its session lost before it gives up: a platform that loses every session at
/// once would be asked without end.
const LOSSES: u32 = 2;

/// The pause after an answer that asks for one without saying how long.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that an answer may ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// How calls are made: the part of a protocol's settings that stands under `calls`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CallSettings {
    /// Most requests that are carried out side by side, 1 to 10,000. Each has at most one call under way.
    /// Default 32.
    #[schemars(range(min = 1, max = 10_000))]
    pub at_once: usize,
    /// How long an answer may take. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Most bytes of an answer. Default 4 MiB.
    #[schemars(range(min = 1_024, max = 268_435_456))]
    pub answer_limit: usize,
}

impl Default for CallSettings {
    fn default() -> Self {
        Self { at_once: 32, timeout: Duration::from_secs(30), answer_limit: ANSWER_LIMIT }
    }
}

impl CallSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The name of the setting, below `calls`, and what would be right.
    pub fn check(&self) -> Result<(), crate::registry::SettingsError> {
        let wrong = |name: &str, text: &str| Err(crate::registry::SettingsError::new(format!("calls.{name}"), text));
        if !(1..=10_000).contains(&self.at_once) {
            return wrong("at_once", "must be 1 to 10000");
        }
        if self.timeout.is_zero() {
            return wrong("timeout", "must be longer than zero");
        }
        if !(1_024..=268_435_456).contains(&self.answer_limit) {
            return wrong("answer_limit", "must be 1024 to 268435456 bytes");
        }
        Ok(())
    }
}

/// An adapter that speaks by a dialogue.
pub struct HttpAdapter<D: Dialogue> {
    dialogue: D,
    settings: CallSettings,
    /// Absent: every call stands for itself.
    sessions: Option<Sessions<D::Session>>,
    tasks: BTreeMap<SubmissionId, Running<D::Task>>,
    /// Submissions whose next call can be made, in order.
    ready: VecDeque<SubmissionId>,
    /// Submissions whose next call comes later.
    later: BTreeSet<(Tick, SubmissionId)>,
    calls: BTreeMap<EffectId, Call>,
    effects: EffectId,
    outputs: VecDeque<Output>,
    /// Whether the engine was told that the link is up.
    up: bool,
    draining: bool,
    now: Tick,
}

/// A submission that is being carried out.
struct Running<T> {
    task: T,
    record: Record,
    /// What must not stand in the record, of the request's own.
    private: Vec<String>,
    /// Whether an earlier call may have changed something at the platform.
    changed: bool,
    /// How often it found its session lost.
    losses: u32,
}

/// A call under way.
enum Call {
    Task { submission: SubmissionId, generation: Option<Generation>, harmless: bool },
    Login,
    KeepAlive(Generation),
    Logout,
}

impl<D: Dialogue> HttpAdapter<D> {
    /// An adapter that speaks by `dialogue`. `seed` varies the waits between logins that fail.
    #[must_use]
    pub fn new(dialogue: D, settings: CallSettings, seed: u64) -> Self {
        let sessions = dialogue.login_rules().map(|rules| Sessions::new(rules, seed));
        Self {
            dialogue,
            settings,
            sessions,
            tasks: BTreeMap::new(),
            ready: VecDeque::new(),
            later: BTreeSet::new(),
            calls: BTreeMap::new(),
            effects: EffectId::default(),
            outputs: VecDeque::new(),
            up: false,
            draining: false,
            now: Tick::default(),
        }
    }

    // ---- calls out

    /// Makes every call that can be made now.
    fn pump(&mut self, now: Now) {
        self.now = now.tick;
        while let Some((at, submission)) = self.later.first().copied().filter(|(at, _)| *at <= now.tick) {
            self.later.remove(&(at, submission));
            self.ready.push_back(submission);
        }
        self.tend_session(now);
        while let Some(submission) = self.ready.pop_front() {
            if !self.call(now, submission) {
                self.ready.push_front(submission);
                break;
            }
        }
        if self.draining && self.tasks.is_empty() {
            self.take_leave();
        }
    }

    /// Begins a login that is due, and keeps an idle session alive.
    fn tend_session(&mut self, now: Now) {
        let Some(sessions) = &mut self.sessions else { return };
        let wanted = !self.draining || !self.tasks.is_empty();
        if wanted && sessions.wants_login(now.tick) {
            let call = self.dialogue.login(now, sessions.held());
            let id = self.effects.next();
            sessions.opening(now.tick, id);
            self.send(id, HttpCall { harmless: true, ..call }, Call::Login);
        } else if sessions.keep_alive_at().is_some_and(|at| at <= now.tick)
            && let Some((session, generation)) = sessions.current(now.tick)
            && let Some(call) = self.dialogue.keep_alive(now, session)
        {
            let id = self.effects.next();
            self.send(id, HttpCall { harmless: true, ..call }, Call::KeepAlive(generation));
        }
    }

    /// Makes a submission's next call. Returns whether it could: it can not while there is no session.
    fn call(&mut self, now: Now, submission: SubmissionId) -> bool {
        let Some(running) = self.tasks.get_mut(&submission) else { return true };
        let (session, generation) = match &mut self.sessions {
            None => (None, None),
            Some(sessions) => match sessions.current(now.tick) {
                Some((session, generation)) => (Some(session), Some(generation)),
                None => return false,
            },
        };
        match self.dialogue.call(now, session, &running.task) {
            Ok(call) => {
                let confidential = self.dialogue.confidential(&running.task, None);
                let mut secrets = self.dialogue.secrets(session);
                secrets.extend(running.private.iter().chain(&confidential).map(String::as_str));
                running.record.sent(&call, &secrets);
                let harmless = call.harmless;
                let id = self.effects.next();
                self.send(id, call, Call::Task { submission, generation, harmless });
            }
            Err(failure) => {
                let sent = if running.changed { Sent::Maybe } else { failure.sent };
                self.finish(submission, Verdict::Failed(Failure { sent, ..failure }).into());
            }
        }
        true
    }

    fn send(&mut self, id: EffectId, mut call: HttpCall, what: Call) {
        call.timeout.get_or_insert(self.settings.timeout);
        call.answer_limit = self.settings.answer_limit;
        self.calls.insert(id, what);
        self.outputs.push_back(Output::Do(id, Effect::Http(call)));
    }

    fn take_leave(&mut self) {
        let Some(session) = self.sessions.as_mut().and_then(Sessions::take) else { return };
        if let Some(call) = self.dialogue.logout(&session) {
            let id = self.effects.next();
            self.send(id, HttpCall { harmless: true, ..call }, Call::Logout);
        }
    }

    // ---- answers in

    fn answered(&mut self, now: Now, id: EffectId, result: Result<HttpAnswer, HttpError>) {
        match self.calls.remove(&id) {
            Some(Call::Login) => self.login_answered(now, id, result),
            Some(Call::Task { submission, generation, harmless }) => match result {
                Ok(answer) => self.task_answered(now, submission, generation, harmless, &answer),
                Err(error) => self.task_unanswered(submission, harmless, error),
            },
            Some(Call::KeepAlive(generation)) => {
                // A call that got lost says nothing of the session.
                if result.is_ok_and(|answer| !self.dialogue.is_alive(&answer))
                    && let Some(sessions) = &mut self.sessions
                {
                    sessions.lost(now.tick, generation);
                }
            }
            Some(Call::Logout) | None => {}
        }
    }

    fn login_answered(&mut self, now: Now, id: EffectId, result: Result<HttpAnswer, HttpError>) {
        let Some(sessions) = self.sessions.as_mut().filter(|sessions| sessions.is_login(id)) else { return };
        let opened: Result<OpenedSession<D::Session>, Failure> = match result {
            Ok(answer) => match slow_down(&answer) {
                Some((pause, failure)) => {
                    self.outputs.push_back(Output::Event(Event::SlowDown { pause, why: failure.text.clone() }));
                    Err(failure)
                }
                None => self.dialogue.logged_in(now, &answer),
            },
            Err(error) => Err(Failure::not_sent(error.code, error.text)),
        };
        match opened {
            Ok(opened) => {
                sessions.opened(now.tick, opened);
                self.set_up();
            }
            Err(failure) => {
                if !sessions.refused(now.tick) {
                    self.set_down(&failure);
                    // None of their calls went out with what would do harm twice; they come back by themselves.
                    for submission in std::mem::take(&mut self.ready) {
                        let Some(running) = self.tasks.get(&submission) else { continue };
                        let sent = if running.changed { Sent::Maybe } else { Sent::No };
                        let failure = Failure { sent, retry: Retry::Later(None), ..failure.clone() };
                        self.finish(submission, Verdict::Failed(failure).into());
                    }
                }
            }
        }
    }

    fn task_answered(
        &mut self,
        now: Now,
        submission: SubmissionId,
        generation: Option<Generation>,
        harmless: bool,
        answer: &HttpAnswer,
    ) {
        // Whoever answers can be called; a session is another matter.
        if self.sessions.is_none() {
            self.set_up();
        }
        let Some(running) = self.tasks.get_mut(&submission) else { return };
        let confidential = self.dialogue.confidential(&running.task, Some(answer));
        let mut secrets = self.dialogue.secrets(self.sessions.as_ref().and_then(Sessions::held));
        secrets.extend(running.private.iter().chain(&confidential).map(String::as_str));
        running.record.received(answer, &secrets);
        if let Some((pause, failure)) = slow_down(answer) {
            self.outputs.push_back(Output::Event(Event::SlowDown { pause, why: failure.text.clone() }));
            let sent = if running.changed { Sent::Maybe } else { Sent::No };
            return self.finish(submission, Verdict::Failed(Failure { sent, ..failure }).into());
        }
        if let Some(failure) = redirect(answer) {
            return self.finish(submission, Verdict::Failed(failure).into());
        }
        let step = self.dialogue.read(now, &mut running.task, answer);
        match step {
            Step::Next => {
                running.changed |= !harmless;
                self.ready.push_back(submission);
            }
            Step::Undone => self.ready.push_back(submission),
            Step::After(pause) => {
                running.changed |= !harmless;
                self.later.insert((now.tick + pause, submission));
            }
            Step::SessionLost(failure) => {
                if let (Some(sessions), Some(generation)) = (&mut self.sessions, generation) {
                    sessions.lost(now.tick, generation);
                }
                running.losses += 1;
                if running.losses > LOSSES || self.sessions.is_none() {
                    let sent = if running.changed { Sent::Maybe } else { Sent::No };
                    self.finish(submission, Verdict::Failed(Failure { sent, ..failure }).into());
                } else {
                    self.ready.push_front(submission);
                }
            }
            Step::End(end) => self.finish(submission, end),
        }
    }

    fn task_unanswered(&mut self, submission: SubmissionId, harmless: bool, error: HttpError) {
        let Some(running) = self.tasks.get(&submission) else { return };
        // A call that changes nothing has changed nothing, whether or not it arrived.
        let sent = match (error.sent, harmless, running.changed) {
            (_, _, true) => Sent::Maybe,
            (_, true, false) => Sent::No,
            (sent, false, false) => sent,
        };
        let failure = Failure { sent, ..Failure::not_sent(error.code, error.text) };
        if error.sent == Sent::No && self.sessions.is_none() {
            self.set_down(&failure);
        }
        self.finish(submission, Verdict::Failed(failure).into());
    }

    fn finish(&mut self, submission: SubmissionId, end: End) {
        let (record, private) = match self.tasks.remove(&submission) {
            Some(running) => (running.record, running.private),
            None => (Record::default(), Vec::new()),
        };
        let verdict = without(&private, end.verdict);
        let outcome = Outcome { verdict, reference: end.reference, exchange: record.into_exchange() };
        self.outputs.push_back(Output::Event(Event::Finished(submission, outcome)));
    }

    fn set_up(&mut self) {
        if !self.up {
            self.up = true;
            self.outputs.push_back(Output::Event(Event::LinkUp(LINK)));
        }
    }

    fn set_down(&mut self, failure: &Failure) {
        self.up = false;
        self.outputs.push_back(Output::Event(Event::LinkDown(LINK, failure.clone())));
    }
}

impl<D: Dialogue> Adapter for HttpAdapter<D> {
    fn capacity(&self) -> usize {
        // Without sessions nothing but a call can find out whether the platform is back.
        let closed = self.sessions.is_some() && !self.up;
        if closed || self.draining { 0 } else { self.settings.at_once.saturating_sub(self.tasks.len()) }
    }

    fn submit(&mut self, now: Now, submission: Submission) {
        let Submission { id, request, .. } = submission;
        if self.capacity() == 0 {
            let failure = Failure::not_sent("no_capacity", "the platform can not be called now");
            return self.outputs.push_back(Output::Event(Event::Finished(id, Outcome::unsent(failure))));
        }
        match self.dialogue.begin(now, &request) {
            Ok(Begun::Task(task)) => {
                let private = private(&request.command);
                let running = Running { task, record: Record::default(), private, changed: false, losses: 0 };
                self.tasks.insert(id, running);
                self.ready.push_back(id);
                self.pump(now);
            }
            Ok(Begun::End(end)) => self.finish(id, end),
            Err(refusal) => {
                let failure = Failure::unspeakable(refusal.code, refusal.to_string());
                self.outputs.push_back(Output::Event(Event::Finished(id, Outcome::unsent(failure))));
            }
        }
    }

    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Start if self.sessions.is_none() => self.set_up(),
            Input::Done(id, Done::Http(result)) => self.answered(now, id, result),
            _ => {}
        }
        self.pump(now);
    }

    fn drain(&mut self, now: Now) {
        self.draining = true;
        self.pump(now);
    }

    fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let later = self.later.first().map(|(at, _)| Deadline { at: *at, why: "the platform works on it" });
        let wall = jiff::Timestamp::UNIX_EPOCH;
        let session = self.sessions.as_ref().filter(|_| !self.draining || !self.tasks.is_empty());
        let login = session
            .and_then(|sessions| sessions.login_at(Now { tick: self.now, wall }))
            .map(|at| Deadline { at, why: "log in" });
        let alive = session.and_then(Sessions::keep_alive_at).map(|at| Deadline { at, why: "keep the session alive" });
        Output::Wait(Deadline::earliest(later, Deadline::earliest(login, alive)))
    }
}

/// The first call that would carry a request, written as it would be sent to a session named `session`; the others
/// depend on answers.
///
/// # Errors
/// [`EncodeError::Refused`] if the platform's words can not say it.
pub fn encode<D: Dialogue>(
    dialogue: &mut D,
    session: Option<&D::Session>,
    now: Now,
    request: &Request,
) -> Result<Vec<Encoded>, EncodeError> {
    let task = match dialogue.begin(now, request)? {
        Begun::Task(task) => task,
        Begun::End(_) => return Ok(Vec::new()),
    };
    let call = dialogue
        .call(now, session, &task)
        .map_err(|failure| headgate_core::body::Refusal::new("command", "unspeakable", failure.text))?;
    let title = format!("{} {}", call.method, call.target.split('?').next().unwrap_or_default());
    Ok(vec![Encoded { title, bytes: super::message::write_call(&call).into() }])
}

/// The request's own secrets.
fn private(command: &Command) -> Vec<String> {
    let secrets = match command {
        Command::CreateSubscriber(subscriber) | Command::UpdateSubscriber(subscriber) => {
            vec![subscriber.password.as_ref(), subscriber.pin.as_ref()]
        }
        Command::SetPin { pin, .. } => vec![Some(pin)],
        Command::Authenticate(credentials) => vec![credentials.password.as_ref()],
        _ => Vec::new(),
    };
    secrets.into_iter().flatten().map(|secret| secret.reveal().to_owned()).collect()
}

/// The same verdict without secrets that the platform's words repeat.
fn without(private: &[String], verdict: Verdict) -> Verdict {
    let mask = |text: &mut String| {
        for secret in private.iter().filter(|secret| !secret.is_empty()) {
            *text = text.replace(secret.as_str(), "***");
        }
    };
    let masked = |mut failure: Failure| {
        mask(&mut failure.text);
        failure.parts.iter_mut().for_each(|part| mask(&mut part.text));
        failure
    };
    match verdict {
        Verdict::Completed(answer) => Verdict::Completed(answer),
        Verdict::Rejected(failure) => Verdict::Rejected(masked(failure)),
        Verdict::Failed(failure) => Verdict::Failed(masked(failure)),
    }
}

/// How long an answer asks us to wait, if it is "too many requests", or "unavailable" with a time.
fn slow_down(answer: &HttpAnswer) -> Option<(Duration, Failure)> {
    let after = answer.header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let pause = match (answer.status, after) {
        (429, after) => after.unwrap_or(PAUSE),
        (503, Some(after)) => after,
        _ => return None,
    };
    let pause = pause.min(LONGEST_PAUSE);
    let failure = Failure {
        code: "slow_down".into(),
        text: format!("the platform asks for a pause (HTTP {})", answer.status),
        blame: Blame::Platform,
        retry: Retry::Later(Some(pause)),
        sent: Sent::No,
        parts: Vec::new(),
    };
    Some((pause, failure))
}

fn redirect(answer: &HttpAnswer) -> Option<Failure> {
    matches!(answer.status, 300..=399).then(|| Failure {
        code: "redirected".into(),
        text: format!(
            "the platform's web service is elsewhere (HTTP {}); redirects are not followed: correct `connection.url`",
            answer.status
        ),
        blame: Blame::Gateway,
        retry: Retry::Later(None),
        sent: Sent::No,
        parts: Vec::new(),
    })
}
