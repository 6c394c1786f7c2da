//! The messages of each protocol, as bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use headgate_codecs::registry;
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::text::{CaId, ProviderName, ServiceCode};
use headgate_core::{Now, Tick};
use jiff::Timestamp;
use serde_json::Value;

/// One request for each message that an order file can carry.
pub const CONAX_REQUESTS: &[&str] = &[
    r#"{"provider":"p","command":"activate_services","services":["BASIC"],"smartcard":"01450000011"}"#,
    r#"{"provider":"p","command":"deactivate_services","services":["BASIC"],"smartcard":"01450000011"}"#,
    r#"{"provider":"p","command":"get_services","smartcard":"01450000011"}"#,
    r#"{"provider":"p","command":"pair","smartcard":"01450000011","stb":"0012345"}"#,
    r#"{"provider":"p","command":"unpair","stb":"0012345"}"#,
    r#"{"provider":"p","command":"send_message","smartcard":"01450000011","message":{"kind":"bark","text":"HELLO"}}"#,
];

/// Requests that together need every command of the shipped profile but the session's opening.
pub const NAGRAVISION_REQUESTS: &[&str] = &[
    r#"{"provider":"p","command":"activate_services","services":["BASIC"],"smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"activate_services","services":["BASIC","SPORT"],"smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"deactivate_services","services":["BASIC"],"smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"deactivate_services","services":"all","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"suspend","services":["BASIC"],"smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"suspend","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"resume","services":["BASIC"],"smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"resume","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"refresh_services","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"enable_device","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"disable_device","reason":"lost","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"pair","smartcard":"0000004001","stb":"AB12"}"#,
    r#"{"provider":"p","command":"unpair","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"set_pin","smartcard":"0000004001","pin":"4321"}"#,
    r#"{"provider":"p","command":"reset_pin","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"clear_pin","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"send_message","smartcard":"0000004001","message":{"kind":"mail","text":"HELLO"}}"#,
    r#"{"provider":"p","command":"send_message","smartcard":"0000004001","message":{"kind":"bark","text":"HELLO"}}"#,
    r#"{"provider":"p","command":"send_message","smartcard":"0000004001","message":{"kind":"repeating_bark","text":"HELLO","repeat_count":3,"repeat_interval_seconds":60}}"#,
    r#"{"provider":"p","command":"fingerprint","smartcard":"0000004001","duration_seconds":10}"#,
    r#"{"provider":"p","command":"get_services","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"get_pairing","smartcard":"0000004001"}"#,
    r#"{"provider":"p","command":"test_connection"}"#,
];

/// The shipped profile's root header, before the command number.
const HEADER: &str = "00000004205001710010000320260115";

/// Messages of the shipped profile that no request makes, behind their header.
const NAGRAVISION_OTHERS: &[(&str, &str)] = &[
    ("open_session", "1001headgate        06secret"),
    ("ack", "90000002"),
    ("ack held_products", "90005001002101         20260115202612310SPORT       20260115000000001"),
    ("ack held_pairing", "90005002001AB12            "),
    ("nack", "900100020201017unknown smartcard"),
];

/// The messages of [`CONAX_REQUESTS`]: file names and contents.
#[must_use]
pub fn conax() -> BTreeMap<String, Bytes> {
    encoded("conax-sms", CONAX_REQUESTS)
}

/// Every message of the shipped Nagravision profile, without the frame's length.
#[must_use]
pub fn nagravision() -> BTreeMap<String, Bytes> {
    const LENGTH: usize = 2;
    let mut messages = encoded("nagravision-smsgw", NAGRAVISION_REQUESTS);
    for bytes in messages.values_mut() {
        *bytes = bytes.slice(LENGTH..);
    }
    let others = NAGRAVISION_OTHERS.iter().map(|(name, text)| ((*name).to_owned(), format!("{HEADER}{text}").into()));
    messages.extend(others);
    messages
}

/// A Conax status answer for that many cards of three products each.
#[must_use]
pub fn conax_status(cards: usize) -> Vec<u8> {
    let mut xml = String::from("<AuthorisationStatuses>\n");
    for card in 0..cards {
        let _ = writeln!(xml, r#"  <AuthorisationStatus cardNo="01{card:09}">"#);
        for product in 41..44 {
            let _ = writeln!(
                xml,
                r#"    <Product id="{product}"><AuthorisationEnd year="2027" month="12" day="31"/></Product>"#
            );
        }
        xml.push_str("  </AuthorisationStatus>\n");
    }
    xml.push_str("</AuthorisationStatuses>\n");
    xml.into()
}

/// A Conax `errors.txt` of that many entries.
#[must_use]
pub fn conax_errors(entries: usize) -> Vec<u8> {
    (1..=entries).flat_map(|number| format!("ps{number:06}.emm\r\nERR_CARDNUM,10\r\n").into_bytes()).collect()
}

/// The messages that requests become, by title.
fn encoded(protocol: &str, requests: &[&str]) -> BTreeMap<String, Bytes> {
    let protocol = registry::find(protocol).expect("a protocol of the registry");
    let settings = Value::Object(serde_json::Map::new());
    let now = Now { tick: Tick::default(), wall: "2026-11-24T12:00:00Z".parse::<Timestamp>().expect("a time") };
    let provider = provider();
    let mut messages = BTreeMap::new();
    for (number, json) in requests.iter().enumerate() {
        let request = crate::request(number as u64, json);
        let parts = (protocol.encode)(&provider, &settings, now, &request).expect("a command it can say");
        for part in parts {
            // Two kinds of order may share a file type, and thereby a name.
            let known = messages.contains_key(&part.title);
            let title = if known { format!("{} {}", part.title, request.command.kind()) } else { part.title };
            messages.insert(title, part.bytes);
        }
    }
    messages
}

fn provider() -> Provider {
    let services: BTreeMap<_, _> = [("BASIC", "41"), ("SPORT", "42")]
        .map(|(code, ca_id)| (ServiceCode::new(code).expect("a code"), CaId::new(ca_id).expect("an id")))
        .into();
    Provider {
        name: ProviderName::new("p").expect("a name"),
        services: ServiceMap::from(services),
        limits: Limits::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
    }
}
