//! `headgate requests`: list them, look at one, retry, cancel, resolve.

use std::fmt::Write;

use clap::{Args, Subcommand};
use headgate_core::command::CommandKind;
use headgate_core::request::State;
use hyper::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Client, Target, encoded};
use super::failure::Failure;
use super::output::{self, Listing};
use super::providers::text;

/// List the requests, look at one, decide about one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate requests                                 the newest
  headgate requests --state unknown --provider alpha    what needs a decision
  headgate requests --subscription 0042 --all       everything of one subscription
  headgate requests show ID --exchange              one, with what was sent and received
  headgate requests retry ID                        send it again
  headgate requests resolve ID completed            say how an unknown one really ended")]
pub(super) struct Requests {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    filter: Filter,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

/// Which requests to list.
#[derive(Debug, Args)]
struct Filter {
    /// Of this provider.
    #[arg(long)]
    provider: Option<String>,
    /// Of this subscription.
    #[arg(long)]
    subscription: Option<String>,
    /// In this state: waiting, sent, completed, rejected, failed, unknown, cancelled, expired.
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// With this command, as in activate_services.
    #[arg(long, value_parser = command)]
    command: Option<CommandKind>,
    /// Made by this: api, utility, action.
    #[arg(long)]
    source: Option<String>,
    /// With this reference of the CRM.
    #[arg(long)]
    reference: Option<String>,
    /// Accepted at or after this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Accepted before this time, RFC 3339.
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
    /// At most so many, 1 to 1000; with --all, so many at a time.
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// List all, not only the newest.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show one with everything known of it.
    Show {
        /// Its id.
        #[arg(value_parser = id)]
        id: Uuid,
        /// Also what went out and what came back; for operators.
        #[arg(long)]
        exchange: bool,
    },
    /// Send one again that ended without success, or at once one that waits for a retry or a run.
    Retry {
        /// Its id.
        #[arg(value_parser = id)]
        id: Uuid,
    },
    /// Take back one that waits.
    Cancel {
        /// Its id.
        #[arg(value_parser = id)]
        id: Uuid,
    },
    /// Say how one in state unknown really ended.
    Resolve {
        /// Its id.
        #[arg(value_parser = id)]
        id: Uuid,
        /// completed (the platform did it) or failed (it did not, and will not be asked again).
        #[arg(value_parser = ["completed", "failed"])]
        state: String,
    },
}

fn id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| "an id is as in the second column of `headgate requests`; the number is none".to_owned())
}

fn state(name: &str) -> Result<State, String> {
    State::from_name(name).ok_or_else(|| format!("there are {}", State::ALL.map(State::name).join(", ")))
}

fn command(name: &str) -> Result<CommandKind, String> {
    CommandKind::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = CommandKind::ALL.iter().map(|kind| kind.name()).collect();
        crate::config::load::suggest(name, &known)
    })
}

impl Requests {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let mut client = self.target.connect().await?;
        let changed = match &self.action {
            None => return self.list(&mut client).await,
            Some(Action::Show { id, exchange }) => {
                let query = if *exchange { "?exchange=true" } else { "" };
                let request = client.get(&format!("/v1/requests/{id}{query}")).await?;
                if self.json {
                    output::json(&request);
                } else {
                    output::text(describe(&request, 0));
                    if *exchange && request.get("exchange").is_none() {
                        output::note(
                            "The exchange is not shown: that of a set_pin holds the PIN, that of a raw message is for administrators.",
                        );
                    }
                }
                return Ok(0);
            }
            Some(Action::Retry { id }) => client.call(Method::POST, &format!("/v1/requests/{id}/retry"), None).await?,
            Some(Action::Cancel { id }) => {
                client.call(Method::POST, &format!("/v1/requests/{id}/cancel"), None).await?
            }
            Some(Action::Resolve { id, state }) => {
                let body = json!({ "state": state });
                client.call(Method::POST, &format!("/v1/requests/{id}/resolve"), Some(&body)).await?
            }
        };
        if self.json {
            output::json(&changed);
        } else {
            output::line(format_args!("request {} is {}", text(&changed, "number"), text(&changed, "state")));
        }
        Ok(0)
    }

    async fn list(&self, client: &mut Client) -> Result<u8, Failure> {
        let mut requests = Vec::new();
        let mut cursor = None;
        loop {
            let mut page = client.get(&self.filter.path(cursor.as_deref())).await?;
            if let Some(Value::Array(found)) = page.get_mut("requests").map(Value::take) {
                requests.extend(found);
            }
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if !self.filter.all || cursor.is_none() {
                break;
            }
        }
        if self.json {
            output::json(&json!({ "requests": requests, "next": cursor }));
            return Ok(0);
        }
        let headings = ["number", "id", "provider", "subscription", "command", "state", "tries", "accepted", "why not"];
        let mut listing = Listing::new(&headings);
        for request in &requests {
            let field = |name: &str| text(request, name);
            let failure =
                request.get("failure").map(|failure| format!("{} ({})", text(failure, "text"), text(failure, "code")));
            listing.row([
                field("number"),
                field("id"),
                field("provider"),
                field("subscription"),
                field("command"),
                field("state"),
                field("attempts"),
                field("created"),
                failure.unwrap_or_default(),
            ]);
        }
        listing.print("There is no such request.");
        if cursor.is_some() {
            output::note("There are more: --all lists them all, --limit more of them.");
        }
        Ok(0)
    }
}

impl Filter {
    /// The path and query of one page.
    fn path(&self, cursor: Option<&str>) -> String {
        let mut path = format!("/v1/requests?limit={}", self.limit);
        let time = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
        let filters = [
            ("provider", self.provider.clone()),
            ("subscription", self.subscription.clone()),
            ("state", self.state.map(|state| state.name().to_owned())),
            ("command", self.command.map(|command| command.name().to_owned())),
            ("source", self.source.clone()),
            ("reference", self.reference.clone()),
            ("from", time(self.from)),
            ("to", time(self.to)),
            ("cursor", cursor.map(str::to_owned)),
        ];
        for (name, value) in filters {
            if let Some(value) = value {
                // Writing to a String can not fail.
                let _ = write!(path, "&{name}={}", encoded(&value));
            }
        }
        path
    }
}

/// The members of a request, in the order in which people ask for them.
const ORDER: [&str; 22] = [
    "number",
    "id",
    "state",
    "crm_state",
    "provider",
    "command",
    "subscription",
    "reference",
    "arguments",
    "failure",
    "answer",
    "platform_reference",
    "priority",
    "process",
    "source",
    "not_before",
    "expires",
    "created",
    "sent",
    "retry_at",
    "finished",
    "attempts",
];

/// A JSON object, one member a line, objects within it further in.
pub(super) fn describe(value: &Value, depth: usize) -> String {
    let mut members: Vec<_> = value.as_object().into_iter().flatten().collect();
    members.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
    let mut out = String::new();
    for (name, member) in members {
        let indent = "  ".repeat(depth);
        // Writing to a String can not fail.
        let _ = match member {
            Value::Object(_) => write!(out, "{indent}{name}\n{}", describe(member, depth + 1)),
            Value::String(text) => writeln!(out, "{indent}{name:20} {}", text.escape_debug()),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                writeln!(out, "{indent}{name:20} {}", items.join(" ").escape_debug())
            }
            other => writeln!(out, "{indent}{name:20} {other}"),
        };
    }
    out
}
