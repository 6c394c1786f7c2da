//! What happens in a world: requests, faults, broken links, crashes, drawn from [`Choices`].

use std::time::Duration;

use headgate_core::platform::Fault;
use serde_json::{Value, json};

use super::choices::Choices;
use super::kinds::Kind;

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
    /// Draws a plan of 15 to 69 steps; of fewer if the choices run out.
    #[must_use]
    pub fn draw(kind: &Kind, choices: &mut impl Choices) -> Self {
        let subscriptions = 1 + choices.below(7);
        let trouble = choices.below(25);
        let window = 1 + choices.below(39);
        let length = 15 + choices.below(55);
        let mut steps = Vec::with_capacity(length);
        while steps.len() < length && choices.are_left() {
            let place = steps.len();
            let pause = if choices.percent(60) { 0 } else { choices.below(micros(kind.pace)) };
            let step = match choices.below(100) {
                chance if chance < trouble => trouble_step(kind, choices, place),
                _ => Step::Request(request(kind, choices, place, subscriptions)),
            };
            steps.push((Duration::from_micros(pause as u64), step));
        }
        Self { steps, window }
    }
}

fn micros(duration: Duration) -> usize {
    usize::try_from(duration.as_micros()).unwrap_or(usize::MAX)
}

fn trouble_step(kind: &Kind, choices: &mut impl Choices, place: usize) -> Step {
    match choices.below(10) {
        0 => Step::Break,
        1 => Step::Away(kind.pace.saturating_mul(1 + u32::try_from(choices.below(19)).unwrap_or_default())),
        2 | 3 => Step::Crash(choices.below(101)),
        4 => Step::Cancel(choices.below(place + 1)),
        5 => Step::DiskFull,
        _ => Step::Fault(*choices.one_of(kind.faults)),
    }
}

/// A request for one of the subscriptions. Each has its own card, and each message its own text, so that what
/// the platform holds can be told apart.
fn request(kind: &Kind, choices: &mut impl Choices, place: usize, subscriptions: usize) -> Value {
    let who = choices.below(subscriptions);
    let command = *choices.one_of(kind.commands);
    let mut body = json!({
        "provider": "p",
        "command": command,
        "subscription": format!("S{who}"),
        "smartcard": (kind.card)(who),
    });
    if choices.percent(15) {
        body["priority"] = json!("express");
    }
    match command {
        "activate_services" | "set_services" => {
            let count = 1 + choices.below(2.min(kind.services.len()));
            let first = choices.below(kind.services.len() - count + 1);
            body["services"] = kind.services[first..first + count].iter().map(|(code, _)| *code).collect();
            body["start"] = json!("2026-11-01T00:00:00Z");
            body["end"] = json!(format!("20{}-12-31T23:59:00Z", 30 + place % 40));
        }
        "deactivate_services" | "suspend" | "resume" => {
            body["services"] = json!([choices.one_of(kind.services).0]);
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
