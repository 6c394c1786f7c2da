//! `headgate serve`: the gateway, from start to graceful stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use metrics_exporter_prometheus::PrometheusHandle;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::on_all_cores;
use crate::api::{self, Serving};
use crate::config::{self, Config, Loaded, Severity};
use crate::gateway::Gateway;
use crate::telemetry::metrics;

/// How often histograms are folded, so that they do not grow while nobody asks for metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// Run the gateway.
///
/// SIGTERM and Ctrl-C stop it gracefully: nothing more is accepted, what is in flight is waited for. A second one
/// stops it at once; what was acknowledged is in the store either way. SIGHUP reads the configuration again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate serve --config /etc/headgate/headgate.toml
  headgate --log debug serve                      with every request in the log
  kill -HUP $(pidof headgate)                     take over a changed configuration

Under systemd use Type=notify (or notify-reload); WatchdogSec= is answered.")]
pub(super) struct Serve {
    /// The configuration.
    #[arg(long, short, env = "HEADGATE_CONFIG", default_value = "headgate.toml", value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let loaded = load(&self.config)?;
        on_all_cores(serve(&self.config, loaded))
    }
}

/// The signals that the gateway listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// How often it was told to stop.
    stops: u32,
}

/// What a signal asks for.
enum Asked {
    Stop,
    Reload,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(format!("no signals can be received: {error}")));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            stops: 0,
        })
    }

    async fn next(&mut self) -> Asked {
        if self.stops == 0 {
            tokio::select! {
                _ = self.terminate.recv() => self.stops += 1,
                _ = self.interrupt.recv() => self.stops += 1,
                _ = self.hangup.recv() => return Asked::Reload,
            }
        }
        Asked::Stop
    }

    /// Waits until it was told to stop a second time.
    async fn stop_twice(&mut self) {
        while self.stops < 2 {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            self.stops += 1;
            if self.stops == 1 {
                tracing::info!("stopping once the configuration is taken over; a second signal stops at once");
            }
        }
    }
}

async fn serve(file: &Path, loaded: Loaded) -> Result<u8, Failure> {
    let mut signals = Signals::listen()?;
    let mut config = loaded.config;
    let recorder = metrics::start().map_err(|error| Failure::new(format!("metrics can not be recorded: {error}")))?;
    let gateway = Gateway::start(&config).await.map_err(|error| Failure::new(error.to_string()))?;
    let stop = CancellationToken::new();
    let serving = api::serve(gateway.clone(), &config.server, &config.keys, recorder.clone(), stop.clone())
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    tokio::spawn(upkeep(recorder));
    notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
    let stream = serving.stream().map(tracing::field::display);
    tracing::info!(address = %serving.http(), stream, providers = config.providers.len(), "the gateway runs");

    let drain = loop {
        match signals.next().await {
            Asked::Stop => break config.server.drain_timeout,
            Asked::Reload => tokio::select! {
                () = reload(file, &mut config, &gateway, &serving) => {}
                () = signals.stop_twice() => return Ok(stopped_at_once()),
            },
        }
    };
    notify(&[NotifyState::Stopping]);
    tracing::info!("stopping; a second signal stops at once");
    stop.cancel();
    // The API ends first: what it accepted until then is what the gateway has to end or keep.
    let stopping = async {
        let (stopped, ()) = tokio::join!(gateway.stop(drain), serving.finished());
        stopped
    };
    tokio::select! {
        stopped = stopping => {
            stopped.map_err(|error| Failure::new(error.to_string()))?;
            tracing::info!("stopped");
            Ok(0)
        }
        () = signals.stop_twice() => Ok(stopped_at_once()),
    }
}

/// The exit status of a gateway that did not wait.
fn stopped_at_once() -> u8 {
    tracing::warn!("stopped at once; what was acknowledged is in the store");
    1
}

/// Reads the configuration again. A mistake in it changes nothing.
async fn reload(file: &Path, config: &mut Config, gateway: &Gateway, serving: &Serving) {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    notify(&states);
    match load(file) {
        Err(failure) => tracing::error!("the configuration was not taken over: {}", failure.text()),
        Ok(Loaded { config: new, .. }) => match take_over(&new, gateway, serving).await {
            Ok(()) => {
                warn_of_restart(config, &new);
                config.providers = new.providers;
                tracing::info!(providers = config.providers.len(), "the configuration was taken over");
            }
            Err(error) => tracing::error!(%error, "the configuration was not taken over"),
        },
    }
    notify(&[NotifyState::Ready]);
}

/// Takes over all of it or nothing: what can be wrong is looked at before anything changes.
async fn take_over(config: &Config, gateway: &Gateway, serving: &Serving) -> Result<(), Box<dyn std::error::Error>> {
    let access = serving.prepare(config.server.tls.as_ref(), &config.keys)?;
    tracing::info!("taking the configuration over; providers that changed end what is on its way first");
    gateway.reload(config).await?;
    serving.take_over(access);
    Ok(())
}

/// Names the settings that changed and are read only at the start.
fn warn_of_restart(old: &Config, new: &Config) {
    let (was, is) = (&old.server, &new.server);
    let changed = [
        ("server.listen", was.listen != is.listen),
        ("server.stream_listen", was.stream_listen != is.stream_listen),
        ("server.body_limit", was.body_limit != is.body_limit),
        ("server.connections", was.connections != is.connections),
        ("server.read_timeout", was.read_timeout != is.read_timeout),
        ("server.crm_com", was.crm_com != is.crm_com),
        ("server.drain_timeout", was.drain_timeout != is.drain_timeout),
        ("store", old.store != new.store),
    ];
    for (setting, _) in changed.into_iter().filter(|(_, changed)| *changed) {
        tracing::warn!(setting, "this setting changed; it is taken over at the next start");
    }
}

/// Reads and checks the configuration; warnings go to the log.
fn load(file: &Path) -> Result<Loaded, Failure> {
    let loaded = config::load(file).map_err(|mut problems| {
        problems.list.retain(|problem| problem.severity == Severity::Error);
        Failure::new(problems.to_string()).help(format!("`headgate config check {}` shows the lines", file.display()))
    })?;
    for problem in &loaded.warnings.list {
        tracing::warn!(setting = problem.path, help = problem.help, "{}", problem.text);
    }
    Ok(loaded)
}

/// Folds histograms, and tells systemd's watchdog that we are there.
async fn upkeep(recorder: PrometheusHandle) {
    let watchdog = sd_notify::watchdog_enabled();
    let mut ticks = tokio::time::interval(watchdog.map_or(UPKEEP, |limit| (limit / 3).min(UPKEEP)));
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
        if watchdog.is_some() {
            notify(&[NotifyState::Watchdog]);
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd was not told");
    }
}
