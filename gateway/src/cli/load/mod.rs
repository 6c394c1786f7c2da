//! `headgate load`: how much a gateway takes.
//!
//! The generator shares the machine with what it measures, so it is as cheap as it can be: one thread, raw sockets,
//! one buffer for each connection, one request at a time on each (closed loop). Rates compare only within one run;
//! `--baseline` gives the run a yardstick.

mod baseline;
mod report;
mod worker;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::client::Target;
use super::failure::Failure;
use super::{output, settings};
use report::Tally;
use worker::{Aim, Template};

/// The path that requests are posted to, where the URL names none.
const PATH: &str = "/v1/requests";

/// Send requests as fast as they are answered, and measure.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate load http://127.0.0.1:8480 --request '{\"provider\":\"alpha\",\"command\":\"reset_pin\",\"smartcard\":\"014%n\"}'
  headgate load --mode accept --connections 256 --seconds 30 --file request.json
  headgate load --baseline --rounds 3 --request ...     in turns with a bare server in this process, and the ratio

%n in the request is replaced by a number that grows: use it in the card or the subscription, or requests wait for
each other. Rates say something only beside another rate of the same run on the same machine.")]
pub(super) struct Load {
    #[command(flatten)]
    target: Target,
    /// Where the gateway is, instead of --url.
    #[arg(value_name = "URL")]
    place: Option<String>,
    /// The request, a JSON object.
    #[arg(long, value_name = "JSON", required_unless_present = "file")]
    request: Option<String>,
    /// A file that holds it.
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    file: Option<PathBuf>,
    /// Whether a request is over when its outcome is known, or when it is accepted.
    #[arg(long, default_value = "wait")]
    mode: Mode,
    /// Connections, each with one request at a time.
    #[arg(long, default_value = "64", value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// How long each round is measured.
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// How long each round runs before it is measured.
    #[arg(long, default_value = "1", value_name = "SECONDS")]
    warmup: u16,
    /// How many rounds.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// The first %n.
    #[arg(long, default_value = "0", value_name = "NUMBER")]
    from: u64,
    /// Measure a bare HTTP server that echoes the request, in turns with the gateway.
    #[arg(long)]
    baseline: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// When a request is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// When its outcome is known.
    Wait,
    /// When it is accepted.
    Accept,
}

/// How long and how wide a round is.
#[derive(Clone, Copy, Debug)]
struct Round {
    connections: u16,
    warmup: Duration,
    measured: Duration,
}

impl Load {
    pub(super) fn run(mut self) -> Result<u8, Failure> {
        if let Some(place) = self.place.take() {
            self.target.url = place;
        }
        let request = match (&self.request, &self.file) {
            (Some(request), _) => request.clone(),
            (None, Some(file)) => read(file)?,
            (None, None) => return Err(Failure::new("there is no request to send").help("give --request or --file")),
        };
        check(&request)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(format!("the runtime can not start: {error}")))?;
        let (gateway, bare) = runtime.block_on(tokio::task::LocalSet::new().run_until(self.measure(&request)))?;
        if self.json {
            output::json(&report::to_json(&gateway, bare.as_ref()));
        } else {
            report::print(&gateway, bare.as_ref());
        }
        Ok(u8::from(gateway.failures() > 0))
    }

    /// Measures the gateway, and the bare server in turns with it.
    async fn measure(&self, request: &str) -> Result<(Tally, Option<Tally>), Failure> {
        let round = Round {
            connections: self.connections,
            warmup: Duration::from_secs(self.warmup.into()),
            measured: Duration::from_secs(self.seconds.into()),
        };
        let prefer = match self.mode {
            Mode::Wait => "wait=60",
            Mode::Accept => "respond-async",
        };
        let bearer = self.target.bearer()?;
        let template = Rc::new(Template::new(&self.target.url, PATH, bearer.as_deref(), prefer, request, self.from)?);
        let server = if self.baseline { Some(baseline::Server::start()?) } else { None };
        let yardstick = match &server {
            Some(server) => {
                let mut target = self.target.clone();
                target.url = server.url();
                let template = Template::new(&target.url, PATH, bearer.as_deref(), prefer, request, self.from)?;
                Some((target, Rc::new(template)))
            }
            None => None,
        };
        let mut gateway = Tally::default();
        let mut bare = yardstick.as_ref().map(|_| Tally::default());
        for number in 1..=self.rounds {
            tracing::debug!(number, "round");
            if let (Some((target, template)), Some(tally)) = (&yardstick, &mut bare) {
                tally.merge(run_round(target, template, round).await?);
            }
            gateway.merge(run_round(&self.target, &template, round).await?);
        }
        Ok((gateway, bare))
    }
}

/// Runs one round: every connection is open before the clock starts.
async fn run_round(target: &Target, template: &Rc<Template>, round: Round) -> Result<Tally, Failure> {
    let mut streams = Vec::new();
    for _ in 0..round.connections {
        streams.push(target.dial().await?.1);
    }
    let start = Instant::now();
    let aim = Aim { from: start + round.warmup, until: start + round.warmup + round.measured };
    let tally = Rc::new(RefCell::new(Tally::default()));
    let workers: Vec<_> = streams
        .into_iter()
        .map(|stream| worker::run(stream, target.clone(), Rc::clone(template), aim, Rc::clone(&tally)))
        .map(tokio::task::spawn_local)
        .collect();
    for worker in workers {
        worker.await.map_err(|error| Failure::new(format!("a connection's task ended: {error}")))?;
    }
    let mut tally = tally.take();
    tally.elapsed = round.measured;
    if tally.is_empty() {
        let why = tally.first_failure().unwrap_or("nothing was answered in time");
        return Err(Failure::new(format!("no request was answered: {why}"))
            .help("try one with `headgate send`, raise --seconds, or see the gateway's log"));
    }
    Ok(tally)
}

fn read(file: &Path) -> Result<String, Failure> {
    String::from_utf8(settings::file(file)?)
        .map_err(|_| Failure::new(format!("{} is not text", file.display())).help("name a file with one JSON object"))
}

/// A request that is not JSON would only measure how fast it is refused.
fn check(request: &str) -> Result<(), Failure> {
    let tried: Result<serde_json::Map<String, serde_json::Value>, _> =
        serde_json::from_str(&request.replace("%n", "1"));
    tried.map(drop).map_err(|error| {
        Failure::new(format!("the request is not a JSON object: {error}"))
            .help("write it as in '{\"provider\":\"alpha\",\"command\":\"reset_pin\",\"smartcard\":\"014%n\"}'")
    })
}
