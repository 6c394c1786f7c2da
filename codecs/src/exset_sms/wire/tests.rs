use headgate_core::table::Identifier;
use proptest::prelude::*;

use super::super::profile::SHIPPED;
use super::*;

fn shipped() -> Profile {
    Profile::shipped().unwrap()
}

/// The shipped profile with its parameters in one text.
fn delimited(escape: &str) -> Profile {
    let parameters = [
        "subscription_id",
        "distributor",
        "service_ca_id",
        "card_ca_id",
        "stb_id",
        "message_kind",
        "message",
        "show_at",
        "seconds",
        "repeat_count",
        "repeat_seconds",
    ];
    let (head, rest) = SHIPPED.split_once("[parameters]").unwrap();
    let (_, tail) = rest.split_once("[commands.add_subscription]").unwrap();
    let head: String = head
        .lines()
        .filter(|line| !parameters.iter().any(|name| line.starts_with(&format!("{name} = "))))
        .map(|line| {
            if line == "[columns]" {
                "[columns]\nparams = { type = \"text\", max = 200 }\n".into()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    let text = format!(
        "{head}[parameters]\nencoding = \"delimited\"\ncolumn = \"params\"\ndelimiter = \"|\"\n{escape}\n[commands.add_subscription]{}",
        tail.replace("parameters = [", "parameters = [\"entry_id\", ")
    );
    Profile::from_toml(&text).unwrap()
}

fn entry(command: CommandName, parameters: &[(ParameterName, Value)]) -> Entry {
    Entry { command, parameters: parameters.iter().cloned().collect() }
}

fn message(text: &str) -> Entry {
    let parameters = [(ParameterName::Card, Value::text("0145")), (ParameterName::Text, Value::text(text))];
    entry(CommandName::Message, &parameters)
}

const KEY: &str = "019c2f7e-8a00-7abc-9def-0123456a7000";

fn written(profile: &Profile, entry: &Entry) -> Result<Row, WriteError> {
    entry.write(profile, &Value::text(KEY), Timestamp::UNIX_EPOCH)
}

#[test]
fn an_entry_has_its_place_in_every_column() {
    let profile = shipped();
    let entry = entry(
        CommandName::AddSubscription,
        &[
            (ParameterName::Subscription, Value::text("S1")),
            (ParameterName::Distributor, Value::text("1")),
            (ParameterName::Service, Value::text("41")),
            (ParameterName::Card, Value::text("0145")),
        ],
    );
    let row = written(&profile, &entry).unwrap();
    let shown: Vec<String> = profile
        .written
        .iter()
        .zip(&row)
        .filter(|(_, value)| **value != Value::Null)
        .map(|(column, value)| format!("{}={}", column.name, crate::sql::shown(value)))
        .collect();
    let key = format!("entry_id=\"{KEY}\"");
    assert_eq!(
        shown,
        [
            &key,
            "command=\"ADD_SUBSCRIPTION\"",
            "state=\"NEW\"",
            "created_at=1970-01-01T00:00:00Z",
            "subscription_id=\"S1\"",
            "distributor=\"1\"",
            "service_ca_id=\"41\"",
            "card_ca_id=\"0145\""
        ]
    );
    assert_eq!(Entry::read(&profile, &profile.written, &row), Ok(entry));
}

#[test]
fn parameters_in_one_text_are_escaped_or_refused() {
    let entry = message("a|b\\c");
    let row = written(&delimited("escape = '\\'"), &entry).unwrap();
    assert_eq!(row.last(), Some(&Value::Text(format!("{KEY}||0145||a\\|b\\\\c||||"))));
    let read = Entry::read(&delimited("escape = '\\'"), &delimited("").written, &row).unwrap();
    assert_eq!(read.parameters[&ParameterName::Text], Value::text("a|b\\c"));
    let refused = written(&delimited(""), &entry).unwrap_err();
    assert_eq!(refused.to_string(), "text: must not hold '|' here: it stands between parameters");
    let long = written(&delimited(""), &message(&"x".repeat(153))).unwrap_err();
    assert_eq!(long.to_string(), "text: has 201 characters; the column takes 200");
}

#[test]
fn what_a_column_does_not_take_is_refused() {
    let profile = shipped();
    let long = written(&profile, &message(&"ä".repeat(501))).unwrap_err();
    assert_eq!(long.to_string(), "text: has 501 characters; the column takes 500");
    assert!(written(&profile, &message(&"ä".repeat(500))).is_ok());
    let numbers = SHIPPED.replace("card_ca_id = { type = \"text\", max = 64 }", "card_ca_id = { type = \"integer\" }");
    let numbers = Profile::from_toml(&numbers).unwrap();
    let card = |text: &str| written(&numbers, &entry(CommandName::Recall, &[(ParameterName::Card, Value::text(text))]));
    assert!(card("0145").unwrap().contains(&Value::Integer(145)));
    for wrong in ["01-45", "-145", "", "99999999999999999999"] {
        assert!(card(wrong).unwrap_err().to_string().starts_with("card: must be a whole number"), "{wrong}");
    }
}

#[test]
fn a_row_that_is_no_entry_is_told() {
    let profile = shipped();
    let mut row = written(&profile, &message("x")).unwrap();
    let read = |row: &[Value]| Entry::read(&profile, &profile.written, row).unwrap_err();
    row[1] = Value::text("DANCE");
    let error = read(&row);
    assert_eq!((error.to_string().as_str(), error.command_known), ("command: is no command of the profile", false));
    row[1] = Value::text("PAIR");
    let error = read(&row);
    assert_eq!((error.to_string().as_str(), error.command_known), ("command: pair has no stb", true));
    assert!(read(&[]).to_string().contains("is no command"));
    let unknown = Column { name: Identifier::new("x").unwrap(), kind: ValueKind::Text };
    assert!(Entry::read(&profile, &[unknown], &[Value::text("x")]).is_err());
}

proptest! {
    #[test]
    fn any_text_reads_back(text in ".{1,100}") {
        for profile in [shipped(), delimited("escape = '\\'")] {
            let entry = message(&text);
            if let Ok(row) = written(&profile, &entry) {
                let read = Entry::read(&profile, &profile.written, &row).unwrap();
                prop_assert_eq!(read.parameters.get(&ParameterName::Text), entry.parameters.get(&ParameterName::Text));
            }
        }
    }
}
