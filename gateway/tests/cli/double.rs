//! Stands in for a gateway: answers the API with what a test wants, and remembers what was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) what: String,
    pub(crate) key: Option<String>,
    pub(crate) prefer: Option<String>,
    pub(crate) idempotency: Option<String>,
    pub(crate) body: String,
}

/// Answers a call: the status, and the body.
type Answers = fn(&str) -> (u16, Value);

/// A gateway's double. It ends with the test.
pub(crate) struct Double {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _runtime: Runtime,
}

impl Double {
    pub(crate) fn start(answers: Answers) -> Self {
        Self::start_with(answers, None)
    }

    /// One that speaks TLS, with this certificate.
    pub(crate) fn start_tls(answers: Answers, own: &CertifiedKey<KeyPair>) -> Self {
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        Self::start_with(answers, Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn start_with(answers: Answers, tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                let service = service_fn(move |request| answer(request, answers, Arc::clone(&log)));
                let http = hyper::server::conn::http1::Builder::new();
                match tls.clone() {
                    None => drop(tokio::spawn(http.serve_connection(TokioIo::new(stream), service))),
                    Some(tls) => drop(tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            let _ = http.serve_connection(TokioIo::new(stream), service).await;
                        }
                    })),
                }
            }
        });
        Self { address, asked, _runtime: runtime }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    answers: Answers,
    log: Arc<Mutex<Vec<Asked>>>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let mut asked = Asked {
        what: format!("{} {}", request.method(), request.uri()),
        key: header("authorization"),
        prefer: header("prefer"),
        idempotency: header("idempotency-key"),
        body: String::new(),
    };
    if header("content-type").as_deref() == Some("application/x-ndjson") {
        log.lock().unwrap().push(asked);
        return Ok(Response::new(line_by_line(request.into_body())));
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    asked.body = String::from_utf8(body.to_vec()).unwrap();
    let (status, value) = answers(&asked.what);
    log.lock().unwrap().push(asked);
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::from(value.to_string()).boxed_unsync()).unwrap())
}

/// Answers every line as soon as it comes, as the API does: a request whose `smartcard` names a state ends in it.
/// `hang_up` ends the conversation.
fn line_by_line(body: Incoming) -> UnsyncBoxBody<Bytes, Infallible> {
    let (out, answers) = tokio::sync::mpsc::channel::<Bytes>(16);
    tokio::spawn(async move {
        let mut body = body;
        let (mut buffer, mut number) = (Vec::new(), 0_u64);
        while let Some(Ok(frame)) = body.frame().await {
            buffer.extend_from_slice(frame.data_ref().unwrap());
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                number += 1;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let Some(reply) = reply(number, &line) else { return };
                if out.send(format!("{reply}\n").into()).await.is_err() {
                    return;
                }
            }
        }
    });
    StreamBody::new(ReceiverStream::new(answers).map(|line| Ok(Frame::data(line)))).boxed_unsync()
}

fn reply(number: u64, line: &[u8]) -> Option<Value> {
    let Ok(request) = serde_json::from_slice::<Value>(line) else {
        let problem = json!({"title": "The request can not be read", "detail": "expected value", "status": 400});
        return Some(json!({"line": number, "status": 400, "problem": problem}));
    };
    let state = request["smartcard"].as_str().unwrap();
    if state == "hang_up" {
        return None;
    }
    let mut shown = json!({"provider": request["provider"], "command": request["command"], "state": state});
    if state == "rejected" {
        shown["failure"] = json!({"code": "E7", "text": "no such card"});
    }
    Some(json!({"line": number, "status": 200, "request": shown}))
}
