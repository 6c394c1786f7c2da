//! HTTPS: whom it trusts, what it shows, and HTTP/2.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use headgate::simulate::{Simulation, http};
use headgate_codecs::registry::Transport;
use headgate_core::failure::Sent;
use headgate_core::http::HttpCall;
use headgate_core::platform::Fault;
use headgate_site::certificates::Certificates;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::platforms::Mirror;
use crate::support::{Driven, connection, refusal};

async fn mirror(certificates: &Certificates, demands_client: bool) -> Simulation {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    http::listen(Box::new(Mirror::default()), anywhere, Some(certificates.server(demands_client))).await.unwrap()
}

fn table(port: u16, host: &str, tls: &str) -> String {
    format!("url = \"https://{host}:{port}\"\n[tls]\n{tls}\n")
}

/// What a single call comes to: nothing, or the error's code and text. It may not have left if it failed.
async fn outcome(simulation: &Simulation, host: &str, tls: &str) -> Result<(), String> {
    let port = simulation.address().unwrap().port();
    match Driven::new(Transport::Http, &table(port, host, tls)).http(HttpCall::get("/")).await {
        Ok(answer) => {
            assert_eq!(answer.status, 200);
            Ok(())
        }
        Err(error) => {
            assert_eq!((error.code, error.sent), ("connect_failed", Sent::No), "{error:?}");
            Err(error.text)
        }
    }
}

#[tokio::test]
async fn a_platform_is_trusted_by_its_authority_and_name_or_by_its_digest() {
    let certificates = Certificates::make();
    let simulation = mirror(&certificates, false).await;
    let ca = format!("ca = {}", certificates.quoted("ca.pem"));
    outcome(&simulation, "localhost", &ca).await.unwrap();

    let why = outcome(&simulation, "127.0.0.1", &ca).await.unwrap_err();
    assert!(why.ends_with("the peer's certificate is for another name; see `server_name`"), "{why}");
    outcome(&simulation, "127.0.0.1", &format!("{ca}\nserver_name = \"localhost\"")).await.unwrap();

    let other = format!("ca = {}", Certificates::make().quoted("ca.pem"));
    // The files of the other are gone, so it is refused before it can be used.
    assert!(refusal(Transport::Http, &table(1, "localhost", &other)).to_string().starts_with("connection.tls.ca: "));
    let other = Certificates::make();
    let why = outcome(&simulation, "localhost", &format!("ca = {}", other.quoted("ca.pem"))).await.unwrap_err();
    assert!(why.contains("signed by no authority in `ca`") || why.contains("not acceptable"), "{why}");

    let pin = |digest: &str| format!("pinned_sha256 = \"{digest}\"");
    outcome(&simulation, "127.0.0.1", &pin(&certificates.digest)).await.unwrap();
    let why = outcome(&simulation, "127.0.0.1", &pin(&"00".repeat(32))).await.unwrap_err();
    assert!(why.ends_with("the peer's certificate is not the one in `pinned_sha256`"), "{why}");
    assert_eq!(simulation.holdings().await.unwrap().applied, 3);
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_demanded() {
    let certificates = Certificates::make();
    let simulation = mirror(&certificates, true).await;
    let bare = format!("ca = {}", certificates.quoted("ca.pem"));
    let port = simulation.address().unwrap().port();
    let mut driven = Driven::new(Transport::Http, &table(port, "localhost", &bare));
    let error = driven.http(HttpCall::get("/")).await.unwrap_err();
    // With TLS 1.3 the refusal comes after the client's handshake. Mostly it can still be read, and says that nothing
    // of ours was; where the connection breaks first, nobody can know.
    assert!(matches!((error.code, error.sent), ("connect_failed", Sent::No) | ("no_answer", Sent::Maybe)), "{error:?}");
    assert_eq!(simulation.holdings().await.unwrap().applied, 0);

    let files = (certificates.quoted("client.pem"), certificates.quoted("client.key"));
    let shown = format!("{bare}\ncertificate = {}\nkey = {}", files.0, files.1);
    outcome(&simulation, "localhost", &shown).await.unwrap();
}

#[tokio::test]
async fn a_reload_reads_the_certificates_again() {
    let certificates = Certificates::make();
    let simulation = mirror(&certificates, false).await;
    let port = simulation.address().unwrap().port();
    let good = table(port, "localhost", &format!("ca = {}", certificates.quoted("ca.pem")));
    let mut driven = Driven::new(Transport::Http, &good);
    driven.http(HttpCall::get("/")).await.unwrap();
    let other = Certificates::make();
    let bad = table(port, "localhost", &format!("ca = {}", other.quoted("ca.pem")));
    driven.drivers.reload(Transport::Http, &connection(&bad)).unwrap();
    assert_eq!(driven.http(HttpCall::get("/")).await.unwrap_err().code, "connect_failed");
    driven.drivers.reload(Transport::Http, &connection(&good)).unwrap();
    driven.http(HttpCall::get("/")).await.unwrap();
}

/// Each request's version, and its connection counted from 0.
type Versions = Arc<Mutex<Vec<(Version, usize)>>>;

/// A server that offers these protocols and speaks whichever comes.
async fn offering(certificates: &Certificates, protocols: &[&str]) -> (u16, Versions) {
    let mut tls = ServerConfig::clone(&certificates.server(false));
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let versions = Versions::default();
    let record = Arc::clone(&versions);
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let record = Arc::clone(&record);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    record.lock().unwrap().push((request.version(), connection));
                    async { Ok::<_, std::convert::Infallible>(Response::new(Full::new(bytes::Bytes::from("ok")))) }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // It ends with its client.
                drop(builder.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (port, versions)
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered_and_wanted() {
    let certificates = Certificates::make();
    let ca = format!("ca = {}", certificates.quoted("ca.pem"));
    for (offered, wanted, version) in [
        (&["h2", "http/1.1"][..], true, Version::HTTP_2),
        (&["h2"], true, Version::HTTP_2),
        (&["h2", "http/1.1"], false, Version::HTTP_11),
        (&["http/1.1"], true, Version::HTTP_11),
        (&[], true, Version::HTTP_11),
    ] {
        let (port, versions) = offering(&certificates, offered).await;
        let table = format!("http2 = {wanted}\n{}", table(port, "localhost", &ca));
        let mut driven = Driven::new(Transport::Http, &table);
        driven.http(HttpCall::get("/")).await.unwrap();
        let calls = (0..50).map(|number| HttpCall::post("/", "text/plain", number.to_string()));
        for answer in driven.http_all(calls).await {
            assert_eq!(&answer.unwrap().body[..], b"ok");
        }
        let versions = versions.lock().unwrap();
        assert_eq!(versions.len(), 51);
        assert!(versions.iter().all(|(spoken, _)| *spoken == version), "{offered:?}: {versions:?}");
        if version == Version::HTTP_2 {
            assert!(versions.iter().all(|(_, connection)| *connection == 0), "one connection carries all calls");
        }
    }
}

#[tokio::test]
async fn what_goes_wrong_in_http_2_is_told_like_in_http_1() {
    let certificates = Certificates::make();
    let simulation = mirror(&certificates, false).await;
    let ca = format!("ca = {}", certificates.quoted("ca.pem"));
    let port = simulation.address().unwrap().port();
    let table = format!("call_timeout = \"500ms\"\n{}", table(port, "localhost", &ca));
    let mut driven = Driven::new(Transport::Http, &table);
    for (fault, code) in [
        (Fault::CloseAfter, None),
        (Fault::CloseInstead, Some("no_answer")),
        (Fault::HalfFrame, Some("answer_broken")),
        (Fault::Oversized, Some("answer_too_long")),
        (Fault::Silence, Some("no_answer")),
    ] {
        simulation.inject(fault).await.unwrap();
        let before = simulation.holdings().await.unwrap().applied;
        let result = driven.http(HttpCall::get("/")).await;
        assert_eq!(result.as_ref().err().map(|error| (error.code, error.sent)), code.map(|code| (code, Sent::Maybe)));
        assert_eq!(simulation.holdings().await.unwrap().applied, before + 1, "{fault:?}");
        // One that is told of a closing connection may be turned away, but not lost.
        while let Err(error) = driven.http(HttpCall::get("/")).await {
            assert_eq!(error.sent, Sent::No, "{error:?}");
        }
    }
}
