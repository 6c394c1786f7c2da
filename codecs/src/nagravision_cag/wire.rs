//! The gateway's calls and answers, written and read \[S6, S7, S10, S11\].
//!
//! All calls are about one device: `/cag/v1/{casInstanceName}/devices/{deviceId}/...`.

use headgate_core::http::{HttpAnswer, HttpCall, HttpRequest, Method};
use headgate_core::text::{Secret, Serial};
use serde::{Deserialize, Serialize};

use super::settings::DeviceType;
use crate::http::form::{escape, unescape};
use crate::http::raw::JSON;

/// What is done to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// `POST .../entitlements`: adds products \[S6\].
    Add(Entitlements),
    /// `PUT .../chipsets/{chipsetNum}/pair` \[S11, seen only in the documentation's internal variant\].
    Pair(Serial),
    /// `PUT .../recovery`: realigns the date code of a device that was not used for more than 255 days \[S10\].
    Recover(Recovery),
    /// `PUT .../entitlements`: makes the products these, and no others \[S7\].
    Replace(Entitlements),
    /// `PUT .../pin/{pinNum}`: sets or changes the parental PIN \[S11, likewise\].
    SetPin(Secret),
}

/// The body of calls about products.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entitlements {
    /// What the device is.
    pub device_specification: DeviceSpecification,
    /// Its card, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smart_card_specification: Option<SmartCardSpecification>,
    /// Its chipset, where the request tells.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "settopBoxSpecification")]
    pub set_top_box_specification: Option<SetTopBoxSpecification>,
    /// The products.
    pub entitlements: Vec<Entitlement>,
    /// What goes along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata_set: Vec<Metadata>,
}

impl std::fmt::Debug for Entitlements {
    /// Shows no numbers: they are subscriber data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} products>", self.entitlements.len())
    }
}

/// What a device is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceSpecification {
    /// `CardBased` or `CardLess`.
    pub device_type: WireDeviceType,
    /// Its id, once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
}

/// The platform's words for a [`DeviceType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WireDeviceType {
    /// It has a card.
    CardBased,
    /// It has none.
    CardLess,
}

impl From<DeviceType> for WireDeviceType {
    fn from(device_type: DeviceType) -> Self {
        match device_type {
            DeviceType::CardBased => Self::CardBased,
            DeviceType::CardLess => Self::CardLess,
        }
    }
}

/// A card.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmartCardSpecification {
    /// Its number.
    pub smart_card_id: String,
}

/// A set-top box.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetTopBoxSpecification {
    /// Its chipset's number.
    pub chipset_serial_number: String,
}

/// A product.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entitlement {
    /// Its id.
    pub product_id: String,
}

/// Something that goes along.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Its name.
    pub field_name: String,
    /// Its value.
    pub field_value: String,
}

/// The body of `recovery`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// How many, in decimal digits.
    pub years: String,
}

impl Deed {
    /// The call that does it to a device.
    #[must_use]
    pub fn call(&self, cas_instance: &str, device: &str) -> HttpCall {
        let path = |rest: &str| format!("/cag/v1/{}/devices/{}/{rest}", escape(cas_instance), escape(device));
        match self {
            Self::Add(entitlements) => with_body(Method::Post, path("entitlements"), entitlements),
            Self::Replace(entitlements) => with_body(Method::Put, path("entitlements"), entitlements),
            Self::Recover(recovery) => with_body(Method::Put, path("recovery"), recovery),
            Self::Pair(chipset) => {
                HttpCall::new(Method::Put, path(&format!("chipsets/{}/pair", escape(chipset.as_str()))))
            }
            Self::SetPin(pin) => HttpCall::new(Method::Put, path(&format!("pin/{}", escape(pin.reveal())))),
        }
    }

    /// What a call does, and to which device, as the platform reads it.
    ///
    /// # Errors
    /// The HTTP status that it deserves: 404 for another path, 405 for another method, 400 for a body that can not be
    /// read.
    pub fn read(request: &HttpRequest, cas_instance: &str) -> Result<(String, Self), u16> {
        let segments: Vec<String> = request.path().split('/').map(unescape).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let ["", "cag", "v1", instance, "devices", device, rest @ ..] = segments.as_slice() else { return Err(404) };
        if *instance != cas_instance || device.is_empty() {
            return Err(404);
        }
        let deed = match (rest, request.method) {
            (["entitlements"], Method::Post) => Self::Add(body(request)?),
            (["entitlements"], Method::Put) => Self::Replace(body(request)?),
            (["recovery"], Method::Put) => Self::Recover(body(request)?),
            (["chipsets", chipset, "pair"], Method::Put) => Self::Pair(Serial::new(chipset).map_err(|_| 404_u16)?),
            (["pin", pin], Method::Put) => Self::SetPin(Secret::new(*pin)),
            (["entitlements" | "recovery"] | ["chipsets", _, "pair"] | ["pin", _], _) => return Err(405),
            _ => return Err(404),
        };
        Ok(((*device).to_owned(), deed))
    }
}

fn with_body(method: Method, path: String, body: &impl Serialize) -> HttpCall {
    // Writing into memory can not fail: the types hold nothing but texts.
    let body = serde_json::to_vec(body).unwrap_or_default();
    HttpCall { body: body.into(), ..HttpCall::new(method, path).header("content-type", JSON) }
}

fn body<T: serde::de::DeserializeOwned>(request: &HttpRequest) -> Result<T, u16> {
    serde_json::from_slice(&request.body).map_err(|_| 400)
}

/// What the gateway says of a call: of each of the CAS's commands that it became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// `Success`, or something else.
    pub status: String,
    /// How many commands it became. Not relied on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_count: Option<u64>,
    /// What became of each.
    #[serde(default)]
    pub command_results: Vec<CommandResult>,
}

/// What became of one of the CAS's commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CommandResult {
    /// The CAS's name of it, as in `overwriteEntitlements`.
    pub command_name: String,
    /// Its number, as most pages write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Scalar>,
    /// Its number, as the other pages write it.
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    pub underscored_id: Option<Scalar>,
    /// The CAS's code.
    pub response_code: Scalar,
    /// The CAS's words.
    pub response_text: String,
}

/// A text, or a number that stands where the pages show a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Default for Scalar {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Reply {
    /// Whether the call as a whole is said to have gone through.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.eq_ignore_ascii_case("success")
    }

    /// The reply as a platform gives it.
    #[must_use]
    pub fn answer(&self, status: u16) -> HttpAnswer {
        // Writing into memory can not fail: the types hold nothing but texts and numbers.
        HttpAnswer::new(status, JSON, serde_json::to_vec(self).unwrap_or_default())
    }
}

impl CommandResult {
    /// Its number, however it is written.
    #[must_use]
    pub fn number(&self) -> Option<String> {
        self.id.as_ref().or(self.underscored_id.as_ref()).map(Scalar::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(call: &HttpCall) -> HttpRequest {
        HttpRequest { method: call.method, target: call.target.clone(), headers: Vec::new(), body: call.body.clone() }
    }

    fn entitlements() -> Entitlements {
        Entitlements {
            device_specification: DeviceSpecification {
                device_type: WireDeviceType::CardBased,
                device_id: Some("D/1".into()),
            },
            smart_card_specification: Some(SmartCardSpecification { smart_card_id: "C1".into() }),
            set_top_box_specification: Some(SetTopBoxSpecification { chipset_serial_number: "N1".into() }),
            entitlements: vec![Entitlement { product_id: "P1".into() }, Entitlement { product_id: "P\"2".into() }],
            metadata_set: vec![Metadata { field_name: "zone".into(), field_value: "7".into() }],
        }
    }

    /// The sheet's table of calls, as bytes.
    #[test]
    fn calls_are_written_as_the_pages_show_them() {
        let call = Deed::Add(entitlements()).call("cas 1", "D/1");
        assert_eq!((call.method, call.target.as_str()), (Method::Post, "/cag/v1/cas%201/devices/D%2F1/entitlements"));
        assert_eq!(
            call.body,
            "{\"deviceSpecification\":{\"deviceType\":\"CardBased\",\"deviceId\":\"D/1\"},\
             \"smartCardSpecification\":{\"smartCardId\":\"C1\"},\
             \"settopBoxSpecification\":{\"chipsetSerialNumber\":\"N1\"},\
             \"entitlements\":[{\"productId\":\"P1\"},{\"productId\":\"P\\\"2\"}],\
             \"metadataSet\":[{\"fieldName\":\"zone\",\"fieldValue\":\"7\"}]}"
        );
        assert_eq!(call.headers, [("content-type".into(), "application/json".to_owned())]);
        let bare = Entitlements {
            device_specification: DeviceSpecification { device_type: WireDeviceType::CardLess, device_id: None },
            smart_card_specification: None,
            set_top_box_specification: None,
            entitlements: Vec::new(),
            metadata_set: Vec::new(),
        };
        let call = Deed::Replace(bare).call("c", "1");
        assert_eq!((call.method, call.target.as_str()), (Method::Put, "/cag/v1/c/devices/1/entitlements"));
        assert_eq!(call.body, r#"{"deviceSpecification":{"deviceType":"CardLess"},"entitlements":[]}"#);
        let call = Deed::Recover(Recovery { years: "1".into() }).call("c", "1");
        assert_eq!((call.method, call.target.as_str()), (Method::Put, "/cag/v1/c/devices/1/recovery"));
        assert_eq!(call.body, r#"{"years":"1"}"#);
        let call = Deed::Pair(Serial::new("9/9").unwrap()).call("c", "1");
        assert_eq!((call.method, call.target.as_str()), (Method::Put, "/cag/v1/c/devices/1/chipsets/9%2F9/pair"));
        assert!(call.body.is_empty() && call.headers.is_empty());
        let call = Deed::SetPin(Secret::new("4711")).call("c", "1");
        assert_eq!((call.method, call.target.as_str()), (Method::Put, "/cag/v1/c/devices/1/pin/4711"));
        assert!(call.body.is_empty() && !format!("{call:?}").contains("4711"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for deed in [
            Deed::Add(entitlements()),
            Deed::Replace(entitlements()),
            Deed::Recover(Recovery { years: "2".into() }),
            Deed::Pair(Serial::new("9/9").unwrap()),
            Deed::SetPin(Secret::new("4711")),
        ] {
            let read = Deed::read(&arrived(&deed.call("c", "D/1")), "c");
            assert_eq!(read, Ok(("D/1".to_owned(), deed.clone())), "{deed:?}");
            assert_eq!(Deed::read(&arrived(&deed.call("other", "1")), "c"), Err(404), "{deed:?}");
        }
    }

    #[test]
    fn other_calls_get_the_status_they_deserve() {
        let read = |method, target: &str, body: &'static str| {
            let request = HttpRequest { method, target: target.into(), headers: Vec::new(), body: body.into() };
            Deed::read(&request, "c").map(|_| ())
        };
        assert_eq!(read(Method::Get, "/cag/v1/c/devices/1/entitlements", ""), Err(405));
        assert_eq!(read(Method::Get, "/cag/v1/c/devices/1/pin/1", ""), Err(405));
        assert_eq!(read(Method::Put, "/cag/v1/c/devices//recovery", "{\"years\":\"1\"}"), Err(404));
        assert_eq!(read(Method::Put, "/cag/v1/c/devices/1/other", ""), Err(404));
        assert_eq!(read(Method::Put, "/", ""), Err(404));
        for body in ["", "{}", "[]", "{\"years\":1}", "{\"years\":\"1\",\"days\":\"1\"}"] {
            assert_eq!(read(Method::Put, "/cag/v1/c/devices/1/recovery", body), Err(400), "{body}");
        }
    }

    #[test]
    fn replies_are_read_whichever_page_they_follow() {
        let sheet = r#"{"status":"Success","commandCount":2,"commandResults":[
            {"commandName":"overwriteSector","id":"17","responseCode":"1028","responseText":"OK"},
            {"commandName":"createTmsAttributes","_id":"18","responseCode":1028,"responseText":"OK","more":{}}]}"#;
        let reply: Reply = serde_json::from_str(sheet).unwrap();
        assert!(reply.is_success() && reply.command_count == Some(2));
        let told: Vec<_> =
            reply.command_results.iter().map(|r| (r.number().unwrap(), r.response_code.to_string())).collect();
        assert_eq!(told, [("17".into(), "1028".into()), ("18".into(), "1028".into())]);
        let again: Reply = serde_json::from_slice(&reply.answer(200).body).unwrap();
        assert_eq!(again, reply);
        let both = r#"{"status":"x","commandResults":[{"id":"1","_id":"2"}]}"#;
        let reply: Reply = serde_json::from_str(both).unwrap();
        assert_eq!(reply.command_results[0].number().as_deref(), Some("1"));
        assert!(!reply.is_success());
    }
}
