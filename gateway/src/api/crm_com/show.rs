//! A request as CRM.COM shows it \[S:A-CMN, A-CWS\].

use headgate_codecs::crm_com::envelope::UtcOffset;
use headgate_core::command::CommandKind;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// CRM.COM's types, and the commands that they are here \[S:A-CWS\]; every other command has its own name in capitals.
const TYPES: [(&str, CommandKind); 8] = [
    ("ADD_SUBSCRIPTIONS", CommandKind::ActivateServices),
    ("CANCEL_SUBSCRIPTIONS", CommandKind::DeactivateServices),
    ("GET_ACTIVE_SUBSCRIPTIONS", CommandKind::GetServices),
    ("CREATE_PAIRING", CommandKind::Pair),
    ("ADD_TO_EXISTING_PAIRING", CommandKind::AddToPairing),
    ("GET_PAIRING_STATUS_FOR_CARD", CommandKind::GetPairing),
    ("DISPLAY_FINGERPRINT", CommandKind::Fingerprint),
    ("UPDATE_CA_PIN_TO_GIVEN_VALUE", CommandKind::SetPin),
];

/// CRM.COM's name of a command.
pub(super) fn type_of(command: &str) -> String {
    let known = TYPES.iter().find(|(_, kind)| kind.name() == command);
    known.map_or_else(|| command.to_ascii_uppercase(), |(name, _)| (*name).to_owned())
}

/// The command of a type, by CRM.COM's name or Headgate's own.
pub(super) fn command_of(name: &str) -> Option<CommandKind> {
    let known = TYPES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    known.or_else(|| CommandKind::ALL.iter().copied().find(|kind| kind.name().to_ascii_uppercase() == name))
}

/// A request, out of the view that the API has of it. What was sent and received is not shown: it may hold PINs.
pub(super) fn request(view: &Value, offset: UtcOffset) -> Value {
    let time = |name: &str| {
        let text = view[name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        text.map(|time| offset.write(time))
    };
    let text = |name: &str| view[name].as_str();
    json!({
        "id": view["id"],
        "number": view["number"].to_string(),
        "type": type_of(text("command").unwrap_or_default()),
        "sequence_number": null,
        "scheduled_date": time("not_before").or_else(|| time("created")),
        "executed_date": time("sent"),
        "priority": text("priority").map(str::to_ascii_uppercase),
        "process_immediately": view["process"] == "now",
        "life_cycle_state": view["crm_state"],
        "request": null,
        "response": null,
        "reference_number": view["platform_reference"],
        "error_code": view["failure"]["code"],
        "error_description": view["failure"]["text"],
        "process_name": null,
        "process_id": null,
        "provisioning_provider": { "name": view["provider"] },
        "subscription": text("subscription").map(|number| json!({ "number": number })),
        "parameters_set": parameters(&view["arguments"]),
        "log_information": { "created_date": time("created"), "updated_date": time("finished") },
    })
}

/// What a command is about, each with a place instead of an id.
fn parameters(arguments: &Value) -> Vec<Value> {
    let names = [
        ("services", "service_code"),
        ("smartcard", "smartcard_ca_id"),
        ("smartcards", "smartcard_ca_id"),
        ("stb", "stb_ca_id"),
        ("stbs", "stb_ca_id"),
    ];
    let values = names.iter().flat_map(|(argument, name)| {
        let values = match &arguments[*argument] {
            Value::Array(values) => values.clone(),
            Value::Null => Vec::new(),
            value => vec![value.clone()],
        };
        values.into_iter().map(|value| (*name, value))
    });
    (1..).zip(values).map(|(place, (name, value)): (u32, _)| json!({ "id": place.to_string(), name: value })).collect()
}

/// Only the members that a caller wants: a list with commas between; empty: all.
pub(super) fn only(data: Value, fields_set: &str) -> Value {
    let wanted: Vec<_> = fields_set.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if wanted.is_empty() {
        return data;
    }
    match data {
        Value::Object(members) => {
            let kept: Map<String, Value> =
                members.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect();
            Value::Object(kept)
        }
        other => other,
    }
}
