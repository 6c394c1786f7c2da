//! `Idempotency-Key`: a request that is posted twice is carried out once.
//!
//! The key and the digest of its body are stored in the transaction that accepts the request, so a repeat is
//! recognised after a restart too. Keys are apart for each API key and for each item of an array or a stream.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use headgate_core::request::Idempotency;
use sha2::{Digest, Sha256};

use super::auth::Caller;
use super::problem::{Kind, Problem};

/// The header that carries the key.
pub(super) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The header that tells an answer given before from a new one.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest key, in characters.
const KEY_LIMIT: usize = 255;

/// A caller's key, not yet narrowed to one item.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    caller: Caller,
    key: String,
}

impl Scope {
    /// The key in the headers, if there is one.
    ///
    /// # Errors
    /// A problem, if it is empty, too long or not printable ASCII.
    pub(super) fn of(headers: &HeaderMap, caller: &Caller) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get(HEADER) else { return Ok(None) };
        match value.to_str() {
            Ok(key) if (1..=KEY_LIMIT).contains(&key.len()) => {
                Ok(Some(Self { caller: caller.clone(), key: key.to_owned() }))
            }
            _ => {
                let detail = format!("must be 1 to {KEY_LIMIT} printable ASCII characters");
                Err(Problem::new(Kind::Malformed, "bad_idempotency_key", detail).field("Idempotency-Key"))
            }
        }
    }

    /// The key of one item: its place in the array or stream, zero for a single request. `digest` is that of
    /// the body, or of the line in a stream.
    pub(super) fn item(&self, place: u64, digest: [u8; 32]) -> Idempotency {
        // Neither a header nor a number holds a line break, so no two callers can make the same key.
        Idempotency { key: format!("{}\n{place}\n{}", self.caller.name, self.key), digest }
    }
}

/// SHA-256 of a body.
pub(super) fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// The keys whose first call has not been answered yet.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<HashSet<String>>);

impl InFlight {
    /// Marks a key as in flight until the guard is dropped.
    ///
    /// # Errors
    /// A problem, if it is in flight already.
    pub(super) fn enter(&self, key: &str) -> Result<Flight<'_>, Problem> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned()) {
            return Ok(Flight { all: self, key: key.to_owned() });
        }
        Err(Problem::new(Kind::Conflict, "in_flight", "the first request with this key has not been answered yet")
            .field("Idempotency-Key")
            .retry_after(Duration::from_secs(1)))
    }
}

/// A key in flight.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    all: &'a InFlight,
    key: String,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Checks that a repeat has the body of the first.
///
/// # Errors
/// A problem, if it has another.
pub(super) fn same_body(first: [u8; 32], repeat: [u8; 32]) -> Result<(), Problem> {
    if first == repeat {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Refused,
        "key_reused",
        "this key was used with another body; use a new key for a new request",
    )
    .field("Idempotency-Key"))
}
