//! The whole engine under simulated time: dispatcher, adapter, platform and store joined in memory, with
//! delays, faults and crashes drawn from a seed or from the bytes of a fuzzer.
//!
//! A [`World`] is one provider's life. Its clock jumps from event to event, so hours pass in
//! milliseconds; its randomness comes from one seed, so a failure can be played again:
//! `HEADGATE_SEED=1234 cargo nextest run -p headgate-simulation`.
//!
//! What must hold afterwards is in [`verdict`]: the rules of the design's section 5.

pub mod choices;
pub mod kinds;
pub mod plan;
pub mod store;
pub mod verdict;
pub mod watched;
pub mod wire;
pub mod world;

use arbitrary::Unstructured;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub use kinds::Kind;
pub use plan::Plan;
pub use world::World;

/// Plays one seed of one kind of platform to its end.
///
/// # Errors
/// The rule that was broken, in words.
pub fn play_seed(kind: &Kind, seed: u64) -> Result<verdict::Tally, String> {
    play(kind, Plan::draw(kind, &mut StdRng::seed_from_u64(seed)), seed)
}

/// Plays what bytes say: two choose the delays, the rest are the plan's [`choices`].
///
/// # Errors
/// As [`play_seed`].
pub fn play_bytes(kind: &Kind, bytes: &[u8]) -> Result<verdict::Tally, String> {
    let mut bytes = Unstructured::new(bytes);
    let seed = bytes.arbitrary::<u16>().unwrap_or_default();
    play(kind, Plan::draw(kind, &mut bytes), seed.into())
}

fn play(kind: &Kind, plan: Plan, seed: u64) -> Result<verdict::Tally, String> {
    let world = World::new(kind, plan, seed).run()?;
    verdict::check(&world)
}
