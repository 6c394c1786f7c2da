//! Messages explained field by field: what `headgate decode nagravision-cag` prints.

use serde_json::Value;

use crate::dissect::Dissection;
use crate::http::dissect::{Describe, dissect};
use crate::registry::SettingsError;

/// Explains one message: a whole HTTP message, or its body.
///
/// # Errors
/// None: every message is explained as far as it can be read.
pub fn decode(_: &Value, _: Option<&str>, bytes: &[u8]) -> Result<Vec<Dissection>, SettingsError> {
    Ok(vec![dissect(bytes, &Cag)])
}

struct Cag;

impl Describe for Cag {
    fn title(&self, start_line: &str, names: &[String]) -> Option<String> {
        let has = |name: &str| names.iter().any(|known| known == name);
        let (method, target) = start_line.split_once(' ').unwrap_or_default();
        let path = target.split([' ', '?']).next().unwrap_or_default();
        let title = match method {
            "POST" if path.ends_with("/openid-connect/token") => "request of a token",
            "POST" if path.ends_with("/entitlements") => "products added",
            "PUT" if path.ends_with("/entitlements") => "products replaced",
            "PUT" if path.ends_with("/recovery") => "date code realigned",
            "PUT" if path.ends_with("/pair") => "device paired with a chipset",
            "PUT" if path.contains("/pin/") => "PIN set",
            _ if has("access_token") => "token",
            _ if has("commandResults") => "reply",
            _ if has("entitlements") => "list of products",
            _ if has("years") => "date code realigned",
            _ => return None,
        };
        Some(title.to_owned())
    }

    fn meaning(&self, path: &str, value: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or_default();
        let text = match (name, value) {
            ("nv-tenant-id", _) => "the tenant",
            ("operator", _) => "the operator",
            ("x-correlation-id", _) => "the request's id",
            ("deviceType", "CardBased") => "the device has a card",
            ("deviceType", "CardLess") => "the device has no card",
            ("deviceId", _) => "the device",
            ("smartCardId", _) => "its card",
            ("chipsetSerialNumber", _) => "its chipset",
            ("productId", _) => "a product",
            ("fieldName", _) => "something that goes along",
            ("years", _) => "for how long the date code is good",
            ("status", "Success") => "every command went through",
            ("commandCount", _) => "how many commands of the CAS the call became",
            ("commandName", "overwriteSector" | "overwriteEntitlements") => "products written",
            ("commandName", "createTmsAttributes") => "what went along written",
            ("commandName", "recoverSectorDatecode") => "date code realigned",
            ("commandName", "pairChipSet") => "chipset paired",
            ("commandName", "createParentalPinCode") => "PIN set",
            ("id" | "_id", _) => "the CAS's number of the command",
            ("responseCode", "1028") => "done",
            _ => "",
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_replies_are_explained() {
        let explained = |message: &str| decode(&Value::Null, None, message.as_bytes()).unwrap().remove(0);
        let call = explained(
            "POST /cag/v1/c/devices/1/entitlements HTTP/1.1\r\noperator: o\r\n\r\n\
             {\"deviceSpecification\":{\"deviceType\":\"CardLess\"},\"entitlements\":[{\"productId\":\"P\"}]}",
        );
        let meanings: Vec<_> = call.fields.iter().map(|field| field.meaning.as_str()).collect();
        assert_eq!(call.title, "products added");
        assert_eq!(meanings, ["", "the operator", "the device has no card", "a product"]);
        let reply = explained(
            r#"{"status":"Success","commandResults":[{"commandName":"pairChipSet","_id":"7","responseCode":"1028"}]}"#,
        );
        assert_eq!(reply.title, "reply");
        assert!(reply.fields.iter().any(|field| field.meaning == "chipset paired"));
    }
}
