use serde_json::json;

use super::super::PROTOCOL;
use super::super::wire::samples::samples;
use super::*;
use crate::test_support::{provider, start, submission};

fn shipped() -> Profile {
    Profile::shipped().unwrap()
}

/// Every sample in its frame, one after the other.
fn stream() -> Vec<u8> {
    let frame = |bytes: &str| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes.as_bytes()].concat();
    samples().iter().flat_map(|sample| frame(sample.bytes)).collect()
}

/// The fields must stand one behind the other, without gaps.
fn assert_gapless(dissection: &Dissection, start: usize) -> usize {
    dissection.fields.iter().fold(start, |at, field| {
        assert_eq!(field.offset, at, "{} of {}", field.name, dissection.title);
        at + field.length
    })
}

#[test]
fn every_byte_of_every_message_is_explained() {
    let bytes = stream();
    let dissections = decode(&shipped(), &bytes);
    assert_eq!(dissections.len(), samples().len());
    let end = dissections.iter().fold(0, |at, dissection| {
        assert_eq!(dissection.broken, None, "{}", dissection.title);
        assert_gapless(dissection, at)
    });
    assert_eq!(end, bytes.len());
}

#[test]
fn fields_are_shown_with_their_meaning_and_secrets_are_not() {
    let dissections = decode(&shipped(), &stream());
    let field = |title: &str, name: &str| {
        let found = dissections.iter().filter(|d| d.title == title).flat_map(|d| &d.fields).find(|f| f.name == name);
        let found = found.unwrap_or_else(|| panic!("{title} {name}"));
        (found.value.as_str(), found.meaning.as_str())
    };
    assert_eq!(field("add_product", "length"), ("0050", "80 bytes follow"));
    assert_eq!(field("add_product", "transaction_number"), ("000000042", "ties an answer to its request"));
    assert_eq!(field("add_product", "command_type"), ("05", "other"));
    assert_eq!(field("add_product", "begin_date"), ("2026-01-15", "first day"));
    assert_eq!(field("disable_card", "reason"), ("03", "stolen"));
    assert_eq!(field("set_pin", "pin"), ("***", "PIN"));
    assert_eq!(field("open_session", "password").0, "***");
    assert_eq!(field("refusal of add_product", "code"), ("0201", "unknown smartcard"));
    assert_eq!(field("acknowledgement of held_products", "products[1].product"), ("SPORT", "product id"));
    assert_eq!(field("unknown command 7777", "command_number"), ("7777", "not in the profile"));
}

#[test]
fn a_broken_message_is_explained_up_to_where_it_breaks() {
    let mut bytes = stream();
    bytes.truncate(82 + 10);
    let dissections = decode(&shipped(), &bytes);
    let broken = dissections[1].broken.as_ref().unwrap();
    assert_eq!((dissections.len(), broken.offset, broken.incomplete), (2, 92, true));

    let mut bytes = stream();
    // The first digit of the begin date of the first message, behind the length.
    bytes[2 + 64] = b'x';
    let broken = decode(&shipped(), &bytes)[0].broken.clone().unwrap();
    assert_eq!((broken.offset, broken.text.as_str()), (66, "begin_date is no day of the form YYYYMMDD"));
    assert_eq!(assert_gapless(&decode(&shipped(), &bytes)[0], 0), 66);

    let broken = decode(&shipped(), b"\xff\xff....")[0].broken.clone().unwrap();
    assert_eq!((broken.offset, broken.incomplete), (0, false));
}

#[test]
fn commands_are_written_without_being_sent() {
    let provider = provider(&[("BASIC", "101"), ("SPORT", "SPORT")]);
    let json = r#"{"command":"set_services","smartcard":"1","services":["BASIC","SPORT"]}"#;
    let request = submission(1, json).request;
    let frames = (PROTOCOL.encode)(&provider, &json!({}), start(), &request).unwrap();
    let titles: Vec<_> = frames.iter().map(|frame| frame.title.as_str()).collect();
    assert_eq!(titles, ["cancel_all", "add_products"]);
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes.to_vec()).collect();
    let explained = (PROTOCOL.decode)(&json!({}), None, &bytes).unwrap();
    assert!(explained.iter().all(|dissection| dissection.broken.is_none()));
    let missing = submission(1, r#"{"command":"clear_pin"}"#).request;
    assert!((PROTOCOL.encode)(&provider, &json!({}), start(), &missing).is_err());
}
