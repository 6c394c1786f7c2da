//! What an operator can set for a provider of this protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_core::text::Secret;
use serde::Deserialize;
use serde_json::Value;

use super::signature::{Identity, PathDigest};
use crate::http::CallSettings;
use crate::registry::{SettingsError, read_settings};
use crate::template::protocol::Configured;
use crate::template::{Context, ProfileTable};

/// The settings of one provider: its `settings` table.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The version of the API, as in `4.8`: letters, digits and dots, up to 16. Default `4.8`.
    pub version: String,
    /// Our client id on the provider face: digits, up to 20. Default `0`.
    pub client_id: String,
    /// The secret issued with it. Default: empty.
    pub secret: Secret,
    /// The client face's own id and secret, where it has them; its address is `connection`'s end point `client`. Default:
    /// those of the provider face.
    pub client: Option<ClientSettings>,
    /// Texts that the profile's placeholders name as `vars.NAME`, before the profile's own. Default: none.
    pub vars: BTreeMap<String, String>,
    /// For how many months services without an end are switched on, 1 to 1,200. Default: they have no end.
    #[schemars(range(min = 1, max = 1_200))]
    pub default_period_months: Option<u32>,
    /// How calls are made.
    pub calls: CallSettings,
    /// The operations, in place of the shipped ones: the vendor's own are not public.
    pub profile: Option<ProfileTable>,
}

/// How the client face knows us.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// Our client id there: digits, up to 20.
    pub client_id: String,
    /// The secret issued with it.
    pub secret: Secret,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: "4.8".to_owned(),
            client_id: "0".to_owned(),
            secret: Secret::new(""),
            client: None,
            vars: BTreeMap::new(),
            default_period_months: None,
            calls: CallSettings::default(),
            profile: None,
        }
    }
}

/// Reads and checks a provider's `settings` table; the profile is checked when it is used.
///
/// # Errors
/// [`SettingsError`] with the path of the first mistake.
pub fn read(settings: &Value) -> Result<Configured, SettingsError> {
    let settings: Settings = read_settings(settings)?;
    settings.calls.check()?;
    let version = &settings.version;
    let plain = version.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.') && version != "." && version != "..";
    if version.is_empty() || version.len() > 16 || !plain {
        return Err(SettingsError::new("version", "must be 1 to 16 letters, digits and dots, as in \"4.8\""));
    }
    check_client_id("client_id", &settings.client_id)?;
    let provider = Identity { client_id: settings.client_id, secret: settings.secret };
    let client = match settings.client {
        None => provider.clone(),
        Some(ClientSettings { client_id, secret }) => {
            check_client_id("client.client_id", &client_id)?;
            Identity { client_id, secret }
        }
    };
    Ok(Configured {
        profile: settings.profile,
        context: Context::of(&settings.vars, settings.default_period_months)?,
        signer: Arc::new(PathDigest { version: settings.version, provider, client }),
        calls: settings.calls,
        local: None,
    })
}

fn check_client_id(path: &str, id: &str) -> Result<(), SettingsError> {
    if id.is_empty() || id.len() > 20 || !id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SettingsError::new(path, "must be 1 to 20 digits"));
    }
    Ok(())
}
