//! The platform's side of every protocol over HTTP: a [`Backend`] that keeps state and answers calls, and around it
//! the ways of misbehaving that all of them share.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{Effect, EffectId, Input};
use headgate_core::http::{CallId, HttpAnswer, HttpReply, HttpRequest};
use headgate_core::platform::{Fault, Holdings, Platform, PlatformOutput};
use headgate_core::{Deadline, Now, Tick};

/// The longest that an answer is delayed on demand.
const LONGEST_DELAY: Duration = Duration::from_hours(1);

/// What [`Fault::Oversized`] declares, in bytes: 1 GiB.
const OVERSIZED: u64 = 1 << 30;

/// What a vendor's platform keeps, and how it answers.
pub trait Backend: Send {
    /// Answers a call. With `refuse`, which is [`Fault::UnknownCard`] or [`Fault::RefuseLogin`], it refuses as if that
    /// were so.
    fn answer(&mut self, now: Now, request: &HttpRequest, refuse: Option<Fault>) -> HttpAnswer;

    /// Whether the call opens a session.
    fn is_login(&self, request: &HttpRequest) -> bool {
        let _ = request;
        false
    }

    /// Forgets every session.
    fn lose_sessions(&mut self) {}

    /// Whether it has sessions: whether [`Fault::RefuseLogin`] and [`Fault::LoseSessions`] mean something.
    fn has_sessions(&self) -> bool {
        false
    }

    /// What it holds now.
    fn holdings(&self) -> &Holdings;
}

/// A platform that is called over HTTP.
#[derive(Debug)]
pub struct HttpPlatform<B> {
    backend: B,
    faults: VecDeque<Fault>,
    /// Answers that come late.
    delayed: BTreeMap<(Tick, EffectId), (CallId, HttpReply)>,
    outputs: VecDeque<(EffectId, Effect)>,
    effects: EffectId,
}

impl<B: Backend> HttpPlatform<B> {
    /// A platform with this backend.
    #[must_use]
    pub const fn new(backend: B) -> Self {
        Self {
            backend,
            faults: VecDeque::new(),
            delayed: BTreeMap::new(),
            outputs: VecDeque::new(),
            effects: EffectId(0),
        }
    }

    fn called(&mut self, now: Now, call: CallId, request: &HttpRequest) {
        let login = self.backend.is_login(request);
        let applies = |fault: &Fault| (*fault == Fault::RefuseLogin) == login;
        let fault = self.faults.iter().position(applies).and_then(|at| self.faults.remove(at));
        match fault {
            Some(Fault::CloseBefore) => return self.reply(call, HttpReply::Close),
            Some(Fault::LoseSessions) => self.backend.lose_sessions(),
            Some(Fault::Throttle) => {
                let mut answer = HttpAnswer::new(429, "text/plain", "too many requests");
                answer.headers.push(("retry-after".into(), "1".into()));
                return self.reply(call, HttpReply::Whole(answer));
            }
            _ => {}
        }
        let refuse = fault.filter(|fault| matches!(fault, Fault::UnknownCard | Fault::RefuseLogin));
        let answer = self.backend.answer(now, request, refuse);
        match fault {
            Some(Fault::Garbage) => {
                self.reply(
                    call,
                    HttpReply::Whole(HttpAnswer { body: Bytes::from_static(b"\x00\xff<{\"=&"), ..answer }),
                );
            }
            Some(Fault::HalfFrame) => {
                let declared = answer.body.len().max(2) as u64;
                let half = answer.body.slice(..answer.body.len() / 2);
                self.reply(call, HttpReply::Cut(HttpAnswer { body: half, ..answer }, declared));
            }
            Some(Fault::Silence) => {}
            Some(Fault::CloseInstead) => self.reply(call, HttpReply::Close),
            Some(Fault::CloseAfter) => self.reply(call, HttpReply::AndClose(answer)),
            Some(Fault::ServerError) => {
                let page = "<html><body><h1>500 Internal Server Error</h1></body></html>";
                self.reply(call, HttpReply::Whole(HttpAnswer::new(500, "text/html", page)));
            }
            Some(Fault::Oversized) => self.reply(call, HttpReply::Cut(answer, OVERSIZED)),
            Some(fault @ Fault::Delay(_)) => {
                let key = (now.tick + fault.delay(), self.effects.next());
                self.delayed.insert(key, (call, HttpReply::Whole(answer)));
            }
            _ => self.reply(call, HttpReply::Whole(answer)),
        }
    }

    fn reply(&mut self, call: CallId, reply: HttpReply) {
        let id = self.effects.next();
        self.outputs.push_back((id, Effect::Reply(call, reply)));
    }
}

impl<B: Backend> Platform for HttpPlatform<B> {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        if let Input::Called(call, request) = input {
            self.called(now, call, &request);
        }
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now.tick) {
            let ((_, id), (call, reply)) = entry.remove_entry();
            self.outputs.push_back((id, Effect::Reply(call, reply)));
        }
    }

    fn poll_output(&mut self) -> PlatformOutput {
        if let Some((id, effect)) = self.outputs.pop_front() {
            return PlatformOutput::Do(id, effect);
        }
        let due = self.delayed.keys().next().map(|(at, _)| Deadline { at: *at, why: "answer late" });
        PlatformOutput::Wait(due)
    }

    fn holdings(&self) -> &Holdings {
        self.backend.holdings()
    }

    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        let possible = match fault {
            // An answer belongs to its call by the connection: there is no number to be wrong, no second answer.
            Fault::WrongNumber | Fault::DuplicateAnswer => false,
            Fault::RefuseLogin | Fault::LoseSessions => self.backend.has_sessions(),
            Fault::Delay(_) => fault.delay() <= LONGEST_DELAY,
            _ => true,
        };
        if !possible {
            return Err(fault);
        }
        self.faults.push_back(fault);
        Ok(())
    }
}
