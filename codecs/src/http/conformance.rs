//! What every protocol over HTTP must do, tried with each that the registry lists: its demo's requests against its own
//! platform, and everything that can go wrong on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_core::adapter::{Event, Rules};
use headgate_core::body::{Refusal, RequestBody};
use headgate_core::command::CommandKind;
use headgate_core::outcome::Verdict;
use headgate_core::platform::Fault;
use headgate_core::request::{Request, RequestId};
use serde_json::{Value, json};

use crate::registry::{Opened, PROTOCOLS, Protocol, Stock, Transport};
use crate::test_support::http_pair::HttpPair;
use crate::test_support::provider;

/// Long enough for every time-out, every wait between logins and every slow task of a demo.
const PATIENCE: Duration = Duration::from_mins(20);

fn protocols() -> impl Iterator<Item = &'static Protocol> {
    PROTOCOLS.iter().filter(|protocol| protocol.transport == Transport::Http)
}

struct Site {
    protocol: &'static Protocol,
    rules: std::sync::Arc<dyn Rules>,
    pair: HttpPair,
    submitted: u64,
}

impl Site {
    fn new(protocol: &'static Protocol) -> Self {
        Self::with_fault(protocol, None).expect("no fault")
    }

    /// Nothing, if the platform can not misbehave that way.
    fn with_fault(protocol: &'static Protocol, fault: Option<Fault>) -> Option<Self> {
        let settings: Value = toml::from_str(protocol.demo.settings).unwrap();
        let stock = Stock {
            cards: protocol.demo.cards.iter().map(|card| (*card).to_owned()).collect(),
            products: protocol.demo.services.iter().map(|(_, id)| (*id).to_owned()).collect(),
        };
        let mut platform = (protocol.platform)(&settings, &stock).unwrap();
        if let Some(fault) = fault {
            platform.inject(fault).ok()?;
        }
        let Opened { rules, adapter } = (protocol.open)(&provider(protocol.demo.services), &settings, 7).unwrap();
        Some(Self { protocol, rules, pair: HttpPair::new(adapter, platform), submitted: 0 })
    }

    /// What the gateway would say when it is posted.
    fn check(&self, json: &str) -> Result<(), Refusal> {
        let body: RequestBody = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        let request = Request::new(RequestId(Default::default()), &body, body.command()?);
        self.rules.capabilities().check(&request, &provider(self.protocol.demo.services).services)?;
        self.rules.check(&request)
    }

    /// Carries a request out and lets the time pass that it takes. Returns its number.
    fn carry_out(&mut self, json: &str) -> u64 {
        self.submitted += 1;
        let without = json.replacen(&format!(r#""provider":"{}","#, self.protocol.name), "", 1);
        self.pair.submit(self.submitted, &without);
        self.pair.pass(PATIENCE);
        self.submitted
    }

    fn verdict(&self, id: u64) -> &Verdict {
        &self.pair.outcome(id).verdict
    }
}

/// The requests of a demo that are not refused when they are posted.
fn requests(site: &Site) -> Vec<&'static str> {
    let lines = site.protocol.demo.requests.lines().filter(|line| !line.trim().is_empty());
    lines.filter(|line| site.check(line).is_ok()).collect()
}

/// The first of them that changes something by calls.
fn change(site: &Site) -> &'static str {
    let is_change = |line: &&&str| {
        let body: RequestBody = serde_json::from_str(line).unwrap();
        !body.command.is_query() && !matches!(body.command, CommandKind::SendMessage | CommandKind::Raw)
    };
    requests(site).iter().find(is_change).copied().expect("a command that changes something")
}

#[test]
fn all_of_them_are_tried() {
    let names: Vec<_> = protocols().map(|protocol| protocol.name).collect();
    let known =
        ["conax-web", "icareus", "nagra-medialive", "nagravision-cag", "panaccess", "perception", "tucano", "vcas-omi"];
    assert_eq!(names, known, "a new one is tried, too: name it here");
}

#[test]
fn a_demo_shows_every_command_and_ends_as_it_says() {
    for protocol in protocols() {
        let mut site = Site::new(protocol);
        let mut shown = BTreeSet::new();
        let mut refused = 0;
        for line in protocol.demo.requests.lines().filter(|line| !line.trim().is_empty()) {
            if site.check(line).is_err() {
                refused += 1;
                continue;
            }
            let kind = serde_json::from_str::<RequestBody>(line).unwrap().command;
            let id = site.carry_out(line);
            match site.verdict(id) {
                Verdict::Completed(_) => drop(shown.insert(kind)),
                Verdict::Rejected(_) => refused += 1,
                Verdict::Failed(failure) => panic!("{}: {line}: {failure:?}", protocol.name),
            }
        }
        let able: BTreeSet<_> = site.rules.capabilities().commands.keys().copied().collect();
        assert_eq!(shown, able, "{}: commands that completed, and commands there are", protocol.name);
        assert_eq!(refused, protocol.demo.refused, "{}", protocol.name);
    }
}

#[test]
fn what_is_not_supported_is_refused_when_it_is_posted() {
    for protocol in protocols() {
        let site = Site::new(protocol);
        let able = &site.rules.capabilities().commands;
        for kind in CommandKind::ALL.iter().filter(|kind| !able.contains_key(kind)) {
            let mut body = json!({ "provider": protocol.name, "command": kind.name(), "subscription": "S1" });
            let refusal = |body: &Value| serde_json::from_value::<RequestBody>(body.clone()).unwrap().command().err();
            for (member, value) in [
                ("services", json!(["X"])),
                ("pin", json!("1234")),
                ("reason", json!("lost")),
                ("usage", json!("u1")),
                ("payload", json!("00")),
                ("message", json!({ "kind": "mail", "text": "x" })),
            ] {
                // Each command gets the members it asks for, no others.
                let missing = refusal(&body).filter(|refusal| refusal.code == "missing_field");
                if missing.is_some_and(|refusal| refusal.field == member) {
                    body[member] = value;
                }
            }
            let refusal = site.check(&body.to_string()).expect_err(&format!("{}: {body}", protocol.name));
            assert_eq!(refusal.code, "unsupported_command", "{}: {body}: {refusal}", protocol.name);
        }
    }
}

#[test]
fn after_every_fault_the_next_request_goes_through() {
    let faults = [
        Fault::Garbage,
        Fault::HalfFrame,
        Fault::Silence,
        Fault::CloseBefore,
        Fault::CloseInstead,
        Fault::CloseAfter,
        Fault::Delay(500),
        Fault::Delay(3_600_000),
        Fault::UnknownCard,
        Fault::Throttle,
        Fault::LoseSessions,
        Fault::ServerError,
        Fault::Oversized,
    ];
    for protocol in protocols() {
        for fault in faults {
            let Some(mut site) = Site::with_fault(protocol, Some(fault)) else { continue };
            let change = change(&site);
            let id = site.carry_out(change);
            let ended = site.pair.end(id);
            let place = format!("{}: {fault:?}: {ended}", protocol.name);
            match fault {
                Fault::CloseAfter | Fault::LoseSessions | Fault::Delay(500) => {
                    assert!(ended.starts_with("completed"), "{place}");
                }
                Fault::UnknownCard => assert!(ended.starts_with("rejected"), "{place}"),
                Fault::Throttle => {
                    assert!(ended.starts_with("failed slow_down"), "{place}");
                    assert!(site.pair.events.iter().any(|event| matches!(event, Event::SlowDown { .. })), "{place}");
                }
                _ => assert!(ended.starts_with("failed"), "{place}"),
            }
            let again = site.carry_out(change);
            assert!(site.pair.end(again).starts_with("completed"), "{place}, then {}", site.pair.end(again));
        }
    }
}

#[test]
fn a_refused_login_is_tried_again_and_not_in_a_storm() {
    for protocol in protocols() {
        let Some(mut site) = Site::with_fault(protocol, Some(Fault::RefuseLogin)) else { continue };
        let change = change(&site);
        assert_eq!(site.pair.adapter.capacity(), 0, "{}", protocol.name);
        assert!(matches!(site.pair.events.last(), Some(Event::LinkDown(..))), "{}", protocol.name);
        site.pair.pass(PATIENCE);
        assert!(site.pair.adapter.capacity() > 0, "{}", protocol.name);
        let id = site.carry_out(change);
        assert!(site.pair.end(id).starts_with("completed"), "{}: {}", protocol.name, site.pair.end(id));
        assert!(site.pair.platform.holdings().logins <= 3, "{}", protocol.name);
    }
}

#[test]
fn outputs_tell_no_card_and_no_account() {
    for protocol in protocols() {
        let mut site = Site::new(protocol);
        let requests = requests(&site);
        let mut private: BTreeSet<String> = protocol.demo.cards.iter().map(|card| (*card).to_owned()).collect();
        for line in &requests {
            let body: RequestBody = serde_json::from_str(line).unwrap();
            private.extend(body.subscription.map(String::from));
            private.extend(body.message.map(|message| message.text.0));
            private.extend(body.subscriber.and_then(|subscriber| subscriber.password).map(|p| p.reveal().to_owned()));
            site.carry_out(line);
        }
        assert!(private.len() > 1, "{}", protocol.name);
        for text in private {
            assert!(!site.pair.log.contains(&text), "{}: {text} in {}", protocol.name, site.pair.log);
        }
    }
}
