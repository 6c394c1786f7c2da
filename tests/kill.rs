//! The real program, killed again and again under load: what it acknowledged is never lost, never done twice, and done
//! in order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headgate_core::platform::Holdings;
use headgate_site::program::Launch;
use headgate_site::site::{Platforms, conax_card};
use headgate_site::{Client, Reply};
use hyper::{Method, StatusCode};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;

const KILLS: usize = 60;
const CLIENTS: usize = 6;
/// Of each client, half of them at either platform.
const SUBSCRIPTIONS: usize = 8;
/// The longest that a gateway may live, in milliseconds from its start; some die before they serve.
const LONGEST_LIFE: u64 = 700;

/// One request, as the oracle knows it.
struct Asked {
    body: Value,
    /// Its id, once it is acknowledged.
    id: Option<String>,
}

/// What clients asked for, and what they were told.
#[derive(Default)]
struct Oracle {
    /// By subscription, in order of asking.
    asked: BTreeMap<String, Vec<Asked>>,
    /// Final states that somebody was told, by id.
    told: BTreeMap<String, String>,
}

impl Oracle {
    fn acknowledged(&self) -> usize {
        self.asked.values().flatten().filter(|asked| asked.id.is_some()).count()
    }

    /// Notes a request as the gateway shows it: an outcome that was told once can not become another.
    fn hear(&mut self, shown: &Value) {
        let (Some(id), Some(state)) = (shown["id"].as_str(), shown["state"].as_str()) else { return };
        if !matches!(state, "waiting" | "sent") {
            let before = self.told.entry(id.to_owned()).or_insert_with(|| state.to_owned());
            assert_eq!(before, state, "the outcome of {id} changed");
        }
    }
}

type Shared = Arc<Mutex<Oracle>>;
type Address = watch::Receiver<Option<SocketAddr>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_survives_kills() -> Result<()> {
    let seed = std::env::var("HEADGATE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(fresh_seed);
    tell(format_args!("HEADGATE_SEED={seed}"));
    let mut random = StdRng::seed_from_u64(seed);
    let platforms = Platforms::start().await?;
    let config = platforms.home.path().join("headgate.toml");
    std::fs::write(&config, platforms.config(SocketAddr::from(([127, 0, 0, 1], 0))))?;
    let launch = Launch::new(env!("CARGO_BIN_EXE_headgate"), &config);

    let oracle = Shared::default();
    let stop = Arc::new(AtomicBool::new(false));
    let (now_at, address) = watch::channel(None);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let random = StdRng::seed_from_u64(random.random());
            tokio::spawn(ask(client, random, address.clone(), Arc::clone(&oracle), Arc::clone(&stop)))
        })
        .collect();
    let mut served = 0;
    for _ in 0..KILLS {
        let life = Duration::from_millis(random.random_range(0..LONGEST_LIFE));
        let program = launch.spawn()?;
        let mut found = program.address();
        let serve = async {
            // Fails if the program ends by itself, and a program that can not start must not pass for a killed one.
            let address = *found.wait_for(Option::is_some).await.expect("it starts");
            now_at.send_replace(address);
            served += 1;
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(life, serve).await;
        program.kill().await?;
    }
    let mut program = launch.start().await?;
    now_at.send_replace(*program.address().borrow());
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await??;
    }

    let client = program.ready().await?;
    let stored = settle(&client).await?;
    let holdings = (platforms.nagra.holdings().await?, platforms.conax.holdings().await?);
    assert!(program.stop().await?.success());
    let errors: Vec<_> = launch.log().lines().into_iter().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
    ensure!(errors.is_empty(), "{errors:?}");
    let oracle = std::mem::take(&mut *oracle.lock().unwrap());
    let mut states = BTreeMap::<_, usize>::new();
    stored.values().for_each(|shown| *states.entry(shown["state"].to_string()).or_default() += 1);
    let (acknowledged, told) = (oracle.acknowledged(), oracle.told.len());
    tell(format_args!(
        "{served} of {KILLS} killed while serving; {acknowledged} acknowledged, {told} told, {states:?}"
    ));
    ensure!(served > KILLS / 3, "only {served} gateways lived to serve");
    ensure!(oracle.acknowledged() > KILLS * 5, "only {} requests under {KILLS} kills", oracle.acknowledged());
    ensure!(oracle.told.len() > KILLS, "only {} outcomes were told", oracle.told.len());
    check_store(&oracle, &stored)?;
    for (subscription, asked) in &oracle.asked {
        check_card(asked, &stored, &holdings.0, &holdings.1).with_context(|| format!("subscription {subscription}"))?;
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "so that a failure can be understood and repeated")]
fn tell(what: std::fmt::Arguments<'_>) {
    eprintln!("{what}");
}

fn fresh_seed() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::from(since.subsec_nanos()))
}

/// One client: asks for one thing after the other, for one of its subscriptions each. What is not acknowledged it asks
/// again under the same key, as a careful CRM does; without a key it can only go on.
async fn ask(
    client: usize,
    mut random: StdRng,
    mut address: Address,
    oracle: Shared,
    stop: Arc<AtomicBool>,
) -> Result<()> {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let subscription = client * SUBSCRIPTIONS + random.random_range(0..SUBSCRIPTIONS);
        let body = request(&mut random, subscription, client, number);
        let subscription = body["subscription"].as_str().unwrap().to_owned();
        let place = {
            let mut oracle = oracle.lock().unwrap();
            let asked = oracle.asked.entry(subscription.clone()).or_default();
            asked.push(Asked { body: body.clone(), id: None });
            asked.len() - 1
        };
        let key = (is_change(&body) || random.random_bool(0.5)).then(|| format!("{client}-{number}"));
        let wait = if random.random_bool(0.3) { 2 } else { 0 };
        while let Some(reply) = post(&mut address, &body, key.as_deref(), wait).await {
            let Some(reply) = reply else {
                if key.is_none() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let shown = reply.json();
            // An earlier call with this key may still be in flight at a gateway that has not noticed that we left.
            if reply.status == StatusCode::CONFLICT {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
            ensure!(matches!(reply.status, StatusCode::OK | StatusCode::ACCEPTED), "{}: {shown}", reply.status);
            let mut oracle = oracle.lock().unwrap();
            oracle.hear(&shown);
            oracle.asked.get_mut(&subscription).unwrap()[place].id = shown["id"].as_str().map(str::to_owned);
            break;
        }
        look(&mut address, &oracle).await;
    }
    Ok(())
}

/// Posts to the gateway that runs. The inner nothing: no answer came; the outer: no gateway will come any more.
async fn post(address: &mut Address, body: &Value, key: Option<&str>, wait: u32) -> Option<Option<Reply>> {
    let at = (*address.wait_for(Option::is_some).await.ok()?)?;
    let prefer = format!("wait={wait}");
    let mut headers = vec![("content-type", "application/json"), ("prefer", prefer.as_str())];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let call = Client::new(at).call(Method::POST, "/v1/requests", &headers, body.to_string()).await;
    Some(call.ok())
}

/// Asks for the newest outcomes, if a gateway is there.
async fn look(address: &mut Address, oracle: &Shared) {
    let Some(at) = *address.borrow_and_update() else { return };
    let Ok(listing) = Client::new(at).get("/v1/requests?limit=20").await else { return };
    let mut oracle = oracle.lock().unwrap();
    listing["requests"].as_array().into_iter().flatten().for_each(|shown| oracle.hear(shown));
}

fn nagra_card(n: usize) -> String {
    format!("{:010}", 5_000_000 + n)
}

/// A random request for subscription `n`; even ones are at the platform over links.
fn request(random: &mut StdRng, n: usize, client: usize, number: usize) -> Value {
    let services = [json!(["BASIC"]), json!(["SPORT"]), json!(["FILM"]), json!(["BASIC", "FILM"])];
    let services = &services[random.random_range(0..services.len())];
    let text = format!("message {client}-{number}");
    let nagra = n.is_multiple_of(2);
    let (start, end) = ("2026-11-01T00:00:00Z", "2030-12-31T23:59:00Z");
    let mut body = match random.random_range(0..if nagra { 7 } else { 5 }) {
        0 | 1 if nagra => json!({ "command": "activate_services", "services": services, "end": end }),
        0 | 1 => json!({ "command": "activate_services", "services": services, "start": start, "end": end }),
        2 => json!({ "command": "deactivate_services", "services": services }),
        3 | 4 => json!({ "command": "send_message", "message": { "kind": "mail", "text": text } }),
        5 => json!({ "command": "set_pin", "pin": format!("{:04}", random.random_range(0..10_000)) }),
        _ => json!({ "command": "fingerprint", "duration_seconds": 3 }),
    };
    body["provider"] = json!(if nagra { "nagra" } else { "conax" });
    body["subscription"] = json!(format!("S{n}"));
    body["smartcard"] = json!(if nagra { nagra_card(n) } else { conax_card(n) });
    body
}

/// Whether a request changes what a card may show, so that repeating it does no harm.
fn is_change(body: &Value) -> bool {
    matches!(body["command"].as_str(), Some("activate_services" | "deactivate_services" | "set_pin"))
}

/// Every request of the store by id, once all have ended.
async fn settle(client: &Client) -> Result<BTreeMap<String, Value>> {
    for _ in 0..3_000 {
        let mut open = 0;
        for state in ["waiting", "sent"] {
            let listing = client.get(&format!("/v1/requests?limit=1&state={state}")).await?;
            open += listing["requests"].as_array().context("a listing")?.len();
        }
        if open == 0 {
            return everything(client).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("requests do not end: {}", client.get("/v1/providers").await?)
}

async fn everything(client: &Client) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    let mut path = "/v1/requests?limit=1000".to_owned();
    loop {
        let listing = client.get(&path).await?;
        for shown in listing["requests"].as_array().context("a listing")? {
            all.insert(shown["id"].as_str().context("an id")?.to_owned(), shown.clone());
        }
        match listing["next"].as_str() {
            Some(next) => path = format!("/v1/requests?limit=1000&cursor={next}"),
            None => return Ok(all),
        }
    }
}

/// What was acknowledged is there, each once; what was told is true still; nothing was invented.
fn check_store(oracle: &Oracle, stored: &BTreeMap<String, Value>) -> Result<()> {
    let ids: Vec<_> = oracle.asked.values().flatten().filter_map(|asked| asked.id.clone()).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    ensure!(distinct.len() == ids.len(), "an id was given to two requests");
    for id in &ids {
        ensure!(stored.contains_key(id), "{id} was acknowledged and is lost");
    }
    for (id, state) in &oracle.told {
        let shown = stored.get(id).with_context(|| format!("{id} was shown and is lost"))?;
        ensure!(shown["state"] == state.as_str(), "{id} was told as {state} and is {shown}");
    }
    let asked: usize = oracle.asked.values().map(Vec::len).sum();
    ensure!(stored.len() <= asked, "{} requests are stored, {asked} were asked for", stored.len());
    Ok(())
}

/// What the platform holds for a card is what its requests say, in their order.
fn check_card(asked: &[Asked], stored: &BTreeMap<String, Value>, nagra: &Holdings, conax: &Holdings) -> Result<()> {
    let body = &asked[0].body;
    let card = body["smartcard"].as_str().unwrap();
    let card = match body["provider"].as_str() {
        Some("nagra") => nagra.cards.get(card),
        _ => conax.cards.get(&card[..11]),
    };
    let card = card.cloned().unwrap_or_default();
    let state = |asked: &Asked| asked.id.as_ref().and_then(|id| stored[id]["state"].as_str()).unwrap_or("never told");

    let texts: Vec<_> = asked.iter().filter(|asked| !asked.body["message"].is_null()).collect();
    let mut shown = card.messages.iter().peekable();
    for message in texts {
        let appears = shown.next_if(|shown| message.body["message"]["text"] == shown.as_str()).is_some();
        let state = state(message);
        ensure!(appears || state != "completed", "{} is completed and was not shown", message.body);
        ensure!(!appears || !matches!(state, "failed" | "rejected"), "{} was shown and is {state}", message.body);
    }
    ensure!(shown.peek().is_none(), "{shown:?} was shown twice, out of order, or not asked for");

    let fingerprints = |state_is: fn(&str) -> bool| {
        let asked = asked.iter().filter(|asked| asked.body["command"] == "fingerprint" && state_is(state(asked)));
        asked.count() as u32
    };
    let sure = fingerprints(|state| state == "completed");
    let perhaps = fingerprints(|state| matches!(state, "unknown" | "never told"));
    ensure!((sure..=sure + perhaps).contains(&card.fingerprints), "{} fingerprints, not {sure}", card.fingerprints);

    let changes: Vec<_> = asked.iter().filter(|asked| is_change(&asked.body)).collect();
    if changes.iter().all(|change| state(change) == "completed") {
        let (services, pin) = fold(&changes);
        let held: BTreeSet<_> = card.services.keys().map(|id| id.trim_start_matches('0').to_owned()).collect();
        ensure!(held == services, "services {held:?}, not {services:?}");
        ensure!(card.pin == pin, "PIN {:?}, not {pin:?}", card.pin);
    }
    Ok(())
}

/// The platform's service ids and the PIN after these requests.
fn fold(changes: &[&Asked]) -> (BTreeSet<String>, Option<String>) {
    let (mut services, mut pin) = (BTreeSet::new(), None);
    for Asked { body, .. } in changes {
        for service in body["services"].as_array().into_iter().flatten() {
            let id = BTreeMap::from([("BASIC", "41"), ("SPORT", "42"), ("FILM", "43")])[service.as_str().unwrap()];
            match body["command"].as_str() {
                Some("activate_services") => drop(services.insert(id.to_owned())),
                _ => drop(services.remove(id)),
            }
        }
        pin = body["pin"].as_str().map(str::to_owned).or(pin);
    }
    (services, pin)
}
