//! What every protocol over HTTP shares.
//!
//! A protocol says which calls carry a command and what their answers mean, as a [`Dialogue`]; an [`HttpAdapter`] does
//! the rest, once for all of them: the one session that all calls share, its renewal, calls side by side, what may have
//! been sent, the record of what was said. The platform's side is a [`Backend`] in an [`HttpPlatform`].
//!
//! [`oauth`] opens sessions by OAuth 2.0 tokens. Beside it stand the forms of bodies: [`form`] (`application/x-www-form-urlencoded`), [`soap`], and
//! [`crate::xml`] and `serde_json` below them; [`message`] reads and writes whole HTTP messages for records and for
//! `headgate decode`.

pub mod adapter;
pub mod answer;
#[cfg(test)]
mod conformance;
pub mod dialogue;
pub mod dissect;
pub mod form;
pub mod message;
pub mod oauth;
pub mod platform;
pub mod raw;
pub mod session;
pub mod soap;
pub mod tally;
#[cfg(test)]
mod tests;
pub mod token_end_point;

pub use self::adapter::{CallSettings, HttpAdapter, encode};
pub use self::dialogue::{Begun, Dialogue, End, LoginRules, OpenedSession, Step};
pub use self::platform::{Backend, HttpPlatform};
