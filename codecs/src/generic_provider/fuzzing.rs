//! What the fuzz targets call. Each must return for every input.

use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::{Adapter, Input, Output};
use headgate_core::http::{CallId, HttpRequest, Method};
use headgate_core::provider::ServiceMap;
use headgate_core::{Now, Tick};
use jiff::Timestamp;

use super::adapter::GenericProvider;
use super::dissect;
use super::settings::Settings;
use super::types::Vocabulary;

/// Workers that call with anything never make it panic, and every call is answered once.
///
/// # Panics
/// If a call is answered twice or never: that is the finding.
pub fn workers_are_survived(bytes: &[u8]) {
    let _ = dissect::decode(bytes);
    let settings = Settings::default();
    let vocabulary = Arc::new(Vocabulary::new(&settings, ServiceMap::default()));
    let mut adapter = GenericProvider::new(settings, vocabulary);
    let mut now = Now { tick: Tick::new(Duration::from_secs(1)), wall: Timestamp::UNIX_EPOCH };
    let (mut calls, mut answered) = (0, 0);
    let targets = ["/pull", "/answers", "/extend", "/get_pending?number_of_results=5&offset=0", "/send_response", "/x"];
    for (target, body) in targets.iter().cycle().zip(bytes.split(|byte| *byte == b'\n')) {
        calls += 1;
        let body = body.to_vec().into();
        let request = HttpRequest { method: Method::Post, target: (*target).to_owned(), headers: Vec::new(), body };
        adapter.handle_input(now, Input::Called(CallId(calls), request));
        answered += replies(&mut adapter);
    }
    now.tick = now.tick + Duration::from_hours(1);
    adapter.handle_input(now, Input::Deadline);
    answered += replies(&mut adapter);
    assert_eq!(calls, answered, "calls and answers");
}

fn replies(adapter: &mut GenericProvider) -> u64 {
    let mut count = 0;
    loop {
        match adapter.poll_output() {
            Output::Wait(_) => return count,
            Output::Do(..) => count += 1,
            Output::Event(_) => {}
        }
    }
}
