//! Templates: protocols whose operations are not public, as data.
//!
//! A *profile* (TOML) lists a platform's operations: for each the call, with placeholders where values stand, and how the
//! answer is read. It is read once, as a [`ProfileTable`], and checked by [`Profile::compile`]: a mistake is told with its
//! place. [`Speech`] puts commands into calls and is the provider's [`headgate_core::adapter::Rules`];
//! [`TemplateDialogue`] holds the conversation, and [`TemplatePlatform`] is a stand-in for the platform.
//!
//! [`values`] and [`text`] know nothing of HTTP: other transports write their fields by them.
//!
//! No value can leave its place: JSON, XML, forms, paths and header fields are each written by their own rules.

pub mod answer;
pub mod body;
pub mod dialogue;
pub mod draft;
pub mod filter;
pub mod platform;
pub mod profile;
pub mod speech;
pub mod table;
#[cfg(test)]
mod tests;
pub mod text;
pub mod tree;
pub mod values;

pub use self::dialogue::TemplateDialogue;
pub use self::draft::{Draft, DraftBody, Signer, Unsigned};
pub use self::platform::TemplatePlatform;
pub use self::profile::{Environment, Profile};
pub use self::speech::Speech;
pub use self::table::{ProfileTable, SignTable};
pub use self::text::Template;
pub use self::values::{Context, Scope};
