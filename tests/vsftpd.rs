//! A platform on a directory that a real FTP server serves, and a gateway that reaches it only through that server.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use headgate_site::server::PATIENCE;
use headgate_site::site::{Platforms, Site, conax_card};
use headgate_site::vsftpd::{Security, Vsftpd};
use serde_json::{Value, json};

const CARDS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_ftp_and_a_server_that_goes_and_comes() -> Result<()> {
    five_hundred_requests(Vsftpd::start(Security::None, ""), None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explicit_tls_with_resumed_sessions_and_a_server_that_goes_and_comes() -> Result<()> {
    let server = Vsftpd::start(Security::Tls, "");
    five_hundred_requests(server, Some("")).await
}

/// Five requests for each card, with the server stopped for a while in the middle: all complete, none twice.
async fn five_hundred_requests(mut server: Vsftpd, tls: Option<&str>) -> Result<()> {
    let platforms = Platforms::start_behind(&server).await?;
    // A call that the stop leaves without an answer holds its session up for no longer than this.
    let connection = toml::from_str(&server.table("timeout = \"2s\"\nconnect_timeout = \"2s\"", tls))?;
    let site = Site::start_with(platforms, |config| {
        config.providers[1].connection = connection;
        // However long the server is gone.
        config.providers[1].retry.attempts = 1_000;
    })
    .await?;
    let streams: Vec<_> = (0..5)
        .map(|part| {
            let client = site.client.clone();
            let requests: Vec<_> = (0..5).flat_map(|round| story(round, part)).collect();
            tokio::spawn(async move { client.post_lines(&requests, 120).await })
        })
        .collect();

    let early = completed(&site).await?;
    tokio::task::block_in_place(|| server.stop());
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure!(early < 5 * CARDS, "the server was stopped too late to be missed");
    tokio::task::block_in_place(|| server.run());

    let mut answers = 0;
    for stream in streams {
        for line in stream.await??.lines() {
            ensure!(line["request"]["state"] == "completed", "{line}");
            answers += 1;
        }
    }
    assert_eq!(answers, 5 * CARDS);
    let holdings = site.platforms.conax.holdings().await?;
    assert_eq!(holdings.cards.len(), CARDS);
    for n in 0..CARDS {
        let card = &holdings.cards[&conax_card(n)[..11]];
        assert!(card.services.keys().eq(["41", "43"]), "card {n} holds {:?}", card.services);
        assert_eq!(card.messages, [format!("welcome {n}"), format!("goodbye {n}")], "card {n}");
    }
    site.stop().await?;
    Ok(())
}

/// The `round`th request of every fifth card.
fn story(round: usize, part: usize) -> impl Iterator<Item = Value> {
    (part..CARDS).step_by(5).map(move |n| {
        let mut request = match round {
            0 => {
                json!({ "command": "activate_services", "services": ["BASIC", "SPORT"], "end": "2030-12-31T23:59:00Z" })
            }
            1 => json!({ "command": "send_message", "message": { "kind": "mail", "text": format!("welcome {n}") } }),
            2 => json!({ "command": "deactivate_services", "services": ["SPORT"] }),
            3 => json!({ "command": "activate_services", "services": ["FILM"], "end": "2030-12-31T23:59:00Z" }),
            _ => json!({ "command": "send_message", "message": { "kind": "mail", "text": format!("goodbye {n}") } }),
        };
        request["provider"] = json!("conax");
        request["subscription"] = json!(format!("C{n}"));
        request["smartcard"] = json!(conax_card(n));
        if request["command"] == "activate_services" {
            request["start"] = json!("2026-11-01T00:00:00Z");
        }
        request
    })
}

/// How many have completed, as soon as some have.
async fn completed(site: &Site) -> Result<usize> {
    let some = async {
        loop {
            let listing = site.client.get("/v1/requests?state=completed&limit=1000").await?;
            match listing["requests"].as_array().map(Vec::len) {
                Some(number) if number > CARDS / 2 => return Ok(number),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, some).await {
        Ok(number) => number,
        Err(_) => bail!("nothing completes: {}", site.client.get("/v1/providers/conax").await?),
    }
}
