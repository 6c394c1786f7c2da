//! The gateway: drives the sans-IO engines of `headgate-core` over real sockets, files and a durable
//! store, and gives them an API and a command line.
//!
//! [`gateway::Gateway`] is the whole, started from a [`config::Config`]. Around it: [`api`] (HTTP and
//! NDJSON in), [`drive`] (effects carried out), [`simulate`] (platforms to talk to), [`store`] (what is
//! acknowledged is durable), [`telemetry`] (logs, metrics), [`clock`], [`cli`] (the program).

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod drive;
pub mod gateway;
pub mod simulate;
pub mod store;
pub mod telemetry;
