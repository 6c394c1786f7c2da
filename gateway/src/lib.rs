//! The gateway: drives the sans-IO engines of `headgate-core` over real sockets, files and a durable
//! store, and gives them an API and a command line.
//!
//! [`gateway::Gateway`] is the whole, started from a [`config::Config`]. Around it: [`api`] (HTTP and
//! NDJSON in), [`drive`] (effects carried out), [`store`] (what is acknowledged is durable),
//! [`subscriptions`] (what a CRM wants, kept in step with the platforms),
//! [`simulate`] (platforms to speak with), [`telemetry`] (logs, metrics), [`cli`] (the program).

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod drive;
pub mod gateway;
mod listen;
mod pull;
mod runner;
pub mod simulate;
pub mod store;
pub mod subscriptions;
pub mod telemetry;
