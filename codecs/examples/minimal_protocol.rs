//! The smallest protocol that keeps the contract: what `CONTRIBUTING.md` ("How to add a protocol") walks through.
//!
//! It is called "line" and made up. One link; a request is a line `NUMBER refresh CARD` or `NUMBER test`, its answer
//! `NUMBER ok` or `NUMBER no CODE TEXT`. A real protocol has the same parts, each in a file of its own: `settings`,
//! `wire`, `adapter`, `platform`, `dissect`, and the registry's entry in `mod.rs`.
//!
//! `cargo run -p headgate-codecs --example minimal_protocol` joins both sides in memory and shows what passes.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_codecs::dissect::{Broken, Dissection};
use headgate_codecs::framing::{Framing, Marking};
use headgate_codecs::registry::{Demo, Encoded, Opened, Protocol, Stock, Transport, read_settings};
use headgate_core::adapter::{
    Adapter, Effect, EffectId, Event, Input, LinkId, Noise, Output, Rules, Submission, SubmissionId,
};
use headgate_core::body::{Refusal, RequestBody};
use headgate_core::capabilities::{Capabilities, CommandRules, Count};
use headgate_core::command::{Command, CommandKind};
use headgate_core::failure::Failure;
use headgate_core::outcome::{Exchange, Outcome, Verdict};
use headgate_core::platform::{Card, Fault, Holdings, Platform, PlatformOutput};
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::request::{Request, RequestId};
use headgate_core::text::ProviderName;
use headgate_core::{Deadline, Now, Tick};
use serde::Deserialize;

/// The registry's entry: all that the rest of Headgate sees. In the registry it would stand in `PROTOCOLS`.
const PROTOCOL: Protocol = Protocol {
    name: "line",
    title: "An example that no vendor speaks",
    transport: Transport::Stream,
    unconfirmed: "everything: it is made up",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: "",
    open: |_, settings, _| {
        let adapter = LineAdapter::new(read_settings(settings)?);
        Ok(Opened { rules: Arc::new(LineRules::new()), adapter: Box::new(adapter) })
    },
    platform: |_, stock| Ok(Box::new(LinePlatform::new(stock))),
    decode: |_, _, bytes| Ok(bytes.split_inclusive(|byte| *byte == b'\n').map(dissect).collect()),
    encode: |_, _, _, request| Ok(vec![Encoded { title: "line".into(), bytes: line(1, &request.command)?.into() }]),
    demo: Demo { connection: "", settings: "", services: &[], cards: &[], requests: "", refused: 0 },
};

// ---- settings: what an operator can set

/// What an operator can set.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// How long an answer may take. Default 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    answer_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { answer_timeout: Duration::from_secs(10) }
    }
}

// ---- wire: types and codec

/// Where a line ends, and how long it may be.
fn framing() -> Framing {
    Framing { marking: Marking::Delimiter(Box::new(*b"\n")), limit: 200 }
}

/// A command as the line that carries it.
fn line(number: u64, command: &Command) -> Result<String, Refusal> {
    match command {
        Command::RefreshServices(devices) => {
            let card = devices.first().ok_or_else(|| Refusal::new("smartcard", "missing_field", "name the card"))?;
            Ok(format!("{number} refresh {}\n", card.as_str()))
        }
        Command::TestConnection => Ok(format!("{number} test\n")),
        other => Err(Refusal::new("command", "unsupported_command", format!("{} is not supported", other.kind()))),
    }
}

/// A line as a number and the rest.
fn read(content: &[u8]) -> Option<(u64, &str)> {
    let (number, rest) = std::str::from_utf8(content).ok()?.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// A line explained.
fn dissect(line: &[u8]) -> Dissection {
    let mut dissection = Dissection::new("line");
    match read(line.trim_ascii_end()) {
        Some((number, rest)) => {
            let width = line.len() - rest.len() - 1;
            dissection.field("number", 0, width - 1, number.to_string(), "ties an answer to its request");
            dissection.field("text", width, rest.len(), rest, "");
        }
        None => {
            dissection.broken = Some(Broken { offset: 0, text: "expected a number".into(), incomplete: false });
        }
    }
    dissection
}

/// Cuts whole lines off `inbox`. Gives back nothing more once a line is too long: the framing is lost.
fn lines(inbox: &mut Vec<u8>) -> (Vec<Vec<u8>>, bool) {
    let mut whole = Vec::new();
    loop {
        match framing().cut(inbox) {
            Ok(Some(cut)) => {
                whole.push(inbox.get(cut.content).unwrap_or_default().to_vec());
                inbox.drain(..cut.end);
            }
            Ok(None) => return (whole, false),
            Err(_) => return (whole, true),
        }
    }
}

// ---- rules: what can be asked

/// What can be asked of the platform.
struct LineRules(Capabilities);

impl LineRules {
    fn new() -> Self {
        let commands = BTreeMap::from([
            (CommandKind::RefreshServices, CommandRules::new().smartcards(Count::ONE)),
            (CommandKind::TestConnection, CommandRules::new()),
        ]);
        Self(Capabilities { commands, ..Capabilities::default() })
    }
}

impl Rules for LineRules {
    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let command = &request.command;
        line(0, command).map(drop)
    }
}

// ---- adapter: commands to wire and back

/// The one link.
const LINK: LinkId = LinkId(0);
/// Most requests sent and not answered.
const WINDOW: usize = 100;
/// How long to wait before a lost link is opened again.
const RECONNECT: Duration = Duration::from_secs(1);

/// One conversation with one platform.
struct LineAdapter {
    settings: Settings,
    up: bool,
    reconnect: Option<Tick>,
    inbox: Vec<u8>,
    /// What was sent and not answered, by number.
    flights: BTreeMap<u64, Flight>,
    last_number: u64,
    effects: EffectId,
    outputs: VecDeque<Output>,
}

struct Flight {
    submission: SubmissionId,
    until: Tick,
    request: Bytes,
}

impl LineAdapter {
    const fn new(settings: Settings) -> Self {
        Self {
            settings,
            up: false,
            reconnect: None,
            inbox: Vec::new(),
            flights: BTreeMap::new(),
            last_number: 0,
            effects: EffectId(0),
            outputs: VecDeque::new(),
        }
    }

    fn run(&mut self, effect: Effect) {
        let id = self.effects.next();
        self.outputs.push_back(Output::Do(id, effect));
    }

    fn finish(&mut self, submission: SubmissionId, verdict: Verdict, exchange: Exchange) {
        self.outputs
            .push_back(Output::Event(Event::Finished(submission, Outcome { verdict, reference: None, exchange })));
    }

    /// An answer is matched by its number or it is noise; it is never guessed.
    fn answered(&mut self, content: Vec<u8>) {
        let answer = read(&content).and_then(|(number, rest)| Some((self.flights.remove(&number)?, rest)));
        let Some((flight, rest)) = answer else {
            let noise = Noise { text: "an answer to no request".into(), raw: content.into() };
            self.outputs.push_back(Output::Event(Event::Noise(noise)));
            return;
        };
        let verdict = match rest.split_once(' ') {
            None if rest == "ok" => Verdict::Completed(None),
            Some(("no", refusal)) => {
                let (code, text) = refusal.split_once(' ').unwrap_or((refusal, ""));
                Verdict::Rejected(Failure::refused(code.to_owned(), text))
            }
            _ => Verdict::Failed(Failure::unanswered("bad_answer", "the answer can not be read")),
        };
        let exchange = Exchange { request: flight.request, response: content.into() };
        self.finish(flight.submission, verdict, exchange);
    }

    /// The link is gone: every request on it ends for itself, and the link is opened again later.
    fn lost(&mut self, now: Now, why: &str) {
        if std::mem::take(&mut self.up) {
            let failure = Failure::not_sent("link_lost", why);
            self.outputs.push_back(Output::Event(Event::LinkDown(LINK, failure)));
        }
        self.inbox.clear();
        for (_, flight) in std::mem::take(&mut self.flights) {
            let failure = Failure::unanswered("link_lost", "the link closed before the answer came");
            self.finish(
                flight.submission,
                Verdict::Failed(failure),
                Exchange { request: flight.request, ..Exchange::default() },
            );
        }
        self.reconnect = Some(now.tick + RECONNECT);
    }

    fn time_passed(&mut self, now: Now) {
        if self.reconnect.is_some_and(|at| at <= now.tick) {
            self.reconnect = None;
            self.run(Effect::Connect(LINK));
        }
        // A late answer to a number that is not reused is noise, so the link may stay open.
        let late: Vec<_> =
            self.flights.iter().filter(|(_, flight)| flight.until <= now.tick).map(|(number, _)| *number).collect();
        for flight in late.into_iter().filter_map(|number| self.flights.remove(&number)).collect::<Vec<_>>() {
            let failure = Failure::unanswered("no_answer", "no answer came in time");
            self.finish(
                flight.submission,
                Verdict::Failed(failure),
                Exchange { request: flight.request, ..Exchange::default() },
            );
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let answer = self.flights.values().map(|flight| flight.until).min();
        let answer = answer.map(|at| Deadline { at, why: "answer is due" });
        Deadline::earliest(answer, self.reconnect.map(|at| Deadline { at, why: "connect again" }))
    }
}

impl Adapter for LineAdapter {
    fn capacity(&self) -> usize {
        if self.up { WINDOW.saturating_sub(self.flights.len()) } else { 0 }
    }

    fn submit(&mut self, now: Now, submission: Submission) {
        if self.capacity() == 0 {
            let failure = Failure::not_sent("no_link", "no link is up, or too much is under way");
            return self.finish(submission.id, Verdict::Failed(failure), Exchange::default());
        }
        self.last_number += 1;
        match line(self.last_number, &submission.request.command) {
            Ok(text) => {
                let request = Bytes::from(text);
                self.run(Effect::Send(LINK, request.clone()));
                let until = now.tick + self.settings.answer_timeout;
                self.flights.insert(self.last_number, Flight { submission: submission.id, until, request });
            }
            Err(refusal) => {
                let failure = Failure::unspeakable("unspeakable", refusal.to_string());
                self.finish(submission.id, Verdict::Failed(failure), Exchange::default());
            }
        }
    }

    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Start => self.run(Effect::Connect(LINK)),
            Input::Connected(link) => {
                self.up = true;
                self.outputs.push_back(Output::Event(Event::LinkUp(link)));
            }
            Input::Received(_, bytes) => {
                self.inbox.extend_from_slice(bytes);
                let (answers, lost) = lines(&mut self.inbox);
                answers.into_iter().for_each(|answer| self.answered(answer));
                if lost {
                    self.run(Effect::Close(LINK));
                    self.lost(now, "a line from the platform is too long");
                }
            }
            Input::Closed(_, why) => self.lost(now, why),
            Input::Deadline => self.time_passed(now),
            // No effect of this protocol has a result.
            Input::Done(..) | Input::Called(..) => {}
        }
    }

    fn drain(&mut self, _: Now) {
        // Nothing is gathered, and the protocol has no farewell.
    }

    fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.deadline()))
    }
}

// ---- platform: the vendor's side, with real state

/// A simulated platform: it knows cards, and counts how often each was refreshed.
struct LinePlatform {
    holdings: Holdings,
    faults: VecDeque<Fault>,
    inbox: Vec<u8>,
    effects: EffectId,
    outputs: VecDeque<PlatformOutput>,
}

impl LinePlatform {
    fn new(stock: &Stock) -> Self {
        let cards = stock.cards.iter().map(|card| (card.clone(), Card::default())).collect();
        Self {
            holdings: Holdings { cards, ..Holdings::default() },
            faults: VecDeque::new(),
            inbox: Vec::new(),
            effects: EffectId(0),
            outputs: VecDeque::new(),
        }
    }

    fn answer(&mut self, content: &[u8]) -> String {
        let Some((number, rest)) = read(content) else { return "0 no malformed expected a number\n".into() };
        let verdict = match rest.split_once(' ') {
            None if rest == "test" => "ok",
            Some(("refresh", card)) => {
                self.holdings.applied += 1;
                match self.holdings.cards.get_mut(card) {
                    Some(card) => {
                        card.refreshes += 1;
                        "ok"
                    }
                    None => "no unknown_card this card is not known",
                }
            }
            _ => "no unknown_command expected test or refresh",
        };
        format!("{number} {verdict}\n")
    }
}

impl Platform for LinePlatform {
    fn handle_input(&mut self, _: Now, input: Input<'_>) {
        match input {
            Input::Received(link, bytes) => {
                self.inbox.extend_from_slice(bytes);
                let (asked, lost) = lines(&mut self.inbox);
                for content in asked {
                    let answer = self.answer(&content);
                    if self.faults.pop_front() != Some(Fault::Silence) {
                        let id = self.effects.next();
                        self.outputs.push_back(PlatformOutput::Do(id, Effect::Send(link, answer.into())));
                    }
                }
                if lost {
                    let id = self.effects.next();
                    self.outputs.push_back(PlatformOutput::Do(id, Effect::Close(link)));
                }
            }
            Input::Closed(..) => self.inbox.clear(),
            Input::Start | Input::Connected(_) | Input::Done(..) | Input::Called(..) | Input::Deadline => {}
        }
    }

    fn poll_output(&mut self) -> PlatformOutput {
        self.outputs.pop_front().unwrap_or(PlatformOutput::Wait(None))
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        match fault {
            Fault::Silence => {
                self.faults.push_back(fault);
                Ok(())
            }
            other => Err(other),
        }
    }
}

// ---- both sides joined in memory: what drivers and sockets do in the gateway

/// Carries effects from one side to the other until nothing moves; returns the events, oldest first, and the
/// adapter's next deadline.
fn settle(adapter: &mut dyn Adapter, platform: &mut dyn Platform, now: Now) -> (Vec<Event>, Option<Deadline>) {
    let mut events = Vec::new();
    loop {
        let due = loop {
            match adapter.poll_output() {
                Output::Do(_, Effect::Connect(link)) => {
                    platform.handle_input(now, Input::Connected(link));
                    adapter.handle_input(now, Input::Connected(link));
                }
                Output::Do(_, Effect::Send(link, bytes)) => {
                    println!("> {}", bytes.trim_ascii_end().escape_ascii());
                    platform.handle_input(now, Input::Received(link, &bytes));
                }
                Output::Do(_, effect) => println!("> {effect:?}"),
                Output::Event(event) => events.push(event),
                Output::Wait(due) => break due,
            }
        };
        let mut quiet = true;
        while let PlatformOutput::Do(_, Effect::Send(link, bytes)) = platform.poll_output() {
            println!("< {}", bytes.trim_ascii_end().escape_ascii());
            adapter.handle_input(now, Input::Received(link, &bytes));
            quiet = false;
        }
        if quiet {
            return (events, due);
        }
    }
}

/// A submission of the request that `json` says.
fn submission(id: u64, now: Now, json: &str) -> Submission {
    let body: RequestBody = serde_json::from_str(json).expect("a request");
    let command = body.command().expect("a command");
    let request = Request {
        number: id,
        created: now.wall,
        ..Request::new(RequestId(uuid::Uuid::from_u128(id.into())), &body, command)
    };
    Submission { id: SubmissionId(id), request: Arc::new(request), resume: None }
}

/// Plays three requests, the last of which is never answered; returns how each ended.
fn play() -> Vec<Verdict> {
    let provider = Provider {
        name: ProviderName::new("p").expect("a name"),
        services: ServiceMap::default(),
        limits: Limits::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
    };
    let settings = serde_json::json!({ "answer_timeout": "3s" });
    let stock = Stock { cards: vec!["1001".into()], products: Vec::new() };
    let Opened { rules, mut adapter } = (PROTOCOL.open)(&provider, &settings, 0).expect("settings that can be");
    let mut platform = (PROTOCOL.platform)(&settings, &stock).expect("settings that can be");

    let mut now = Now { tick: Tick::default(), wall: jiff::Timestamp::UNIX_EPOCH };
    adapter.handle_input(now, Input::Start);
    platform.handle_input(now, Input::Start);
    let (mut events, _) = settle(&mut *adapter, &mut *platform, now);

    for (id, card) in [(1, "1001"), (2, "1002"), (3, "1001")] {
        if id == 3 {
            platform.inject(Fault::Silence).expect("a fault it can have");
        }
        let json = format!(r#"{{"provider":"p","command":"refresh_services","smartcard":"{card}"}}"#);
        let submission = submission(id, now, &json);
        rules.capabilities().check(&submission.request, &provider.services).expect("a command it can do");
        rules.check(&submission.request).expect("a command it can say");
        adapter.submit(now, submission);
        let (more, due) = settle(&mut *adapter, &mut *platform, now);
        events.extend(more);
        if let Some(due) = due {
            // Nobody waits: the clock jumps to the deadline.
            now.tick = due.at;
            adapter.handle_input(now, Input::Deadline);
            events.extend(settle(&mut *adapter, &mut *platform, now).0);
        }
    }
    println!("card 1001 was refreshed {} times", platform.holdings().cards["1001"].refreshes);
    events
        .into_iter()
        .filter_map(|event| match event {
            Event::Finished(_, outcome) => Some(outcome.verdict),
            _ => None,
        })
        .collect()
}

fn main() {
    for verdict in play() {
        println!("{verdict:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_submission_ends_once_and_as_it_should() {
        let verdicts = play();
        let refused = Failure::refused("unknown_card", "this card is not known");
        let silent = Failure::unanswered("no_answer", "no answer came in time");
        assert_eq!(verdicts, [Verdict::Completed(None), Verdict::Rejected(refused), Verdict::Failed(silent)]);
    }
}
