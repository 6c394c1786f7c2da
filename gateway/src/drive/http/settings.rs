//! A client from a provider's settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderMap;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::client::{Client, EndPoint, Pool};
use super::connector::Connector;
use super::message;
use super::url::Url;
use crate::drive::connection::{Connection, ConnectionError, OneOrMany};
use crate::drive::route::opener;
use crate::drive::tls;

/// Most bytes of an answer's header, all fields together.
const HEAD_LIMIT: u32 = 128 << 10;

/// Most calls at once that can be set.
const MOST_CONNECTIONS: usize = 65_536;

/// Checks the settings of calls, and makes the client ready. Opens nothing.
pub(crate) fn client(connection: &Connection) -> Result<Client, ConnectionError> {
    let Some(main) = &connection.url else {
        let text = "missing: give the platform's web service, as in \"https://cas.example:8443/path\"";
        return Err(ConnectionError::new("url", text));
    };
    let main = urls("url", main)?;
    let others = connection
        .endpoints
        .iter()
        .map(|(name, places)| Ok((name.clone(), urls(&format!("endpoints.{name}"), places)?)))
        .collect::<Result<BTreeMap<_, _>, ConnectionError>>()?;
    if !(1..=MOST_CONNECTIONS).contains(&connection.connections) {
        return Err(ConnectionError::new("connections", format!("must be from 1 to {MOST_CONNECTIONS}")));
    }
    let every = || {
        let others = others.iter().map(|(name, urls)| (format!("endpoints.{name}"), urls));
        others
            .chain([("url".to_owned(), &main)])
            .flat_map(|(path, urls)| urls.iter().map(move |url| (path.clone(), url)))
    };
    let fixed = fixed(connection)?;
    if !fixed.is_empty()
        && !connection.allow_plain_credentials
        && let Some((path, _)) = every().find(|(_, url)| !url.is_https() && !url.is_loopback())
    {
        let text = "`basic`, `bearer` and `headers` would go to another machine in clear: use \"https://\", or allow it \
                    with `allow_plain_credentials = true`";
        return Err(ConnectionError::new(path, text));
    }
    let tls = tls_client(connection, every)?;
    Ok(Client {
        pool: pool(connection, tls),
        main: EndPoint::new(main),
        others: others.into_iter().map(|(name, urls)| (name, EndPoint::new(urls))).collect(),
        fixed,
        connect_timeout: connection.connect_timeout,
        call_timeout: connection.call_timeout,
        connections: connection.connections,
    })
}

fn urls(path: &str, places: &OneOrMany) -> Result<Vec<Url>, ConnectionError> {
    let urls = places.as_slice().iter().map(|text| text.parse().map_err(|what: &str| ConnectionError::new(path, what)));
    let urls = urls.collect::<Result<Vec<_>, _>>()?;
    if urls.is_empty() {
        return Err(ConnectionError::new(path, "the list is empty: give at least one URL"));
    }
    Ok(urls)
}

/// The header fields of every call.
fn fixed(connection: &Connection) -> Result<HeaderMap, ConnectionError> {
    let mut fixed = HeaderMap::new();
    for (name, value) in &connection.headers {
        let path = format!("headers.{name}");
        let (name, value) = message::field(name, value.reveal())
            .map_err(|what| ConnectionError::new(path, format!("this field {what}")))?;
        fixed.insert(name, value);
    }
    let (path, authorization) = match (&connection.basic, &connection.bearer) {
        (Some(_), Some(_)) => return Err(ConnectionError::new("bearer", "give either `basic` or `bearer`, not both")),
        (None, None) => return Ok(fixed),
        (Some(basic), None) => {
            if basic.user.contains(':') {
                return Err(ConnectionError::new("basic.user", "must not contain \":\", which ends it"));
            }
            let account = format!("{}:{}", basic.user, basic.password.reveal());
            if account.chars().any(char::is_control) {
                return Err(ConnectionError::new("basic", "must not contain control characters"));
            }
            ("basic", format!("Basic {}", BASE64_STANDARD.encode(account)))
        }
        (None, Some(token)) => ("bearer", format!("Bearer {}", token.reveal())),
    };
    if fixed.contains_key("authorization") {
        return Err(ConnectionError::new(
            "headers.authorization",
            format!("`{path}` sets this field already: leave one out"),
        ));
    }
    let (name, value) = message::field("authorization", &authorization)
        .map_err(|_| ConnectionError::new(path, "must be visible ASCII, without a blank at its end"))?;
    fixed.insert(name, value);
    Ok(fixed)
}

fn tls_client<'a, I>(connection: &Connection, every: impl Fn() -> I) -> Result<Option<tls::Client>, ConnectionError>
where
    I: Iterator<Item = (String, &'a Url)>,
{
    let is_needed = every().any(|(_, url)| url.is_https());
    match &connection.tls {
        None if is_needed => Err(ConnectionError::new(
            "tls",
            "missing: say by what the platform's certificate is trusted, with `ca` or `pinned_sha256`",
        )),
        None => Ok(None),
        Some(_) if !is_needed => {
            Err(ConnectionError::new("tls", "has no use with \"http://\": write \"https://\", or leave it out"))
        }
        Some(settings) => {
            let client = tls::Client::new("tls", settings, false)?;
            for (_, url) in every().filter(|(_, url)| url.is_https()) {
                client.server_name(&url.address.host)?;
            }
            let protocols: &[&[u8]] = if connection.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
            Ok(Some(client.offering(protocols)))
        }
    }
}

fn pool(connection: &Connection, tls: Option<tls::Client>) -> Pool {
    let connector = Connector {
        plain: Arc::new(opener(connection, None)),
        tls: tls.map(|tls| Arc::new(opener(connection, Some(tls)))),
    };
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(connection.idle)
        .pool_max_idle_per_host(if connection.idle.is_zero() { 0 } else { connection.connections })
        // A call goes out once. The library would repeat one that a closing connection gave back.
        .retry_canceled_requests(false)
        .http1_max_buf_size(HEAD_LIMIT as usize)
        .http2_max_header_list_size(HEAD_LIMIT);
    if !connection.keepalive.is_zero() {
        builder.http2_keep_alive_interval(connection.keepalive).http2_keep_alive_timeout(connection.keepalive);
    }
    builder.build(connector)
}
