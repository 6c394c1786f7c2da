//! Metrics for Prometheus. Every name, its labels and its meaning stand in one table, [`METRICS`]; the page
//! `docs/metrics.md` is written from it.

use std::fmt::Write;
use std::sync::OnceLock;
use std::time::Duration;

use headgate_codecs::crm_com::pull::{Event, Load};
use headgate_core::command::CommandKind;
use headgate_core::request::State;
use jiff::Timestamp;
use metrics::{Counter, Gauge, Histogram, Label, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the duration histograms' buckets, in seconds: from a local answer to a batch platform's.
const SECONDS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0];

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How long things took, in seconds.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with `_total` for counters and the unit for histograms.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! metrics_table {
    ($($constant:ident $name:literal $kind:ident [$($label:literal),*] $help:literal,)*) => {
        $(const $constant: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// Every metric, in the order of a request's way.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics_table! {
    BUILD_INFO "headgate_build_info" Gauge ["version"]
        "Always 1; the label tells the version that runs.",
    ACCEPTED "headgate_requests_accepted_total" Counter ["provider", "protocol", "command"]
        "Requests that were accepted and stored.",
    REFUSED "headgate_requests_refused_total" Counter ["provider", "protocol"]
        "Requests that can not be, and were refused before they were stored.",
    BUSY "headgate_requests_busy_total" Counter ["provider", "protocol"]
        "Requests answered with 503 because the provider's queue was full.",
    SENT "headgate_requests_sent_total" Counter ["provider", "protocol"]
        "Attempts: requests handed to the platform, each time they were.",
    RETRIED "headgate_requests_retried_total" Counter ["provider", "protocol"]
        "Attempts that did not work and are made again.",
    FINISHED "headgate_requests_finished_total" Counter ["provider", "protocol", "state"]
        "Requests that ended, by the state they ended in.",
    DURATION "headgate_request_duration_seconds" Histogram ["provider", "protocol"]
        "From the acceptance of a request to its end, waiting included.",
    ANSWER "headgate_platform_answer_seconds" Histogram ["provider", "protocol"]
        "From the sending of a request to the platform's answer.",
    WAITING "headgate_requests_waiting" Gauge ["provider", "protocol"]
        "Requests accepted and not sent.",
    IN_FLIGHT "headgate_requests_in_flight" Gauge ["provider", "protocol"]
        "Requests sent and not answered.",
    LINKS_UP "headgate_links_up" Gauge ["provider", "protocol"]
        "Links to the platform that can carry requests.",
    LINK_LOSSES "headgate_link_losses_total" Counter ["provider", "protocol"]
        "Links that went down.",
    BREAKER "headgate_breaker_state" Gauge ["provider", "protocol"]
        "The breaker: 0 closed, 1 half open (a probe is out), 2 open (nothing is sent).",
    SLOW_DOWNS "headgate_slow_downs_total" Counter ["provider", "protocol"]
        "Times the platform asked for a pause.",
    NOISE "headgate_noise_total" Counter ["provider", "protocol"]
        "Messages from the platform that belong to no request or can not be read.",
    PULLED "headgate_pull_requests_total" Counter ["pull", "provider"]
        "Requests that were found pending at a CRM for the first time since the start.",
    PULL_ANSWERS "headgate_pull_answers_total" Counter ["pull", "provider", "state"]
        "Answers that a CRM took: accepted, rejected.",
    PULL_NOT_TAKEN "headgate_pull_answers_not_taken_total" Counter ["pull", "provider"]
        "Answers that a CRM did not take, or of which that is not known, each time they were posted.",
    PULL_GIVEN_UP "headgate_pull_answers_given_up_total" Counter ["pull", "provider"]
        "Answers that are not posted any more, because a CRM does not take them.",
    PULL_FAILURES "headgate_pull_calls_failed_total" Counter ["pull", "provider"]
        "Calls of a CRM that did not work.",
    PULL_OLD "headgate_pull_old_total" Counter ["pull", "provider"]
        "Requests that were not answered for nearly seven days, after which a CRM shows them no more.",
    PULL_OPEN "headgate_pull_open" Gauge ["pull", "provider", "stage"]
        "Requests of a CRM that are not answered, by stage: waiting for their turn, running, unknown (an operator decides), unanswered (ended, not posted yet).",
    PULL_OLDEST "headgate_pull_oldest_age" Gauge ["pull", "provider"]
        "For how many seconds the oldest request that is not answered is pending; alert well before 604800, seven days.",
    OUT_OF_SYNC "headgate_subscriptions_out_of_sync" Gauge ["provider", "reason"]
        "Subscriptions whose platform is known not to hold what it should, by the reason; counted every few seconds.",
}

/// Starts recording, for the whole program, and describes every metric. [`PrometheusHandle::render`] gives the page.
/// Somebody has to call [`PrometheusHandle::run_upkeep`] every few seconds.
///
/// # Errors
/// [`BuildError`] if metrics are recorded already.
pub fn start() -> Result<PrometheusHandle, BuildError> {
    let handle = builder()?.install_recorder()?;
    describe();
    metrics::gauge!(BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
}

fn describe() {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, Unit::Seconds, metric.help),
        }
    }
}

/// Sets how many subscriptions are out of step at a provider for a reason.
pub fn out_of_sync(provider: &str, reason: &str, count: u64) {
    let (provider, reason) = (provider.to_owned(), reason.to_owned());
    // A gauge counts exactly up to 2^53.
    #[allow(clippy::cast_precision_loss)]
    metrics::gauge!(OUT_OF_SYNC.name, "provider" => provider, "reason" => reason).set(count as f64);
}

/// One provider's metrics. Series are looked up once, so that recording is an atomic addition.
pub struct ProviderMetrics {
    labels: Vec<Label>,
    /// By [`CommandKind`]; a command that never came makes no series.
    accepted: [OnceLock<Counter>; CommandKind::ALL.len()],
    /// By [`State`], likewise.
    finished: [OnceLock<Counter>; State::ALL.len()],
    refused: Counter,
    busy: Counter,
    sent: Counter,
    retried: Counter,
    duration: Histogram,
    answer: Histogram,
    waiting: Gauge,
    in_flight: Gauge,
    links_up: Gauge,
    link_losses: Counter,
    breaker: Gauge,
    slow_downs: Counter,
    noise: Counter,
}

impl ProviderMetrics {
    /// The metrics of the provider `name`. Call [`start`] before, or nothing is recorded.
    #[must_use]
    pub fn new(name: &str, protocol: &'static str) -> Self {
        let labels = vec![Label::new("provider", name.to_owned()), Label::from_static_parts("protocol", protocol)];
        let counter = |metric: Metric| metrics::counter!(metric.name, labels.clone());
        let gauge = |metric: Metric| metrics::gauge!(metric.name, labels.clone());
        let histogram = |metric: Metric| metrics::histogram!(metric.name, labels.clone());
        Self {
            accepted: std::array::from_fn(|_| OnceLock::new()),
            finished: std::array::from_fn(|_| OnceLock::new()),
            refused: counter(REFUSED),
            busy: counter(BUSY),
            sent: counter(SENT),
            retried: counter(RETRIED),
            duration: histogram(DURATION),
            answer: histogram(ANSWER),
            waiting: gauge(WAITING),
            in_flight: gauge(IN_FLIGHT),
            links_up: gauge(LINKS_UP),
            link_losses: counter(LINK_LOSSES),
            breaker: gauge(BREAKER),
            slow_downs: counter(SLOW_DOWNS),
            noise: counter(NOISE),
            labels,
        }
    }

    /// A request was accepted and stored.
    pub fn accepted(&self, command: CommandKind) {
        let slot = CommandKind::ALL.iter().position(|kind| *kind == command).and_then(|at| self.accepted.get(at));
        if let Some(slot) = slot {
            slot.get_or_init(|| self.labelled(ACCEPTED, "command", command.name())).increment(1);
        }
    }

    /// A request was refused before it was stored.
    pub fn refused(&self) {
        self.refused.increment(1);
    }

    /// A request found the queue full.
    pub fn busy(&self) {
        self.busy.increment(1);
    }

    /// A request was handed to the platform.
    pub fn sent(&self) {
        self.sent.increment(1);
    }

    /// The platform answered a request that was sent so long ago.
    pub fn answered(&self, since_sent: Duration) {
        self.answer.record(since_sent);
    }

    /// An attempt did not work, and another will be made.
    pub fn retried(&self) {
        self.retried.increment(1);
    }

    /// A request ended.
    pub fn finished(&self, state: State) {
        if let Some(slot) = State::ALL.iter().position(|one| *one == state).and_then(|at| self.finished.get(at)) {
            slot.get_or_init(|| self.labelled(FINISHED, "state", state.name())).increment(1);
        }
    }

    /// A request ended that was accepted so long ago, by this process.
    pub fn lasted(&self, since_accepted: Duration) {
        self.duration.record(since_accepted);
    }

    /// So many requests are accepted and not sent, sent and not answered.
    pub fn queue(&self, waiting: usize, in_flight: usize) {
        self.waiting.set(waiting as f64);
        self.in_flight.set(in_flight as f64);
    }

    /// So many links can carry requests.
    pub fn links_up(&self, count: usize) {
        self.links_up.set(count as f64);
    }

    /// A link went down.
    pub fn link_lost(&self) {
        self.link_losses.increment(1);
    }

    /// The breaker is `closed`, `half_open` or `open`.
    pub fn breaker(&self, state: &str) {
        self.breaker.set(match state {
            "open" => 2.0,
            "half_open" => 1.0,
            _ => 0.0,
        });
    }

    /// The platform asked for a pause.
    pub fn slow_down(&self) {
        self.slow_downs.increment(1);
    }

    /// The platform said something that belongs to no request.
    pub fn noise(&self) {
        self.noise.increment(1);
    }

    fn labelled(&self, metric: Metric, label: &'static str, value: &'static str) -> Counter {
        let mut labels = self.labels.clone();
        labels.push(Label::from_static_parts(label, value));
        metrics::counter!(metric.name, labels)
    }
}

/// One pull's metrics.
pub struct PullMetrics {
    labels: Vec<Label>,
    found: Counter,
    not_taken: Counter,
    given_up: Counter,
    failures: Counter,
    old: Counter,
    /// In the order of [`PullMetrics::load`].
    open: [Gauge; 4],
    oldest: Gauge,
}

impl PullMetrics {
    /// The metrics of the pull `name`, whose requests go to `provider`.
    #[must_use]
    pub fn new(name: &str, provider: &str) -> Self {
        let labels = vec![Label::new("pull", name.to_owned()), Label::new("provider", provider.to_owned())];
        let counter = |metric: Metric| metrics::counter!(metric.name, labels.clone());
        let open = ["waiting", "running", "unknown", "unanswered"].map(|stage| {
            let mut labels = labels.clone();
            labels.push(Label::from_static_parts("stage", stage));
            metrics::gauge!(PULL_OPEN.name, labels)
        });
        Self {
            found: counter(PULLED),
            not_taken: counter(PULL_NOT_TAKEN),
            given_up: counter(PULL_GIVEN_UP),
            failures: counter(PULL_FAILURES),
            old: counter(PULL_OLD),
            open,
            oldest: metrics::gauge!(PULL_OLDEST.name, labels.clone()),
            labels,
        }
    }

    /// Something happened.
    pub fn note(&self, event: &Event) {
        match event {
            Event::Looked { new, .. } => self.found.increment(*new as u64),
            Event::Answered { accepted, .. } => {
                let mut labels = self.labels.clone();
                labels.push(Label::from_static_parts("state", if *accepted { "accepted" } else { "rejected" }));
                metrics::counter!(PULL_ANSWERS.name, labels).increment(1);
            }
            Event::NotTaken { .. } => self.not_taken.increment(1),
            Event::GivenUp { .. } => self.given_up.increment(1),
            Event::Old { .. } => self.old.increment(1),
            Event::Down { .. } => self.failures.increment(1),
            Event::Blind { .. } | Event::Up => {}
        }
    }

    /// How it stands.
    pub fn load(&self, load: Load, now: Timestamp) {
        let stages = [load.waiting, load.running, load.unknown, load.unanswered];
        for (gauge, count) in self.open.iter().zip(stages) {
            gauge.set(count as f64);
        }
        let age = load.oldest.map_or(0.0, |oldest| now.duration_since(oldest).as_secs_f64());
        self.oldest.set(age.max(0.0));
    }
}

/// The page `docs/metrics.md`.
#[must_use]
pub fn page() -> String {
    let mut out = String::from(
        "# Metrics\n\n`GET /metrics` answers with these, in the Prometheus text format. The list is written from the code\n\
         (`gateway/src/telemetry/metrics.rs`); do not edit it by hand.\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram, seconds",
        };
        // Writing to a String can not fail.
        let _ = writeln!(out, "| `{}` | {kind} | {} | {} |", metric.name, metric.labels.join(", "), metric.help);
    }
    out.push_str(
        "\nLabels: `provider` is its name in the configuration, `protocol` the protocol it speaks, `command` a command\n\
         of the API, `state` a final state of a request, `pull` a pull's name, `reason` why a subscription is out of step. A series appears when \
         it first has something to tell.\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is recorded while `record` runs, as Prometheus reads it.
    fn recorded(record: impl FnOnce()) -> String {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            record();
        });
        recorder.handle().render()
    }

    #[test]
    fn a_requests_way_is_counted_under_its_labels() {
        let text = recorded(|| {
            let provider = ProviderMetrics::new("alpha", "some-protocol");
            provider.accepted(CommandKind::Pair);
            provider.accepted(CommandKind::Pair);
            provider.sent();
            provider.answered(Duration::from_millis(3));
            provider.finished(State::Completed);
            provider.lasted(Duration::from_millis(4));
            provider.queue(7, 2);
            provider.breaker("open");
        });
        let labels = r#"provider="alpha",protocol="some-protocol""#;
        for line in [
            format!("headgate_requests_accepted_total{{{labels},command=\"pair\"}} 2"),
            format!("headgate_requests_finished_total{{{labels},state=\"completed\"}} 1"),
            format!("headgate_platform_answer_seconds_bucket{{{labels},le=\"0.005\"}} 1"),
            format!("headgate_request_duration_seconds_count{{{labels}}} 1"),
            format!("headgate_requests_waiting{{{labels}}} 7"),
            format!("headgate_breaker_state{{{labels}}} 2"),
            "# TYPE headgate_platform_answer_seconds histogram".to_owned(),
            "# HELP headgate_requests_waiting Requests accepted and not sent.".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("command=\"unpair\""), "a command that never came has a series:\n{text}");
    }

    #[test]
    fn a_pull_is_counted_and_measured() {
        let now: Timestamp = "2026-01-15T12:00:00Z".parse().unwrap();
        let text = recorded(|| {
            let pull = PullMetrics::new("crm", "alpha");
            pull.note(&Event::Looked { pending: 9, new: 7, unreadable: 0 });
            pull.note(&Event::Answered { number: "1".into(), accepted: false });
            pull.note(&Event::GivenUp { number: "2".into() });
            let oldest = Some("2026-01-15T11:00:00Z".parse().unwrap());
            pull.load(Load { waiting: 3, running: 2, unknown: 1, unanswered: 0, oldest }, now);
        });
        let labels = r#"pull="crm",provider="alpha""#;
        for line in [
            format!("headgate_pull_requests_total{{{labels}}} 7"),
            format!("headgate_pull_answers_total{{{labels},state=\"rejected\"}} 1"),
            format!("headgate_pull_answers_given_up_total{{{labels}}} 1"),
            format!("headgate_pull_open{{{labels},stage=\"unknown\"}} 1"),
            format!("headgate_pull_oldest_age{{{labels}}} 3600"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        for metric in METRICS {
            let counter = metric.kind == Kind::Counter;
            assert_eq!(metric.name.ends_with("_total"), counter, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_seconds"), metric.kind == Kind::Histogram, "{}", metric.name);
            assert!(metric.name.starts_with("headgate_") && metric.help.ends_with('.'), "{}", metric.name);
        }
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }

    #[test]
    fn the_page_is_up_to_date() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        if std::env::var_os("HEADGATE_WRITE_DOCS").is_some() {
            std::fs::write(file, page()).unwrap();
        }
        let written = std::fs::read_to_string(file).unwrap_or_default();
        assert_eq!(
            written,
            page(),
            "write it anew: HEADGATE_WRITE_DOCS=1 cargo test -p headgate the_page_is_up_to_date"
        );
    }
}
