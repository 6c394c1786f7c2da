//! Entry points for fuzz targets. Each takes any bytes, and panics only where a promise is broken.

use std::sync::Arc;

use headgate_core::body::RequestBody;
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::provider::ServiceMap;
use headgate_core::request::{Request, RequestId};
use headgate_core::text::{CaId, ServiceCode};
use headgate_core::{Now, Tick};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::dialogue::Cag;
use super::platform::CagPlatform;
use super::settings::Settings;
use crate::http::{Backend, Begun, Dialogue, Step};
use crate::registry::Stock;

const NOW: Now = Now { tick: Tick::new(std::time::Duration::ZERO), wall: Timestamp::UNIX_EPOCH };

/// Requests whose answers are read; the first byte of the data chooses.
const REQUESTS: [&str; 4] = [
    r#"{"provider":"p","command":"activate_services","smartcard":"1","services":["A"]}"#,
    r#"{"provider":"p","command":"set_services","smartcards":["1","2"],"services":[]}"#,
    r#"{"provider":"p","command":"set_pin","smartcard":"1","pin":"1234"}"#,
    r#"{"provider":"p","command":"raw","payload":"7b226d6574686f64223a22474554222c2270617468223a222f227d"}"#,
];

/// Answers to a request: the bytes after the first are the body, the same one each time.
pub fn answer(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let status = [200, 201, 400, 404, 500, 302].get(usize::from(choice >> 4)).copied().unwrap_or(200);
    let answer = HttpAnswer::new(status, "application/json", body.to_vec());
    let Some(settings) = settings() else { return };
    let mut dialogue = Cag::new(settings, services());
    let _ = dialogue.logged_in(NOW, &answer);
    let Some(request) = REQUESTS.get(usize::from(choice & 3)) else { return };
    let Ok(request) = serde_json::from_str::<RequestBody>(request) else { return };
    let Ok(command) = request.command() else { return };
    let request = Request::new(RequestId(Default::default()), &request, command);
    let Ok(Begun::Task(mut task)) = dialogue.begin(NOW, &request) else { return };
    let ended = (0..10).any(|_| {
        assert!(dialogue.call(NOW, None, &task).is_ok(), "a task that goes on has no call");
        matches!(dialogue.read(NOW, &mut task, &answer), Step::SessionLost(_) | Step::End(_))
    });
    assert!(ended, "a task of two devices does not end");
}

/// Calls at the platform, with any body.
pub fn call(data: &[u8]) {
    const TARGETS: [(Method, &str); 6] = [
        (Method::Post, "/cag/v1/c/devices/1/entitlements"),
        (Method::Put, "/cag/v1/c/devices/1/entitlements"),
        (Method::Put, "/cag/v1/c/devices/1/recovery"),
        (Method::Put, "/cag/v1/c/devices/1/pin/12a"),
        (Method::Put, "/cag/v1/c/devices/%00/pin/1"),
        (Method::Post, "/token"),
    ];
    let Some(settings) = settings() else { return };
    let mut platform = CagPlatform::new(settings, &Stock::default());
    let headers = vec![("nv-tenant-id".to_owned(), "t".to_owned()), ("operator".to_owned(), "o".to_owned())];
    for (method, target) in TARGETS {
        let body = data.to_vec().into();
        let request = HttpRequest { method, target: target.to_owned(), headers: headers.clone(), body };
        let answer = platform.answer(NOW, &request, None);
        assert!((200..=599).contains(&answer.status));
    }
}

/// Messages to explain.
pub fn dissect(data: &[u8]) {
    let _ = super::dissect::decode(&Value::Null, None, data);
}

fn settings() -> Option<Arc<Settings>> {
    Settings::read(&json!({ "cas_instance": "c", "tenant": "t", "operator": "o" })).ok().map(Arc::new)
}

fn services() -> ServiceMap {
    let pair = ServiceCode::new("A").ok().zip(CaId::new("P").ok());
    ServiceMap::from(pair.into_iter().collect::<std::collections::BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_target_fails(data: Vec<u8>) {
            for target in [super::answer, super::call, super::dissect] {
                target(&data);
            }
        }

        #[test]
        fn answers_that_are_nearly_right_do_no_harm(
            choice: u8,
            body in r#"\{"status":("Success"|"x"|7),"commandResults":\[(\{"(commandName|id|_id|responseCode|responseText)":("OK"|"1028"|1028|null)\}){0,2}\]\}"#,
        ) {
            let mut data = vec![choice];
            data.extend(body.bytes());
            super::answer(&data);
        }
    }
}
