//! Entry points for fuzz targets. Each takes any bytes, and panics only where a promise is broken.

use std::sync::Arc;

use headgate_core::body::RequestBody;
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::platform::Fault;
use headgate_core::provider::ServiceMap;
use headgate_core::request::{Request, RequestId};
use headgate_core::text::{CaId, ServiceCode};
use headgate_core::{Now, Tick};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::capabilities::MediaLiveRules;
use super::opentv::OpenTv;
use super::platform::MediaLivePlatform;
use super::sdp::Sdp;
use super::settings::Settings;
use crate::http::oauth::Token;
use crate::http::{Backend, Begun, Dialogue, Step};
use crate::registry::Stock;

const NOW: Now = Now { tick: Tick::new(std::time::Duration::ZERO), wall: Timestamp::UNIX_EPOCH };

/// Requests whose answers are read; the first byte of the data chooses.
const OPENTV: [&str; 9] = [
    r#"{"provider":"p","subscription":"S","command":"create_subscriber"}"#,
    r#"{"provider":"p","subscription":"S","command":"update_subscriber","subscriber":{"attributes":{"a":"b"}}}"#,
    r#"{"provider":"p","subscription":"S","command":"suspend"}"#,
    r#"{"provider":"p","subscription":"S","command":"add_device","stb":"1"}"#,
    r#"{"provider":"p","subscription":"S","command":"get_device","stb":"1"}"#,
    r#"{"provider":"p","subscription":"S","command":"set_services","services":["A"]}"#,
    r#"{"provider":"p","subscription":"S","command":"get_subscriber"}"#,
    r#"{"provider":"p","subscription":"S","command":"activate_services","services":["A"]}"#,
    r#"{"provider":"p","subscription":"S","command":"authenticate","password":"p"}"#,
];

const SDP: [&str; 4] = [
    r#"{"provider":"p","subscription":"S","command":"create_subscriber"}"#,
    r#"{"provider":"p","subscription":"S","command":"get_subscriber"}"#,
    r#"{"provider":"p","command":"pair","smartcard":"1","stb":"2"}"#,
    r#"{"provider":"p","subscription":"S","command":"authenticate","password":"p"}"#,
];

/// Answers, at every place of a task: the bytes after the first are the body, the same one each time.
pub fn answer(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let status = [200, 201, 400, 404, 500].get(usize::from(choice >> 4)).copied().unwrap_or(200);
    let answer = HttpAnswer::new(status, "application/json", body.to_vec());
    let of = |list: &'static [&'static str]| list.get(usize::from(choice & 15)).copied();
    if let (Some(body), Some(settings)) = (of(&OPENTV), settings("opentv3")) {
        let rules = Arc::new(MediaLiveRules::new(Arc::clone(&settings)));
        let mut dialogue = OpenTv::new(settings, services(), rules);
        let _ = dialogue.logged_in(NOW, &answer);
        follow(&mut dialogue, Some(&Token::placeholder()), body, &answer);
    }
    if let (Some(body), Some(settings)) = (of(&SDP), settings("sdp")) {
        let rules = Arc::new(MediaLiveRules::new(Arc::clone(&settings)));
        follow(&mut Sdp::new(settings, rules), None, body, &answer);
    }
}

/// Calls at the platform, with any body.
pub fn call(data: &[u8]) {
    const TARGETS: [(Method, &str); 12] = [
        (Method::Post, "/adm/v1/accounts"),
        (Method::Post, "/adm/v1/accounts/preHashedPassword"),
        (Method::Put, "/adm/v1/accounts/S"),
        (Method::Get, "/adm/v1/accounts/S"),
        (Method::Post, "/adm/v1/devices"),
        (Method::Put, "/adm/v1/devices/1"),
        (Method::Post, "/rmg/v1/operator/entitlements"),
        (Method::Put, "/rmg/v1/operator/entitlements/E"),
        (Method::Get, "/rmg/v1/operator/entitlements?limit=1&page=9"),
        (Method::Post, "/ws-gateway/ws/smsdomain"),
        (Method::Post, "/ws-gateway/ws/accountservice"),
        (Method::Post, "/keycloak/auth/realms/nagra/protocol/openid-connect/token"),
    ];
    let Some(settings) = settings("opentv3") else { return };
    let mut platform = MediaLivePlatform::new(settings, &Stock::default());
    let headers =
        vec![("authorization".to_owned(), "Bearer access-1".to_owned()), ("nv-tenant-id".to_owned(), "t".to_owned())];
    let mut call = |method, target: &str, body: &[u8]| {
        let body = body.to_vec().into();
        platform.answer(NOW, &HttpRequest { method, target: target.to_owned(), headers: headers.clone(), body }, None)
    };
    let login = call(Method::Post, TARGETS[11].1, b"grant_type=password&username=u&password=p&client_id=c");
    assert!(login.is_success(), "the platform refuses good credentials");
    for (method, target) in TARGETS {
        let answer = call(method, target, data);
        assert!((200..=599).contains(&answer.status));
    }
    let request = HttpRequest { method: Method::Get, target: "/".into(), headers, body: data.to_vec().into() };
    assert!(!platform.answer(NOW, &request, Some(Fault::UnknownCard)).is_success());
}

/// Messages to explain.
pub fn dissect(data: &[u8]) {
    let _ = super::dissect::decode(&Value::Null, None, data);
}

fn settings(generation: &str) -> Option<Arc<Settings>> {
    let token = json!({ "username": "u", "password": "p", "client_id": "c" });
    let settings = json!({ "generation": generation, "tenant": "t", "token": token });
    Settings::read(&settings).ok().map(Arc::new)
}

fn services() -> ServiceMap {
    let pair = ServiceCode::new("A").ok().zip(CaId::new("P").ok());
    ServiceMap::from(pair.into_iter().collect::<std::collections::BTreeMap<_, _>>())
}

/// Answers the same until the task ends, at most a hundred times.
fn follow<D: Dialogue>(dialogue: &mut D, session: Option<&D::Session>, body: &str, answer: &HttpAnswer) {
    let Ok(body) = serde_json::from_str::<RequestBody>(body) else { return };
    let Ok(command) = body.command() else { return };
    let request = Request::new(RequestId(Default::default()), &body, command);
    let Ok(Begun::Task(mut task)) = dialogue.begin(NOW, &request) else { return };
    for _ in 0..100 {
        if dialogue.call(NOW, session, &task).is_err() {
            return;
        }
        let _ = dialogue.confidential(&task, Some(answer));
        match dialogue.read(NOW, &mut task, answer) {
            Step::Next | Step::Undone | Step::After(_) => {}
            Step::SessionLost(_) | Step::End(_) => return,
        }
    }
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
        fn answers_that_are_nearly_right_do_no_harm(choice: u8, body in "(\\{\"(_id|status|totalRecords|resourceSet|matchedCount|access_token)\":(\"a\"|1|0|\\[\\]|null)\\})") {
            let mut data = vec![choice];
            data.extend(body.bytes());
            super::answer(&data);
        }
    }
}
