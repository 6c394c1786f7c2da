//! TLS: one certificate, client certificates, and a change of certificate.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::connect;
use super::{Double, Served, keys, request, server};
use crate::config::{Server, ServerTls};

/// An authority that signs for a test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Writes a new certificate for `localhost` and its key.
    fn write(&self, directory: &Path) -> ServerTls {
        let (certificate, key) = self.sign("localhost");
        let tls =
            ServerTls { certificate: directory.join("chain.pem"), key: directory.join("key.pem"), client_ca: None };
        std::fs::write(&tls.certificate, certificate.pem()).unwrap();
        std::fs::write(&tls.key, key.serialize_pem()).unwrap();
        tls
    }

    /// A client that trusts this authority, with a certificate of its own if one is given.
    fn client(&self, own: Option<(rcgen::Certificate, KeyPair)>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let settings = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        TlsConnector::from(Arc::new(settings))
    }
}

async fn dial(address: std::net::SocketAddr, connector: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    connector.connect(ServerName::try_from("localhost").unwrap(), socket).await
}

fn peer(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn live() -> Request<Body> {
    Request::get("/livez").header("host", "localhost").body(Body::empty()).unwrap()
}

fn secured(tls: ServerTls) -> Server {
    Server { tls: Some(tls), ..server() }
}

#[tokio::test]
async fn a_new_certificate_holds_for_new_connections_and_drops_none() {
    let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
    let served = Served::with(Double::new(), &secured(authority.write(directory.path())), &keys()).await.unwrap();
    let connector = authority.client(None);
    let stream = dial(served.address(), &connector).await.unwrap();
    let before = peer(&stream);
    let mut kept = connect(stream).await;
    assert_eq!(kept.send_request(live()).await.unwrap().status(), 200);

    let renewed = authority.write(directory.path());
    served.serving.take_over(served.serving.prepare(Some(&renewed), &keys()).unwrap());
    let stream = dial(served.address(), &authority.client(None)).await.unwrap();
    assert_ne!(peer(&stream), before);
    assert_eq!(kept.send_request(live()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_broken_certificate_changes_nothing() {
    let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
    let tls = authority.write(directory.path());
    let served = Served::with(Double::new(), &secured(tls.clone()), &keys()).await.unwrap();
    std::fs::write(&tls.certificate, "no certificate").unwrap();
    let error = served.serving.prepare(Some(&tls), &keys()).unwrap_err().to_string();
    assert!(error.contains("chain.pem"), "{error}");
    assert!(dial(served.address(), &authority.client(None)).await.is_ok());

    let other = authority.sign("localhost").1;
    authority.write(directory.path());
    std::fs::write(&tls.key, other.serialize_pem()).unwrap();
    assert!(served.serving.prepare(Some(&tls), &keys()).unwrap_err().to_string().contains("do not go together"));
}

#[tokio::test]
async fn a_client_certificate_is_demanded() {
    let (authority, clients, directory) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
    let client_ca = directory.path().join("clients.pem");
    std::fs::write(&client_ca, clients.certificate.pem()).unwrap();
    let tls = ServerTls { client_ca: Some(client_ca), ..authority.write(directory.path()) };
    let served = Served::with(Double::new(), &secured(tls), &keys()).await.unwrap();

    let known = authority.client(Some(clients.sign("crm")));
    let mut connection = connect(dial(served.address(), &known).await.unwrap()).await;
    assert_eq!(connection.send_request(live()).await.unwrap().status(), 200);

    for stranger in [authority.client(None), authority.client(Some(authority.sign("crm")))] {
        // With TLS 1.3 the client learns of its refusal with the first byte it reads.
        let refused = async {
            let mut stream = dial(served.address(), &stranger).await?;
            stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await?;
            stream.read_u8().await
        };
        assert!(refused.await.is_err());
    }
}

#[tokio::test]
async fn http_2_is_offered() {
    let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
    let served = Served::with(Double::new(), &secured(authority.write(directory.path())), &keys()).await.unwrap();
    let mut settings = (**authority.client(None).config()).clone();
    settings.alpn_protocols = vec![b"h2".to_vec()];
    let stream = dial(served.address(), &TlsConnector::from(Arc::new(settings))).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(sender.send_request(live()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn lines_go_over_tls_too() {
    let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
    let served = Served::with(Double::new(), &secured(authority.write(directory.path())), &keys()).await.unwrap();
    let mut stream = dial(served.serving.stream().unwrap(), &authority.client(None)).await.unwrap();
    stream.write_all(format!("{{\"key\":\"crm\"}}\n{}\n", request("prompt")).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    let states: Vec<_> = answers.lines().map(|line| line.contains("\"completed\"")).collect();
    assert_eq!(states, [false, true], "{answers}");
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_let_go() {
    let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
    let served = Served::with(Double::new(), &secured(authority.write(directory.path())), &keys()).await.unwrap();
    let mut socket = TcpStream::connect(served.address()).await.unwrap();
    let read = tokio::time::timeout(super::client::PATIENCE, socket.read(&mut [0])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}
