//! What the fuzz targets call. Each must return for every input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use headgate_core::adapter::Rules;
use headgate_core::command::{Audience, Command, Devices, Message, MessageKind};
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::request::{Body, Priority, Process, Request, RequestId, Source};
use headgate_core::text::{ProviderName, Serial};
use headgate_core::{Now, Tick};
use jiff::Timestamp;

use super::dissect::Described;
use super::draft::{Signer, Unsigned};
use super::profile::{Environment, Profile};
use super::protocol::TemplateProtocol;
use super::scope::Context;
use super::{Speech, TemplatePlatform};
use crate::http::{Backend, form, soap};
use crate::registry::Stock;

/// A profile that writes a text into every kind of place.
const EVERYWHERE: &str = r#"
messages = { mail = 100000 }
[operations.json]
command = "send_message"
when = { to = "devices" }
path = "/json/{smartcard}"
smartcards = 1
query = [["q", "{text}"]]
json = { text = "{text}", nested = [{ again = "x{text}y" }] }
[operations.xml]
command = "send_message"
when = { to = "everybody" }
path = "/xml"
xml = '<a b="{text}"><t>{text}</t></a>'
[operations.form]
command = "send_message"
when = { to = "subscriber" }
path = "/form"
form = [["a", "{text}"], ["b", "2"]]
"#;

static SPEECH: LazyLock<Option<Speech>> = LazyLock::new(|| {
    let environment = Environment { vars: BTreeSet::new(), signer: &Unsigned };
    let profile = Profile::from_toml(EVERYWHERE, &environment).ok()?;
    Speech::new(profile, &provider()?, Context::default(), Arc::new(Unsigned)).ok()
});

/// Reading a profile never panics.
pub fn profile_never_panics(text: &str) {
    let environment = Environment { vars: BTreeSet::from(["a".to_owned()]), signer: &Unsigned };
    if let Ok(profile) = Profile::from_toml(text, &environment) {
        let _ = profile.capabilities();
        answers_never_panic(&profile, text.as_bytes());
        platform_never_panics(profile, Arc::new(Unsigned), text.as_bytes());
    }
}

/// Whatever a text holds, it arrives as it is or is refused, and nothing else of the call changes.
///
/// # Panics
/// If it does not: that is the finding.
pub fn values_stay_in_their_place(text: &str) {
    let Some(speech) = &*SPEECH else { return };
    let write = |audience: Audience| {
        let request = message(text, audience)?;
        let whole = speech.scope(now(), &request);
        speech.check(&request).ok()?;
        let unit = speech.units(&whole).ok()?.into_iter().next()?;
        let operation = speech.profile.operations().nth(unit.operation)?;
        speech.write(operation, &unit.scope(whole)).ok()
    };
    if let Some(call) = write(Audience::Devices) {
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let expected = serde_json::json!({ "text": text, "nested": [{ "again": format!("x{text}y") }] });
        assert_eq!(body, expected, "JSON");
        let (path, query) = call.target.split_once('?').unwrap_or_default();
        assert_eq!((path, form::parse(query.as_bytes())), ("/json/c1", vec![("q".to_owned(), text.to_owned())]));
    }
    if let Some(call) = write(Audience::Everybody) {
        let root = crate::xml::parse(&call.body, usize::MAX).unwrap_or_default();
        let texts: Vec<_> = root.children.iter().map(|child| child.text.as_str()).collect();
        assert_eq!((root.attributes.len(), texts), (1, vec![text]), "XML");
    }
    if let Some(call) = write(Audience::Subscriber) {
        let pairs = [("a".to_owned(), text.to_owned()), ("b".to_owned(), "2".to_owned())];
        assert_eq!(form::parse(&call.body), pairs, "form");
    }
}

/// Reading answers, the platform's reading of calls, and explaining never panic.
pub fn messages_never_panic(protocol: &TemplateProtocol, profile: &Profile, signer: &Arc<dyn Signer>, bytes: &[u8]) {
    answers_never_panic(profile, bytes);
    platform_never_panics(profile.clone(), Arc::clone(signer), bytes);
    let described = Described { profile, tail: protocol.tail, meanings: protocol.meanings };
    let _ = crate::http::dissect::dissect(bytes, &described);
}

/// Reading answers never panics, whatever the operation.
pub fn answers_never_panic(profile: &Profile, bytes: &[u8]) {
    let (Some(provider), Some(request)) = (provider(), message("x", Audience::Subscriber)) else { return };
    let context = Context::default();
    let scope = super::Scope::of(now(), &request, &provider.services, &context);
    let status = [200, 204, 400, 401, 404, 409, 500];
    let status = bytes.first().and_then(|b| status.get(usize::from(*b) % status.len())).copied().unwrap_or(200);
    for body in [bytes, bytes.get(1..).unwrap_or_default()] {
        let answer = HttpAnswer::new(status, "application/json", Bytes::copy_from_slice(body));
        for operation in profile.operations() {
            let _ = operation.answer.read(&answer, &scope);
        }
    }
}

/// A stand-in platform never panics, whatever it is called with: the first line is the path, the rest the body.
pub fn platform_never_panics(profile: Profile, signer: Arc<dyn Signer>, bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |b| *b == b'\n');
    let target = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let body = lines.next().unwrap_or_default();
    let words = super::platform::plain_words;
    let mut platform = TemplatePlatform::new(profile, Context::default(), signer, words, &Stock::default());
    for (method, kind) in [
        (Method::Get, ""),
        (Method::Post, "application/json"),
        (Method::Post, form::CONTENT_TYPE),
        (Method::Delete, soap::CONTENT_TYPE),
    ] {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        let body = if method == Method::Get { Bytes::new() } else { Bytes::copy_from_slice(body) };
        let request = HttpRequest { method, target: target.clone(), headers, body };
        let _ = platform.answer(now(), &request, None);
    }
}

const fn now() -> Now {
    Now { tick: Tick::new(std::time::Duration::ZERO), wall: Timestamp::UNIX_EPOCH }
}

fn provider() -> Option<Provider> {
    Some(Provider {
        name: ProviderName::new("fuzz").ok()?,
        services: ServiceMap::from(BTreeMap::new()),
        limits: Limits::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
    })
}

fn message(text: &str, audience: Audience) -> Option<Request> {
    let smartcards = match audience {
        Audience::Devices => vec![Serial::new("c1").ok()?],
        _ => Vec::new(),
    };
    let message = Message { audience, kind: MessageKind::Mail, text: text.to_owned(), start: None };
    Some(Request {
        id: RequestId(uuid::Uuid::nil()),
        number: 1,
        provider: ProviderName::new("fuzz").ok()?,
        subscription: None,
        account: None,
        command: Command::SendMessage { devices: Devices { smartcards, stbs: Vec::new() }, message },
        priority: Priority::default(),
        process: Process::default(),
        not_before: None,
        expires: None,
        reference: None,
        source: Source::default(),
        created: Timestamp::UNIX_EPOCH,
        body: Body::default(),
        idempotency: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_return() {
        for text in
            [EVERYWHERE, "", "[", "name = 1", "[operations.pair]\npath='/{smartcard'", "\0\u{1F3AC}{text}]]>\r\n\t"]
        {
            profile_never_panics(text);
            values_stay_in_their_place(text);
        }
        assert!(SPEECH.is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_text_leaves_its_place(text in "\\PC*|[\\x00-\\x7f]*|[{}<>&\"'|%=;\\r\\n?a]*") {
            values_stay_in_their_place(&text);
        }

        #[test]
        fn a_spoilt_profile_is_no_trouble(from in 0..EVERYWHERE.len(), length in 0..40_usize, with in "[{}\\[\\]=\"'|?a-z./0-9\n]{0,12}") {
            let bytes = EVERYWHERE.as_bytes();
            let end = (from + length).min(bytes.len());
            let spoilt = [&bytes[..from], with.as_bytes(), &bytes[end..]].concat();
            profile_never_panics(&String::from_utf8_lossy(&spoilt));
        }
    }
}
