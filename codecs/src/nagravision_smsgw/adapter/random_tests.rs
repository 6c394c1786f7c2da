//! Both sides under random requests, faults and pauses: what must hold whatever happens.

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_core::adapter::Event;
use headgate_core::outcome::Verdict;
use headgate_core::platform::Fault;
use proptest::prelude::*;
use serde_json::json;

use super::super::PROTOCOL;
use crate::registry::Stock;
use crate::test_support::pair::Pair;
use crate::test_support::provider;

#[derive(Clone, Debug)]
enum Step {
    /// So many messages to the screen, each with its own text, to the same card.
    Bark(u8),
    /// A list of services for several cards, in several messages.
    Set(u8),
    Fault(Fault),
    Pass(u16),
    /// The newest link breaks.
    Break,
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::Garbage),
        Just(Fault::WrongNumber),
        Just(Fault::HalfFrame),
        Just(Fault::DuplicateAnswer),
        Just(Fault::Silence),
        Just(Fault::CloseBefore),
        Just(Fault::CloseInstead),
        Just(Fault::CloseAfter),
        (0..4_000_u32).prop_map(Fault::Delay),
        Just(Fault::UnknownCard),
        Just(Fault::Throttle),
        Just(Fault::RefuseLogin),
    ];
    prop_oneof![
        3 => (1..6_u8).prop_map(Step::Bark),
        2 => (1..4_u8).prop_map(Step::Set),
        2 => fault.prop_map(Step::Fault),
        2 => (1..3_000_u16).prop_map(Step::Pass),
        1 => Just(Step::Break),
        2 => Just(Step::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_submission_ends_once_and_as_it_is_told(steps in proptest::collection::vec(step(), 1..60), seed: u64) {
        // Three digits of transaction number, so that they come round within a run.
        let profile: serde_json::Value =
            toml::from_str(&super::super::profile::SHIPPED.replacen("width = 9", "width = 3", 1)).unwrap();
        let settings = json!({
            "profile": profile, "links": 2, "window_per_link": 5, "answer_timeout": "2s", "link_check_after": "5s",
            "user": "u", "password": "p", "reconnect_longest": "4s",
        });
        let adapter = (PROTOCOL.open)(&provider(&[("A", "1"), ("B", "2")]), &settings, seed).unwrap().adapter;
        let mut pair = Pair::new(adapter, (PROTOCOL.platform)(&settings, &Stock::default()).unwrap());
        let mut id = 0;
        let mut barks = BTreeSet::new();
        for step in steps {
            match step {
                Step::Bark(count) => for _ in 0..count {
                    id += 1;
                    barks.insert(id);
                    pair.submit_only(id, &format!(
                        r#"{{"command":"send_message","smartcard":"1","message":{{"kind":"bark","text":"text {id}"}}}}"#
                    ));
                },
                Step::Set(cards) => {
                    id += 1;
                    let cards: Vec<_> = (1..=cards).map(|card| format!("\"{card}\"")).collect();
                    pair.submit_only(id, &format!(
                        r#"{{"command":"set_services","smartcards":[{}],"services":["A","B"]}}"#, cards.join(",")
                    ));
                }
                Step::Fault(fault) => pair.platform.inject(fault).unwrap(),
                Step::Pass(millis) => {
                    pair.settle();
                    pair.pass(Duration::from_millis(millis.into()));
                }
                Step::Break => {
                    let newest = pair.events.iter().rev().find_map(|event| match event {
                        Event::LinkUp(link) => Some(*link),
                        _ => None,
                    });
                    if let Some(link) = newest {
                        pair.break_link(link);
                    }
                }
                Step::Settle => pair.settle(),
            }
            prop_assert!(pair.adapter.capacity() <= 10);
        }
        pair.settle();
        pair.pass(Duration::from_secs(60));

        let shown = pair.platform.holdings().cards.get("1").map(|card| card.messages.clone()).unwrap_or_default();
        for id in 1..=id {
            // Panics unless there is exactly one end.
            let verdict = &pair.outcome(id).verdict;
            if barks.contains(&id) {
                let times = shown.iter().filter(|text| **text == format!("text {id}")).count();
                let allowed = match verdict {
                    Verdict::Completed(_) => 1..=1,
                    Verdict::Rejected(_) => 0..=0,
                    Verdict::Failed(failure) if failure.sent == headgate_core::failure::Sent::Maybe => 0..=1,
                    Verdict::Failed(_) => 0..=0,
                };
                prop_assert!(allowed.contains(&times), "message {id} shown {times} times: {verdict:?}");
            }
        }
        // It comes to rest: all links up, all room free, once the faults are used up.
        for _ in 0..80 {
            id += 1;
            pair.submit(id, r#"{"command":"refresh_services","smartcard":"9"}"#);
            pair.pass(Duration::from_secs(10));
        }
        prop_assert_eq!(pair.adapter.capacity(), 10);
    }
}
