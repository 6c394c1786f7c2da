//! Keys, certificates, and NDJSON over TCP and TLS.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headgate_site::Platforms;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::process::{Gateway, run, run_with};

/// An API key, made by the program.
pub(crate) struct Key {
    pub(crate) key: String,
    /// What stands in the configuration for it.
    pub(crate) config: String,
}

impl Key {
    pub(crate) fn make(name: &str, role: &str) -> Self {
        let made = run(&["config", "key", name, role]).ends(0);
        let (key, config) = made.out.split_once('\n').unwrap();
        Self { key: key.to_owned(), config: format!("\n{config}") }
    }
}

/// An authority with a certificate for `localhost` and one for a client, written into `home`.
pub(crate) fn certify(home: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(home.join("ca.pem"), authority.pem()).unwrap();
    for name in ["localhost", "client"] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        std::fs::write(home.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(home.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// The configuration with TLS, and with NDJSON over TCP.
fn with_tls(config: &str, home: &Path, more: &str) -> String {
    let home = home.display();
    let tls = format!("[server.tls]\ncertificate = \"{home}/localhost.pem\"\nkey = \"{home}/localhost.key\"\n{more}");
    with_stream(config).replace("[store]", &format!("{tls}\n[store]"))
}

fn with_stream(config: &str) -> String {
    config.replace("drain_timeout", "stream_listen = \"127.0.0.1:0\"\ndrain_timeout")
}

/// Sends a line, reads a line.
fn converse(stream: &mut BufReader<impl std::io::Read + Write>, line: &Value) -> Value {
    stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    stream.get_mut().flush().unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap_or(Value::String(answer))
}

fn tcp(gateway: &Gateway) -> TcpStream {
    let tcp = TcpStream::connect(gateway.stream.unwrap()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    tcp
}

fn tls(gateway: &Gateway, ca: &Path) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp(gateway))
}

fn reset_pin() -> Value {
    json!({ "provider": "nagra", "command": "reset_pin", "smartcard": "0000000001" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_over_tcp_are_answered() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| with_stream(&config));
    let mut stream = BufReader::new(tcp(&gateway));
    let answer = converse(&mut stream, &reset_pin());
    assert_eq!((&answer["line"], &answer["request"]["state"]), (&json!(1), &json!("completed")), "{answer}");
    let answer = converse(&mut stream, &json!({ "provider": "nope", "command": "reset_pin" }));
    assert_eq!((&answer["line"], &answer["problem"]["code"]), (&json!(2), &json!("unknown_provider")), "{answer}");
    let files =
        json!({ "provider": "conax", "command": "get_services", "smartcard": headgate_site::site::conax_card(1) });
    let answer = converse(&mut stream, &files);
    assert_eq!((&answer["line"], &answer["request"]["state"]), (&json!(3), &json!("completed")), "{answer}");
    gateway.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_key_may_do_what_its_role_allows() {
    let platforms = Platforms::start().await.unwrap();
    let keys = ["viewer", "crm", "operator", "admin"].map(|role| Key::make(role, role));
    let gateway =
        Gateway::start(&platforms, |config| keys.iter().fold(with_stream(&config), |config, key| config + &key.config));
    let url = format!("http://{}", gateway.address);
    let status = |key: &str, arguments: &[&str], input: &str| {
        run_with(arguments, &[("HEADGATE_URL", &url), ("HEADGATE_KEY", key)], input)
    };
    let line = reset_pin().to_string();
    for (rank, key) in keys.iter().enumerate() {
        let allowed = |needed: usize| if rank >= needed { Some(0) } else { Some(2) };
        assert_eq!(status(&key.key, &["providers"], "").status, allowed(0));
        assert_eq!(status(&key.key, &["send", "--wait", "20"], &line).status, allowed(1));
        assert_eq!(status(&key.key, &["providers", "disable", "conax"], "").status, allowed(2));
        let raw = json!({ "provider": "nagra", "command": "raw", "payload": "00" }).to_string();
        let refused = status(&key.key, &["send", "--wait", "20"], &raw);
        assert_eq!(refused.err.contains("needs the role admin"), rank == 2 || rank == 1, "{rank}: {refused:?}");
    }
    let nobody = status("", &["providers"], "").ends(2);
    assert!(nobody.err.contains("An API key is needed") && nobody.err.contains("--key"), "{nobody:?}");
    let wrong = status("hg_wrong", &["providers"], "").ends(2);
    assert!(wrong.err.contains("this key is not known"), "{wrong:?}");

    // Over TCP the key is the first line.
    let mut stream = BufReader::new(tcp(&gateway));
    assert_eq!(converse(&mut stream, &json!({ "key": keys[1].key })), json!({ "line": 1, "status": 200 }));
    assert_eq!(converse(&mut stream, &reset_pin())["request"]["state"], "completed");
    let mut stream = BufReader::new(tcp(&gateway));
    assert_eq!(converse(&mut stream, &json!({ "key": keys[0].key }))["problem"]["code"], "forbidden");
    let mut stream = BufReader::new(tcp(&gateway));
    assert_eq!(converse(&mut stream, &reset_pin())["problem"]["code"], "unauthorised");
    gateway.stop();
}

/// A renewed certificate is shown to new connections; one that is open goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_under_open_connections() {
    let platforms = Platforms::start().await.unwrap();
    let home = platforms.home.path();
    certify(home);
    let gateway = Gateway::start(&platforms, |config| with_tls(&config, home, ""));
    let url = format!("https://localhost:{}", gateway.address.port());
    let trusts = |ca: &Path| run(&["providers", "--url", &url, "--ca", ca.to_str().unwrap()]);
    let old = home.join("old.pem");
    std::fs::copy(home.join("ca.pem"), &old).unwrap();
    let mut open = BufReader::new(tls(&gateway, &old));
    assert_eq!(converse(&mut open, &reset_pin())["request"]["state"], "completed");
    trusts(&old).ends(0);

    certify(home);
    let log = gateway.reload(&gateway.config());
    assert_eq!(log["message"], "the configuration was taken over", "{log}");
    assert_eq!(converse(&mut open, &reset_pin())["request"]["state"], "completed");
    trusts(&home.join("ca.pem")).ends(0);
    let distrusted = trusts(&old).ends(2);
    assert!(distrusted.err.contains("no TLS with") && distrusted.err.contains("--ca"), "{distrusted:?}");

    // Half a renewal, the key of another certificate, changes nothing.
    std::fs::write(home.join("localhost.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let log = gateway.reload(&gateway.config());
    assert!(log["message"].as_str().unwrap().starts_with("the configuration was not taken over"), "{log}");
    trusts(&home.join("ca.pem")).ends(0);
    drop(open);
    gateway.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_certificate_is_turned_away() {
    let platforms = Platforms::start().await.unwrap();
    let home = platforms.home.path();
    certify(home);
    let client_ca = format!("client_ca = \"{}/ca.pem\"\n", home.display());
    let gateway = Gateway::start(&platforms, |config| with_tls(&config, home, &client_ca));
    let url = format!("https://localhost:{}", gateway.address.port());
    let file = |name: &str| home.join(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let plain = ["providers", "--url", &url, "--ca", &ca];
    run(&plain).ends(2);
    run(&[&plain[..], &["--client-certificate", &certificate, "--client-key", &key]].concat()).ends(0);
    let mut stream = tls(&gateway, &home.join("ca.pem"));
    // The refusal comes as an alert, with the first bytes that are read.
    let refused = stream.write_all(b"{}\n").and_then(|()| std::io::Read::read(&mut stream, &mut [0]));
    assert!(refused.is_err(), "{refused:?}");
    gateway.stop();
}
