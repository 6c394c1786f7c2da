//! `headgate encode`: the messages that would carry a request, without sending them.

use std::path::{Path, PathBuf};

use clap::Args;
use headgate_codecs::registry::{EncodeError, Encoded, Protocol};
use headgate_core::body::RequestBody;
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::request::{Request, RequestId};
use headgate_core::text::{CaId, ProviderName, ServiceCode, to_hex};
use headgate_core::{Now, Tick};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::Failure;
use super::{hex, output, settings};
use crate::config;

/// Show what would be sent for a request: frames or files, byte by byte. Nothing is sent.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate encode PROTOCOL --service BASIC=101 \\
      '{\"command\":\"activate_services\",\"smartcard\":\"01450012345\",\"services\":[\"BASIC\"]}'
  headgate encode PROTOCOL --config headgate.toml --provider alpha @request.json
  headgate encode PROTOCOL '{\"command\":\"test_connection\"}' --json

Transaction numbers and times differ from those of a real exchange.")]
pub(super) struct Encode {
    /// The protocol; `headgate providers --protocols` lists them.
    protocol: String,
    /// The request, as the API takes it; `provider` may be left out. @FILE reads a file, - standard input.
    #[arg(value_name = "JSON|@FILE|-")]
    request: String,
    /// Take the settings and services of a provider in this configuration.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["settings", "service"])]
    config: Option<PathBuf>,
    /// Which provider, where several speak the protocol.
    #[arg(long, requires = "config", value_name = "NAME")]
    provider: Option<String>,
    /// What stands under [provider.settings] at the gateway: TOML, or JSON in a file named .json.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A service of the CRM and the platform's id for it. May be given many times.
    #[arg(long, value_name = "CODE=CAID", value_parser = service)]
    service: Vec<(ServiceCode, CaId)>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Encode {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let protocol = settings::protocol(&self.protocol)?;
        let (provider, values) = self.provider(protocol)?;
        let body = self.body(&provider)?;
        let encoded = encode(protocol, &provider, &values, &body).map_err(|error| match error {
            EncodeError::Settings(error) => settings::refused(&error, self.settings.as_deref()),
            EncodeError::Refused(refusal) => Failure::new(format!("the request can not be: {refusal}"))
                .help("services are named with --service CODE=CAID or --config"),
        })?;
        if self.json {
            let messages: Vec<Value> = encoded
                .iter()
                .map(|message| {
                    let text = std::str::from_utf8(&message.bytes).ok();
                    json!({ "title": message.title, "hex": to_hex(&message.bytes), "text": text })
                })
                .collect();
            output::json(&json!({ "protocol": protocol.name, "messages": messages }));
        } else {
            encoded.iter().for_each(print);
        }
        Ok(0)
    }

    fn provider(&self, protocol: &'static Protocol) -> Result<(Provider, Value), Failure> {
        let Some(file) = &self.config else {
            let name = ProviderName::new(protocol.name).map_err(|error| Failure::new(error.to_string()))?;
            let services = ServiceMap::from(self.service.iter().cloned().collect::<std::collections::BTreeMap<_, _>>());
            let provider = Provider {
                name,
                services,
                limits: Limits::default(),
                retry: RetryPolicy::default(),
                breaker: BreakerPolicy::default(),
            };
            return Ok((provider, settings::settings(self.settings.as_deref())?));
        };
        let loaded = config::load(file).map_err(|problems| Failure::new(problems.to_string()))?;
        let mut fitting = loaded.config.providers.iter().filter(|provider| {
            provider.protocol == protocol.name
                && self.provider.as_ref().is_none_or(|name| provider.name.as_str() == name)
        });
        match (fitting.next(), fitting.next()) {
            (Some(provider), None) => Ok((provider.provider(), provider.settings.clone())),
            (None, _) => Err(Failure::new(format!("{} has no such provider of {}", file.display(), protocol.name))
                .help("name one that is there, or leave --config out and use --settings and --service")),
            (Some(_), Some(_)) => {
                Err(Failure::new(format!("several providers in {} speak {}", file.display(), protocol.name))
                    .help("say which with --provider NAME"))
            }
        }
    }

    fn body(&self, provider: &Provider) -> Result<RequestBody, Failure> {
        let bytes = match self.request.strip_prefix('@') {
            Some(path) => settings::file(Path::new(path))?,
            None if self.request == "-" => settings::stdin()?,
            None => self.request.clone().into_bytes(),
        };
        let wrong = |text: String| {
            Failure::new(format!("the request is not right: {text}"))
                .help("write it as the API takes it, as in '{\"command\":\"test_connection\"}'")
        };
        let mut value: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if let Some(members) = value.as_object_mut() {
            members.entry("provider").or_insert_with(|| Value::from(provider.name.as_str()));
        }
        serde_path_to_error::deserialize(&value).map_err(|error| wrong(error.to_string()))
    }
}

/// Checks as the gateway does at acceptance, then encodes.
fn encode(
    protocol: &Protocol,
    provider: &Provider,
    values: &Value,
    body: &RequestBody,
) -> Result<Vec<Encoded>, EncodeError> {
    let request = Request::new(RequestId(uuid::Uuid::now_v7()), body, body.command()?);
    let rules = (protocol.open)(provider, values, 0)?.rules;
    rules.capabilities().check(&request, &provider.services)?;
    rules.check(&request)?;
    let now = Now { tick: Tick::default(), wall: Timestamp::now() };
    (protocol.encode)(provider, values, now, &request)
}

fn print(message: &Encoded) {
    output::line(format_args!("== {}, {} bytes", message.title, message.bytes.len()));
    output::text(hex::dump(&message.bytes));
    if let Ok(text) = std::str::from_utf8(&message.bytes)
        && text.chars().all(|c| !c.is_control() || c.is_whitespace())
    {
        output::line(format_args!("-- as text\n{}", text.trim_end()));
    }
}

fn service(text: &str) -> Result<(ServiceCode, CaId), String> {
    let (code, ca_id) = text.split_once('=').ok_or("write it as in BASIC=101")?;
    let code = ServiceCode::new(code).map_err(|error| format!("the code {error}"))?;
    let ca_id = CaId::new(ca_id).map_err(|error| format!("the CA ID {error}"))?;
    Ok((code, ca_id))
}
