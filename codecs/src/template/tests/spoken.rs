//! What answers mean, through the adapter.

use std::collections::VecDeque;

use headgate_core::Now;
use headgate_core::failure::Sent;
use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::outcome::{Answer, Verdict};
use headgate_core::platform::{Fault, Holdings};

use super::speech;
use crate::http::{Backend, CallSettings, HttpAdapter, HttpPlatform};
use crate::template::TemplateDialogue;
use crate::test_support::http_pair::HttpPair;

/// Answers what it was given, in order.
struct Script {
    answers: VecDeque<(u16, &'static str)>,
    holdings: Holdings,
}

impl Backend for Script {
    fn answer(&mut self, _: Now, _: &HttpRequest, _: Option<Fault>) -> HttpAnswer {
        let (status, body) = self.answers.pop_front().unwrap_or((404, ""));
        HttpAnswer::new(status, "text/plain", body)
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }
}

fn pair(toml: &str, answers: &[(u16, &'static str)]) -> HttpPair {
    let script = Script { answers: answers.iter().copied().collect(), holdings: Holdings::default() };
    let adapter = HttpAdapter::new(TemplateDialogue::new(speech(toml)), CallSettings::default(), 1);
    HttpPair::new(Box::new(adapter), Box::new(HttpPlatform::new(script)))
}

const REMOVE: &str = r#"{"command":"remove_subscriber","account":"a1"}"#;

const JSON: &str = "[answer]\nsuccess = { at = 'status', is = ['ok', 'true'] }\nerror_code = ['error/code']\nerror_text = ['error/message', 'message']\n\
    [errors.'9']\nmeaning = 'repeat_is_fine'\n[errors.'8']\nmeaning = 'retry_later'\nafter = '3s'\n[errors.'7']\nmeaning = 'not_admitted'\n\
    [errors.'6']\nmeaning = 'unclear'\n[errors.http_404]\nmeaning = 'repeat_is_fine'\n\
    [operations.remove_subscriber]\npath = '/r/{account}'\naccount = true\nextract = { reference = 'id' }\n";

fn end(status: u16, body: &'static str) -> String {
    let mut pair = pair(JSON, &[(status, body)]);
    pair.submit(1, REMOVE);
    in_short(&pair, 1)
}

/// The end of a submission without the platform's words.
fn in_short(pair: &HttpPair, id: u64) -> String {
    pair.end(id).split(':').next().unwrap().to_owned()
}

#[test]
fn every_meaning_has_its_end() {
    assert_eq!(end(200, r#"{"status":"ok"}"#), "completed");
    assert_eq!(end(200, r#"{"status":true}"#), "completed");
    assert_eq!(end(200, r#"{"status":"error","message":"no such user"}"#), "rejected error");
    assert_eq!(end(200, r#"{"status":false,"error":{"code":-5,"message":"x"}}"#), "rejected -5");
    assert_eq!(end(200, r#"{"status":false,"error":{"code":9}}"#), "completed");
    assert_eq!(end(200, r#"{"status":false,"error":{"code":8}}"#), "failed 8 No");
    assert_eq!(end(200, r#"{"status":false,"error":{"code":7}}"#), "failed 7 No");
    assert_eq!(end(200, r#"{"status":false,"error":{"code":6}}"#), "failed 6 Maybe");
    assert_eq!(end(404, ""), "completed");
    assert_eq!(end(409, r#"{"error":{"code":"dup"}}"#), "rejected dup");
    assert_eq!(end(400, "<html>"), "rejected http_400");
    assert_eq!(end(401, ""), "failed not_admitted No");
    assert_eq!(end(502, "<html>bad</html>"), "failed server_error Maybe");
}

#[test]
fn hostile_answers_are_unreadable() {
    let deep = "[".repeat(10_000);
    for body in [
        "<html>ok</html>",
        "{\"status\":",
        "{}",
        "{\"other\":1}",
        "",
        "{\"status\":\"ok\",\"status\":\"error\"}",
        Box::leak(deep.into_boxed_str()),
    ] {
        assert_eq!(end(200, body), "failed answer_unreadable Maybe", "{body:.40}");
    }
    let xml = "[answer]\nformat = 'xml'\nsuccess = { at = '**/StatusCode', is = ['OK'] }\nerror_code = ['**/StatusCode']\nerror_text = ['**/Message']\n\
        [operations.remove_subscriber]\npath = '/r/{account}'\naccount = true\n";
    for (body, expected) in [
        ("<a><b xmlns='urn:x'><StatusCode>OK</StatusCode></b></a>", "completed"),
        ("<a><StatusCode>GONE</StatusCode><Message>m</Message></a>", "rejected GONE"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "failed answer_unreadable Maybe"),
        ("<a><StatusCode>OK", "failed answer_unreadable Maybe"),
        ("<html/>", "failed answer_unreadable Maybe"),
    ] {
        let mut pair = pair(xml, &[(200, body)]);
        pair.submit(1, REMOVE);
        assert_eq!(in_short(&pair, 1), expected, "{body}");
    }
}

#[test]
fn the_prefix_of_a_faults_code_says_nothing() {
    let toml = "[answer]\nformat = 'xml'\nerror_code = ['**/StatusCode', '**/faultcode']\nerror_text = ['**/faultstring']\n\
        [errors.Server]\nmeaning = 'unclear'\n[operations.remove_subscriber]\npath = '/r/{account}'\naccount = true\n";
    for (code, end) in
        [("a:Server", "failed Server Maybe"), ("Server", "failed Server Maybe"), ("s:Client", "rejected Client")]
    {
        let body = format!("<e><f><faultcode>{code}</faultcode><faultstring>x</faultstring></f></e>");
        let mut pair = pair(toml, &[(500, Box::leak(body.into_boxed_str()))]);
        pair.submit(1, REMOVE);
        assert_eq!(in_short(&pair, 1), end, "{code}");
    }
}

#[test]
fn parts_that_fail_are_told_and_the_others_done() {
    let toml = "[operations.add_device]\npath = '/a'\nsmartcards = [1, 9]\nfor_each = ['smartcard']\njson = { c = '{smartcard}' }\n\
        [answer]\nerror_code = ['code']\n";
    let add = r#"{"command":"add_device","smartcards":["1","2","3"]}"#;
    let mut some = pair(toml, &[(200, ""), (422, r#"{"code":"E1"}"#), (200, "")]);
    some.submit(1, add);
    let Verdict::Rejected(failure) = &some.outcome(1).verdict else { panic!("{:?}", some.outcome(1)) };
    assert_eq!(failure.parts.len(), 1);
    assert_eq!((failure.parts[0].part.as_str(), failure.parts[0].code.as_ref()), ("2", "E1"));
    assert!(failure.text.starts_with("1 of 3"), "{failure}");
    let mut none = pair(toml, &[(422, r#"{"code":"E1"}"#), (422, ""), (422, "")]);
    none.submit(1, add);
    assert_eq!(in_short(&none, 1), "rejected E1");
    assert_eq!(none.calls.len(), 3);
    let mut broken = pair(toml, &[(200, ""), (500, "")]);
    broken.submit(1, add);
    assert_eq!(broken.end(1), "failed server_error Maybe");
}

#[test]
fn one_operation_follows_another_with_what_was_kept() {
    let toml = "[operations.create_subscriber]\npath = '/add'\nthen = 'assign'\nextract = { keep = { id = 'user/id' }, reference = 'user/id' }\n\
        [operations.assign]\npath = '/users/{kept.id}/assign'\n";
    let mut pair = pair(toml, &[(200, r#"{"user":{"id":77}}"#), (200, "")]);
    pair.submit(1, r#"{"command":"create_subscriber"}"#);
    assert_eq!(pair.end(1), "completed");
    assert_eq!(pair.last_call().target, "/users/77/assign");
    assert_eq!(pair.outcome(1).reference.as_ref().unwrap().as_str(), "77");
    // An account that is there already does not tell its id: the second operation can not be made.
    let toml = format!("{toml}[errors.http_409]\nmeaning = 'repeat_is_fine'\n");
    let mut pair = self::pair(&toml, &[(409, "")]);
    pair.submit(1, r#"{"command":"create_subscriber"}"#);
    assert_eq!(in_short(&pair, 1), "rejected http_409");
    assert_eq!(pair.calls.len(), 1);
}

#[test]
fn a_session_is_opened_used_and_renewed() {
    let toml = "login = { operation = 'login' }\n[operations.login]\npath = '/login'\njson = { u = '{settings.user}', p = '{settings.password}' }\n\
        extract = { session = 'token' }\n[errors.http_401]\nmeaning = 'session_lost'\n\
        [operations.remove_subscriber]\npath = '/r/{account}'\naccount = true\nheaders = [['authorization', 'Bearer {session}']]\n";
    let mut pair = pair(toml, &[(200, r#"{"token":"t1"}"#), (401, ""), (200, r#"{"token":"t2"}"#), (200, "{}")]);
    pair.submit(1, REMOVE);
    assert_eq!(pair.end(1), "completed");
    assert_eq!(pair.last_call().header("authorization"), Some("Bearer t2"));
    let exchange = String::from_utf8_lossy(&pair.outcome(1).exchange.request).into_owned();
    assert!(!exchange.contains("t1") && !exchange.contains("t2"), "{exchange}");
}

#[test]
fn queries_tell_what_the_platform_holds() {
    let toml = "[operations.get_services]\npath = '/s/{smartcard}'\nmethod = 'GET'\nsmartcards = [1, 9]\nfor_each = ['smartcard']\n\
        [operations.get_services.extract.services]\neach = 'p/*'\nca_id = 'id'\nend = 'to'\ntimes = 'epoch'\nsuspended = { at = 'off', is = ['true'] }\n\
        [operations.get_subscriber]\npath = '/u'\nmethod = 'GET'\naccount = true\n\
        [operations.get_subscriber.extract.subscriber]\nstate = 'state'\ndevices = 'cards/*'\nattributes = { mail = 'email' }\n";
    let mut pair = pair(
        toml,
        &[
            (200, r#"{"p":[{"id":"42","to":1768478400},{"id":"99","off":true}]}"#),
            (200, r#"{"p":[]}"#),
            (200, r#"{"state":"on","cards":["c1"],"email":"a@b"}"#),
        ],
    );
    pair.submit(1, r#"{"command":"get_services","smartcards":["1","2"]}"#);
    let Verdict::Completed(Some(Answer::Services(held))) = &pair.outcome(1).verdict else { panic!() };
    assert_eq!(held.len(), 2);
    assert_eq!(held[0].services[0].code.as_ref().unwrap().as_str(), "SPORT");
    assert_eq!(held[0].services[0].end.unwrap().as_second(), 1_768_478_400);
    assert!(held[0].services[1].suspended && held[1].services.is_empty());
    pair.submit(2, r#"{"command":"get_subscriber","account":"a1"}"#);
    let Verdict::Completed(Some(Answer::Subscriber(known))) = &pair.outcome(2).verdict else { panic!() };
    assert_eq!((known.account.as_str(), known.state.as_deref()), ("a1", Some("on")));
    assert_eq!(known.attributes["mail"].as_str(), "a@b");
}

#[test]
fn raw_calls_go_out_as_they_are() {
    let toml = "[raw]\n[operations.remove_subscriber]\npath = '/r/{account}'\naccount = true\n";
    let mut pair = pair(toml, &[(200, "anything")]);
    let hex = |text: &str| headgate_core::text::to_hex(text.as_bytes());
    let raw = |payload: &str| format!(r#"{{"command":"raw","payload":"{}"}}"#, hex(payload));
    pair.submit(1, &raw(r#"{"method":"PUT","path":"/x/y?a=b%20c","body":{"z": [1.50]}}"#));
    assert_eq!(pair.end(1), format!(r#"completed {{"raw":"{}"}}"#, hex("anything")));
    assert_eq!(
        (pair.last_call().target.as_str(), &pair.last_call().body[..]),
        ("/x/y?a=b+c", &br#"{"z": [1.50]}"#[..])
    );
    pair.submit(2, &raw(r#"{"method":"PUT","path":"/x y"}"#));
    assert!(pair.end(2).starts_with("failed out_of_range No"), "{}", pair.end(2));
    assert_eq!(pair.calls.len(), 1);
    let Verdict::Failed(failure) = &pair.outcome(2).verdict else { panic!() };
    assert_eq!(failure.sent, Sent::No);
}
