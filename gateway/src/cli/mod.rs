//! The program: one file for each subcommand.
//!
//! A subcommand is a struct of arguments with a `run` that returns an exit status or a `failure::Failure`. What
//! it says goes through `output`; what it asks a running gateway goes through `client`.

mod capture;
mod client;
mod config;
mod decode;
mod demo;
mod encode;
mod failure;
mod hex;
mod http_messages;
mod late;
mod load;
mod output;
mod profile;
mod providers;
mod requests;
mod send;
mod serve;
mod settings;
mod simulate;
mod subscriptions;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::telemetry::logs;
use failure::Failure;

/// Provisioning gateway for pay-TV and OTT operators: one API in front of every platform.
#[derive(Debug, Parser)]
#[command(name = "headgate", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    /// What to log: a level (error, warn, info, debug, trace), or levels by module.
    /// [default: info; error for demo]
    #[arg(long, global = true, env = "HEADGATE_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How log lines look.
    #[arg(long, global = true, env = "HEADGATE_LOG_FORMAT", default_value = "auto", value_name = "FORMAT")]
    log_format: logs::Format,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Start here:
  headgate demo                                  a gateway and simulated platforms, to play with
  headgate config example > headgate.toml        a configuration to start from
  headgate config check headgate.toml            what is wrong with it, line by line
  headgate serve --config headgate.toml          the gateway itself
  headgate send requests.ndjson                  send requests to it
  headgate requests --state unknown              see what needs a decision";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Simulate(simulate::Simulate),
    Send(send::Send),
    Requests(requests::Requests),
    Subscriptions(subscriptions::Subscriptions),
    Providers(providers::Providers),
    Decode(decode::Decode),
    Encode(encode::Encode),
    Load(load::Load),
    Config(config::Config),
    Profile(profile::Profile),
}

/// Runs the program with the process's own arguments.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let usual = if matches!(cli.command, Command::Demo(_)) { "error" } else { "info" };
    let logs = logs::start(cli.log.as_deref().unwrap_or(usual), cli.log_format);
    let result = logs.map_err(|error| Failure::new(error.to_string())).and_then(|()| match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Demo(demo) => on_all_cores(demo.run()),
        Command::Simulate(simulate) => on_all_cores(simulate.run()),
        Command::Send(send) => block_on(send.run()),
        Command::Requests(requests) => block_on(requests.run()),
        Command::Subscriptions(subscriptions) => block_on(subscriptions.run()),
        Command::Providers(providers) => block_on(providers.run()),
        Command::Decode(decode) => decode.run(),
        Command::Encode(encode) => encode.run(),
        Command::Load(load) => load.run(),
        Command::Config(config) => config.run(),
        Command::Profile(profile) => profile.run(),
    });
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            output::failure(&failure);
            ExitCode::from(failure.status())
        }
    }
}

/// Runs a client on this thread.
fn block_on(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("the runtime can not start: {error}")))?.block_on(work)
}

/// Runs a server on all cores.
fn on_all_cores(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("the runtime can not start: {error}")))?;
    let status = runtime.block_on(work);
    // A file call that hangs must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    status
}

/// Waits for Ctrl-C or SIGTERM.
async fn told_to_stop() -> Result<(), Failure> {
    let wrong = |error| Failure::new(format!("no signals can be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(wrong)?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed.map_err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_teaches_by_example() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            assert!(command.get_about().is_some(), "{} does not say what it does", command.get_name());
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.contains("headgate "), "{} has no example", command.get_name());
        }
    }
}
