//! The subcommands that ask a running gateway.

use serde_json::{Value, json};

use super::double::Double;
use super::{headgate, headgate_with};

const ID: &str = "0193e0a0-0000-7000-8000-000000000001";

fn request(state: &str) -> Value {
    json!({
        "id": ID, "number": 42, "provider": "alpha", "subscription": "S-1", "command": "pair", "state": state,
        "attempts": 1, "created": "2026-01-01T00:00:00Z", "failure": {"code": "E7", "text": "no such card"},
    })
}

fn provider() -> Value {
    let rules = json!({
        "services": {"min": 1, "max": 20}, "smartcards": {"min": 1, "max": 1}, "stbs": {"min": 0, "max": 0},
        "safe_to_repeat": true, "confirmed": false,
    });
    json!({
        "name": "alpha", "protocol": "some-protocol", "unconfirmed": "the header", "state": "effective", "health": "up",
        "links_up": 1, "waiting": 3, "in_flight": 2, "breaker": "closed",
        "capabilities": {"commands": {"activate_services": rules}},
    })
}

fn answers(what: &str) -> (u16, Value) {
    match what {
        "GET /v1/providers" => (200, json!({"providers": [provider()]})),
        "GET /v1/providers/alpha" | "PUT /v1/providers/alpha/state" => (200, provider()),
        "POST /v1/providers/alpha/test" => {
            (200, json!({"ok": true, "milliseconds": 3, "request": request("completed")}))
        }
        "POST /v1/providers/dead/test" => (200, json!({"ok": false, "milliseconds": 3, "request": request("failed")})),
        "GET /v1/requests?limit=1" => (200, json!({"requests": [request("unknown")], "next": "42"})),
        "GET /v1/requests?limit=1&cursor=42" => (200, json!({"requests": [request("failed")]})),
        what if what.starts_with("GET /v1/requests?") => (200, json!({"requests": [request("unknown")]})),
        what if what.starts_with(&format!("GET /v1/requests/{ID}")) => (200, request("unknown")),
        what if what.starts_with(&format!("POST /v1/requests/{ID}/")) => (200, request("waiting")),
        "GET /v1/subscriptions?limit=50&out_of_sync=true" => {
            let mark = json!({"alpha": {"since": "2026-01-01T00:00:00Z", "reason": "rejected", "code": "E7"}});
            let one = json!({"number": "S-1", "state": "effective", "created": "2026-01-01T00:00:00Z",
                "providers": ["alpha"], "out_of_sync": mark});
            (200, json!({"subscriptions": [one], "next": "S-1"}))
        }
        "PUT /v1/subscriptions/S-1" | "POST /v1/subscriptions/S-1/reset" => {
            (200, json!({"number": "S-1", "state": "effective", "requests": [request("completed")]}))
        }
        "POST /v1/subscriptions/S-1/actions" => (200, json!({"requests": [request("rejected")]})),
        "GET /v1/subscriptions/S-1/platform" => {
            (200, json!({"platforms": {"alpha": {"asked": 1, "differences": [{"difference": "account_missing"}]}}}))
        }
        "DELETE /v1/subscriptions/S-1" => (204, Value::Null),
        "GET /v1/providers/secret" => (401, json!({"title": "An API key is needed", "status": 401})),
        _ => (404, json!({"title": "Not found", "detail": "there is no such thing", "status": 404})),
    }
}

#[test]
fn providers_are_listed_and_shown() {
    let double = Double::start(answers);
    let list = headgate(&["providers", "--url", &double.url(), "--key", "hg_1"]).ends(0);
    for word in ["alpha", "some-protocol", "effective", "up", "closed"] {
        assert!(list.out.contains(word), "{list:#?}");
    }
    let show = headgate(&["providers", "show", "alpha", "--url", &double.url()]).ends(0);
    assert!(show.out.contains("unconfirmed  the header") && show.out.contains("activate_services"), "{show:#?}");
    assert!(show.out.contains("1 to 20"), "{show:#?}");
    let json = headgate(&["providers", "--json", "--url", &double.url()]).ends(0).json();
    assert_eq!(json["providers"][0]["name"], "alpha");
    let asked = double.asked();
    assert_eq!(asked[0].key.as_deref(), Some("Bearer hg_1"));
    assert_eq!(asked[1].key, None);
}

#[test]
fn a_connection_test_decides_the_exit_status() {
    let double = Double::start(answers);
    let good = headgate(&["providers", "test", "alpha", "--url", &double.url()]).ends(0);
    assert_eq!(good.out, "alpha answered in 3 ms\n");
    let bad = headgate(&["providers", "test", "dead", "--url", &double.url()]).ends(1);
    assert_eq!(bad.out, "dead did not answer: no such card\n");
}

#[test]
fn providers_are_switched() {
    let double = Double::start(answers);
    headgate(&["providers", "disable", "alpha", "--url", &double.url()]).ends(0);
    headgate(&["providers", "enable", "alpha", "--url", &double.url()]).ends(0);
    let bodies: Vec<String> =
        double.asked().into_iter().map(|asked| format!("{} {}", asked.what, asked.body)).collect();
    assert_eq!(
        bodies,
        [
            r#"PUT /v1/providers/alpha/state {"state":"not_effective"}"#,
            r#"PUT /v1/providers/alpha/state {"state":"effective"}"#
        ]
    );
}

#[test]
fn requests_are_listed_with_every_filter() {
    let double = Double::start(answers);
    let url = double.url();
    let args = [
        "requests",
        "--url",
        &url,
        "--provider",
        "a b",
        "--subscription",
        "S/1",
        "--state",
        "unknown",
        "--command",
        "pair",
        "--source",
        "api",
        "--reference",
        "r",
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-02-01T00:00:00Z",
    ];
    let list = headgate(&args).ends(0);
    assert!(list.out.contains("no such card (E7)") && list.out.contains(ID), "{list:#?}");
    assert_eq!(
        double.asked()[0].what,
        "GET /v1/requests?limit=50&provider=a%20b&subscription=S%2F1&state=unknown&command=pair&source=api&reference=r\
         &from=2026-01-01T00%3A00%3A00Z&to=2026-02-01T00%3A00%3A00Z"
    );
}

#[test]
fn all_pages_are_read_when_asked() {
    let double = Double::start(answers);
    let one = headgate(&["requests", "--limit", "1", "--url", &double.url()]).ends(0);
    assert!(one.err.contains("--all"), "{one:#?}");
    let all = headgate(&["requests", "--limit", "1", "--all", "--json", "--url", &double.url()]).ends(0).json();
    assert_eq!(all["requests"].as_array().unwrap().len(), 2);
    assert_eq!(all["next"], Value::Null);
}

#[test]
fn one_request_is_shown_and_decided_about() {
    let double = Double::start(answers);
    let url = double.url();
    let show = headgate(&["requests", "show", ID, "--exchange", "--url", &url]).ends(0);
    assert!(
        show.out.contains("state                unknown") && show.out.contains("  text                 no such card"),
        "{show:#?}"
    );
    for action in ["retry", "cancel"] {
        let done = headgate(&["requests", action, ID, "--url", &url]).ends(0);
        assert_eq!(done.out, "request 42 is waiting\n");
    }
    headgate(&["requests", "resolve", ID, "completed", "--url", &url]).ends(0);
    let asked: Vec<String> = double.asked().into_iter().map(|asked| format!("{} {}", asked.what, asked.body)).collect();
    assert_eq!(asked[0], format!("GET /v1/requests/{ID}?exchange=true "));
    assert_eq!(asked[1], format!("POST /v1/requests/{ID}/retry "));
    assert_eq!(asked[3], format!(r#"POST /v1/requests/{ID}/resolve {{"state":"completed"}}"#));
}

#[test]
fn what_the_gateway_refuses_is_told_with_a_remedy() {
    let double = Double::start(answers);
    let url = double.url();
    let missing = headgate(&["providers", "show", "nobody", "--url", &url]).ends(2);
    assert!(missing.err.contains("error: Not found: there is no such thing"), "{missing:#?}");
    let locked = headgate(&["providers", "show", "secret", "--url", &url]).ends(2);
    assert!(locked.err.contains("An API key is needed") && locked.err.contains("--key or HEADGATE_KEY"), "{locked:#?}");
    let wrong = headgate(&["requests", "--url", "gateway:8480"]).ends(2);
    assert!(wrong.err.contains("is not the URL of a gateway"), "{wrong:#?}");
}

#[test]
fn a_gateway_that_is_not_there_is_told_with_a_remedy() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let ran = headgate(&["providers", "--url", &format!("http://{free}")]).ends(2);
    assert!(ran.err.contains("can not be reached") && ran.err.contains("headgate serve"), "{ran:#?}");
}

#[test]
fn tls_is_trusted_by_its_authority_alone() {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let double = Double::start_tls(answers, &own);
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, own.cert.pem()).unwrap();
    let url = format!("https://localhost:{}", double.port());
    headgate(&["providers", "--url", &url, "--ca", ca.to_str().unwrap()]).ends(0);
    let stranger = headgate(&["providers", "--url", &url]).ends(2);
    assert!(stranger.err.contains("no TLS with") && stranger.err.contains("--ca"), "{stranger:#?}");
    let empty = headgate(&["providers", "--url", &url, "--ca", "/dev/null"]).ends(2);
    assert!(empty.err.contains("holds no certificate"), "{empty:#?}");
    assert_eq!(double.asked().len(), 1);
}

fn line(state: &str) -> String {
    json!({"provider": "alpha", "command": "reset_pin", "smartcard": state}).to_string()
}

#[test]
fn a_file_of_requests_is_sent_and_its_outcomes_counted() {
    let double = Double::start(answers);
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in.ndjson"), directory.path().join("out.ndjson"));
    let lines = [line("completed"), line("completed"), String::new(), "not json".into(), line("rejected")];
    std::fs::write(&input, lines.join("\n")).unwrap();
    let (input, kept) = (input.to_str().unwrap(), output.to_str().unwrap());
    let url = double.url();
    let ran =
        headgate(&["send", input, "--url", &url, "--key", "k", "--idempotency-key", "i", "--output", kept]).ends(1);
    assert_eq!(ran.err, "line 4: The request can not be read: expected value\nline 5: rejected: no such card (E7)\n");
    for row in [
        ["alpha", "reset_pin", "completed", "2"],
        ["alpha", "reset_pin", "rejected", "1"],
        ["-", "-", "not accepted", "1"],
    ] {
        let found = ran.out.lines().any(|line| row.iter().all(|cell| line.contains(cell)));
        assert!(found, "{row:?} is not in {ran:#?}");
    }
    let written = std::fs::read_to_string(output).unwrap();
    assert_eq!(written.lines().count(), 4);
    assert!(written.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let asked = double.asked();
    assert_eq!((asked[0].prefer.as_deref(), asked[0].idempotency.as_deref()), (Some("wait=300"), Some("i")));
}

#[test]
fn lines_and_answers_pass_each_other_one_at_a_time() {
    let double = Double::start(answers);
    let input = format!("{}\n", line("completed")).repeat(200);
    let args = ["send", "--url", &double.url(), "--concurrency", "1", "--json"];
    let summary = headgate_with(&args, input.as_bytes()).ends(0).json();
    assert_eq!(summary["outcomes"][0]["requests"], 200);
    assert_eq!(summary["not_completed"], 0);
}

#[test]
fn with_no_wait_being_accepted_is_enough() {
    let double = Double::start(answers);
    let url = double.url();
    headgate_with(&["send", "--url", &url, "--wait", "0"], line("sent").as_bytes()).ends(0);
    let waited = headgate_with(&["send", "--url", &url, "--wait", "5"], line("sent").as_bytes()).ends(1);
    assert!(waited.err.contains("line 1: still sent"), "{waited:#?}");
    assert_eq!(double.asked()[0].prefer.as_deref(), Some("respond-async"));
}

#[test]
fn a_conversation_that_breaks_off_says_which_lines_have_no_answer() {
    let double = Double::start(answers);
    let input = format!("{}\n{}\n", line("completed"), line("hang_up"));
    let ran = headgate_with(&["send", "--url", &double.url()], input.as_bytes()).ends(2);
    assert!(ran.err.contains("1 lines have no answer (2)") && ran.err.contains("--idempotency-key"), "{ran:#?}");
    let missing = headgate(&["send", "/no/such/file", "--url", &double.url()]).ends(2);
    assert!(missing.err.contains("can not be read"), "{missing:#?}");
}

#[test]
fn subscriptions_are_listed_changed_and_compared() {
    let double = Double::start(answers);
    let run = |arguments: &[&str]| headgate(&[&["subscriptions", "--url", &double.url()], arguments].concat());
    let list = run(&["--out-of-sync", "true"]).ends(0);
    assert!(list.out.contains("alpha: rejected") && list.err.contains("--all"), "{list:#?}");
    let put = run(&["put", "S-1", r#"{"provider":"alpha"}"#]).ends(0);
    assert!(put.out.contains("completed"), "{put:#?}");
    run(&["reset", "S-1"]).ends(0);
    run(&["forget", "S-1"]).ends(0);
    // A request that did not complete, and a platform that differs, decide the exit status.
    run(&["act", "S-1", r#"{"action":"terminate_subscription"}"#]).ends(1);
    let platform = run(&["platform", "S-1"]).ends(1);
    assert!(platform.out.contains("account_missing"), "{platform:#?}");
    let wrong = run(&["act", "S-1", "{'action'}"]).ends(2);
    assert!(wrong.err.contains("not JSON"), "{wrong:#?}");
    let asked = double.asked();
    assert_eq!(
        (asked[1].what.as_str(), asked[1].body.as_str()),
        ("PUT /v1/subscriptions/S-1", r#"{"provider":"alpha"}"#)
    );
    assert_eq!(asked[1].prefer.as_deref(), Some("wait=30"));
}
