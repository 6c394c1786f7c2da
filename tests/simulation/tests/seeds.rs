//! The whole engine under simulated time, with faults and crashes: 1,000 seeds in all. A seed that fails is
//! printed; `HEADGATE_SEED=N` plays it alone, `HEADGATE_SEEDS=N` plays more.

use std::time::Duration;

use headgate_core::platform::Fault;
use headgate_core::request::State;
use headgate_simulation::verdict::Tally;
use headgate_simulation::{Kind, play};
use serde_json::json;

fn nagra() -> Kind {
    Kind {
        protocol: Kind::protocol("nagravision-smsgw"),
        settings: json!({ "links": 2, "window_per_link": 8, "answer_timeout": "3s", "link_check_after": "5s" }),
        directories: &[],
        services: &[("BASIC", "41"), ("SPORT", "42"), ("FILM", "43")],
        card: |n| format!("{:010}", 4_000 + n),
        stb: |n| format!("{:010}", 7_000 + n),
        unpairs_stb: false,
        commands: &[
            "activate_services",
            "activate_services",
            "deactivate_services",
            "set_services",
            "suspend",
            "resume",
            "refresh_services",
            "pair",
            "unpair",
            "set_pin",
            "reset_pin",
            "clear_pin",
            "send_message",
            "send_message",
            "fingerprint",
            "disable_device",
            "enable_device",
            "get_services",
            "test_connection",
        ],
        faults: &[
            Fault::Garbage,
            Fault::WrongNumber,
            Fault::HalfFrame,
            Fault::DuplicateAnswer,
            Fault::Silence,
            Fault::CloseBefore,
            Fault::CloseInstead,
            Fault::CloseAfter,
            Fault::Delay(2_000),
            Fault::Delay(5_000),
            Fault::UnknownCard,
            Fault::Throttle,
            Fault::RefuseLogin,
        ],
        pace: Duration::from_millis(400),
        patience: Duration::from_secs(3_600),
    }
}

fn conax() -> Kind {
    Kind {
        protocol: Kind::protocol("conax-sms"),
        settings: json!({ "answer_timeout": "10m" }),
        directories: &["autreq/req", "autreq/ok", "autreq/err"],
        services: &[("BASIC", "41"), ("SPORT", "42"), ("FILM", "43")],
        card: |n| format!("01{n:09}"),
        stb: |n| format!("00{n:09}"),
        unpairs_stb: true,
        commands: &[
            "activate_services",
            "activate_services",
            "deactivate_services",
            "set_services",
            "pair",
            "unpair",
            "send_message",
            "send_message",
            "get_services",
        ],
        faults: &[
            Fault::Garbage,
            Fault::HalfFrame,
            Fault::DuplicateAnswer,
            Fault::Silence,
            Fault::Delay(2_000),
            Fault::Delay(30_000),
            Fault::UnknownCard,
        ],
        pace: Duration::from_secs(4),
        patience: Duration::from_hours(24),
    }
}

/// Plays seeds `from..from + count`, or the one that `HEADGATE_SEED` names.
fn seeds(kind: &Kind, from: u64, count: u64) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (from, count) = match number("HEADGATE_SEED") {
        Some(seed) => (seed, 1),
        None => (from, number("HEADGATE_SEEDS").unwrap_or(count)),
    };
    let mut total = Tally::default();
    for seed in from..from + count {
        match play(kind, seed) {
            Ok(tally) => total.add(&tally),
            Err(broken) => panic!(
                "seed {seed} of {}: {broken}\nplay it again: HEADGATE_SEED={seed} cargo nextest run -p headgate-simulation {}",
                kind.protocol.name,
                kind.protocol.name.split('-').next().unwrap_or_default(),
            ),
        }
    }
    if count > 1 {
        assert!(total.compared > 0, "nothing was compared: {total:?}");
        assert!(
            total.states.get(&State::Completed) > total.states.get(&State::Unknown),
            "too little completes: {total:?}"
        );
        assert!(total.states.contains_key(&State::Unknown), "no crash or silence left anything unknown: {total:?}");
        assert!(total.states.contains_key(&State::Rejected), "nothing was refused: {total:?}");
    }
}

#[test]
fn nagravision_first_half() {
    seeds(&nagra(), 0, 300);
}

#[test]
fn nagravision_second_half() {
    seeds(&nagra(), 300, 300);
}

#[test]
fn conax_first_half() {
    seeds(&conax(), 0, 200);
}

#[test]
fn conax_second_half() {
    seeds(&conax(), 200, 200);
}
