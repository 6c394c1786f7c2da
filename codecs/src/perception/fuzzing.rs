//! What the fuzz targets call. Each must return for every input.

use std::sync::LazyLock;

use super::settings::{self, Checked};
use super::{MEANINGS, signature};
use crate::template::dissect::Described;
use crate::template::{Profile, fuzzing};

static PROFILE: LazyLock<Option<Profile>> = LazyLock::new(|| {
    let Checked { context, signer, .. } = Checked::read(&serde_json::json!({})).ok()?;
    settings::profile(None, &context, &*signer).ok()
});

/// Reading answers, the platform's reading of calls, and explaining never panic.
pub fn answer_never_panics(bytes: &[u8]) {
    let Some(profile) = &*PROFILE else { return };
    fuzzing::answers_never_panic(profile, bytes);
    fuzzing::platform_never_panics(profile.clone(), bytes);
    let described = Described { profile, tail: signature::resource_path, meanings: MEANINGS };
    let _ = crate::http::dissect::dissect(bytes, &described);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_entry_returns() {
        for bytes in [&b""[..], b"/provider/subscribers/get\n{\"subscriberId\":\"1\"}", b"{\"errorType\":5}", b"\xff<"]
        {
            super::answer_never_panics(bytes);
        }
    }
}
