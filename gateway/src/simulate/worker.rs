//! A platform's side that calls the gateway: a worker that fetches what is to be done.

use headgate_codecs::registry::Transport;
use headgate_core::platform::Platform;

use super::Simulation;
use crate::drive::{Connection, ConnectionError, Drivers};

/// Lets `platform` call the gateway; `connection` says where its provider's calls are, as in
/// `url = "http://127.0.0.1:8480/v1/providers/NAME"`.
///
/// # Errors
/// [`ConnectionError`] if the connection can not be.
pub fn start(platform: Box<dyn Platform>, connection: &Connection) -> Result<Simulation, ConnectionError> {
    Simulation::try_start(platform, |messages| Drivers::new(Transport::Http, connection, messages))
}
