//! Checks how a provider is reached: the one place where the configuration meets the drivers' settings.

use headgate_codecs::registry::{Protocol, Transport};

use super::problem::Problem;
use crate::drive::Connection;

/// What is wrong with the connection at `path` for `protocol`.
pub(super) fn check(path: &str, protocol: &Protocol, connection: &Connection) -> Option<Problem> {
    let error = connection.validate(protocol.transport).err()?;
    let place = if error.path.is_empty() { path.to_owned() } else { format!("{path}.{}", error.path) };
    Some(Problem::error(place, error.text, ""))
}

/// A provider's connection, as TOML to start from.
pub(super) const fn example(transport: Transport) -> &'static str {
    match transport {
        Transport::Stream => concat!(
            "# The platform's host and port; a list is tried in its order.\n",
            "[provider.connection]\n",
            "address = \"127.0.0.1:9001\"\n",
        ),
        Transport::Http => concat!(
            "# Where the platform's web service is; a list is tried in its order. https: needs a table `tls`.\n",
            "[provider.connection]\n",
            "# basic = { user = \"headgate\", password = \"file:cas-password\" }\n",
            "# connections = 64\n",
            "# call_timeout = \"30s\"\n",
            "url = \"http://127.0.0.1:9001\"\n",
        ),
        // Its workers call the gateway.
        Transport::Served => "",
        Transport::Table => concat!(
            "# The platform's database; kind: postgres, mariadb, or sqlite with a file.\n",
            "[provider.connection.database]\n",
            "kind = \"postgres\"\n",
            "host = \"127.0.0.1\"\n",
            "user = \"headgate\"\n",
            "password = \"secret\"\n",
            "name = \"sms\"\n",
        ),
        Transport::Files => concat!(
            "# The platform's home directory, where it is mounted on this machine.\n",
            "[provider.connection]\n",
            "directory = \".\"\n",
        ),
    }
}
