//! Both sides joined in memory, in both languages.

mod commands;
mod hostile;
mod orders;
mod rules;
mod session;

use headgate_core::provider::ServiceMap;
use serde_json::{Value, json};

use super::PROTOCOL;
use super::platform::SimulatedCableView;
use super::settings::Checked;
use crate::http::HttpPlatform;
use crate::registry::{Opened, Stock};
use crate::test_support::http_pair::HttpPair;
use crate::test_support::provider;

/// The cards that the platform knows.
pub(super) const CARDS: [&str; 4] = ["0123456701", "0123456702", "0123456703", "0123456704"];

pub(super) const LANGUAGES: [&str; 2] = ["json", "soap"];

/// Settings with everything on, and these besides.
pub(super) fn settings(binding: &str, more: &Value) -> Value {
    let mut settings = json!({
        "binding": binding, "user": "op", "password": "op-pass", "api_token": "AbCdEfGhIjKlMnOpQrSt",
        "headcontrol": "hc1", "country": "CY", "fingerprint": {"on": 12}, "packages": {"11": 1},
        "message_delay": "seconds",
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

/// Both sides with these settings, and a platform that is changed before it starts.
pub(super) fn pair_with(binding: &str, more: &Value, prepare: impl FnOnce(&mut SimulatedCableView)) -> HttpPair {
    let settings = settings(binding, more);
    let services = provider(&[("BASIC", "11"), ("SPORT", "12"), ("FILM", "13"), ("FIXED", "900"), ("EVENT", "500")]);
    let Opened { adapter, .. } = (PROTOCOL.open)(&services, &settings, 7).unwrap();
    let stock = Stock { cards: CARDS.map(str::to_owned).to_vec(), products: Vec::new() };
    let mut platform = SimulatedCableView::new(Checked::read(&settings).unwrap(), &stock);
    prepare(&mut platform);
    HttpPair::new(adapter, Box::new(HttpPlatform::new(platform)))
}

pub(super) fn pair(binding: &str, more: &Value) -> HttpPair {
    pair_with(binding, more, |_| {})
}

/// The functions that were called, in order, without those of the session.
pub(super) fn functions(pair: &HttpPair) -> Vec<String> {
    let name = |call: &headgate_core::http::HttpRequest| match call.header("soapaction") {
        Some(action) => super::wire::plain(action.split_once('#').unwrap().1.trim_end_matches('"')),
        None => crate::http::form::parse(call.query().as_bytes())[0].1.clone(),
    };
    pair.calls.iter().map(name).filter(|name| name != "login").collect()
}

/// The calls of one function.
pub(super) fn count(pair: &HttpPair, function: &str) -> usize {
    functions(pair).iter().filter(|name| *name == function).count()
}

pub(super) fn logins(pair: &HttpPair) -> usize {
    pair.calls.len() - functions(pair).len()
}

pub(super) fn no_services() -> ServiceMap {
    ServiceMap::default()
}
