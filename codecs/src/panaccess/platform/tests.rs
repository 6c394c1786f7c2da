//! The platform by itself: what both languages see of it.

use std::time::Duration;

use headgate_core::http::HttpRequest;
use serde_json::json;

use super::super::tests::settings;
use super::super::wire::{Binding, LOGGED_IN};
use super::*;

fn platform(binding: &str) -> (SimulatedCableView, Now) {
    let checked = Checked::read(&settings(binding, &json!({}))).unwrap();
    (SimulatedCableView::new(checked, &Stock::default()), crate::test_support::start())
}

fn ask(platform: &mut SimulatedCableView, now: Now, call: &Call) -> Reply {
    let written = platform.checked.binding.write_call(call, false).unwrap();
    let headers = written.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
    let request = HttpRequest { method: written.method, target: written.target, headers, body: written.body };
    assert_eq!(platform.is_login(&request), call.function == FUNCTION);
    let answer = platform.answer(now, &request, None);
    platform.checked.binding.read_reply(&call.function, &answer).unwrap()
}

fn log_in(platform: &mut SimulatedCableView, now: Now, password: &str) -> Reply {
    let hashed = login::digest(password, "_panaccess");
    let fields = match platform.checked.binding {
        Binding::Json(_) => vec![("username", "op"), ("password", &*hashed), ("apiToken", "AbCdEfGhIjKlMnOpQrSt")],
        Binding::Soap(_) => vec![("login", "op"), ("password", password)],
    };
    let parameters = fields.into_iter().map(|(name, text)| (name.into(), Value::Text(text.into()))).collect();
    ask(platform, now, &Call { function: FUNCTION.into(), parameters, ..Call::default() })
}

#[test]
fn sessions_end_when_nobody_uses_them() {
    for binding in super::super::tests::LANGUAGES {
        let (mut platform, now) = platform(binding);
        assert_eq!(log_in(&mut platform, now, "wrong").unwrap_err().code, "access_denied");
        let Ok(Value::Text(id)) = log_in(&mut platform, now, "op-pass") else { panic!() };
        let later = crate::test_support::later(now, SESSION_LIFE - Duration::from_secs(1));
        assert_eq!(ask(&mut platform, later, &Call::new(&LOGGED_IN, &id)), Ok(Value::Bool(true)));
        let later = crate::test_support::later(later, SESSION_LIFE);
        assert_eq!(ask(&mut platform, later, &Call::new(&LOGGED_IN, &id)), Ok(Value::Bool(false)));
        let refresh = Operation::RefreshSmartcard { smartcard_id: "0123456701".into() };
        assert_eq!(ask(&mut platform, later, &Call::new(&refresh, &id)).unwrap_err().code, "no_access_to_function");
    }
}

#[test]
fn logins_are_limited() {
    let (mut platform, now) = platform("json");
    for _ in 0..LOGINS {
        assert!(log_in(&mut platform, now, "op-pass").is_ok());
    }
    assert!(log_in(&mut platform, now, "op-pass").unwrap_err().text.contains("too many"));
    assert!(log_in(&mut platform, crate::test_support::later(now, LOGIN_WINDOW), "op-pass").is_ok());
}

#[test]
fn the_unstable_set_is_called_as_such() {
    let (mut platform, now) = platform("soap");
    let Ok(Value::Text(id)) = log_in(&mut platform, now, "op-pass") else { panic!() };
    let pair = Operation::PairSmartcard { smartcard_id: "0123456701".into(), stb_id: "00A1B2C3D4E5F601".into() };
    let call = Call::new(&pair, &id);
    assert!(ask(&mut platform, now, &call).is_ok());
    let stable = Call { unstable: false, ..call };
    assert_eq!(ask(&mut platform, now, &stable).unwrap_err().code, "function_not_available");
    let cycle = |cycle_id| Operation::SendOsm {
        target_type: "osm_sn".into(),
        target_id: Some("0123456701".into()),
        delay: None,
        text: "x".into(),
        cycle_time: Some(1),
        cycle_id: Some(cycle_id),
    };
    assert!(ask(&mut platform, now, &Call::new(&cycle(7), &id)).is_ok());
    let refused = ask(&mut platform, now, &Call::new(&cycle(8), &id)).unwrap_err();
    assert_eq!(refused.code, "global_cycle_id_used_for_single_address");
    let long = Operation::EnableOrderOfSubscriber {
        order_id: 1,
        subscriber_code: "0123456701".into(),
        until: Some(now.wall_after(Duration::from_hours(8 * 24))),
    };
    let add = Operation::AddProductToSmartcards {
        smartcards: vec!["0123456701".into()],
        product_id: 11,
        hc_id: None,
        expiry_time: None,
    };
    assert!(ask(&mut platform, now, &Call::new(&add, &id)).is_ok());
    assert_eq!(ask(&mut platform, now, &Call::new(&long, &id)).unwrap_err().code, "enable_until_to_far_in_future");
    let many = Operation::CleanSmartcards { smartcards: vec!["0123456701".into(); 101] };
    assert_eq!(ask(&mut platform, now, &Call::new(&many, &id)).unwrap_err().code, "too_many_smartcards");
    let delete = Operation::DeleteSubscriber { code: "0123456701".into() };
    assert_eq!(ask(&mut platform, now, &Call::new(&delete, &id)).unwrap_err().code, "subscriber_has_smartcards");
    let unknown = Call::other("cvMakeCoffee", &[], &id);
    assert_eq!(ask(&mut platform, now, &unknown).unwrap_err().code, "function_not_available");
}
