//! The members of a JSON object that is read, changed and sent back whole.

use std::collections::BTreeMap;

use headgate_core::text::PersonalText;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// A JSON object, each value as it is written: what is not understood is kept to the byte.
pub type Object = BTreeMap<String, Box<RawValue>>;

/// Gives a member of an object a value.
pub fn set(object: &mut Object, name: &str, value: &impl Serialize) {
    if let Ok(value) = to_raw_value(value) {
        object.insert(name.to_owned(), value);
    }
}

/// The text of a member that is one.
#[must_use]
pub fn text(object: &Object, name: &str) -> Option<String> {
    serde_json::from_str(object.get(name)?.get()).ok()
}

/// Whether a member of an account or a device must not be told: what else is in it may be.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "salt", "secret", "token"].iter().any(|word| name.contains(word)) || name == "pin"
}

/// The values of members that must not be told.
#[must_use]
pub fn secrets_of(members: &Object) -> Vec<String> {
    members.keys().filter(|name| is_secret(name)).filter_map(|name| text(members, name)).collect()
}

/// What else the platform tells in single values, without secrets.
#[must_use]
pub fn attributes(object: &Object, without: &[&str]) -> BTreeMap<String, PersonalText> {
    let told = object.iter().filter(|(name, _)| !without.contains(&name.as_str()) && !is_secret(name));
    told.filter_map(|(name, value)| Some((name.clone(), PersonalText::new(&single(value)?).ok()?))).collect()
}

/// A value that is no list and no object, as text.
fn single(value: &RawValue) -> Option<String> {
    match serde_json::from_str(value.get()).ok()? {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_kept_to_the_byte() {
        let text = r#"{"a":1.10,"b":123456789012345678901234567890,"c":{"z":1, "y":[ ]},"status":"ACTIVE"}"#;
        let mut object: Object = serde_json::from_str(text).unwrap();
        set(&mut object, "status", &"SUSPENDED");
        assert_eq!(serde_json::to_string(&object).unwrap(), text.replace("ACTIVE", "SUSPENDED"));
    }

    #[test]
    fn secrets_are_no_attributes() {
        let text =
            r#"{"_id":"A","password":"p","hashSalt":"s","pin":"1","shipping":"x","n":7,"b":true,"l":[1],"z":null}"#;
        let object: Object = serde_json::from_str(text).unwrap();
        let told = attributes(&object, &["_id"]);
        let told: Vec<_> = told.iter().map(|(name, value)| format!("{name}={}", value.as_str())).collect();
        assert_eq!(told, ["b=true", "n=7", "shipping=x"]);
        assert_eq!(secrets_of(&object), ["s", "p", "1"]);
    }
}
