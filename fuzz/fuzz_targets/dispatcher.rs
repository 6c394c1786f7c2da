//! The whole engine under simulated time: the first byte chooses the kind of platform, the rest what happens.

#![no_main]

use std::sync::LazyLock;

use headgate_simulation::kinds::{self, Kind};

static KINDS: LazyLock<[Kind; 2]> = LazyLock::new(|| [kinds::nagravision(), kinds::conax()]);

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let kind = &KINDS[usize::from(*kind) % KINDS.len()];
    if let Err(broken) = headgate_simulation::play_bytes(kind, rest) {
        panic!("{}: {broken}", kind.protocol.name);
    }
});
