//! Subscriptions kept in step: one life at platforms of four styles, what goes wrong and how it is repaired, and the
//! calls of the API.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use headgate::drive::Connection;
use headgate::simulate::{self, Simulation};
use headgate::store::subscriptions::{Planned, SubscriptionChange};
use headgate_codecs::registry::{self, Protocol, Stock};
use headgate_core::platform::{Fault, Platform};
use headgate_core::subscription::SubscriptionBody;
use headgate_core::text::{ProviderName, SubscriptionNumber};
use headgate_site::client::{Client, Reply};
use headgate_site::running::Running;
use headgate_site::web;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A gateway, and simulated platforms of four styles: over links, over HTTP (devices, accounts),
/// over files, and one that fetches its work.
struct Town {
    running: Running,
    links: Simulation,
    calls: Simulation,
    accounts: Simulation,
    files: Simulation,
    served: Simulation,
    _home: TempDir,
}

const LINKS: &str = "nagravision-smsgw";
const CALLS: &str = "vcas-omi";
const ACCOUNTS: &str = "nagra-medialive";
const FILES: &str = "conax-sms";
const SERVED: &str = "generic";

fn protocol(name: &str) -> Result<&'static Protocol> {
    registry::find(name).context("a protocol of the registry")
}

/// A platform that holds what the demo's holds.
fn platform(name: &str) -> Result<Box<dyn Platform>> {
    let protocol = protocol(name)?;
    let stock = Stock {
        cards: protocol.demo.cards.iter().map(|card| (*card).to_owned()).collect(),
        products: protocol.demo.services.iter().map(|(_, id)| (*id).to_owned()).collect(),
    };
    Ok((protocol.platform)(&toml::from_str(&settings(protocol))?, &stock)?)
}

/// The demo's settings; files are looked at often, so that tests are quick.
fn settings(protocol: &Protocol) -> String {
    match protocol.name {
        FILES => "flush_interval = \"20ms\"\nexpress_flush_interval = \"5ms\"\npoll_interval = \"20ms\"\n\
                  longest_poll_interval = \"100ms\"\nidle_poll_interval = \"1s\"\n"
            .to_owned(),
        _ => protocol.demo.settings.to_owned(),
    }
}

impl Town {
    /// Starts it. `more` goes into the table of the provider over links, and `sections` into the configuration.
    async fn start(more: &str, sections: &str) -> Result<Self> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let links = simulate::stream::listen(platform(LINKS)?, loopback, None).await?;
        let calls = simulate::http::listen(platform(CALLS)?, loopback, None).await?;
        let home = tempfile::tempdir()?;
        let files = simulate::files::serve(platform(FILES)?, home.path()).await?;
        let accounts = simulate::http::listen(platform(ACCOUNTS)?, loopback, None).await?;
        let table = |name: &str, connection: &str| -> Result<String> {
            let protocol = protocol(name)?;
            let services: String =
                protocol.demo.services.iter().map(|(code, id)| format!("{code} = \"{id}\"\n")).collect();
            Ok(format!(
                "[[provider]]\nname = \"{name}\"\nprotocol = \"{name}\"\n{connection}\
                 [provider.services]\n{services}[provider.settings]\n{}\n",
                settings(protocol)
            ))
        };
        let address = links.address().context("it listens")?;
        let over_links = table(LINKS, &format!("{more}[provider.connection]\naddress = \"{address}\"\n"))?;
        let over_http = |name: &str, simulation: &Simulation| -> Result<String> {
            let url = format!("http://{}", simulation.address().context("it listens")?);
            Ok(web::provider(protocol(name)?, &url, protocol(name)?.demo.settings))
        };
        let over_calls = over_http(CALLS, &calls)? + &over_http(ACCOUNTS, &accounts)?;
        let directory = home.path().display();
        let over_files = table(FILES, &format!("[provider.connection]\ndirectory = \"{directory}\"\n"))?;
        let others = format!("{over_calls}{over_files}{}", table(SERVED, "")?);
        let running = Running::start(&format!("{sections}{over_links}{others}")).await?;
        let at = running.serving.http();
        let connection: Connection = toml::from_str(&format!("url = \"http://{at}/v1/providers/{SERVED}\""))?;
        let served = simulate::worker::start(platform(SERVED)?, &connection)?;
        Ok(Self { running, links, calls, accounts, files, served, _home: home })
    }

    const fn client(&self) -> &Client {
        &self.running.client
    }

    fn platform(&self, name: &str) -> &Simulation {
        match name {
            LINKS => &self.links,
            CALLS => &self.calls,
            ACCOUNTS => &self.accounts,
            FILES => &self.files,
            _ => &self.served,
        }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Reply> {
        let headers = [("content-type", "application/json"), ("prefer", "wait=20")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.client().call(method, &format!("/v1/subscriptions/{path}"), &headers, body).await
    }

    /// Makes a change, all of whose requests complete.
    async fn change(&self, method: Method, path: &str, body: Value) -> Result<Value> {
        let reply = self.call(method, path, &body).await?;
        ensure!(reply.status.is_success(), "{path} {body}: {}", reply.json());
        let changed = reply.json();
        for request in changed["requests"].as_array().context("requests")? {
            let id = request["id"].as_str().context("an id")?;
            let shown = self.client().get(&format!("/v1/requests/{id}")).await?;
            ensure!(request["state"] == "completed", "{path} {body}: {shown}");
            ensure!(shown["source"] == "action", "{shown}");
        }
        ensure!(changed.get("not_made").is_none() && changed.get("left").is_none(), "{changed}");
        Ok(changed)
    }

    async fn act(&self, name: &str, action: Value) -> Result<Value> {
        self.change(Method::POST, &format!("{name}/actions"), action).await
    }

    async fn show(&self, name: &str) -> Result<Value> {
        self.client().get(&format!("/v1/subscriptions/{name}")).await
    }

    /// The codes of the services that a card shows at a platform.
    async fn shown(&self, provider: &str, card: &str) -> Result<BTreeSet<String>> {
        let holdings = self.platform(provider).holdings().await?;
        // A platform may keep a card without its check digit.
        let mut known = holdings.cards.iter().filter(|(number, _)| card.starts_with(number.as_str()));
        let Some((_, card)) = known.find(|(_, card)| card.disabled.is_none()) else { return Ok(BTreeSet::new()) };
        let on = card.services.iter().filter(|(_, held)| !held.suspended);
        let bare = |id: &str| id.trim_start_matches('0').to_owned();
        let services = protocol(provider)?.demo.services;
        let code = |id: &String| services.iter().find(|(_, known)| bare(known) == bare(id)).map(|(code, _)| *code);
        on.map(|(id, _)| code(id).map(str::to_owned).with_context(|| format!("{provider} holds {id}"))).collect()
    }

    /// Checks that the platform shows these services on these cards, that Headgate knows it, and that there is
    /// nothing left to send.
    async fn check(&self, provider: &str, name: &str, cards: [(&str, &[&str]); 2]) -> Result<()> {
        for (card, services) in cards {
            let shown = self.shown(provider, card).await?;
            ensure!(shown.iter().eq(services), "{provider}: {card} shows {shown:?}, not {services:?}");
        }
        let standing = self.show(name).await?;
        ensure!(standing["platforms"][provider]["in_step"] == true, "{standing}");
        let reset = self.change(Method::POST, &format!("{name}/reset"), Value::Null).await?;
        ensure!(reset["requests"] == json!([]), "{provider}: {reset}");
        let told = self.call(Method::GET, &format!("{name}/platform"), &Value::Null).await?.json();
        let told = &told["platforms"][provider];
        ensure!(told["differences"] == json!([]), "{provider}: {told}");
        // Some platforms refuse to speak of a device that they hold nothing of.
        let holds = cards.iter().any(|(_, services)| !services.is_empty());
        ensure!(!holds || told.get("unanswered").is_none(), "{provider}: {told}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_life_ends_at_every_platform_with_what_the_crm_wants() -> Result<()> {
    let town = Town::start("", "").await?;
    for provider in [LINKS, CALLS, FILES, SERVED] {
        let [old, new, ..] = protocol(provider)?.demo.cards else { anyhow::bail!("{provider} has no two cards") };
        let name = format!("LIFE-{provider}");
        let joined = json!({ "provider": provider, "services": ["BASIC"], "smartcard": old });
        let first = town.change(Method::PUT, &name, joined.clone()).await?;
        ensure!(!first["requests"].as_array().context("requests")?.is_empty(), "{first}");
        town.check(provider, &name, [(old, &["BASIC"]), (new, &[])]).await?;
        let again = town.change(Method::PUT, &name, joined).await?;
        ensure!(again["requests"] == json!([]), "the same again: {again}");

        town.act(&name, json!({ "action": "add_service", "service": "SPORT" })).await?;
        town.check(provider, &name, [(old, &["BASIC", "SPORT"]), (new, &[])]).await?;
        town.act(&name, json!({ "action": "swap_installed_item", "serial": old, "replacement": new })).await?;
        town.check(provider, &name, [(old, &[]), (new, &["BASIC", "SPORT"])]).await?;
        town.act(&name, json!({ "action": "rest_subscription" })).await?;
        town.check(provider, &name, [(old, &[]), (new, &[])]).await?;
        town.act(&name, json!({ "action": "end_subscription_resting" })).await?;
        town.check(provider, &name, [(old, &[]), (new, &["BASIC", "SPORT"])]).await?;
        town.act(&name, json!({ "action": "swap_service", "service": "BASIC", "replacement": "FILM" })).await?;
        town.check(provider, &name, [(old, &[]), (new, &["FILM", "SPORT"])]).await?;
        let early = town.call(Method::DELETE, &name, &Value::Null).await?;
        ensure!(early.json()["code"] == "still_held", "{}", early.json());
        town.act(&name, json!({ "action": "terminate_subscription" })).await?;
        town.check(provider, &name, [(old, &[]), (new, &[])]).await?;
        let again = json!({ "action": "activate_subscription" });
        let late = town.call(Method::POST, &format!("{name}/actions"), &again).await?;
        ensure!(late.json()["code"] == "wrong_state", "{}", late.json());
        let forgotten = town.call(Method::DELETE, &name, &Value::Null).await?;
        ensure!(forgotten.status == StatusCode::NO_CONTENT, "{}", forgotten.json());
        ensure!(town.show(&name).await?["code"] == "not_found");
    }
    town.running.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_puts_a_subscription_out_of_step_and_a_reset_repairs_it() -> Result<()> {
    let town = Town::start("", "").await?;
    let card = protocol(LINKS)?.demo.cards[0];
    town.change(Method::PUT, "S1", json!({ "provider": LINKS, "services": ["BASIC"], "smartcard": card })).await?;
    town.links.inject(Fault::UnknownCard).await?;
    let added = town.call(Method::POST, "S1/actions", &json!({ "action": "add_service", "service": "SPORT" })).await?;
    ensure!(added.json()["requests"][0]["state"] == "rejected", "{}", added.json());

    let standing = town.show("S1").await?;
    let platform = &standing["platforms"][LINKS];
    ensure!(platform["in_step"] == false && platform["out_of_sync"]["reason"] == "rejected", "{standing}");
    ensure!(platform["differences"][0]["difference"] == "service_missing", "{standing}");
    let listed = town.client().get("/v1/subscriptions?out_of_sync=true").await?;
    ensure!(listed["subscriptions"][0]["number"] == "S1", "{listed}");
    let line = format!("headgate_subscriptions_out_of_sync{{provider=\"{LINKS}\",reason=\"rejected\"}} 1");
    counted(town.client(), &line).await?;

    let reset = town.change(Method::POST, "S1/reset", Value::Null).await?;
    ensure!(reset["requests"].as_array().is_some_and(|requests| requests.len() == 1), "{reset}");
    town.check(LINKS, "S1", [(card, &["BASIC", "SPORT"]), ("none", &[])]).await?;
    let listed = town.client().get("/v1/subscriptions?out_of_sync=true").await?;
    ensure!(listed["subscriptions"] == json!([]), "{listed}");
    counted(town.client(), &line.replace("} 1", "} 0")).await?;
    town.running.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

/// Waits for a line of the metrics.
async fn counted(client: &Client, line: &str) -> Result<()> {
    for _ in 0..300 {
        let page = client.call(Method::GET, "/metrics", &[], "").await?.body;
        if String::from_utf8_lossy(&page).lines().any(|found| found == line) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the metrics never say {line}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_batch_model_waits_and_what_ends_by_itself_ends() -> Result<()> {
    let town = Town::start("strategy = { model = \"batch\" }\n", "").await?;
    let [card, other, ..] = protocol(LINKS)?.demo.cards else { anyhow::bail!("no two cards") };
    let body = json!({ "provider": LINKS, "services": ["BASIC"], "smartcard": card });
    let put = town.change(Method::PUT, "BATCH", body).await?;
    ensure!(put["requests"] == json!([]) && put["awaits_run"] == json!([LINKS]), "{put}");
    ensure!(town.show("BATCH").await?["platforms"][LINKS]["out_of_sync"]["reason"] == "awaits_run");
    ensure!(town.shown(LINKS, card).await?.is_empty());
    town.change(Method::POST, "BATCH/reset", Value::Null).await?;
    town.check(LINKS, "BATCH", [(card, &["BASIC"]), (other, &[])]).await?;

    // A rest that is over in a second, at a platform that is told at once.
    let card = protocol(CALLS)?.demo.cards[0];
    let body = json!({ "provider": CALLS, "services": ["BASIC"], "smartcard": card });
    town.change(Method::PUT, "REST", body).await?;
    let until = jiff::Timestamp::now() + Duration::from_secs(1);
    town.act("REST", json!({ "action": "rest_subscription", "until": until })).await?;
    for _ in 0..200 {
        if !town.shown(CALLS, card).await?.is_empty() && town.show("REST").await?["state"] == "effective" {
            town.running.gateway.stop(Duration::from_secs(5)).await?;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("it rests on: {}", town.show("REST").await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problems_name_the_field_roles_are_checked_and_secrets_are_not_shown() -> Result<()> {
    // The keys are the roles' names.
    let keys = "[[key]]\nname = \"a crm\"\nrole = \"crm\"\n\
        sha256 = \"9261ceef0b969e70ac20f1510f07a1e0d8db05f20c75161a2ef43b4eba27a7aa\"\n\
        [[key]]\nname = \"a viewer\"\nrole = \"viewer\"\n\
        sha256 = \"d35ca5051b82ffc326a3b0b6574a9a3161dee16b9478a199ee39cd803ce5b799\"\n";
    let town = Town::start("", keys).await?;
    let json = [("content-type", "application/json")];
    let (crm, viewer) = (town.client().clone().with_key("crm"), town.client().clone().with_key("viewer"));
    let put = async |client: &Client, body: Value| {
        client.call(Method::PUT, "/v1/subscriptions/S1", &json, body.to_string()).await
    };
    for (body, status, code, field) in [
        (json!({ "services": ["BASIC"] }), 422, "missing_field", "provider"),
        (json!({ "provider": "nobody" }), 422, "unknown_provider", "provider"),
        (json!({ "distributors": { "room": "nobody" } }), 422, "unknown_provider", "distributors/room"),
        (json!({ "provider": LINKS, "state": "asleep" }), 400, "invalid_field", "state"),
        (json!({ "provider": LINKS, "until": "2027-01-01T00:00:00Z" }), 422, "superfluous_field", "until"),
    ] {
        let reply = put(&crm, body.clone()).await?;
        let problem = reply.json();
        ensure!(reply.status.as_u16() == status, "{body}: {problem}");
        ensure!(problem["code"] == code && problem["field"] == field, "{body}: {problem}");
    }
    ensure!(crm.get("/v1/subscriptions/S1").await?["code"] == "not_found");

    let secret = json!({ "provider": LINKS, "subscriber": { "password": "hunter2" } });
    ensure!(put(&viewer, secret.clone()).await?.status == StatusCode::FORBIDDEN);
    ensure!(put(&crm, secret).await?.status == StatusCode::CREATED);
    let update = json!({
        "action": "update_subscriber", "subscriber": { "pin": "4711" }, "effective": { "after_days": 1 },
    });
    let path = "/v1/subscriptions/S1/actions";
    ensure!(viewer.call(Method::POST, path, &json, update.to_string()).await?.status == StatusCode::FORBIDDEN);
    let posted = crm.call(Method::POST, path, &json, update.to_string()).await?;
    ensure!(posted.status == StatusCode::OK, "{}", posted.json());
    let shown = viewer.get("/v1/subscriptions/S1").await?;
    ensure!(shown["scheduled"][0]["action"]["action"] == "update_subscriber", "{shown}");
    let text = shown.to_string();
    ensure!(!text.contains("hunter2") && !text.contains("4711") && text.contains("***"), "{text}");
    let wrong = viewer.get("/v1/subscriptions?limit=0").await?;
    ensure!(wrong["field"] == "limit", "{wrong}");
    town.running.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

/// Waits until a subscription is in step at a provider.
async fn in_step(town: &Town, name: &str, provider: &str) -> Result<()> {
    for _ in 0..300 {
        if town.show(name).await?["platforms"][provider]["in_step"] == true {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("it is never in step: {}", town.show(name).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_while_a_platform_is_off_are_planned_on_each_other_and_all_come_true() -> Result<()> {
    let town = Town::start("", "").await?;
    let [old, new, ..] = protocol(LINKS)?.demo.cards else { anyhow::bail!("no two cards") };
    let switch = async |state: &str| {
        let path = format!("/v1/providers/{LINKS}/state");
        let body = json!({ "state": state }).to_string();
        town.client().call(Method::PUT, &path, &[("content-type", "application/json")], body).await
    };
    ensure!(switch("not_effective").await?.status == StatusCode::OK);
    let send = async |method: Method, path: &str, body: Value| -> Result<usize> {
        let path = format!("/v1/subscriptions/{path}");
        let headers = [("content-type", "application/json")];
        let reply = town.client().call(method, &path, &headers, body.to_string()).await?;
        ensure!(reply.status.is_success(), "{path}: {}", reply.json());
        Ok(reply.json()["requests"].as_array().context("requests")?.len())
    };
    let mut made =
        send(Method::PUT, "S1", json!({ "provider": LINKS, "services": ["BASIC"], "smartcard": old })).await?;
    let wanted = json!({ "action": "add_service", "service": "SPORT" });
    made += send(Method::POST, "S1/actions", wanted).await?;
    made +=
        send(Method::POST, "S1/actions", json!({ "action": "swap_installed_item", "serial": old, "replacement": new }))
            .await?;
    // What is on its way counts as done: a reset has nothing to add.
    let reset = town.client().call(Method::POST, "/v1/subscriptions/S1/reset", &[], "").await?.json();
    ensure!(reset["requests"] == json!([]), "{reset}");
    let standing = town.show("S1").await?;
    let platform = &standing["platforms"][LINKS];
    ensure!(platform["in_step"] == false && platform["unfinished"] == made, "{made}: {standing}");
    ensure!(town.shown(LINKS, old).await?.is_empty());

    ensure!(switch("effective").await?.status == StatusCode::OK);
    in_step(&town, "S1", LINKS).await?;
    town.check(LINKS, "S1", [(old, &[]), (new, &["BASIC", "SPORT"])]).await?;
    town.running.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_at_once_end_in_step() -> Result<()> {
    let town = Town::start("", "").await?;
    let card = protocol(LINKS)?.demo.cards[0];
    town.change(Method::PUT, "S1", json!({ "provider": LINKS, "services": ["BASIC"], "smartcard": card })).await?;
    let changes = (0..40).map(|index| {
        let services = [&["BASIC"][..], &["BASIC", "SPORT"], &["FILM"], &["FILM", "SPORT"]][index % 4];
        let body = json!({ "provider": LINKS, "services": services, "smartcard": card });
        let town = &town;
        async move { town.call(Method::PUT, "S1", &body).await }
    });
    for reply in futures_util::future::join_all(changes).await {
        let reply = reply?;
        ensure!(reply.status == StatusCode::OK, "{}", reply.json());
    }
    in_step(&town, "S1", LINKS).await?;
    let standing = town.show("S1").await?;
    let services = standing["services"].as_array().context("services")?;
    let on: BTreeSet<_> = services.iter().filter_map(|service| service["code"].as_str().map(str::to_owned)).collect();
    ensure!(town.shown(LINKS, card).await? == on, "{standing}");
    town.running.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_were_still_to_be_made_are_made() -> Result<()> {
    let town = Town::start("", "").await?;
    let card = protocol(LINKS)?.demo.cards[0];
    // As a crash leaves it: what is wanted is stored, and no request was accepted yet.
    let body: SubscriptionBody =
        serde_json::from_value(json!({ "provider": LINKS, "services": ["BASIC"], "smartcard": card }))?;
    let desired = body.subscription(SubscriptionNumber::new("S1")?, jiff::Timestamp::now())?;
    let plan = Planned { provider: ProviderName::new(LINKS)?, seen: 0, out_of_sync: None, unplanned: true };
    let want = SubscriptionChange::Want { desired: Box::new(desired), next_change: None, plans: vec![plan] };
    ensure!(town.running.gateway.store().change_subscription(want).await?);
    in_step(&town, "S1", LINKS).await?;
    town.check(LINKS, "S1", [(card, &["BASIC"]), ("none", &[])]).await?;
    town.running.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_life_of_an_account_with_a_box() -> Result<()> {
    let town = Town::start("", "").await?;
    let [old, new, ..] = protocol(ACCOUNTS)?.demo.cards else { anyhow::bail!("no two boxes") };
    let end = "2030-12-31T23:59:59Z";
    let check = async |step: &str, devices: &[&str], services: &[&str]| -> Result<()> {
        let holdings = town.accounts.holdings().await?;
        let account = holdings.accounts.get("OTT").cloned().unwrap_or_default();
        ensure!(account.devices.iter().eq(devices), "{step}: {account:?}");
        let on_account = account.services.iter().filter(|(_, held)| !held.suspended).map(|(id, _)| id.as_str());
        let cards = holdings.cards.values().flat_map(|card| &card.services);
        let on_boxes = cards.filter(|(_, held)| !held.suspended).map(|(id, _)| id.as_str());
        let shown: BTreeSet<_> = on_account.chain(on_boxes).map(|id| id.trim_start_matches("P-").to_owned()).collect();
        ensure!(shown.iter().eq(services), "{step}: {shown:?} {holdings:?}");
        let standing = town.show("OTT").await?;
        ensure!(standing["platforms"][ACCOUNTS]["in_step"] == true, "{step}: {standing}");
        let reset = town.change(Method::POST, "OTT/reset", Value::Null).await?;
        ensure!(reset["requests"] == json!([]), "{step}: {reset}");
        Ok(())
    };
    let subscriber = json!({ "email": "ann@example.test", "password": "open-sesame-1" });
    let joined = json!({
        "provider": ACCOUNTS, "stb": old, "subscriber": subscriber,
        "services": [{ "code": "BASIC", "end": end }],
    });
    town.change(Method::PUT, "OTT", joined).await?;
    check("joined", &[old], &["BASIC"]).await?;
    town.act("OTT", json!({ "action": "add_service", "service": { "code": "SPORT", "end": end } })).await?;
    check("added", &[old], &["BASIC", "SPORT"]).await?;
    town.act("OTT", json!({ "action": "swap_installed_item", "serial": old, "replacement": new })).await?;
    check("swapped", &[new], &["BASIC", "SPORT"]).await?;
    town.act("OTT", json!({ "action": "rest_subscription" })).await?;
    check("rests", &[new], &[]).await?;
    town.act("OTT", json!({ "action": "end_subscription_resting" })).await?;
    check("resumed", &[new], &["BASIC", "SPORT"]).await?;
    town.act("OTT", json!({ "action": "swap_service", "service": "BASIC", "replacement": "FILM" })).await?;
    check("service swapped", &[new], &["FILM", "SPORT"]).await?;
    town.act("OTT", json!({ "action": "terminate_subscription" })).await?;
    check("terminated", &[], &[]).await?;
    town.running.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}
