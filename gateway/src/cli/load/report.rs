//! What was measured, and how it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use headgate_core::request::State;
use serde_json::{Value, json};

use crate::cli::output::{self, Listing};

/// The percentiles that are shown.
const PERCENTILES: [(&str, f64); 5] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];

/// What came back, and how fast.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How long was measured.
    pub(super) elapsed: Duration,
    /// Answers by HTTP status.
    statuses: BTreeMap<u16, u64>,
    /// Answers by the state of the request.
    states: BTreeMap<State, u64>,
    /// Connections that broke, by reason.
    failures: BTreeMap<String, u64>,
    /// Times from request to answer, in microseconds.
    times: Option<Histogram<u64>>,
}

impl Tally {
    /// Counts an answer.
    pub(super) fn add(&mut self, status: u16, state: Option<State>, time: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        if let Some(state) = state {
            *self.states.entry(state).or_default() += 1;
        }
        if let Some(times) = self.times_mut() {
            times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
        }
    }

    /// Counts a connection that broke.
    pub(super) fn failed(&mut self, why: String) {
        *self.failures.entry(why).or_default() += 1;
    }

    /// Adds what another one counted.
    pub(super) fn merge(&mut self, other: Self) {
        self.elapsed += other.elapsed;
        other.statuses.into_iter().for_each(|(status, count)| *self.statuses.entry(status).or_default() += count);
        other.states.into_iter().for_each(|(state, count)| *self.states.entry(state).or_default() += count);
        other.failures.into_iter().for_each(|(why, count)| *self.failures.entry(why).or_default() += count);
        if let Some(theirs) = other.times
            && let Some(ours) = self.times_mut()
        {
            // Both have the same bounds.
            let _ = ours.add(theirs);
        }
    }

    /// Whether nothing was answered.
    pub(super) fn is_empty(&self) -> bool {
        self.statuses.is_empty()
    }

    /// Answers that were errors, and connections that broke.
    pub(super) fn failures(&self) -> u64 {
        let errors: u64 = self.statuses.iter().filter(|(status, _)| **status >= 400).map(|(_, count)| count).sum();
        errors + self.failures.values().sum::<u64>()
    }

    /// Why a connection broke.
    pub(super) fn first_failure(&self) -> Option<&str> {
        self.failures.keys().next().map(String::as_str)
    }

    /// From one microsecond to ten minutes, to three digits. Made when it is first needed: it is large.
    fn times_mut(&mut self) -> Option<&mut Histogram<u64>> {
        if self.times.is_none() {
            self.times = Histogram::new_with_bounds(1, 600_000_000, 3).ok();
        }
        self.times.as_mut()
    }

    fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    fn accepted(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| (200..300).contains(*status)).map(|(_, count)| count).sum()
    }

    fn completed(&self) -> u64 {
        self.states.get(&State::Completed).copied().unwrap_or_default()
    }

    fn rate(&self, count: u64) -> f64 {
        if self.elapsed.is_zero() { 0.0 } else { count as f64 / self.elapsed.as_secs_f64() }
    }

    fn percentile(&self, percentile: f64) -> f64 {
        self.times.as_ref().map_or(0.0, |times| times.value_at_percentile(percentile) as f64 / 1_000.0)
    }

    fn to_json(&self) -> Value {
        let times: serde_json::Map<String, Value> = PERCENTILES
            .iter()
            .map(|(name, percentile)| ((*name).to_owned(), json!(self.percentile(*percentile))))
            .collect();
        let statuses: BTreeMap<String, u64> =
            self.statuses.iter().map(|(status, n)| (status.to_string(), *n)).collect();
        let states: BTreeMap<&str, u64> = self.states.iter().map(|(state, n)| (state.name(), *n)).collect();
        json!({
            "seconds": self.elapsed.as_secs_f64(), "answered": self.answered(),
            "accepted_per_second": self.rate(self.accepted()), "completed_per_second": self.rate(self.completed()),
            "milliseconds": times, "statuses": statuses, "states": states, "broken_connections": self.failures,
        })
    }
}

/// How many times the bare server's rate the gateway's is.
fn ratio(gateway: &Tally, bare: &Tally) -> f64 {
    let bare = bare.rate(bare.accepted());
    if bare == 0.0 { 0.0 } else { gateway.rate(gateway.accepted()) / bare }
}

/// The measurements for programs.
pub(super) fn to_json(gateway: &Tally, bare: Option<&Tally>) -> Value {
    json!({
        "gateway": gateway.to_json(),
        "baseline": bare.map(Tally::to_json),
        "ratio": bare.map(|bare| ratio(gateway, bare)),
    })
}

/// The measurements for people.
pub(super) fn print(gateway: &Tally, bare: Option<&Tally>) {
    let mut headings = vec!["", "answered", "accepted/s", "completed/s"];
    headings.extend(PERCENTILES.iter().map(|(name, _)| *name));
    let mut listing = Listing::new(&headings);
    for (name, tally) in [("gateway", Some(gateway)), ("bare server", bare)] {
        let Some(tally) = tally else { continue };
        let mut row = vec![
            name.to_owned(),
            tally.answered().to_string(),
            format!("{:.0}", tally.rate(tally.accepted())),
            format!("{:.0}", tally.rate(tally.completed())),
        ];
        row.extend(PERCENTILES.iter().map(|(_, percentile)| format!("{:.2} ms", tally.percentile(*percentile))));
        listing.row(row);
    }
    listing.print("");
    if let Some(bare) = bare {
        output::line(format_args!("ratio: {:.3} of the bare server's rate", ratio(gateway, bare)));
    }
    output::line(format_args!("statuses: {}", counts(gateway.statuses.iter())));
    if !gateway.states.is_empty() {
        output::line(format_args!("states: {}", counts(gateway.states.iter())));
    }
    for (why, count) in &gateway.failures {
        output::note(format_args!("{count} connections broke: {why}"));
    }
}

fn counts<T: std::fmt::Display>(counts: impl Iterator<Item = (T, impl std::fmt::Display)>) -> String {
    counts.map(|(what, count)| format!("{what} x {count}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_percentiles_follow_from_what_was_counted() {
        let mut tally = Tally::default();
        for millis in 1..=100 {
            tally.add(200, Some(State::Completed), Duration::from_millis(millis));
        }
        tally.add(503, None, Duration::from_millis(1));
        let mut all = Tally { elapsed: Duration::from_secs(2), ..Tally::default() };
        all.merge(tally);
        let json = to_json(&all, Some(&all));
        assert_eq!(json["gateway"]["accepted_per_second"], 50.0);
        assert_eq!(json["gateway"]["statuses"]["503"], 1);
        assert_eq!(json["ratio"], 1.0);
        let p50 = json["gateway"]["milliseconds"]["p50"].as_f64().unwrap();
        assert!((49.0..=51.0).contains(&p50), "{p50}");
        assert_eq!(all.failures(), 1);
    }
}
