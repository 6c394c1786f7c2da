//! The subscriber's record \[S1\]: what the platform is told of whom.

use headgate_core::body::Refusal;
use headgate_core::command::Subscriber;
use headgate_core::text::PersonalText;

use super::settings::Settings;
use super::wire::value::{List, Record, Value};

/// The record's own texts that a request may give as attributes.
const ATTRIBUTES: [&str; 5] = ["supervisor", "comment", "technicalNotes", "regionId", "caf"];

/// Checks what is told of a new subscriber.
///
/// # Errors
/// [`Refusal`] naming what is missing, or what the platform does not take.
pub fn check_new(told: &Subscriber, settings: &Settings) -> Result<(), Refusal> {
    check_known(told)?;
    if told.region.is_none() && settings.headcontrol.is_none() {
        let detail = "name the headcontrol, or set `settings.headcontrol`";
        return Err(Refusal::new("subscriber/region", "missing_field", detail));
    }
    if country(told).is_none() && settings.country.is_none() {
        let detail = "name the country, or set `settings.country`";
        return Err(Refusal::new("subscriber/address/country", "missing_field", detail));
    }
    Ok(())
}

/// Checks what shall change.
///
/// # Errors
/// [`Refusal`] naming what the platform does not change.
pub fn check_change(told: &Subscriber) -> Result<(), Refusal> {
    check_known(told)?;
    let address = told.address.as_ref();
    let beyond_country = address.is_some_and(|a| a.street.is_some() || a.postal_code.is_some() || a.city.is_some());
    for (given, field) in [
        (told.email.is_some(), "subscriber/email"),
        (told.phone.is_some(), "subscriber/phone"),
        (beyond_country, "subscriber/address"),
    ] {
        if given {
            let detail = "the platform changes contacts and addresses one by one only: use raw";
            return Err(Refusal::new(field, "superfluous_field", detail));
        }
    }
    Ok(())
}

/// The record of a new subscriber.
#[must_use]
pub fn new_record(code: &str, told: &Subscriber, settings: &Settings) -> Record {
    let mut record = Record::new("Subscriber");
    record.set("code", Value::Text(code.to_owned()));
    let hc_id = told.region.as_ref().map(|region| region.as_str().to_owned()).or_else(|| settings.headcontrol.clone());
    record.set("hcId", hc_id.map_or(Value::Absent, Value::Text));
    let default = settings.country.as_ref().map(|country| country.to_ascii_uppercase());
    record.set("countryCode", country(told).or(default).map_or(Value::Absent, Value::Text));
    names(&mut record, told);
    let contacts = [("email", &told.email), ("phone", &told.phone)];
    let contacts = contacts.into_iter().filter_map(|(kind, text)| text.as_ref().map(|text| contact(kind, text)));
    record.set("contacts", list("Contacts", contacts.collect()));
    let addresses = told.address.as_ref().map(|address| {
        let mut private = Record::new("Address");
        private.set("type", Value::Text("private".into()));
        let parts = [
            ("country", &address.country),
            ("city", &address.city),
            ("zip", &address.postal_code),
            ("street", &address.street),
        ];
        for (name, part) in parts {
            if let Some(part) = part {
                private.set(name, text(part));
            }
        }
        Value::Record(private)
    });
    record.set("addresses", list("Addresses", addresses.into_iter().collect()));
    record
}

/// The record as it was, with what shall change.
#[must_use]
pub fn changed_record(before: &Record, told: &Subscriber) -> Record {
    // Cards, contacts and addresses have operations of their own, and are left alone by this one.
    let kept = |name: &str| !matches!(name, "contacts" | "addresses" | "smartcards");
    let members = before.members.iter().filter(|(name, _)| kept(name)).cloned().collect();
    let mut record = Record { kind: "Subscriber".into(), members };
    if let Some(region) = &told.region {
        record.set("hcId", Value::Text(region.as_str().to_owned()));
    }
    if let Some(country) = country(told) {
        record.set("countryCode", Value::Text(country));
    }
    names(&mut record, told);
    record
}

fn check_known(told: &Subscriber) -> Result<(), Refusal> {
    for (given, field) in [
        (told.login.is_some(), "subscriber/login"),
        (told.password.is_some(), "subscriber/password"),
        (told.pin.is_some(), "subscriber/pin"),
        (told.language.is_some(), "subscriber/language"),
        (told.since.is_some(), "subscriber/since"),
    ] {
        if given {
            return Err(Refusal::new(field, "superfluous_field", "the platform does not take it with a subscriber"));
        }
    }
    match told.attributes.keys().find(|name| !ATTRIBUTES.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let detail = format!("is not one of {}", ATTRIBUTES.join(", "));
            Err(Refusal::new(format!("subscriber/attributes/{name}"), "superfluous_field", detail))
        }
    }
}

fn names(record: &mut Record, told: &Subscriber) {
    for (name, given) in [("lastName", &told.last_name), ("firstName", &told.first_name)] {
        if let Some(given) = given {
            record.set(name, text(given));
        }
    }
    for (name, value) in &told.attributes {
        if let Some(name) = ATTRIBUTES.iter().find(|known| *known == name) {
            record.set(*name, text(value));
        }
    }
}

fn contact(kind: &str, value: &PersonalText) -> Value {
    let mut contact = Record::new("Contact");
    contact.set("type", Value::Text(kind.to_owned()));
    contact.set("isBusiness", Value::Bool(false));
    contact.set("contact", text(value));
    Value::Record(contact)
}

fn list(kind: &'static str, items: Vec<Value>) -> Value {
    if items.is_empty() { Value::Absent } else { Value::List(List { kind: kind.into(), items }) }
}

fn text(text: &PersonalText) -> Value {
    Value::Text(text.as_str().to_owned())
}

fn country(told: &Subscriber) -> Option<String> {
    told.address.as_ref()?.country.as_ref().map(|country| country.as_str().to_ascii_uppercase())
}
