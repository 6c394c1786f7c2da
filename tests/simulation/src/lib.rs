//! The whole engine under simulated time: dispatcher, adapter, platform and store joined in memory, with
//! delays, faults and crashes drawn from a seed.
//!
//! A [`World`] is one provider's life. Its clock jumps from event to event, so hours pass in
//! milliseconds; its randomness comes from one seed, so a failure can be played again:
//! `HEADGATE_SEED=1234 cargo nextest run -p headgate-simulation`.
//!
//! What must hold afterwards is in [`verdict`]: the rules of the design's section 5.

pub mod plan;
pub mod store;
pub mod verdict;
pub mod wire;
pub mod world;

pub use plan::{Kind, Plan};
pub use world::World;

/// Plays one seed of one kind of platform to its end.
///
/// # Errors
/// The rule that was broken, in words.
pub fn play(kind: &Kind, seed: u64) -> Result<verdict::Tally, String> {
    let plan = Plan::draw(kind, seed);
    let world = World::new(kind, plan, seed).run()?;
    verdict::check(&world)
}
