//! What an operator can set for a provider of this protocol.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::body::Refusal;
use headgate_core::capabilities::CommandRules;
use headgate_core::command::{Command, CommandKind};
use headgate_core::outcome::{Answer, Authenticated};
use headgate_core::request::Request;
use headgate_core::text::{AccountNumber, PersonalText, Secret};
use serde::Deserialize;
use serde_json::Value;

use super::token::Issuer;
use crate::http::CallSettings;
use crate::registry::{SettingsError, read_settings};
use crate::template::protocol::Configured;
use crate::template::speech::Local;
use crate::template::{Context, ProfileTable};

/// The settings of one provider: its `settings` table.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The token that `authenticate` gives, and that calls in a subscriber's name carry. The algorithm (HS256), the key and
    /// the life are to be agreed with the platform's operator.
    pub token: TokenSettings,
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

/// How subscribers' tokens are made.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSettings {
    /// The key, 16 characters or more. Default: none, and `authenticate` and calls in a subscriber's name are not supported.
    pub key: Option<Secret>,
    /// How long a token is good, 1 s to 365 days. Default 1 h.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub life: Duration,
    /// What stands under `apip`. Its meaning is not published. Default: empty.
    pub apip: String,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self { key: None, life: Duration::from_hours(1), apip: String::new() }
    }
}

/// Reads and checks a provider's `settings` table; the profile is checked when it is used.
///
/// # Errors
/// [`SettingsError`] with the path of the first mistake.
pub fn read(settings: &Value) -> Result<Configured, SettingsError> {
    let Settings { token, vars, default_period_months, calls, profile } = read_settings(settings)?;
    calls.check()?;
    if token.key.as_ref().is_some_and(|key| key.reveal().len() < 16) {
        return Err(SettingsError::new("token.key", "must have 16 characters or more"));
    }
    if !(Duration::from_secs(1)..=Duration::from_hours(24 * 365)).contains(&token.life) {
        return Err(SettingsError::new("token.life", "must be 1 s to 365 days"));
    }
    let life = i64::try_from(token.life.as_secs()).unwrap_or(i64::MAX);
    let issuer = Arc::new(Issuer { key: token.key, life, apip: token.apip });
    let issues = issuer.key.is_some();
    let rules = CommandRules::new().confirmed();
    let local = issues.then(|| (CommandKind::Authenticate, rules, authenticate(Arc::clone(&issuer))));
    let context = Context::of(&vars, default_period_months)?;
    Ok(Configured { profile, context, signer: issuer, calls, local })
}

/// Makes a token: the CRM vouches for the subscriber, so there is no call, and a password is not taken.
fn authenticate(issuer: Arc<Issuer>) -> Local {
    Box::new(move |now, request: &Request| {
        let Command::Authenticate(credentials) = &request.command else {
            return Err(Refusal::new("command", "unsupported_command", "is not answered here"));
        };
        if credentials.password.is_some() {
            let detail = "tokens are issued on the CRM's word; there is nobody who could check a password";
            return Err(Refusal::new("password", "superfluous_field", detail));
        }
        let login = credentials.login.as_ref().map(PersonalText::as_str);
        let user = login.or_else(|| request.account_number());
        let user =
            user.ok_or_else(|| Refusal::new("subscription", "missing_field", "name the subscription, or its account"))?;
        let token = issuer.issue(user, now);
        Ok(Answer::Authenticated(Authenticated { account: AccountNumber::new(user).ok(), token }))
    })
}
