//! TLS against OpenSSL, in both directions.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};

use headgate::simulate::stream::listen;
use headgate_codecs::registry::Transport;
use headgate_core::adapter::LinkId;

use crate::support::Driven;
use crate::support::platforms::Echo;
use headgate_site::certificates::Certificates;
use headgate_site::server::{Running, line, openssl};

const LINK: LinkId = LinkId(1);

/// A server that sends each line back reversed, and its port.
fn reversing_server(certificates: &Certificates, more: &[&str]) -> (Running, u16) {
    let (certificate, key) = (certificates.path("localhost.pem"), certificates.path("localhost.key"));
    let mut arguments = vec!["s_server", "-accept", "127.0.0.1:0", "-rev"];
    arguments.extend(["-cert", certificate.to_str().unwrap(), "-key", key.to_str().unwrap()]);
    arguments.extend(more);
    let mut server = openssl(&arguments);
    let listening = line(&mut server.stdout(), |line| line.starts_with("ACCEPT "));
    let port = listening.rsplit_once(':').unwrap().1.parse().unwrap();
    (server, port)
}

fn table(certificates: &Certificates, port: u16, more: &str) -> String {
    format!("address = \"localhost:{port}\"\n[tls]\nca = {}\n{more}\n", certificates.quoted("ca.pem"))
}

#[tokio::test]
async fn our_client_speaks_to_its_server() {
    for version in ["-tls1_2", "-tls1_3"] {
        let certificates = Certificates::make();
        let (_server, port) = reversing_server(&certificates, &[version]);
        let mut driven = Driven::new(Transport::Stream, &table(&certificates, port, ""));
        driven.connect(LINK).await;
        driven.send(LINK, &b"headgate\n"[..]);
        assert_eq!(driven.receive(9).await, b"etagdaeh\n", "{version}");
    }
}

#[tokio::test]
async fn a_server_older_than_the_oldest_accepted_version_is_refused() {
    let certificates = Certificates::make();
    let (_server, port) = reversing_server(&certificates, &["-tls1_2"]);
    let mut driven = Driven::new(Transport::Stream, &table(&certificates, port, "min_version = \"1.3\""));
    let why = driven.connect_in_vain(LINK).await;
    assert!(why.contains("ProtocolVersion") || why.contains("version"), "{why}");
}

#[tokio::test]
async fn its_server_demands_our_certificate_and_gets_it() {
    let certificates = Certificates::make();
    let ca = certificates.path("ca.pem");
    // One that is demanded and missing is refused within the handshake of TLS 1.2.
    let demand = ["-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", ca.to_str().unwrap()];
    let (_server, port) = reversing_server(&certificates, &demand);
    let mut driven = Driven::new(Transport::Stream, &table(&certificates, port, ""));
    let why = driven.connect_in_vain(LINK).await;
    assert!(why.contains("alert"), "{why}");

    let shown =
        format!("certificate = {}\nkey = {}", certificates.quoted("client.pem"), certificates.quoted("client.key"));
    let mut driven = Driven::new(Transport::Stream, &table(&certificates, port, &shown));
    driven.connect(LINK).await;
    driven.send(LINK, &b"abc\n"[..]);
    assert_eq!(driven.receive(4).await, b"cba\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_client_speaks_to_our_platform() {
    for version in ["-tls1_2", "-tls1_3"] {
        let certificates = Certificates::make();
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let simulation = listen(Box::new(Echo::default()), anywhere, Some(certificates.server(true))).await.unwrap();
        let address = simulation.address().unwrap().to_string();
        let paths = ["ca.pem", "client.pem", "client.key"].map(|file| certificates.path(file).display().to_string());
        let mut client = openssl(&[
            "s_client",
            "-connect",
            &address,
            version,
            "-quiet",
            "-CAfile",
            &paths[0],
            "-cert",
            &paths[1],
            "-key",
            &paths[2],
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
        ]);
        client.stdin().write_all(b"from openssl\n").unwrap();
        let mut output = client.stdout();
        tokio::task::spawn_blocking(move || line(&mut output, |line| line == "from openssl")).await.unwrap();
        assert_eq!(simulation.holdings().await.unwrap().applied, 1);
    }
}
