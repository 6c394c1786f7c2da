//! A platform behind TLS that demands a certificate of its own authority, and a gateway that has one, or has not.

use anyhow::{Context, Result, ensure};
use headgate_site::certificates::Certificates;
use headgate_site::server::PATIENCE;
use headgate_site::site::{Platforms, Site};
use hyper::StatusCode;
use serde_json::{Value, json};

/// A site whose platform over links demands a client certificate; `tls` is the gateway's side.
async fn site(certificates: &Certificates, tls: &str) -> Result<Site> {
    let home = tempfile::tempdir()?;
    let conax = home.path().join("conax");
    let platforms = Platforms::start_in(home, &conax, Some(certificates.server(true))).await?;
    let port = platforms.nagra.address().context("it listens")?.port();
    let connection = toml::from_str(&format!("address = \"localhost:{port}\"\n[tls]\n{tls}"))?;
    Site::start_with(platforms, |config| config.providers[0].connection = connection).await
}

fn request(n: usize) -> Value {
    json!({ "provider": "nagra", "command": "set_pin", "smartcard": format!("{:010}", 1_000_000 + n), "pin": "4711" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_through_tls_with_a_certificate_on_both_sides() -> Result<()> {
    let certificates = Certificates::make();
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|file| certificates.quoted(file));
    let site = site(&certificates, &format!("ca = {ca}\ncertificate = {certificate}\nkey = {key}\n")).await?;
    let requests: Vec<_> = (0..200).map(request).collect();
    let reply = site.client.post_lines(&requests, 60).await?;
    let lines = reply.lines();
    assert_eq!(lines.len(), requests.len());
    for line in lines {
        assert_eq!(line["request"]["state"], "completed", "{line}");
    }
    let cards = site.platforms.nagra.holdings().await?.cards;
    assert!(cards.len() == 200 && cards.values().all(|card| card.pin.as_deref() == Some("4711")));
    site.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_certificates_nothing_goes_out_and_the_reason_is_shown() -> Result<()> {
    let certificates = Certificates::make();
    let other = Certificates::make();
    let [certificate, key] = ["client.pem", "client.key"].map(|file| certificates.quoted(file));
    let anonymous = format!("ca = {}\n", certificates.quoted("ca.pem"));
    let deceived = format!("ca = {}\ncertificate = {certificate}\nkey = {key}\n", other.quoted("ca.pem"));
    for (tls, reason) in [(anonymous, "alert"), (deceived, "certificate")] {
        let site = site(&certificates, &tls).await?;
        let reply = site.client.post(&request(1), 0).await?;
        assert_eq!((reply.status, &reply.json()["state"]), (StatusCode::ACCEPTED, &json!("waiting")));
        let trouble = trouble(&site).await?;
        ensure!(trouble.contains(reason), "{trouble}");
        assert!(site.platforms.nagra.holdings().await?.cards.is_empty());
        let id = reply.json()["id"].as_str().context("an id")?.to_owned();
        assert_eq!(site.client.get(&format!("/v1/requests/{id}")).await?["state"], "waiting");
        site.stop().await?;
    }
    Ok(())
}

/// Why the provider's link is down, once it has been tried.
async fn trouble(site: &Site) -> Result<String> {
    let told = async {
        loop {
            let provider = site.client.get("/v1/providers/nagra").await?;
            if let Some(trouble) = provider["trouble"].as_str() {
                return Ok(trouble.to_lowercase());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await?
}
