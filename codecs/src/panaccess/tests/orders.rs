//! Orders of subscribers.

use serde_json::json;

use super::{LANGUAGES, count, pair};
use crate::test_support::http_pair::HttpPair;

fn ordered(binding: &str) -> HttpPair {
    let mut pair = pair(binding, &json!({"mode": "orders"}));
    pair.submit(101, r#"{"subscription":"S-1","command":"create_subscriber"}"#);
    pair.submit(102, r#"{"subscription":"S-1","command":"add_device","smartcards":["0123456701","0123456702"]}"#);
    assert_eq!(pair.end(102), "completed");
    pair
}

fn services(pair: &HttpPair, card: &str) -> Vec<String> {
    pair.platform.holdings().cards[card].services.keys().cloned().collect()
}

#[test]
fn orders_are_made_once_and_extended() {
    for binding in LANGUAGES {
        let mut pair = ordered(binding);
        let activate = r#"{"subscription":"S-1","command":"activate_services","services":["BASIC","SPORT"],"end":"2027-01-01T00:00:00Z"}"#;
        pair.submit(1, activate);
        assert_eq!(pair.end(1), "completed");
        assert_eq!(pair.outcome(1).reference.as_ref().unwrap().as_str(), "1,2");
        // A repeat finds them.
        pair.submit(2, activate);
        assert_eq!((pair.end(2), count(&pair, "addFlexibleOrderToSubscriber")), ("completed".to_owned(), 2));
        pair.submit(
            3,
            r#"{"subscription":"S-1","command":"activate_services","services":["BASIC"],"end":"2028-01-01T00:00:00Z"}"#,
        );
        assert_eq!(count(&pair, "extendOrderOfSubscriber"), 1);
        let account = &pair.platform.holdings().accounts["S-1"];
        assert_eq!(account.services["11"].end, "2028-01-01T00:00:00Z".parse().ok());
        assert_eq!(services(&pair, "0123456702"), ["11", "12"]);
    }
}

#[test]
fn orders_for_single_cards_leave_the_others_alone() {
    for binding in LANGUAGES {
        let mut pair = ordered(binding);
        pair.submit(
            1,
            r#"{"subscription":"S-1","command":"activate_services","smartcard":"0123456701","services":["BASIC"]}"#,
        );
        assert_eq!((services(&pair, "0123456701"), services(&pair, "0123456702")), (vec!["11".to_owned()], vec![]));
        pair.submit(2, r#"{"subscription":"S-1","command":"activate_services","smartcards":["0123456701","0123456702"],"services":["BASIC"]}"#);
        assert_eq!(count(&pair, "addSmartcardToOrder"), 1);
        assert_eq!(services(&pair, "0123456702"), ["11"]);
        pair.submit(
            3,
            r#"{"subscription":"S-1","command":"deactivate_services","smartcard":"0123456701","services":["BASIC"]}"#,
        );
        assert_eq!((services(&pair, "0123456701").len(), services(&pair, "0123456702").len()), (0, 1));
        pair.submit(
            4,
            r#"{"subscription":"S-1","command":"deactivate_services","smartcard":"0123456702","services":"all"}"#,
        );
        assert_eq!(count(&pair, "terminateOrderOfSubscriber"), 1);
        assert!(services(&pair, "0123456702").is_empty());
        // An order for all cards loses one of them.
        pair.submit(5, r#"{"subscription":"S-1","command":"activate_services","services":["FILM"]}"#);
        pair.submit(
            6,
            r#"{"subscription":"S-1","command":"deactivate_services","smartcard":"0123456701","services":["FILM"]}"#,
        );
        assert_eq!((services(&pair, "0123456701").len(), services(&pair, "0123456702").len()), (0, 1));
        pair.submit(
            7,
            r#"{"subscription":"S-1","command":"activate_services","smartcard":"0123456703","services":["BASIC"]}"#,
        );
        assert!(pair.end(7).starts_with("rejected subscriber_does_not_own_smartcard"), "{}", pair.end(7));
    }
}

#[test]
fn the_whole_list_is_reached_by_what_is_missing_and_too_much() {
    for binding in LANGUAGES {
        let mut pair = ordered(binding);
        pair.submit(1, r#"{"subscription":"S-1","command":"activate_services","services":["BASIC","SPORT"]}"#);
        pair.submit(2, r#"{"subscription":"S-1","command":"set_services","services":["SPORT","FILM"]}"#);
        assert_eq!(pair.end(2), "completed");
        assert_eq!(services(&pair, "0123456701"), ["12", "13"]);
        assert_eq!((count(&pair, "addFlexibleOrderToSubscriber"), count(&pair, "terminateOrderOfSubscriber")), (3, 1));
        pair.submit(3, r#"{"subscription":"S-1","command":"set_services","services":[]}"#);
        assert!(services(&pair, "0123456701").is_empty());
    }
}

#[test]
fn orders_are_suspended_resumed_and_told() {
    for binding in LANGUAGES {
        let mut pair = ordered(binding);
        pair.submit(1, r#"{"subscription":"S-1","command":"activate_services","services":["BASIC","SPORT"],"end":"2027-01-01T00:00:00Z"}"#);
        pair.submit(2, r#"{"subscription":"S-1","command":"suspend","services":["SPORT"]}"#);
        pair.submit(3, r#"{"subscription":"S-1","command":"suspend"}"#);
        assert_eq!(count(&pair, "disableOrderOfSubscriber"), 2);
        pair.submit(4, r#"{"subscription":"S-1","command":"resume","services":["BASIC"]}"#);
        pair.submit(5, r#"{"subscription":"S-1","command":"get_services"}"#);
        let told = r#"completed {"services":[{"account":"S-1","services":[{"code":"BASIC","ca_id":"11","start":"2026-01-15T12:00:00Z","end":"2027-01-01T00:00:00Z"},{"code":"SPORT","ca_id":"12","start":"2026-01-15T12:00:00Z","end":"2027-01-01T00:00:00Z","suspended":true}]}]}"#;
        assert_eq!(pair.end(5).replace(r#","suspended":false"#, ""), told);
    }
}

#[test]
fn the_platform_keeps_its_rules_of_orders() {
    for binding in LANGUAGES {
        let mut pair = ordered(binding);
        for (id, request, code) in [
            (
                1,
                r#""services":["BASIC"],"start":"2026-02-01T00:00:00Z","end":"2026-02-01T12:00:00Z""#,
                "expiring_before_min_run_time",
            ),
            (
                2,
                r#""services":["BASIC"],"start":"2025-02-01T00:00:00Z","end":"2026-02-01T12:00:00Z""#,
                "activation_time_too_far_in_past",
            ),
            (3, r#""services":["FIXED"]"#, "flexible_run_times_not_allowed"),
        ] {
            pair.submit(id, &format!(r#"{{"subscription":"S-1","command":"activate_services",{request}}}"#));
            assert_eq!(pair.end(id), format!("rejected {code}: {code}"));
        }
        pair.submit(4, r#"{"subscription":"S-9","command":"activate_services","services":["BASIC"]}"#);
        assert!(pair.end(4).starts_with("rejected subscriber_does_not_exist"));
        pair.submit(5, r#"{"subscription":"S/9","command":"deactivate_services","services":"all"}"#);
        assert!(pair.end(5).starts_with("rejected not_alpha_numeric"));
        // One of two is refused: the other is done, and that is told.
        pair.submit(6, r#"{"subscription":"S-1","command":"activate_services","services":["BASIC","FIXED"]}"#);
        let headgate_core::outcome::Verdict::Rejected(failure) = &pair.outcome(6).verdict else { panic!() };
        assert_eq!((failure.parts.len(), failure.parts[0].part.as_str()), (1, "900"));
        assert_eq!(services(&pair, "0123456701"), ["11"]);
    }
}

#[test]
fn an_override_lasts_for_days() {
    let mut pair = pair("json", &json!({"mode": "orders", "resume_days": 7}));
    pair.submit(1, r#"{"subscription":"S-1","command":"create_subscriber"}"#);
    pair.submit(2, r#"{"subscription":"S-1","command":"activate_services","services":["BASIC"]}"#);
    pair.submit(3, r#"{"subscription":"S-1","command":"suspend"}"#);
    pair.submit(4, r#"{"subscription":"S-1","command":"resume"}"#);
    assert_eq!(pair.end(4), "completed");
    let form = crate::http::form::parse(&pair.last_call().body);
    assert!(form.iter().any(|(name, value)| name == "until" && value == "2026-01-22 12:00:00"), "{form:?}");
}
