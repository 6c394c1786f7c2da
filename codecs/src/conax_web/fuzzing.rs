//! Entry points for fuzz targets. Each takes any bytes, and panics only where a promise is broken.

use std::sync::Arc;

use headgate_core::body::RequestBody;
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::request::{Request, RequestId};
use headgate_core::text::{CaId, ProviderName, ServiceCode};
use headgate_core::{Now, Tick};
use jiff::Timestamp;
use serde_json::Value;

use super::dialogue::{ConaxWeb, ConaxWebRules};
use super::platform::ContegoPlatform;
use super::settings::Site;
use crate::http::{Backend, Begun, Dialogue, Step};
use crate::registry::Stock;

const NOW: Now = Now { tick: Tick::new(std::time::Duration::ZERO), wall: Timestamp::UNIX_EPOCH };

/// Requests whose answers are read; the first byte of the data chooses.
const REQUESTS: [&str; 4] = [
    r#"{"provider":"p","command":"get_services","smartcards":["01450000011","01450000029"]}"#,
    r#"{"provider":"p","command":"get_pairing","stb":"1"}"#,
    r#"{"provider":"p","command":"activate_services","smartcard":"01450000011","services":["A"]}"#,
    r#"{"provider":"p","command":"raw","payload":"3c782f3e"}"#,
];

/// Answers to a request: the bytes after the first are the body, the same one each time.
pub fn answer(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let status = [200, 500, 404, 302].get(usize::from(choice >> 4)).copied().unwrap_or(200);
    let answer = HttpAnswer::new(status, "text/xml", body.to_vec());
    let (Some(provider), Ok(site)) = (provider(), Site::read(&Value::Null)) else { return };
    let Ok(rules) = ConaxWebRules::new(&site, &provider) else { return };
    let Some(request) = REQUESTS.get(usize::from(choice & 3)) else { return };
    let Ok(request) = serde_json::from_str::<RequestBody>(request) else { return };
    let Ok(command) = request.command() else { return };
    let request = Request::new(RequestId(Default::default()), &request, command);
    let mut dialogue = ConaxWeb::new(Arc::new(rules));
    let Ok(Begun::Task(mut task)) = dialogue.begin(NOW, &request) else { return };
    let ended = (0..10).any(|_| {
        assert!(dialogue.call(NOW, None, &task).is_ok(), "a task that goes on has no call");
        matches!(dialogue.read(NOW, &mut task, &answer), Step::SessionLost(_) | Step::End(_))
    });
    assert!(ended, "a task of two cards does not end");
}

/// Calls at the platform, with any body.
pub fn call(data: &[u8]) {
    let mut platform = ContegoPlatform::new(Default::default(), &Stock::default());
    for target in [
        "/ca-server/webservices/caclient/user-text-messaging",
        "/ca-server/webservices/client/authorization",
        "/ca-server/stand-in/pairing",
        "/ca-server/stand-in/fingerprint",
        "/ca-server/stand-in/ca-pin",
        "/",
    ] {
        let body = data.to_vec().into();
        let request = HttpRequest { method: Method::Post, target: target.to_owned(), headers: Vec::new(), body };
        let answer = platform.answer(NOW, &request, None);
        assert!([200, 404, 500].contains(&answer.status));
        if answer.status != 404 {
            assert!(crate::xml::parse(&answer.body, 1 << 22).is_ok(), "the platform's answer can not be read");
        }
    }
}

/// Messages to explain.
pub fn dissect(data: &[u8]) {
    let _ = super::dissect::decode(&Value::Null, None, data);
}

fn provider() -> Option<Provider> {
    let pair = ServiceCode::new("A").ok().zip(CaId::new("41").ok());
    Some(Provider {
        name: ProviderName::new("p").ok()?,
        services: ServiceMap::from(pair.into_iter().collect::<std::collections::BTreeMap<_, _>>()),
        limits: Limits::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_target_fails(data: Vec<u8>) {
            for target in [super::answer, super::call, super::dissect] {
                target(&data);
            }
        }

        #[test]
        fn messages_that_are_nearly_right_do_no_harm(
            choice: u8,
            body in "<x>(<(StatusCode|Subscription|Pairing|CaClientId|ServiceId)>(OK|1|<ServiceId>1</ServiceId>)?</(StatusCode|Subscription|Pairing|CaClientId|ServiceId)>){0,3}</x>",
        ) {
            let mut data = vec![choice];
            data.extend(body.bytes());
            super::answer(&data);
            let envelope = "http://schemas.xmlsoap.org/soap/envelope/";
            super::call(format!("<s:Envelope xmlns:s='{envelope}'><s:Body>{body}</s:Body></s:Envelope>").as_bytes());
        }
    }
}
