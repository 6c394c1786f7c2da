//! SOAP as others read and write it: zeep, a SOAP stack in Python, against the simulated platforms, and platforms of another
//! make, which check every request against a WSDL, against the adapters.
//!
//! The WSDLs are the project's own, written from public facts; `scripts/test` installs what the peers need.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headgate::simulate;
use headgate_codecs::registry::{self, Stock};
use headgate_site::running::Running;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a peer may take over anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Python with what the peers need.
fn python() -> Result<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/bin/python");
    ensure!(python.exists(), "{} is missing: run scripts/test once, which installs it", python.display());
    Ok(python)
}

fn peer(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers").join(script)
}

/// Lets a client of another make call a simulated platform. Returns what it saw.
async fn called_by(script: &str, protocol: &str, settings: Value, cards: &[&str], arguments: &[&str]) -> Result<Value> {
    let protocol = registry::find(protocol).context("a protocol of the registry")?;
    let cards = cards.iter().map(|card| (*card).to_owned()).collect();
    let platform = (protocol.platform)(&settings, &Stock { cards, products: Vec::new() })?;
    let simulation = simulate::http::listen(platform, SocketAddr::from(([127, 0, 0, 1], 0)), None).await?;
    let url = format!("http://{}", simulation.address().context("it listens")?);
    let mut client = Command::new(python()?);
    client.arg(peer(script)).arg(url).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, client.output()).await.context("the client takes too long")??;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{told}\n{wrong}");
    Ok(serde_json::from_str(&told)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeep_speaks_omi_with_the_simulated_platform() -> Result<()> {
    let seen = called_by("omi_client.py", "vcas-omi", json!({}), &[], &[]).await?;
    ensure!(seen["problems"] == json!([]), "{seen}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeep_speaks_panaccess_with_the_simulated_platform() -> Result<()> {
    let settings = json!({ "binding": "soap", "user": "op", "password": "op-pass" });
    let cards = ["0123456701", "0123456702"];
    let seen = called_by("panaccess_client.py", "panaccess", settings, &cards, &[]).await?;
    ensure!(seen["problems"] == json!([]), "{seen}");
    Ok(())
}

/// A platform of another make.
struct Peer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Peer {
    async fn start(script: &str, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(python()?)
            .arg(peer(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let first = timeout(PATIENCE, lines.next_line()).await.context("it does not start")??;
        let first: Value = serde_json::from_str(&first.context("it ended")?)?;
        let url = first["listening"].as_str().context("where it listens")?.to_owned();
        Ok(Self { child, lines, url })
    }

    /// Ends it. Returns what it says of each request, and of them all.
    async fn end(mut self) -> Result<(Vec<Value>, Value)> {
        drop(self.child.stdin.take());
        let (mut requests, mut state) = (Vec::new(), Value::Null);
        while let Some(line) = timeout(PATIENCE, self.lines.next_line()).await.context("it does not end")?? {
            let told: Value = serde_json::from_str(&line)?;
            match told.get("state") {
                Some(last) => state = last.clone(),
                None => requests.push(told),
            }
        }
        let status = timeout(PATIENCE, self.child.wait()).await??;
        ensure!(status.success(), "{requests:?} {state}");
        Ok((requests, state))
    }
}

/// Sends a protocol's demo to a platform of another make, which forgets its sessions once.
async fn calls(script: &str, protocol: &str, settings: &str, password: &str) -> Result<()> {
    let demo = registry::find(protocol).context("a protocol of the registry")?.demo;
    let peer = Peer::start(script, &["--password", password, "--lose-session-after", "12"]).await?;
    let services: String = demo.services.iter().map(|(code, id)| format!("{code} = \"{id}\"\n")).collect();
    let running = Running::start(&format!(
        "[[provider]]\nname = \"{protocol}\"\nprotocol = \"{protocol}\"\nretry = {{ first_delay = \"20ms\" }}\n\
         [provider.connection]\nurl = \"{}\"\n[provider.services]\n{services}[provider.settings]\n{settings}\n",
        peer.url
    ))
    .await?;
    // What a raw message holds depends on the binding, and on what the platform knows.
    let lines = demo.requests.lines().filter(|line| !line.trim().is_empty() && !line.contains("\"raw\""));
    let requests: Vec<Value> = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let ended = running.client.post_lines(&requests, 60).await?.lines();
    // It refuses what it does not know.
    let completed = ended.iter().filter(|reply| reply["request"]["state"] == "completed").count();
    ensure!(completed * 3 > requests.len() * 2, "{completed} of {} completed: {ended:?}", requests.len());
    running.gateway.stop(Duration::from_secs(5)).await?;
    let (seen, state) = peer.end().await?;
    ensure!(seen.len() > requests.len() / 2, "{state}");
    for request in &seen {
        ensure!(request["problems"] == json!([]), "{request}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_omi_platform_of_another_make_understands_us() -> Result<()> {
    calls("omi_server.py", "vcas-omi", "password = \"peer\"\ncreate_devices = true", "peer").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panaccess_platform_of_another_make_understands_us() -> Result<()> {
    let demo = registry::find("panaccess").context("a protocol of the registry")?.demo;
    let settings = format!("binding = \"soap\"\n{}", demo.settings);
    calls("panaccess_server.py", "panaccess", &settings, "demo").await
}
