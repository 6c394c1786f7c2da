//! What the fuzz targets call. Each must return for every input.

use headgate_core::http::{HttpRequest, Method};
use headgate_core::{Now, Tick};

use super::dissect;
use super::platform::OmiBackend;
use super::settings::Settings;
use super::wire::call::operation_of;
use super::wire::reply::match_items;
use super::wire::{Call, OPERATIONS, RawCall, Reply, Strictness};
use crate::http::{Backend, soap};
use crate::registry::Stock;

/// Most bytes of a message.
const LIMIT: usize = 1 << 20;

/// Reads the bytes as every form of answer, as a call, as `raw`, and explains them. What is read strictly is written
/// again as the same.
///
/// # Panics
/// If it is not: that is the finding.
pub fn decode(bytes: &[u8]) {
    let _ = dissect::decode(bytes);
    let names = Settings::default().query_parts;
    let _ = RawCall::read(bytes, LIMIT, &names).map(|raw| raw.write(Some("H")));
    let Ok(body) = soap::read(bytes, LIMIT) else { return };
    let Some(element) = body.first() else { return };
    let answered = element.name.strip_suffix("Response").unwrap_or_default();
    for operation in OPERATIONS.iter().filter(|operation| operation.name == answered) {
        if let Ok(Reply::List(results)) = Reply::read(operation, bytes, LIMIT) {
            assert_eq!(match_items(&["1", "2", "1"], &results).len(), 3);
        }
    }
    if operation_of(element).is_err() {
        return;
    }
    let _ = Call::read(element, &names, Strictness::Lenient);
    let Ok((call, session)) = Call::read(element, &names, Strictness::Strict) else { return };
    let Ok(written) = call.write(session.as_deref(), &names) else { return };
    let again = soap::read(&written, LIMIT).ok();
    let again = again.as_deref().and_then(<[_]>::first);
    let again = again.and_then(|element| Call::read(element, &names, Strictness::Strict).ok());
    // What is kept as it is keeps its place in the document too, which changes.
    let written_again = again.and_then(|(call, session)| call.write(session.as_deref(), &names).ok());
    assert_eq!(written_again, Some(written), "written differently");
}

/// Sends the bytes to a platform, after its own session's handle where they name one.
pub fn platform(bytes: &[u8]) {
    let mut backend = OmiBackend::new(Settings::default(), &Stock::default());
    let now = Now { tick: Tick::default(), wall: jiff::Timestamp::UNIX_EPOCH };
    backend.open_session(now, "H");
    for service in ["AdminMgmtService", "DeviceMgmtService", "EntitlementMgmtService", "MessagingService"] {
        let request = HttpRequest {
            method: Method::Post,
            target: format!("/services/{service}"),
            headers: Vec::new(),
            body: bytes.to_vec().into(),
        };
        let _ = backend.answer(now, &request, None);
    }
}
