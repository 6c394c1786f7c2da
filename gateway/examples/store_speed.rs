//! How fast the SQLite store is on this machine's disk.
//!
//! `cargo run --release -p headgate --example store_speed [REQUESTS] [DIRECTORY]`
//!
//! Two loads: a request that ends in the group that accepts it (a query, a fast platform), and one whose end
//! comes after its accept was stored (what a change at a real platform does), with 4,096 of them under way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use headgate::config::StoreConfig;
use headgate::store::{Store, StoreReport, open};
use headgate_core::body::RequestBody;
use headgate_core::dispatch::store::{Change, ChangeId, Finish, StoreCall};
use headgate_core::outcome::Exchange;
use headgate_core::request::{Body, Request, RequestId, State};
use jiff::Timestamp;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Requests under way at once.
const WINDOW: u64 = 4096;

/// Calls handed over at once.
const BATCH: usize = 64;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program that prints its result")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let requests: u64 = arguments.next().map_or(Ok(300_000), |text| text.parse())?;
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    for (name, together, durable) in [
        ("accept and finish in one group, durable", true, true),
        ("accept and finish in one group, lazy", true, false),
        ("finish after the accept is stored, durable", false, true),
    ] {
        let place = tempfile::tempdir_in(&directory)?;
        let took = measure(place.path(), requests, together, durable).await?;
        println!("{name}: {:.0} requests/s ({requests} in {took:.2} s)", requests as f64 / took);
    }
    Ok(())
}

async fn measure(place: &Path, requests: u64, together: bool, durable: bool) -> anyhow::Result<f64> {
    let store = open(&StoreConfig { path: place.join("speed.db"), ..StoreConfig::default() }).await?;
    let made: Vec<Arc<Request>> = (1..=requests).map(request).collect::<Result<_, _>>()?;
    let start = Instant::now();
    drive(&*store, &made, together, durable).await;
    store.close().await?;
    Ok(start.elapsed().as_secs_f64())
}

/// Accepts and finishes every request, never more than the window at once. Odd changes are accepts, even ones ends.
async fn drive(store: &dyn Store, requests: &[Arc<Request>], together: bool, durable: bool) {
    let (report, mut reports) = mpsc::unbounded_channel();
    let call = |id: u64, change| StoreCall { id: ChangeId(id), durable, change };
    let (mut accepted, mut ended) = (0, 0);
    while ended < requests.len() as u64 {
        while accepted < requests.len() as u64 && accepted - ended + BATCH as u64 <= WINDOW {
            let next = requests.iter().skip(accepted as usize).take(BATCH);
            let mut calls = Vec::with_capacity(2 * BATCH);
            for request in next {
                accepted += 1;
                calls.push(call(2 * accepted - 1, Change::Accept(Arc::clone(request), State::Sent)));
                if together {
                    calls.push(call(2 * accepted, finish(request)));
                }
            }
            store.write(calls, &report);
        }
        let Some(StoreReport::Stored(stored)) = reports.recv().await else { panic!("a change was refused") };
        ended += stored.iter().filter(|id| id.0 % 2 == 0).count() as u64;
        if !together {
            let accepts = stored.iter().filter(|id| id.0 % 2 == 1);
            let calls = accepts.map(|id| call(id.0 + 1, finish(&requests[(id.0 / 2) as usize]))).collect();
            store.write(calls, &report);
        }
    }
}

fn request(number: u64) -> anyhow::Result<Arc<Request>> {
    let json = format!(
        r#"{{"provider":"conax","command":"activate_services","subscription":"S{:07}","services":["SPORT"],"smartcard":"01450{number:08}"}}"#,
        number.wrapping_mul(0x9E37_79B9) % 1_000_000
    );
    let body: RequestBody = serde_json::from_str(&json)?;
    let command = body.command()?;
    Ok(Arc::new(Request { number, body: Body(json.into()), ..Request::new(RequestId(Uuid::now_v7()), &body, command) }))
}

fn finish(request: &Request) -> Change {
    Change::Finish(Arc::new(Finish {
        id: request.id,
        state: State::Completed,
        attempts: 1,
        sent_at: Some(request.created),
        finished_at: Timestamp::now(),
        failure: None,
        answer: None,
        reference: None,
        exchange: Exchange { request: vec![b'>'; 60].into(), response: vec![b'<'; 20].into() },
    }))
}
