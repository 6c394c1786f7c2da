//! What the parts of a call must look like: paths, header fields, prefixes, error codes.

use std::collections::BTreeMap;

use super::PROFILE;
use crate::registry::SettingsError;
use crate::template::answer::LONGEST_PAUSE;
use crate::template::table::{ErrorTable, Meaning};
use crate::template::text::Template;
use crate::template::values::Kind;

/// A path's placeholders write text, and the text around them is a path.
pub(super) fn check_path(path: &Template) -> Result<(), String> {
    let (literals, places) = path.around();
    if let Some(place) = places.iter().find(|place| place.optional) {
        let name = place.names.first().map(ToString::to_string).unwrap_or_default();
        return Err(format!("{{{name}?}} may be absent, and a path can not be without it; use `default`"));
    }
    if places.iter().any(|place| place.kind == Kind::List) {
        return Err("a list can not stand in a path; write it with `join`".to_owned());
    }
    check_path_literal(&literals.concat())?;
    match literals.first() {
        Some(first) if first.starts_with('/') => Ok(()),
        _ => Err("must begin with `/`".to_owned()),
    }
}

pub(in crate::template) fn check_path_literal(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err("must begin with `/`".to_owned());
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&b);
    match path.chars().find(|c| !u8::try_from(*c).is_ok_and(allowed)) {
        None => Ok(()),
        Some('?') => Err("`?` can not stand in a path; put the query into `query`".to_owned()),
        Some(c) => Err(format!("{c:?} can not stand in a path")),
    }
}

pub(in crate::template) fn check_header(name: &str) -> Result<(), String> {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain {
        return Err("a header field's name is of lower-case letters, digits and hyphens".to_owned());
    }
    if matches!(name, "host" | "content-length" | "transfer-encoding" | "connection") {
        return Err(format!("{name} is made by the driver"));
    }
    Ok(())
}

pub(super) fn check_prefixes(prefixes: &BTreeMap<String, String>) -> Result<(), SettingsError> {
    for (prefix, uri) in prefixes {
        let path = || format!("{PROFILE}.prefixes.{prefix}");
        let mut bytes = prefix.bytes();
        let plain = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !plain || prefix.to_ascii_lowercase().starts_with("xml") || prefix == "soap" {
            return Err(SettingsError::new(path(), "is no prefix: letters, digits, `_` and `-`; not soap, not xml"));
        }
        if uri.is_empty() {
            return Err(SettingsError::new(path(), "must be a namespace"));
        }
    }
    Ok(())
}

pub(super) fn check_errors(errors: &BTreeMap<String, ErrorTable>, path: &str) -> Result<(), SettingsError> {
    for (code, error) in errors {
        let wrong = |text: &str| Err(SettingsError::new(format!("{path}.{code}.after"), text));
        match error.after {
            Some(_) if error.meaning != Meaning::RetryLater => {
                return wrong("is only for `retry_later`");
            }
            Some(after) if after.is_zero() || after > LONGEST_PAUSE => return wrong("must be 1 ms to 24 h"),
            _ => {}
        }
    }
    Ok(())
}
