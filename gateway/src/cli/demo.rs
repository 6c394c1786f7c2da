//! `headgate demo`: a gateway and a simulated platform for every protocol, to play with.

mod crm;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use headgate_codecs::registry::{PROTOCOLS, Protocol, Stock, Transport};
use headgate_core::platform::{Account, Card, Holding, Platform};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use self::crm::DemoCrm;
use super::failure::Failure;
use super::output::{self, Listing};
use super::send::Send;
use super::told_to_stop;
use crate::api;
use crate::config::{self, Config};
use crate::drive::Connection;
use crate::drive::connection::{DatabaseSettings, OneOrMany};
use crate::gateway::{Gateway, Health};
use crate::simulate::{self, Simulation};
use crate::telemetry::metrics;

/// How long the platforms get to be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the gateway gets to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Run a gateway with a simulated platform for every protocol, all on this machine, and show a few requests.
///
/// A few of the requests are there to be refused: a card that no platform knows, a service that nobody mapped.
/// Exit status: 0 if everything ended as it should, 1 if something did not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate demo            keeps running: send it requests of your own
  headgate demo --once     shows the way of a few requests and ends
  headgate demo --directory /tmp/demo     keeps the configuration, the requests and the files for you to read")]
pub(super) struct Demo {
    /// End after the first requests, with exit status 0 if they ended as they should.
    #[arg(long)]
    once: bool,
    /// Where the API listens; port 0: any that is free [default: 127.0.0.1:8480, or any free port with --once].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where files are kept [default: a directory that is removed at the end].
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

impl Demo {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let home = Home::new(self.directory.as_deref())?;
        let listen =
            self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], if self.once { 0 } else { 8480 })));
        let stage = Stage::set(&home, listen).await?;
        let url = format!("http://{}", stage.serving.http());
        output::line(format_args!("The gateway serves {url}, with these platforms behind it:"));
        stage.print_providers().await?;

        let requests = home.path().join("requests.ndjson");
        let lines: String = PROTOCOLS.iter().map(|protocol| protocol.demo.requests).collect();
        write(&requests, &lines)?;
        let count = lines.lines().count();
        output::line(format_args!("\nSending {count} requests, as `headgate send --url {url} FILE` does:"));
        let send = Send::of(&url, requests);
        let summary = send.deliver().await?;
        send.report(&summary);
        output::line("\nWhat the platforms hold now:");
        stage.print_holdings().await?;
        let pulled = stage.crm.show().await?;

        let refused: usize = PROTOCOLS.iter().map(|protocol| protocol.demo.refused).sum();
        let good = pulled && summary.not_completed() == refused as u64;
        if good {
            output::line(format_args!("\nEvery request ended as it should ({refused} were there to be refused)."));
        } else {
            output::line(format_args!(
                "\n{refused} requests were to be refused, {} did not complete.",
                summary.not_completed()
            ));
        }
        if !self.once {
            stage.invite(&url, &home);
            told_to_stop().await?;
        }
        stage.strike().await?;
        Ok(u8::from(!good))
    }
}

/// The directory of the demo, removed at the end unless it was named.
enum Home {
    Kept(PathBuf),
    Removed(TempDir),
}

impl Home {
    fn new(named: Option<&Path>) -> Result<Self, Failure> {
        let wrong =
            |error| Failure::new(format!("no directory can be made: {error}")).help("name one with --directory");
        match named {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(wrong)?;
                // Platforms forget what they hold when the demo ends, so the gateway starts afresh too.
                let tables = PROTOCOLS.iter().map(|protocol| database(protocol, path));
                for store in std::iter::once(path.join("headgate.db")).chain(tables) {
                    for suffix in ["", "-wal", "-shm"] {
                        let _ = std::fs::remove_file(format!("{}{suffix}", store.display()));
                    }
                }
                Ok(Self::Kept(path.to_owned()))
            }
            None => tempfile::tempdir().map(Self::Removed).map_err(wrong),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Removed(directory) => directory.path(),
        }
    }
}

/// Everything that runs.
struct Stage {
    platforms: Vec<(&'static Protocol, Simulation)>,
    crm: DemoCrm,
    gateway: Gateway,
    serving: api::Serving,
    stop: CancellationToken,
}

impl Stage {
    async fn set(home: &Home, listen: SocketAddr) -> Result<Self, Failure> {
        let mut platforms = Vec::new();
        let mut text = format!(
            "[server]\nlisten = \"{listen}\"\n\n[store]\npath = \"{}\"\n",
            home.path().join("headgate.db").display()
        );
        let (served, reached): (Vec<_>, Vec<_>) =
            PROTOCOLS.iter().partition(|protocol| protocol.transport == Transport::Served);
        for protocol in reached {
            let simulation = simulate(protocol, home.path()).await?;
            text += &provider(protocol, &connection(protocol, &simulation, home.path()));
            platforms.push((protocol, simulation));
        }
        for protocol in &served {
            text += &provider(protocol, "");
        }
        let crm = DemoCrm::start().await?;
        text += &crm.config();
        let file = home.path().join("headgate.toml");
        write(&file, &text)?;
        let config: Config = config::load(&file).map_err(|problems| Failure::new(problems.to_string()))?.config;
        let gateway = Gateway::start(&config).await.map_err(|error| Failure::new(error.to_string()))?;
        let recorder = metrics::start().map_err(|error| Failure::new(error.to_string()))?;
        let stop = CancellationToken::new();
        let serving = api::serve(gateway.clone(), &config.server, &config.keys, recorder, stop.clone())
            .await
            .map_err(|error| Failure::new(error.to_string()).help("choose another address with --listen"))?;
        for protocol in served {
            let url = format!("http://{}/v1/providers/{}", serving.http(), protocol.name);
            platforms.push((protocol, work(protocol, &url)?));
        }
        let stage = Self { platforms, crm, gateway, serving, stop };
        stage.wait_until_up().await?;
        Ok(stage)
    }

    async fn wait_until_up(&self) -> Result<(), Failure> {
        let up = async {
            while self.gateway.providers().await.iter().any(|provider| provider.health != Health::Up) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let late = |_| Failure::new("a simulated platform was not reached").help("--log debug tells more");
        tokio::time::timeout(PATIENCE, up).await.map_err(late)
    }

    async fn print_providers(&self) -> Result<(), Failure> {
        let mut listing = Listing::new(&["provider", "platform", "reached by", "links up"]);
        for (protocol, simulation) in &self.platforms {
            let status =
                self.gateway.providers().await.into_iter().find(|status| status.name.as_str() == protocol.name);
            let way = match (protocol.transport, simulation.address()) {
                (_, Some(address)) => format!("TCP to {address}"),
                (Transport::Table, None) => "a table in SQLite".to_owned(),
                (Transport::Served, None) => "it calls the gateway".to_owned(),
                (_, None) => "files in a directory".to_owned(),
            };
            let links = status.map(|status| status.links_up).unwrap_or_default();
            listing.row([protocol.name, protocol.title, &way, &links.to_string()]);
        }
        listing.print("There is no protocol.");
        Ok(())
    }

    async fn print_holdings(&self) -> Result<(), Failure> {
        let mut cards = Listing::new(&["platform", "card", "services", "paired with", "PIN", "messages", "state"]);
        let mut accounts = Listing::new(&["platform", "account", "services", "devices", "PIN", "messages", "state"]);
        let set = |pin: &Option<String>| if pin.is_some() { "set" } else { "-" };
        for (protocol, simulation) in &self.platforms {
            let holdings = simulation.holdings().await.map_err(|error| Failure::new(error.to_string()))?;
            for (number, card) in &holdings.cards {
                let Card { services, stbs, pin, messages, disabled, .. } = card;
                let state = disabled.as_deref().unwrap_or("enabled");
                let (services, messages) = (held(services), messages.len().to_string());
                cards.row([protocol.name, number, &services, &joined(stbs), set(pin), &messages, state]);
            }
            for (number, account) in &holdings.accounts {
                let Account { services, devices, pin, messages, state, .. } = account;
                let (services, messages) = (held(services), messages.len().to_string());
                accounts.row([protocol.name, number, &services, &joined(devices), set(pin), &messages, state]);
            }
        }
        cards.print("They hold no cards.");
        accounts.print("They hold no accounts.");
        Ok(())
    }

    fn invite(&self, url: &str, home: &Home) {
        let example = PROTOCOLS.first().and_then(|protocol| protocol.demo.requests.lines().next()).unwrap_or_default();
        output::line(format_args!(
            "\nIt goes on until Ctrl-C. Try:\n\
             \x20 curl {url}/v1/providers\n\
             \x20 curl {url}/v1/requests?state=rejected\n\
             \x20 curl -H 'Content-Type: application/json' -H 'Prefer: wait=10' -d '{example}' {url}/v1/requests\n\
             \x20 headgate requests --url {url}\n\
             The configuration is {}.",
            home.path().join("headgate.toml").display(),
        ));
    }

    async fn strike(self) -> Result<(), Failure> {
        self.stop.cancel();
        let (stopped, ()) = tokio::join!(self.gateway.stop(DRAIN), self.serving.finished());
        stopped.map_err(|error| Failure::new(error.to_string()))?;
        for (_, simulation) in self.platforms {
            simulation.stop().await;
        }
        self.crm.stop().await;
        Ok(())
    }
}

/// Services, those that are suspended in brackets.
fn held(services: &BTreeMap<String, Holding>) -> String {
    let mut text = String::new();
    for (id, holding) in services {
        let (open, close) = if holding.suspended { ("(", ")") } else { ("", "") };
        let _ = write!(text, "{open}{}{close} ", id.trim_start_matches('0'));
    }
    text.trim_end().to_owned()
}

fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

async fn simulate(protocol: &'static Protocol, home: &Path) -> Result<Simulation, Failure> {
    let platform = platform(protocol)?;
    let simulation = match protocol.transport {
        Transport::Files => simulate::files::serve(platform, &home.join(protocol.name)).await,
        Transport::Http => simulate::http::listen(platform, SocketAddr::from(([127, 0, 0, 1], 0)), None).await,
        Transport::Table => {
            simulate::tables::serve(platform, &DatabaseSettings::sqlite(database(protocol, home))).await
        }
        Transport::Stream => simulate::stream::listen(platform, SocketAddr::from(([127, 0, 0, 1], 0)), None).await,
        // It calls the gateway, which is not there yet: see `work`.
        Transport::Served => return Err(Failure::new(format!("{} is not reached, but calls", protocol.title))),
    };
    simulation.map_err(|error| Failure::new(format!("{} can not be simulated: {error}", protocol.title)))
}

/// Lets a worker call the gateway for its work.
fn work(protocol: &Protocol, url: &str) -> Result<Simulation, Failure> {
    let connection = Connection { url: Some(OneOrMany::One(url.to_owned())), ..Connection::default() };
    simulate::worker::start(platform(protocol)?, &connection).map_err(|error| Failure::new(error.to_string()))
}

fn platform(protocol: &Protocol) -> Result<Box<dyn Platform>, Failure> {
    let cards = protocol.demo.cards.iter().map(|card| (*card).to_owned()).collect();
    let products = protocol.demo.services.iter().map(|(_, id)| (*id).to_owned()).collect();
    let settings: Value = toml::from_str(protocol.demo.settings).map_err(|error| Failure::new(error.to_string()))?;
    (protocol.platform)(&settings, &Stock { cards, products })
        .map_err(|error| Failure::new(format!("{}: {error}", protocol.name)))
}

/// How a provider's platform is reached, as the configuration says it.
fn connection(protocol: &Protocol, simulation: &Simulation, home: &Path) -> String {
    let Protocol { name, demo, .. } = protocol;
    let way = match (protocol.transport, simulation.address()) {
        (Transport::Http, Some(address)) => format!("url = \"http://{address}\"\n{}", demo.connection),
        (Transport::Table, _) => {
            format!("database = {{ kind = \"sqlite\", file = \"{}\" }}", database(protocol, home).display())
        }
        (_, Some(address)) => format!("address = \"{address}\""),
        (_, None) => format!("directory = \"{}\"", home.join(name).display()),
    };
    format!("[provider.connection]\n{way}\n\n")
}

/// The provider's part of the configuration.
fn provider(protocol: &Protocol, connection: &str) -> String {
    let Protocol { name, demo, .. } = protocol;
    let services: String = demo.services.iter().map(|(code, id)| format!("{code} = \"{id}\"\n")).collect();
    format!(
        "\n[[provider]]\nname = \"{name}\"\nprotocol = \"{name}\"\n\n{connection}\
         [provider.services]\n{services}\n[provider.settings]\n{}",
        demo.settings
    )
}

/// The file of a platform that works on a table.
fn database(protocol: &Protocol, home: &Path) -> PathBuf {
    home.join(format!("{}.db", protocol.name))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|error| Failure::new(format!("{} can not be written: {error}", file.display())))
}
