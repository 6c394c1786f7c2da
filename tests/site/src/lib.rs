//! A site for tests: both kinds of platform, simulated behind a real socket and on a real directory, a gateway for
//! them, and a client of its API.

pub mod certificates;
pub mod client;
pub mod databases;
pub mod program;
pub mod running;
pub mod server;
pub mod site;
pub mod vsftpd;
pub mod web;

pub use client::{Client, Reply};
pub use program::Program;
pub use site::{Platforms, Site};
