//! Workers and adapter joined in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headgate_core::adapter::{Adapter, Done, Effect, Event, Input, Output};
use headgate_core::body::RequestBody;
use headgate_core::http::{CallId, HttpAnswer, HttpReply, HttpRequest, Method};
use headgate_core::outcome::{Outcome, Verdict};
use headgate_core::platform::{Fault, Platform, PlatformOutput};
use headgate_core::provider::ServiceMap;
use headgate_core::{Deadline, Now};
use serde_json::{Value, json};

use super::PROTOCOL;
use crate::registry::{Opened, Stock};
use crate::test_support::pair::{finished, in_words};
use crate::test_support::{later, provider, start, submission};

/// Stands for a worker that died.
const DEAD: usize = usize::MAX;

/// An adapter, and workers that call it.
struct Site {
    adapter: Box<dyn Adapter>,
    workers: Vec<Box<dyn Platform>>,
    now: Now,
    events: Vec<Event>,
    log: String,
    /// Who made a call, and under which number; `None`: the test itself.
    calls: BTreeMap<CallId, Option<(usize, headgate_core::adapter::EffectId)>>,
    /// Answers to the test's own calls.
    answers: BTreeMap<CallId, HttpAnswer>,
    last_call: u64,
    due: Vec<Option<Deadline>>,
}

impl Site {
    fn new(settings: Value, workers: usize) -> Self {
        let Opened { adapter, .. } = (PROTOCOL.open)(&provider(PROTOCOL.demo.services), &settings, 1).unwrap();
        let stock = Stock {
            cards: PROTOCOL.demo.cards.iter().map(|card| (*card).to_owned()).collect(),
            products: PROTOCOL.demo.services.iter().map(|(_, id)| (*id).to_owned()).collect(),
        };
        let workers: Vec<_> = (0..workers).map(|_| (PROTOCOL.platform)(&settings, &stock).unwrap()).collect();
        let due = vec![None; workers.len() + 1];
        let mut site = Self {
            adapter,
            workers,
            now: start(),
            events: Vec::new(),
            log: String::new(),
            calls: BTreeMap::new(),
            answers: BTreeMap::new(),
            last_call: 0,
            due,
        };
        site.adapter.handle_input(site.now, Input::Start);
        for worker in &mut site.workers {
            worker.handle_input(site.now, Input::Start);
        }
        site.settle();
        site
    }

    fn submit(&mut self, id: u64, json: &str) {
        self.adapter.submit(self.now, submission(id, json));
        self.settle();
    }

    /// The test itself calls as a worker. Returns the call, which may not be answered yet.
    fn call(&mut self, method: Method, target: &str, body: &Value) -> CallId {
        self.last_call += 1;
        let id = CallId(self.last_call);
        self.calls.insert(id, None);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = HttpRequest { method, target: target.to_owned(), headers: Vec::new(), body: body.into() };
        self.adapter.handle_input(self.now, Input::Called(id, request));
        self.settle();
        id
    }

    fn post(&mut self, target: &str, body: &Value) -> Value {
        let id = self.call(Method::Post, target, body);
        serde_json::from_slice(&self.answers[&id].body).unwrap()
    }

    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            loop {
                let output = self.adapter.poll_output();
                self.log.push_str(&format!("{output:?}\n"));
                match output {
                    Output::Wait(due) => {
                        self.due[0] = due;
                        break;
                    }
                    Output::Event(event) => self.events.push(event),
                    Output::Do(_, Effect::Reply(call, HttpReply::Whole(answer))) => {
                        quiet = false;
                        match self.calls.remove(&call).expect("a call is answered once") {
                            None => drop(self.answers.insert(call, answer)),
                            Some((DEAD, _)) => {}
                            Some((worker, id)) => {
                                self.workers[worker].handle_input(self.now, Input::Done(id, Done::Http(Ok(answer))));
                            }
                        }
                    }
                    Output::Do(_, other) => panic!("{other:?}"),
                }
            }
            for index in 0..self.workers.len() {
                loop {
                    match self.workers[index].poll_output() {
                        PlatformOutput::Wait(due) => {
                            self.due[index + 1] = due;
                            break;
                        }
                        PlatformOutput::Do(id, Effect::Http(call)) => {
                            quiet = false;
                            self.last_call += 1;
                            self.calls.insert(CallId(self.last_call), Some((index, id)));
                            let request = HttpRequest {
                                method: call.method,
                                target: call.target,
                                headers: Vec::new(),
                                body: call.body,
                            };
                            self.adapter.handle_input(self.now, Input::Called(CallId(self.last_call), request));
                        }
                        PlatformOutput::Do(_, other) => panic!("{other:?}"),
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// A worker dies: what it had asked for is never read.
    fn kill(&mut self, worker: usize) {
        let fresh = (PROTOCOL.platform)(&json!({}), &Stock::default()).unwrap();
        self.workers[worker] = fresh;
        self.due[worker + 1] = None;
        for by in self.calls.values_mut().flatten().filter(|(index, _)| *index == worker) {
            by.0 = DEAD;
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = later(self.now, time);
        for _ in 0..10_000 {
            let next = self.due.iter().flatten().min().copied().filter(|next| next.at <= end.tick);
            let Some(next) = next else {
                self.now = end;
                return;
            };
            self.now = later(self.now, next.at.since(self.now.tick));
            for (index, due) in self.due.clone().into_iter().enumerate() {
                if due.is_some_and(|due| due.at <= self.now.tick) {
                    match index {
                        0 => self.adapter.handle_input(self.now, Input::Deadline),
                        worker => self.workers[worker - 1].handle_input(self.now, Input::Deadline),
                    }
                }
            }
            self.settle();
        }
        panic!("deadlines without end");
    }

    fn outcome(&self, id: u64) -> &Outcome {
        let ends: Vec<_> = self.events.iter().filter_map(|event| finished(event, id)).collect();
        assert_eq!(ends.len(), 1, "ends of submission {id} in {:?}", self.events);
        ends[0]
    }

    fn end(&self, id: u64) -> String {
        in_words(&self.outcome(id).verdict)
    }
}

fn activate(card: &str, services: &str) -> String {
    format!(r#"{{"command":"activate_services","subscription":"S1","smartcard":"{card}","services":{services}}}"#)
}

#[test]
fn a_demo_shows_every_command_and_ends_as_it_says() {
    let settings: Value = toml::from_str(PROTOCOL.demo.settings).unwrap();
    let mut site = Site::new(settings.clone(), 1);
    let rules = (PROTOCOL.open)(&provider(PROTOCOL.demo.services), &settings, 1).unwrap().rules;
    let (mut shown, mut refused) = (BTreeSet::new(), 0);
    for (id, line) in (1..).zip(PROTOCOL.demo.requests.lines()) {
        let kind = serde_json::from_str::<RequestBody>(line).unwrap().command;
        let request = submission(id, &line.replacen(r#""provider":"generic","#, "", 1)).request;
        rules.capabilities().check(&request, &provider(PROTOCOL.demo.services).services).expect(line);
        rules.check(&request).expect(line);
        site.submit(id, &line.replacen(r#""provider":"generic","#, "", 1));
        match &site.outcome(id).verdict {
            Verdict::Completed(_) => drop(shown.insert(kind)),
            Verdict::Rejected(_) => refused += 1,
            Verdict::Failed(failure) => panic!("{line}: {failure}"),
        }
    }
    assert_eq!(shown, rules.capabilities().commands.keys().copied().collect());
    assert_eq!(refused, PROTOCOL.demo.refused);
    let holdings = site.workers[0].holdings();
    assert_eq!(holdings.cards["G-1002"].services.keys().collect::<Vec<_>>(), ["basic"]);
    assert_eq!(holdings.broadcasts, ["New channels"]);
    assert!(holdings.accounts.is_empty());
    for private in ["G-1001", "S-1001", "4711", "Elm Street", "Welcome"] {
        assert!(!site.log.contains(private), "{private} in {}", site.log);
    }
}

#[test]
fn requests_wait_until_a_worker_is_there() {
    let mut site = Site::new(json!({}), 0);
    assert_eq!(site.adapter.capacity(), 0);
    assert_eq!(site.post("/pull", &json!({})), json!({ "requests": [] }));
    assert!(site.adapter.capacity() > 0);
    site.pass(Duration::from_secs(119));
    assert!(site.adapter.capacity() > 0);
    site.pass(Duration::from_secs(2));
    assert_eq!(site.adapter.capacity(), 0);
    assert!(matches!(site.events.last(), Some(Event::LinkDown(..))));
}

#[test]
fn a_call_waits_for_work_and_no_longer_than_it_said() {
    let mut site = Site::new(json!({}), 0);
    let first = site.call(Method::Post, "/pull", &json!({ "wait_seconds": 10 }));
    let second = site.call(Method::Post, "/pull", &json!({ "wait_seconds": 5, "max": 1 }));
    assert!(site.answers.is_empty());
    site.pass(Duration::from_secs(6));
    assert!(site.answers.contains_key(&second) && !site.answers.contains_key(&first));
    site.submit(7, &activate("G-1001", r#"["BASIC","SPORT"]"#));
    let pulled: Value = serde_json::from_slice(&site.answers[&first].body).unwrap();
    let requests = pulled["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0]["type"], "ACTIVATE_SERVICE");
    assert_eq!((&requests[0]["number"], &requests[1]["number"]), (&json!("7.1"), &json!("7.2")));
    assert_eq!(requests[0]["services"], json!([{ "code": "BASIC", "ca_id": "basic" }]));
    assert_eq!(requests[0]["devices"], json!([{ "type": "smartcard", "serial_number": "G-1001" }]));
}

#[test]
fn parts_that_are_refused_are_told_one_by_one() {
    let mut site = Site::new(json!({}), 0);
    site.post("/pull", &json!({}));
    site.submit(7, &activate("G-1001", r#"["BASIC","SPORT"]"#));
    site.submit(8, &activate("G-1001", r#"["FILM"]"#));
    let answers = json!({ "answers": [
        { "number": "7.1", "state": "completed", "reference": "X1" },
        { "number": "7.2", "state": "rejected", "code": "E12", "text": "not in this region" },
        { "number": "8", "state": "rejected", "code": "E1", "text": "no" },
        { "number": "9", "state": "completed" },
    ]});
    let failed = site.post("/answers", &answers);
    assert_eq!(failed["failed"][0]["number"], "9");
    assert_eq!(failed["failed"][0]["code"], "unknown_number");
    let Verdict::Rejected(failure) = &site.outcome(7).verdict else { panic!("{}", site.end(7)) };
    assert_eq!((failure.code.as_ref(), failure.parts.len(), failure.parts[0].part.as_str()), ("E12", 1, "SPORT"));
    assert_eq!(site.outcome(7).reference.as_ref().unwrap().as_str(), "X1");
    assert_eq!(site.end(8), "rejected E1: no");
    // The same answers again: nothing new, nothing wrong but the number nobody knows.
    assert_eq!(site.post("/answers", &answers)["failed"].as_array().unwrap().len(), 1);
}

#[test]
fn four_workers_two_of_which_die_do_everything_once() {
    let mut site = Site::new(json!({ "lease": "30s" }), 4);
    for id in 1..=200 {
        if id == 60 || id == 120 {
            let dying = usize::try_from(id / 60 - 1).unwrap();
            // It takes what is there and dies before it does anything, or before it answers.
            for _ in 0..50 {
                site.workers[dying].inject(if id == 60 { Fault::CloseBefore } else { Fault::Silence }).unwrap();
            }
            for more in 0..50 {
                site.submit(1_000 + id + more, &activate("G-1001", r#"["BASIC"]"#));
            }
            site.kill(dying);
        }
        site.submit(id, &activate("G-1001", r#"["BASIC"]"#));
    }
    site.pass(Duration::from_secs(120));
    let ids = (1..=200).chain(1_060..1_110).chain(1_120..1_170);
    for id in ids {
        assert_eq!(site.end(id), "completed");
    }
}

#[test]
fn what_nobody_answers_ends_and_says_so() {
    let mut site = Site::new(json!({ "answer_within": "1h" }), 0);
    site.post("/pull", &json!({}));
    site.submit(1, &activate("G-1001", r#"["BASIC"]"#));
    site.pass(Duration::from_secs(3_601));
    assert_eq!(site.end(1), "failed no_answer Maybe");
    assert_eq!(site.post("/pull", &json!({})), json!({ "requests": [] }));
}

#[test]
fn stopping_gives_back_what_no_worker_has_and_waits_for_the_rest() {
    let mut site = Site::new(json!({ "lease": "30s" }), 0);
    site.post("/pull", &json!({}));
    site.submit(1, &activate("G-1001", r#"["BASIC"]"#));
    site.submit(2, &activate("G-1002", r#"["BASIC"]"#));
    site.submit(3, &activate("G-1003", r#"["BASIC"]"#));
    let pulled = site.post("/pull", &json!({ "max": 2 }));
    site.adapter.drain(site.now);
    site.settle();
    assert_eq!(site.end(3), "failed stopping No");
    let lease = &pulled["requests"][0]["lease"];
    site.post("/answers", &json!({ "answers": [{ "number": "1", "lease": lease, "state": "completed" }] }));
    assert_eq!(site.end(1), "completed");
    site.pass(Duration::from_secs(31));
    assert_eq!(site.end(2), "failed stopping Maybe");
}

#[test]
fn mistakes_of_workers_are_answered_with_what_is_wrong() {
    let mut site = Site::new(json!({}), 0);
    for (target, body, field) in [
        ("/pull", json!({ "max": 51 }), "max"),
        ("/pull", json!({ "lease_seconds": 0 }), "lease_seconds"),
        ("/pull", json!({ "most": 5 }), "most"),
        ("/answers", json!({ "answers": [{ "number": "1", "state": "done" }] }), "answers[0]/state"),
    ] {
        let id = site.call(Method::Post, target, &body);
        let problem: Value = serde_json::from_slice(&site.answers[&id].body).unwrap();
        assert_eq!((site.answers[&id].status, &problem["field"]), (400, &json!(field)), "{problem}");
    }
    let id = site.call(Method::Post, "/elsewhere", &Value::Null);
    assert_eq!(site.answers[&id].status, 404);
}

#[test]
fn crm_com_s_calls_group_by_subscription_and_page_by_offset() {
    let mut site = Site::new(json!({ "crm_com_types_only": true }), 0);
    site.post("/pull", &json!({}));
    let command = |subscription: &str, rest: &str| format!(r#"{{"subscription":"{subscription}",{rest}}}"#);
    let subscriber = r#""command":"create_subscriber","subscriber":{"first_name":"Ann","password":"s3cret","address":{"city":"Oulu"}}"#;
    site.submit(501, &command("S1", subscriber));
    site.submit(502, &command("S2", r#""command":"activate_services","services":["BASIC","FILM"]"#));
    site.submit(503, &command("S3", r#""command":"remove_device","smartcard":"G-1001""#));
    let get = |site: &mut Site, query: &str| {
        let id = site.call(Method::Get, &format!("/get_pending?{query}"), &Value::Null);
        (site.answers[&id].status, serde_json::from_slice::<Value>(&site.answers[&id].body).unwrap())
    };
    let (status, page) = get(&mut site, "token=T&number_of_results=50&offset=0");
    assert_eq!((status, &page["status"]["code"]), (200, &json!("OK")));
    let groups = page["data"]["subscriptions_set"].as_array().unwrap();
    assert_eq!(groups.iter().map(|group| &group["subscription_number"]).collect::<Vec<_>>(), ["S1", "S2", "S3"]);
    let first = &groups[0]["pending_provisioning_requests_set"][0];
    assert_eq!((&first["number"], &first["type"]), (&json!("501"), &json!("BECOME_SUBSCRIBER")));
    assert_eq!(
        (&first["address"]["city"], &first["account_information"]),
        (&json!("Oulu"), &json!({ "first_name": "Ann" }))
    );
    let second = groups[1]["pending_provisioning_requests_set"].as_array().unwrap();
    assert_eq!((&second[1]["number"], &second[1]["service"]["ca_id"]), (&json!("502.2"), &json!("film")));
    assert_eq!(groups[2]["pending_provisioning_requests_set"][0]["installed_item"]["serial_number"], "G-1001");
    let (_, page) = get(&mut site, "number_of_results=1&offset=3");
    assert_eq!(page["data"]["subscriptions_set"][0]["subscription_number"], "S3");
    assert_eq!(get(&mut site, "number_of_results=51&offset=0").0, 400);
    assert_eq!(get(&mut site, "number_of_results=5").0, 400);

    let call = json!({ "token": "T", "responses_set": [
        { "number": "501", "response_status": "ACCEPTED", "account_number": "ACC-77" },
        { "number": 503, "response_status": "REJECTED", "error_code": "E12", "error_description": "unknown device" },
        { "number": "999", "response_status": "ACCEPTED" },
    ]});
    let answer = site.post("/send_response", &call);
    assert_eq!(answer["data"]["failed_provisioning_requests_set"][0]["number"], "999");
    assert_eq!(site.end(501), r#"completed {"subscriber":{"account":"ACC-77"}}"#);
    assert_eq!(site.end(503), "rejected E12: unknown device");
    // After a week CRM.COM shows them no more.
    site.pass(Duration::from_secs(7 * 86_400 - 5));
    site.now = later(site.now, Duration::from_secs(6));
    assert_eq!(get(&mut site, "number_of_results=5&offset=0").1["data"]["subscriptions_set"], json!([]));
}

#[test]
fn whole_subscriptions_are_one_request_with_a_list() {
    let opened = (PROTOCOL.open)(&provider(PROTOCOL.demo.services), &json!({ "activation": "whole_subscription" }), 1);
    let settings = super::Settings::read(&json!({ "activation": "whole_subscription" })).unwrap();
    let services: ServiceMap = provider(PROTOCOL.demo.services).services;
    let vocabulary = super::Vocabulary::new(&settings, services);
    let request = submission(1, &activate("G-1001", r#"["BASIC","SPORT"]"#)).request;
    assert!(opened.is_ok_and(|opened| opened.rules.check(&request).is_ok()));
    let work = vocabulary.work(&request).unwrap();
    assert_eq!((work.len(), work[0].kind.as_str(), work[0].services.len()), (1, "ACTIVATE_SUBSCRIBER", 2));
}

#[test]
fn nothing_that_workers_send_does_harm() {
    for text in [
        "{}\n{}\n{\"leases\":[]}\n\n{\"responses_set\":[]}\n",
        "[]\n{\"answers\":[{}]}\n{\"leases\":[{\"number\":\"1\",\"lease\":\"\"}],\"lease_seconds\":99999999999}",
        "{\"wait_seconds\":18446744073709551615}\n\u{0}\n{{{{",
    ] {
        super::fuzzing::workers_are_survived(text.as_bytes());
    }
}
