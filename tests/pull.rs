//! A CRM that is pulled, over real sockets: the real program, killed in the middle, and a gateway within the test.

#![expect(clippy::print_stdout, reason = "tells what was measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headgate::config::Config;
use headgate::config::load::{Surroundings, read};
use headgate::gateway::{Gateway, Origin, Resolution};
use headgate::simulate::{self, Simulation};
use headgate::store::{Filter, Page};
use headgate_codecs::crm_com::simulator::Crm;
use headgate_codecs::http::HttpPlatform;
use headgate_codecs::registry::{self, Stock};
use headgate_core::platform::Fault;
use headgate_core::request::{Idempotency, Source, State};
use headgate_site::client::Client;
use headgate_site::program::Launch;
use jiff::Timestamp;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A CRM and a platform, each behind a socket, and the configuration of a gateway between them.
struct Site {
    crm: Crm,
    crm_server: Simulation,
    platform: Simulation,
    home: tempfile::TempDir,
    config: String,
}

impl Site {
    /// `cards`: those the platform knows. `provider` and `pull`: further lines of their tables.
    async fn start(cards: Vec<String>, provider: &str, pull: &str) -> Result<Self> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let crm = Crm::new("GEN", "T0K");
        let crm_server = simulate::http::listen(Box::new(HttpPlatform::new(crm.backend())), loopback, None).await?;
        let protocol = registry::find("nagravision-smsgw").context("a protocol")?;
        let platform = (protocol.platform)(&json!({}), &Stock { cards, products: Vec::new() })?;
        let platform = simulate::stream::listen(platform, loopback, None).await?;
        let home = tempfile::tempdir()?;
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndrain_timeout = \"5s\"\n[store]\npath = \"{}\"\n\
             [[provider]]\nname = \"cas\"\nprotocol = \"nagravision-smsgw\"\nservices = {{ BASIC = \"41\", SPORT = \"42\" }}\n\
             {provider}\n[provider.connection]\naddress = \"{}\"\n\
             [[pull]]\nname = \"crm\"\nto = \"cas\"\n[pull.settings]\nprovider_identifier = {{ name = \"GEN\" }}\n\
             token = \"T0K\"\ninterval = \"1s\"\nservices_on = \"devices\"\n{pull}\n\
             [pull.connection]\nurl = \"http://{}\"\ncall_timeout = \"2s\"\n",
            home.path().join("headgate.db").display(),
            platform.address().context("an address")?,
            crm_server.address().context("an address")?,
        );
        Ok(Self { crm, crm_server, platform, home, config })
    }

    fn config(&self) -> Result<Config> {
        let surroundings = Surroundings { directory: self.home.path().into(), environment: &|_| None };
        Ok(read("test", &self.config, &surroundings).map_err(|wrong| anyhow::anyhow!("{wrong}"))?.config)
    }

    async fn gateway(&self) -> Result<Gateway> {
        Ok(Gateway::start(&self.config()?).await?)
    }

    fn ask(&self, subscription: &str, kind: &str, service: &str, card: &str) -> u64 {
        let item = json!({ "serial_number": card, "type": "smartcard" });
        let members = json!({ "service": { "code": service, "installed_items_set": [item] } });
        self.crm.request(Timestamp::now(), subscription, kind, members)
    }

    async fn until(&self, what: &str, done: impl Fn(&Crm) -> bool) -> Result<()> {
        let waiting = async {
            while !done(&self.crm) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let pending = || format!("{what}: {} are pending", self.crm.pending());
        tokio::time::timeout(PATIENCE, waiting).await.with_context(pending)
    }
}

fn card(number: usize) -> String {
    format!("{number:010}")
}

/// Every request that the pull made, oldest first.
async fn pulled(client: &Client) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/v1/requests?source=pull&limit=500{cursor}")).await?;
        all.extend(page["requests"].as_array().context("a list")?.iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    all.reverse();
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_are_answered_once_though_the_gateway_is_killed_and_the_crm_fails() -> Result<()> {
    const REQUESTS: usize = 500;
    const SUBSCRIPTIONS: usize = 40;
    // The platform knows all cards but the last: its refusals.
    let cards = (0..SUBSCRIPTIONS - 1).map(card).collect();
    let site = Site::start(cards, "limits = { rate = \"120 per 1s\" }", "").await?;
    let mut wanted = BTreeMap::new();
    for index in 0..REQUESTS {
        let subscription = index * 7 % SUBSCRIPTIONS;
        let kind = if index % 5 == 4 { "DEACTIVATE_SERVICE" } else { "ACTIVATE_SERVICE" };
        let service = if index % 50 == 3 { "UNMAPPED" } else { "BASIC" };
        let number = site.ask(&format!("S{subscription:02}"), kind, service, &card(subscription));
        wanted.insert(
            number,
            if subscription < SUBSCRIPTIONS - 1 && service == "BASIC" { "COMPLETED" } else { "REJECTED" },
        );
    }
    // Keys are forgotten at once: what was made before is recognised by its reference as well.
    let config = site.config.replacen("[[provider]]", "keep_keys = \"1ms\"\n[[provider]]", 1);
    let file = site.home.path().join("headgate.toml");
    std::fs::write(&file, config)?;
    let launch = Launch::new(Path::new(env!("CARGO_BIN_EXE_headgate")), &file);
    let mut killed = Vec::new();
    for (fault, share) in [(Fault::CloseInstead, 100), (Fault::ServerError, 250)] {
        let program = launch.start().await?;
        site.until("some are answered", |crm| crm.pending() <= REQUESTS - share / 2).await?;
        site.crm_server.inject(fault).await?;
        site.until("more are answered", |crm| crm.pending() <= REQUESTS - share).await?;
        program.kill().await?;
        killed.push(REQUESTS - site.crm.pending());
    }
    let mut program = launch.start().await?;
    site.crm_server.inject(Fault::Garbage).await?;
    site.until("all are answered", |crm| crm.pending() == 0).await?;
    let client = program.ready().await?;

    for (number, request) in site.crm.requests() {
        ensure!(request.answers == 1, "{number} was answered {} times", request.answers);
        ensure!(request.state == wanted[&number], "{number} is {}, not {}", request.state, wanted[&number]);
    }
    let made = pulled(&client).await?;
    let references: Vec<&str> = made.iter().filter_map(|request| request["reference"].as_str()).collect();
    let distinct: BTreeSet<_> = references.iter().collect();
    let unmapped = (0..REQUESTS).filter(|index| index % 50 == 3).count();
    ensure!(
        references.len() == distinct.len(),
        "{} of {} were made twice",
        references.len() - distinct.len(),
        references.len()
    );
    // What Headgate refuses is not stored.
    ensure!(references.len() == REQUESTS - unmapped, "{} were made", references.len());
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for request in &made {
        let number: u64 =
            request["reference"].as_str().and_then(|text| text.strip_prefix("crm:")).context("a reference")?.parse()?;
        let before =
            last.insert(request["subscription"].as_str().context("a subscription")?, number).unwrap_or_default();
        ensure!(before < number, "{number} came after {before} in its subscription");
    }
    let metrics = client.call(hyper::Method::GET, "/metrics", &[], "").await?;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    ensure!(text.contains("headgate_pull_answers_total{pull=\"crm\",provider=\"cas\",state=\"accepted\"}"), "{text}");
    let held = site.platform.holdings().await?;
    println!(
        "{REQUESTS} requests, killed after {killed:?} answers, {} calls of the CRM, the platform applied {}",
        site.crm.calls(),
        held.applied
    );
    ensure!(program.stop().await?.success(), "it stops well");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_stopped_at_once_leaves_the_rest_to_the_next_one() -> Result<()> {
    let site = Site::start(Vec::new(), "state = \"not_effective\"", "").await?;
    for index in 0..30 {
        site.ask(&format!("S{}", index % 6), "ACTIVATE_SERVICE", "SPORT", &card(index % 6));
    }
    let gateway = site.gateway().await?;
    let page = Page { before: None, limit: 1000 };
    let of_pull = Filter { source: Some(Source::Pull), ..Filter::default() };
    let accepted =
        async |gateway: &Gateway| gateway.store().requests(of_pull.clone(), page).await.map(|found| found.requests);
    let begun = async {
        while accepted(&gateway).await?.len() < 6 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, begun).await??;
    gateway.stop(Duration::ZERO).await?;
    let mut config = site.config()?;
    config.providers[0].state = headgate::config::ProviderState::Effective;
    let gateway = Gateway::start(&config).await?;
    site.until("all are answered", |crm| crm.pending() == 0).await?;
    ensure!(accepted(&gateway).await?.len() == 30, "each once");
    ensure!(
        site.crm.requests().values().all(|request| request.answers == 1 && request.state == "COMPLETED"),
        "each once"
    );
    gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unknown_waits_for_an_operator() -> Result<()> {
    let site = Site::start(Vec::new(), "", "").await?;
    let full = site.config()?;
    let gateway = Gateway::start(&Config { pulls: Vec::new(), ..full.clone() }).await?;
    // What a pull asks for is safe to repeat at this platform, so a fingerprint stands in under the key of the part: it is
    // what an earlier gateway left behind.
    let first = site.ask("S1", "ACTIVATE_SERVICE", "BASIC", &card(1));
    let json = json!({ "provider": "cas", "command": "fingerprint", "subscription": "S1", "smartcard": card(1), "duration_seconds": 5 });
    let key = format!("crm\nactivate_services\ncrm:{first}");
    let idempotency = Some(Idempotency { key, digest: [0; 32] });
    site.platform.inject(Fault::CloseInstead).await?;
    let body = serde_json::from_value(json.clone())?;
    let accepted = gateway.accept(body, json.to_string().into(), Origin { source: Source::Pull, idempotency }).await?;
    let ended = tokio::time::timeout(PATIENCE, accepted.finish).await??;
    ensure!(ended.state == State::Unknown, "{}", ended.state);

    gateway.reload(&full).await?;
    let other = site.ask("S2", "ACTIVATE_SERVICE", "BASIC", &card(2));
    let answered = |number| move |crm: &Crm| crm.requests()[&number].state == "COMPLETED";
    site.until("the other is answered", answered(other)).await?;
    ensure!(site.crm.requests()[&first].attempts == 0, "what is unknown is not answered");
    gateway.resolve(accepted.id, Resolution::Completed).await?;
    site.until("it is answered as the operator says", answered(first)).await?;
    ensure!(site.crm.requests()[&first].answers == 1, "once");
    gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_starts_stops_and_changes_pulls() -> Result<()> {
    let site = Site::start(Vec::new(), "", "").await?;
    let full = site.config()?;
    let none = Config { pulls: Vec::new(), ..full.clone() };
    let gateway = Gateway::start(&none).await?;
    site.ask("S1", "ACTIVATE_SERVICE", "BASIC", &card(1));
    tokio::time::sleep(Duration::from_millis(200)).await;
    ensure!(site.crm.calls() == 0, "nobody pulls");
    gateway.reload(&full).await?;
    site.until("it is answered", |crm| crm.pending() == 0).await?;
    let mut wrong = full.clone();
    wrong.pulls[0].settings.page_size = 99;
    let error = gateway.reload(&wrong).await.expect_err("it can not be").to_string();
    ensure!(error == "pull \"crm\": settings.page_size: must be 2 to 50", "{error}");
    gateway.reload(&none).await?;
    let calls = site.crm.calls();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    ensure!(site.crm.calls() == calls, "it has stopped");
    gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}
