//! The provider's `connection` table: how a platform is reached.
//!
//! ```
//! # use headgate::drive::Connection;
//! # use headgate_codecs::registry::Transport;
//! // Links, to the first of two addresses that answers; TLS, trusted by the certificate's digest.
//! let links: Connection = toml::from_str(r#"
//!     address = ["cas-1.example:5000", "cas-2.example:5000"]
//!     connect_timeout = "3s"
//!     [tls]
//!     pinned_sha256 = "7F:83:B1:65:7F:F1:FC:53:B9:2D:C1:81:48:A1:D6:5D:FC:2D:4B:1F:A3:D6:77:28:4A:DD:D2:00:12:6D:90:69"
//! "#)?;
//! links.validate(Transport::Stream)?;
//!
//! // Files, over FTP.
//! let files: Connection = toml::from_str(r#"
//!     [ftp]
//!     host = "cas.example"
//!     user = "sms"
//!     password = "secret"
//!     home = "/site"
//! "#)?;
//! files.validate(Transport::Files)?;
//!
//! // Calls, over HTTPS.
//! let calls: Connection = toml::from_str(r#"
//!     url = "https://cas.example:8443/omi"
//!     basic = { user = "sms", password = "secret" }
//!     [tls]
//!     pinned_sha256 = "7F:83:B1:65:7F:F1:FC:53:B9:2D:C1:81:48:A1:D6:5D:FC:2D:4B:1F:A3:D6:77:28:4A:DD:D2:00:12:6D:90:69"
//! "#)?;
//! calls.validate(Transport::Http)?;
//!
//! // A table, in PostgreSQL.
//! let table: Connection = toml::from_str(r#"
//!     [database]
//!     kind = "postgres"
//!     host = "cas.example"
//!     user = "headgate"
//!     password = "secret"
//!     name = "sms"
//! "#)?;
//! table.validate(Transport::Table)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use headgate_codecs::registry::Transport;
use headgate_core::text::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

use super::route::Route;

/// How a provider is reached. Which of these it needs follows from its protocol: one that speaks over
/// links needs `address`; one that exchanges files needs exactly one of `directory`, `ftp` and `sftp`; one that
/// makes HTTP calls needs `url`; one that works on a table needs `database`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connection {
    /// Links: the platform's `host:port`, or several that are tried in this order whenever a link is
    /// opened. An IPv6 address stands in brackets: `[::1]:5000`.
    pub address: Option<OneOrMany>,
    /// Links and calls: how long opening a connection may take at each address, TLS included. Default 5 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// Links and calls: send small messages at once (`TCP_NODELAY`). Default true.
    pub nodelay: bool,
    /// Links and calls: after how long a silence the system asks whether the peer is still there; it is given
    /// up after three unanswered questions, as far apart as a third of this. `0s` never asks. Default 60 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub keepalive: Duration,
    /// Links: use TLS. Default: plain TCP. Calls: needed where a URL begins with `https:`.
    pub tls: Option<ClientTls>,
    /// Calls: the platform's web service, as in `https://cas.example:8443/base/path`, or several. A call goes to
    /// the one that worked last; if that can not be connected to, to the others in this order.
    pub url: Option<OneOrMany>,
    /// Calls: further web services of the platform, by the names that the protocol's page gives them. One that is
    /// not here is at `url`.
    pub endpoints: BTreeMap<String, OneOrMany>,
    /// Calls: most calls at once, 1 to 65536; further ones wait in their order. Default 64.
    pub connections: usize,
    /// Calls: a connection that was not used for this long is closed. `0s`: each call has a connection of its
    /// own. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub idle: Duration,
    /// Calls: how long an answer may take, from sending on until it is there whole, where the protocol does not
    /// say otherwise. Default 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// Calls: use HTTP/2 where the platform offers it, which it does by TLS (ALPN). Default true.
    pub http2: bool,
    /// Calls: identify ourselves with every call by a name and a password (`Authorization: Basic`).
    pub basic: Option<Basic>,
    /// Calls: identify ourselves with every call by a token (`Authorization: Bearer`).
    pub bearer: Option<Secret>,
    /// Calls: further header fields of every call, by name. A field that the protocol itself sends is not replaced.
    pub headers: BTreeMap<String, Secret>,
    /// Calls: send `basic`, `bearer` and `headers` to another machine without TLS, where everybody on the way can
    /// read them. Default false.
    pub allow_plain_credentials: bool,
    /// Files: the platform's home directory, where it is mounted on this machine.
    pub directory: Option<PathBuf>,
    /// Files: the platform's FTP server.
    pub ftp: Option<Ftp>,
    /// Files: the platform's SFTP server. Needs a Headgate that was built with the feature `sftp`.
    pub sftp: Option<Sftp>,
    /// Tables: the platform's database.
    pub database: Option<DatabaseSettings>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            address: None,
            connect_timeout: Duration::from_secs(5),
            nodelay: true,
            keepalive: Duration::from_secs(60),
            tls: None,
            url: None,
            endpoints: BTreeMap::new(),
            connections: 64,
            idle: Duration::from_secs(30),
            call_timeout: Duration::from_secs(30),
            http2: true,
            basic: None,
            bearer: None,
            headers: BTreeMap::new(),
            allow_plain_credentials: false,
            directory: None,
            ftp: None,
            sftp: None,
            database: None,
        }
    }
}

impl Connection {
    /// Checks that this table fits what carries the protocol. Reads the certificates and keys it names,
    /// but opens no connection.
    ///
    /// # Errors
    /// [`ConnectionError`] with the path of the first value that can not be.
    pub fn validate(&self, transport: Transport) -> Result<(), ConnectionError> {
        Route::new(transport, self).map(drop)
    }
}

/// A connection that can not be: which setting, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection{}{path}: {text}", if path.is_empty() { "" } else { "." })]
pub struct ConnectionError {
    /// Path below the provider's `connection` table, parts joined by dots: `tls.ca`. Empty: the table itself.
    pub path: String,
    /// What is wrong and what would be right.
    pub text: String,
}

impl ConnectionError {
    /// An error at `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// One text, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several; at least one.
    Many(#[schemars(length(min = 1))] Vec<String>),
}

impl OneOrMany {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// TLS towards a platform. Says by what the platform's certificate is trusted: `ca`, `pinned_sha256`,
/// or both, then it must pass both. The system's own authorities are never used: platforms rarely
/// have certificates of public ones.
#[derive(Clone, Debug, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// The name the platform's certificate must have, where it differs from the host in `address` or
    /// `url`.
    /// Not looked at when only `pinned_sha256` is given.
    pub server_name: Option<String>,
    /// Authorities that may have signed the platform's certificate, PEM.
    pub ca: Option<PathBuf>,
    /// SHA-256 of the platform's own certificate (DER), 64 hexadecimal digits with or without colons;
    /// or several, of which one must fit. `openssl x509 -noout -fingerprint -sha256` prints it.
    pub pinned_sha256: Option<OneOrMany>,
    /// Our certificate chain, PEM, our own first, for a platform that demands one. Needs `key`.
    pub certificate: Option<PathBuf>,
    /// Our private key, PEM. Needs `certificate`.
    pub key: Option<PathBuf>,
    /// The oldest version of TLS to accept. Default 1.2, which is also the oldest there is.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// A name and a password, for `Authorization: Basic`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The account; without `:`.
    pub user: String,
    /// The account's password.
    pub password: Secret,
}

/// An FTP server.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ftp {
    /// Its name or address.
    pub host: String,
    /// Its port. Default 21.
    #[serde(default = "ftp_port")]
    pub port: u16,
    /// The account.
    pub user: String,
    /// The account's password.
    pub password: Secret,
    /// The directory that the platform's paths start from. Default: where the login leads.
    #[serde(default)]
    pub home: String,
    /// How it is protected. Default `none`, which sends the password and every order in clear.
    #[serde(default)]
    pub security: FtpSecurity,
    /// By what the server's certificate is trusted; needed with `security = "explicit_tls"`.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// Never use TLS 1.3: for servers that demand a resumed session on data connections and can not do
    /// that with TLS 1.3. Default false.
    #[serde(default)]
    pub tls_1_2_only: bool,
    /// We open the data connections (passive mode), always to the host of the control connection. False: the
    /// server opens them, to a port it is told. Default true.
    #[serde(default = "yes")]
    pub passive: bool,
    /// How contents are transferred. Default `binary`.
    #[serde(default)]
    pub transfer: FtpTransfer,
    /// How long connecting may take, TLS included. Default 5 s.
    #[serde(default = "five_seconds", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the server may take over one command or one transfer. Default 30 s.
    #[serde(default = "half_a_minute", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// A session that was not used for this long is closed, and opened anew when needed. Default 1 min.
    #[serde(default = "one_minute", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub idle: Duration,
}

/// How an FTP session is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FtpSecurity {
    /// Not at all.
    #[default]
    None,
    /// `AUTH TLS` before the login, and TLS on data connections too.
    ExplicitTls,
}

/// How FTP transfers contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FtpTransfer {
    /// As they are (`TYPE I`).
    #[default]
    Binary,
    /// As text (`TYPE A`): line ends become CR LF on the way out and LF on the way in; the server turns them
    /// into its own.
    Ascii,
}

/// An SFTP server.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sftp {
    /// Its name or address.
    pub host: String,
    /// Its port. Default 22.
    #[serde(default = "sftp_port")]
    pub port: u16,
    /// The account.
    pub user: String,
    /// The account's password. Either this or `key`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The account's private key, OpenSSH or PEM form, without a passphrase. Either this or `password`.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The fingerprint of the server's host key, as `ssh-keygen -lf` prints it: `SHA256:` and 43 characters.
    pub host_key: String,
    /// The directory that the platform's paths start from. Default: where the login leads.
    #[serde(default)]
    pub home: String,
    /// How long connecting and logging in may take. Default 5 s.
    #[serde(default = "five_seconds", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the server may take over one request. Default 30 s.
    #[serde(default = "half_a_minute", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// A session that was not used for this long is closed, and opened anew when needed. Default 1 min.
    #[serde(default = "one_minute", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub idle: Duration,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// What it is.
    pub kind: DatabaseKind,
    /// PostgreSQL, MariaDB: the server's name or address.
    #[serde(default)]
    pub host: Option<String>,
    /// PostgreSQL, MariaDB: the server's port. Default 5432 and 3306.
    #[serde(default)]
    pub port: Option<u16>,
    /// PostgreSQL, MariaDB: the account.
    #[serde(default)]
    pub user: Option<String>,
    /// PostgreSQL, MariaDB: the account's password. Default: none.
    #[serde(default = "no_password")]
    pub password: Secret,
    /// PostgreSQL, MariaDB: the database's name.
    #[serde(default)]
    pub name: Option<String>,
    /// PostgreSQL, MariaDB: use TLS. MariaDB's takes `ca`, `server_name`, `certificate` and `key`, not `pinned_sha256`
    /// and `min_version`. Default: none, which sends every row in clear.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// SQLite: the file.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Most sessions at once, 1 to 32, and one more where the database tells by itself. Default 4.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 32))]
    pub connections: usize,
    /// How long connecting and logging in may take. Default 5 s.
    #[serde(default = "five_seconds", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// How long the database may take over one statement. Default 30 s.
    #[serde(default = "half_a_minute", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// A session that was not used for this long is closed, and opened anew when needed. Default 1 min.
    #[serde(default = "one_minute", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub idle: Duration,
}

impl DatabaseSettings {
    /// SQLite in this file.
    #[must_use]
    pub fn sqlite(file: PathBuf) -> Self {
        Self {
            kind: DatabaseKind::Sqlite,
            host: None,
            port: None,
            user: None,
            password: no_password(),
            name: None,
            tls: None,
            file: Some(file),
            connections: four(),
            connect_timeout: five_seconds(),
            timeout: half_a_minute(),
            idle: one_minute(),
        }
    }

    /// The server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.kind {
            DatabaseKind::Postgres => 5432,
            DatabaseKind::MariaDb | DatabaseKind::Sqlite => 3306,
        })
    }
}

/// What a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB or MySQL.
    MariaDb,
    /// SQLite: a file on this machine.
    Sqlite,
}

fn no_password() -> Secret {
    Secret::new("")
}

const fn four() -> usize {
    4
}

const fn yes() -> bool {
    true
}

const fn ftp_port() -> u16 {
    21
}

const fn sftp_port() -> u16 {
    22
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

const fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

const fn one_minute() -> Duration {
    Duration::from_secs(60)
}
