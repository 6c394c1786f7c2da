//! What the fuzz targets call. Each must return for every input.

use std::sync::LazyLock;

use super::{TEMPLATES, settings};
use crate::template::{Profile, fuzzing};

static PROFILE: LazyLock<Option<Profile>> =
    LazyLock::new(|| TEMPLATES.profile(&settings::read(&serde_json::json!({})).ok()?).ok());

/// Reading answers, the platform's reading of calls, and explaining never panic.
pub fn answer_never_panics(bytes: &[u8]) {
    if let Some(profile) = &*PROFILE {
        fuzzing::messages_never_panic(&TEMPLATES, profile, bytes);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_entry_returns() {
        assert!(super::PROFILE.is_some());
        for bytes in [
            &b""[..],
            b"/api/user\naction=removeUser&userId=1",
            b"{\"status\":\"ok\"}",
            b"{\"error\":{\"code\":5}}",
            b"\xff<",
            b"[[[[",
        ] {
            super::answer_never_panics(bytes);
        }
    }
}
