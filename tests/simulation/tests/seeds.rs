//! The whole engine under simulated time, with faults and crashes: 1,400 seeds in all. A seed that fails is
//! printed; `HEADGATE_SEED=N` plays it alone, `HEADGATE_SEEDS=N` plays more.

use headgate_core::request::State;
use headgate_simulation::kinds::{Kind, conax, exset, nagravision};
use headgate_simulation::verdict::Tally;
use headgate_simulation::{play_bytes, play_seed};

/// Plays seeds `from..from + count`, or the one that `HEADGATE_SEED` names.
fn seeds(kind: &Kind, from: u64, count: u64) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (from, count) = match number("HEADGATE_SEED") {
        Some(seed) => (seed, 1),
        None => (from, number("HEADGATE_SEEDS").unwrap_or(count)),
    };
    let mut total = Tally::default();
    for seed in from..from + count {
        match play_seed(kind, seed) {
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
    seeds(&nagravision(), 0, 300);
}

#[test]
fn nagravision_second_half() {
    seeds(&nagravision(), 300, 300);
}

#[test]
fn conax_first_half() {
    seeds(&conax(), 0, 200);
}

#[test]
fn conax_second_half() {
    seeds(&conax(), 200, 200);
}

#[test]
fn exset_first_half() {
    seeds(&exset(), 0, 200);
}

#[test]
fn exset_second_half() {
    seeds(&exset(), 200, 200);
}

/// Found by fuzzing: an attempt that nobody knows to have arrived was carried out, the next one was refused.
#[test]
fn rejected_after_an_attempt_in_doubt() {
    let input = include_bytes!("../../../fuzz/corpus/dispatcher/rejected_after_doubt");
    play_bytes(&nagravision(), &input[1..]).unwrap();
}
