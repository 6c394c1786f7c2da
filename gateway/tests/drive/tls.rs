//! Links over TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use headgate::simulate::Simulation;
use headgate::simulate::stream::listen;
use headgate_codecs::registry::Transport;
use headgate_core::adapter::LinkId;
use tokio::net::TcpListener;

use crate::support::platforms::Echo;
use crate::support::{Driven, connection, refusal};
use headgate_site::certificates::Certificates;

const LINK: LinkId = LinkId(1);

async fn echo(certificates: &Certificates, demands_client: bool) -> Simulation {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listen(Box::new(Echo::default()), anywhere, Some(certificates.server(demands_client))).await.unwrap()
}

fn table(simulation: &Simulation, host: &str, tls: &str) -> String {
    format!("address = \"{host}:{}\"\n[tls]\n{tls}\n", simulation.address().unwrap().port())
}

async fn assert_echoes(driven: &mut Driven, link: LinkId) {
    driven.send(link, &b"over TLS"[..]);
    assert_eq!(driven.receive(8).await, b"over TLS");
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_trusted() {
    let certificates = Certificates::make();
    let simulation = echo(&certificates, false).await;
    let tls = format!("ca = {}", certificates.quoted("ca.pem"));
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "localhost", &tls));
    driven.connect(LINK).await;
    assert_echoes(&mut driven, LINK).await;

    let large = vec![9; 3 << 20];
    driven.send(LINK, large.clone());
    assert!(driven.receive(large.len()).await == large);
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let certificates = Certificates::make();
    let simulation = echo(&certificates, false).await;
    let other = Certificates::make();
    let tls = format!("ca = {}", other.quoted("ca.pem"));
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "localhost", &tls));
    let why = driven.connect_in_vain(LINK).await;
    assert!(why.ends_with("signed by no authority in `ca`") || why.contains("not acceptable"), "{why}");
}

#[tokio::test]
async fn another_name_is_not_trusted_unless_it_is_expected() {
    let certificates = Certificates::make();
    let simulation = echo(&certificates, false).await;
    let tls = format!("ca = {}", certificates.quoted("ca.pem"));
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "127.0.0.1", &tls));
    let why = driven.connect_in_vain(LINK).await;
    assert!(why.ends_with("the peer's certificate is for another name; see `server_name`"), "{why}");

    let tls = format!("{tls}\nserver_name = \"localhost\"");
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "127.0.0.1", &tls));
    driven.connect(LINK).await;
    assert_echoes(&mut driven, LINK).await;
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted_whatever_its_name_and_no_other_is() {
    let certificates = Certificates::make();
    let simulation = echo(&certificates, false).await;
    let tls = format!("pinned_sha256 = [\"{}\", \"{}\"]", "00".repeat(32), certificates.digest);
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "127.0.0.1", &tls));
    driven.connect(LINK).await;
    assert_echoes(&mut driven, LINK).await;

    let tls = format!("pinned_sha256 = \"{}\"", "00".repeat(32));
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "127.0.0.1", &tls));
    let why = driven.connect_in_vain(LINK).await;
    assert!(why.ends_with("the peer's certificate is not the one in `pinned_sha256`"), "{why}");

    // With both, both must fit.
    let other = Certificates::make();
    let tls = format!("pinned_sha256 = \"{}\"\nca = {}", certificates.digest, other.quoted("ca.pem"));
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "localhost", &tls));
    driven.connect_in_vain(LINK).await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_demanded() {
    let certificates = Certificates::make();
    let simulation = echo(&certificates, true).await;
    let bare = format!("ca = {}", certificates.quoted("ca.pem"));
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "localhost", &bare));
    // With TLS 1.3 the refusal comes after the client's handshake.
    driven.connect(LINK).await;
    let why = driven.closed().await;
    assert!(why.contains("CertificateRequired"), "{why}");

    let tls = format!(
        "{bare}\ncertificate = {}\nkey = {}",
        certificates.quoted("client.pem"),
        certificates.quoted("client.key")
    );
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "localhost", &tls));
    driven.connect(LINK).await;
    assert_echoes(&mut driven, LINK).await;
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_is_given_up_in_time() {
    let certificates = Certificates::make();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut driven = Driven::new(
        Transport::Stream,
        &format!(
            "address = \"localhost:{port}\"\nconnect_timeout = \"200ms\"\n[tls]\nca = {}",
            certificates.quoted("ca.pem")
        ),
    );
    let why = driven.connect_in_vain(LINK).await;
    assert!(why.ends_with("no connection within 200ms"), "{why}");
}

#[tokio::test]
async fn reloading_changes_new_links_and_leaves_open_ones() {
    let certificates = Certificates::make();
    let simulation = echo(&certificates, false).await;
    let tls = format!("ca = {}", certificates.quoted("ca.pem"));
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "localhost", &tls));
    driven.connect(LINK).await;

    let broken = connection(&table(&simulation, "localhost", "ca = \"/nowhere/ca.pem\""));
    let error = driven.drivers.reload(Transport::Stream, &broken).unwrap_err();
    assert_eq!(error.path, "tls.ca");
    driven.connect(LinkId(2)).await;

    let other = Certificates::make();
    let changed = connection(&table(&simulation, "localhost", &format!("ca = {}", other.quoted("ca.pem"))));
    driven.drivers.reload(Transport::Stream, &changed).unwrap();
    driven.connect_in_vain(LinkId(3)).await;
    assert_echoes(&mut driven, LINK).await;
    assert_echoes(&mut driven, LinkId(2)).await;
}

#[tokio::test]
async fn a_closing_link_sends_what_is_queued() {
    let certificates = Certificates::make();
    let simulation = echo(&certificates, false).await;
    let tls = format!("ca = {}", certificates.quoted("ca.pem"));
    let mut driven = Driven::new(Transport::Stream, &table(&simulation, "localhost", &tls));
    driven.connect(LINK).await;
    driven.send(LINK, &b"last words"[..]);
    let Driven { drivers, .. } = driven;
    tokio::time::timeout(Duration::from_secs(10), drivers.shutdown()).await.unwrap();
    assert_eq!(simulation.holdings().await.unwrap().applied, 1);
}

#[test]
fn settings_that_can_not_be_name_the_place_and_the_remedy() {
    let certificates = Certificates::make();
    let ca = certificates.quoted("ca.pem");
    let refused = |tls: &str| refusal(Transport::Stream, &format!("address = \"cas:1\"\n[tls]\n{tls}")).to_string();
    assert!(refused("").starts_with("connection.tls.ca: missing: name the authorities"), "{}", refused(""));
    assert!(refused("ca = \"/nowhere\"").starts_with("connection.tls.ca: /nowhere can not be read"));
    assert_eq!(
        refused("pinned_sha256 = \"abcd\""),
        "connection.tls.pinned_sha256: a SHA-256 digest has 64 hexadecimal digits, this has 4"
    );
    assert_eq!(
        refused(&format!("ca = {ca}\nkey = {ca}")),
        "connection.tls.certificate: missing: `key` needs its certificate"
    );
    assert_eq!(
        refused(&format!("ca = {ca}\nserver_name = \"not a name\"")),
        "connection.tls.server_name: \"not a name\" is neither a host's name nor an address"
    );
    let key = certificates.quoted("client.key");
    let mismatch = format!("ca = {ca}\ncertificate = {}\nkey = {key}", certificates.quoted("localhost.pem"));
    assert!(refused(&mismatch).starts_with("connection.tls.key: "), "{}", refused(&mismatch));
}
