//! CRM.COM's Web API in front of a gateway and a simulated platform.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use headgate::api::{self, Serving};
use headgate::config::load::{Surroundings, read};
use headgate::gateway::Gateway;
use headgate::telemetry::metrics;
use headgate_site::client::Client;
use headgate_site::site::Platforms;
use hyper::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const CARD: &str = "0000004711";

struct Portal {
    platforms: Platforms,
    gateway: Gateway,
    _serving: Serving,
    client: Client,
}

impl Portal {
    async fn start() -> Result<Self> {
        let platforms = Platforms::start().await?;
        let text = format!(
            "{}\n[server.crm_com.providers]\nnagravision = \"nagra\"\nperception = \"nagra\"\n",
            platforms.config(SocketAddr::from(([127, 0, 0, 1], 0)))
        );
        let surroundings = Surroundings { directory: platforms.home.path().into(), environment: &|_| None };
        let config = read("test", &text, &surroundings).map_err(|wrong| anyhow::anyhow!("{wrong}"))?.config;
        let gateway = Gateway::start(&config).await?;
        let stop = CancellationToken::new();
        let serving = api::serve(gateway.clone(), &config.server, &config.keys, metrics::start()?, stop).await?;
        let client = Client::new(serving.http());
        Ok(Self { platforms, gateway, _serving: serving, client })
    }

    /// The data of a call that works, or the code and the message of one that does not.
    async fn post(&self, path: &str, mut parameters: Value) -> Result<Result<Value, (String, String)>> {
        parameters["token"] = json!("any: there are no keys");
        let reply = self.client.call(Method::POST, path, &[], parameters.to_string()).await?.json();
        let text = |name: &str| reply["status"][name].as_str().unwrap_or_default().to_owned();
        Ok(if text("code") == "OK" { Ok(reply["data"].clone()) } else { Err((text("code"), text("message"))) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_written_for_crm_com_switches_pairs_and_asks() -> Result<()> {
    let portal = Portal::start().await?;
    let (card, subscription) = (json!({ "serial_number": CARD }), json!({ "number": "S1" }));
    let added = portal
        .post(
            "/nagravision/provisioning_requests/add_enhanced_list_of_products",
            json!({
                "subscription_identifier": subscription, "smartcard_identifier": card, "priority": "EXPRESS",
                "services_set": [{ "service_identifier": { "code": "BASIC" } }], "process_immediately": true,
            }),
        )
        .await?
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    ensure!(added["life_cycle_state"] == "COMPLETED" && added["priority"] == "EXPRESS", "{added}");
    ensure!(added["executed_date"].is_string(), "{added}");

    let pair = "/nagravision/provisioning_requests/pair_smartcard_decoder";
    let stb = json!({ "serial_number": "0000008001" });
    for (parameters, paired) in [
        (json!({ "smartcard_identifier": card, "stb_identifier": stb, "process_immediately": true }), 1),
        (json!({ "smartcard_identifier": card, "process_immediately": true }), 0),
    ] {
        let done = portal.post(pair, parameters).await?;
        let holdings = portal.platforms.nagra.holdings().await?;
        ensure!(holdings.cards[CARD].stbs.len() == paired, "{done:?}: {:?}", holdings.cards[CARD]);
        ensure!(!holdings.cards[CARD].services.is_empty(), "the service is still there");
    }

    // What the platform does not have is refused before it is stored.
    let refused = portal
        .post("/perception/provisioning_requests/remove_sessions", json!({ "subscription_identifier": subscription }))
        .await?;
    let (code, message) = refused.expect_err("this platform has no sessions");
    ensure!(code == "UNSUPPORTED_COMMAND" && !message.is_empty(), "{code}: {message}");
    let unmapped = portal
        .post(
            "/nagravision/provisioning_requests/add_enhanced_list_of_products",
            json!({ "smartcard_identifier": card, "services_set": [{ "service_identifier": { "code": "NOBODY" } }] }),
        )
        .await?;
    ensure!(unmapped.as_ref().is_err_and(|(code, _)| code == "UNKNOWN_SERVICE"), "{unmapped:?}");

    let listed = portal.client.get("/provisioning/provisioning_requests/list?life_cycle_state=COMPLETED").await?;
    let all = listed["data"]["provisioning_requests_set"].as_array().cloned().unwrap_or_default();
    let types: Vec<_> = all.iter().filter_map(|request| request["type"].as_str()).collect();
    ensure!(types == ["UNPAIR", "CREATE_PAIRING", "ADD_SUBSCRIPTIONS"], "{types:?}");
    let number = added["number"].as_str().unwrap_or_default();
    let path = format!(
        "/provisioning/provisioning_requests/show?provisioning_request_identifier=%7B%22number%22%3A%22{number}%22%7D"
    );
    ensure!(portal.client.get(&path).await?["data"] == added, "as it was shown");
    portal.gateway.stop(Duration::from_secs(5)).await?;
    Ok(())
}
