//! A pull and a CRM, joined in memory under a simulated clock; what carries requests out is a few lines.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_core::http::HttpAnswer;
use headgate_core::platform::{Fault, Platform};
use headgate_core::text::{ProviderName, Secret};
use serde_json::{Value, json};

use self::world::World;
use super::settings::{PageCounts, ProviderIdentifier, PullSettings, ServicesOn};
use super::wire::{NotTaken, Pending, not_taken, page};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

fn settings() -> PullSettings {
    PullSettings {
        provider_identifier: ProviderIdentifier { name: Some("GEN".into()), ..ProviderIdentifier::default() },
        token: Some(Secret::new("T0K")),
        page_size: 5,
        ..PullSettings::default()
    }
}

fn provider() -> ProviderName {
    ProviderName::new("p").unwrap()
}

#[test]
fn requests_of_every_type_become_commands_in_the_order_of_their_subscription() {
    let mut world = World::new(settings());
    let service = json!({ "service": { "code": "BASIC", "end_date": "2027-01-01T00:00:00" } });
    let item = json!({ "installed_item": { "serial_number": "C1", "type": "smartcard" } });
    let subscriber = json!({ "account_information": { "first_name": "Ada" }, "address": { "city": "Turin" } });
    world.request("S1", "BECOME_SUBSCRIBER", json!({
        "account_information": { "first_name": "Ada" }, "address": { "city": "Turin" },
        "services_set": [{ "code": "BASIC" }, { "code": "SPORT" }], "installed_items_set": [{ "serial_number": "C1" }],
    }));
    world.request("S1", "ACTIVATE_SERVICE", service.clone());
    world.request("S1", "DEACTIVATE_SERVICE", service);
    world.request("S1", "ADD_INSTALLED_ITEM", item.clone());
    world.request("S1", "REMOVE_INSTALLED_ITEM", item);
    world.request("S1", "ACTIVATE_SUBSCRIBER", json!({ "provisioning_services_set": [{ "code": "BASIC" }] }));
    world.request("S1", "DEACTIVATE_SUBSCRIBER", json!({ "services_set": [] }));
    world.request("S1", "UPDATE_SUBSCRIBER", subscriber.clone());
    world.request("S1", "UPDATE_ADDRESS", subscriber);
    world.request("S1", "ADD_UDR", json!({ "service": { "code": "FILM", "usage_id": 77 } }));
    world.request("S1", "CANCEL_UDR", json!({ "service": { "code": "FILM", "usage_id": 77 } }));
    world.request("S1", "DANCE", json!({}));
    world.request("S1", "ADD_UDR", json!({ "service": { "code": "FILM" } }));
    world.pass(SECOND);
    assert_eq!(world.states(), "CCCCCCCCCCCRR");
    world.assert_answered_once();
    let commands: Vec<_> = world.stored.order.iter().map(|key| key.split('\n').nth(1).unwrap()).collect();
    assert_eq!(
        commands.join(" "),
        "create_subscriber add_device activate_services activate_services deactivate_services add_device remove_device \
         activate_services deactivate_services update_subscriber update_subscriber add_usage cancel_usage"
    );
    assert_eq!(world.crm.account("S1").as_deref(), Some("ACC"));
    let codes: Vec<_> = world.crm.requests().values().filter_map(|request| request.error_code.clone()).collect();
    assert_eq!(codes, ["unknown_type", "missing_member"]);
    for secret in ["Ada", "Turin", "T0K", "S1\"", "C1"] {
        assert!(!world.log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn pages_are_fetched_whole_before_anything_is_answered() {
    let mut world = World::new(settings());
    for number in 0..23 {
        world.activate(&format!("S{}", number % 4));
    }
    world.pass(SECOND);
    // Each page begins with the last result of the one before.
    assert_eq!(world.offsets, ["0", "4", "8", "12", "16", "20"]);
    world.assert_answered_once();
    assert_eq!(world.stored.parts.len(), 23);
    // Within a subscription in the CRM's order.
    for subscription in 0..4 {
        let of_it = |request: &&String| {
            let number: u64 = request.rsplit(':').next().unwrap().parse().unwrap();
            (number - 1) % 4 == subscription
        };
        let numbers: Vec<u64> = world
            .stored
            .order
            .iter()
            .filter(of_it)
            .map(|key| key.rsplit(':').next().unwrap().parse().unwrap())
            .collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

#[test]
fn a_look_whose_results_shrink_under_it_starts_anew_and_one_that_grows_does_not() {
    let mut world = World::new(settings());
    for number in 0..12 {
        world.activate(&format!("S{number:02}"));
    }
    world.crm.take_between_pages(1);
    world.prompt = false;
    world.pass(SECOND);
    assert_eq!(world.offsets, ["0", "4", "0", "4", "8"]);
    assert_eq!(world.held.len(), 11);
    world.offsets.clear();
    world.crm.request_between_pages("S00", "ACTIVATE_SERVICE", json!({ "service": { "code": "BASIC" } }));
    world.pass(10 * SECOND);
    // The new one pushes the others back by one: some come twice, none is missed.
    assert_eq!(world.offsets, ["0", "4", "7", "10"]);
    world.pass(10 * SECOND);
    assert_eq!(world.held.len(), 12);
    world.end_all();
    world.pass(60 * SECOND);
    world.assert_answered_once();
    assert_eq!(world.stored.parts.len(), 12);
}

#[test]
fn a_refusal_ends_a_request_and_the_next_of_its_subscription_goes_on() {
    let mut world = World::new(settings());
    let become_subscriber = world.request("S1", "BECOME_SUBSCRIBER", json!({ "services_set": [{ "code": "BASIC" }] }));
    let next = world.activate("S1");
    world.prompt = false;
    world.refuse.insert(become_subscriber.clone());
    world.pass(SECOND);
    assert_eq!(world.held.keys().collect::<Vec<_>>(), [&become_subscriber], "the next waits for its turn");
    world.end(&become_subscriber);
    world.drain();
    // Its second part was not begun.
    assert_eq!(world.held.keys().collect::<Vec<_>>(), [&next]);
    world.end_all();
    world.pass(SECOND);
    assert_eq!(world.states(), "RC");
    assert_eq!(world.crm.requests()[&1].error_code.as_deref(), Some("E1"));
}

#[test]
fn what_is_unknown_is_not_answered_until_somebody_decides() {
    let mut world = World::new(settings());
    let first = world.activate("S1");
    world.activate("S1");
    world.activate("S2");
    world.unknown.insert(first.clone());
    world.pass(5 * DAY);
    assert_eq!(world.states(), "PPC");
    assert_eq!((world.pull.load().unknown, world.pull.load().waiting), (1, 1));
    assert_eq!(world.count(|event| matches!(event, Event::Old { .. })), 0);
    world.pass(DAY + 60 * SECOND);
    assert_eq!(world.count(|event| matches!(event, Event::Old { unknown: true, .. })), 1);
    assert_eq!(world.count(|event| matches!(event, Event::Old { unknown: false, .. })), 1);
    world.end(&first);
    world.drain();
    world.pass(SECOND);
    assert_eq!(world.states(), "CCC");
    world.assert_answered_once();
}

#[test]
fn a_restart_in_the_middle_creates_nothing_twice() {
    let mut world = World::new(settings());
    for number in 0..17 {
        world.activate(&format!("S{}", number % 5));
    }
    world.request("S9", "BECOME_SUBSCRIBER", json!({ "services_set": [{ "code": "BASIC" }] }));
    world.prompt = false;
    world.pass(SECOND);
    for _ in 0..3 {
        let number = world.held.keys().next().unwrap().clone();
        world.end(&number);
        world.drain();
    }
    let begun = world.stored.parts.len();
    world.restart();
    world.prompt = true;
    world.pass(60 * SECOND);
    world.assert_answered_once();
    assert!(begun > 3);
    assert_eq!(world.stored.parts.len(), 19);
    assert_eq!(world.stored.order.len(), 19);
}

#[test]
fn answers_that_are_lost_are_looked_for_before_they_are_posted_again() {
    for fault in [
        Fault::CloseInstead,
        Fault::CloseBefore,
        Fault::Silence,
        Fault::Garbage,
        Fault::HalfFrame,
        Fault::ServerError,
        Fault::Oversized,
        Fault::Throttle,
    ] {
        let mut world = World::new(settings());
        for number in 0..7 {
            world.activate(&format!("S{number}"));
        }
        world.prompt = false;
        world.pass(SECOND);
        world.platform.inject(fault).unwrap();
        world.end_all();
        world.pass(300 * SECOND);
        world.assert_answered_once();
        for request in world.crm.requests().values() {
            assert_eq!(request.attempts, 1, "{fault:?}");
        }
        assert_eq!(world.count(|event| matches!(event, Event::Answered { .. })), 7, "{fault:?}");
        assert!(world.pull.entries.is_empty());
    }
}

#[test]
fn partial_failures_are_posted_again_so_many_times() {
    let mut world = World::new(settings());
    for number in 0..6 {
        world.activate(&format!("S{number}"));
    }
    world.crm.fail_answers(2, 1);
    world.crm.fail_answers(5, 100);
    world.pass(300 * SECOND);
    assert_eq!(world.states(), "CCCCPC");
    assert_eq!((world.crm.requests()[&2].attempts, world.crm.requests()[&5].attempts), (2, 3));
    assert_eq!(world.count(|event| matches!(event, Event::GivenUp { number } if number == "5")), 1);
    assert_eq!(
        world.count(|event| matches!(event, Event::NotTaken { code: Some(code), .. } if code == "NOT_UPDATED")),
        4
    );
    // After a restart it is tried anew.
    world.crm.fail_answers(5, 0);
    world.restart();
    world.pass(SECOND);
    world.assert_answered_once();
    assert_eq!(world.stored.parts.len(), 6);
}

#[test]
fn a_crm_that_is_down_or_logs_us_out_is_left_alone_longer_and_longer() {
    let mut world = World::new(settings());
    world.activate("S1");
    world.down = true;
    world.pass(3_600 * SECOND);
    let looks = world.offsets.len();
    assert!((10..=30).contains(&looks), "{looks} looks in an hour");
    assert_eq!(world.count(|event| matches!(event, Event::Up)), 0);
    assert!(world.events.iter().all(|event| matches!(event, Event::Down { .. })));
    world.down = false;
    world.pass(400 * SECOND);
    world.assert_answered_once();
    assert_eq!(world.count(|event| matches!(event, Event::Up)), 1);

    // Whoever is logged out can not answer either; nothing is given up.
    world.prompt = false;
    world.activate("S2");
    world.activate("S3");
    world.pass(20 * SECOND);
    world.crm.log_out(8);
    world.end_all();
    world.pass(3_600 * SECOND);
    world.assert_answered_once();
    assert_eq!(world.count(|event| matches!(event, Event::GivenUp { .. })), 0);
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::Down { why, .. } if why == "the CRM refused the call: NOK"))
    );
}

#[test]
fn what_the_crm_shows_no_more_is_warned_of_in_time() {
    let mut world = World::new(settings());
    world.activate("S1");
    world.down = true;
    world.pass(6 * DAY - 3_600 * SECOND);
    assert_eq!(world.count(|event| matches!(event, Event::Blind { .. })), 0);
    world.pass(2 * 3_600 * SECOND);
    assert!(world.count(|event| matches!(event, Event::Blind { .. })) > 0);
    world.pass(DAY);
    world.down = false;
    world.pass(600 * SECOND);
    assert_eq!(world.states(), "P", "a reset in the CRM brings it back, nothing else does");
    assert!(world.stored.parts.is_empty());
}

#[test]
fn a_stop_posts_what_has_ended_and_begins_nothing() {
    let mut world = World::new(settings());
    world.activate("S1");
    world.activate("S1");
    world.prompt = false;
    world.pass(SECOND);
    world.end("1");
    world.pull.handle(world.now, Input::Stop);
    world.drain();
    assert!(world.pull.is_done());
    assert_eq!(world.states(), "CP");
    assert_eq!(world.stored.parts.len(), 2, "the second had begun when the first ended");
    world.pass(60 * SECOND);
    assert_eq!(world.states(), "CP");
}

#[test]
fn several_hundred_under_faults_are_each_answered_once() {
    for seed in 0..20_u64 {
        let mut world = World::new(settings());
        let mut random = seed;
        let mut roll = |sides: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % sides
        };
        let mut made = 0;
        for step in 0..40 {
            for _ in 0..roll(20) {
                made += 1;
                let subscription = format!("S{}", roll(12));
                if roll(8) == 0 {
                    world.request(&subscription, "BECOME_SUBSCRIBER", json!({ "services_set": [{ "code": "B" }] }));
                } else {
                    world.activate(&subscription);
                }
            }
            match roll(9) {
                0 => world.restart(),
                1 => world.down = !world.down,
                2 => world.crm.request_between_pages("S0", "ACTIVATE_SERVICE", json!({ "service": { "code": "B" } })),
                3 => world.prompt = !world.prompt,
                4 => world.crm.fail_answers(roll(made.max(1)) + 1, 2),
                5 => world.platform.inject(Fault::CloseInstead).unwrap(),
                6 => world.platform.inject(Fault::Silence).unwrap(),
                7 => world.platform.inject(Fault::Garbage).unwrap(),
                _ => world.end_all(),
            }
            if step % 7 == 0 {
                world.end_all();
            }
            world.pass(Duration::from_secs(roll(30)));
        }
        world.down = false;
        world.prompt = true;
        world.end_all();
        world.pass(7_200 * SECOND);
        world.end_all();
        world.pass(600 * SECOND);
        world.assert_answered_once();
        let keys: BTreeSet<_> = world.stored.order.iter().collect();
        assert_eq!(keys.len(), world.stored.order.len(), "seed {seed}");
        assert!(world.pull.entries.is_empty() && world.pull.lines.is_empty(), "seed {seed}: {:?}", world.pull.load());
        assert_eq!(world.pull.running, 0, "seed {seed}");
    }
}

#[test]
fn services_on_devices_are_grouped_by_device_and_period() {
    let settings = PullSettings { services_on: ServicesOn::Devices, ..settings() };
    let members = json!({ "services_set": [
        { "code": "BASIC", "installed_items_set": [{ "serial_number": "C1" }] },
        { "code": "SPORT", "installed_items_set": [{ "serial_number": "C1" }] },
        { "code": "FILM", "start_date": "2026-02-01T00:00:00" },
    ], "installed_items_set": [{ "serial_number": "C2" }, { "serial_number": "B2", "type": "STB" }] });
    let pending = Pending {
        number: "9".into(),
        kind: "BECOME_SUBSCRIBER".into(),
        subscription: Some("S1".into()),
        account: Some("A7".into()),
        members: members.as_object().unwrap().clone(),
    };
    let parts = parts("crm", &settings, &provider(), &pending).unwrap();
    let shown: Vec<Value> = parts.iter().map(|part| serde_json::from_slice(&part.json.0).unwrap()).collect();
    let base = |extra: Value| {
        let mut base = json!({ "provider": "p", "subscription": "S1", "account": "A7" });
        base.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        base
    };
    assert_eq!(
        shown,
        [
            base(json!({ "command": "create_subscriber", "reference": "crm:9", "subscriber": {} })),
            base(json!({ "command": "add_device", "reference": "crm:9", "smartcards": ["C2"], "stbs": ["B2"] })),
            base(
                json!({ "command": "activate_services", "reference": "crm:9", "services": ["BASIC", "SPORT"], "smartcards": ["C1"] })
            ),
            base(json!({
                "command": "activate_services", "reference": "crm:9#2", "services": ["FILM"],
                "smartcards": ["C2"], "stbs": ["B2"], "start": "2026-02-01T00:00:00Z",
            })),
        ]
    );
    for part in &parts {
        part.body.command().unwrap();
    }
}

#[test]
fn answers_of_the_crm_are_read_with_care() {
    let answer = |body: &str| HttpAnswer::new(200, "application/json", body.to_owned());
    let ok = |data: &str| answer(&format!(r#"{{"status":{{"code":"OK"}},"data":{data}}}"#));
    let failed =
        not_taken(&ok(r#"{"failed_provisioning_requests_set":["5",{"provisioning_request_number":7,"code":"X"},{}]}"#));
    let entry = |number: Option<&str>, code: Option<&str>| NotTaken {
        number: number.map(str::to_owned),
        code: code.map(str::to_owned),
    };
    assert_eq!(failed, Ok(vec![entry(Some("5"), None), entry(Some("7"), Some("X")), entry(None, None)]));
    for wrong in ["", "{}", r#"{"status":{"code":"OK"}}"#, r#"{"status":{"code":"OK"},"data":{"subscriptions_set":3}}"#]
    {
        let error = page(&answer(wrong), PageCounts::Requests).unwrap_err();
        assert!(matches!(error, CrmError::Unreadable { .. }), "{wrong}: {error}");
    }
    let page = page(
        &ok(r#"{"subscriptions_set":[{"subscription_number":"S1","pending_provisioning_requests_set":[
        {"number":5,"type":"X"},{"number":"6"},3]}]}"#),
        PageCounts::Requests,
    )
    .unwrap();
    assert_eq!((page.requests.len(), page.counted.len(), page.unreadable), (1, 3, 2));
}

#[test]
fn pages_of_subscriptions_overlap_by_a_subscription() {
    let page_of = |subscriptions: &[(&str, &[u64])]| {
        let group = |(name, numbers): &(&str, &[u64])| {
            let requests: Vec<_> = numbers.iter().map(|n| json!({ "number": n, "type": "X" })).collect();
            json!({ "subscription_number": name, "pending_provisioning_requests_set": requests })
        };
        let set: Vec<_> = subscriptions.iter().map(group).collect();
        let body = json!({ "status": { "code": "OK" }, "data": { "subscriptions_set": set } });
        page(&HttpAnswer::new(200, "application/json", body.to_string()), PageCounts::Subscriptions).unwrap()
    };
    let mut listing = Listing::new(2, PageCounts::Subscriptions);
    assert_eq!(listing.take(page_of(&[("A", &[1, 2]), ("B", &[3])])), Looked::Further);
    assert_eq!(listing.offset(), 1);
    assert_eq!(listing.take(page_of(&[("B", &[3, 6]), ("C", &[4, 5])])), Looked::Further);
    assert_eq!(listing.offset(), 2);
    // A went away: what was at the border stands elsewhere, and the look starts anew.
    assert_eq!(listing.take(page_of(&[("D", &[7])])), Looked::Further);
    assert_eq!(listing.offset(), 0);
    assert_eq!(listing.take(page_of(&[("B", &[3])])), Looked::Done { whole: true });
    assert_eq!(listing.into_requests().len(), 1);
}

#[test]
fn settings_that_can_not_be_are_refused_with_their_place() {
    let check = |json: Value| {
        let mut whole = json!({ "provider_identifier": { "name": "G" } });
        whole.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        serde_json::from_value::<PullSettings>(whole).unwrap().check().map_err(|error| error.to_string())
    };
    assert_eq!(check(json!({ "types": { "X": ["suspend"], "UPDATE_ADDRESS": [] } })), Ok(()));
    for (wrong, told) in [
        (json!({ "provider_identifier": { "name": "G", "id": "1" } }), "provider_identifier: must have exactly one"),
        (json!({ "page_size": 51 }), "page_size: must be 2 to 50"),
        (json!({ "interval": "10ms" }), "interval: must be 1s to 24h"),
        (json!({ "warn_after": "200h" }), "warn_after: must be"),
        (json!({ "types": { "X": ["pair", "raw"] } }), "types.X[1]: raw can not be made"),
        (json!({ "types": { "X": ["pair", "pair"] } }), "types.X[0]: stands here twice"),
        (json!({ "members": { "subscriber": { "shoe": "a" } } }), "members.subscriber.shoe: is no field"),
    ] {
        let error = check(wrong).unwrap_err();
        assert!(error.starts_with(told), "{error}");
    }
}
