//! The one list of protocols, and what each of them offers to the rest of Headgate.

use std::sync::Arc;

use bytes::Bytes;
use headgate_core::Now;
use headgate_core::adapter::{Adapter, Rules};
use headgate_core::platform::Platform;
use headgate_core::provider::Provider;
use headgate_core::request::Request;
use serde_json::Value;

use crate::dissect::Dissection;
use crate::{
    conax_sms, conax_web, exset_sms, generic_provider, icareus, nagra_medialive, nagravision_cag, nagravision_smsgw,
    panaccess, perception, tucano, vcas_omi,
};

/// Every protocol, by name.
pub static PROTOCOLS: &[Protocol] = &[
    conax_sms::PROTOCOL,
    conax_web::PROTOCOL,
    exset_sms::PROTOCOL,
    generic_provider::PROTOCOL,
    icareus::PROTOCOL,
    nagra_medialive::PROTOCOL,
    nagravision_cag::PROTOCOL,
    nagravision_smsgw::PROTOCOL,
    panaccess::PROTOCOL,
    perception::PROTOCOL,
    tucano::PROTOCOL,
    vcas_omi::PROTOCOL,
];

/// The protocol of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}

/// What a protocol offers.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::type_complexity, reason = "each is written out where it is documented, and nowhere else")]
pub struct Protocol {
    /// Its name in the configuration, as in `conax-sms`.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What carries it: decides which driver and which connection settings it gets.
    pub transport: Transport,
    /// What of its wire form is not confirmed by a public source; empty: all is.
    pub unconfirmed: &'static str,
    /// The protocol's settings in a provider's `settings` table, as JSON Schema.
    pub settings_schema: fn() -> Value,
    /// The profile it ships with, as the TOML an operator would put under `settings.profile`; empty:
    /// its wire form is fixed.
    pub profile: &'static str,
    /// Makes the gateway's side. `settings` is the provider's `settings` table; `seed` varies what
    /// may vary between starts (first transaction number, reconnect jitter).
    pub open: fn(provider: &Provider, settings: &Value, seed: u64) -> Result<Opened, SettingsError>,
    /// Makes the platform's side, with the same settings and what it holds from the start.
    pub platform: fn(settings: &Value, stock: &Stock) -> Result<Box<dyn Platform>, SettingsError>,
    /// Explains messages: everything that `bytes` holds, one dissection for each message. `name` is
    /// the file's name, where it came from one.
    pub decode: fn(settings: &Value, name: Option<&str>, bytes: &[u8]) -> Result<Vec<Dissection>, SettingsError>,
    /// What `headgate demo` shows of it.
    pub demo: Demo,
    /// Writes a request as the messages that would carry it, without sending them: the first of them, where
    /// the others depend on answers.
    pub encode:
        fn(provider: &Provider, settings: &Value, now: Now, request: &Request) -> Result<Vec<Encoded>, EncodeError>,
}

/// What `headgate demo` shows of a protocol. The demo's provider has the protocol's name.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// What stands under `connection` beside the address, as TOML: credentials.
    pub connection: &'static str,
    /// Settings that make it quick, as the TOML that stands under `settings`.
    pub settings: &'static str,
    /// The CRM's services and the platform's ids.
    pub services: &'static [(&'static str, &'static str)],
    /// The cards that the platform knows, in its own form.
    pub cards: &'static [&'static str],
    /// What the CRM asks, one JSON object a line.
    pub requests: &'static str,
    /// How many of the requests are there to be refused.
    pub refused: usize,
}

/// What carries a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Links that carry bytes both ways: TCP, TLS.
    Stream,
    /// Files in directories: local, FTP, FTPS, SFTP.
    Files,
    /// Calls over HTTP and HTTPS.
    Http,
    /// Calls that come in: the platform's side asks the gateway for work.
    Served,
    /// A table of a database: PostgreSQL, MariaDB, SQLite.
    Table,
}

/// The gateway's side of one provider.
pub struct Opened {
    /// What may be asked of it.
    pub rules: Arc<dyn Rules>,
    /// The conversation.
    pub adapter: Box<dyn Adapter>,
}

/// What a simulated platform holds from the start.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    /// Card numbers it knows, in the form the platform uses. Empty: every well-formed card is known.
    pub cards: Vec<String>,
    /// Product ids it knows. Empty: every well-formed product is known.
    pub products: Vec<String>,
}

/// One message that would carry a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What it is; a file's name for file protocols.
    pub title: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Settings that can not be: which one, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {text}")]
pub struct SettingsError {
    /// Path below the provider's `settings` table, parts joined by dots: `profile.commands.pair.number`. Empty: the table itself.
    pub path: String,
    /// What is wrong and what would be right.
    pub text: String,
}

impl SettingsError {
    /// An error at `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// Why a command was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The settings can not be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The command can not be put into this protocol's words.
    #[error(transparent)]
    Refused(#[from] headgate_core::body::Refusal),
}

/// Reads a protocol's settings, telling the path of a mistake.
///
/// # Errors
/// [`SettingsError`] with the path of the first value that does not fit.
pub fn read_settings<T: serde::de::DeserializeOwned>(settings: &Value) -> Result<T, SettingsError> {
    serde_path_to_error::deserialize(settings).map_err(|error| {
        SettingsError::new(error.path().to_string().trim_start_matches('.').to_owned(), error.inner().to_string())
    })
}
