//! Talks to a running gateway over its HTTP API.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Failure;

/// The largest answer that is read whole, in bytes.
const ANSWER_LIMIT: usize = 64 << 20;

/// What a request's body is made of.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Where the gateway is, and who asks.
#[derive(Clone, Debug, Args)]
pub(super) struct Target {
    /// Where the gateway is.
    #[arg(long, global = true, env = "HEADGATE_URL", default_value = "http://127.0.0.1:8480", value_name = "URL")]
    pub(super) url: String,
    /// The API key, or file:PATH of a file that holds it.
    #[arg(long, global = true, env = "HEADGATE_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
    /// Authorities that may have signed the gateway's certificate, PEM [default: the system's].
    #[arg(long, global = true, env = "HEADGATE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate chain, PEM, for a gateway that demands one.
    #[arg(long, global = true, requires = "client_key", value_name = "FILE")]
    client_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, global = true, requires = "client_certificate", value_name = "FILE")]
    client_key: Option<PathBuf>,
}

impl Target {
    /// The gateway at `url`, without a key.
    pub(super) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), key: None, ca: None, client_certificate: None, client_key: None }
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let (uri, stream) = self.dial().await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the gateway ended");
            }
        });
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        Ok(Client { sender, authority, bearer: self.bearer()?, wait: None })
    }

    /// The `Authorization` header's value.
    pub(super) fn bearer(&self) -> Result<Option<String>, Failure> {
        let Some(key) = self.key.as_deref().filter(|key| !key.is_empty()) else { return Ok(None) };
        let key = match key.strip_prefix("file:") {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| Failure::new(format!("the key file {path} can not be read: {error}")))?,
            None => key.to_owned(),
        };
        Ok(Some(format!("Bearer {}", key.trim())))
    }

    /// Opens a connection, with TLS where the URL says https.
    pub(super) async fn dial(&self) -> Result<(Uri, Box<dyn Stream>), Failure> {
        let wrong = || {
            Failure::new(format!("{:?} is not the URL of a gateway", self.url))
                .help("write it as in http://127.0.0.1:8480 or https://gateway.example:8480")
        };
        let uri: Uri = self.url.parse().map_err(|_| wrong())?;
        let host = uri.host().ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(wrong()),
        };
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(|error| {
            Failure::new(format!("the gateway at {} can not be reached: {error}", self.url))
                .help("start it with `headgate serve`, or say where it is with --url or HEADGATE_URL")
        })?;
        // Without it, small requests wait for acknowledgements; failing to set it only costs time.
        let _ = tcp.set_nodelay(true);
        if !tls {
            return Ok((uri, Box::new(tcp)));
        }
        let name = ServerName::try_from(host).map_err(|_| wrong())?;
        let connector = TlsConnector::from(Arc::new(self.tls()?));
        let stream = connector.connect(name, tcp).await.map_err(|error| {
            Failure::new(format!("no TLS with {}: {error}", self.url))
                .help("name the authority that signed its certificate with --ca or HEADGATE_CA")
        })?;
        Ok((uri, Box::new(stream)))
    }

    fn tls(&self) -> Result<ClientConfig, Failure> {
        let wrong = |error: rustls::Error| Failure::new(format!("TLS can not be used: {error}"));
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(wrong)?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .with_root_certificates(roots);
        match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| Failure::new(format!("{}: {error}", key.display())))?;
                builder.with_client_auth_cert(chain, key).map_err(wrong)
            }
            _ => Ok(builder.with_no_client_auth()),
        }
    }
}

fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let wrong = |error: rustls_pki_types::pem::Error| Failure::new(format!("{}: {error}", file.display()));
    let list = CertificateDer::pem_file_iter(file).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if list.is_empty() {
        return Err(Failure::new(format!("{} holds no certificate", file.display())).help("name a PEM file"));
    }
    Ok(list)
}

/// A connection, plain or TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a gateway.
pub(super) struct Client {
    sender: SendRequest<Body>,
    authority: String,
    bearer: Option<String>,
    /// How long calls may take, in seconds; absent: as the gateway likes.
    wait: Option<u16>,
}

impl Client {
    /// The same, whose calls wait for outcomes for so many seconds.
    pub(super) const fn wait(&mut self, seconds: u16) -> &mut Self {
        self.wait = Some(seconds);
        self
    }

    /// Asks, and reads the answer.
    pub(super) async fn get(&mut self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// Asks for something to be done, and reads the answer. An answer that is an error is a failure.
    pub(super) async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let mut request = self.request(method, path);
        let json = body.map(|body| serde_json::to_vec(body).unwrap_or_default());
        if json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let response =
            self.send(request, Full::from(json.unwrap_or_default()).map_err(|never| match never {}).boxed_unsync());
        answer(response.await?).await
    }

    /// Sends a body that is still being made; the answer comes while it is.
    pub(super) async fn stream(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/x-ndjson");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.send(request, body).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(answer(response).await.err().unwrap_or_else(|| Failure::new("the gateway refused")))
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let mut request =
            Request::builder().method(method).uri(path).header(HOST, &self.authority).header(ACCEPT, "*/*");
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        if let Some(seconds) = self.wait {
            request = request.header("prefer", format!("wait={seconds}"));
        }
        request
    }

    async fn send(
        &mut self,
        request: hyper::http::request::Builder,
        body: Body,
    ) -> Result<Response<Incoming>, Failure> {
        let request = request.body(body).map_err(|error| Failure::new(format!("this can not be asked: {error}")))?;
        self.sender.ready().await.map_err(broken)?;
        self.sender.send_request(request).await.map_err(broken)
    }
}

fn broken(error: hyper::Error) -> Failure {
    let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})")).unwrap_or_default();
    Failure::new(format!("the connection to the gateway broke: {error}{cause}"))
        .help("see whether it is running and whether --url is its API; http and https differ")
}

async fn answer(response: Response<Incoming>) -> Result<Value, Failure> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
    let body = body.map_err(|error| Failure::new(format!("the answer broke off: {error}")))?.to_bytes();
    let value: Value = match serde_json::from_slice(&body) {
        Ok(value) => value,
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => Value::String(String::from_utf8_lossy(&body).into_owned()),
    };
    if status.is_success() { Ok(value) } else { Err(refused(status, &value)) }
}

/// What a problem document says, and what to do about it.
fn refused(status: StatusCode, problem: &Value) -> Failure {
    let text = problem_text(problem).unwrap_or_else(|| format!("the gateway answered {status}"));
    let failure = Failure::new(text);
    match status {
        StatusCode::UNAUTHORIZED => {
            failure.help("give an API key with --key or HEADGATE_KEY; `headgate config key` makes one")
        }
        StatusCode::FORBIDDEN => failure.help("use a key with a higher role: viewer, crm, operator, admin"),
        StatusCode::NOT_FOUND => failure.help("list what there is: `headgate requests`, `headgate providers`"),
        StatusCode::SERVICE_UNAVAILABLE => failure.help("try again in a few seconds"),
        _ => failure,
    }
}

/// A problem document in one line: title, field, detail.
pub(super) fn problem_text(problem: &Value) -> Option<String> {
    let part = |name: &str| problem.get(name).and_then(Value::as_str).filter(|part| !part.is_empty());
    let mut text = part("title")?.to_owned();
    if let Some(detail) = part("detail") {
        text.push_str(": ");
        if let Some(field) = part("field") {
            text.push_str(field);
            text.push_str(": ");
        }
        text.push_str(detail);
    }
    Some(text)
}

/// `text` as a part of a path or a query.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_in_paths() {
        assert_eq!(encoded("A b/é"), "A%20b%2F%C3%A9");
    }

    #[test]
    fn a_problem_is_one_line() {
        let problem = serde_json::json!({"title": "Refused", "detail": "is missing", "field": "services/0"});
        assert_eq!(problem_text(&problem).as_deref(), Some("Refused: services/0: is missing"));
        assert_eq!(problem_text(&Value::Null), None);
    }
}
