//! A session with everything that goes wrong: no log line and no error tells what is secret or a subscriber's.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result};
use headgate_core::platform::Fault;
use headgate_site::program::{Launch, Log};
use headgate_site::site::{NAGRA_PASSWORD, Platforms};
use headgate_site::vsftpd::{Security, Vsftpd};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_headgate");

// Secrets. The server's password is that of `Vsftpd::table`.
const PIN: &str = "9371";
const SERVER_PASSWORD: &str = "secret-word";
// A subscriber's. Files of the platform name a card without its last digit.
const NAGRA_CARD: &str = "0077712345";
const CONAX_CARD: &str = "017771234509";
const STB: &str = "0088812345";
const TEXT: &str = "Your invoice of 12 Elm Street";
const SUBSCRIPTION: &str = "SUB-77712";

const FAULTS: [Fault; 10] = [
    Fault::Garbage,
    Fault::WrongNumber,
    Fault::HalfFrame,
    Fault::DuplicateAnswer,
    Fault::CloseBefore,
    Fault::CloseInstead,
    Fault::CloseAfter,
    Fault::Delay(10),
    Fault::UnknownCard,
    Fault::Throttle,
];

/// What a text tells of these, as it is or in hexadecimal. A PIN is so short that it counts only as a whole number.
fn told<'a>(text: &str, secrets: &[&'a str]) -> Option<&'a str> {
    let numbers: Vec<_> = text.split(|c: char| !c.is_ascii_digit()).collect();
    let hex = |secret: &str| headgate_core::text::to_hex(secret.as_bytes());
    secrets.iter().copied().find(|secret| {
        let plain = if *secret == PIN { numbers.contains(secret) } else { text.contains(secret) };
        plain || text.contains(&hex(secret))
    })
}

#[track_caller]
fn assert_silent(text: &str, secrets: &[&str]) {
    if let Some(secret) = told(text, secrets) {
        panic!("{secret:?} is told: {text}");
    }
}

fn requests() -> Vec<Value> {
    let nagra = |command: &str| json!({ "provider": "nagra", "command": command, "smartcard": NAGRA_CARD, "subscription": SUBSCRIPTION });
    let mut pin = nagra("set_pin");
    pin["pin"] = json!(PIN);
    let mut pair = nagra("pair");
    pair["stb"] = json!(STB);
    let mut mail = nagra("send_message");
    mail["message"] = json!({ "kind": "mail", "text": TEXT });
    let mut order = mail.clone();
    order["provider"] = json!("conax");
    order["smartcard"] = json!(CONAX_CARD);
    vec![pin, pair, mail, order]
}

/// Requests that are refused although, or because, they hold secrets.
fn wrong() -> Vec<String> {
    let mut all = Vec::new();
    for request in requests() {
        let with = |field: &str, value: Value| {
            let mut request = request.clone();
            request[field] = value;
            request.to_string()
        };
        all.push(with("pin", json!([PIN])));
        all.push(with("pin", json!(PIN.parse::<u64>().unwrap())));
        all.push(with("pin", json!(format!("{PIN} "))));
        all.push(with("smartcard", json!(NAGRA_CARD.parse::<u64>().unwrap())));
        all.push(with("smartcard", json!(format!("{CONAX_CARD}-{NAGRA_CARD}"))));
        all.push(with("stbs", json!(STB)));
        all.push(with("message", json!(TEXT)));
        all.push(with("message", json!({ "kind": TEXT, "text": TEXT })));
        all.push(with("message", json!({ "kind": "mail", "text": TEXT.repeat(200) })));
        all.push(with("subscription", json!([SUBSCRIPTION])));
        all.push(with("start", json!(TEXT)));
        all.push(with("expires", json!(NAGRA_CARD)));
        all.push(with("reason", json!(TEXT)));
        all.push(with("command", json!(PIN)));
        let mut half = request.to_string();
        half.pop();
        all.push(half);
    }
    all
}

/// The whole session at that level of logging. Returns what was logged, and the API key.
async fn session(level: &str) -> Result<(Log, String)> {
    let server = Vsftpd::start(Security::None, "");
    let platforms = Platforms::start_behind(&server).await?;
    let config = platforms.home.path().join("headgate.toml");
    let key = headgate::config::key::make("test", headgate::config::Role::Admin)?;
    let by_ftp = server.table("", None).replace("[ftp]", "[provider.connection.ftp]");
    let directory = format!("directory = \"{}\"\n", platforms.conax_directory.display());
    let text = platforms.config(SocketAddr::from(([127, 0, 0, 1], 0))).replace(&directory, &by_ftp);
    // What goes wrong shall not take long.
    let (timeouts, patience) = (
        "answer_timeout = \"1s\"\nlink_check_after = \"500ms\"\nreconnect_first = \"20ms\"",
        "retry = { first_delay = \"20ms\" }\nbreaker = { open_for = \"100ms\" }\n[provider.connection]",
    );
    let text = text.replace("answer_timeout = \"5s\"", timeouts).replace("[provider.connection]", patience);
    std::fs::write(&config, format!("{text}\n{}", key.stanza))?;
    let launch = Launch::new(BINARY, &config).log_level(level);
    let private =
        [PIN, SERVER_PASSWORD, NAGRA_PASSWORD, NAGRA_CARD, &CONAX_CARD[..11], STB, TEXT, SUBSCRIPTION, &key.key];

    for _ in 0..2 {
        let mut program = launch.start().await?;
        let client = program.ready().await?.with_key(&key.key);
        for body in wrong() {
            let json = [("content-type", "application/json")];
            let reply = client.call(Method::POST, "/v1/requests", &json, body.clone()).await?;
            assert!(reply.status.is_client_error(), "{body}: {}", reply.json());
            assert_silent(std::str::from_utf8(&reply.body)?, &private);
        }
        let stranger = client.clone().with_key(&format!("{}x", key.key)).get("/v1/requests").await?;
        assert_silent(&stranger.to_string(), &private);

        let mut ids = Vec::new();
        for fault in FAULTS {
            // Not every platform can misbehave in every way.
            let _ = platforms.nagra.inject(fault).await;
            let _ = platforms.conax.inject(fault).await;
            for request in requests() {
                let reply = client.post(&request, 0).await?;
                assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.json());
                ids.push(reply.json()["id"].as_str().context("an id")?.to_owned());
            }
        }
        for id in &ids {
            client.ended(id).await?;
        }
        let address = program.address().borrow().context("it serves")?;
        for arguments in [&["--all"][..], &["--all", "--json"], &["show", &ids[0], "--exchange"]] {
            let shown = headgate_requests(address, &key.key, arguments).await?;
            assert_silent(&shown, &[PIN, SERVER_PASSWORD, NAGRA_PASSWORD, &key.key]);
        }
        assert!(program.stop().await?.success());
    }
    Ok((launch.log(), key.key))
}

/// What `headgate requests` prints.
async fn headgate_requests(address: SocketAddr, key: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(BINARY);
    command.args(["requests", "--url", &format!("http://{address}")]).args(arguments).env("HEADGATE_KEY", key);
    let output = command.stdin(Stdio::null()).output().await?;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_operators_tell_nothing_private() -> Result<()> {
    let (log, key) = session("info").await?;
    let lines = log.lines();
    assert!(lines.iter().any(|line| line.contains("link lost")), "nothing went wrong");
    let private = [PIN, SERVER_PASSWORD, NAGRA_PASSWORD, NAGRA_CARD, &CONAX_CARD[..11], STB, TEXT, SUBSCRIPTION, &key];
    lines.iter().for_each(|line| assert_silent(line, &private));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_logs_of_bytes_tell_secrets() -> Result<()> {
    let (log, key) = session("trace").await?;
    let lines = log.lines();
    assert!(lines.iter().any(|line| line.contains("the unexpected data")), "not at this level");
    lines.iter().for_each(|line| assert_silent(line, &[PIN, SERVER_PASSWORD, NAGRA_PASSWORD, &key]));
    Ok(())
}

/// The net would catch something.
#[test]
fn secrets_are_found_where_they_are() {
    assert_eq!(told("pin=9371", &[PIN]), Some(PIN));
    assert_eq!(told("frame 0039333731", &[PIN]), Some(PIN));
    assert_eq!(told("at 12:00:00.937112", &[PIN]), None);
    assert_eq!(told("card 0077712345", &[STB, NAGRA_CARD]), Some(NAGRA_CARD));
}
