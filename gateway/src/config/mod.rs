//! The configuration: one TOML file. These structs are its documentation; `headgate config schema` prints
//! them as JSON Schema.
//!
//! [`mod@load`] reads a file and points at every mistake; [`check`] holds what the types can not say;
//! [`example`] and [`schema`] describe it to people and to editors; [`key`] makes API keys.

pub mod check;
mod connection;
pub mod document;
pub mod example;
mod files;
pub mod key;
pub mod load;
pub mod problem;
pub mod schema;
mod secrets;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use headgate_codecs::crm_com::envelope::UtcOffset;
use headgate_codecs::crm_com::pull::settings::PullSettings;
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::reconcile::Strategy;
use headgate_core::text::ProviderName;
use serde::{Deserialize, Serialize};

pub use self::load::{Loaded, load};
pub use self::problem::{Problem, Problems, Severity};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where requests come in.
    pub server: Server,
    /// Where requests are kept.
    pub store: StoreConfig,
    /// Who may send them. Without keys only loopback is served.
    #[serde(rename = "key")]
    pub keys: Vec<ApiKey>,
    /// The platforms.
    #[serde(rename = "provider")]
    pub providers: Vec<ProviderConfig>,
    /// The CRMs whose pending requests are fetched.
    #[serde(rename = "pull")]
    pub pulls: Vec<PullConfig>,
}

/// Where requests come in.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port of the HTTP API. Default `127.0.0.1:8480`. Other than loopback needs `tls` and at least one key.
    pub listen: SocketAddr,
    /// Address and port for NDJSON over TCP, under the same `tls` and keys. Default: not served.
    pub stream_listen: Option<SocketAddr>,
    /// Certificate and key; reloaded on `SIGHUP` without dropping connections.
    pub tls: Option<ServerTls>,
    /// Largest body of a request, in bytes; a line, for NDJSON. Default 1 MiB.
    pub body_limit: usize,
    /// Most connections at once, API and stream each. Default 1,024.
    pub connections: usize,
    /// How long a client may take to send a request's head or go on with its body. It has ten times as long for the
    /// whole of a body, or of a line. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub read_timeout: Duration,
    /// How long a graceful stop waits for what is in flight. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub drain_timeout: Duration,
    /// Serve CRM.COM V4's calls for provisioning requests, too. Default: not served.
    pub crm_com: Option<CrmComFace>,
}

/// CRM.COM V4's calls for provisioning requests, for portals that were written for them.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CrmComFace {
    /// Which provider serves the calls of which prefix. Those of a prefix that is not here are refused.
    pub providers: CrmComProviders,
    /// How long a call waits for an outcome: with `process_immediately`, of a PIN, of a sign-in. At most 5 min. Default
    /// 10 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub wait: Duration,
    /// Without `process_immediately`, let requests wait (`process = "with_run"`) instead of sending them as soon as
    /// they may go. Default false.
    pub wait_for_run: bool,
    /// The zone of the times in calls and answers, which carry none. Default `+00:00`.
    pub utc_offset: UtcOffset,
    /// What an `installed_item_identifier` names. Default `smartcard`.
    pub installed_items: InstalledItems,
}

impl Default for CrmComFace {
    fn default() -> Self {
        Self {
            providers: CrmComProviders::default(),
            wait: Duration::from_secs(10),
            wait_for_run: false,
            utc_offset: UtcOffset::default(),
            installed_items: InstalledItems::default(),
        }
    }
}

/// What an installed item is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstalledItems {
    /// A smartcard.
    #[default]
    Smartcard,
    /// A set-top box.
    Stb,
}

/// The provider that serves each prefix of CRM.COM's calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CrmComProviders {
    /// `conax_sms_sas/...`
    pub conax_sms_sas: Option<ProviderName>,
    /// `conax_web_services/...`
    pub conax_web_services: Option<ProviderName>,
    /// `nagra_media_platform/...`
    pub nagra_media_platform: Option<ProviderName>,
    /// `nagravision/...`
    pub nagravision: Option<ProviderName>,
    /// `nds/...`
    pub nds: Option<ProviderName>,
    /// `perception/...`
    pub perception: Option<ProviderName>,
    /// `tucano/...`
    pub tucano: Option<ProviderName>,
    /// `vcas_omi_dvb/...`
    pub vcas_omi_dvb: Option<ProviderName>,
}

impl CrmComProviders {
    /// Every prefix, and its provider.
    #[must_use]
    pub const fn all(&self) -> [(&'static str, Option<&ProviderName>); 8] {
        [
            ("conax_sms_sas", self.conax_sms_sas.as_ref()),
            ("conax_web_services", self.conax_web_services.as_ref()),
            ("nagra_media_platform", self.nagra_media_platform.as_ref()),
            ("nagravision", self.nagravision.as_ref()),
            ("nds", self.nds.as_ref()),
            ("perception", self.perception.as_ref()),
            ("tucano", self.tucano.as_ref()),
            ("vcas_omi_dvb", self.vcas_omi_dvb.as_ref()),
        ]
    }

    /// The provider that serves a prefix.
    #[must_use]
    pub fn of(&self, prefix: &str) -> Option<&ProviderName> {
        self.all().into_iter().find(|(known, _)| *known == prefix).and_then(|(_, provider)| provider)
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            stream_listen: None,
            tls: None,
            body_limit: 1 << 20,
            connections: 1024,
            read_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            crm_com: None,
        }
    }
}

/// The API's certificate.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// Certificate chain, PEM, the server's own first.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Authorities whose client certificates are demanded, PEM. Default: no client certificate is asked for.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// Where requests are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// The SQLite file. Default `headgate.db`, beside where the program is started.
    pub path: PathBuf,
    /// How long idempotency keys are remembered. Default 24 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub keep_keys: Duration,
    /// How many state changes are kept for the event stream. Default 1,000,000.
    pub keep_changes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { path: PathBuf::from("headgate.db"), keep_keys: Duration::from_hours(24), keep_changes: 1_000_000 }
    }
}

/// One API key. The key itself is not kept: only its hash.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Who holds it, for logs.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the key, 64 hexadecimal digits; `headgate config key` makes both.
    pub sha256: String,
    /// For the role `worker`: the providers whose work it may fetch. Default: those of every provider that is served.
    #[serde(default)]
    pub providers: Vec<ProviderName>,
}

/// What an API key may do; each role may do what those before it may, but for `worker`, which stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Fetch and answer the work of providers that are served (protocol `generic`). Nothing else; operators may, too.
    Worker,
    /// See requests and providers.
    Viewer,
    /// Send requests.
    Crm,
    /// Retry, cancel and resolve requests; test providers and switch them on and off.
    Operator,
    /// Everything, raw messages included.
    Admin,
}

impl Role {
    /// Every role, from the least to the most.
    pub const ALL: [Self; 5] = [Self::Worker, Self::Viewer, Self::Crm, Self::Operator, Self::Admin];

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Viewer => "viewer",
            Self::Crm => "crm",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// One platform.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its name, as requests use it.
    pub name: ProviderName,
    /// The protocol it speaks; `headgate providers --protocols` lists them.
    pub protocol: String,
    /// Whether anything is sent to it. Default `effective`.
    #[serde(default)]
    pub state: ProviderState,
    /// The CRM's service codes and the platform's ids for them.
    #[serde(default)]
    pub services: ServiceMap,
    /// How much at once.
    #[serde(default)]
    pub limits: Limits,
    /// How often again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// When to leave it alone.
    #[serde(default)]
    pub breaker: BreakerPolicy,
    /// How its subscriptions are kept in step.
    #[serde(default)]
    pub strategy: Strategy,
    /// What the protocol needs to know; see its page under `docs/protocols`.
    #[serde(default = "no_settings")]
    pub settings: serde_json::Value,
    /// How it is reached; left out where the platform's side calls.
    #[serde(default)]
    pub connection: crate::drive::Connection,
}

impl ProviderConfig {
    /// What the engine needs to know of it.
    #[must_use]
    pub fn provider(&self) -> Provider {
        Provider {
            name: self.name.clone(),
            services: self.services.clone(),
            limits: self.limits.clone(),
            retry: self.retry.clone(),
            breaker: self.breaker.clone(),
        }
    }
}

/// One CRM whose pending requests are fetched: CRM.COM V4's calls for a Generic provider.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PullConfig {
    /// Its name, 1 to 32 characters. By it and the CRM's number a request is recognised when it comes again: do not
    /// change it while requests are pending.
    pub name: String,
    /// The provider that carries the requests out.
    pub to: ProviderName,
    /// Whether anything is fetched. Default `effective`.
    #[serde(default)]
    pub state: ProviderState,
    /// What is fetched, and what it becomes.
    #[serde(default)]
    pub settings: PullSettings,
    /// How the CRM's Web API is reached: `url`, and what goes with it.
    #[serde(default)]
    pub connection: crate::drive::Connection,
}

/// An empty table, for protocols whose every setting has a default.
fn no_settings() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// Whether anything is sent to a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderState {
    /// Requests go out.
    #[default]
    Effective,
    /// Requests are accepted and wait.
    NotEffective,
}

impl ProviderState {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Effective => "effective",
            Self::NotEffective => "not_effective",
        }
    }
}
