//! Answers that are none, and platforms that break.

use std::sync::Arc;
use std::time::Duration;

use headgate_core::http::HttpAnswer;
use headgate_core::outcome::Verdict;
use headgate_core::platform::Fault;
use serde_json::json;

use super::{LANGUAGES, pair, settings};
use crate::http::{Begun, Dialogue, End, Step};
use crate::panaccess::dialogue::CableView;
use crate::panaccess::rules::Speech;
use crate::panaccess::settings::Checked;
use crate::panaccess::task::Task;
use crate::test_support::{start, submission};

const REFRESH: &str = r#"{"command":"refresh_services","smartcard":"0123456701"}"#;

#[test]
fn every_way_to_break_ends_the_request_once_and_says_what_may_have_been_done() {
    for binding in LANGUAGES {
        for (fault, end) in [
            (Fault::Garbage, "failed answer_unreadable Maybe"),
            (Fault::HalfFrame, "failed answer_broken Maybe"),
            (Fault::CloseBefore, "failed answer_broken Maybe"),
            (Fault::CloseInstead, "failed answer_broken Maybe"),
            (Fault::CloseAfter, "completed"),
            (Fault::Silence, "failed no_answer Maybe"),
            (Fault::Delay(5_000), "completed"),
            (Fault::Throttle, "failed slow_down No"),
            (Fault::UnknownCard, "rejected not_a_smartcard: not_a_smartcard"),
            (Fault::ServerError, "failed server_error Maybe"),
            (Fault::Oversized, "failed answer_too_long Maybe"),
        ] {
            let mut pair = pair(binding, &json!({}));
            pair.platform.inject(fault).unwrap();
            pair.submit(1, REFRESH);
            pair.pass(Duration::from_secs(60));
            assert_eq!(pair.end(1), end, "{binding} {fault:?}");
            pair.submit(2, REFRESH);
            assert_eq!(pair.end(2), "completed", "after {fault:?}");
        }
        let mut pair = pair(binding, &json!({}));
        assert_eq!(pair.platform.inject(Fault::DuplicateAnswer), Err(Fault::DuplicateAnswer));
        pair.submit(1, r#"{"command":"activate_services","smartcard":"0999999999","services":["BASIC"]}"#);
        assert_eq!(pair.end(1), "rejected not_a_smartcard: not_a_smartcard");
    }
}

/// What an answer to `get_device` leads to.
fn read(binding: &str, answer: &HttpAnswer) -> Step {
    let speech = Speech::new(Checked::read(&settings(binding, &json!({}))).unwrap(), super::no_services());
    let mut dialogue = CableView::new(Arc::new(speech));
    let request = submission(1, r#"{"command":"get_device","smartcard":"0123456701"}"#).request;
    let Begun::Task(mut task): Begun<Task> = dialogue.begin(start(), &request).unwrap() else { panic!() };
    dialogue.call(start(), Some(&CableView::example_session()), &task).unwrap();
    dialogue.read(start(), &mut task, answer)
}

fn failure(step: Step) -> String {
    match step {
        Step::End(End { verdict: Verdict::Failed(failure), .. }) => format!("{} {:?}", failure.text, failure.sent),
        Step::End(End { verdict: Verdict::Rejected(failure), .. }) => format!("refused {failure}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn json_that_is_no_answer_is_told_apart() {
    let deep = format!(r#"{{"success":true,"answer":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    for (status, body, words) in [
        (200, &b"<html><body>Bad gateway</body></html>"[..], "it is not JSON"),
        (200, b"{\"success\":true,\"answer\":{", "ends too early"),
        (200, b"{\"answer\":1}", "not of the expected form"),
        (200, b"{\"success\":\"yes\"}", "not of the expected form"),
        (200, b"{\"success\":true,\"answer\":\"\xff\"}", "it is not JSON"),
        (200, b"{\"success\":true,\"success\":false}", "not of the expected form"),
        (200, b"{\"success\":true,\"answer\":{\"sn\":\"1\",\"sn\":\"2\"}}", "not of the expected form"),
        (200, deep.as_bytes(), "it is not JSON"),
        (200, b"{\"success\":true,\"answer\":[1,2]}", "a list where a record was expected"),
        (
            200,
            b"{\"success\":true,\"answer\":{\"sn\":\"0123456701\",\"disabled\":\"perhaps\"}}",
            "disabled: a text where true or false",
        ),
        (200, b"{\"success\":true}", "nothing where a record was expected"),
        (200, b"", "ends too early"),
        (404, b"{\"success\":true}", "only status 200"),
        (503, b"", "an error of its own (HTTP 503)"),
        (401, b"", "does not accept our credentials"),
    ] {
        let told = failure(read("json", &HttpAnswer::new(status, "application/json", body.to_vec())));
        assert!(told.contains(words), "{}: {told}", String::from_utf8_lossy(&body[..body.len().min(60)]));
        assert!(!told.contains("0123456701") && !told.contains("perhaps"), "{told}");
    }
    let refused = HttpAnswer::new(
        200,
        "application/json",
        r#"{"success":false,"errorCode":"not_a_smartcard","errorTag":"txt_x","errorMessage":"localised text"}"#,
    );
    assert_eq!(failure(read("json", &refused)), "refused localised text (not_a_smartcard)");
    let nameless = HttpAnswer::new(200, "application/json", r#"{"success":false}"#);
    assert_eq!(failure(read("json", &nameless)), "refused refused (refused)");
    let ours = HttpAnswer::new(200, "application/json", r#"{"success":false,"errorCode":"unknown_error_serverside"}"#);
    assert_eq!(failure(read("json", &ours)), "unknown_error_serverside Maybe");
}

#[test]
fn xml_that_is_no_answer_is_told_apart() {
    const NS: &str = "https://cv.panaccess.com/wsdl/v4.0/operator";
    let envelope = |body: &str| {
        format!(
            "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' xmlns:c='http://schemas.xmlsoap.org/soap/encoding/' xmlns:i='http://www.w3.org/2001/XMLSchema-instance' xmlns:p='{NS}'><e:Body>{body}</e:Body></e:Envelope>"
        )
    };
    let response =
        |inner: &str| envelope(&format!("<p:cvGetSmartcardInfoResponse>{inner}</p:cvGetSmartcardInfoResponse>"));
    // Each refers ten times to the next: a billion values out of a few lines.
    let bomb: String = (0..12)
        .map(|n| format!("<m id='i{n}' c:arrayType='x[10]'>{}</m>", format!("<a href='#i{}'/>", n + 1).repeat(10)))
        .collect();
    let bomb = envelope(&format!(
        "<p:cvGetSmartcardInfoResponse><return href='#i0'/></p:cvGetSmartcardInfoResponse>{bomb}<m id='i12'/>"
    ));
    let deep = response(&format!("<return>{}{}</return>", "<a>".repeat(10_000), "</a>".repeat(10_000)));
    for (status, body, words) in [
        (200, "<html><body>502</body></html>".to_owned(), "not a SOAP 1.1 envelope"),
        (200, "<html><br></html>".to_owned(), "not well formed"),
        (200, response("<return>")[..200].to_owned(), "the document ends within a tag"),
        (200, format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", response("")), "DOCTYPE is refused"),
        (
            200,
            envelope("<cvGetSmartcardInfoResponse/>"),
            "it is not <cvGetSmartcardInfoResponse> in the namespace of version 4.0",
        ),
        (200, envelope("<p:cvRefreshSmartcardResponse/>"), "it is not <cvGetSmartcardInfoResponse>"),
        (200, response("<return/><return/>"), "several <return>"),
        (200, response("<return><sn>1</sn><sn>2</sn></return>"), "several <sn>"),
        (200, response("<return href='#no'/>"), "leads nowhere"),
        (200, response("<return href='http://elsewhere/'/>"), "leads out of the document"),
        (
            200,
            envelope(
                "<p:cvGetSmartcardInfoResponse><return href='#a'/></p:cvGetSmartcardInfoResponse><m id='a' href='#b'/><m id='b' href='#a'/>",
            ),
            "leads to itself",
        ),
        (200, envelope("<p:cvGetSmartcardInfoResponse/><m id='a'/><m id='a'/>"), "the same id"),
        (200, bomb, "more than 1000000 values"),
        (200, deep, "more than 64 levels"),
        (
            200,
            response("<return i:type='p:x'><sn>0123456701</sn><disabled i:type='boolean'>perhaps</disabled></return>"),
            "<disabled> is neither true nor false",
        ),
        (200, response(""), "nothing where a record was expected"),
        (500, "<html/>".to_owned(), "an error of its own (HTTP 500)"),
        (404, response("<return/>"), "no answer by its status"),
        (403, String::new(), "does not accept our credentials"),
    ] {
        let told = failure(read("soap", &HttpAnswer::new(status, "text/xml", body.clone())));
        assert!(told.contains(words), "{}: {told}", &body[..body.len().min(200)]);
        assert!(!told.contains("0123456701") && !told.contains("perhaps"), "{told}");
    }
    let invalid = HttpAnswer::new(200, "text/xml", &b"<a>\xff</a>"[..]);
    assert!(failure(read("soap", &invalid)).contains("not UTF-8"));
    for (code, string, told) in [
        ("not_a_smartcard", "No such card", "refused No such card (not_a_smartcard)"),
        ("e:Server", "not_a_smartcard: no such card", "refused not_a_smartcard: no such card (not_a_smartcard)"),
        ("e:Server.not_a_smartcard", "No such card", "refused No such card (not_a_smartcard)"),
        ("e:Server", "Something", "refused Something (Server)"),
    ] {
        let fault =
            envelope(&format!("<e:Fault><faultcode>{code}</faultcode><faultstring>{string}</faultstring></e:Fault>"));
        assert_eq!(failure(read("soap", &HttpAnswer::new(500, "text/xml", fault))), told);
    }
}
