//! The adapter's promises, kept for a small made-up protocol: `POST /login`, then `POST /do/NUMBER` with the session in
//! a header; `two` makes two calls.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::Now;
use headgate_core::adapter::Event;
use headgate_core::body::Refusal;
use headgate_core::command::{Command, CommandKind};
use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall, HttpRequest};
use headgate_core::platform::{Fault, Holdings};
use headgate_core::request::Request;

use super::dialogue::{Begun, Dialogue, LoginRules, OpenedSession, Step};
use super::{Backend, CallSettings, HttpAdapter, HttpPlatform, answer};
use crate::test_support::http_pair::HttpPair;

struct Toy {
    budget: usize,
}

/// The card, and how many calls are left.
struct Task {
    card: String,
    left: u32,
    reads: bool,
}

impl Dialogue for Toy {
    type Session = String;
    type Task = Task;

    fn login_rules(&self) -> Option<LoginRules> {
        let budget = Some((self.budget, Duration::from_secs(300)));
        Some(LoginRules { budget, keep_alive: Some(Duration::from_secs(600)), ..LoginRules::default() })
    }

    fn login(&mut self, _: Now, _: Option<&String>) -> HttpCall {
        HttpCall::post("/login", "text/plain", "password")
    }

    fn logged_in(&mut self, _: Now, answer: &HttpAnswer) -> Result<OpenedSession<String>, Failure> {
        match answer.status {
            200 => Ok(OpenedSession {
                session: String::from_utf8_lossy(&answer.body).into_owned(),
                renew_after: Some(Duration::from_secs(3_000)),
            }),
            _ => Err(answer::not_admitted(answer)),
        }
    }

    fn keep_alive(&mut self, _: Now, session: &String) -> Option<HttpCall> {
        Some(HttpCall::get("/alive").header("session", session))
    }

    fn logout(&mut self, session: &String) -> Option<HttpCall> {
        Some(HttpCall::get("/logout").header("session", session))
    }

    fn begin(&mut self, _: Now, request: &Request) -> Result<Begun<Task>, Refusal> {
        let card = request.command.devices().and_then(|devices| devices.first());
        let card = card.ok_or_else(|| Refusal::new("smartcard", "missing_field", "name one"))?;
        let left = if matches!(request.command, Command::Pair(_)) { 2 } else { 1 };
        let reads = request.command.kind() == CommandKind::GetDevice;
        Ok(Begun::Task(Task { card: card.as_str().to_owned(), left, reads }))
    }

    fn call(&mut self, _: Now, session: Option<&String>, task: &Task) -> Result<HttpCall, Failure> {
        let call = HttpCall::post(format!("/do/{}/{}", task.card, task.left), "text/plain", "x");
        let call = call.header("session", session.cloned().unwrap_or_default());
        Ok(HttpCall { harmless: task.reads, ..call })
    }

    fn read(&mut self, _: Now, task: &mut Task, answer: &HttpAnswer) -> Step {
        match answer.status {
            200 if task.left > 1 => {
                task.left -= 1;
                Step::Next
            }
            200 => Step::completed(),
            401 => Step::SessionLost(answer::not_admitted(answer)),
            409 => Step::Undone,
            404 => Step::rejected(Failure::refused("404", format!("no card {}", task.card))),
            _ => Step::failed(answer::server_error(answer)),
        }
    }

    fn secrets<'a>(&'a self, session: Option<&'a String>) -> Vec<&'a str> {
        session.map(String::as_str).into_iter().collect()
    }

    fn confidential(&self, task: &Task, answer: Option<&HttpAnswer>) -> Vec<String> {
        match answer {
            Some(answer) => vec![String::from_utf8_lossy(&answer.body).into_owned()],
            // As the path carries it, so that other numbers stay.
            None => vec![format!("/{}0815/", task.card.trim_end_matches("0815"))],
        }
    }
}

#[derive(Default)]
struct ToyBackend {
    holdings: Holdings,
    session: Option<String>,
    /// How often each call was carried out.
    done: BTreeMap<String, u64>,
}

impl Backend for ToyBackend {
    fn answer(&mut self, _: Now, request: &HttpRequest, refuse: Option<Fault>) -> HttpAnswer {
        if self.is_login(request) {
            if refuse.is_some() {
                return HttpAnswer::new(403, "text/plain", "");
            }
            self.holdings.logins += 1;
            let session = format!("session-{}", self.holdings.logins);
            self.session = Some(session.clone());
            return HttpAnswer::new(200, "text/plain", session);
        }
        if request.header("session") != self.session.as_deref() {
            return HttpAnswer::new(401, "text/plain", "");
        }
        if refuse.is_some() {
            return HttpAnswer::new(404, "text/plain", "");
        }
        if request.target.starts_with("/do/4090/") {
            return HttpAnswer::new(409, "text/plain", "");
        }
        *self.done.entry(request.target.clone()).or_default() += 1;
        let card = request.target.split('/').nth(2).unwrap_or_default().to_owned();
        self.holdings.cards.entry(card).or_default().refreshes += 1;
        HttpAnswer::new(200, "text/plain", "done")
    }

    fn is_login(&self, request: &HttpRequest) -> bool {
        request.target == "/login"
    }

    fn lose_sessions(&mut self) {
        self.session = None;
    }

    fn has_sessions(&self) -> bool {
        true
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }
}

fn pair(at_once: usize) -> HttpPair {
    pair_with(at_once, ToyBackend::default())
}

fn pair_with(at_once: usize, backend: ToyBackend) -> HttpPair {
    let settings = CallSettings { at_once, ..CallSettings::default() };
    let adapter = HttpAdapter::new(Toy { budget: 20 }, settings, 7);
    HttpPair::new(Box::new(adapter), Box::new(HttpPlatform::new(backend)))
}

fn command(kind: &str, card: u64) -> String {
    let stb = if kind == "pair" { r#","stb":"9""# } else { "" };
    format!(r#"{{"command":"{kind}","smartcard":"{card}"{stb}}}"#)
}

fn logins(pair: &HttpPair) -> usize {
    pair.calls.iter().filter(|call| call.target == "/login").count()
}

#[test]
fn a_session_lost_under_a_thousand_calls_is_opened_once_and_nothing_is_done_twice() {
    let mut pair = pair(1_000);
    assert_eq!((logins(&pair), pair.adapter.capacity()), (1, 1_000));
    pair.hold = true;
    pair.platform.inject(Fault::LoseSessions).unwrap();
    for id in 1..=1_000 {
        pair.submit_only(id, &command("refresh_services", id));
    }
    pair.settle();
    // All the answers say that the session is lost, and come one after the other.
    pair.release();
    assert_eq!(logins(&pair), 2);
    assert!((1..=1_000).all(|id| pair.end(id) == "completed"));
    let holdings = pair.platform.holdings();
    assert_eq!(holdings.cards.len(), 1_000);
    assert!(holdings.cards.values().all(|card| card.refreshes == 1));
    assert!(pair.log.contains("LinkUp") && !pair.log.contains("LinkDown"));
}

#[test]
fn a_session_that_is_lost_every_time_is_not_asked_for_without_end() {
    let mut pair = pair(8);
    for _ in 0..5 {
        pair.platform.inject(Fault::LoseSessions).unwrap();
    }
    pair.submit(1, &command("refresh_services", 1));
    pair.pass(Duration::from_secs(10));
    assert_eq!(pair.end(1), "failed not_admitted No");
    assert_eq!(logins(&pair), 4);
}

#[test]
fn a_refused_login_takes_the_link_down_until_one_is_granted() {
    let mut pair = HttpPair::new(
        Box::new(HttpAdapter::new(Toy { budget: 3 }, CallSettings::default(), 7)),
        Box::new(HttpPlatform::new(ToyBackend::default())),
    );
    for _ in 0..2 {
        pair.platform.inject(Fault::RefuseLogin).unwrap();
    }
    pair.platform.inject(Fault::LoseSessions).unwrap();
    pair.submit(1, &command("refresh_services", 1));
    assert_eq!(pair.end(1), "failed not_admitted No");
    assert_eq!(pair.adapter.capacity(), 0);
    assert!(matches!(pair.events.iter().rev().nth(1), Some(Event::LinkDown(..))), "{:?}", pair.events);
    pair.submit(2, &command("refresh_services", 1));
    assert_eq!(pair.end(2), "failed no_capacity No");
    // Three logins are spent; the fourth has to wait for the budget.
    pair.pass(Duration::from_secs(290));
    assert_eq!((logins(&pair), pair.adapter.capacity()), (3, 0));
    pair.pass(Duration::from_secs(20));
    assert_eq!((logins(&pair), pair.adapter.capacity()), (4, 32));
    pair.submit(3, &command("refresh_services", 1));
    assert_eq!(pair.end(3), "completed");
}

#[test]
fn what_may_have_been_sent_is_told_exactly() {
    let mut pair = pair(8);
    pair.refuse = 1;
    pair.submit(1, &command("refresh_services", 1));
    assert_eq!(pair.end(1), "failed connect_failed No");
    for (id, fault) in [(2, Fault::CloseInstead), (3, Fault::CloseBefore), (4, Fault::HalfFrame), (5, Fault::Oversized)]
    {
        pair.platform.inject(fault).unwrap();
        pair.submit(id, &command("refresh_services", id));
        assert!(pair.end(id).ends_with(" Maybe"), "{}", pair.end(id));
    }
    pair.platform.inject(Fault::Silence).unwrap();
    pair.submit(6, &command("refresh_services", 6));
    pair.pass(Duration::from_secs(29));
    assert!(!pair.has_ended(6));
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.end(6), "failed no_answer Maybe");
    // A question that got lost changed nothing.
    pair.platform.inject(Fault::CloseInstead).unwrap();
    pair.submit(7, &command("get_device", 7));
    assert_eq!(pair.end(7), "failed answer_broken No");
    // The first of two calls was answered: whatever happens to the second, something was done.
    pair.hold = true;
    pair.submit(8, &command("pair", 8));
    pair.refuse = 1;
    pair.release();
    assert_eq!(pair.end(8), "failed connect_failed Maybe");
    // The first was refused as a whole: nothing was done yet.
    pair.hold = true;
    pair.submit(10, &command("pair", 4090));
    pair.refuse = 1;
    pair.release();
    assert_eq!(pair.end(10), "failed connect_failed No");
    // Both are done once.
    pair.submit(9, &command("pair", 9));
    assert_eq!(pair.platform.holdings().cards["9"].refreshes, 2);
    assert_eq!(pair.end(9), "completed");
}

#[test]
fn a_request_for_a_pause_is_passed_on() {
    let mut pair = pair(8);
    pair.platform.inject(Fault::Throttle).unwrap();
    pair.submit(1, &command("refresh_services", 1));
    assert_eq!(pair.end(1), "failed slow_down No");
    let pause = pair.events.iter().find_map(|event| match event {
        Event::SlowDown { pause, .. } => Some(*pause),
        _ => None,
    });
    assert_eq!(pause, Some(Duration::from_secs(1)));
}

#[test]
fn an_idle_session_is_kept_alive_renewed_and_ended() {
    let mut pair = pair(8);
    pair.pass(Duration::from_secs(1_300));
    assert_eq!(pair.calls.iter().filter(|call| call.target == "/alive").count(), 2);
    pair.pass(Duration::from_secs(2_000));
    assert_eq!(logins(&pair), 2, "it is renewed at 3000 s");
    pair.adapter.drain(pair.now);
    pair.settle();
    assert_eq!(pair.last_call().target, "/logout");
    assert_eq!(pair.adapter.capacity(), 0);
}

#[test]
fn neither_logs_nor_records_tell_secrets() {
    let mut pair = pair(8);
    pair.submit(1, &command("refresh_services", 4711));
    let exchange = &pair.outcome(1).exchange;
    let request = String::from_utf8_lossy(&exchange.request).into_owned();
    assert!(request.contains("session: ***") && request.contains("POST /do/4711/1"), "{request}");
    assert!(!request.contains("session-1"));
    pair.submit(2, &command("refresh_services", 47_110_815));
    let exchange = &pair.outcome(2).exchange;
    assert!(exchange.request.starts_with(b"POST /do***1 "), "{exchange:?}");
    let response = String::from_utf8_lossy(&exchange.response).into_owned();
    assert!(response.ends_with("\r\n\r\n***"), "what the dialogue calls confidential is masked: {response}");
    pair.submit(3, r#"{"command":"set_pin","smartcard":"8642","pin":"8642"}"#);
    let request = String::from_utf8_lossy(&pair.outcome(3).exchange.request).into_owned();
    assert!(request.contains("POST /do/***/1"), "{request}");
    // What the platform says can repeat what it was told.
    pair.platform.inject(Fault::UnknownCard).unwrap();
    pair.submit(4, r#"{"command":"set_pin","smartcard":"8642","pin":"8642"}"#);
    assert_eq!(pair.end(4), "rejected 404: no card ***");
    for private in ["session-1", "4711", "8642", "password"] {
        assert!(!pair.log.contains(private), "{private} in {}", pair.log);
    }
}
