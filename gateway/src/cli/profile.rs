//! `headgate profile`: the wire layouts that are data.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::{output, settings};

/// Show the wire profile that a protocol ships with.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: change a layout that differs at your site.
  headgate profile show PROTOCOL > profile.toml
  # edit it, put it into the configuration under [provider.settings.profile], then
  headgate config check headgate.toml
  headgate encode PROTOCOL --settings settings.toml '{\"command\":\"test_connection\"}'")]
pub(super) struct Profile {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the shipped profile as TOML.
    Show {
        /// The protocol; `headgate providers --protocols` lists them.
        protocol: String,
    },
}

impl Profile {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let Action::Show { protocol } = self.action;
        let protocol = settings::protocol(&protocol)?;
        if protocol.profile.is_empty() {
            output::note(format_args!("The wire form of {} is fixed: there is no profile to change.", protocol.name));
        } else {
            if !protocol.unconfirmed.is_empty() {
                output::note(format_args!("Not confirmed by a public source: {}", protocol.unconfirmed));
            }
            output::text(protocol.profile);
        }
        Ok(0)
    }
}
