//! `headgate subscriptions`: list them, look at one, put, act, reset, ask the platforms, forget.

use std::fmt::Write;
use std::io::Read;

use clap::{Args, Subcommand};
use headgate_core::subscription::SubscriptionState;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Client, Target, encoded};
use super::failure::Failure;
use super::output::{self, Listing};
use super::providers::text;
use super::requests::describe;

/// See what is wanted of the platforms and what they hold; change it, bring it in step.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate subscriptions --out-of-sync true            those that need a reset
  headgate subscriptions show S-1                      what is wanted, and what each platform is believed to hold
  headgate subscriptions put S-1 '{\"provider\":\"alpha\",\"services\":[\"BASIC\"],\"smartcard\":\"0145\"}'
  headgate subscriptions act S-1 '{\"action\":\"rest_subscription\"}'
  headgate subscriptions reset S-1                     send what is missing
  headgate subscriptions platform S-1                  ask the platforms; exit status 1 if they differ")]
pub(super) struct Subscriptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    filter: Filter,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    /// How long to wait for the requests that a change makes, or for the platforms' answers, in seconds, at most 300.
    #[arg(long, global = true, default_value = "30", value_name = "SECONDS")]
    wait: u16,
    #[command(subcommand)]
    action: Option<Action>,
}

/// Which subscriptions to list.
#[derive(Debug, Args)]
struct Filter {
    /// With something at this provider.
    #[arg(long)]
    provider: Option<String>,
    /// In this state, as in effective or in_resting.
    #[arg(long, value_parser = state)]
    state: Option<SubscriptionState>,
    /// Of this type of the CRM.
    #[arg(long)]
    kind: Option<String>,
    /// Out of step (true), or in step (false).
    #[arg(long, value_name = "BOOL")]
    out_of_sync: Option<bool>,
    /// At most so many, 1 to 1000; with --all, so many at a time.
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// List all, not only the first.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them, by number. The default.
    List,
    /// Show one beside what its platforms are believed to hold.
    Show {
        /// Its number.
        number: String,
    },
    /// Say what it should be from now on, as a whole.
    Put {
        /// Its number.
        number: String,
        /// The subscription as JSON; - reads it from standard input.
        body: String,
    },
    /// Tell what was done to it.
    Act {
        /// Its number.
        number: String,
        /// The action as JSON; - reads it from standard input.
        action: String,
    },
    /// Bring every platform in step.
    Reset {
        /// Its number.
        number: String,
    },
    /// Ask the platforms what they hold.
    Platform {
        /// Its number.
        number: String,
    },
    /// Forget one that no platform holds anything of.
    Forget {
        /// Its number.
        number: String,
    },
}

fn state(name: &str) -> Result<SubscriptionState, String> {
    serde_json::from_value(Value::from(name)).map_err(|_| "it is none; docs/subscriptions.md lists them".to_owned())
}

impl Subscriptions {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let mut client = self.target.connect().await?;
        match &self.action {
            None | Some(Action::List) => self.list(&mut client).await,
            Some(Action::Show { number }) => {
                let shown = client.get(&path(number, "")).await?;
                if self.json {
                    output::json(&shown);
                } else {
                    output::text(describe(&shown, 0));
                }
                Ok(0)
            }
            Some(Action::Put { number, body }) => {
                self.change(&mut client, Method::PUT, path(number, ""), Some(read(body)?)).await
            }
            Some(Action::Act { number, action }) => {
                self.change(&mut client, Method::POST, path(number, "/actions"), Some(read(action)?)).await
            }
            Some(Action::Reset { number }) => {
                self.change(&mut client, Method::POST, path(number, "/reset"), None).await
            }
            Some(Action::Platform { number }) => self.platform(&mut client, number).await,
            Some(Action::Forget { number }) => {
                client.call(Method::DELETE, &path(number, ""), None).await?;
                output::note("It is forgotten.");
                Ok(0)
            }
        }
    }

    /// Exit status 1: a request did not complete, or could not be made.
    async fn change(
        &self,
        client: &mut Client,
        method: Method,
        path: String,
        body: Option<Value>,
    ) -> Result<u8, Failure> {
        let changed = client.wait(self.wait).call(method, &path, body.as_ref()).await?;
        let items = |name: &str| changed.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let completed = items("requests").iter().all(|request| text(request, "state") == "completed");
        let status = u8::from(!completed || !items("not_made").is_empty());
        if self.json {
            output::json(&changed);
            return Ok(status);
        }
        let mut listing = Listing::new(&["number", "id", "provider", "command", "state"]);
        for request in items("requests") {
            listing.row(["number", "id", "provider", "command", "state"].map(|field| text(&request, field)));
        }
        listing.print("Nothing was to be sent.");
        for not_made in items("not_made") {
            let problem = not_made.get("problem").unwrap_or(&Value::Null);
            let (command, provider) = (text(&not_made, "command"), text(&not_made, "provider"));
            output::note(format_args!("{command} was not made at {provider}: {}", text(problem, "detail")));
        }
        for provider in items("awaits_run") {
            let provider = provider.as_str().unwrap_or_default();
            output::note(format_args!("{provider} works in batches: its requests wait for a run, or for a reset."));
        }
        for (name, what) in [("left", "no command brings in step"), ("unmapped", "has no name for")] {
            for (provider, items) in changed.get(name).and_then(Value::as_object).into_iter().flatten() {
                output::note(format_args!("{provider} {what}: {items}"));
            }
        }
        Ok(status)
    }

    async fn platform(&self, client: &mut Client, number: &str) -> Result<u8, Failure> {
        let told = client.wait(self.wait).call(Method::GET, &path(number, "/platform"), None).await?;
        let platforms = told.get("platforms").and_then(Value::as_object).cloned().unwrap_or_default();
        let some =
            |told: &Value, name: &str| told.get(name).and_then(Value::as_array).is_some_and(|all| !all.is_empty());
        let differs = platforms.values().any(|told| some(told, "differences") || some(told, "unanswered"));
        if self.json {
            output::json(&told);
        } else {
            output::text(describe(&Value::Object(platforms), 0));
        }
        Ok(u8::from(differs))
    }

    async fn list(&self, client: &mut Client) -> Result<u8, Failure> {
        let mut subscriptions = Vec::new();
        let mut cursor = None;
        loop {
            let mut page = client.get(&self.filter.path(cursor.as_deref())).await?;
            if let Some(Value::Array(found)) = page.get_mut("subscriptions").map(Value::take) {
                subscriptions.extend(found);
            }
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if !self.filter.all || cursor.is_none() {
                break;
            }
        }
        if self.json {
            output::json(&json!({ "subscriptions": subscriptions, "next": cursor }));
            return Ok(0);
        }
        let mut listing = Listing::new(&["number", "state", "kind", "created", "providers", "out of step"]);
        for subscription in &subscriptions {
            let field = |name: &str| text(subscription, name);
            let providers = subscription.get("providers").and_then(Value::as_array).into_iter().flatten();
            let providers: Vec<_> = providers.filter_map(Value::as_str).collect();
            let marks = subscription.get("out_of_sync").and_then(Value::as_object).into_iter().flatten();
            let marks: Vec<_> = marks.map(|(name, mark)| format!("{name}: {}", text(mark, "reason"))).collect();
            listing.row([
                field("number"),
                field("state"),
                field("kind"),
                field("created"),
                providers.join(" "),
                marks.join(" "),
            ]);
        }
        listing.print("There is no such subscription.");
        if cursor.is_some() {
            output::note("There are more: --all lists them all, --limit more of them.");
        }
        Ok(0)
    }
}

impl Filter {
    /// The path and query of one page.
    fn path(&self, cursor: Option<&str>) -> String {
        let mut path = format!("/v1/subscriptions?limit={}", self.limit);
        let filters = [
            ("provider", self.provider.clone()),
            ("state", self.state.map(|state| state.name().to_owned())),
            ("kind", self.kind.clone()),
            ("out_of_sync", self.out_of_sync.map(|out| out.to_string())),
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

fn path(number: &str, below: &str) -> String {
    format!("/v1/subscriptions/{}{below}", encoded(number))
}

/// JSON from the command line, or from standard input.
fn read(argument: &str) -> Result<Value, Failure> {
    let mut text = argument.to_owned();
    if argument == "-" {
        text.clear();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|error| Failure::new(format!("standard input can not be read: {error}")))?;
    }
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(format!("this is not JSON: column {} of line {}", error.column(), error.line()))
            .help("put it into single quotes, or give - and send it to standard input")
    })
}
