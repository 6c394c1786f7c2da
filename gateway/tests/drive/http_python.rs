//! HTTP calls to a server that this project did not write: Python's.

use std::io::BufReader;
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};

use headgate_codecs::registry::Transport;
use headgate_core::http::{HttpCall, Method};
use headgate_site::certificates::Certificates;
use headgate_site::server::{Running, line, program};
use serde_json::Value;

use crate::support::Driven;

/// The server, which ends with this; what it prints; and its port.
fn python(arguments: &[PathBuf]) -> (Running, BufReader<ChildStdout>, u16) {
    let mut command = Command::new(program("python3", "python3"));
    command.args(["-c", include_str!("support/http_server.py")]).args(arguments);
    let mut server = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut output = server.stdout();
    let port = line(&mut output, |line| line.parse::<u16>().is_ok()).parse().unwrap();
    (server, output, port)
}

/// Every kind of call, and more than one connection carries at once.
async fn converse(driven: &mut Driven) {
    for method in [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete] {
        let answer = driven.http(HttpCall::new(method, "/a?b=%20")).await.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        let seen: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((seen["method"].as_str(), seen["target"].as_str()), (Some(method.name()), Some("/a?b=%20")));
    }
    let answer = driven.http(HttpCall::post("/chunked", "text/xml", "<a>ä</a>").header("x-y", "z")).await.unwrap();
    let seen: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((seen["body"].as_str(), seen["headers"]["x-y"].as_str()), (Some("<a>ä</a>"), Some("z")));
    assert_eq!(seen["headers"]["authorization"], "Basic dTpw");
    assert_eq!(driven.http(HttpCall::get("/empty")).await.unwrap().status, 204);

    let calls = (0..100).map(|number| HttpCall::post("/", "text/plain", number.to_string()));
    for (number, answer) in driven.http_all(calls).await.into_iter().enumerate() {
        let seen: Value = serde_json::from_slice(&answer.unwrap().body).unwrap();
        assert_eq!(seen["body"], number.to_string());
    }
}

#[tokio::test]
async fn python_answers_every_call_and_connections_are_used_again() {
    let (server, mut output, port) = python(&[]);
    let table =
        format!("url = \"http://127.0.0.1:{port}\"\nconnections = 8\nbasic = {{ user = \"u\", password = \"p\" }}");
    let mut driven = Driven::new(Transport::Http, &table);
    converse(&mut driven).await;
    driven.shutdown().await;
    drop(server);
    let mut printed = String::new();
    std::io::Read::read_to_string(&mut output, &mut printed).unwrap();
    let connections = printed.lines().count();
    assert!((8..=30).contains(&connections), "107 calls, 8 at once, took {connections} connections");
}

#[tokio::test]
async fn python_answers_over_tls() {
    let certificates = Certificates::make();
    let (_server, _output, port) = python(&[certificates.path("localhost.pem"), certificates.path("localhost.key")]);
    let table = format!(
        "url = \"https://localhost:{port}\"\nconnections = 8\nbasic = {{ user = \"u\", password = \"p\" }}\n[tls]\nca = {}",
        certificates.quoted("ca.pem")
    );
    converse(&mut Driven::new(Transport::Http, &table)).await;
}
