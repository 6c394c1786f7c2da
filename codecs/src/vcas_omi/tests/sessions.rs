//! The one session: lost under load, probed, kept alive, refused.

use super::*;

#[test]
fn a_session_lost_under_a_thousand_requests_is_opened_once_and_nothing_is_done_twice() {
    for settings in [
        json!({}),
        json!({ "session_lost_codes": [77] }),
        json!({ "probe_session": false, "session_lost_codes": [77] }),
    ] {
        let mut settings = settings;
        settings["calls"] = json!({ "at_once": 1_000 });
        let mut pair = pair_with(settings, &Stock::default());
        pair.hold = true;
        pair.platform.inject(Fault::LoseSessions).unwrap();
        for id in 1..=1_000 {
            pair.submit_only(id, &format!(r#"{{"command":"refresh_services","smartcard":"C{id}"}}"#));
        }
        pair.settle();
        pair.release();
        assert!((1..=1_000).all(|id| pair.end(id) == "completed"));
        let holdings = pair.platform.holdings();
        assert_eq!(holdings.logins, 2);
        assert_eq!(holdings.cards.len(), 1_000);
        assert!(holdings.cards.values().all(|card| card.refreshes == 1));
        assert!(!pair.log.contains("LinkDown"));
    }
}

#[test]
fn a_code_that_was_learnt_to_mean_a_lost_session_needs_no_probe_again() {
    let mut pair = pair();
    let refresh = r#"{"command":"refresh_services","smartcard":"C1"}"#;
    pair.platform.inject(Fault::LoseSessions).unwrap();
    let probed = "refreshDeviceEntitlements getNetworkList refreshDeviceEntitlements";
    assert_eq!(run(&mut pair, 1, refresh), ("completed".into(), probed.into()));
    pair.platform.inject(Fault::LoseSessions).unwrap();
    let (end, calls) = run(&mut pair, 2, refresh);
    assert_eq!((end.as_str(), calls.as_str()), ("completed", "refreshDeviceEntitlements refreshDeviceEntitlements"));
    // One that was learnt to mean something else is believed.
    let unknown = r#"{"command":"refresh_services","smartcard":"X9"}"#;
    assert_eq!(run(&mut pair, 3, unknown).1, "refreshDeviceEntitlements getNetworkList");
    assert_eq!(
        run(&mut pair, 4, unknown),
        ("rejected 2002: unknown device".into(), "refreshDeviceEntitlements".into())
    );
    // Lost again and again, it is given up without a storm.
    for _ in 0..6 {
        pair.platform.inject(Fault::LoseSessions).unwrap();
    }
    let before = pair.platform.holdings().logins;
    assert_eq!(run(&mut pair, 5, refresh).0, "failed 1002 No");
    assert!(pair.platform.holdings().logins - before <= 3);
}

#[test]
fn codes_that_mean_not_there_are_success_only_where_something_is_removed() {
    let mut pair = pair_with(json!({ "absent_codes": [2002] }), &stock());
    let remove = r#"{"command":"remove_device","smartcard":"X9"}"#;
    assert_eq!(run(&mut pair, 1, remove), ("completed".into(), "removeDevices".into()));
    for (id, command) in [
        (2, r#"{"command":"activate_services","smartcard":"X9","services":["BASIC"]}"#),
        (3, r#"{"command":"get_services","smartcard":"X9"}"#),
        (4, r#"{"command":"reset_pin","smartcard":"X9"}"#),
    ] {
        assert_eq!(run(&mut pair, id, command).0, "rejected 2002: unknown device");
    }
}

#[test]
fn an_idle_session_is_kept_alive_and_a_dead_one_replaced() {
    let mut pair = pair();
    let before = pair.calls.len();
    pair.pass(Duration::from_secs(1_250));
    assert_eq!(operations(&pair, before), "getNetworkList getNetworkList getNetworkList getNetworkList");
    assert_eq!(pair.platform.holdings().logins, 1);
    pair.platform.inject(Fault::LoseSessions).unwrap();
    pair.pass(Duration::from_secs(300));
    assert_eq!(pair.platform.holdings().logins, 2);
    // Without it the session ends, and the next request opens another.
    let mut pair = pair_with(json!({ "keep_alive": "0s" }), &stock());
    pair.pass(Duration::from_mins(20));
    assert_eq!(run(&mut pair, 1, r#"{"command":"reset_pin","smartcard":"C1"}"#).0, "completed");
    assert_eq!(pair.platform.holdings().logins, 2);
    pair.adapter.drain(pair.now);
    pair.settle();
    assert_eq!(operations(&pair, pair.calls.len() - 1), "signOff");
}

#[test]
fn a_refused_login_tells_the_platforms_words() {
    let settings = json!({ "password": "hunter2" });
    let Opened { adapter, .. } = (PROTOCOL.open)(&provider(SERVICES), &settings, 7).unwrap();
    let mut pair = HttpPair::new(adapter, (PROTOCOL.platform)(&json!({}), &stock()).unwrap());
    let down = pair.events.iter().find_map(|event| match event {
        Event::LinkDown(_, failure) => Some(failure.to_string()),
        _ => None,
    });
    assert_eq!(down.as_deref(), Some("user name or password is wrong (1001)"));
    pair.pass(Duration::from_mins(60));
    // Twenty in any five minutes are allowed; waits that double keep it below that.
    assert!(pair.calls.len() < 100, "{}", pair.calls.len());
    assert!(!pair.log.contains("hunter2"));
}
