//! `headgate simulate`: the platform's side of a protocol, behind a socket, over HTTP or on a directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use headgate_codecs::registry::{Protocol, Stock, Transport};
use headgate_core::platform::{Fault, Platform};
use headgate_core::text::Secret;

use super::failure::Failure;
use super::late::Late;
use super::{output, settings, told_to_stop};
use crate::config::ServerTls;
use crate::drive::connection::{DatabaseSettings, OneOrMany};
use crate::drive::{Connection, tls};
use crate::simulate;

/// Run a simulated platform: it keeps cards, services, pairings, and refuses what a real one would.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate simulate PROTOCOL --listen 127.0.0.1:9001            a protocol over links, or over HTTP
  headgate simulate PROTOCOL --directory /tmp/platform          a protocol over files
  headgate simulate PROTOCOL --database /tmp/platform.db        a protocol over a table
  headgate simulate generic --connect http://127.0.0.1:8480/v1/providers/NAME
                                                                a worker that fetches what is to be done
  headgate simulate PROTOCOL --listen 127.0.0.1:9001 --fault silence --fault delay:2000
                                                                misbehaves once each way, in this order

Faults: garbage, wrong_number, half_frame, duplicate_answer, silence, close_before, close_instead, close_after,
delay:MILLISECONDS, unknown_card, throttle, refuse_login, lose_sessions, server_error, oversized.")]
pub(super) struct Simulate {
    /// The protocol; `headgate providers --protocols` lists them.
    protocol: String,
    /// Where to listen, for protocols over links and over HTTP. Port 0: any that is free; it is printed.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "directory")]
    listen: Option<SocketAddr>,
    /// Our certificate chain, PEM: clients must speak TLS, or HTTPS.
    #[arg(long, value_name = "FILE", requires_all = ["listen", "tls_key"])]
    tls_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Where the gateway serves the provider, for protocols whose workers call it.
    #[arg(long, value_name = "URL", conflicts_with_all = ["directory", "listen"])]
    connect: Option<String>,
    /// The worker's API key at the gateway.
    #[arg(long, value_name = "KEY", env = "HEADGATE_KEY", hide_env_values = true, requires = "connect")]
    key: Option<String>,
    /// The home directory, for protocols over files.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// The database, for protocols over a table: a file of SQLite, or a file named .toml with what stands under
    /// [provider.connection.database] at the gateway. The table is made unless it is there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "directory"])]
    database: Option<PathBuf>,
    /// What stands under [provider.settings] at the gateway: TOML, or JSON in a file named .json.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The cards the platform knows, one a line; `#` begins a comment [default: every well-formed one].
    #[arg(long, value_name = "FILE")]
    cards: Option<PathBuf>,
    /// The product ids it knows, likewise.
    #[arg(long, value_name = "FILE")]
    products: Option<PathBuf>,
    /// Misbehave once this way, at the next request it applies to. May be given many times.
    #[arg(long, value_name = "KIND[:ARG]", value_parser = fault)]
    fault: Vec<Fault>,
    /// Do everything this much later, as in 50ms.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    delay: Option<Duration>,
}

/// A simulation, ready to run.
pub(super) struct Plan {
    /// The platform.
    pub(super) platform: Box<dyn Platform>,
    /// Where it works.
    pub(super) place: Place,
    /// How it misbehaves first.
    pub(super) faults: Vec<Fault>,
}

/// Where a simulated platform works.
#[derive(Debug)]
pub(super) enum Place {
    /// Behind a listener.
    Listen(SocketAddr, Option<ServerTls>),
    /// On a directory.
    Directory(PathBuf),
    /// It calls the gateway.
    Calling(Box<Connection>),
    /// On a table.
    Database(Box<DatabaseSettings>),
}

impl Simulate {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let home = self.directory.clone().or_else(|| self.database.clone());
        let transport = settings::protocol(&self.protocol)?.transport;
        let Plan { platform, place, faults } = self.plan()?;
        let simulation = match place {
            Place::Listen(address, tls) => {
                let tls = tls
                    .as_ref()
                    .map(tls::server_config)
                    .transpose()
                    .map_err(|error| Failure::new(error.to_string()))?;
                let listening = match transport {
                    Transport::Http => simulate::http::listen(platform, address, tls).await,
                    _ => simulate::stream::listen(platform, address, tls).await,
                };
                listening.map_err(|error| Failure::new(format!("can not listen on {address}: {error}")))?
            }
            Place::Calling(connection) => simulate::worker::start(platform, &connection)
                .map_err(|error| Failure::new(error.to_string()).help("correct --connect"))?,
            Place::Directory(home) => simulate::files::serve(platform, &home)
                .await
                .map_err(|error| Failure::new(format!("{} can not be used: {error}", home.display())))?,
            Place::Database(settings) => simulate::tables::serve(platform, &settings)
                .await
                .map_err(|error| Failure::new(format!("the database can not be used: {error}")))?,
        };
        for fault in faults {
            simulation.inject(fault).await.map_err(|error| Failure::new(error.to_string()))?;
        }
        match (simulation.address(), home) {
            (Some(address), _) => output::line(address),
            (None, Some(home)) => output::note(format_args!("works on {}", home.display())),
            (None, None) => output::note("calls the gateway"),
        }
        output::note("Ctrl-C ends it and prints what it holds.");
        told_to_stop().await?;
        let holdings = simulation.holdings().await.map_err(|error| Failure::new(error.to_string()))?;
        output::json(&holdings);
        simulation.stop().await;
        Ok(0)
    }

    /// Checks the arguments and makes the platform.
    fn plan(self) -> Result<Plan, Failure> {
        let protocol = settings::protocol(&self.protocol)?;
        let place = self.place(protocol)?;
        let stock = Stock {
            cards: self.cards.as_deref().map(lines).transpose()?.unwrap_or_default(),
            products: self.products.as_deref().map(lines).transpose()?.unwrap_or_default(),
        };
        let values = settings::settings(self.settings.as_deref())?;
        let platform = (protocol.platform)(&values, &stock)
            .map_err(|error| settings::refused(&error, self.settings.as_deref()))?;
        let platform = match self.delay {
            Some(delay) => Box::new(Late::new(platform, delay)),
            None => platform,
        };
        Ok(Plan { platform, place, faults: self.fault })
    }

    fn place(&self, protocol: &Protocol) -> Result<Place, Failure> {
        match (protocol.transport, self.listen, &self.directory) {
            (Transport::Stream | Transport::Http, Some(address), _) => {
                let files = self.tls_certificate.clone().zip(self.tls_key.clone());
                let tls = files.map(|(certificate, key)| ServerTls { certificate, key, client_ca: None });
                Ok(Place::Listen(address, tls))
            }
            (Transport::Served, ..) => {
                let url = self.connect.clone().ok_or_else(|| {
                    Failure::new(format!("{} calls the gateway", protocol.name))
                        .help("say where, as in --connect http://127.0.0.1:8480/v1/providers/NAME")
                })?;
                let bearer = self.key.as_deref().map(Secret::new);
                let connection = Connection { url: Some(OneOrMany::One(url)), bearer, ..Connection::default() };
                Ok(Place::Calling(Box::new(connection)))
            }
            (Transport::Files, _, Some(directory)) => Ok(Place::Directory(directory.clone())),
            (Transport::Stream | Transport::Http, None, _) => Err(Failure::new(format!("{} listens", protocol.name))
                .help("say where to listen, as in --listen 127.0.0.1:9001")),
            (Transport::Table, ..) => {
                let file = self.database.as_deref().ok_or_else(|| {
                    Failure::new(format!("{} works over a table", protocol.name))
                        .help("name a file of SQLite, or one with the database's settings, with --database")
                })?;
                database(file).map(|settings| Place::Database(Box::new(settings)))
            }
            (Transport::Files, _, None) => Err(Failure::new(format!("{} works over files", protocol.name))
                .help("name the platform's home directory with --directory")),
        }
    }
}

/// The database that `file` is, or describes.
fn database(file: &Path) -> Result<DatabaseSettings, Failure> {
    if file.extension().is_none_or(|extension| extension != "toml") {
        return Ok(DatabaseSettings::sqlite(file.to_owned()));
    }
    let wrong = |error: String| Failure::new(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// The lines of a list file, without comments and blanks.
fn lines(file: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("{} can not be read: {error}", file.display())))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// `KIND` or `KIND:ARG`, in the words of [`Fault`]'s JSON.
fn fault(text: &str) -> Result<Fault, String> {
    let (kind, argument) = text.split_once(':').map_or((text, None), |(kind, argument)| (kind, Some(argument)));
    let kind = kind.replace('-', "_");
    let value = match argument {
        None => serde_json::Value::String(kind),
        Some(argument) => {
            let number: u32 = argument.parse().map_err(|_| format!("{argument:?} is not a number of milliseconds"))?;
            serde_json::json!({ kind: number })
        }
    };
    serde_json::from_value(value).map_err(|_| format!("{text:?} is no fault; the list is at the end of --help"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = |_| format!("{text:?} is not a length of time; write it as in 50ms or 2s");
    Duration::try_from(text.parse::<jiff::SignedDuration>().map_err(wrong)?)
        .map_err(|_| "must not be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_with_and_without_an_argument() {
        assert_eq!(fault("half-frame"), Ok(Fault::HalfFrame));
        assert_eq!(fault("delay:250"), Ok(Fault::Delay(250)));
        assert_eq!(fault("lose_sessions"), Ok(Fault::LoseSessions));
        assert_eq!(fault("server-error"), Ok(Fault::ServerError));
        assert_eq!(fault("oversized"), Ok(Fault::Oversized));
        assert!(fault("delay").is_err() && fault("delay:soon").is_err() && fault("tantrum").is_err());
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        assert!(duration("-1s").is_err());
    }
}
