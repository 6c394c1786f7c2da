//! Makes API keys. Only a key's hash is kept; the key is shown once, to the one who asked for it.

use std::fmt::Write;

use headgate_core::text::to_hex;
use sha2::{Digest, Sha256};

use super::Role;

/// A new key and the stanza that lets it in.
pub struct NewKey {
    /// The key itself, as it goes into the `Authorization: Bearer` header.
    pub key: String,
    /// The TOML for the configuration file.
    pub stanza: String,
}

/// Makes a key of 256 bits from the operating system's randomness.
///
/// # Errors
/// The system gave no randomness.
pub fn make(name: &str, role: Role) -> Result<NewKey, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    // The prefix lets secret scanners and people recognise a key that leaked.
    let key = format!("hg_{}", to_hex(&bytes));
    let mut stanza = String::from("[[key]]\n");
    // Writing to a String can not fail.
    let _ = writeln!(stanza, "name = {}", toml::Value::from(name));
    let _ = writeln!(stanza, "role = {}", toml::Value::from(role.name()));
    let _ = writeln!(stanza, "sha256 = \"{}\"", hash(&key));
    Ok(NewKey { key, stanza })
}

/// What is kept of a key: its SHA-256 in lower-case hexadecimal digits.
#[must_use]
pub fn hash(key: &str) -> String {
    to_hex(&Sha256::digest(key))
}
