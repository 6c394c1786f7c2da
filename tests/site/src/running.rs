//! A gateway in this process, from a configuration as an operator writes it.

use std::sync::OnceLock;

use anyhow::Result;
use headgate::api::{self, Serving};
use headgate::config::load::{Surroundings, read};
use headgate::gateway::Gateway;
use headgate::telemetry::metrics;
use metrics_exporter_prometheus::PrometheusHandle;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// One recorder for a process: gateways of one test share it.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The recorder of this process.
pub(crate) fn recorder() -> PrometheusHandle {
    RECORDER.get_or_init(|| metrics::start().expect("the first recorder of this process")).clone()
}

/// A running gateway, and a client of its API.
pub struct Running {
    /// The gateway.
    pub gateway: Gateway,
    /// A client of its API.
    pub client: Client,
    /// Its API.
    pub serving: Serving,
    /// Where its store is.
    pub home: TempDir,
}

impl Running {
    /// Starts a gateway with these sections beside `[server]` and `[store]`.
    ///
    /// # Errors
    /// If the configuration is wrong, or something can not be started.
    pub async fn start(sections: &str) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let store = home.path().join("headgate.db");
        let text = format!("[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"{}\"\n{sections}", store.display());
        let surroundings = Surroundings { directory: home.path().into(), environment: &|_| None };
        let config = read("test", &text, &surroundings).map_err(|wrong| anyhow::anyhow!("{wrong}"))?.config;
        let gateway = Gateway::start(&config).await?;
        let stop = CancellationToken::new();
        let serving = api::serve(gateway.clone(), &config.server, &config.keys, recorder(), stop).await?;
        let client = Client::new(serving.http());
        Ok(Self { gateway, client, serving, home })
    }
}
