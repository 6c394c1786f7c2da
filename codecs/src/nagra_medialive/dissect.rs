//! Messages explained field by field: what `headgate decode nagra-medialive` prints.

use serde_json::Value;

use crate::dissect::Dissection;
use crate::http::dissect::{Describe, dissect};
use crate::registry::SettingsError;

/// Explains one message of either generation: a whole HTTP message, or its body.
///
/// # Errors
/// None: every message is explained as far as it can be read.
pub fn decode(_: &Value, _: Option<&str>, bytes: &[u8]) -> Result<Vec<Dissection>, SettingsError> {
    Ok(vec![dissect(bytes, &MediaLive)])
}

struct MediaLive;

impl Describe for MediaLive {
    fn title(&self, start_line: &str, names: &[String]) -> Option<String> {
        let has = |name: &str| names.iter().any(|known| known == name);
        let (method, target) = start_line.split_once(' ').unwrap_or_default();
        let path = target.split([' ', '?']).next().unwrap_or_default();
        let title = match method {
            "POST" if path.ends_with("/openid-connect/token") => "request of a token",
            "POST" if path.contains("/adm/v1/accounts") => "creation of an account",
            "PUT" if path.contains("/adm/v1/accounts") => "change of an account",
            "POST" if path.ends_with("/adm/v1/devices") => "device put under an account",
            "PUT" if path.contains("/adm/v1/devices/") => "change of a device",
            "DELETE" if path.contains("/adm/v1/devices/") => "removal of a device",
            "POST" if path.ends_with("/entitlements") => "grant of an entitlement",
            "PUT" if path.contains("/entitlements/") => "change of an entitlement",
            "GET" if path.ends_with("/entitlements") => "request of a list of entitlements",
            _ if path.ends_with("/signonByUser") => "sign-on of a subscriber",
            _ if has("access_token") => "token",
            _ if has("error") => "refusal of a token",
            _ if has("resourceSet") || has("totalRecords") => "list",
            _ if has("matchedCount") => "answer to a change",
            _ if has("validityType") => "entitlement",
            _ if has("resultCode") => "answer to a sign-on",
            _ if has("Fault") => "SOAP fault",
            _ if names.len() == 1 => return soap_title(names.first()?),
            _ => return None,
        };
        Some(title.to_owned())
    }

    fn meaning(&self, path: &str, value: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or_default();
        let text = match (name, value) {
            ("status", "ACTIVE") => "the account may be used",
            ("status", "SUSPENDED") => "the account may not be used for a while",
            ("status", "RESTRICTED") => "the account is restricted",
            ("status", "CANCELLED") => "the account is ended for good; its id stays taken",
            ("status", "SUBSCRIBED") => "the entitlement holds",
            ("status", "UNSUBSCRIBED") => "the entitlement does not hold",
            ("status", "ENABLED") => "the device may be used",
            ("status", "DISABLED") => "the device may not be used",
            ("validityType", "ABSOLUTE") => "rental and consumption both start at the purchase",
            ("validityType", "RELATIVE") => "the rental starts at the first viewing",
            ("productType", "SUBSCRIPTION") => "paid by the subscription",
            ("productType", "TRANSACTIONAL") => "paid by itself",
            ("accountId" | "accountID" | "accountUid", _) => "the account",
            ("productId" | "productID", _) => "the product",
            ("deviceId" | "deviceID", _) => "the only device it is good on",
            ("validFrom", _) => "first moment",
            ("expiryDate", _) => "last moment",
            ("caSN", _) => "the box's number in conditional access",
            ("signonId" | "loginId" | "arg0", _) => "the name to sign in with",
            ("matchedCount", "0") => "nothing has that id",
            ("matchedCount", _) => "how many things the id names",
            ("totalRecords", _) => "how many there are on all pages",
            ("nv-tenant-id", _) => "the tenant",
            ("x-correlation-id", _) => "the request's id",
            ("expires_in" | "refresh_expires_in", _) => "seconds",
            ("resultCode", "0") => "the credentials are good",
            ("resultCode", _) => "the credentials are not good",
            ("originId", _) => "the operator's own from 10000",
            _ => "",
        };
        text.to_owned()
    }
}

fn soap_title(name: &str) -> Option<String> {
    let title = match name {
        "CreateAccount" => "creation of an account",
        "CreateSmartCard" => "a smartcard made known",
        "DeleteSmartCard" => "a smartcard forgotten",
        "Pair" => "pairing of a card and a box",
        "Unpair" => "end of a pairing",
        "getByAccountNumber" => "request of an account",
        "Account" => "account",
        "SmartCardSpecification" => "smartcard that was made known",
        _ => return None,
    };
    Some(title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(message: &str) -> (String, Vec<String>) {
        let mut dissections = decode(&Value::Null, None, message.as_bytes()).unwrap();
        let dissection = dissections.remove(0);
        assert!(dissections.is_empty() && dissection.broken.is_none(), "{dissection:?}");
        let told = dissection.fields.iter().filter(|field| !field.meaning.is_empty());
        (dissection.title, told.map(|field| format!("{}: {}", field.name, field.meaning)).collect())
    }

    #[test]
    fn messages_of_both_generations_are_explained() {
        let (title, told) = explained(
            "POST /rmg/v1/operator/entitlements HTTP/1.1\r\nnv-tenant-id: t\r\n\r\n\
             {\"_id\":\"E1\",\"productId\":\"P1\",\"validityType\":\"ABSOLUTE\"}",
        );
        assert_eq!(title, "grant of an entitlement");
        let rental = "validityType: rental and consumption both start at the purchase";
        assert_eq!(told, ["nv-tenant-id: the tenant", "productId: the product", rental]);
        assert_eq!(explained(r#"{"matchedCount":0,"modifiedCount":0}"#).1, ["matchedCount: nothing has that id"]);
        let soap = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
                    <a:Account xmlns:a=\"urn:a\"><account><status>ACTIVE</status></account></a:Account></s:Body></s:Envelope>";
        let (title, told) = explained(soap);
        assert_eq!((title.as_str(), told.len()), ("account", 1));
        assert!(told[0].ends_with("status: the account may be used"), "{told:?}");
    }
}
