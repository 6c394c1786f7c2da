//! What an operator can set in a provider's `settings` table.

use std::collections::BTreeMap;

use headgate_core::text::Serial;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::CallSettings;
use crate::http::oauth::TokenSettings;
use crate::registry::{SettingsError, read_settings};

/// Settings of a provider that speaks `nagravision-cag`. `cas_instance`, `tenant` and `operator` must be set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The CAS behind the gateway, as it stands in every path: `casInstanceName` \[S6\]. Must be set.
    pub cas_instance: String,
    /// The value of the header field `nv-tenant-id` \[S6\]. Must be set.
    pub tenant: String,
    /// The value of the header field `operator` \[S6\]. Must be set.
    pub operator: String,
    /// What devices are: `deviceType` \[S6\]. Default `card_based`.
    pub device_type: DeviceType,
    /// Which of a request's numbers is the platform's `deviceId`. Which one the platform wants is not published.
    /// Default `smartcard`.
    pub device_id: DeviceId,
    /// What goes along with every grant of services, by `fieldName`: `metadataSet` \[S6\]. Default: nothing.
    pub metadata: BTreeMap<String, String>,
    /// Whether `start` and `end` of a request are passed over. The platform keeps no period; without this, a request
    /// that has one is refused. Set it if the CRM switches services off by itself. Default false.
    pub ignore_period: bool,
    /// Whether a device's list of services may be replaced by an empty one, which no source shows. Without it,
    /// `deactivate_services` is not supported. Default true.
    pub replace_with_nothing: bool,
    /// For how many years `refresh_services` realigns the date code of a device that was not used for more than 255
    /// days \[S10\], 1 to 99. Default: none, which leaves `refresh_services` unsupported.
    #[schemars(range(min = 1, max = 99))]
    pub recovery_years: Option<u8>,
    /// The values of `responseCode` that mean success. A result whose text is `OK` is one too. Default `["1028"]`,
    /// the only one that a source shows \[S6\].
    pub success_codes: Vec<String>,
    /// As whom tokens are asked for. Default: none are, and the connection's own `bearer` or `basic` is used.
    pub token: Option<TokenSettings>,
    /// Which of the connection's end points gives tokens. Default: the main one.
    pub token_endpoint: String,
    /// The path there. Default `/keycloak/auth/realms/nagra/protocol/openid-connect/token` \[nagra-medialive S10\].
    pub token_path: String,
    /// How calls are made.
    pub calls: CallSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cas_instance: String::new(),
            tenant: String::new(),
            operator: String::new(),
            device_type: DeviceType::default(),
            device_id: DeviceId::default(),
            metadata: BTreeMap::new(),
            ignore_period: false,
            replace_with_nothing: true,
            recovery_years: None,
            success_codes: vec!["1028".into()],
            token: None,
            token_endpoint: String::new(),
            token_path: "/keycloak/auth/realms/nagra/protocol/openid-connect/token".into(),
            calls: CallSettings::default(),
        }
    }
}

/// Whether devices have cards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceType {
    /// `CardBased`: grants name the smartcard.
    #[default]
    CardBased,
    /// `CardLess`.
    CardLess,
}

/// Which of a request's numbers is the device's id. The set-top box's number is the chipset's in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceId {
    /// The smartcard's.
    #[default]
    Smartcard,
    /// The set-top box's.
    Stb,
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// The path of the first mistake, and what would be right.
    pub fn read(value: &Value) -> Result<Self, SettingsError> {
        let value = if value.is_null() { &Value::Object(serde_json::Map::new()) } else { value };
        let settings: Self = read_settings(value)?;
        let wrong = |path: &str, text: &str| Err(SettingsError::new(path, text));
        if !is_segment(&settings.cas_instance) {
            return wrong(
                "cas_instance",
                "must be set: the name of the CAS behind the gateway, and not \".\" or \"..\"",
            );
        }
        for (path, value) in [("tenant", &settings.tenant), ("operator", &settings.operator)] {
            if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
                return wrong(path, "must be set: what the platform's operator gave you, in visible ASCII");
            }
        }
        if settings.metadata.keys().any(String::is_empty) {
            return wrong("metadata", "must not have an empty name");
        }
        if !settings.recovery_years.is_none_or(|years| (1..=99).contains(&years)) {
            return wrong("recovery_years", "must be 1 to 99");
        }
        let path = settings.token_path.as_bytes();
        if !path.starts_with(b"/") || !path.iter().all(|b| b.is_ascii_graphic() && *b != b'#') {
            return wrong("token_path", "must begin with \"/\" and be percent-encoded");
        }
        settings.calls.check()?;
        Ok(settings)
    }

    /// Checks what only the gateway's side needs.
    ///
    /// # Errors
    /// The path of the first mistake, and what would be right.
    pub fn check_credentials(&self) -> Result<(), SettingsError> {
        self.token.as_ref().map_or(Ok(()), TokenSettings::check)
    }
}

/// Whether a text can be one segment of a path: `.` and `..` would lead elsewhere.
#[must_use]
pub fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && text.len() <= 4 * Serial::LIMIT && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mistakes_are_named_with_their_place() {
        let right = json!({ "cas_instance": "c", "tenant": "t", "operator": "o" });
        assert!(Settings::read(&right).is_ok_and(|settings| settings.check_credentials().is_ok()));
        for (name, value, words) in [
            ("cas_instance", json!(".."), "cas_instance: must be set"),
            ("tenant", json!(""), "tenant: must be set"),
            ("operator", json!("a\r\nb"), "operator: must be set"),
            ("metadata", json!({ "": "x" }), "metadata: must not"),
            ("recovery_years", json!(0), "recovery_years: must be 1 to 99"),
            ("token_path", json!("token"), "token_path: must begin"),
            ("device_type", json!("CardLess"), "device_type: unknown variant"),
            ("calls", json!({ "at_once": 0 }), "calls.at_once: must be"),
            ("tenat", json!("t"), "tenat: unknown field"),
        ] {
            let mut settings = right.clone();
            settings[name] = value;
            let error = Settings::read(&settings).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
        assert!(Settings::read(&Value::Null).unwrap_err().path == "cas_instance");
        let mut settings = right;
        settings["token"] = json!({ "username": "u" });
        let error = Settings::read(&settings).unwrap().check_credentials().unwrap_err();
        assert_eq!(error.path, "token.password");
    }
}
