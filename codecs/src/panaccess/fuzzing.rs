//! What the fuzz targets call. Each must return for every input.

use std::sync::Arc;
use std::time::Duration;

use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::provider::ServiceMap;
use headgate_core::{Now, Tick};
use jiff::Timestamp;

use super::dialogue::CableView;
use super::platform::SimulatedCableView;
use super::rules::Speech;
use super::settings::{BindingName, Checked, Settings};
use super::wire::records::{CardInfo, CardOrder, SubscriberOrder};
use super::wire::value::{Value, Wire};
use super::wire::{LOGGED_IN, Operation};
use super::{dissect, raw};
use crate::http::{Backend, Dialogue};
use crate::registry::Stock;

/// Reading an answer, of either binding, never panics, and neither does making of it what was asked for.
pub fn answer(bytes: &[u8]) {
    let _ = dissect::decode(bytes);
    for checked in both() {
        for (status, kind) in [(200, "application/json"), (500, "text/xml")] {
            let answer = HttpAnswer::new(status, kind, bytes.to_vec());
            for function in [LOGGED_IN.function(), "getOrdersOfSubscriber", "getSmartcardInfo"] {
                let Ok(Ok(value)) = checked.binding.read_reply(function, &answer) else { continue };
                let zone = checked.binding.zone();
                let _ = bool::read(value.clone(), zone);
                let _ = Vec::<SubscriberOrder>::read(value.clone(), zone);
                let _ = Vec::<CardOrder>::read(value.clone(), zone);
                let _ = CardInfo::read(value, zone);
            }
            let mut dialogue = CableView::new(Arc::new(Speech::new(checked.clone(), ServiceMap::default())));
            let _ = dialogue.logged_in(now(), &answer);
            let _ = dialogue.is_alive(&answer);
        }
    }
}

/// A platform that gets a call, of either binding, never panics. What it reads is written again as the same call.
///
/// # Panics
/// If it is not: that is the finding.
pub fn call(bytes: &[u8]) {
    for checked in both() {
        let _ = raw::read(&checked.binding, bytes);
        let request = HttpRequest {
            method: Method::Post,
            target: "/?f=getOrdersOfSubscriber&requestMode=function".into(),
            headers: Vec::new(),
            body: bytes.to_vec().into(),
        };
        if let Ok(read) = checked.binding.read_call(&request)
            && let (Some(session), parameters) = super::wire::without_session(&read)
            && let Ok(Some(operation)) = Operation::read(&read.function, parameters, checked.binding.zone())
            && let Ok(written) = checked.binding.write_call(&super::wire::Call::new(&operation, &session), false)
        {
            let again = HttpRequest { target: written.target, body: written.body, ..request.clone() };
            let again = checked.binding.read_call(&again).map(|call| super::wire::without_session(&call).1);
            let again = again.map(|parameters| Operation::read(&read.function, parameters, checked.binding.zone()));
            assert!(is_same(&again, &operation), "written differently");
        }
        let mut platform = SimulatedCableView::new(checked, &Stock::default());
        let _ = platform.is_login(&request);
        let _ = platform.answer(now(), &request, None);
    }
}

/// Texts may hold white space that a form keeps and XML does not.
fn is_same(
    again: &Result<Result<Option<Operation>, super::wire::value::Misfit>, String>,
    operation: &Operation,
) -> bool {
    let Ok(Ok(Some(again))) = again else { return false };
    let odd = |value: &Value| matches!(value, Value::Text(text) if text.contains('\r'));
    again == operation || operation.parameters().iter().any(|(_, value)| odd(value))
}

fn both() -> Vec<Checked> {
    let with = |binding| Checked::check(Settings { binding, ..Settings::default() }).ok();
    [BindingName::Json, BindingName::Soap].into_iter().filter_map(with).collect()
}

fn now() -> Now {
    Now { tick: Tick::new(Duration::from_secs(1)), wall: Timestamp::UNIX_EPOCH }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed seeds, and what a few changed bytes make of them.
    #[test]
    fn the_seeds_and_their_neighbours_pass() {
        let seeds: [&[u8]; 5] = [
            include_bytes!("../../../fuzz/corpus/panaccess_answer/json_orders"),
            include_bytes!("../../../fuzz/corpus/panaccess_answer/soap_references"),
            include_bytes!("../../../fuzz/corpus/panaccess_answer/soap_fault"),
            include_bytes!("../../../fuzz/corpus/panaccess_call/form"),
            include_bytes!("../../../fuzz/corpus/panaccess_call/soap"),
        ];
        for seed in seeds {
            for cut in 0..=seed.len() {
                answer(&seed[..cut]);
                call(&seed[..cut]);
            }
            for at in 0..seed.len() {
                let mut changed = seed.to_vec();
                changed[at] = changed[at].wrapping_add(1);
                answer(&changed);
                call(&changed);
            }
        }
    }
}
