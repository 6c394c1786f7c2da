//! How one vendor's platform is talked to over HTTP: which calls carry a command, and what their answers mean.

use std::time::Duration;

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::{Answer, Verdict};
use headgate_core::request::Request;
use headgate_core::text::PlatformReference;

/// How one vendor's platform is talked to.
///
/// A command becomes a [`Dialogue::Task`]: a series of calls, one after the other, each made from what the answers
/// before it told. [`Dialogue::call`] makes the call that the task is at, [`Dialogue::read`] takes its answer and
/// moves the task on. A call may be made again (with another session, when the first was lost), so `call` must not
/// move the task.
pub trait Dialogue: Send {
    /// What a login gives: a handle, a token. `()` where there is none.
    type Session: Send;

    /// Where a command stands between its calls.
    type Task: Send;

    /// How sessions are opened; absent: there are none, every call stands for itself.
    fn login_rules(&self) -> Option<LoginRules> {
        None
    }

    /// The call that opens a session; with `previous`, one that renews it, where the protocol has such a call.
    /// Called only if there are [`Dialogue::login_rules`].
    fn login(&mut self, now: Now, previous: Option<&Self::Session>) -> HttpCall {
        let _ = (now, previous);
        HttpCall::get("/")
    }

    /// What the login's answer gives.
    ///
    /// # Errors
    /// Why there is no session.
    fn logged_in(&mut self, now: Now, answer: &HttpAnswer) -> Result<OpenedSession<Self::Session>, Failure> {
        let _ = (now, answer);
        Err(Failure::not_sent("no_login", "this protocol has no login"))
    }

    /// The call that ends the session, where there is one.
    fn logout(&mut self, session: &Self::Session) -> Option<HttpCall> {
        let _ = session;
        None
    }

    /// The harmless call that keeps an idle session alive, where the protocol has one. See
    /// [`LoginRules::keep_alive`].
    fn keep_alive(&mut self, now: Now, session: &Self::Session) -> Option<HttpCall> {
        let _ = (now, session);
        None
    }

    /// Whether the answer to [`Dialogue::keep_alive`] says that the session lives.
    fn is_alive(&mut self, answer: &HttpAnswer) -> bool {
        answer.is_success()
    }

    /// Takes up a request.
    ///
    /// # Errors
    /// Why it can not be put into the platform's words. [`headgate_core::adapter::Rules::check`] should have said so
    /// already.
    fn begin(&mut self, now: Now, request: &Request) -> Result<Begun<Self::Task>, Refusal>;

    /// The call that the task is at. `session` is there if there are [`Dialogue::login_rules`].
    ///
    /// # Errors
    /// Why it can not be made; the submission ends so.
    fn call(&mut self, now: Now, session: Option<&Self::Session>, task: &Self::Task) -> Result<HttpCall, Failure>;

    /// Takes the answer to that call, and moves the task on.
    ///
    /// Answers that say "slow down" (429, and 503 with `Retry-After`) and redirects do not come here: the adapter
    /// understands them.
    fn read(&mut self, now: Now, task: &mut Self::Task, answer: &HttpAnswer) -> Step;

    /// What must not stand in the record of what was said: the session's handle, keys.
    fn secrets<'a>(&'a self, session: Option<&'a Self::Session>) -> Vec<&'a str> {
        let _ = session;
        Vec::new()
    }

    /// What else must not stand in it, of this task: what it made of the request's own secrets (a hash, a PIN as a
    /// number), and what an answer confides (a token for somebody else). The request's passwords and PINs need no mention.
    fn confidential(&self, task: &Self::Task, answer: Option<&HttpAnswer>) -> Vec<String> {
        let _ = (task, answer);
        Vec::new()
    }
}

/// A request that was taken up.
#[derive(Debug)]
pub enum Begun<T> {
    /// It needs calls.
    Task(T),
    /// It is done without asking the platform.
    End(End),
}

/// What an answer leads to.
#[derive(Debug)]
pub enum Step {
    /// The task goes on with its next call.
    Next,
    /// That call did nothing: it was refused as a whole. The task goes on with another one.
    Undone,
    /// The task goes on after this time: the platform works on it.
    After(Duration),
    /// The session is not known to the platform any more, and nothing was done: the call is made again with a new
    /// one. The failure is what the submission ends with if that does not help.
    SessionLost(Failure),
    /// The submission ended.
    End(End),
}

impl Step {
    /// It is done.
    #[must_use]
    pub fn completed() -> Self {
        Self::End(Verdict::Completed(None).into())
    }

    /// It is done, and the platform told this.
    #[must_use]
    pub fn answered(answer: Answer) -> Self {
        Self::End(Verdict::Completed(Some(answer)).into())
    }

    /// The platform said no.
    #[must_use]
    pub fn rejected(failure: Failure) -> Self {
        Self::End(Verdict::Rejected(failure).into())
    }

    /// It did not work.
    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        Self::End(Verdict::Failed(failure).into())
    }
}

/// How a submission ends.
#[derive(Debug)]
pub struct End {
    /// What became of it.
    pub verdict: Verdict,
    /// The platform's own number for it.
    pub reference: Option<PlatformReference>,
}

impl From<Verdict> for End {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, reference: None }
    }
}

/// How sessions are opened.
#[derive(Clone, Copy, Debug)]
pub struct LoginRules {
    /// At most so many logins in any stretch of time of that length; absent: no such limit.
    pub budget: Option<(usize, Duration)>,
    /// How long to wait after a login that failed; doubles up to `longest_wait`.
    pub first_wait: Duration,
    /// Never longer than this.
    pub longest_wait: Duration,
    /// After how long without a call [`Dialogue::keep_alive`] is made; absent: never.
    pub keep_alive: Option<Duration>,
}

impl Default for LoginRules {
    fn default() -> Self {
        Self {
            budget: None,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(1),
            keep_alive: None,
        }
    }
}

/// A session that was opened.
#[derive(Debug)]
pub struct OpenedSession<S> {
    /// What calls need of it.
    pub session: S,
    /// When it must be renewed, counted from now; absent: when the platform says that it is lost.
    pub renew_after: Option<Duration>,
}
