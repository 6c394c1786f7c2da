//! What is refused before anything is sent, and the form of raw calls.

use headgate_core::body::Refusal;
use headgate_core::command::{Command, Subscriber};
use headgate_core::http::HttpCall;
use headgate_core::request::Request;
use headgate_core::text::Serial;

use super::settings::{SdpSettings, is_xml_name};
use crate::http::soap;
use crate::nagra_medialive::capabilities::only;
use crate::xml;

/// Most characters of an account's number \[S21\].
const LONGEST_NUMBER: usize = 20;

/// Most bytes of a raw element.
const LONGEST_RAW: usize = 1 << 20;

/// Checks what only this generation knows.
pub(in crate::nagra_medialive) fn check(settings: &SdpSettings, request: &Request) -> Result<(), Refusal> {
    if request.account_number().is_some_and(|number| number.chars().count() > LONGEST_NUMBER) {
        let field = if request.account.is_some() { "account" } else { "subscription" };
        return Err(Refusal::new(
            field,
            "too_long",
            format!("has at most {LONGEST_NUMBER} characters at this platform"),
        ));
    }
    let stbs = request.command.devices().map_or(&[][..], |devices| &devices.stbs);
    let is_number = |stb: &Serial| stb.as_str().len() <= 19 && stb.as_str().bytes().all(|b| b.is_ascii_digit());
    if settings.device_key == "uid" && !stbs.iter().all(is_number) {
        let detail = "must be the platform's uid of the box, up to 19 digits; `sdp.device_key` can name it otherwise";
        return Err(Refusal::new("stb", "bad_number", detail));
    }
    match &request.command {
        Command::CreateSubscriber(subscriber) => check_subscriber(subscriber),
        Command::Raw(raw) => raw_call(settings, &raw.payload).map(drop),
        _ => Ok(()),
    }
}

fn check_subscriber(subscriber: &Subscriber) -> Result<(), Refusal> {
    let kept = [
        "first_name",
        "last_name",
        "login",
        "password",
        "pin",
        "email",
        "address/street",
        "address/city",
        "address/country",
    ];
    only(subscriber, &kept)?;
    for name in subscriber.attributes.keys() {
        let field = || format!("subscriber/attributes/{name}");
        if !is_xml_name(name) {
            return Err(Refusal::new(field(), "bad_character", "is not the name of an XML element"));
        }
        if ["accountNumber", "status", "uid"].contains(&name.as_str()) {
            return Err(Refusal::new(field(), "conflicting_fields", "is written by Headgate"));
        }
    }
    let street = subscriber.address.as_ref().and_then(|address| address.street.as_ref());
    for (field, text, most) in
        [("subscriber/last_name", subscriber.last_name.as_ref(), 100), ("subscriber/address/street", street, 150)]
    {
        if text.is_some_and(|text| text.as_str().chars().count() > most) {
            return Err(Refusal::new(field, "too_long", format!("has at most {most} characters at this platform")));
        }
    }
    Ok(())
}

/// The caller's element in an envelope, for the service that its namespace names.
pub(super) fn raw_call(settings: &SdpSettings, payload: &[u8]) -> Result<HttpCall, Refusal> {
    let wrong =
        |error: xml::XmlError| Refusal::new("payload", "bad_payload", format!("must be one XML element: {error}"));
    let body = soap::wrap(payload, LONGEST_RAW).map_err(wrong)?;
    let namespace = xml::parse(payload, LONGEST_RAW).map_err(wrong)?.namespace;
    let of_accounts = namespace.as_deref() == Some(settings.namespaces.account_service.as_str());
    let path = if of_accounts { &settings.account_service } else { &settings.sms_service };
    Ok(HttpCall::post(path.clone(), soap::CONTENT_TYPE, body).header("soapaction", "\"\""))
}
