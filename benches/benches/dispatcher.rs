//! The engine's own time for a request: offered, stored, sent, answered, ended. Store and platform cost nothing.

use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use headgate_benches::desk::Desk;
use headgate_benches::request;
use headgate_core::dispatch::store::Recovered;
use headgate_core::provider::Rate;
use headgate_core::request::{Request, State};

const REQUESTS: u64 = 10_000;
const RECOVERED: u64 = 100_000;

/// So many requests over so many lanes, in turn.
fn requests(count: u64, lanes: u64) -> Vec<Arc<Request>> {
    let json = |number| {
        format!(r#"{{"provider":"p","command":"reset_pin","subscription":"S{}","smartcard":"1"}}"#, number % lanes)
    };
    (1..=count).map(|number| request(number, &json(number))).collect()
}

fn cycle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("offered to ended");
    group.sample_size(10).throughput(Throughput::Elements(REQUESTS));
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let rate = Rate { count: 1_000, per: Duration::from_secs(1) };
    for (name, lanes, rate) in [
        ("a lane each", REQUESTS, None),
        ("1,000 lanes", 1_000, None),
        ("one lane", 1, None),
        ("a lane each, 1,000 per 1s", REQUESTS, Some(rate)),
    ] {
        let requests = requests(REQUESTS, lanes);
        let prepare = || {
            let mut desk = Desk::new(rate);
            desk.start(Vec::new());
            (desk, requests.clone())
        };
        group.bench_function(name, |bencher| {
            let work = |(mut desk, requests): (Desk, Vec<Arc<Request>>)| {
                let count = requests.len();
                desk.offer(requests);
                desk.finish(count);
                desk
            };
            bencher.iter_batched(prepare, work, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn recovery(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recovery of 100,000");
    group.sample_size(10).throughput(Throughput::Elements(RECOVERED));
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(3));
    let waiting = |request| Recovered { request, state: State::Waiting, attempts: 0, retry_at: None, reference: None };
    let unfinished: Vec<_> = requests(RECOVERED, 20_000).into_iter().map(waiting).collect();
    let prepare = || (Desk::new(None), unfinished.clone());
    group.bench_function("taken up", |bencher| {
        let work = |(mut desk, unfinished): (Desk, Vec<Recovered>)| {
            desk.start(unfinished);
            desk
        };
        bencher.iter_batched(prepare, work, BatchSize::LargeInput);
    });
    group.bench_function("taken up and ended", |bencher| {
        let work = |(mut desk, unfinished): (Desk, Vec<Recovered>)| {
            let count = unfinished.len();
            desk.start(unfinished);
            desk.finish(count);
            desk
        };
        bencher.iter_batched(prepare, work, BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(dispatcher, cycle, recovery);
criterion_main!(dispatcher);
