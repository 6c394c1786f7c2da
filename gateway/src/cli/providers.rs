//! `headgate providers`: how the platforms stand, on and off, a connection test.

use std::fmt::Write;

use clap::{Args, Subcommand};
use headgate_codecs::registry::{self, Transport};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Target, encoded};
use super::failure::Failure;
use super::output::{self, Listing};

/// See how the providers stand; test one, switch one on or off.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate providers                      health, links, queues
  headgate providers show alpha           what one can do, and what of it is unconfirmed
  headgate providers test alpha           ask the platform for a sign of life; exit status 1 if there is none
  headgate providers disable alpha        send nothing; requests are accepted and wait
  headgate providers --protocols          the protocols this program speaks (asks no gateway)")]
pub(super) struct Providers {
    #[command(flatten)]
    target: Target,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    /// List the protocols this program speaks instead.
    #[arg(long)]
    protocols: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List every provider. The default.
    List,
    /// Show one with everything it can do.
    Show {
        /// The provider.
        name: String,
    },
    /// Test the connection to the platform.
    Test {
        /// The provider.
        name: String,
        /// How long to wait for its answer, in seconds, at most 300.
        #[arg(long, default_value = "30", value_name = "SECONDS")]
        wait: u16,
    },
    /// Send requests to it again. Lasts until the next start, or a reload that changes the provider.
    Enable {
        /// The provider.
        name: String,
    },
    /// Send nothing to it; its requests wait. Lasts until the next start, or a reload that changes the provider.
    Disable {
        /// The provider.
        name: String,
    },
}

impl Providers {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        if self.protocols {
            protocols(self.json);
            return Ok(0);
        }
        match &self.action {
            None | Some(Action::List) => self.list().await,
            Some(Action::Show { name }) => self.show(name).await,
            Some(Action::Test { name, wait }) => self.test(name, *wait).await,
            Some(Action::Enable { name }) => self.switch(name, "effective").await,
            Some(Action::Disable { name }) => self.switch(name, "not_effective").await,
        }
    }

    async fn list(&self) -> Result<u8, Failure> {
        let answer = self.target.connect().await?.get("/v1/providers").await?;
        if self.json {
            output::json(&answer);
            return Ok(0);
        }
        let headings =
            ["provider", "protocol", "state", "health", "links", "waiting", "in flight", "breaker", "trouble"];
        let mut listing = Listing::new(&headings);
        for provider in answer.get("providers").and_then(Value::as_array).into_iter().flatten() {
            let fields =
                ["name", "protocol", "state", "health", "links_up", "waiting", "in_flight", "breaker", "trouble"];
            listing.row(fields.map(|field| text(provider, field)));
        }
        listing.print(
            "There is no provider. Add a [[provider]] to the configuration; `headgate config example` shows how.",
        );
        Ok(0)
    }

    async fn show(&self, name: &str) -> Result<u8, Failure> {
        let provider = self.target.connect().await?.get(&format!("/v1/providers/{}", encoded(name))).await?;
        if self.json {
            output::json(&provider);
        } else {
            print_provider(&provider);
        }
        Ok(0)
    }

    async fn test(&self, name: &str, wait: u16) -> Result<u8, Failure> {
        let path = format!("/v1/providers/{}", encoded(name));
        let mut client = self.target.connect().await?;
        let answer = client.wait(wait).call(Method::POST, &format!("{path}/test"), None).await?;
        let ok = answer.get("ok").and_then(Value::as_bool).unwrap_or_default();
        if self.json {
            output::json(&answer);
        } else if ok {
            output::line(format_args!("{name} answered in {} ms", text(&answer, "milliseconds")));
        } else {
            // It only explains: without it the answer stands.
            let provider = client.get(&path).await.unwrap_or_default();
            output::line(format_args!("{name} did not answer: {}", silence(&answer, &provider)));
        }
        Ok(u8::from(!ok))
    }

    async fn switch(&self, name: &str, state: &str) -> Result<u8, Failure> {
        let path = format!("/v1/providers/{}/state", encoded(name));
        let answer = self.target.connect().await?.call(Method::PUT, &path, Some(&json!({ "state": state }))).await?;
        if self.json {
            output::json(&answer);
        } else {
            output::line(format_args!("{name} is {}", text(&answer, "state")));
        }
        Ok(0)
    }
}

/// A member of a JSON object, for people; empty if it is not there.
pub(super) fn text(value: &Value, field: &str) -> String {
    match value.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Why a test had no answer: what the request says, else what is known of the provider.
fn silence(test: &Value, provider: &Value) -> String {
    let request = test.get("request").unwrap_or(&Value::Null);
    let failure = request.get("failure").map(|failure| text(failure, "text")).unwrap_or_default();
    let trouble = text(provider, "trouble");
    let known = match text(provider, "state").as_str() {
        "not_effective" => "nothing is sent to it while it is not_effective",
        _ => &trouble,
    };
    let why = if text(request, "state") == "expired" { [known, &failure] } else { [&failure, known] };
    let why = why.into_iter().find(|why| !why.is_empty());
    why.map_or_else(|| format!("the test is {}", text(request, "state")), str::to_owned)
}

fn print_provider(provider: &Value) {
    let mut out = String::new();
    for field in
        ["name", "protocol", "state", "health", "trouble", "links_up", "waiting", "in_flight", "breaker", "unconfirmed"]
    {
        let value = text(provider, field);
        if !value.is_empty() {
            // Writing to a String can not fail.
            let _ = writeln!(out, "{field:12} {value}");
        }
    }
    output::line(out);
    let mut listing = Listing::new(&["command", "services", "smartcards", "stbs", "safe to repeat", "confirmed"]);
    let commands = provider.pointer("/capabilities/commands").and_then(Value::as_object);
    for (name, rules) in commands.into_iter().flatten() {
        let count = |field: &str| rules.get(field).map(range).unwrap_or_default();
        let flag = |field: &str| if rules.get(field) == Some(&Value::Bool(true)) { "yes" } else { "no" }.to_owned();
        listing.row([
            name.clone(),
            count("services"),
            count("smartcards"),
            count("stbs"),
            flag("safe_to_repeat"),
            flag("confirmed"),
        ]);
    }
    listing.print("It carries out no command.");
}

/// How many, as in `1 to 20`.
fn range(count: &Value) -> String {
    let (min, max) = (text(count, "min"), text(count, "max"));
    match (min.as_str(), max.as_str()) {
        ("0", "0") => "-".into(),
        (min, max) if min == max => min.into(),
        (min, max) => format!("{min} to {max}"),
    }
}

fn protocols(json: bool) {
    let transport = |transport: Transport| match transport {
        Transport::Stream => "links (TCP, TLS)",
        Transport::Files => "files (directory, FTP, SFTP)",
        Transport::Http => "calls (HTTP, HTTPS)",
        Transport::Served => "served (workers call the gateway)",
        Transport::Table => "a table (PostgreSQL, MariaDB, SQLite)",
    };
    if json {
        let list = registry::PROTOCOLS.iter().map(|protocol| {
            json!({
                "name": protocol.name, "title": protocol.title, "transport": transport(protocol.transport),
                "profile": !protocol.profile.is_empty(), "unconfirmed": protocol.unconfirmed,
            })
        });
        output::json(&json!({ "protocols": list.collect::<Vec<_>>() }));
        return;
    }
    let mut listing = Listing::new(&["protocol", "title", "carried by", "not confirmed by a public source"]);
    for protocol in registry::PROTOCOLS {
        listing.row([protocol.name, protocol.title, transport(protocol.transport), protocol.unconfirmed]);
    }
    listing.print("");
}
