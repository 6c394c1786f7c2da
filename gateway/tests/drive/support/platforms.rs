//! Small platforms of no vendor.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::Now;
use headgate_core::adapter::{Done, Effect, EffectId, FileAnswer, FileCall, Input, LinkId};
use headgate_core::http::{CallId, HttpAnswer, HttpReply, HttpRequest};
use headgate_core::platform::{Fault, Holdings, Platform, PlatformOutput};
use headgate_core::time::Deadline;

/// Sends back whatever comes. Counts what it sends back.
#[derive(Default)]
pub(crate) struct Echo {
    holdings: Holdings,
    faults: VecDeque<Fault>,
    effects: VecDeque<Effect>,
    late: VecDeque<(Deadline, LinkId, Bytes)>,
    last: EffectId,
}

impl Platform for Echo {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Received(link, bytes) => {
                self.holdings.applied += 1;
                let answer = Bytes::copy_from_slice(bytes);
                match self.faults.pop_front() {
                    Some(fault @ Fault::Delay(_)) => {
                        let deadline = Deadline { at: now.tick + fault.delay(), why: "late answer" };
                        self.late.push_back((deadline, link, answer));
                    }
                    Some(Fault::CloseInstead) => self.effects.push_back(Effect::Close(link)),
                    Some(Fault::CloseAfter) => {
                        self.effects.push_back(Effect::Send(link, answer));
                        self.effects.push_back(Effect::Close(link));
                    }
                    _ => self.effects.push_back(Effect::Send(link, answer)),
                }
            }
            Input::Deadline => {
                while let Some((deadline, link, answer)) = self.late.pop_front() {
                    if deadline.at > now.tick {
                        self.late.push_front((deadline, link, answer));
                        break;
                    }
                    self.effects.push_back(Effect::Send(link, answer));
                }
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> PlatformOutput {
        match self.effects.pop_front() {
            Some(effect) => PlatformOutput::Do(self.last.next(), effect),
            None => PlatformOutput::Wait(self.late.front().map(|(deadline, ..)| *deadline)),
        }
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        match fault {
            Fault::Delay(_) | Fault::CloseInstead | Fault::CloseAfter => {
                self.faults.push_back(fault);
                Ok(())
            }
            other => Err(other),
        }
    }
}

/// Looks into the directory `in` again and again, and moves each file it reads there to `out`.
#[derive(Default)]
pub(crate) struct Mover {
    holdings: Holdings,
    calls: VecDeque<FileCall>,
    to_move: usize,
    next_look: Option<Deadline>,
    last: EffectId,
}

impl Platform for Mover {
    fn directories(&self) -> Vec<String> {
        ["in", "out", "late/deep"].map(str::to_owned).to_vec()
    }

    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        let is_answer = matches!(input, Input::Done(..));
        match input {
            Input::Start | Input::Deadline => {
                self.next_look = None;
                self.calls.push_back(FileCall::List { directory: "in".to_owned() });
            }
            Input::Done(_, Done::File(result)) => match result.unwrap() {
                FileAnswer::Names(names) => {
                    for name in names.iter().filter(|name| !name.ends_with(".tmp")) {
                        let (from, to) = (format!("in/{name}"), format!("out/{name}"));
                        self.calls.push_back(FileCall::Read { path: from.clone(), limit: 1 << 20 });
                        self.calls.push_back(FileCall::Rename { from, to });
                        self.to_move += 1;
                    }
                }
                FileAnswer::Contents(contents) => {
                    self.holdings.cards.entry(String::from_utf8(contents.to_vec()).unwrap()).or_default();
                }
                FileAnswer::Done => {
                    self.holdings.applied += 1;
                    self.to_move -= 1;
                }
            },
            _ => {}
        }
        if is_answer && self.to_move == 0 {
            let at = now.tick + Duration::from_millis(5);
            self.next_look = Some(Deadline { at, why: "look again" });
        }
    }

    fn poll_output(&mut self) -> PlatformOutput {
        match self.calls.pop_front() {
            Some(call) => PlatformOutput::Do(self.last.next(), Effect::File(call)),
            None => PlatformOutput::Wait(self.next_look),
        }
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        Err(fault)
    }
}

/// Answers each call with what came: `METHOD target`, a blank line, the header fields, a blank line, the body. Counts
/// the calls. An answer's status is the number that the path ends with, or 200.
#[derive(Default)]
pub(crate) struct Mirror {
    holdings: Holdings,
    faults: VecDeque<Fault>,
    replies: VecDeque<(CallId, HttpReply)>,
    late: VecDeque<(Deadline, CallId, HttpReply)>,
    last: EffectId,
}

impl Mirror {
    fn reflect(request: &HttpRequest) -> HttpAnswer {
        let fields: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let mut body = format!("{} {}\n\n{fields}\n", request.method, request.target).into_bytes();
        body.extend_from_slice(&request.body);
        let status = request.path().rsplit('/').next().and_then(|last| last.parse().ok()).unwrap_or(200);
        HttpAnswer::new(status, "text/plain", body)
    }
}

impl Platform for Mirror {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Called(call, request) => {
                self.holdings.applied += 1;
                let answer = Self::reflect(&request);
                let reply = match self.faults.pop_front() {
                    Some(Fault::Silence) => return,
                    Some(fault @ Fault::Delay(_)) => {
                        let deadline = Deadline { at: now.tick + fault.delay(), why: "late answer" };
                        return self.late.push_back((deadline, call, HttpReply::Whole(answer)));
                    }
                    Some(Fault::CloseAfter) => HttpReply::AndClose(answer),
                    Some(Fault::CloseInstead) => HttpReply::Close,
                    Some(Fault::HalfFrame) => {
                        let declared = answer.body.len() as u64 * 2;
                        HttpReply::Cut(answer, declared)
                    }
                    Some(Fault::Oversized) => HttpReply::Cut(answer, 1 << 30),
                    _ => HttpReply::Whole(answer),
                };
                self.replies.push_back((call, reply));
            }
            Input::Deadline => {
                while let Some((deadline, call, reply)) = self.late.pop_front() {
                    if deadline.at > now.tick {
                        self.late.push_front((deadline, call, reply));
                        break;
                    }
                    self.replies.push_back((call, reply));
                }
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> PlatformOutput {
        match self.replies.pop_front() {
            Some((call, reply)) => PlatformOutput::Do(self.last.next(), Effect::Reply(call, reply)),
            None => PlatformOutput::Wait(self.late.front().map(|(deadline, ..)| *deadline)),
        }
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        self.faults.push_back(fault);
        Ok(())
    }
}
