//! `headgate demo`: a gateway and simulated platforms, to play with.

use clap::Args;

use super::failure::Failure;

/// Run a gateway with a simulated platform for every protocol, all on this machine, and show a few requests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headgate demo            keeps running: send it requests of your own
  headgate demo --once     shows the way of a few requests and ends")]
pub(super) struct Demo {
    /// End after the first requests, with exit status 0 if they completed.
    #[arg(long)]
    once: bool,
}

impl Demo {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let _ = self.once;
        Err(Failure::new("this build has no demonstration").help("use `headgate serve` and `headgate simulate`"))
    }
}
