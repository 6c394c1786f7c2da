//! A gateway with both kinds of platform, over real sockets, files, HTTP and a real store.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use headgate_core::platform::Holdings;
use headgate_site::site::{Site, conax_card};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

fn nagra_card(n: usize) -> String {
    format!("{:010}", 1_000_000 + n)
}

/// What a subscriber's CRM asks of the platform over links, in order.
fn nagra_story(n: usize) -> Vec<Value> {
    let card = nagra_card(n);
    let ask = |command: &str, more: Value| {
        let mut request =
            json!({ "provider": "nagra", "subscription": format!("N{n}"), "command": command, "smartcard": card });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let end = "2030-12-31T23:59:59Z";
    vec![
        ask("activate_services", json!({ "services": ["BASIC"], "end": end })),
        ask("activate_services", json!({ "services": ["SPORT", "FILM"], "end": end })),
        ask("suspend", json!({ "services": ["SPORT"] })),
        ask("deactivate_services", json!({ "services": ["FILM"] })),
        ask("pair", json!({ "stb": format!("{:010}", 9_000_000 + n) })),
        ask("set_pin", json!({ "pin": format!("{:04}", n % 10_000) })),
        ask(
            "send_message",
            json!({ "message": { "kind": "bark", "text": format!("welcome {n}"), "duration_seconds": 5 } }),
        ),
        ask("fingerprint", json!({ "duration_seconds": 3 })),
        ask("get_services", json!({})),
        if n.is_multiple_of(2) {
            ask("resume", json!({ "services": ["SPORT"] }))
        } else {
            ask("disable_device", json!({ "reason": "lost" }))
        },
    ]
}

/// The same for the platform over files.
fn conax_story(n: usize) -> Vec<Value> {
    let card = conax_card(n);
    let ask = |command: &str, more: Value| {
        let mut request =
            json!({ "provider": "conax", "subscription": format!("C{n}"), "command": command, "smartcard": card });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let period = json!({ "start": "2026-11-01T00:00:00Z", "end": "2030-12-31T23:59:00Z" });
    let with = |services: Value| {
        let mut more = period.clone();
        more["services"] = services;
        more
    };
    vec![
        ask("activate_services", with(json!(["BASIC", "SPORT"]))),
        ask("deactivate_services", json!({ "services": ["SPORT"] })),
        ask("activate_services", with(json!(["FILM"]))),
        ask("send_message", json!({ "message": { "kind": "mail", "text": "welcome" } })),
        ask("get_services", json!({})),
    ]
}

/// Ten thousand mixed requests to both platforms at once: every outcome is right, and the platforms
/// hold exactly what was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_mixed_requests() -> Result<()> {
    let site = Site::start(|_| {}).await?;
    // A request each round of every subscriber, so that both platforms are busy from the first line to the last.
    let stories: Vec<_> = (0..500).map(nagra_story).chain((0..1_000).map(conax_story)).collect();
    let mut requests = Vec::new();
    for round in 0..10 {
        requests.extend(stories.iter().filter_map(|story| story.get(round).cloned()));
    }
    assert_eq!(requests.len(), 10_000);

    let mut streams = Vec::new();
    // A subscriber's requests stay in one stream, which keeps their order.
    for part in 0..10 {
        let mine = |request: &&Value| {
            let number: usize = request["subscription"].as_str().unwrap()[1..].parse().unwrap();
            number % 10 == part
        };
        let requests: Vec<_> = requests.iter().filter(mine).cloned().collect();
        let client = site.client.clone();
        streams.push(tokio::spawn(async move { client.post_lines(&requests, 120).await }));
    }
    let mut outcomes = BTreeMap::<String, usize>::new();
    for stream in streams {
        let reply = stream.await??;
        assert_eq!(reply.status, StatusCode::OK);
        for line in reply.lines() {
            let state =
                line.pointer("/request/state").or_else(|| line.get("state")).cloned().unwrap_or_else(|| line.clone());
            *outcomes.entry(state.to_string()).or_default() += 1;
        }
    }
    assert_eq!(outcomes, BTreeMap::from([("\"completed\"".to_owned(), 10_000)]));

    check_nagra(&site.platforms.nagra.holdings().await?)?;
    check_conax(&site.platforms.conax.holdings().await?)?;
    let platforms = site.stop().await?;
    drop(platforms);
    Ok(())
}

fn check_nagra(holdings: &Holdings) -> Result<()> {
    ensure!(holdings.cards.len() == 500, "{} cards", holdings.cards.len());
    for n in 0..500 {
        let card = &holdings.cards[&nagra_card(n)];
        let services: Vec<_> =
            card.services.iter().map(|(id, held)| (id.trim_start_matches('0'), held.suspended)).collect();
        ensure!(services == [("41", false), ("42", n % 2 == 1)], "card {n} holds {services:?}");
        ensure!(card.stbs.iter().eq([&format!("{:010}", 9_000_000 + n)]), "card {n} is paired with {:?}", card.stbs);
        ensure!(card.pin == Some(format!("{:04}", n % 10_000)), "card {n} has PIN {:?}", card.pin);
        ensure!(card.messages == [format!("welcome {n}")], "card {n} was shown {:?}", card.messages);
        ensure!(card.fingerprints == 1, "card {n} was fingerprinted {} times", card.fingerprints);
        ensure!(card.disabled.is_some() == (n % 2 == 1), "card {n} is disabled: {:?}", card.disabled);
    }
    Ok(())
}

fn check_conax(holdings: &Holdings) -> Result<()> {
    ensure!(holdings.cards.len() == 1_000, "{} cards", holdings.cards.len());
    for n in 0..1_000 {
        let number = &conax_card(n)[..11];
        let card = &holdings.cards[number];
        let services: Vec<_> = card.services.keys().map(|id| id.trim_start_matches('0')).collect();
        ensure!(services == ["41", "43"], "card {n} holds {services:?}");
        ensure!(card.messages == ["welcome"], "card {n} was shown {:?}", card.messages);
    }
    Ok(())
}

/// A platform that hangs takes its own requests hostage, not another platform's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_platform_does_not_slow_another() -> Result<()> {
    // A listener whose connections are never read: it takes bytes and says nothing.
    let hung = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = hung.local_addr()?;
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = hung.accept().await {
            held.push(stream);
        }
    });
    let site = Site::start(|config| {
        let mut other = config.providers[0].clone();
        other.name = headgate_core::text::ProviderName::new("hung").unwrap();
        other.connection.address = Some(headgate::drive::connection::OneOrMany::One(address.to_string()));
        other.settings = json!({ "answer_timeout": "1m" });
        config.providers.push(other);
    })
    .await?;
    for n in 0..200 {
        let request = json!({ "provider": "hung", "command": "reset_pin", "smartcard": nagra_card(n) });
        assert_eq!(site.client.post(&request, 0).await?.status, StatusCode::ACCEPTED);
    }
    for n in 0..200 {
        let request = json!({ "provider": "nagra", "command": "reset_pin", "smartcard": nagra_card(n) });
        let reply = site.client.post(&request, 30).await?;
        assert_eq!((reply.status, reply.json()["state"].clone()), (StatusCode::OK, json!("completed")));
    }
    let hung = site.client.get("/v1/requests?provider=hung&state=completed").await?;
    assert_eq!(hung["requests"], json!([]));
    held.abort();
    Ok(())
}

/// What is acknowledged survives a graceful stop: what waited waits on, and goes out after the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_loses_nothing() -> Result<()> {
    let site = Site::start(|config| config.providers[0].state = headgate::config::ProviderState::NotEffective).await?;
    let mut ids = Vec::new();
    for n in 0..50 {
        let request = json!({ "provider": "nagra", "command": "reset_pin", "smartcard": nagra_card(n) });
        let reply = site.client.post(&request, 0).await?;
        assert_eq!(reply.json()["state"], "waiting");
        ids.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    let platforms = site.stop().await?;
    assert!(platforms.nagra.holdings().await?.cards.is_empty(), "nothing goes to a provider that is not effective");

    let site = Site::start_with(platforms, |_| {}).await?;
    for id in ids {
        let shown = site.client.ended(&id).await?;
        assert_eq!(shown["state"], "completed", "{shown}");
    }
    Ok(())
}

/// The same key and body: the same answer, also after a restart. Another body: refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_outlives_the_gateway() -> Result<()> {
    let site = Site::start(|_| {}).await?;
    let request = json!({ "provider": "nagra", "command": "fingerprint", "smartcard": nagra_card(1) });
    let headers = [("content-type", "application/json"), ("prefer", "wait=20"), ("idempotency-key", "k-1")];
    let first = site.client.call(Method::POST, "/v1/requests", &headers, request.to_string()).await?;
    assert_eq!(first.status, StatusCode::OK, "{}", first.json());
    let site = Site::start_with(site.stop().await?, |_| {}).await?;
    let again = site.client.call(Method::POST, "/v1/requests", &headers, request.to_string()).await?;
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert_eq!(again.json()["state"], "completed");
    let other = json!({ "provider": "nagra", "command": "fingerprint", "smartcard": nagra_card(2) });
    let other = site.client.call(Method::POST, "/v1/requests", &headers, other.to_string()).await?;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(site.platforms.nagra.holdings().await?.cards[&nagra_card(1)].fingerprints, 1);
    Ok(())
}

/// An unknown outcome waits for an operator, who resolves it or sends it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_decides_what_nobody_knows() -> Result<()> {
    let site = Site::start(|_| {}).await?;
    let request = json!({ "provider": "nagra", "command": "fingerprint", "smartcard": nagra_card(1) });
    let mut ids = Vec::new();
    for _ in 0..2 {
        site.platforms.nagra.inject(headgate_core::platform::Fault::CloseInstead).await?;
        let reply = site.client.post(&request, 20).await?.json();
        assert_eq!(reply["state"], "unknown", "{reply}");
        ids.push(reply["id"].as_str().unwrap().to_owned());
    }
    let post = async |path: String, body: &'static str| {
        let headers = [("content-type", "application/json")];
        site.client.call(Method::POST, &path, &headers, body).await
    };
    let resolved = post(format!("/v1/requests/{}/resolve", ids[0]), r#"{"state":"completed"}"#).await?;
    assert!(resolved.status.is_success(), "{}", resolved.json());
    assert_eq!(site.client.get(&format!("/v1/requests/{}", ids[0])).await?["state"], "completed");
    let retried = post(format!("/v1/requests/{}/retry", ids[1]), "").await?;
    assert!(retried.status.is_success(), "{}", retried.json());
    assert_eq!(site.client.ended(&ids[1]).await?["state"], "completed");
    let again = post(format!("/v1/requests/{}/retry", ids[1]), "").await?;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(site.platforms.nagra.holdings().await?.cards[&nagra_card(1)].fingerprints, 3);
    Ok(())
}
