//! OMI's messages explained: which operation goes where, and what values mean.

use super::wire::reply::DONE;
use super::wire::{Form, find};
use crate::dissect::Dissection;
use crate::http::dissect::{Describe, dissect};

/// Explains one message.
#[must_use]
pub fn decode(bytes: &[u8]) -> Dissection {
    dissect(bytes, &Omi)
}

struct Omi;

impl Describe for Omi {
    fn title(&self, _: &str, names: &[String]) -> Option<String> {
        let name = names.first()?;
        if name == "Fault" {
            return Some("fault".to_owned());
        }
        let (name, what) = match name.strip_suffix("Response") {
            Some(name) => (name, "answer of"),
            None => (name.as_str(), "call of"),
        };
        let operation = find(name)?;
        let unsourced = if operation.sourced { "" } else { "; its parts are not in a public source" };
        Some(format!("{name}, {what} {}{unsourced}", operation.service.name()))
    }

    fn meaning(&self, path: &str, value: &str) -> String {
        let mut names = path.rsplit('/');
        let (name, parent) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let meaning = match (name, parent) {
            ("resultCode", _) if value == DONE.to_string() => "done",
            ("resultCode", _) => "refused; the list of codes is not public",
            ("resultId", _) => "which item",
            ("handle", _) => "the session",
            ("smsDeviceId", _) => "the device, by the operator's id",
            ("networkDeviceId", _) => "the device, by the network's id",
            ("smsEntitlementId", _) => "names the entitlement, so that a repeat is recognised",
            ("smsPackageId", _) => "the package: a service's CA ID",
            ("smsNetworkId", _) => "the network",
            ("startTime", _) => "since when",
            ("endTime", _) => "until when",
            ("timePeriodRule", _) => "without limit",
            ("entityType", _) => match value {
                "DEVICE" => "a device",
                "DOMAIN" => "a subscriber's devices",
                "GLOBAL" => "everybody",
                "RETAILER" => "a retailer",
                _ => "",
            },
            ("deviceType", _) => match value {
                "STB_DVB_SC" => "a smartcard",
                "STB_DVB_NSC1" | "STB_DVB_NSC2" => "a DVB box without smartcard",
                "STB_DVB_STB" => "a DVB box",
                "STB_IPTV" => "an IPTV box",
                _ => "",
            },
            ("displayMode", _) if value.starts_with("FX_") => "the viewer can not take it away",
            ("displayMode", _) if value.starts_with("RM_") => "the viewer can take it away",
            ("displayDuration", _) if value == "0" => "until the viewer takes it away",
            ("displayDuration", _) => "seconds",
            ("value", "pins") => "the PIN, as a number",
            ("index", "pins") => "which of the four PINs",
            ("soapaction", _) => return action(value),
            _ => "",
        };
        meaning.to_owned()
    }
}

/// What a `SOAPAction` says.
fn action(value: &str) -> String {
    let name = value.trim_matches('"').rsplit('/').next().unwrap_or_default();
    find(name).map_or_else(String::new, |operation| {
        let form = match operation.form {
            Form::Session => "a session",
            Form::Result => "one result",
            Form::List => "a result for every item",
            Form::Query => "a result with what was asked for",
        };
        format!("{name}, answered with {form}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::wire::OPERATIONS;
    use super::*;

    #[test]
    fn every_operation_is_named_both_ways() {
        for operation in OPERATIONS {
            for (name, words) in
                [(operation.name.to_owned(), "call of"), (format!("{}Response", operation.name), "answer of")]
            {
                let title = decode(format!("<{name}/>").as_bytes()).title;
                assert!(title.contains(words) && title.contains(operation.service.name()), "{title}");
            }
        }
        assert_eq!(decode(b"<x/>").title, "XML document");
    }

    #[test]
    fn values_are_explained() {
        let message = "POST /services/DeviceMgmtService HTTP/1.1\r\n\
            soapaction: \"http://www.verimatrix.com/omi/setDevicePins\"\r\n\r\n\
            <o:setDevicePins xmlns:o='http://www.verimatrix.com/omi'><devicePinList><pins><value>4</value></pins>\
            </devicePinList></o:setDevicePins>";
        let dissection = decode(message.as_bytes());
        assert_eq!(dissection.title, "setDevicePins, call of DeviceMgmtService");
        let meanings: Vec<_> = dissection.fields.iter().map(|field| field.meaning.as_str()).collect();
        assert_eq!(meanings, ["", "setDevicePins, answered with one result", "the PIN, as a number"]);
    }
}
