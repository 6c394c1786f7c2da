//! What an operator can set for a provider of this protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_core::text::Secret;
use serde::Deserialize;
use serde_json::Value;

use super::signature::OrganisationKey;
use crate::http::CallSettings;
use crate::registry::{SettingsError, read_settings};
use crate::template::protocol::Configured;
use crate::template::{Context, ProfileTable};

/// The settings of one provider: its `settings` table.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// CRM.COM's *Organisation ID*: digits, up to 18; `vars.organization_id` in the profile. Default `0`.
    pub organization_id: String,
    /// The organisation's secret, CRM.COM's *Key*: signs every call. Default: empty.
    pub key: Secret,
    /// The e-mail address of an administrator, whose user token goes with calls that can have one. Default: none, and no
    /// login.
    pub user: Option<String>,
    /// The administrator's password. Default: empty.
    pub password: Secret,
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            organization_id: "0".to_owned(),
            key: Secret::new(""),
            user: None,
            password: Secret::new(""),
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
    let id = &settings.organization_id;
    if id.is_empty() || id.len() > 18 || !id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SettingsError::new("organization_id", "must be 1 to 18 digits"));
    }
    if settings.user.is_none() && !settings.password.reveal().is_empty() {
        return Err(SettingsError::new("password", "is of no use without a user"));
    }
    let mut context = Context::of(&settings.vars, settings.default_period_months)?;
    if context.vars.insert("organization_id".to_owned(), settings.organization_id).is_some() {
        return Err(SettingsError::new("vars.organization_id", "is the setting `organization_id`; set it there"));
    }
    Ok(Configured {
        profile: settings.profile,
        context: Context { user: settings.user, password: Some(settings.password), ..context },
        signer: Arc::new(OrganisationKey(settings.key)),
        calls: settings.calls,
        local: None,
    })
}
