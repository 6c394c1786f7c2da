//! Messages explained field by field: what `headgate decode conax-web` prints.

use serde_json::Value;

use crate::dissect::Dissection;
use crate::http::dissect::{Describe, dissect};
use crate::registry::SettingsError;

/// Explains one message: a whole HTTP message, or its body.
///
/// # Errors
/// None: every message is explained as far as it can be read.
pub fn decode(_: &Value, _: Option<&str>, bytes: &[u8]) -> Result<Vec<Dissection>, SettingsError> {
    Ok(vec![dissect(bytes, &ConaxWeb)])
}

struct ConaxWeb;

impl Describe for ConaxWeb {
    fn title(&self, _: &str, names: &[String]) -> Option<String> {
        let name = names.first()?;
        Some(match name.strip_suffix("Response") {
            Some(operation) => format!("answer to {operation}"),
            None if name == "Fault" => "SOAP fault".to_owned(),
            None => format!("call {name}"),
        })
    }

    fn meaning(&self, path: &str, value: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or_default();
        // Readings of \[S:SC\].
        let text = match (name, value) {
            ("StatusCode", "OK") => "done",
            ("StatusCode", "INPUT_VALIDATION_ERROR") => "a field is not valid",
            ("StatusCode", "FEATURE_NOT_AVAILABLE") => "not licensed, or not switched on",
            ("StatusCode", "CLIENT_NOT_FOUND") => "the card is not known",
            ("StatusCode", "CLIENT_NOT_MANAGED_BY_SMS") => "the card belongs to another subscriber management system",
            ("StatusCode", "SYSTEM_ERROR") => "a fault of the platform",
            ("StatusCode", _) => "refused",
            ("CaClientId", value) if value.len() == crate::conax_card::DIGITS => "a card, without its check digit",
            ("CaClientId", _) => "not a card: it must have 11 digits",
            ("Message", _) => "a text: of the message, or of an error",
            ("DisplayDurationInSeconds", _) => "for how long it is shown",
            ("StartIndicationTime", _) => "when it is shown; the zone is not known",
            ("SequenceNumber", _) => "its meaning is not known",
            ("faultstring", "Couldn't parse stream.") => "not XML, or not in the encoding that it declares",
            _ => "",
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_answers_and_faults_are_explained() {
        let explained = |body: &str| {
            let envelope = "http://schemas.xmlsoap.org/soap/envelope/";
            let message = format!("<s:Envelope xmlns:s='{envelope}'><s:Body>{body}</s:Body></s:Envelope>");
            let dissection = decode(&Value::Null, None, message.as_bytes()).unwrap().remove(0);
            let meaning = dissection.fields.iter().map(|field| field.meaning.clone()).find(|text| !text.is_empty());
            (dissection.title, meaning.unwrap_or_default())
        };
        let pair = |title: &str, meaning: &str| (title.to_owned(), meaning.to_owned());
        assert_eq!(
            explained("<GetThing><CaClientId>01450000011</CaClientId></GetThing>"),
            pair("call GetThing", "a card, without its check digit")
        );
        assert_eq!(
            explained("<xResponse><StatusCode>CLIENT_NOT_FOUND</StatusCode></xResponse>"),
            pair("answer to x", "the card is not known")
        );
        assert_eq!(
            explained(
                "<s:Fault><faultcode>s:Server</faultcode><faultstring>Couldn't parse stream.</faultstring></s:Fault>"
            ),
            pair("SOAP fault", "not XML, or not in the encoding that it declares")
        );
    }
}
