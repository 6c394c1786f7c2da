//! The vendor's side, simulated: sessions, and around them what it holds.
//!
//! It follows the service descriptions where they are public, and our reading where they are not: it shows how
//! Headgate behaves, not how the vendor's platform does.

mod catalogue;
mod codes;
mod entitlements;
mod messages;
mod sessions;
mod state;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use headgate_core::Now;
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::platform::{Fault, Holdings};

use self::codes::{DONE, LOGIN_REFUSED, NO_SESSION, UNKNOWN_DEVICE};
use self::sessions::Sessions;
use self::state::{Said, State, item_ids};
use super::settings::{Settings, Version};
use super::wire::call::Part;
use super::wire::operations::{self, Operation};
use super::wire::types::ResultRecord;
use super::wire::{Call, Form, OMI, Reply, Strictness};
use crate::http::{Backend, soap};
use crate::registry::Stock;
use crate::xml::write::Unwritable;

/// Most bytes of a call.
const LIMIT: usize = 16 << 20;

/// A simulated OMI server.
pub struct OmiBackend {
    settings: Settings,
    sessions: Sessions,
    state: State,
}

impl OmiBackend {
    /// A server of these settings that holds this stock.
    #[must_use]
    pub fn new(settings: Settings, stock: &Stock) -> Self {
        Self { state: State::new(&settings, stock), sessions: Sessions::default(), settings }
    }

    /// Opens a session of that handle without a login.
    pub(super) fn open_session(&mut self, now: Now, handle: &str) {
        self.sessions.open(now.tick, handle.to_owned());
    }

    /// Carries out what a call says; the answer's bytes, or a fault's words.
    fn carry_out(&mut self, now: Now, request: &HttpRequest, refuse: Option<Fault>) -> Result<Bytes, String> {
        let body = soap::read(&request.body, LIMIT).map_err(|error| error.to_string())?;
        let [element] = body.as_slice() else { return Err("the Body must hold one element".to_owned()) };
        let (call, handle) =
            Call::read(element, &self.settings.query_parts, Strictness::Strict).map_err(|misfit| misfit.0)?;
        let operation = call.operation;
        self.addressed(request, operation)?;
        let said = if operation.form == Form::Session {
            let reply = self.sign_on(now, &call, refuse.is_some());
            return reply.write(operation).map_err(|error| error.to_string());
        } else if !self.sessions.use_one(now.tick, handle.as_deref()) {
            let code = self.settings.session_lost_codes.first().copied().unwrap_or(NO_SESSION);
            refusal(operation, vec![String::new()], code)
        } else if refuse.is_some() {
            self.state.holdings.applied += 1;
            refusal(operation, item_ids(&call), UNKNOWN_DEVICE)
        } else if *operation == operations::SIGN_OFF {
            self.sessions.close(handle.as_deref());
            Said::One(DONE)
        } else {
            self.state.holdings.applied += u64::from(!operation.reads);
            self.state.apply(call)
        };
        write(operation, said).map_err(|error| error.to_string())
    }

    /// Whether the call came to the right place, as what it says to be.
    fn addressed(&self, request: &HttpRequest, operation: &Operation) -> Result<(), String> {
        if request.path() != self.settings.paths.of(operation.service) {
            return Err(format!("{} is not here but at {}", operation.name, operation.service.name()));
        }
        let action = request.header("soapaction").map(|action| action.trim_matches('"'));
        if action.is_some_and(|action| action != format!("{OMI}/{}", operation.name)) {
            return Err("SOAPAction and body say different things".to_owned());
        }
        if operation.new_in_3_6 && self.settings.version < Version::V3_6 {
            return Err(format!("{} came with 3.6", operation.name));
        }
        Ok(())
    }

    fn sign_on(&mut self, now: Now, call: &Call, refuse: bool) -> Reply {
        let right = matches!(call.parts.as_slice(), [Part::UserAttributes(user)]
            if user.user_name == self.settings.user && user.password == self.settings.password.reveal());
        if refuse || !right {
            return Reply::Session(None, result(String::new(), LOGIN_REFUSED));
        }
        self.state.holdings.logins += 1;
        let handle = format!("omi-session-{:08}", self.state.holdings.logins);
        self.sessions.open(now.tick, handle.clone());
        Reply::Session(Some(handle), result(String::new(), DONE))
    }
}

impl Backend for OmiBackend {
    fn answer(&mut self, now: Now, request: &HttpRequest, refuse: Option<Fault>) -> HttpAnswer {
        if request.method != Method::Post {
            return HttpAnswer::new(405, "text/plain", "calls are posted");
        }
        match self.carry_out(now, request, refuse) {
            Ok(body) => HttpAnswer::new(200, soap::CONTENT_TYPE, body),
            Err(words) => {
                let body = soap::write_fault("soap:Client", &words).unwrap_or_default();
                HttpAnswer::new(500, soap::CONTENT_TYPE, body)
            }
        }
    }

    fn is_login(&self, request: &HttpRequest) -> bool {
        let body = soap::read(&request.body, LIMIT).unwrap_or_default();
        body.first().is_some_and(|element| element.is(Some(OMI), operations::SIGN_ON.name))
    }

    fn lose_sessions(&mut self) {
        self.sessions = Sessions::default();
    }

    fn has_sessions(&self) -> bool {
        true
    }

    fn holdings(&self) -> &Holdings {
        &self.state.holdings
    }
}

/// A refusal of the whole call, in the form of its answer.
fn refusal(operation: &Operation, items: Vec<String>, code: i32) -> Said {
    match operation.form {
        Form::List => Said::Each(items.into_iter().map(|id| (id, code)).collect()),
        Form::Query => Said::Found(code, Box::new(|_| {})),
        Form::Result | Form::Session => Said::One(code),
    }
}

fn write(operation: &Operation, said: Said) -> Result<Bytes, Unwritable> {
    match said {
        Said::One(code) => Reply::Result(result(String::new(), code)).write(operation),
        Said::Each(items) => {
            Reply::List(items.into_iter().map(|(id, code)| result(id, code)).collect()).write(operation)
        }
        Said::Found(code, found) => Reply::write_query(operation, &result(String::new(), code), found),
    }
}

fn result(id: String, code: i32) -> ResultRecord {
    ResultRecord { id, code, text: codes::text(code).to_owned(), data: Vec::new() }
}
