//! What happens in a world, drawn from its seed: requests, faults, broken links, crashes.

use std::time::Duration;

use headgate_codecs::registry::{self, Protocol};
use headgate_core::platform::Fault;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// A kind of platform, and what can be asked of it.
pub struct Kind {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// The provider's settings.
    pub settings: Value,
    /// Directories of its file server, for file platforms.
    pub directories: &'static [&'static str],
    /// The CRM's services and the platform's ids.
    pub services: &'static [(&'static str, &'static str)],
    /// Makes a card number from a small one.
    pub card: fn(usize) -> String,
    /// Makes a box number from a small one.
    pub stb: fn(usize) -> String,
    /// Whether an unpairing names the box rather than the card.
    pub unpairs_stb: bool,
    /// Commands that may be drawn.
    pub commands: &'static [&'static str],
    /// Faults that may be drawn.
    pub faults: &'static [Fault],
    /// Longest pause between events of the plan; file platforms need more.
    pub pace: Duration,
    /// After this long without a fault everything must have ended.
    pub patience: Duration,
}

impl Kind {
    /// A kind of that protocol, without anything to ask.
    ///
    /// # Panics
    /// If there is no such protocol.
    #[must_use]
    pub fn protocol(name: &str) -> &'static Protocol {
        registry::find(name).expect("a protocol of the registry")
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// The CRM sends this.
    Request(Value),
    /// The platform misbehaves.
    Fault(Fault),
    /// Every link breaks.
    Break,
    /// The platform is away for that long.
    Away(Duration),
    /// The gateway dies; of what it had not committed, this share had reached the disk, in per cent.
    Crash(usize),
    /// The CRM takes back the request of that place in the plan.
    Cancel(usize),
    /// The disk is full for the next new request.
    DiskFull,
}

/// What happens, and after what pauses.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each step with the pause before it.
    pub steps: Vec<(Duration, Step)>,
    /// The provider's limits, drawn too.
    pub window: usize,
}

impl Plan {
    /// Draws a plan.
    #[must_use]
    pub fn draw(kind: &Kind, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let subscriptions = rng.random_range(1..8);
        let trouble = rng.random_range(0..25);
        let pace = u64::try_from(kind.pace.as_micros()).unwrap_or(u64::MAX);
        let length = rng.random_range(15..70);
        let steps = (0..length)
            .map(|place| {
                let pause = if rng.random_bool(0.6) { 0 } else { rng.random_range(0..pace) };
                let step = match rng.random_range(0..100) {
                    chance if chance < trouble => trouble_step(kind, &mut rng, place),
                    _ => Step::Request(request(kind, &mut rng, place, subscriptions)),
                };
                (Duration::from_micros(pause), step)
            })
            .collect();
        Self { steps, window: rng.random_range(1..40) }
    }
}

fn trouble_step(kind: &Kind, rng: &mut StdRng, place: usize) -> Step {
    match rng.random_range(0..10) {
        0 => Step::Break,
        1 => Step::Away(kind.pace * rng.random_range(1..20)),
        2 | 3 => Step::Crash(rng.random_range(0..=100)),
        4 => Step::Cancel(rng.random_range(0..=place)),
        5 => Step::DiskFull,
        _ => Step::Fault(kind.faults[rng.random_range(0..kind.faults.len())]),
    }
}

/// A request for one of the subscriptions. Each has its own card, and each message its own text, so that what
/// the platform holds can be told apart.
fn request(kind: &Kind, rng: &mut StdRng, place: usize, subscriptions: usize) -> Value {
    let who = rng.random_range(0..subscriptions);
    let command = kind.commands[rng.random_range(0..kind.commands.len())];
    let mut body = json!({
        "provider": "p",
        "command": command,
        "subscription": format!("S{who}"),
        "smartcard": (kind.card)(who),
    });
    if rng.random_bool(0.15) {
        body["priority"] = json!("express");
    }
    match command {
        "activate_services" | "set_services" => {
            let count = rng.random_range(1..=2.min(kind.services.len()));
            let first = rng.random_range(0..=kind.services.len() - count);
            body["services"] = kind.services[first..first + count].iter().map(|(code, _)| *code).collect();
            body["start"] = json!("2026-11-01T00:00:00Z");
            body["end"] = json!(format!("20{}-12-31T23:59:00Z", 30 + place % 40));
        }
        "deactivate_services" | "suspend" | "resume" => {
            body["services"] = json!([kind.services[rng.random_range(0..kind.services.len())].0]);
        }
        "pair" => body["stb"] = json!((kind.stb)(who)),
        "test_connection" => {
            body.as_object_mut().expect("an object").remove("smartcard");
        }
        "unpair" if kind.unpairs_stb => {
            body["stb"] = json!((kind.stb)(who));
            body.as_object_mut().expect("an object").remove("smartcard");
        }
        "set_pin" => body["pin"] = json!(format!("{:04}", place)),
        "disable_device" => body["reason"] = json!("lost"),
        "send_message" => {
            body["message"] = json!({ "kind": "bark", "text": format!("message {place}"), "duration_seconds": 10 });
        }
        _ => {}
    }
    body
}
