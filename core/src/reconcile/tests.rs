//! Whatever a CRM does and wherever it breaks off: a platform ends up holding what is wanted, and then nothing is sent.

use jiff::{Timestamp, ToSpan};
use proptest::prelude::{Just, ProptestConfig, any, prop_oneof, proptest};
use proptest::strategy::Strategy as Choice;

use super::model::{Platform, Site, Style};
use super::*;
use crate::failure::Failure;
use crate::outcome::Verdict;
use crate::subscription::{Action, DeviceKind, Holder, OutOfSyncReason, ReadBack, SubscriptionBody};
use crate::text::SubscriptionNumber;

fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn subscription(json: &str) -> Subscription {
    let body: SubscriptionBody = serde_json::from_str(json).unwrap();
    body.subscription(SubscriptionNumber::new("S1").unwrap(), start()).unwrap()
}

fn action(json: &str) -> Action {
    serde_json::from_str(json).unwrap()
}

/// A subscription, a platform, and what is believed of it.
struct World {
    site: Site,
    subscription: Subscription,
    authorised: Authorised,
    platform: Platform,
    now: Timestamp,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is done, and answered.
    Done,
    /// It is done, and the answer is lost.
    DoneUnanswered,
    /// It is lost on the way, and nobody knows.
    LostUnanswered,
    /// Everything stops before it is sent.
    Crash,
}

impl World {
    fn new(style: Style, json: &str) -> Self {
        Self {
            site: Site::new(style),
            subscription: subscription(json),
            authorised: Authorised::default(),
            platform: Platform::default(),
            now: start(),
        }
    }

    fn plan(&self) -> Plan {
        reconcile(&self.subscription, &self.authorised, &self.site.terms(), self.now)
    }

    fn wanted(&self) -> Held {
        wanted(&self.subscription, &self.site.terms(), self.now)
    }

    /// Plans once and sends what is planned. Tells the commands that the platform refused.
    fn reconcile(&mut self, mut fate: impl FnMut(usize) -> Fate) -> Vec<String> {
        let mut refused = Vec::new();
        let bodies = self.plan().bodies(&self.subscription, &self.site.provider);
        for (index, body) in bodies.iter().enumerate() {
            let lost = Verdict::Failed(Failure::unanswered("timeout", "no answer"));
            let (done, verdict) = match fate(index) {
                Fate::Crash => return refused,
                Fate::Done => (true, Verdict::Completed(None)),
                Fate::DoneUnanswered => (true, lost),
                Fate::LostUnanswered => (false, lost),
            };
            let result = if done { self.platform.carry_out(body, &self.site) } else { Ok(()) };
            let verdict = match result {
                Ok(()) => verdict,
                Err(why) => {
                    refused.push(format!("{}: {why}", body.command));
                    Verdict::Rejected(Failure::refused("no", why))
                }
            };
            self.authorised.apply_body(body, &verdict, self.now);
        }
        refused
    }

    fn assert_in_step(&self) {
        let mut left = self.wanted().differences(&self.platform.held(), self.now);
        if !self.site.terms().capabilities.commands.contains_key(&crate::command::CommandKind::UpdateSubscriber) {
            left.retain(|difference| *difference != Difference::AccountOutdated);
        }
        assert_eq!(left, [], "the platform is out of step");
        let plan = self.plan();
        assert_eq!(plan.steps, [], "in step, and yet something would be sent");
        assert_eq!(plan.left, []);
    }
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(|command| command.kind().name()).collect()
}

const SIMPLE: &str = r#"{"provider":"p","services":["A","B"],"smartcard":"1","stb":"7"}"#;

#[test]
fn a_subscriber_joins_in_order() {
    let order = |style| kinds(&World::new(style, SIMPLE).plan());
    assert_eq!(order(Style::Cards), ["pair", "activate_services"]);
    assert_eq!(order(Style::OneByOne), ["pair", "activate_services", "activate_services"]);
    assert_eq!(order(Style::Devices), ["create_subscriber", "add_device", "pair", "activate_services"]);
    assert_eq!(order(Style::WholeList), ["create_subscriber", "add_device", "pair", "set_services"]);
    assert_eq!(order(Style::Accounts), ["create_subscriber", "activate_services"]);
}

#[test]
fn services_come_before_the_pairing_where_the_strategy_says_so() {
    let mut world = World::new(Style::Cards, SIMPLE);
    world.site.strategy.pair_before_entitle = false;
    assert_eq!(kinds(&world.plan()), ["activate_services", "pair"]);
    world.site.strategy.pair = false;
    assert_eq!(kinds(&world.plan()), ["activate_services"]);
}

/// The story of one subscription's life, told by the commands that each chapter makes.
#[test]
fn one_life_on_every_platform() {
    let chapters = [
        r#"{"action":"add_service","service":"C"}"#,
        r#"{"action":"swap_installed_item","serial":"1","replacement":"2"}"#,
        r#"{"action":"rest_subscription"}"#,
        r#"{"action":"end_subscription_resting"}"#,
        r#"{"action":"swap_service","service":"A","replacement":"D"}"#,
        r#"{"action":"terminate_subscription"}"#,
    ];
    let told = Style::ALL.map(|style| {
        let mut world = World::new(style, SIMPLE);
        assert_eq!(world.reconcile(|_| Fate::Done), Vec::<String>::new());
        world.assert_in_step();
        let chapters = chapters.map(|chapter| {
            world.subscription = world.subscription.perform(&action(chapter), world.now).unwrap();
            let kinds = kinds(&world.plan()).join(" ");
            assert_eq!(world.reconcile(|_| Fate::Done), Vec::<String>::new(), "{style:?}");
            world.assert_in_step();
            kinds
        });
        assert_eq!(world.platform.held(), Held::default(), "{style:?}: nothing is left behind");
        format!("{style:?}\n  {}", chapters.join("\n  "))
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_resting_device_is_suspended_as_a_whole_and_what_comes_meanwhile_waits() {
    let mut world = World::new(Style::Devices, SIMPLE);
    world.reconcile(|_| Fate::Done);
    world.subscription = world.subscription.perform(&action(r#"{"action":"rest_subscription"}"#), world.now).unwrap();
    assert_eq!(kinds(&world.plan()), ["suspend"]);
    world.reconcile(|_| Fate::Done);
    for change in [r#"{"action":"add_service","service":"C"}"#, r#"{"action":"remove_service","service":"A"}"#] {
        world.subscription = world.subscription.perform(&action(change), world.now).unwrap();
    }
    assert_eq!(kinds(&world.plan()), ["deactivate_services"]);
    world.reconcile(|_| Fate::Done);
    let end = action(r#"{"action":"end_subscription_resting"}"#);
    world.subscription = world.subscription.perform(&end, world.now).unwrap();
    assert_eq!(kinds(&world.plan()), ["resume", "activate_services"]);
    world.reconcile(|_| Fate::Done);
    world.assert_in_step();
}

#[test]
fn periods_end_and_are_extended() {
    let json = r#"{"provider":"p","services":["A",{"code":"B","end":"2026-12-01T00:00:00Z"}],"smartcard":"1"}"#;
    let mut world = World::new(Style::Cards, json);
    assert_eq!(world.plan().steps.len(), 2, "one command for each period");
    world.reconcile(|_| Fate::Done);
    world.assert_in_step();

    // Renewal extends what runs for good, once.
    let until = "2027-01-24T12:00:00Z".parse().unwrap();
    let renewal = renew(&world.subscription, &world.authorised, &world.site.terms(), until, world.now);
    assert_eq!(kinds(&renewal), ["activate_services"]);
    for body in renewal.bodies(&world.subscription, &world.site.provider) {
        world.platform.carry_out(&body, &world.site).unwrap();
        world.authorised.apply_body(&body, &Verdict::Completed(None), world.now);
    }
    assert!(renew(&world.subscription, &world.authorised, &world.site.terms(), until, world.now).is_empty());
    world.assert_in_step();

    world.now = "2026-12-01T00:00:00Z".parse().unwrap();
    assert_eq!(kinds(&world.plan()), ["deactivate_services"]);
    world.site.strategy.expires_by_itself = true;
    assert!(world.plan().is_empty());
    // Nobody renewed, and the end that the platform was given is past.
    world.now = until;
    assert_eq!(kinds(&world.plan()), ["activate_services"]);
}

#[test]
fn what_a_platform_can_not_be_told_is_said() {
    let json = r#"{"provider":"p","services":["A","UNKNOWN",{"code":"C","type":"usage"}],"smartcard":"1"}"#;
    let world = World::new(Style::Cards, json);
    let plan = world.plan();
    assert_eq!(plan.unmapped, [ServiceCode::new("UNKNOWN").unwrap()]);
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.steps[0].services(), [ServiceCode::new("A").unwrap()]);
}

#[test]
fn what_the_strategy_leaves_at_the_platform_is_no_difference() {
    let mut world = World::new(Style::WholeList, SIMPLE);
    world.site.strategy.remove_subscriber_on_terminate = false;
    world.site.strategy.unpair_on_remove = false;
    world.reconcile(|_| Fate::Done);
    let terminate = action(r#"{"action":"terminate_subscription"}"#);
    world.subscription = world.subscription.perform(&terminate, world.now).unwrap();
    assert_eq!(kinds(&world.plan()), ["set_services", "remove_device"]);
    world.reconcile(|_| Fate::Done);
    assert!(world.plan().is_empty());
    assert_eq!(world.plan().left, []);
}

/// Behind Headgate's back a card lost a service, another got one, and a box was paired with the wrong card.
#[test]
fn a_read_back_tells_what_nobody_knew_and_a_reset_repairs_it() {
    let mut world = World::new(Style::Cards, TWO_POINTS);
    world.reconcile(|_| Fate::Done);
    for json in [
        r#"{"provider":"p","command":"deactivate_services","services":["A"],"smartcard":"1"}"#,
        r#"{"provider":"p","command":"activate_services","services":["C"],"smartcard":"2"}"#,
        r#"{"provider":"p","command":"pair","smartcard":"2","stb":"11"}"#,
    ] {
        world.platform.carry_out(&serde_json::from_str(json).unwrap(), &world.site).unwrap();
    }
    assert!(world.plan().is_empty(), "nobody knows");

    let mut read = ReadBack::new(&world.authorised.held);
    for question in questions(&world.subscription, &world.authorised, &world.site.terms()) {
        read.observe(&question, &world.platform.answer(&question, &world.site.terms()));
    }
    assert_eq!(read.held, world.platform.held());
    assert_eq!(world.wanted().differences(&read.held, world.now).len(), 5);
    world.authorised.adopt(&read, world.now);
    assert_eq!(world.authorised.out_of_sync.as_ref().unwrap().reason, OutOfSyncReason::ReadBackDiffers);
    assert_eq!(world.reconcile(|_| Fate::Done), Vec::<String>::new());
    world.assert_in_step();
}

#[test]
fn a_platform_that_answers_no_queries_is_not_asked() {
    let world = World::new(Style::OneByOne, SIMPLE);
    assert_eq!(questions(&world.subscription, &world.authorised, &world.site.terms()), []);
}

/// What a CRM may do next, from four bytes of choice. Refused ones change nothing.
fn any_action() -> impl Choice<Value = Action> {
    (0_u8..22, 0_u8..6, 0_u8..6, any::<bool>()).prop_map(|(which, a, b, flag)| {
        let at = if flag { "x" } else { "y" };
        let service = |n: u8| ["A", "B", "C", "D"][usize::from(n % 4)];
        let json = match which {
            0 => r#"{"action":"activate_subscription"}"#.to_owned(),
            1 => r#"{"action":"deactivate_subscription"}"#.to_owned(),
            2 => r#"{"action":"rest_subscription","until":"2026-11-26T00:00:00Z"}"#.to_owned(),
            3 => r#"{"action":"end_subscription_resting"}"#.to_owned(),
            4 => r#"{"action":"short_term_activation"}"#.to_owned(),
            5 => r#"{"action":"short_term_deactivation","until":"2026-11-25T00:00:00Z"}"#.to_owned(),
            6 => r#"{"action":"end_short_term_deactivation"}"#.to_owned(),
            7 | 8 => format!(r#"{{"action":"add_service","service":{{"code":"{}","distributor":"{at}"}}}}"#, service(a)),
            9 => format!(
                r#"{{"action":"add_service","service":{{"code":"{}","distributor":"{at}","end":"2026-11-25T06:00:00Z"}}}}"#,
                service(a)
            ),
            10 => format!(r#"{{"action":"remove_service","service":"{}","distributor":"{at}"}}"#, service(a)),
            11 => format!(r#"{{"action":"stop_service","service":"{}","distributor":"{at}"}}"#, service(a)),
            12 => format!(r#"{{"action":"start_service","service":"{}","distributor":"{at}"}}"#, service(a)),
            13 => format!(
                r#"{{"action":"swap_service","service":"{}","replacement":"{}","distributor":"{at}"}}"#,
                service(a),
                service(b)
            ),
            14 => format!(r#"{{"action":"regret_service","service":"{}","distributor":"{at}"}}"#, service(a)),
            15 | 16 => {
                let kind = if b % 2 == 0 { "smartcard" } else { "stb" };
                let serial = if b % 2 == 0 { a } else { a + 10 };
                format!(
                    r#"{{"action":"add_installed_item","device":{{"serial":"{serial}","kind":"{kind}","distributor":"{at}"}}}}"#
                )
            }
            17 => format!(r#"{{"action":"remove_installed_item","serial":"{}"}}"#, if flag { a } else { a + 10 }),
            18 => format!(r#"{{"action":"swap_installed_item","serial":"{a}","replacement":"{b}"}}"#),
            19 => format!(r#"{{"action":"swap_installed_item","serial":"{}","replacement":"{}"}}"#, a + 10, b + 10),
            20 => format!(
                r#"{{"action":"change_subscription_distribution","devices":[{{"serial":"{a}","to":"{at}"}}]}}"#
            ),
            _ => format!(r#"{{"action":"update_subscriber","subscriber":{{"first_name":"N{a}"}}}}"#),
        };
        action(&json)
    })
}

fn any_fate() -> impl Choice<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Done),
        1 => Just(Fate::DoneUnanswered),
        1 => Just(Fate::LostUnanswered),
        1 => Just(Fate::Crash)
    ]
}

const TWO_POINTS: &str = r#"{
    "distributors": {"x": "p", "y": "p"},
    "services": [{"code":"A","distributor":"x"}, {"code":"B","distributor":"y"}],
    "devices": [
        {"serial":"1","distributor":"x"}, {"serial":"2","distributor":"y"},
        {"serial":"11","kind":"stb","distributor":"x"}, {"serial":"12","kind":"stb","distributor":"y"}
    ]
}"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Any life, with answers lost and plans broken off at any place, ends in step; then nothing is sent.
    #[test]
    fn every_life_ends_in_step(
        style in 0_usize..6,
        life in proptest::collection::vec((any_action(), proptest::collection::vec(any_fate(), 12), 0_i64..12), 0..14),
        end in any::<bool>(),
    ) {
        let mut world = World::new(Style::ALL[style], TWO_POINTS);
        for (action, fates, hours) in life {
            world.now += hours.hours();
            world.subscription.catch_up(world.now);
            if let Ok(after) = world.subscription.perform(&action, world.now) {
                world.subscription = after;
            }
            world.reconcile(|index| fates.get(index).copied().unwrap_or(Fate::Crash));
        }
        if end {
            world.subscription = world.subscription.perform(&Action::TerminateSubscription {}, world.now).unwrap();
        }
        // A request that was done without an answer may be refused when it is said again; one more round settles that.
        for _ in 0..3 {
            world.reconcile(|_| Fate::Done);
        }
        world.assert_in_step();
    }

    /// From any state that is in step, any action is carried out by one plan, without a refusal; and whatever part
    /// of the plan is carried out, planning again gets there.
    #[test]
    fn every_beginning_of_a_plan_is_a_good_place_to_stop(
        style in 0_usize..6,
        life in proptest::collection::vec(any_action(), 0..10),
        action in any_action(),
    ) {
        let mut world = World::new(Style::ALL[style], TWO_POINTS);
        for action in life {
            if let Ok(after) = world.subscription.perform(&action, world.now) {
                world.subscription = after;
            }
        }
        assert_eq!(world.reconcile(|_| Fate::Done), Vec::<String>::new());
        world.assert_in_step();
        if let Ok(after) = world.subscription.perform(&action, world.now) {
            world.subscription = after;
        }
        let steps = world.plan().steps.len();
        for stop in 0..=steps {
            let mut world = World {
                site: Site::new(Style::ALL[style]),
                subscription: world.subscription.clone(),
                authorised: world.authorised.clone(),
                platform: world.platform.clone(),
                now: world.now,
            };
            let first = world.reconcile(|index| if index < stop { Fate::Done } else { Fate::Crash });
            let second = world.reconcile(|_| Fate::Done);
            assert_eq!([first, second].concat(), Vec::<String>::new());
            world.assert_in_step();
        }
    }

    /// While a card is swapped, there is at every moment a card at the viewing point that shows what was
    /// on before and stays on.
    #[test]
    fn a_swap_never_takes_the_picture(
        style in 0_usize..5,
        life in proptest::collection::vec(any_action(), 0..10),
        card in 0_u8..6,
        replacement in 20_u8..26,
    ) {
        let mut world = World::new(Style::ALL[style], TWO_POINTS);
        for action in life {
            if let Ok(after) = world.subscription.perform(&action, world.now) {
                world.subscription = after;
            }
        }
        world.reconcile(|_| Fate::Done);
        let swap = format!(r#"{{"action":"swap_installed_item","serial":"{card}","replacement":"{replacement}"}}"#);
        let Ok(after) = world.subscription.perform(&action(&swap), world.now) else { return Ok(()) };
        let cards = |subscription: &Subscription, distributor| -> Vec<Holder> {
            let devices = subscription.devices_at(distributor, &DeviceKind::Smartcard);
            devices.map(|device| Holder::Smartcard(device.serial.clone())).collect()
        };
        let mut promised = Vec::new();
        for distributor in after.distributors.keys() {
            let holders = [cards(&world.subscription, distributor), cards(&after, distributor)].concat();
            for service in after.services_at(distributor) {
                if holders.iter().any(|holder| world.platform.shows(holder, &service.code, world.now)) {
                    promised.push((holders.clone(), service.code.clone()));
                }
            }
        }
        world.subscription = after;
        for body in world.plan().bodies(&world.subscription, &world.site.provider) {
            world.platform.carry_out(&body, &world.site).unwrap();
            for (holders, code) in &promised {
                assert!(holders.iter().any(|holder| world.platform.shows(holder, code, world.now)));
            }
        }
    }
}
