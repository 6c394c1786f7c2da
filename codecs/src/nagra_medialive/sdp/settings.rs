//! What an operator can set of the older generation: above all what its documentation does not tell.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use headgate_core::request::RequestId;
use headgate_core::text::{Secret, to_hex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::nagra_medialive::settings::is_path;
use crate::registry::SettingsError;

/// The Service Delivery Platform. Everything but the shapes of the calls is unconfirmed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SdpSettings {
    /// Where the account service is. Default `/ws-gateway/ws/accountservice` \[S4\].
    pub account_service: String,
    /// Where the SMSDomain service is. Unconfirmed. Default `/ws-gateway/ws/smsdomain`.
    pub sms_service: String,
    /// The XML namespaces, none of which is published.
    pub namespaces: Namespaces,
    /// What names a set-top box within `deviceSpecification`. Default `uid` \[S7\].
    pub device_key: String,
    /// `originKey` of new smartcards, at most 20 characters. Default `HEADGATE`.
    pub origin_key: String,
    /// `originId` of new smartcards, 10000 to 2147483647: those below are reserved \[S24\]. Default 10000.
    #[schemars(range(min = 10_000, max = 2_147_483_647))]
    pub origin_id: u32,
    /// `casInstanceId` of new smartcards, at most 20 characters \[S24\]. Default `CAS1`.
    pub cas_instance_id: String,
    /// Elements that every new account gets, by the platform's names, as in `maxMPDeviceAllowed`. Default: none.
    pub account_defaults: BTreeMap<String, String>,
    /// How a subscriber's password is hashed: the source shows 64 hexadecimal digits and a salt. Default
    /// `sha256_then_salt`.
    pub password_hash: SdpHash,
    /// Where subscribers sign on. Default `/qsp/gateway/http/js/signonService/signonByUser`.
    pub signon_path: String,
    /// How they do: `GET` puts the password into the path, `POST` into a form. Default `GET`.
    pub signon_method: SignonMethod,
}

impl Default for SdpSettings {
    fn default() -> Self {
        Self {
            account_service: "/ws-gateway/ws/accountservice".into(),
            sms_service: "/ws-gateway/ws/smsdomain".into(),
            namespaces: Namespaces::default(),
            device_key: "uid".into(),
            origin_key: "HEADGATE".into(),
            origin_id: 10_000,
            cas_instance_id: "CAS1".into(),
            account_defaults: BTreeMap::new(),
            password_hash: SdpHash::default(),
            signon_path: "/qsp/gateway/http/js/signonService/signonByUser".into(),
            signon_method: SignonMethod::default(),
        }
    }
}

/// The XML namespaces of calls and answers. Those of a real platform stand in its WSDL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Namespaces {
    /// Of the account service's operations. Default `urn:unconfirmed:account-service`.
    pub account_service: String,
    /// Of the SMSDomain operations, `sms:`. Default `urn:unconfirmed:sms`.
    pub sms: String,
    /// Of accounts in answers, `acc:`. Default `urn:unconfirmed:acc`.
    pub acc: String,
    /// Of devices in answers, `dvc:`. Default `urn:unconfirmed:dvc`.
    pub dvc: String,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            account_service: "urn:unconfirmed:account-service".into(),
            sms: "urn:unconfirmed:sms".into(),
            acc: "urn:unconfirmed:acc".into(),
            dvc: "urn:unconfirmed:dvc".into(),
        }
    }
}

/// How a password is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SdpHash {
    /// SHA-256 of the password alone; no salt is sent.
    Sha256,
    /// SHA-256 of the password and the salt behind it.
    #[default]
    Sha256ThenSalt,
    /// SHA-256 of the salt and the password behind it.
    SaltThenSha256,
}

/// How subscribers sign on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SignonMethod {
    /// Arguments in the query.
    #[default]
    Get,
    /// Arguments in a form.
    Post,
}

impl SdpHash {
    /// The password of a request, hashed, and the salt: the request's id, in Base64.
    #[must_use]
    pub fn of_request(self, password: &Secret, request: RequestId) -> (Secret, Option<String>) {
        let salt = (self != Self::Sha256).then(|| BASE64_STANDARD.encode(request.0.as_bytes()));
        (self.hash(password.reveal(), salt.as_deref().unwrap_or_default()), salt)
    }

    /// The hash, in 64 hexadecimal digits.
    #[must_use]
    pub fn hash(self, password: &str, salt: &str) -> Secret {
        let [first, second] = match self {
            Self::Sha256 => [password, ""],
            Self::Sha256ThenSalt => [password, salt],
            Self::SaltThenSha256 => [salt, password],
        };
        Secret::new(to_hex(&Sha256::new().chain_update(first).chain_update(second).finalize()))
    }
}

impl SdpSettings {
    pub(in crate::nagra_medialive) fn check(&self) -> Result<(), SettingsError> {
        let wrong = |name: &str, text: &str| Err(SettingsError::new(format!("sdp.{name}"), text));
        for (name, path) in [
            ("account_service", &self.account_service),
            ("sms_service", &self.sms_service),
            ("signon_path", &self.signon_path),
        ] {
            if !is_path(path) {
                return wrong(name, "must begin with / and be percent-encoded");
            }
        }
        let Namespaces { account_service, sms, acc, dvc } = &self.namespaces;
        for (name, uri) in [("account_service", account_service), ("sms", sms), ("acc", acc), ("dvc", dvc)] {
            if uri.is_empty() || !uri.bytes().all(|b| b.is_ascii_graphic()) {
                return wrong(&format!("namespaces.{name}"), "must be a URI");
            }
        }
        if !is_xml_name(&self.device_key) {
            return wrong("device_key", "must be the name of an XML element");
        }
        for (name, text) in [("origin_key", &self.origin_key), ("cas_instance_id", &self.cas_instance_id)] {
            if !(1..=20).contains(&text.chars().count()) || text.chars().any(char::is_control) {
                return wrong(name, "must have 1 to 20 characters");
            }
        }
        if !(10_000..=2_147_483_647).contains(&self.origin_id) {
            return wrong("origin_id", "must be 10000 to 2147483647: the platform keeps those below for itself");
        }
        if let Some(name) = self.account_defaults.keys().find(|name| !is_xml_name(name)) {
            return wrong("account_defaults", &format!("{name:?} is not the name of an XML element"));
        }
        Ok(())
    }
}

/// Whether it can be an element's name, in letters and digits of ASCII.
pub(super) fn is_xml_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}
