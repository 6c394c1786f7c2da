//! Runs that are broken off anywhere, and what a definition says.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use crate::command::CommandKind;
use crate::provider::ServiceMap;
use crate::reconcile::{Strategy as Rules, Terms};
use crate::schedule::{Look, Schedule, When};
use crate::subscription::{Authorised, OutOfSyncReason, Subscription, SubscriptionBody};
use crate::text::{ProviderName, SubscriptionNumber};

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn key(number: usize) -> ItemKey {
    ItemKey::new(&format!("S{number:04}")).unwrap()
}

fn item(number: usize, requests: usize) -> Item {
    let body = |step: usize| {
        let json = format!(r#"{{"provider":"p","command":"refresh_services","smartcard":"{number}-{step}"}}"#);
        serde_json::from_str(&json).unwrap()
    };
    Item { key: key(number), bodies: (0..requests).map(body).collect() }
}

fn new_run(window: usize) -> Run {
    let mut run = Run::new(RunId(Uuid::nil()), DefinitionName::new("d").unwrap(), "ops", window, now());
    run.begin(now());
    run
}

/// A gateway that knows keys, and a store that keeps what was saved last.
#[derive(Default)]
struct World {
    saved: Option<String>,
    accepted: BTreeMap<String, RequestBody>,
    under_way: Vec<Post>,
    most_open: usize,
}

impl World {
    /// Does what the run wants, until it waits, or for so many outputs.
    fn drain(&mut self, run: &mut Run, most: usize) -> Option<Output> {
        for _ in 0..most {
            match run.poll_output(now()) {
                Output::Save => {
                    self.saved = Some(serde_json::to_string(run).unwrap());
                    run.handle_saved();
                }
                Output::Post(post) => {
                    let saved = self.saved.as_deref().unwrap_or_default();
                    assert!(saved.contains(post.item.as_str()), "posted before it was saved");
                    let before = self.accepted.insert(post.idempotency_key.clone(), post.body.clone());
                    assert!(before.is_none_or(|before| before == post.body), "one key, two bodies");
                    self.under_way.push(*post);
                }
                other => return Some(other),
            }
            self.most_open = self.most_open.max(run.open());
        }
        None
    }
}

#[test]
fn the_requests_of_an_item_follow_each_other() {
    let (mut run, mut world) = (new_run(2), World::default());
    assert_eq!(run.wants(), 2);
    assert!(run.take(item(1, 2)));
    assert!(run.take(item(2, 0)));
    assert_eq!((run.wants(), run.counters.in_step), (1, 1));
    assert!(!run.take(item(2, 1)), "it was taken");
    assert_eq!(world.drain(&mut run, 9), Some(Output::Wait));
    assert_eq!(world.under_way.len(), 1);
    run.handle_outcome(&key(1), 0, State::Completed, None);
    run.handle_outcome(&key(1), 0, State::Completed, None);
    assert_eq!(world.drain(&mut run, 9), Some(Output::Wait));
    assert_eq!(world.under_way[1].step, 1);
    run.no_more();
    run.handle_outcome(&key(1), 1, State::Rejected, Some(("17", "unknown card")));
    assert_eq!(world.drain(&mut run, 9), Some(Output::Ended));
    assert_eq!(run.state, RunState::Completed);
    assert_eq!((run.counters.requests, run.counters.rejected, run.errors.len()), (2, 1, 1));
}

#[test]
fn a_paused_run_does_nothing_and_a_cancelled_one_nothing_more() {
    let (mut run, mut world) = (new_run(2), World::default());
    run.take(item(1, 2));
    run.pause();
    assert_eq!(run.wants(), 0);
    assert_eq!(world.drain(&mut run, 9), Some(Output::Wait));
    assert_eq!(world.under_way.len(), 0);
    run.resume();
    assert_eq!(world.drain(&mut run, 9), Some(Output::Wait));
    run.handle_busy(&key(1), 0);
    assert_eq!(world.drain(&mut run, 9), Some(Output::Wait));
    assert_eq!(world.under_way.len(), 2, "posted again after the gateway was full");
    run.cancel(now());
    run.handle_outcome(&key(1), 0, State::Completed, None);
    assert_eq!(world.drain(&mut run, 9), Some(Output::Ended));
    assert_eq!((run.state, run.counters.cancelled), (RunState::Cancelled, 1));
    run.fail("too late", now());
    assert_eq!((run.state, &run.failure), (RunState::Cancelled, &None));
}

#[test]
fn errors_are_bounded() {
    let mut run = new_run(10);
    for number in 0..ERRORS_LIMIT + 5 {
        assert!(run.take_refused(key(number), "unknown_service", "no CA ID"));
    }
    assert_eq!((run.errors.len(), run.counters.errors_not_kept), (ERRORS_LIMIT, 5));
    assert_eq!(run.counters.refused, run.counters.items);
    assert_eq!(run.counters.in_step, 0);
}

proptest! {
    /// Broken off after any number of outputs, any number of times: every request of every item is accepted exactly
    /// once, every item is counted once, and never more are open than the window allows.
    #[test]
    fn a_run_goes_on_where_it_was(
        sizes in proptest::collection::vec(0_usize..4, 0..30),
        window in 1_usize..6,
        crashes in proptest::collection::vec(1_usize..25, 0..6),
        seed in any::<u64>(),
    ) {
        let (mut run, mut world, mut dice) = (new_run(window), World::default(), seed | 1);
        let mut crashes = crashes.into_iter();
        let mut until_crash = crashes.next();
        loop {
            for _ in 0..run.wants() {
                let next = sizes.iter().enumerate().find(|(number, _)| run.cursor().is_none_or(|cursor| key(*number) > *cursor));
                match next {
                    Some((number, size)) => assert!(run.take(item(number, *size))),
                    None => run.no_more(),
                }
            }
            match world.drain(&mut run, until_crash.unwrap_or(usize::MAX)) {
                Some(Output::Ended) => break,
                Some(_) => {
                    // Requests end in any order.
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if !world.under_way.is_empty() {
                        let index = usize::try_from(dice >> 33).unwrap() % world.under_way.len();
                        let post = world.under_way.swap_remove(index);
                        run.handle_outcome(&post.item, post.step, State::Completed, None);
                    }
                }
                None => {
                    // The power fails: what was not saved is gone, what was posted is not.
                    until_crash = crashes.next();
                    world.under_way.clear();
                    run = match &world.saved {
                        Some(saved) => serde_json::from_str(saved).unwrap(),
                        None => new_run(window),
                    };
                    run.take_up();
                }
            }
        }
        let requests: usize = sizes.iter().sum();
        prop_assert_eq!(world.accepted.len(), requests);
        let bodies: BTreeSet<String> = world.accepted.values().map(|body| serde_json::to_string(body).unwrap()).collect();
        prop_assert_eq!(bodies.len(), requests, "no request twice under another key");
        prop_assert_eq!(run.counters.items, sizes.len() as u64);
        prop_assert_eq!(run.counters.requests, requests as u64);
        prop_assert_eq!(run.counters.completed + run.counters.in_step, sizes.len() as u64);
        prop_assert!(world.most_open <= window);
    }
}

fn subscription(number: usize, json: &str) -> Subscription {
    let body: SubscriptionBody = serde_json::from_str(json).unwrap();
    body.subscription(SubscriptionNumber::new(&format!("S{number:04}")).unwrap(), now()).unwrap()
}

fn with_terms(messages: MessageLimits, most: usize, test: impl FnOnce(&Terms<'_>)) {
    let rules = CommandRules::new().smartcards(Count::up_to(most));
    let capabilities = Capabilities {
        commands: [CommandKind::SendMessage, CommandKind::Fingerprint].map(|kind| (kind, rules.clone())).into(),
        messages,
        resumes: false,
    };
    let provider = ProviderName::new("p").unwrap();
    let (services, strategy) = (ServiceMap::default(), Rules::default());
    test(&Terms { provider: &provider, capabilities: &capabilities, services: &services, strategy: &strategy });
}

fn message(to: &str) -> RunKind {
    serde_json::from_str(&format!(r#"{{"kind":"message","message":{{"to":{to},"kind":"mail","text":"hello"}}}}"#))
        .unwrap()
}

#[test]
fn a_message_to_all_is_one_broadcast_where_there_is_one() {
    let limits = MessageLimits { mail: Some(100), to_everybody: true, ..MessageLimits::default() };
    with_terms(limits, 1, |terms| {
        let everybody = Filter::default();
        let body = broadcast(&message(r#""devices""#), &everybody, terms).unwrap();
        assert_eq!(serde_json::to_value(&body).unwrap()["message"]["to"], "everybody");
        let some = Filter { out_of_sync_only: true, ..Filter::default() };
        assert_eq!(broadcast(&message(r#""devices""#), &some, terms), None);
        assert!(broadcast(&message(r#"{"holders_of":"SPORT"}"#), &some, terms).is_some());
    });
    with_terms(MessageLimits::default(), 1, |terms| {
        assert_eq!(broadcast(&message(r#""devices""#), &Filter::default(), terms), None);
    });
}

#[test]
fn cards_are_packed_as_the_platform_takes_them() {
    with_terms(MessageLimits::default(), 3, |terms| {
        let kind = RunKind::Fingerprint { duration_seconds: 5 };
        let mut packer = Packer::new(&kind, terms).unwrap();
        let mut items = Vec::new();
        for number in 0..4 {
            let json = format!(r#"{{"provider":"p","devices":[{{"serial":"{number}a"}},{{"serial":"{number}b"}}]}}"#);
            items.extend(packer.push(key(number), &subscription(number, &json), terms));
        }
        let many = r#"{"provider":"p","devices":[{"serial":"1"},{"serial":"2"},{"serial":"3"},{"serial":"4"}]}"#;
        items.extend(packer.push(key(4), &subscription(4, many), terms));
        items.extend(packer.push(key(5), &subscription(5, r#"{"provider":"p"}"#), terms));
        items.extend(packer.finish());
        let shape: Vec<_> = items
            .iter()
            .map(|item| (item.key.as_str(), item.bodies.iter().map(|body| body.smartcards.len()).collect::<Vec<_>>()))
            .collect();
        let expected =
            [("S0000", vec![2]), ("S0001", vec![2]), ("S0002", vec![2]), ("S0003", vec![2]), ("S0004", vec![3, 1])];
        assert_eq!(shape, expected);
        assert!(items.iter().flat_map(|item| &item.bodies).all(|body| body.command().is_ok()));
    });
    with_terms(MessageLimits::default(), 1, |terms| {
        assert!(Packer::new(&RunKind::Fingerprint { duration_seconds: 5 }, terms).is_none());
        let subscription = subscription(1, r#"{"provider":"p","devices":[{"serial":"1"},{"serial":"2"}]}"#);
        let kind = message(r#""devices""#);
        let bodies = requests(&kind, &subscription, &Authorised::default(), terms, now(), now());
        assert_eq!(bodies.len(), 2);
        assert!(bodies.iter().all(|body| body.command().is_ok() && body.subscription.is_some()));
    });
}

#[test]
fn filters_hold_altogether() {
    let mut subscription = subscription(1, r#"{"provider":"p","kind":"HOTEL"}"#);
    let provider = ProviderName::new("p").unwrap();
    let mut authorised = Authorised::default();
    let filter = |json: &str| serde_json::from_str::<Filter>(json).unwrap();
    let hotels =
        filter(r#"{"kinds":["HOTEL"],"states":["effective"],"created_from":"2026-11-24T12:00:00Z","providers":["p"]}"#);
    assert!(hotels.matches(&subscription, &provider, &authorised));
    assert!(!hotels.means_everybody());
    let older = filter(r#"{"created_before":"2026-11-24T12:00:00Z"}"#);
    assert!(!older.matches(&subscription, &provider, &authorised));
    let out_of_sync = filter(r#"{"out_of_sync_only":true}"#);
    assert!(!out_of_sync.matches(&subscription, &provider, &authorised));
    authorised.mark(OutOfSyncReason::PlatformDown, now());
    assert!(out_of_sync.matches(&subscription, &provider, &authorised));
    subscription.kind = None;
    assert!(!hotels.matches(&subscription, &provider, &authorised));
}

#[test]
fn a_definition_is_made_effective_submitted_and_comes_due() {
    let json = r#"{"name":"nightly","run":{"kind":"reset"},"schedule":{"recurring":{"cron":"0 2 * * *"}}}"#;
    let mut definition: Definition = serde_json::from_str(json).unwrap();
    assert!(definition.may_be_deleted());
    assert_eq!(definition.submit(now()).unwrap_err().code, "wrong_state");
    definition.turn(DefinitionState::Effective).unwrap();
    definition.submit(now()).unwrap();
    let night: Timestamp = "2026-11-25T02:00:00Z".parse().unwrap();
    assert_eq!(definition.next(), Some(night));
    assert_eq!(definition.look(false, now()), Look::Nothing);
    assert_eq!(definition.look(true, night), Look::Nothing, "one run at a time");
    assert_eq!(definition.look(false, night), Look::Due(night));
    assert_eq!(definition.look(false, night), Look::Nothing);
    assert!(definition.turn(DefinitionState::Draft).is_err());
    definition.turn(DefinitionState::NotEffective).unwrap();
    assert_eq!(definition.next(), None);

    definition.schedule = Schedule::Once(When::Now);
    definition.turn(DefinitionState::Effective).unwrap();
    definition.submit(night).unwrap();
    assert_eq!(definition.next(), Some(night));
    assert_eq!(definition.look(false, night), Look::Due(night));
    assert_eq!(definition.next(), None);
}

#[test]
fn a_definition_is_checked() {
    let refused = |rest: &str| {
        let definition: Definition = serde_json::from_str(&format!(r#"{{"name":"d",{rest}}}"#)).unwrap();
        definition.check(now()).unwrap_err().field.into_owned()
    };
    assert_eq!(refused(r#""run":{"kind":"renewal","months":11}"#), "run/months");
    assert_eq!(refused(r#""run":{"kind":"audit","every":0}"#), "run/every");
    assert_eq!(refused(r#""run":{"kind":"message","message":{"kind":"mail","text":""}}"#), "run/message/text");
    assert_eq!(refused(r#""run":{"kind":"reset"},"window":0"#), "window");
    assert_eq!(refused(r#""run":{"kind":"reset"},"schedule":{"once":{"after_days":0}}"#), "schedule/once");
    assert!(serde_json::from_str::<Definition>(r#"{"name":"d","run":{"kind":"reset","months":1}}"#).is_err());
}

#[test]
fn a_preview_counts_and_samples() {
    let mut preview = Preview::default();
    for number in 0..100 {
        let Item { key, bodies } = item(number, number % 3);
        preview.add(&key, &bodies);
    }
    assert_eq!((preview.matching, preview.in_step, preview.sample.len()), (100, 34, Preview::SAMPLE));
    assert_eq!(preview.requests.get(&CommandKind::RefreshServices), Some(&99));
}
