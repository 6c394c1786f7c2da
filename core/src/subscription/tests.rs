//! What bodies and actions make of a subscription, and what outcomes make of the belief about a platform.

use super::*;
use crate::body::{Refusal, RequestBody};
use crate::failure::{FailedPart, Failure};
use crate::outcome::{Answer, HeldService, HeldServices, Verdict};
use crate::text::CaId;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-24T12:00:00Z")
}

fn put(json: &str) -> Result<Subscription, Refusal> {
    let body: SubscriptionBody = serde_json::from_str(json).unwrap();
    body.subscription(SubscriptionNumber::new("S1").unwrap(), now())
}

fn act(subscription: &Subscription, json: &str) -> Result<Subscription, Refusal> {
    subscription.post(&serde_json::from_str(json).unwrap(), now())
}

fn code(code: &str) -> ServiceCode {
    ServiceCode::new(code).unwrap()
}

fn state_of(subscription: &Subscription, service: &str) -> ServiceState {
    subscription.services.iter().find(|other| other.code.as_str() == service).unwrap().state
}

#[test]
fn a_simple_subscription_is_easy_to_write() {
    let subscription = put(r#"{"provider":"p","services":["A"],"smartcard":"1","stb":"7","account":"ACC"}"#).unwrap();
    assert_eq!(subscription.distributors.len(), 1);
    assert_eq!(subscription.devices.len(), 2);
    assert_eq!(subscription.state, SubscriptionState::Effective);
    assert_eq!(subscription.created, now());
    let provider = ProviderName::new("p").unwrap();
    assert_eq!(subscription.accounts.get(&provider).map(AccountNumber::as_str), Some("ACC"));
    // What is shown can be put again, and is stored as it is.
    let body = SubscriptionBody::from(&subscription);
    let json = serde_json::to_string(&body).unwrap();
    assert_eq!(put(&json).unwrap(), subscription);
    let json = serde_json::to_string(&subscription).unwrap();
    assert_eq!(serde_json::from_str::<Subscription>(&json).unwrap(), subscription);
}

#[test]
fn a_body_is_refused_by_the_field_at_fault() {
    let two = r#""distributors":{"x":"p","y":"q"}"#;
    for (json, field) in [
        (r#"{"services":["A"]}"#.to_owned(), "provider"),
        (format!(r#"{{"provider":"p",{two}}}"#), "provider"),
        (format!(r#"{{{two},"services":["A"]}}"#), "services/0/distributor"),
        (format!(r#"{{{two},"services":[{{"code":"A","distributor":"z"}}]}}"#), "services/0/distributor"),
        (format!(r#"{{{two},"smartcard":"1"}}"#), "smartcard/distributor"),
        (format!(r#"{{{two},"account":"1"}}"#), "account"),
        (format!(r#"{{{two},"accounts":{{"r":"1"}}}}"#), "accounts/r"),
        (r#"{"provider":"p","services":["A","A"]}"#.into(), "services/1"),
        (r#"{"provider":"p","smartcard":"1","devices":[{"serial":"1"}]}"#.into(), "devices/0"),
        (r#"{"provider":"p","until":"2027-01-01T00:00:00Z"}"#.into(), "until"),
        (r#"{"provider":"p","subscriber":{"pin":"x"}}"#.into(), "subscriber/pin"),
        (
            r#"{"provider":"p","services":[{"code":"A","start":"2027-01-02T00:00:00Z","end":"2027-01-01T00:00:00Z"}]}"#
                .into(),
            "services/0/end",
        ),
    ] {
        assert_eq!(put(&json).unwrap_err().field, field, "{json}");
    }
    for unknown in [r#"{"provider":"p","srevices":[]}"#, r#"{"provider":"p","services":[{"code":"A","stat":"draft"}]}"#]
    {
        let error = serde_json::from_str::<SubscriptionBody>(unknown).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
}

/// Which subscription actions are allowed in which state, and what comes of them.
#[test]
fn the_states_of_a_life() {
    use SubscriptionState as S;
    let states = [
        S::Draft,
        S::Effective,
        S::NotEffective,
        S::InResting,
        S::ShortTermEffective,
        S::ShortTermNotEffective,
        S::Terminated,
    ];
    let actions = [
        ("become_subscriber", vec![(S::Draft, S::Effective)]),
        (
            "activate_subscription",
            vec![(S::Draft, S::Effective), (S::NotEffective, S::Effective), (S::ShortTermEffective, S::Effective)],
        ),
        (
            "deactivate_subscription",
            [S::Effective, S::InResting, S::ShortTermEffective, S::ShortTermNotEffective]
                .map(|from| (from, S::NotEffective))
                .to_vec(),
        ),
        ("rest_subscription", vec![(S::Effective, S::InResting)]),
        ("end_subscription_resting", vec![(S::InResting, S::Effective)]),
        ("short_term_activation", vec![(S::NotEffective, S::ShortTermEffective)]),
        ("end_short_term_activation", vec![(S::ShortTermEffective, S::NotEffective)]),
        ("short_term_deactivation", vec![(S::Effective, S::ShortTermNotEffective)]),
        ("end_short_term_deactivation", vec![(S::ShortTermNotEffective, S::Effective)]),
        ("terminate_subscription", states[..6].iter().map(|from| (*from, S::Terminated)).collect()),
        ("extend_grace_period", states[..6].iter().map(|from| (*from, *from)).collect()),
    ];
    for (name, allowed) in actions {
        for from in states {
            let mut subscription = put(r#"{"provider":"p"}"#).unwrap();
            subscription.state = from;
            let result = act(&subscription, &format!(r#"{{"action":"{name}"}}"#));
            match allowed.iter().find(|(allowed, _)| *allowed == from) {
                Some((_, to)) => assert_eq!(result.unwrap().state, *to, "{name} from {from}"),
                None => assert_eq!(result.unwrap_err().code, "wrong_state", "{name} from {from}"),
            }
        }
    }
    let mut terminated = put(r#"{"provider":"p"}"#).unwrap();
    terminated.state = S::Terminated;
    let refusal = act(&terminated, r#"{"action":"rest_subscription"}"#).unwrap_err();
    assert!(refusal.detail.contains("terminated"), "{refusal}");
}

#[test]
fn services_come_go_and_come_back() {
    let subscription = put(r#"{"provider":"p","services":["A"]}"#).unwrap();
    let swapped = act(&subscription, r#"{"action":"swap_service","service":"A","replacement":"B"}"#).unwrap();
    assert_eq!([state_of(&swapped, "A"), state_of(&swapped, "B")], [ServiceState::Swapped, ServiceState::Effective]);
    let regretted = act(&swapped, r#"{"action":"regret_service","service":"B"}"#).unwrap();
    assert_eq!(
        [state_of(&regretted, "A"), state_of(&regretted, "B")],
        [ServiceState::Effective, ServiceState::Regretted]
    );
    let stopped = act(&subscription, r#"{"action":"stop_service","service":"A"}"#).unwrap();
    assert_eq!(state_of(&stopped, "A"), ServiceState::NotEffective);
    assert_eq!(
        state_of(&act(&stopped, r#"{"action":"start_service","service":"A"}"#).unwrap(), "A"),
        ServiceState::Effective
    );
    let removed = act(&subscription, r#"{"action":"remove_service","service":"A"}"#).unwrap();
    assert_eq!(act(&removed, r#"{"action":"cancel_service","service":"A"}"#).unwrap_err().code, "unknown_service");
    let again = act(&removed, r#"{"action":"add_service","service":"A"}"#).unwrap();
    assert_eq!(again, subscription);
    let undone = act(&subscription, r#"{"action":"undo_add_service","service":"A"}"#).unwrap();
    assert_eq!(undone.services, []);
    let package = r#"{"action":"swap_package","remove":[{"service":"A"}],"add":["B","C"]}"#;
    assert_eq!(act(&subscription, package).unwrap().services.len(), 3);
    assert_eq!(act(&undone, package).unwrap_err().field, "remove/0");
}

#[test]
fn a_service_at_several_viewing_points_must_be_told_apart() {
    let json = r#"{"distributors":{"x":"p","y":"p"},"services":[{"code":"A","distributor":"x"},{"code":"A","distributor":"y"}]}"#;
    let subscription = put(json).unwrap();
    let refusal = act(&subscription, r#"{"action":"stop_service","service":"A"}"#).unwrap_err();
    assert_eq!(refusal.field, "service/distributor");
    let moved = r#"{"action":"change_subscription_distribution","services":[{"service":"A","from":"x","to":"y"}]}"#;
    assert_eq!(act(&subscription, moved).unwrap_err().code, "duplicate");
    let removed = act(&subscription, r#"{"action":"remove_service","service":"A","distributor":"y"}"#).unwrap();
    let moved = act(&removed, moved).unwrap();
    assert_eq!(moved.services.len(), 1);
    assert_eq!(moved.services[0].distributor.as_str(), "y");
}

#[test]
fn devices_come_go_and_are_swapped() {
    let subscription = put(r#"{"provider":"p","smartcard":"1"}"#).unwrap();
    let swapped = act(&subscription, r#"{"action":"swap_installed_item","serial":"1","replacement":"2"}"#).unwrap();
    assert_eq!(swapped.devices[0].replaces, Some(Serial::new("1").unwrap()));
    let refusal = act(&swapped, r#"{"action":"remove_installed_item","serial":"1"}"#).unwrap_err();
    assert_eq!((refusal.field.as_ref(), refusal.code), ("serial", "unknown_device"));
    assert_eq!(
        act(&swapped, r#"{"action":"add_installed_item","device":{"serial":"2"}}"#).unwrap_err().field,
        "device"
    );
    let replaced = r#"{"action":"replace_subscription","services":["Z"],"devices":[{"serial":"9","kind":"modem"}]}"#;
    let replaced = act(&swapped, replaced).unwrap();
    assert_eq!(replaced.devices[0].kind.name(), "modem");
    let amend = r#"{"action":"amend_services_installed_items","remove_services":[{"service":"Z"}],"remove_devices":["9"],"add_devices":[{"serial":"3"}],"add_services":["Y"]}"#;
    let amended = act(&replaced, amend).unwrap();
    assert_eq!((amended.services.len(), amended.devices.len()), (2, 1));
}

#[test]
fn actions_wait_for_their_day_and_temporary_states_end() {
    let subscription = put(r#"{"provider":"p","services":["A"]}"#).unwrap();
    let rest =
        r#"{"action":"rest_subscription","until":"2026-12-10T00:00:00Z","effective":{"at":"2026-12-01T00:00:00Z"}}"#;
    let subscription = act(&subscription, rest).unwrap();
    let subscription =
        act(&subscription, r#"{"action":"terminate_subscription","effective":{"after_days":30}}"#).unwrap();
    let subscription =
        act(&subscription, r#"{"action":"end_short_term_activation","effective":{"after_days":2}}"#).unwrap();
    assert_eq!(subscription.state, SubscriptionState::Effective);
    assert_eq!(subscription.next_change(now()), Some(at("2026-11-26T12:00:00Z")));

    let mut step = subscription.clone();
    assert_eq!(step.catch_up(at("2026-12-05T00:00:00Z")).len(), 2);
    assert_eq!(step.state, SubscriptionState::InResting);
    assert_eq!(step.next_change(at("2026-12-05T00:00:00Z")), Some(at("2026-12-10T00:00:00Z")));

    let mut subscription = subscription;
    let performed = subscription.catch_up(at("2027-01-01T00:00:00Z"));
    let names: Vec<_> = performed.iter().map(|one| (one.action.name(), one.refused.is_some())).collect();
    assert_eq!(
        names,
        [
            ("end_short_term_activation", true),
            ("rest_subscription", false),
            ("end_subscription_resting", false),
            ("terminate_subscription", false)
        ]
    );
    assert_eq!(subscription.next_change(at("2027-01-01T00:00:00Z")), None);
    let past = r#"{"action":"rest_subscription","until":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(act(&put(r#"{"provider":"p"}"#).unwrap(), past).unwrap_err().field, "until");
}

#[test]
fn a_posted_action_is_written_as_it_is_read() {
    for json in [
        r#"{"action":"rest_subscription","until":"2027-01-01T00:00:00Z"}"#,
        r#"{"effective":{"after_days":3},"action":"remove_service","service":"A"}"#,
        r#"{"action":"bill_as_of_date"}"#,
    ] {
        let posted: PostedAction = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&posted).unwrap(), json);
    }
    for bad in [r#"{"action":"dance"}"#, r#"{"action":"bill_as_of_date","service":"A"}"#, r#"{"effective":"now"}"#] {
        assert!(serde_json::from_str::<PostedAction>(bad).is_err(), "{bad}");
    }
}

fn command(json: &str) -> crate::command::Command {
    serde_json::from_str::<RequestBody>(json).unwrap().command().unwrap()
}

fn card(serial: &str) -> Holder {
    Holder::Smartcard(Serial::new(serial).unwrap())
}

#[test]
fn the_belief_changes_with_outcomes_only() {
    let activate = command(r#"{"provider":"p","command":"activate_services","services":["A"],"smartcards":["1","2"]}"#);
    let mut authorised = Authorised::default();
    authorised.apply(&activate, &Verdict::Rejected(Failure::refused("17", "no")), now());
    assert_eq!(authorised.held, Held::default());
    assert_eq!(authorised.out_of_sync.as_ref().unwrap().reason, OutOfSyncReason::Rejected { code: "17".into() });

    authorised.apply(&activate, &Verdict::Failed(Failure::not_sent("down", "down")), now());
    assert_eq!(authorised.held, Held::default());

    let parts = vec![FailedPart { part: Serial::new("2").unwrap(), code: "17".into(), text: String::new() }];
    authorised.apply(&activate, &Verdict::Rejected(Failure::partial(parts, 2)), now());
    assert!(authorised.held.shows(&card("1"), &code("A"), now()));
    assert!(authorised.held.grant(&card("2"), &code("A")).is_none());

    authorised.apply(&activate, &Verdict::Failed(Failure::unanswered("timeout", "no answer")), now());
    assert!(authorised.held.shows(&card("1"), &code("A"), now()), "it was on before and after");
    assert!(authorised.held.grant(&card("2"), &code("A")).unwrap().doubtful);
    assert_eq!(authorised.out_of_sync.as_ref().unwrap().reason, OutOfSyncReason::Unknown);

    authorised.apply(&activate, &Verdict::Completed(None), now());
    assert!(authorised.held.shows(&card("2"), &code("A"), now()));
    assert_eq!(authorised.confirmed_at, Some(now()));

    let subscription = put(r#"{"provider":"p","devices":[{"serial":"1"},{"serial":"2"}],"services":["A"]}"#).unwrap();
    let main = DistributorName::new(MAIN_DISTRIBUTOR).unwrap();
    assert!(authorised.is_authorised(&subscription, &main, &code("A"), now()));
    let swap = command(r#"{"provider":"p","command":"swap_device","smartcard":"2","new_smartcard":"3"}"#);
    authorised.apply(&swap, &Verdict::Completed(None), now());
    assert!(!authorised.is_authorised(&subscription, &main, &code("A"), now()));
    assert!(authorised.held.shows(&card("3"), &code("A"), now()));

    let json = serde_json::to_string(&authorised).unwrap();
    assert_eq!(serde_json::from_str::<Authorised>(&json).unwrap(), authorised);
}

#[test]
fn a_read_back_is_compared_and_adopted() {
    let activate = command(r#"{"provider":"p","command":"activate_services","services":["A","B"],"smartcard":"0012"}"#);
    let mut authorised = Authorised::default();
    authorised.apply(&activate, &Verdict::Completed(None), now());
    let ask = command(r#"{"provider":"p","command":"get_services","smartcard":"0012"}"#);
    let held = |code: Option<&str>, ca_id: &str| HeldService {
        code: code.map(|code| ServiceCode::new(code).unwrap()),
        ca_id: CaId::new(ca_id).unwrap(),
        start: None,
        end: None,
        suspended: false,
    };
    let answer = |services| {
        Answer::Services(vec![HeldServices { smartcard: Some(Serial::new("12").unwrap()), account: None, services }])
    };

    let mut same = ReadBack::new(&authorised.held);
    same.observe(&ask, &answer(vec![held(Some("A"), "1"), held(Some("B"), "2")]));
    assert_eq!(authorised.held.differences(&same.held, now()), []);
    authorised.adopt(&same, now());
    assert_eq!(authorised.out_of_sync, None);

    let mut other = ReadBack::new(&authorised.held);
    other.observe(&ask, &answer(vec![held(Some("A"), "1"), held(None, "99")]));
    let missing = Difference::ServiceMissing { holder: card("0012"), service: code("B") };
    assert_eq!(authorised.held.differences(&other.held, now()), [missing]);
    assert_eq!(other.strangers.len(), 1);
    authorised.adopt(&other, now());
    assert_eq!(authorised.out_of_sync.as_ref().unwrap().reason, OutOfSyncReason::ReadBackDiffers);
    assert!(!authorised.held.shows(&card("0012"), &code("B"), now()));
}

#[test]
fn differences_are_written_for_machines() {
    let difference = Difference::ServiceMissing { holder: card("1"), service: code("A") };
    let json = serde_json::to_string(&difference).unwrap();
    assert_eq!(json, r#"{"difference":"service_missing","holder":"smartcard/1","service":"A"}"#);
    assert!(!format!("{difference:?}").contains("\"1\""), "subscriber data is not printed");
}
