//! Whatever a client does wrong, and whatever runs out: a clear answer, nothing stored, nobody else hurt.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use headgate::config::ProviderState;
use headgate_site::program::{Launch, Program};
use headgate_site::site::{Platforms, Site};
use headgate_site::{Client, Reply};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// A fingerprint on a card of the platform over links: a request with nothing wrong.
fn good(n: usize) -> Value {
    json!({ "provider": "nagra", "command": "fingerprint", "smartcard": format!("{:010}", 1_000_000 + n) })
}

/// The same with one thing changed.
fn with(field: &str, value: Value) -> String {
    let mut body = good(0);
    body[field] = value;
    body.to_string()
}

fn mail(provider: &str, card: &str, text: &str) -> String {
    let message = json!({ "kind": "mail", "text": text });
    json!({ "provider": provider, "command": "send_message", "smartcard": card, "message": message }).to_string()
}

fn activate(provider: &str, card: Value, services: Value) -> String {
    let (start, end) = ("2026-11-01T00:00:00Z", "2030-12-31T23:59:00Z");
    let mut body = json!({ "provider": provider, "command": "activate_services", "smartcard": card, "end": end });
    body["start"] = if provider == "conax" { json!(start) } else { Value::Null };
    body["services"] = services;
    body.to_string()
}

/// What is sent, and the status, code and field of the answer.
fn wrong() -> Vec<(String, u16, &'static str, &'static str)> {
    let card = json!("0001000000");
    let basic = json!(["BASIC"]);
    vec![
        (with("provider", json!("nobody")), 422, "unknown_provider", "provider"),
        (with("provider", json!(7)), 400, "invalid_field", "provider"),
        (with("command", json!("explode")), 400, "invalid_field", "command"),
        (with("command", json!("get_device")), 422, "unsupported_command", "command"),
        (with("duration_seconds", json!("3")), 400, "invalid_field", "duration_seconds"),
        (with("duration_seconds", json!(0)), 422, "out_of_range", "duration_seconds"),
        (with("priority", json!("urgent")), 400, "invalid_field", "priority"),
        (with("not_before", json!("tomorrow")), 400, "invalid_field", "not_before"),
        (with("pin", json!("1234")), 422, "superfluous_field", "pin"),
        (with("colour", json!("red")), 400, "invalid_field", "colour"),
        (with("smartcards", json!(["1"])), 422, "conflicting_fields", "smartcard"),
        (with("smartcard", json!("12AB")), 422, "does_not_fit", "smartcard"),
        (with("smartcard", json!("")), 400, "invalid_field", "smartcard"),
        (with("smartcard", json!("9".repeat(40))), 422, "does_not_fit", "smartcard"),
        (json!({ "provider": "nagra" }).to_string(), 400, "invalid_field", "command"),
        (json!({ "provider": "nagra", "command": "fingerprint" }).to_string(), 422, "missing_field", "smartcards"),
        (activate("nagra", card.clone(), json!(["BASIC", "OPERA"])), 422, "unknown_service", "services/1"),
        (activate("nagra", card.clone(), json!("BASIC")), 400, "invalid_field", "services"),
        (activate("nagra", card, json!([])), 422, "out_of_range", "services"),
        (activate("conax", json!("0100000000"), basic.clone()), 422, "bad_number", "smartcard"),
        (activate("conax", json!("01000000000x"), basic.clone()), 422, "bad_number", "smartcard"),
        (activate("conax", json!(["010000000000"]), basic), 400, "invalid_field", "smartcard"),
        (
            json!({ "provider": "conax", "command": "set_pin", "smartcard": "010000000000", "pin": "1234" })
                .to_string(),
            422,
            "unsupported_command",
            "command",
        ),
        (mail("nagra", "0001000000", &"x".repeat(2_000)), 422, "text_too_long", "message/text"),
        (mail("conax", "010000000000", &"x".repeat(2_000)), 422, "text_too_long", "message/text"),
        (mail("conax", "010000000000", ""), 422, "out_of_range", "message/text"),
        ("{\"provider\": \"nagra\", ".to_owned(), 400, "malformed_json", ""),
        ("\"nagra\"".to_owned(), 400, "invalid_field", ""),
        (String::new(), 400, "malformed_json", ""),
        ("[]".to_owned(), 400, "empty_array", ""),
        (with("reference", json!("x".repeat(5_000))), 413, "too_large", ""),
    ]
}

/// Asserts a problem document that says what is wrong.
#[track_caller]
fn assert_problem(problem: &Value, status: u16, code: &str, field: &str, what: &str) {
    let found = (&problem["status"], &problem["code"], problem["field"].as_str().unwrap_or_default());
    assert_eq!(found, (&json!(status), &json!(code), field), "{what}\n{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
    assert!(problem["title"].is_string() && problem["type"].is_string(), "{problem}");
}

async fn assert_nothing_stored(client: &Client) -> Result<()> {
    assert_eq!(client.get("/v1/requests").await?["requests"], json!([]));
    Ok(())
}

async fn small_site() -> Result<Site> {
    Site::start(|config| {
        config.server.body_limit = 4_096;
        config.server.read_timeout = Duration::from_millis(300);
    })
    .await
}

#[tokio::test]
async fn what_can_not_be_is_refused_with_its_place_and_not_stored() -> Result<()> {
    let site = small_site().await?;
    for (body, status, code, field) in wrong() {
        let reply = site.client.call(Method::POST, "/v1/requests", &JSON, body.clone()).await?;
        assert_eq!(reply.status.as_u16(), status, "{body}\n{}", reply.json());
        assert_eq!(reply.headers["content-type"], "application/problem+json", "{body}");
        assert_problem(&reply.json(), status, code, field, &body);
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = site.client.call(Method::POST, "/v1/requests", &form, "provider=nagra").await?;
    assert_problem(&reply.json(), 415, "unsupported_media_type", "Content-Type", "a form");
    assert_nothing_stored(&site.client).await
}

#[tokio::test]
async fn a_wrong_line_does_not_hold_up_the_others() -> Result<()> {
    let site = small_site().await?;
    let too_long = with("reference", json!("x".repeat(5_000)));
    let lines =
        [&good(1).to_string(), "{\"provider\":", &good(2).to_string(), &too_long, &good(3).to_string()].join("\n");
    let headers = [("content-type", "application/x-ndjson"), ("prefer", "wait=30")];
    let reply = site.client.call(Method::POST, "/v1/requests", &headers, lines).await?;
    let mut answers = reply.lines();
    answers.sort_by_key(|answer| answer["line"].as_u64());
    assert_eq!(answers.len(), 5, "{answers:?}");
    for (answer, line) in answers.iter().zip(1..) {
        assert_eq!(answer["line"], json!(line));
        match line {
            2 => assert_problem(&answer["problem"], 400, "malformed_json", "", "half an object"),
            4 => assert_problem(&answer["problem"], 413, "too_large", "", "a line over the limit"),
            _ => assert_eq!(answer["request"]["state"], "completed", "{answer}"),
        }
    }
    assert_eq!(site.client.get("/v1/requests").await?["requests"].as_array().map(Vec::len), Some(3));
    Ok(())
}

/// Sends `start`, then a byte now and then for as long as the gateway takes it; returns what it says in the end.
async fn dribble(address: SocketAddr, start: &str) -> Result<String> {
    let (mut read, mut write) = TcpStream::connect(address).await?.into_split();
    write.write_all(start.as_bytes()).await?;
    let dribbling = tokio::spawn(async move {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = tokio::time::timeout(Duration::from_secs(30), read.read_to_end(&mut said)).await.context("never cut")?;
    dribbling.abort();
    Ok(String::from_utf8(said)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_and_hurt_nobody() -> Result<()> {
    let site = small_site().await?;
    let address = site.address();
    let post = |kind| {
        format!("POST /v1/requests HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: 4000\r\n")
    };
    let (json, lines) = (post("application/json"), post("application/x-ndjson"));
    let slow = [
        // In the middle of a header (cut, there is nobody to answer yet), of a body, of a line.
        (format!("{json}x-slow: "), None),
        (format!("{json}\r\n{{"), Some("too_slow")),
        (format!("{lines}\r\n{{"), Some("too_slow")),
    ];
    let slow = slow.map(|(start, code)| tokio::spawn(async move { (dribble(address, &start).await, start, code) }));
    let mut number = 0;
    while !slow.iter().all(tokio::task::JoinHandle::is_finished) {
        number += 1;
        let reply = site.client.post(&good(number), 20).await?;
        assert_eq!(reply.json()["state"], "completed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for client in slow {
        let (said, start, code) = client.await?;
        let said = said?;
        assert!(code.is_none_or(|code| said.contains(code)), "{start:?} was answered with {said:?}");
        assert!(!said.contains("\"state\""), "{start:?} was accepted: {said:?}");
    }
    let stored = site.client.get("/v1/requests?limit=1000").await?;
    assert_eq!(stored["requests"].as_array().map(Vec::len), Some(number));
    Ok(())
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again_and_drops_nothing() -> Result<()> {
    let site = Site::start(|config| {
        config.providers[0].state = ProviderState::NotEffective;
        config.providers[0].limits.queue = 5;
    })
    .await?;
    let mut ids = Vec::new();
    for n in 0..5 {
        let reply = site.client.post(&good(n), 0).await?;
        assert_eq!(reply.status, StatusCode::ACCEPTED);
        ids.push(reply.json()["id"].as_str().context("an id")?.to_owned());
    }
    let reply = site.client.post(&good(5), 0).await?;
    assert_problem(&reply.json(), 503, "busy", "", "a sixth");
    assert!(retry_after(&reply) >= 1);
    let path = "/v1/providers/nagra/state";
    let reply = site.client.call(Method::PUT, path, &JSON, r#"{"state":"effective"}"#).await?;
    assert!(reply.status.is_success(), "{}", reply.json());
    for id in &ids {
        assert_eq!(site.client.ended(id).await?["state"], "completed");
    }
    assert_eq!(site.client.post(&good(5), 20).await?.json()["state"], "completed");
    let cards = site.platforms.nagra.holdings().await?.cards;
    assert_eq!(cards.values().map(|card| card.fingerprints).collect::<Vec<_>>(), [1; 6]);
    Ok(())
}

fn retry_after(reply: &Reply) -> u64 {
    reply.headers.get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// A disk of its own for the store, so small that the test can fill it: a tmpfs in a mount namespace, which goes with
/// the process. Needs no root where the system lets users make namespaces.
async fn gateway_on_a_small_disk(platforms: &Platforms) -> Result<(Program, PathBuf)> {
    let home = platforms.home.path();
    let disk = home.join("disk");
    std::fs::create_dir(&disk)?;
    let config = platforms.config(SocketAddr::from(([127, 0, 0, 1], 0)));
    std::fs::write(home.join("headgate.toml"), config.replace("/headgate.db", "/disk/headgate.db"))?;
    let mount = "mount -t tmpfs -o size=2m headgate \"$0\" && exec \"$@\"";
    let launch = Launch::new(env!("CARGO_BIN_EXE_headgate"), home.join("headgate.toml")).by(&[
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        mount,
        disk.to_str().context("a name")?,
    ]);
    let program = launch.start().await.context("needs `unshare --mount --map-root-user`, of util-linux")?;
    // As the process sees it.
    let seen = format!("/proc/{}/root{}", program.id().context("it runs")?, disk.display());
    Ok((program, seen.into()))
}

/// Writes until the disk takes no more.
fn fill(path: &std::path::Path) -> Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::create(path)?;
    while file.write_all(&[0; 1_024]).is_ok() {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_clearly_and_recovers() -> Result<()> {
    let platforms = Platforms::start().await?;
    let (mut program, disk) = gateway_on_a_small_disk(&platforms).await?;
    let client = program.ready().await?;
    let mut acknowledged = Vec::new();
    let mut post = async |n: usize| -> Result<Reply> {
        let reply = client.post(&good(n), 0).await?;
        acknowledged.extend(reply.json()["id"].as_str().map(str::to_owned));
        Ok(reply)
    };
    assert_eq!(post(0).await?.status, StatusCode::ACCEPTED);
    fill(&disk.join("balloon"))?;
    // What is left in the files' last pages is used up first.
    let mut number = 0;
    let full = loop {
        number += 1;
        ensure!(number < 10_000, "the disk does not get full");
        let reply = post(number).await?;
        if reply.status != StatusCode::ACCEPTED {
            break reply;
        }
    };
    assert_problem(&full.json(), 503, "not_stored", "", "a full disk");
    assert!(retry_after(&full) >= 1);
    assert_eq!(client.call(Method::GET, "/livez", &[], "").await?.status, StatusCode::OK);
    assert_eq!(client.get("/v1/requests?limit=1").await?["requests"].as_array().map(Vec::len), Some(1));

    std::fs::remove_file(disk.join("balloon"))?;
    let start = Instant::now();
    while post(20_000).await?.status != StatusCode::ACCEPTED {
        ensure!(start.elapsed() < Duration::from_secs(30), "the gateway does not recover");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for id in &acknowledged {
        assert_eq!(client.ended(id).await?["state"], "completed");
    }
    let cards = platforms.nagra.holdings().await?.cards;
    assert_eq!(cards.len(), acknowledged.len(), "what was refused did not go out");
    assert!(cards.values().all(|card| card.fingerprints == 1));
    assert!(program.stop().await?.success());
    Ok(())
}
