//! One client's link, as the platform sees it.

use bytes::BytesMut;

use crate::framing::Inbox;

/// One client's link.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) inbox: Inbox,
    /// Answers written and not yet sent.
    pub(super) out: BytesMut,
    /// Whether the client has logged in.
    pub(super) open: bool,
    /// Nothing is read or sent any more: a fault.
    pub(super) mute: bool,
}

impl Default for Session {
    fn default() -> Self {
        // The buffer grows by what it started with.
        Self { inbox: Inbox::default(), out: BytesMut::with_capacity(16 * 1024), open: false, mute: false }
    }
}
