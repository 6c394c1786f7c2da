use std::time::Duration;

use headgate_core::adapter::Adapter;
use headgate_core::failure::{Blame, Retry, Sent};
use headgate_core::outcome::Verdict;
use headgate_core::platform::{Fault, Platform};
use headgate_core::table::{TableAnswer, TableError};
use serde_json::json;

use super::world::{Failing, World};

const ACTIVATE: &str =
    r#"{"command":"activate_services","subscription":"S1","smartcards":["1","2"],"services":["GOLD","SPORT"]}"#;
const MAIL: &str = r#"{"command":"send_message","smartcard":"1","message":{"kind":"mail","text":"HELLO"}}"#;

fn world() -> World {
    World::new(json!({}), &["1", "2"])
}

#[test]
fn services_are_switched_on_and_off_card_by_card() {
    let mut world = world();
    let on = world.submit(ACTIVATE);
    world.finish();
    world.completed(on);
    assert_eq!([world.services("1"), world.services("2")], ["41 42", "41 42"]);
    assert_eq!(world.rows(), 4);
    let off =
        world.submit(r#"{"command":"deactivate_services","subscription":"S1","smartcard":"2","services":["GOLD"]}"#);
    world.finish();
    world.completed(off);
    assert_eq!([world.services("1"), world.services("2")], ["41 42", "42"]);
    let outcome = &world.outcomes[&on];
    assert_eq!(outcome.reference.as_ref().unwrap().as_str(), "CAS-000001,CAS-000002,CAS-000003,CAS-000004");
    let request = String::from_utf8(outcome.exchange.request.to_vec()).unwrap();
    assert_eq!(request.lines().count(), 4);
    assert!(
        request.contains(r#""command":"ADD_SUBSCRIPTION""#) && request.contains(r#""card_ca_id":"1""#),
        "{request}"
    );
    assert!(String::from_utf8_lossy(&outcome.exchange.response).contains(r#""state":"OK""#));
}

#[test]
fn everything_else_is_carried_out_too() {
    let mut world = world();
    let ids = [
        r#"{"command":"pair","smartcard":"1","stb":"B7"}"#,
        r#"{"command":"refresh_services","subscription":"S1","smartcards":["1","2"]}"#,
        r#"{"command":"fingerprint","smartcard":"2","duration_seconds":10}"#,
        MAIL,
        r#"{"command":"send_message","smartcard":"2","message":{"kind":"repeating_bark","text":"PAY","duration_seconds":5,"repeat_count":3,"repeat_interval_seconds":10}}"#,
        r#"{"command":"send_message","message":{"kind":"mail","text":"ALL","to":"everybody"}}"#,
        r#"{"command":"test_connection"}"#,
    ]
    .map(|json| world.submit(json));
    world.finish();
    ids.into_iter().for_each(|id| world.completed(id));
    let cards = &world.platform.holdings().cards;
    assert_eq!(cards["1"].stbs.iter().collect::<Vec<_>>(), ["B7"]);
    assert_eq!((cards["1"].refreshes, cards["2"].refreshes, cards["2"].fingerprints), (1, 1, 1));
    assert_eq!((cards["1"].messages.join(" "), cards["2"].messages.join(" ")), ("HELLO ALL".into(), "PAY ALL".into()));
    let unpair = world.submit(r#"{"command":"unpair","smartcard":"1"}"#);
    world.finish();
    world.completed(unpair);
    assert!(world.platform.holdings().cards["1"].stbs.is_empty());
}

#[test]
fn a_refusal_names_the_parts_if_others_were_done() {
    let mut world = world();
    let some = world
        .submit(r#"{"command":"activate_services","subscription":"S1","smartcards":["1","9"],"services":["GOLD"]}"#);
    let none = world
        .submit(r#"{"command":"activate_services","subscription":"S2","smartcard":"9","services":["GOLD","KIDS"]}"#);
    world.finish();
    let Verdict::Rejected(failure) = world.verdict(some) else { panic!() };
    assert_eq!((failure.code.as_ref(), failure.parts.len(), failure.parts[0].part.as_str()), ("E201", 1, "9"));
    assert_eq!(failure.text, "1 of 2 were refused, the others done; the first: unknown smartcard");
    let Verdict::Rejected(failure) = world.verdict(none) else { panic!() };
    assert_eq!((failure.code.as_ref(), failure.text.as_str(), failure.parts.len()), ("E201", "unknown smartcard", 0));
}

#[test]
fn what_gathers_while_the_database_is_busy_goes_in_one_transaction() {
    let mut world = World::new(json!({ "inserts": 1 }), &["1"]);
    let ids = [(); 30].map(|()| world.submit(MAIL));
    world.finish();
    ids.into_iter().for_each(|id| world.completed(id));
    let inserts: Vec<_> = world.log.iter().filter(|line| line.contains("Insert")).collect();
    assert_eq!(inserts, ["Table(Insert(tqueue, 30 rows))"]);
}

#[test]
fn only_open_entries_are_asked_for_after_waits_that_grow() {
    let mut world = world();
    world.platform_asleep = true;
    let waits = world.submit(MAIL);
    world.pass(Duration::from_secs(60));
    let polls = |world: &World| world.log.iter().filter(|line| line.contains("none of")).count();
    // 200 ms, doubled to 15 s: at 0.2, 0.6, 1.4, 3, 6.2, 12.6, 25.4, 40.4, 55.4.
    assert_eq!(polls(&world), 9);
    world.platform_asleep = false;
    world.finish();
    world.completed(waits);
    let before = polls(&world);
    world.pass(Duration::from_secs(600));
    assert_eq!(polls(&world), before);
}

#[test]
fn a_lost_answer_is_no_second_message() {
    for failing in [Failing::Lost, Failing::Maybe, Failing::KilledBefore, Failing::KilledAfter] {
        // Whichever of the calls it is: putting in, the first look, the answer's poll.
        for calls_before in 0..3 {
            let mut world = world();
            world.failures = vec![Failing::Not; calls_before].into();
            world.failures.push_back(failing);
            let ids = [world.submit(MAIL), world.submit(ACTIVATE)];
            world.finish();
            ids.into_iter().for_each(|id| world.completed(id));
            let messages = &world.platform.holdings().cards["1"].messages;
            assert_eq!((messages.len(), world.rows()), (1, 5), "{failing:?} at {calls_before}: {:#?}", world.log);
        }
    }
}

#[test]
fn what_was_not_sent_is_handed_back_and_the_link_is_told() {
    let mut world = world();
    world.tables.set_down(true);
    let id = world.submit(MAIL);
    world.pass(Duration::from_secs(1));
    let failure = world.failed(id);
    assert_eq!((failure.sent, failure.retry), (Sent::No, Retry::Later(None)));
    assert_eq!(world.adapter.capacity(), 0);
    world.tables.set_down(false);
    world.pass(Duration::from_secs(5));
    assert!(world.adapter.capacity() > 0);
    let links: Vec<_> = world.log.iter().filter(|line| line.starts_with("Link")).map(|line| &line[..6]).collect();
    assert_eq!(links, ["LinkUp", "LinkDo", "LinkUp"]);
}

#[test]
fn one_row_that_can_not_be_written_does_not_stop_the_others() {
    let mut world = World::new(json!({ "inserts": 1 }), &["1"]);
    let ids = [(); 3].map(|()| world.submit(MAIL));
    let unwritable = Failing::With(TableError::UNWRITABLE);
    world.failures = [unwritable, Failing::Not, unwritable, Failing::Not].into();
    world.finish();
    world.completed(ids[0]);
    world.completed(ids[2]);
    let failure = world.failed(ids[1]);
    assert_eq!((failure.blame, failure.sent, failure.retry), (Blame::Crm, Sent::No, Retry::Never));
    assert_eq!(world.rows(), 2);
}

#[test]
fn an_id_that_is_taken_is_replaced() {
    let mut world = world();
    world.failures = [Failing::With(TableError::CONFLICT)].into();
    let id = world.submit(MAIL);
    world.finish();
    world.completed(id);
    assert_eq!(world.log.iter().filter(|line| line.starts_with("Record")).count(), 2);
    let mut world = self::world();
    world.failures = [Failing::With(TableError::CONFLICT); 4].into();
    let id = world.submit(MAIL);
    world.finish();
    assert_eq!((world.failed(id).blame, world.failed(id).sent), (Blame::Gateway, Sent::No));
}

#[test]
fn faults_of_the_platform_end_as_they_should() {
    for (fault, completes) in [
        (Fault::Delay(60_000), true),
        (Fault::DuplicateAnswer, true),
        (Fault::HalfFrame, true),
        (Fault::Silence, false),
        (Fault::Garbage, false),
    ] {
        let mut world = world();
        world.platform.inject(fault).unwrap();
        let id = world.submit(MAIL);
        let next = world.submit(MAIL);
        world.finish();
        world.completed(next);
        if completes {
            world.completed(id);
        } else {
            let failure = world.failed(id);
            assert_eq!((failure.code.as_ref(), failure.sent), ("no_answer", Sent::Maybe), "{fault:?}");
        }
        let noise = world.log.iter().filter(|line| line.contains("Noise")).count();
        assert_eq!(noise, usize::from(fault == Fault::Garbage));
    }
}

#[test]
fn entries_that_the_platform_took_away_are_told() {
    let mut world = world();
    world.platform.inject(Fault::Silence).unwrap();
    let id = world.submit(MAIL);
    world.pass(Duration::from_secs(60));
    world.tables.purge(&World::table());
    world.finish();
    let failure = world.failed(id);
    assert_eq!((failure.code.as_ref(), failure.sent), ("entry_gone", Sent::Maybe));
}

#[test]
fn where_rows_are_purged_a_message_is_not_put_in_again_after_a_restart() {
    for (purges, rows) in [(false, 1), (true, 0)] {
        let profile = super::super::profile::SHIPPED
            .replace("name = \"headgate", &format!("purges = {purges}\nname = \"headgate"));
        let profile: serde_json::Value = toml::from_str(&profile).unwrap();
        let mut world = World::new(json!({ "profile": profile }), &["1"]);
        world.failures = [Failing::KilledBefore].into();
        let id = world.submit(MAIL);
        world.finish();
        assert_eq!(world.rows(), rows);
        if purges {
            assert_eq!(world.failed(id).code, "entry_gone");
        } else {
            world.completed(id);
        }
    }
}

/// A profile whose database tells when entries were processed.
fn telling() -> serde_json::Value {
    let profile = super::super::profile::SHIPPED.replace("name = \"headgate", "channel = \"done\"\nname = \"headgate");
    let profile: serde_json::Value = toml::from_str(&profile).unwrap();
    json!({ "profile": profile, "poll_interval": "10m", "longest_poll_interval": "10m" })
}

#[test]
fn where_the_database_tells_entries_are_asked_for_at_once() {
    let mut world = World::new(telling(), &["1"]);
    let id = world.submit(MAIL);
    world.platform.handle_input(world.now, headgate_core::adapter::Input::Start);
    world.pump();
    assert!(world.outcomes.is_empty());
    world.tell(Ok(TableAnswer::Notified));
    world.completed(id);
    // The connection that waits breaks: it is asked again after a while, and nothing is lost meanwhile.
    world.tell(Err(TableError::not_done(TableError::CONNECTION_LOST, "reset")));
    assert!(world.watching.is_none());
    let id = world.submit(MAIL);
    world.pass(Duration::from_secs(61));
    assert!(world.watching.is_some());
    world.finish();
    world.completed(id);
}

#[test]
fn a_database_that_can_not_tell_is_asked() {
    let mut world = World::new(telling(), &["1"]);
    world.tell(Err(TableError::not_done(TableError::UNSUPPORTED, "not this one")));
    assert_eq!(world.log.iter().filter(|line| line.contains("Noise")).count(), 1);
    let id = world.submit(MAIL);
    world.finish();
    world.completed(id);
    assert!(world.watching.is_none());
}

#[test]
fn a_submission_beyond_the_capacity_is_not_sent() {
    let mut world = World::new(json!({ "max_requests": 2 }), &["1"]);
    world.platform_asleep = true;
    assert_eq!(world.adapter.capacity(), 2);
    let ids = [(); 3].map(|()| world.submit(MAIL));
    world.pump();
    assert_eq!((world.failed(ids[2]).sent, world.adapter.capacity()), (Sent::No, 0));
    world.platform_asleep = false;
    world.finish();
    world.completed(ids[0]);
}
