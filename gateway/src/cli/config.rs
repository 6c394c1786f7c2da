//! `headgate config`: checks, describes and starts a configuration.

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use headgate_codecs::registry::{self, Protocol};

use super::failure::Failure;
use super::{output, settings};
use crate::config::{self, Role, example, key, schema};

/// Check a configuration, or print one to start from.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate config example > headgate.toml        every protocol, commented
  headgate config check headgate.toml            every mistake, with line and column
  headgate config schema > headgate.schema.json  for editors: `#:schema ./headgate.schema.json` in the TOML
  headgate config key crm-east crm               a new API key and the lines that let it in")]
pub(super) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what is wrong with a configuration. Exit status 1 if the gateway would not start with it.
    Check {
        /// The file.
        #[arg(env = "HEADGATE_CONFIG", default_value = "headgate.toml")]
        file: PathBuf,
        /// Print the problems as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print a commented configuration that passes the check.
    Example {
        /// Only this protocol [default: all].
        protocol: Option<String>,
    },
    /// Make an API key. It is shown once; only its hash belongs into the configuration.
    Key {
        /// Who will hold it.
        name: String,
        /// What it may do: viewer, crm, operator, admin.
        #[arg(value_parser = role)]
        role: Role,
        /// Print the key and its hash as JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Config {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self.action {
            Action::Check { file, json } => Ok(check(&file, json)),
            Action::Schema => {
                output::line(serde_json::to_string_pretty(&schema::schema()).unwrap_or_default());
                Ok(0)
            }
            Action::Example { protocol } => {
                let protocols = match protocol {
                    Some(name) => vec![settings::protocol(&name)?],
                    None => registry::PROTOCOLS.iter().collect::<Vec<&Protocol>>(),
                };
                output::text(example::example(&protocols));
                Ok(0)
            }
            Action::Key { name, role, json } => new_key(&name, role, json),
        }
    }
}

fn check(file: &std::path::Path, json: bool) -> u8 {
    let (problems, verdict) = match config::load(file) {
        Ok(loaded) => {
            let providers = loaded.config.providers.len();
            let plural = if providers == 1 { "" } else { "s" };
            (loaded.warnings, format!("{} is good: {providers} provider{plural}", file.display()))
        }
        Err(problems) => (problems, String::new()),
    };
    if json {
        output::json(&problems.to_json());
    } else {
        output::text(problems.render(output::colour(&io::stdout())));
        if !verdict.is_empty() {
            output::line(verdict);
        }
    }
    u8::from(problems.has_errors())
}

fn new_key(name: &str, role: Role, json: bool) -> Result<u8, Failure> {
    let new = key::make(name, role).map_err(|error| Failure::new(format!("the system gave no randomness: {error}")))?;
    if json {
        output::json(&serde_json::json!({
            "name": name, "role": role, "key": new.key, "sha256": key::hash(&new.key), "toml": new.stanza,
        }));
    } else {
        output::note("The key, shown only now. Give it to its holder:\n");
        output::line(&new.key);
        output::note(
            "\nAdd these lines to the configuration, then reload it (systemctl reload headgate, or SIGHUP):\n",
        );
        output::text(&new.stanza);
    }
    Ok(0)
}

fn role(name: &str) -> Result<Role, String> {
    let known = || Role::ALL.map(Role::name).join(", ");
    Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| format!("there are {}", known()))
}
