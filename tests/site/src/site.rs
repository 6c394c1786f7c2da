//! A site: both kinds of platform, simulated behind a real socket and on a real directory, and a gateway for them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use headgate::api::{self, Serving};
use headgate::config::Config;
use headgate::gateway::Gateway;
use headgate::simulate::{self, Simulation};
use headgate_codecs::registry::{self, Stock};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::running::recorder;
use crate::vsftpd::Vsftpd;

/// The password that the platform over links demands.
pub const NAGRA_PASSWORD: &str = "open-sesame";

/// The simulated platforms, and where they are.
pub struct Platforms {
    /// Of the protocol over links.
    pub nagra: Simulation,
    /// Of the protocol over files.
    pub conax: Simulation,
    /// Where the one over files has its directories.
    pub conax_directory: PathBuf,
    /// Their files, and the gateway's.
    pub home: TempDir,
}

impl Platforms {
    /// Starts both, with empty holdings.
    ///
    /// # Errors
    /// If a socket or a directory can not be had.
    pub async fn start() -> Result<Self> {
        let home = tempfile::tempdir()?;
        let conax = home.path().join("conax");
        Self::start_in(home, &conax, None).await
    }

    /// Starts both: the one over files on what an FTP server serves.
    ///
    /// # Errors
    /// If a socket or a directory can not be had.
    pub async fn start_behind(server: &Vsftpd) -> Result<Self> {
        // Made before the platform makes them: they belong to the server's users too.
        for directory in ["site/autreq", "site/autreq/req", "site/autreq/ok", "site/autreq/err"] {
            server.make_directory(directory)?;
        }
        Self::start_in(tempfile::tempdir()?, &server.path("site"), None).await
    }

    /// Starts both: the one over files in that directory, the one over links behind TLS if there are settings.
    ///
    /// # Errors
    /// If a socket or a directory can not be had.
    pub async fn start_in(home: TempDir, conax_directory: &Path, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let make = |name: &str| -> Result<_> {
            let protocol = registry::find(name).context("a protocol of the registry")?;
            Ok((protocol.platform)(&settings(name), &Stock::default())?)
        };
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let nagra = simulate::stream::listen(make("nagravision-smsgw")?, loopback, tls).await?;
        let conax = simulate::files::serve(make("conax-sms")?, conax_directory).await?;
        Ok(Self { nagra, conax, conax_directory: conax_directory.to_owned(), home })
    }

    /// The gateway's configuration for them, as TOML: providers `nagra` and `conax`, services BASIC, SPORT, FILM.
    ///
    /// # Panics
    /// If the first platform does not listen.
    #[must_use]
    pub fn config(&self, listen: SocketAddr) -> String {
        let nagra = self.nagra.address().expect("it listens");
        let home = self.home.path().display();
        let services = r#"services = { BASIC = "41", SPORT = "42", FILM = "43" }"#;
        let table = |name: &str| toml::to_string(&settings(name)).expect("settings that TOML can say");
        format!(
            "[server]\nlisten = \"{listen}\"\ndrain_timeout = \"5s\"\n\
             [store]\npath = \"{home}/headgate.db\"\n\
             [[provider]]\nname = \"nagra\"\nprotocol = \"nagravision-smsgw\"\n{services}\n\
             [provider.connection]\naddress = \"{nagra}\"\n[provider.settings]\n{}\n\
             [[provider]]\nname = \"conax\"\nprotocol = \"conax-sms\"\n{services}\nlimits = {{ window = 100000 }}\n\
             [provider.connection]\ndirectory = \"{}\"\n[provider.settings]\n{}\n",
            table("nagravision-smsgw"),
            self.conax_directory.display(),
            table("conax-sms"),
        )
    }

    /// Where the gateway keeps its requests.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.home.path().join("headgate.db")
    }
}

/// Settings that make a file platform quick enough for tests.
fn settings(protocol: &str) -> Value {
    match protocol {
        "conax-sms" => json!({
            "flush_interval": "20ms",
            "express_flush_interval": "5ms",
            "poll_interval": "20ms",
            "longest_poll_interval": "100ms",
            "idle_poll_interval": "1s",
        }),
        _ => json!({ "answer_timeout": "5s", "user": "headgate", "password": NAGRA_PASSWORD }),
    }
}

/// A gateway in this process, with its platforms.
pub struct Site {
    /// The platforms.
    pub platforms: Platforms,
    /// The gateway.
    pub gateway: Gateway,
    /// A client of its API.
    pub client: Client,
    serving: Serving,
    stop: CancellationToken,
}

impl Site {
    /// Starts a site. `adjust` may change the gateway's configuration first.
    ///
    /// # Errors
    /// If something can not be started.
    pub async fn start(adjust: impl FnOnce(&mut Config)) -> Result<Self> {
        Self::start_with(Platforms::start().await?, adjust).await
    }

    /// Starts a gateway for platforms that run, on the store that an earlier one left.
    ///
    /// # Errors
    /// If something can not be started.
    pub async fn start_with(platforms: Platforms, adjust: impl FnOnce(&mut Config)) -> Result<Self> {
        let mut config = read(&platforms.config(SocketAddr::from(([127, 0, 0, 1], 0))))?;
        adjust(&mut config);
        let gateway = Gateway::start(&config).await?;
        let stop = CancellationToken::new();
        let serving = api::serve(gateway.clone(), &config.server, &config.keys, recorder(), stop.clone()).await?;
        let client = Client::new(serving.http());
        Ok(Self { platforms, gateway, client, serving, stop })
    }

    /// Where the API listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.serving.http()
    }

    /// Where NDJSON over TCP is taken, if it is.
    #[must_use]
    pub const fn stream_address(&self) -> Option<SocketAddr> {
        self.serving.stream()
    }

    /// Stops the gateway gracefully; the platforms go on.
    ///
    /// # Errors
    /// If the store can not be closed.
    pub async fn stop(self) -> Result<Platforms> {
        self.stop.cancel();
        self.serving.finished().await;
        self.gateway.stop(Duration::from_secs(5)).await?;
        Ok(self.platforms)
    }
}

/// Reads a configuration from its text.
///
/// # Errors
/// If it is not one.
pub fn read(text: &str) -> Result<Config> {
    Ok(toml::from_str(text)?)
}

/// A smartcard of the protocol over files: 12 printed digits.
#[must_use]
pub fn conax_card(n: usize) -> String {
    format!("01{n:09}0")
}
