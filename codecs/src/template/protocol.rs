//! What every protocol by templates gives to the registry in the same way.

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::request::Request;
use headgate_core::text::Secret;

use super::{Speech, TemplateDialogue};
use crate::http::{CallSettings, HttpAdapter};
use crate::registry::{EncodeError, Encoded, Opened};

/// The gateway's side.
#[must_use]
pub fn opened(speech: Speech, calls: CallSettings, seed: u64) -> Opened {
    let speech = Arc::new(speech);
    let dialogue = TemplateDialogue::new(Arc::clone(&speech));
    Opened { adapter: Box::new(HttpAdapter::new(dialogue, calls, seed)), rules: speech }
}

/// The first call that would carry a request. The session's place holds a word of ours.
///
/// # Errors
/// [`EncodeError::Refused`] if the platform's words can not say it.
pub fn encode(speech: Speech, now: Now, request: &Request) -> Result<Vec<Encoded>, EncodeError> {
    let has_sessions = speech.profile.login.is_some();
    let session = has_sessions.then(|| Secret::new("SESSION"));
    crate::http::encode(&mut TemplateDialogue::new(Arc::new(speech)), session.as_ref(), now, request)
}
