//! Every platform that is called over HTTP, simulated behind a real socket, as `headgate demo` has it.

use std::net::SocketAddr;

use anyhow::Result;
use headgate::simulate::{self, Simulation};
use headgate_codecs::registry::{PROTOCOLS, Protocol, Stock, Transport};
use serde_json::Value;

/// The simulated platforms.
pub struct Web {
    /// Each with its protocol.
    pub platforms: Vec<(&'static Protocol, Simulation)>,
}

/// The protocols over HTTP.
pub fn protocols() -> impl Iterator<Item = &'static Protocol> {
    PROTOCOLS.iter().filter(|protocol| protocol.transport == Transport::Http)
}

impl Web {
    /// Starts all of them, holding what the demo's hold.
    ///
    /// # Errors
    /// If a socket can not be had.
    pub async fn start() -> Result<Self> {
        let mut platforms = Vec::new();
        for protocol in protocols() {
            let stock = Stock {
                cards: protocol.demo.cards.iter().map(|card| (*card).to_owned()).collect(),
                products: protocol.demo.services.iter().map(|(_, id)| (*id).to_owned()).collect(),
            };
            let settings: Value = toml::from_str(protocol.demo.settings)?;
            let platform = (protocol.platform)(&settings, &stock)?;
            let simulation = simulate::http::listen(platform, SocketAddr::from(([127, 0, 0, 1], 0)), None).await?;
            platforms.push((protocol, simulation));
        }
        Ok(Self { platforms })
    }

    /// The providers' part of a configuration, as TOML: each has its protocol's name.
    ///
    /// # Panics
    /// If a platform does not listen.
    #[must_use]
    pub fn config(&self) -> String {
        let provider = |(protocol, simulation): &(&'static Protocol, Simulation)| {
            let url = format!("http://{}", simulation.address().expect("it listens"));
            provider(protocol, &url, protocol.demo.settings)
        };
        self.platforms.iter().map(provider).collect()
    }
}

/// A provider at `url`, as TOML. What goes wrong does not take long.
#[must_use]
pub fn provider(protocol: &Protocol, url: &str, settings: &str) -> String {
    let services: String = protocol.demo.services.iter().map(|(code, id)| format!("{code} = \"{id}\"\n")).collect();
    format!(
        "[[provider]]\nname = \"{0}\"\nprotocol = \"{0}\"\nretry = {{ first_delay = \"20ms\" }}\n\
         breaker = {{ open_for = \"100ms\" }}\n\
         [provider.connection]\nurl = \"{url}\"\n{1}\n[provider.services]\n{services}[provider.settings]\n{settings}\n",
        protocol.name, protocol.demo.connection
    )
}

/// A request that changes something at this protocol's platform and may be repeated: one of its demo's.
///
/// # Panics
/// If its demo has none.
#[must_use]
pub fn change(protocol: &Protocol) -> Value {
    let lines = protocol.demo.requests.lines().filter(|line| !line.trim().is_empty());
    let requests = lines.map(|line| serde_json::from_str::<Value>(line).expect("a request"));
    let change = |request: &Value| {
        let command = request["command"].as_str().unwrap_or_default();
        !command.starts_with("get_") && !matches!(command, "test_connection" | "authenticate" | "send_message" | "raw")
    };
    requests.into_iter().find(change).unwrap_or(Value::Null)
}
