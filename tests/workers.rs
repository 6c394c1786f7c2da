//! A provider whose work third parties fetch: the example in `examples/worker.py`, several of them, some of which die.

#![expect(clippy::print_stdout, reason = "tells what was measured")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headgate_site::client::Client;
use headgate_site::running::Running;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A gateway with a served provider named `gen`.
struct Served {
    running: Running,
}

impl Served {
    async fn start(settings: &str) -> Result<Self> {
        let provider = format!(
            "[[provider]]\nname = \"gen\"\nprotocol = \"generic\"\n\
             [provider.services]\nBASIC = \"b1\"\nSPORT = \"s1\"\n[provider.settings]\n{settings}\n"
        );
        Ok(Self { running: Running::start(&provider).await? })
    }

    const fn client(&self) -> &Client {
        &self.running.client
    }

    async fn work(&self, call: &str, body: Value) -> Result<Value> {
        let path = format!("/v1/providers/gen/{call}");
        let reply = self.client().call(Method::POST, &path, &[], body.to_string()).await?;
        ensure!(reply.status == StatusCode::OK, "{}: {}", reply.status, reply.json());
        Ok(reply.json())
    }
}

/// One worker in a process of its own, and the lines it writes.
struct Worker {
    child: Child,
    lines: tokio::task::JoinHandle<Vec<String>>,
}

impl Worker {
    fn start(gateway: SocketAddr, arguments: &[&str]) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/worker.py");
        let mut child = Command::new("python3")
            .arg(script)
            .args([&format!("http://{gateway}"), "gen"])
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("python3 runs the example; install it")?;
        let stdout = child.stdout.take().context("its output")?;
        let lines = tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            let mut all = Vec::new();
            while let Ok(Some(line)) = lines.next_line().await {
                all.push(line);
            }
            all
        });
        Ok(Self { child, lines })
    }

    /// Kills it, and tells what it wrote.
    async fn kill(mut self) -> Result<Vec<String>> {
        self.child.kill().await?;
        Ok(self.lines.await?)
    }
}

fn activate(number: usize) -> Value {
    json!({
        "provider": "gen", "command": "activate_services", "subscription": format!("S{}", number % 97),
        "services": [if number.is_multiple_of(2) { "BASIC" } else { "SPORT" }],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_two_of_which_die_answer_every_request_once() -> Result<()> {
    const REQUESTS: usize = 600;
    let served = Served::start("lease = \"2s\"\nlongest_wait = \"1s\"").await?;
    let slow = ["--max", "10", "--pause", "0.01"];
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(Worker::start(served.running.serving.http(), &slow)?);
    }
    let requests: Vec<_> = (0..REQUESTS).map(activate).collect();
    let client = served.client().clone();
    let outcomes = tokio::spawn(async move { client.post_lines(&requests, 120).await });
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    let mut dead = 0;
    for after in [1_500, 2_500] {
        tokio::time::sleep(Duration::from_millis(after)).await;
        let lines = workers.remove(0).kill().await?;
        dead += lines.len();
        for line in lines {
            *done.entry(line).or_default() += 1;
        }
    }
    let replies = outcomes.await??.lines();
    ensure!(replies.len() == REQUESTS, "{} replies", replies.len());
    for reply in &replies {
        ensure!(reply["request"]["state"] == "completed", "{reply}");
        ensure!(reply["request"]["attempts"] == 1, "{reply}");
    }
    ensure!(dead > 0, "the two that died had done something");
    for worker in workers {
        for line in worker.kill().await? {
            *done.entry(line).or_default() += 1;
        }
    }
    // What a worker did whose answer got lost with it was done again by another; nothing else was.
    let twice = done.values().filter(|count| **count > 1).count();
    ensure!(done.len() == REQUESTS && twice <= 20, "{} numbers, {twice} of them done twice", done.len());
    println!("{REQUESTS} requests, {dead} by workers that died, {twice} of those done again by another");
    served.running.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_within_a_subscription_is_kept_and_a_waiting_call_is_woken() -> Result<()> {
    let served = Served::start("longest_wait = \"30s\"").await?;
    let client = served.client().clone();
    let waiting = tokio::spawn(async move {
        let body = json!({ "wait_seconds": 30, "max": 1 }).to_string();
        client.call(Method::POST, "/v1/providers/gen/pull", &[], body).await
    });
    // The first call is what tells that a worker is there: it must have come.
    while served.client().get("/v1/providers/gen").await?["links_up"] != 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut posted = Vec::new();
    for services in [json!(["BASIC"]), json!(["SPORT"])] {
        let body =
            json!({ "provider": "gen", "command": "activate_services", "subscription": "S1", "services": services });
        posted.push(served.client().post(&body, 0).await?.json());
    }
    let first = waiting.await??.json();
    let offer = &first["requests"][0];
    ensure!(offer["services"][0]["ca_id"] == "b1" && offer["delivery"] == 1, "{first}");
    // The second of the subscription is offered when the first is answered.
    ensure!(served.work("pull", json!({})).await?["requests"] == json!([]), "too early");
    let answer =
        json!({ "number": offer["number"], "lease": offer["lease"], "state": "completed", "reference": "R-1" });
    let answers = json!({ "answers": [answer] });
    ensure!(served.work("answers", answers.clone()).await? == json!({ "failed": [] }), "not taken");
    ensure!(served.work("answers", answers).await? == json!({ "failed": [] }), "a repeat is fine");
    let second = served.work("pull", json!({ "wait_seconds": 10 })).await?;
    ensure!(second["requests"][0]["services"][0]["ca_id"] == "s1", "{second}");
    let ended = served.client().ended(posted[0]["id"].as_str().context("an id")?).await?;
    ensure!(ended["platform_reference"] == "R-1" && ended["state"] == "completed", "{ended}");
    served.running.gateway.stop(Duration::from_secs(1)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crm_com_s_calls_are_served_where_it_serves_them() -> Result<()> {
    let served = Served::start("crm_com_types_only = true").await?;
    let pending = "/provisioning/generic_provisioning_requests/get_pending?token=T\
        &provisioning_provider_identifier=%7B%22name%22%3A%22gen%22%7D&number_of_results=50&offset=0";
    ensure!(served.client().get(pending).await?["data"]["subscriptions_set"] == json!([]), "empty at first");
    let id = served.client().post(&activate(0), 0).await?.json()["id"].as_str().context("an id")?.to_owned();
    let mut shown = served.client().get(pending).await?;
    while shown["data"]["subscriptions_set"] == json!([]) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        shown = served.client().get(pending).await?;
    }
    let request = &shown["data"]["subscriptions_set"][0]["pending_provisioning_requests_set"][0];
    ensure!(request["type"] == "ACTIVATE_SERVICE" && request["service"]["ca_id"] == "b1", "{shown}");
    let response = json!({
        "token": "T", "provisioning_provider_identifier": { "alternative_code": "gen" },
        "responses_set": [{ "number": request["number"], "response_status": "REJECTED", "error_code": "E12" }],
    });
    let path = "/provisioning/generic_provisioning_requests/send_response";
    let reply = served.client().call(Method::POST, path, &[("content-type", "application/json")], response.to_string());
    let reply = reply.await?.json();
    ensure!(reply["data"]["failed_provisioning_requests_set"] == json!([]), "{reply}");
    let ended = served.client().ended(&id).await?;
    ensure!(ended["state"] == "rejected" && ended["failure"]["code"] == "E12", "{ended}");
    for (path, status) in [
        ("/provisioning/generic_provisioning_requests/get_pending?number_of_results=5&offset=0", 400),
        (
            "/provisioning/generic_provisioning_requests/get_pending?provisioning_provider_identifier=%7B%22id%22%3A%22x%22%7D",
            404,
        ),
    ] {
        let reply = served.client().call(Method::GET, path, &[], "").await?;
        ensure!(reply.status.as_u16() == status, "{path}: {}", reply.json());
    }
    served.running.gateway.stop(Duration::from_secs(1)).await?;
    Ok(())
}
