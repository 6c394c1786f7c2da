//! Rows explained column by column, and requests as the statements that would carry them.

use headgate_core::Now;
use headgate_core::provider::Provider;
use headgate_core::request::Request;
use headgate_core::table::{Column, Insert, Value};
use serde_json::Value as Json;

use super::adapter::first_ids;
use super::plan::Plan;
use super::profile::{Encoding, Profile, State};
use super::rows;
use super::settings::Site;
use super::wire::Entry;
use crate::dissect::{Broken, Dissection};
use crate::registry::{EncodeError, Encoded, SettingsError};
use crate::sql::{self, Dialect};

/// Explains rows written as JSON, one object a line: as they are kept with a request, or as a database prints them.
///
/// # Errors
/// [`SettingsError`] if the settings can not be.
pub fn decode(settings: &Json, _: Option<&str>, bytes: &[u8]) -> Result<Vec<Dissection>, SettingsError> {
    Ok(explain(&Site::read(settings)?.profile, bytes))
}

/// Explains rows, one a line.
#[must_use]
pub fn explain(profile: &Profile, bytes: &[u8]) -> Vec<Dissection> {
    let mut at = 0;
    let mut dissections = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if !line.trim_ascii().is_empty() {
            dissections.push(row(profile, at, line));
        }
        at += line.len();
    }
    dissections
}

fn row(profile: &Profile, at: usize, line: &[u8]) -> Dissection {
    let mut dissection = Dissection::new(format!("row of {}", profile.table));
    let object = match serde_json::from_slice::<Json>(line) {
        Ok(Json::Object(object)) => object,
        Ok(_) => {
            let text = "expected an object, as in {\"entry_id\": \"...\"}".to_owned();
            dissection.broken = Some(Broken { offset: at, text, incomplete: false });
            return dissection;
        }
        Err(error) => {
            let offset = at + error.column().saturating_sub(1);
            dissection.broken =
                Some(Broken { offset, text: format!("is no JSON: {error}"), incomplete: error.is_eof() });
            return dissection;
        }
    };
    let columns = profile.shape().columns;
    let mut values: Vec<Value> = Vec::with_capacity(columns.len());
    for column in &columns {
        let json = object.get(column.name.as_str()).unwrap_or(&Json::Null);
        match rows::value(column.kind, json) {
            Ok(value) => values.push(value),
            Err(text) => {
                let text = format!("{}: {text}", column.name);
                dissection.broken.get_or_insert(Broken { offset: at, text, incomplete: false });
                values.push(Value::Null);
            }
        }
    }
    for name in object.keys() {
        if !columns.iter().any(|column| column.name.as_str() == name) {
            let text = format!("{name} is no column of the profile");
            dissection.broken.get_or_insert(Broken { offset: at, text, incomplete: false });
        }
    }
    let mut whose = at;
    for (column, value) in columns.iter().zip(&values).filter(|(_, value)| **value != Value::Null) {
        // The place of the column's name in the line; JSON has no fixed places.
        let quoted = format!("\"{}\"", column.name);
        let place = find(line, quoted.as_bytes()).map_or(whose, |place| at + place);
        whose = place;
        dissection.field(column.name.as_str(), place, quoted.len(), sql::shown(value), meaning(profile, column, value));
    }
    if dissection.broken.is_none() {
        match Entry::read(profile, &columns, &values) {
            Ok(entry) => dissection.title = format!("entry {}", entry.command.name()),
            // An answer has no command: only what the platform wrote.
            Err(_) if value_of(&columns, &values, &profile.command) == &Value::Null => {
                "answer".clone_into(&mut dissection.title);
            }
            Err(error) => {
                dissection.broken = Some(Broken { offset: at, text: error.to_string(), incomplete: false });
            }
        }
    }
    dissection
}

fn value_of<'a>(columns: &[Column], values: &'a [Value], wanted: &Column) -> &'a Value {
    columns.iter().zip(values).find(|(column, _)| *column == wanted).map_or(&Value::Null, |(_, value)| value)
}

fn meaning(profile: &Profile, column: &Column, value: &Value) -> String {
    if *column == profile.state {
        return match profile.states.meaning(value) {
            State::Open => "not processed yet",
            State::Done => "processed, and done",
            State::Failed => "processed, and refused",
            State::Unknown => "not in the profile",
        }
        .to_owned();
    }
    if *column == profile.command {
        return profile.command_of(value).map_or("not in the profile", |(name, _)| name.name()).to_owned();
    }
    if *column == profile.key.column {
        return "by which Headgate finds the entry".to_owned();
    }
    if Some(column) == profile.answer.code.as_ref() {
        return profile.meaning(value).unwrap_or("not in the profile").to_owned();
    }
    match &profile.encoding {
        Encoding::Columns(places) => {
            let parameter = places.iter().find(|(_, place)| place.column == *column);
            parameter.map_or(String::new(), |(parameter, _)| parameter.name().to_owned())
        }
        Encoding::Delimited { place, delimiter, .. } if place.column == *column => {
            format!("parameters, with {delimiter:?} between them")
        }
        Encoding::Delimited { .. } => String::new(),
    }
}

fn find(line: &[u8], part: &[u8]) -> Option<usize> {
    line.windows(part.len().max(1)).position(|window| window == part)
}

/// The statements that would put a request's entries in, each with the values it binds.
///
/// # Errors
/// [`EncodeError`] if the settings can not be, or the request can not be put into entries.
pub fn encode(provider: &Provider, settings: &Json, now: Now, request: &Request) -> Result<Vec<Encoded>, EncodeError> {
    let plan = Plan::new(Site::read(settings)?, provider.services.clone());
    let profile = &plan.site.profile;
    if matches!(request.command, headgate_core::command::Command::TestConnection) {
        let select = super::adapter::harmless(profile);
        let bytes = sql::select(Dialect::Postgres, &select).to_string().into();
        return Ok(vec![Encoded { title: format!("reading a row of {} (PostgreSQL)", profile.table), bytes }]);
    }
    let parts = plan.parts(request)?;
    let keys = first_ids(profile, now.wall, request, parts.len());
    let mut encoded = Vec::with_capacity(parts.len());
    for (index, (part, key)) in parts.iter().zip(keys).enumerate() {
        let wrong = |error: super::wire::WriteError| {
            headgate_core::body::Refusal::new(error.parameter.field(), "out_of_range", error.text)
        };
        let row = part.entry.write(profile, &key, now.wall).map_err(wrong)?;
        let columns = std::sync::Arc::clone(&profile.written);
        let insert = Insert { table: profile.table.clone(), columns, key: 0, rows: vec![row], again: false };
        let title = format!("row {} of {} into {} (PostgreSQL)", index + 1, parts.len(), profile.table);
        encoded
            .push(Encoded { title, bytes: sql::insert(Dialect::Postgres, &insert, &insert.rows).to_string().into() });
    }
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{provider, start, submission};

    const ROW: &str = concat!(
        r#"{"entry_id":"k","command":"ADD_SUBSCRIPTION","state":"NEW","service_ca_id":"41","card_ca_id":"0145"}"#,
        "\n"
    );

    fn explained(text: &str) -> Vec<Dissection> {
        explain(&Profile::shipped().unwrap(), text.as_bytes())
    }

    #[test]
    fn a_row_is_explained_column_by_column() {
        let answer = r#"{"entry_id":"k","state":"ERROR","error_code":"E201","error_text":"no such card"}"#;
        let [entry, answer] = explained(&format!("{ROW}{answer}")).try_into().unwrap();
        assert_eq!((entry.title.as_str(), entry.broken), ("entry add_subscription", None));
        let field = |name: &str| entry.fields.iter().find(|field| field.name == name).unwrap();
        assert_eq!((field("state").value.as_str(), field("state").meaning.as_str()), ("\"NEW\"", "not processed yet"));
        assert_eq!(field("card_ca_id").meaning, "card");
        assert_eq!(&ROW[field("state").offset..][..field("state").length], "\"state\"");
        assert_eq!((answer.title.as_str(), answer.broken), ("answer", None));
        let code = answer.fields.iter().find(|field| field.name == "error_code").unwrap();
        assert_eq!(code.meaning, "unknown smartcard");
    }

    #[test]
    fn a_row_that_is_none_is_told_where_it_breaks() {
        for (text, offset, told) in [
            ("[]", 0, "expected an object"),
            ("\u{0}", 0, "is no JSON"),
            (r#"{"entry_id":7}"#, 0, "entry_id: must be a text"),
            (r#"{"colour":7}"#, 0, "colour is no column"),
            (r#"{"command":"DANCE"}"#, 0, "command: is no command of the profile"),
            (r#"{"command":"PAIR","card_ca_id":"1"}"#, 0, "command: pair has no stb"),
        ] {
            let broken = explained(text).remove(0).broken.unwrap();
            assert!(broken.offset == offset && broken.text.contains(told), "{text}: {broken:?}");
        }
        let half = explained(&format!("{ROW}{}", &ROW[..20])).remove(1).broken.unwrap();
        assert!(half.incomplete && half.offset > ROW.len(), "{half:?}");
        assert!(explained(" \n\n").is_empty());
    }

    #[test]
    fn a_request_is_shown_as_statements_with_bound_values() {
        let request = submission(
            1,
            r#"{"command":"activate_services","subscription":"S'1","smartcards":["1","2"],"services":["GOLD"]}"#,
        );
        let encoded = encode(&provider(&[("GOLD", "41")]), &serde_json::json!({}), start(), &request.request).unwrap();
        assert_eq!(encoded.len(), 2);
        let text = String::from_utf8(encoded[1].bytes.to_vec()).unwrap();
        assert!(text.starts_with("INSERT INTO \"tqueue\" (\"entry_id\", \"command\", \"state\""), "{text}");
        assert!(text.contains("subscription_id = \"S'1\"") && text.contains("card_ca_id = \"2\""), "{text}");
        assert!(!text.lines().next().unwrap().contains("S'1"), "{text}");
    }
}
