//! What the wire does to HTTP calls: every way in which one can end.

use headgate_core::adapter::{Effect, EffectId};
use headgate_core::failure::Sent;
use headgate_core::http::{CallId, HttpAnswer, HttpCall, HttpError, HttpReply};
use headgate_simulation::wire::{Parcel, Side, Wire, request};

const EFFECT: EffectId = EffectId(7);

/// A wire with a call on its way.
fn calling() -> (Wire, CallId, HttpCall) {
    let mut wire = Wire::new(&[], Vec::new());
    let call = HttpCall { answer_limit: 10, ..HttpCall::post("/x?y", "text/plain", "body") };
    let parcels = wire.carry(Side::Adapter, EFFECT, Effect::Http(call), true);
    match <[_; 1]>::try_from(parcels).unwrap() {
        [(Side::Platform, Parcel::Called(name, call))] => (wire, name, call),
        other => panic!("{other:?}"),
    }
}

/// What is on its way back, which must be one result.
fn result(parcels: Vec<(Side, Parcel)>) -> Result<HttpAnswer, HttpError> {
    match <[_; 1]>::try_from(parcels).unwrap() {
        [(Side::Adapter, Parcel::Answered(_, result))] => result,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_reaches_the_platform_as_it_was_made_and_is_answered_once() {
    let (mut wire, name, call) = calling();
    assert!(wire.is_whole(name));
    let request = request(call);
    assert_eq!((request.target.as_str(), request.header("content-type")), ("/x?y", Some("text/plain")));
    assert_eq!(&request.body[..], b"body");
    let answer = HttpAnswer::new(200, "text/plain", "fine");
    let reply = Effect::Reply(name, HttpReply::Whole(answer.clone()));
    assert_eq!(result(wire.carry(Side::Platform, EffectId(1), reply.clone(), true)), Ok(answer.clone()));
    assert!(wire.delivers(Side::Adapter, &Parcel::Answered(name, Ok(answer.clone()))));
    assert_eq!(wire.end_call(name), Some(EFFECT));
    // A second reply, or the end of patience, finds nobody.
    assert!(!wire.delivers(Side::Adapter, &Parcel::Answered(name, Ok(answer))));
    assert_eq!(wire.end_call(name), None);
    assert!(wire.carry(Side::Platform, EffectId(2), reply, true).is_empty());
}

#[test]
fn replies_that_no_driver_can_use_are_errors() {
    let long = HttpAnswer::new(200, "text/plain", "longer than ten");
    let short = HttpAnswer::new(200, "text/plain", "short");
    for (reply, code) in [
        (HttpReply::Whole(long.clone()), "answer_too_long"),
        (HttpReply::AndClose(long), "answer_too_long"),
        (HttpReply::Cut(short.clone(), 10), "answer_broken"),
        (HttpReply::Cut(short, 1 << 30), "answer_too_long"),
        (HttpReply::Close, "no_answer"),
    ] {
        let (mut wire, name, _) = calling();
        let error = result(wire.carry(Side::Platform, EffectId(1), Effect::Reply(name, reply), true)).unwrap_err();
        assert_eq!((error.code, error.sent), (code, Sent::Maybe));
    }
}

#[test]
fn a_call_that_is_cut_may_have_arrived_and_one_of_a_dead_gateway_is_nobodys() {
    let (mut wire, name, _) = calling();
    let error = result(wire.break_links()).unwrap_err();
    assert_eq!((error.code, error.sent), ("no_answer", Sent::Maybe));
    assert!(!wire.is_whole(name), "whether it still arrives is chance");
    assert!(wire.delivers(Side::Adapter, &Parcel::Answered(name, Err(error))));

    wire.forget_calls();
    assert!(!wire.is_whole(name));
    assert_eq!(wire.end_call(name), None);
    assert!(wire.break_links().is_empty());
}
