//! Platforms that are called over HTTP, on real sockets: a session lost under load, answers that mean harm, and what logs
//! tell of it all.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headgate_codecs::registry::Protocol;
use headgate_core::platform::{Fault, Holdings};
use headgate_site::program::Launch;
use headgate_site::running::Running;
use headgate_site::web::{self, Web};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_lost_under_a_thousand_requests_is_opened_once_and_nothing_is_done_twice() -> Result<()> {
    const REQUESTS: usize = 1_000;
    let web = Web::start().await?;
    let with_sessions = ["vcas-omi", "panaccess", "nagra-medialive"];
    let running = Running::start(&web.config()).await?;
    for (protocol, simulation) in web.platforms.iter().filter(|(protocol, _)| with_sessions.contains(&protocol.name)) {
        if let Some(account) = shown(protocol, |request| request["command"] == "create_subscriber") {
            let made = running.client.post(&account, 20).await?.json();
            ensure!(made["state"] == "completed", "{}: {made}", protocol.name);
        }
        let requests: Vec<_> = (0..REQUESTS).map(|number| countable(protocol, number)).collect();
        let before = simulation.holdings().await?;
        let client = running.client.clone();
        let outcomes = tokio::spawn(async move { client.post_lines(&requests, 120).await });
        // Where no mark is to be seen, every request is one change.
        let done = |now: &Holdings| match counted(now) {
            0 => usize::try_from(now.applied - before.applied).unwrap_or_default(),
            marks => marks,
        };
        while !outcomes.is_finished() && done(&simulation.holdings().await?) < REQUESTS / 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        simulation.inject(Fault::LoseSessions).await?;
        for reply in outcomes.await??.lines() {
            ensure!(reply["request"]["state"] == "completed", "{}: {reply}", protocol.name);
            ensure!(reply["request"]["attempts"] == 1, "{}: {reply}", protocol.name);
        }
        let after = simulation.holdings().await?;
        ensure!(after.logins == before.logins + 1, "{}: {} logins", protocol.name, after.logins - before.logins);
        ensure!(done(&after) == REQUESTS, "{}: {} were done", protocol.name, done(&after));
    }
    running.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

/// The marks that [`countable`] requests leave at a platform.
const MARK: &str = "mark ";

/// A request that leaves a mark of its own: a message, or a use where there are no messages. Each is of a subscription of
/// its own, so that all go side by side.
fn countable(protocol: &Protocol, number: usize) -> Value {
    let to_card = |request: &Value| request["command"] == "send_message" && request["smartcard"].is_string();
    let message = shown(protocol, to_card);
    let mut request = message
        .or_else(|| shown(protocol, |request| request["command"] == "add_usage"))
        .expect("a demo that shows one of them");
    let mark = format!("{MARK}{number}");
    match request.get("message").cloned() {
        Some(mut message) => {
            message["text"] = json!(mark);
            request["message"] = message;
        }
        None => request["usage"] = json!(mark),
    }
    if request["account"].is_null() && request["subscription"].is_string() {
        request["account"] = request["subscription"].clone();
    }
    request["subscription"] = json!(format!("S{number}"));
    request
}

/// The first request of a protocol's demo that is such a one.
fn shown(protocol: &Protocol, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
    let lines = protocol.demo.requests.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.into_iter().find(is_it)
}

/// How many marks there are.
fn counted(holdings: &Holdings) -> usize {
    let messages = holdings.cards.values().flat_map(|card| &card.messages);
    let messages = messages.chain(holdings.accounts.values().flat_map(|account| &account.messages));
    let uses = holdings.accounts.values().flat_map(|account| account.usages.keys());
    messages.chain(uses).filter(|mark| mark.contains(MARK)).count()
}

/// Answers every call on every connection with the same bytes.
async fn answering(bytes: Vec<u8>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let bytes = Arc::new(bytes);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = Arc::clone(&bytes);
            tokio::spawn(async move {
                // What is asked does not matter; one answer, and then the connection ends.
                let mut asked = vec![0; 64 << 10];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                let _ = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut asked)).await;
            });
        }
    });
    Ok(address)
}

fn answer(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Answers that mean harm, by name.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let envelope = |body: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{body}</s:Body></s:Envelope>"
        )
    };
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
        <!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><a>&c;</a>";
    let deep_xml = envelope(&format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000)));
    let deep_json = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let twice = format!("{}{}", envelope("<a/>"), envelope("<a/>"));
    let mut gigabyte = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 1073741824\r\n\r\n".to_vec();
    gigabyte.extend_from_slice(b"<a>");
    vec![
        ("an entity bomb", answer("text/xml", bomb.as_bytes())),
        ("ten thousand levels of XML", answer("text/xml", deep_xml.as_bytes())),
        ("ten thousand levels of JSON", answer("application/json", deep_json.as_bytes())),
        ("a declared gigabyte", gigabyte),
        ("bytes that are no UTF-8", answer("text/xml", b"<a>\xff\xfe</a>")),
        ("another namespace", answer("text/xml", b"<Envelope xmlns=\"urn:x\"><Body><ok/></Body></Envelope>")),
        ("two documents", answer("text/xml", twice.as_bytes())),
        (
            "members that come twice",
            answer("application/json", b"{\"success\":true,\"success\":false,\"status\":1,\"status\":2}"),
        ),
        ("HTML", answer("text/html", b"<html><body><h1>It works!</h1></body></html>")),
        ("nothing", answer("application/json", b"")),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_mean_harm_are_told_clearly_and_cost_nothing() -> Result<()> {
    let mut by_status = BTreeSet::new();
    for (name, bytes) in hostile() {
        let address = answering(bytes).await?;
        let providers: String = web::protocols()
            .map(|protocol| web::provider(protocol, &format!("http://{address}"), protocol.demo.settings))
            .collect();
        let running = Running::start(&providers).await?;
        let before = resident()?;
        for protocol in web::protocols() {
            let mut request = web::change(protocol);
            // Whatever is tried again is tried within this time.
            request["expires"] = json!((Timestamp::now() + Duration::from_millis(1_500)).to_string());
            let ended = running.client.post(&request, 20).await?.json();
            let place = format!("{name} to {}: {ended}", protocol.name);
            // Some platforms answer with nothing but a status: then a body is not what decides.
            if ended["state"] == "completed" {
                by_status.insert(protocol.name);
                continue;
            }
            let status = running.client.get(&format!("/v1/providers/{}", protocol.name)).await?;
            // Either the login was answered so, or the request.
            let told = [&ended["failure"]["text"], &status["trouble"]];
            ensure!(told.iter().any(|text| text.as_str().is_some_and(|text| text.len() > 10)), "{place}, {status}");
        }
        let grown = resident()?.saturating_sub(before);
        ensure!(grown < 64 << 10, "{name}: {grown} KiB more");
        running.gateway.stop(Duration::from_secs(5)).await?;
    }
    // Perception tells by the status alone whether a subscriber was made [S:7].
    ensure!(by_status.iter().all(|name| *name == "perception"), "{by_status:?}");
    Ok(())
}

/// What this process has in memory, in KiB.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a line")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

/// What must not stand in a log, of all that the demos send and hold.
fn private() -> BTreeSet<String> {
    fn strings(value: &Value, private: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        (
                            "smartcard" | "stb" | "subscription" | "account" | "new_smartcard" | "new_stb" | "text"
                            | "password" | "pin" | "login" | "email" | "phone" | "street" | "first_name" | "last_name",
                            Value::String(text),
                        ) => drop(private.insert(text.clone())),
                        _ => strings(value, private),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| strings(value, private)),
            _ => {}
        }
    }
    let mut private = BTreeSet::new();
    for protocol in web::protocols() {
        for line in protocol.demo.requests.lines() {
            strings(&serde_json::from_str(line).unwrap_or_default(), &mut private);
        }
        let settings: Value = toml::from_str(protocol.demo.settings).unwrap_or_default();
        secrets(&settings, &mut private);
        secrets(&toml::from_str(protocol.demo.connection).unwrap_or_default(), &mut private);
    }
    // Short words and numbers are in every log by chance.
    private.retain(|text| text.len() >= 6);
    private
}

fn secrets(value: &Value, private: &mut BTreeSet<String>) {
    let Some(members) = value.as_object() else { return };
    for (name, value) in members {
        match value {
            Value::String(text) if ["password", "secret", "key", "token"].iter().any(|word| name.contains(word)) => {
                private.insert(text.clone());
            }
            other => secrets(other, private),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_of_a_full_run_tells_a_secret_or_a_subscriber() -> Result<()> {
    let web = Web::start().await?;
    let home = tempfile::tempdir()?;
    let config = home.path().join("headgate.toml");
    let store = home.path().join("headgate.db");
    let text = format!("[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"{}\"\n{}", store.display(), web.config());
    std::fs::write(&config, text)?;
    let private = private();
    ensure!(private.len() > 10, "{private:?}");
    for level in ["info", "trace"] {
        let launch = Launch::new(env!("CARGO_BIN_EXE_headgate"), &config).log_level(level);
        let mut program = launch.start().await?;
        let client = program.ready().await?;
        for fault in
            [None, Some(Fault::ServerError), Some(Fault::Garbage), Some(Fault::CloseInstead), Some(Fault::LoseSessions)]
        {
            for (protocol, simulation) in &web.platforms {
                if let Some(fault) = fault {
                    // Not every platform has sessions.
                    let _ = simulation.inject(fault).await;
                }
                let lines = protocol.demo.requests.lines().filter(|line| !line.trim().is_empty());
                let requests: Vec<Value> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
                let ended = client.post_lines(&requests, 60).await?.lines();
                ensure!(ended.len() == requests.len(), "{}: {} of {}", protocol.name, ended.len(), requests.len());
            }
        }
        ensure!(program.stop().await?.success(), "it stops");
        let log = launch.log().lines();
        ensure!(log.len() > 3, "{log:?}");
        for line in log {
            let told = private.iter().find(|text| line.contains(text.as_str()));
            ensure!(told.is_none(), "at {level}: {told:?} is told: {line}");
        }
    }
    Ok(())
}
