//! A platform that does everything a while later: what `headgate simulate --delay` runs.

use std::collections::VecDeque;
use std::time::Duration;

use headgate_core::adapter::{Effect, EffectId, Input};
use headgate_core::platform::{Fault, Holdings, Platform, PlatformOutput};
use headgate_core::table::TableShape;
use headgate_core::{Deadline, Now, Tick};

/// A platform whose effects are held back for a fixed time, in their order.
pub(super) struct Late {
    platform: Box<dyn Platform>,
    delay: Duration,
    now: Tick,
    held: VecDeque<(Tick, EffectId, Effect)>,
    /// When the platform itself wants to be called.
    wanted: Option<Deadline>,
}

impl Late {
    /// `platform`, with every effect `delay` later.
    pub(super) fn new(platform: Box<dyn Platform>, delay: Duration) -> Self {
        Self { platform, delay, now: Tick::default(), held: VecDeque::new(), wanted: None }
    }
}

impl Platform for Late {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        self.now = now.tick;
        // A deadline may be ours alone.
        if !matches!(input, Input::Deadline) || self.wanted.is_some_and(|wanted| wanted.at <= now.tick) {
            self.platform.handle_input(now, input);
        }
    }

    fn poll_output(&mut self) -> PlatformOutput {
        loop {
            match self.platform.poll_output() {
                PlatformOutput::Do(id, effect) => self.held.push_back((self.now + self.delay, id, effect)),
                PlatformOutput::Wait(wanted) => {
                    self.wanted = wanted;
                    break;
                }
            }
        }
        match self.held.front().map(|(at, ..)| *at) {
            Some(at) if at <= self.now => match self.held.pop_front() {
                Some((_, id, effect)) => PlatformOutput::Do(id, effect),
                None => PlatformOutput::Wait(self.wanted),
            },
            Some(at) => {
                PlatformOutput::Wait(Deadline::earliest(self.wanted, Some(Deadline { at, why: "delayed answer" })))
            }
            None => PlatformOutput::Wait(self.wanted),
        }
    }

    fn directories(&self) -> Vec<String> {
        self.platform.directories()
    }

    fn tables(&self) -> Vec<TableShape> {
        self.platform.tables()
    }

    fn holdings(&self) -> &Holdings {
        self.platform.holdings()
    }

    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        self.platform.inject(fault)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headgate_core::adapter::LinkId;
    use headgate_core::http::{CallId, HttpAnswer, HttpReply, HttpRequest, Method};
    use jiff::Timestamp;

    use super::*;

    /// Sends back what it gets.
    #[derive(Default)]
    struct Echo {
        out: VecDeque<(EffectId, Effect)>,
        next: EffectId,
        deadlines: u32,
        holdings: Holdings,
    }

    impl Platform for Echo {
        fn handle_input(&mut self, _: Now, input: Input<'_>) {
            match input {
                Input::Received(link, bytes) => {
                    let effect = Effect::Send(link, Bytes::copy_from_slice(bytes));
                    self.out.push_back((self.next.next(), effect));
                }
                Input::Called(call, request) => {
                    let reply = HttpReply::Whole(HttpAnswer::new(200, "text/plain", request.body));
                    self.out.push_back((self.next.next(), Effect::Reply(call, reply)));
                }
                Input::Deadline => self.deadlines += 1,
                _ => {}
            }
            self.holdings.applied = u64::from(self.deadlines);
        }

        fn poll_output(&mut self) -> PlatformOutput {
            self.out.pop_front().map_or(PlatformOutput::Wait(None), |(id, effect)| PlatformOutput::Do(id, effect))
        }

        fn holdings(&self) -> &Holdings {
            &self.holdings
        }

        fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
            Err(fault)
        }
    }

    fn at(millis: u64) -> Now {
        Now { tick: Tick::new(Duration::from_millis(millis)), wall: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn effects_come_later_and_in_their_order() {
        let mut late = Late::new(Box::new(Echo::default()), Duration::from_millis(50));
        late.handle_input(at(0), Input::Received(LinkId(1), b"a"));
        late.handle_input(at(20), Input::Received(LinkId(1), b"b"));
        let PlatformOutput::Wait(Some(first)) = late.poll_output() else { panic!("nothing is held back") };
        assert_eq!(first.at, at(70).tick, "what was polled together is delayed from then");
        late.handle_input(at(70), Input::Deadline);
        for text in ["a", "b"] {
            let output = late.poll_output();
            assert!(matches!(&output, PlatformOutput::Do(_, Effect::Send(_, bytes)) if bytes == text), "{output:?}");
        }
        assert_eq!(late.poll_output(), PlatformOutput::Wait(None));
        assert_eq!(late.holdings().applied, 0, "the platform was told of a deadline that was not its own");
    }

    #[test]
    fn answers_to_calls_come_later_too() {
        let mut late = Late::new(Box::new(Echo::default()), Duration::from_millis(50));
        let request =
            HttpRequest { method: Method::Get, target: "/".to_owned(), headers: Vec::new(), body: Bytes::new() };
        late.handle_input(at(0), Input::Called(CallId(3), request));
        assert!(matches!(late.poll_output(), PlatformOutput::Wait(Some(deadline)) if deadline.at == at(50).tick));
        late.handle_input(at(50), Input::Deadline);
        let output = late.poll_output();
        assert!(matches!(output, PlatformOutput::Do(_, Effect::Reply(CallId(3), _))), "{output:?}");
    }
}
