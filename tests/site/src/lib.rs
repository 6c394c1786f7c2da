//! A site for tests: both kinds of platform, simulated behind a real socket and on a real directory, a gateway for
//! them, and a client of its API.

pub mod client;
pub mod site;

pub use client::{Client, Reply};
pub use site::{Platforms, Site};
