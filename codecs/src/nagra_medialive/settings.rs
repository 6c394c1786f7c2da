//! What an operator can set in a provider's `settings` table.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::CallSettings;
use crate::http::oauth::TokenSettings;
use crate::registry::{SettingsError, read_settings};

use super::password::PasswordHash;
use super::sdp::settings::SdpSettings;

/// Settings of a provider that speaks `nagra-medialive`. For `opentv3` `tenant` and what is under `token` must be set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which generation of the platform it is. Default `opentv3`.
    pub generation: Generation,
    /// The value of `nv-tenant-id` \[S11\]. Must be set for `opentv3`.
    pub tenant: String,
    /// Where tokens are asked for. Default `/keycloak/auth/realms/nagra/protocol/openid-connect/token` \[S10\].
    pub token_path: String,
    /// As whom tokens are asked for. The user needs the role `operatorRole` \[S10\].
    pub token: TokenSettings,
    /// Where subscribers sign in, for `authenticate`. Unconfirmed. Default: `token_path`.
    pub subscriber_token_path: Option<String>,
    /// As which client they do. Unconfirmed. Default: `token.client_id`.
    pub subscriber_client_id: Option<String>,
    /// Which calls make and change accounts. Default `plain`.
    pub accounts: AccountForm,
    /// Members that every new account gets, by the platform's names. With `pre_hashed`, `accountProfileId` and
    /// `npvrProfileName` must be among them \[S11\]. Default: none.
    pub account_defaults: BTreeMap<String, Value>,
    /// How passwords are hashed, for `pre_hashed`.
    pub password_hash: PasswordHash,
    /// Whether `remove_subscriber` cancels the account, which can never be undone \[S12\]. Default false.
    pub allow_cancel: bool,
    /// Whether `remove_subscriber` suspends the account instead. Default false.
    pub remove_suspends: bool,
    /// The name of the connection's end point that gets every change of an account a second time: the Security
    /// Services Platform \[S11\]. Default: none.
    pub twin_endpoint: Option<String>,
    /// Devices.
    pub devices: DeviceSettings,
    /// Entitlements.
    pub entitlements: EntitlementSettings,
    /// The older generation, for `sdp`.
    pub sdp: SdpSettings,
    /// How calls are made.
    pub calls: CallSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            generation: Generation::default(),
            tenant: String::new(),
            token_path: "/keycloak/auth/realms/nagra/protocol/openid-connect/token".into(),
            token: TokenSettings::default(),
            subscriber_token_path: None,
            subscriber_client_id: None,
            accounts: AccountForm::default(),
            account_defaults: BTreeMap::new(),
            password_hash: PasswordHash::default(),
            allow_cancel: false,
            remove_suspends: false,
            twin_endpoint: None,
            devices: DeviceSettings::default(),
            entitlements: EntitlementSettings::default(),
            sdp: SdpSettings::default(),
            calls: CallSettings::default(),
        }
    }
}

/// A generation of the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// OpenTV Platform 3.x: REST.
    #[default]
    OpenTv3,
    /// 2.x, the Service Delivery Platform: SOAP.
    Sdp,
}

/// Which calls make and change accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountForm {
    /// `/adm/v1/accounts`, which keeps no password \[S12\].
    #[default]
    Plain,
    /// `/adm/v1/accounts/preHashedPassword` \[S11, S14, S15\].
    PreHashed,
}

/// Devices of `opentv3`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceSettings {
    /// What new devices are. Default `MANAGED`.
    pub kind: DeviceKind,
    /// Whether a box's number is also sent as `caSN`, which boxes with the CONNECT client need \[S12\]. Default true.
    pub ca_sn: bool,
    /// Whether `GET`, `PUT` and `DELETE` of `/adm/v1/devices/{id}` are used: no source shows them. Without them
    /// `remove_device`, `enable_device`, `disable_device` and `get_device` are not supported. Default true.
    pub by_id: bool,
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self { kind: DeviceKind::default(), ca_sn: true, by_id: true }
    }
}

/// `deviceType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeviceKind {
    /// A device of the operator.
    #[default]
    Managed,
    /// A device of the subscriber.
    Open,
}

/// Entitlements of `opentv3`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EntitlementSettings {
    /// When a use's window starts. Default `ABSOLUTE`.
    pub validity: Validity,
    /// How long a service lasts whose end is not given, in months of the calendar, 1 to 1200. Default 12.
    #[schemars(range(min = 1, max = 1_200))]
    pub default_period_months: u32,
    /// Whether a service that is switched on again gets its new period in the same call. No source shows the period
    /// there; without it, services are never extended. Default true.
    pub put_period: bool,
    /// The query member that limits a list to one account. Unconfirmed: Headgate also sorts out what is of other
    /// accounts. Empty: none. Default `accountId`.
    pub list_filter: String,
    /// How many entitlements one page of a list has, 1 to 1000. Default 100 \[S13\].
    #[schemars(range(min = 1, max = 1_000))]
    pub page_size: u64,
    /// Most pages that are read of one list, 1 to 100000. Default 100.
    #[schemars(range(min = 1, max = 100_000))]
    pub most_pages: u64,
}

impl Default for EntitlementSettings {
    fn default() -> Self {
        Self {
            validity: Validity::default(),
            default_period_months: 12,
            put_period: true,
            list_filter: "accountId".into(),
            page_size: 100,
            most_pages: 100,
        }
    }
}

/// `validityType` \[S27\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Validity {
    /// Rental and consumption both start at the purchase.
    #[default]
    Absolute,
    /// The rental starts at the first viewing.
    Relative,
}

impl Settings {
    /// Reads a provider's `settings` table.
    ///
    /// # Errors
    /// [`SettingsError`] with the path of the first mistake.
    pub fn read(settings: &Value) -> Result<Self, SettingsError> {
        let settings: Self = read_settings(settings)?;
        settings.check()?;
        Ok(settings)
    }

    /// Checks what only the gateway's side needs: how it identifies itself.
    ///
    /// # Errors
    /// [`SettingsError`] with the name of what is missing.
    pub fn check_credentials(&self) -> Result<(), SettingsError> {
        if self.generation == Generation::Sdp {
            return Ok(());
        }
        if self.tenant.is_empty() {
            return Err(SettingsError::new("tenant", "must be set: the tenant that the platform's operator gave you"));
        }
        self.token.check()
    }

    fn check(&self) -> Result<(), SettingsError> {
        let wrong = |path: &str, text: &str| Err(SettingsError::new(path, text));
        if !self.tenant.bytes().all(|b| b.is_ascii_graphic()) {
            return wrong("tenant", "must be visible ASCII: it goes into a header field");
        }
        for (path, value) in
            [("token_path", Some(&self.token_path)), ("subscriber_token_path", self.subscriber_token_path.as_ref())]
        {
            if value.is_some_and(|value| !is_path(value)) {
                return wrong(path, "must begin with / and be percent-encoded");
            }
        }
        if self.accounts == AccountForm::PreHashed {
            for name in ["accountProfileId", "npvrProfileName"] {
                if !self.account_defaults.contains_key(name) {
                    return wrong(
                        "account_defaults",
                        &format!("must have {name}, which every account of this form needs"),
                    );
                }
            }
        }
        if let Some(name) = self.account_defaults.keys().find(|name| OWN_MEMBERS.contains(&name.as_str())) {
            return wrong("account_defaults", &format!("must not have {name}: it is written for each account"));
        }
        self.password_hash.check()?;
        if self.allow_cancel && self.remove_suspends {
            return wrong("remove_suspends", "contradicts allow_cancel: remove_subscriber does one of them");
        }
        if self.twin_endpoint.as_ref().is_some_and(|name| !is_name(name)) {
            return wrong(
                "twin_endpoint",
                "must be the name of one of the connection's end points, 1 to 64 letters, digits, - and _",
            );
        }
        let entitlements = &self.entitlements;
        if !(1..=1_200).contains(&entitlements.default_period_months) {
            return wrong("entitlements.default_period_months", "must be 1 to 1200");
        }
        if !(1..=1_000).contains(&entitlements.page_size) {
            return wrong("entitlements.page_size", "must be 1 to 1000");
        }
        if !(1..=100_000).contains(&entitlements.most_pages) {
            return wrong("entitlements.most_pages", "must be 1 to 100000");
        }
        self.sdp.check()?;
        self.calls.check()
    }

    /// The end points that changes of accounts go to, in order.
    #[must_use]
    pub fn account_places(&self) -> Vec<String> {
        std::iter::once(String::new()).chain(self.twin_endpoint.clone()).collect()
    }
}

/// Members of an account that Headgate writes itself.
pub(super) const OWN_MEMBERS: [&str; 5] = ["_id", "password", "salt", "signonId", "status"];

/// Whether it can be a call's path.
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && !b"?#".contains(&b))
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}
