//! What the fuzz targets call. Each must return for every input.

use std::sync::{Arc, LazyLock};

use super::{TEMPLATES, settings};
use crate::template::{Profile, Signer, fuzzing};

static SHIPPED: LazyLock<Option<(Profile, Arc<dyn Signer>)>> = LazyLock::new(|| {
    let configured = settings::read(&serde_json::json!({})).ok()?;
    Some((TEMPLATES.profile(&configured).ok()?, configured.signer))
});

/// Reading answers, the platform's reading of calls, and explaining never panic.
pub fn answer_never_panics(bytes: &[u8]) {
    if let Some((profile, signer)) = &*SHIPPED {
        fuzzing::messages_never_panic(&TEMPLATES, profile, signer, bytes);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_entry_returns() {
        assert!(super::SHIPPED.is_some());
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
