//! Profiles, read, checked and spoken.

mod mistakes;
mod spoken;
mod written;

use std::collections::BTreeSet;
use std::sync::Arc;

use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::http::HttpCall;
use headgate_core::request::Request;
use headgate_core::text::Secret;

use super::{Context, Environment, Profile, Speech, Unsigned};
use crate::registry::SettingsError;
use crate::test_support::{provider, start, submission};

/// The profile of a made-up platform, read with `vars.zone`.
fn profile(toml: &str) -> Result<Profile, SettingsError> {
    let environment = Environment { vars: BTreeSet::from(["zone".to_owned()]), signer: &Unsigned };
    Profile::from_toml(toml, &environment)
}

fn speech(toml: &str) -> Arc<Speech> {
    let profile = profile(toml).unwrap_or_else(|error| panic!("{error}"));
    let context = Context {
        user: Some("me".into()),
        password: Some(Secret::new("p\"w")),
        vars: [("zone".to_owned(), "z1".to_owned())].into(),
        default_months: Some(1),
        ..Context::default()
    };
    let provider = provider(&[("SPORT", "42"), ("FILM", "<43>"), ("NEWS", "../44")]);
    Arc::new(Speech::new(profile, &provider, context, Arc::new(Unsigned)).unwrap())
}

fn request(json: &str) -> Request {
    (*submission(7, json).request).clone()
}

/// The calls of a request's first operation.
fn calls(speech: &Speech, json: &str) -> Result<Vec<HttpCall>, Refusal> {
    let request = request(json);
    speech.check(&request)?;
    let whole = speech.scope(start(), &request);
    let units = speech.units(&whole)?;
    let written = units.iter().map(|unit| {
        let operation = speech.profile.operation(unit.operation).unwrap();
        speech.write(operation, &unit.scope(whole))
    });
    written.collect()
}

fn body(call: &HttpCall) -> String {
    String::from_utf8(call.body.to_vec()).unwrap()
}
