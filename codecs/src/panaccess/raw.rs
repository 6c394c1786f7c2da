//! The payload of `raw`: a function of the platform with its parameters, in the words of the binding.

use serde::Deserialize;

use super::wire::value::{Member, Record, Value};
use super::wire::{Binding, SESSION, plain, soap};

/// A function with its parameters; the session is added when it is called.
#[derive(Clone, PartialEq, Eq)]
pub struct RawCall {
    /// The function's name.
    pub function: String,
    /// Its parameters, in order.
    pub parameters: Vec<Member>,
}

/// Reads a payload: with the JSON binding `{"function": "getListOfOffers", "parameters": {"offset": 0}}`, with SOAP the
/// operation's element, `<cvGetListOfOffers><offset xsi:type="xsd:int">0</offset></cvGetListOfOffers>`.
///
/// # Errors
/// What is wrong with it and what would be right, in words.
pub fn read(binding: &Binding, payload: &[u8]) -> Result<RawCall, String> {
    let call = match binding {
        Binding::Json(_) => from_json(payload)?,
        Binding::Soap(_) => {
            let (function, parameters) = soap::read_operation(payload)?;
            RawCall { function, parameters }
        }
    };
    let well_formed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if call.function.is_empty() || call.function.len() > 100 || !call.function.chars().all(well_formed) {
        return Err("the function's name must be letters and digits".into());
    }
    if matches!(plain(&call.function).as_str(), "login" | "logout") {
        return Err("the session is Headgate's business".into());
    }
    if call.parameters.iter().any(|(name, _)| name == SESSION) {
        return Err("the session is added by Headgate: leave sessionId out".into());
    }
    Ok(call)
}

fn from_json(payload: &[u8]) -> Result<RawCall, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Payload {
        function: String,
        #[serde(default)]
        parameters: Value,
    }
    let Payload { function, parameters } = serde_json::from_slice(payload).map_err(|error| {
        let example = r#"{"function": "getListOfOffers", "parameters": {"offset": 0}}"#;
        format!("must be JSON as in {example}; it breaks at line {}, column {}", error.line(), error.column())
    })?;
    let parameters = match parameters {
        Value::Absent => Vec::new(),
        Value::Record(Record { members, .. }) => members,
        _ => return Err("parameters must be an object".into()),
    };
    Ok(RawCall { function, parameters })
}
