//! The platform's side: sessions, logins, rights and the radio side's work; `state` keeps cards, subscribers and
//! orders.

mod cards;
mod messages;
mod orders;
mod state;
mod subscribers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::platform::{Fault, Holdings};
use headgate_core::{Now, Tick};

use self::state::State;
use super::login::{self, FUNCTION};
use super::settings::{Checked, SoapPassword};
use super::wire::records::{FragmentedTask, RadioTask};
use super::wire::value::{Value, Wire};
use super::wire::{Binding, Call, LOGGED_IN, Operation, Reply, ServiceError, prefixed, without_session};
use crate::http::{Backend, form};
use crate::registry::Stock;

/// Most logins within [`LOGIN_WINDOW`] \[S3\].
const LOGINS: usize = 20;
const LOGIN_WINDOW: Duration = Duration::from_mins(5);

/// How long a session lives without a call. Not published: the simulator's own.
const SESSION_LIFE: Duration = Duration::from_mins(30);

/// How long the radio side works on a change. The simulator's own.
const RADIO_TIME: Duration = Duration::from_secs(2);

/// The pieces of work in pieces. The simulator's own.
const PIECES: i64 = 3;

/// A platform that keeps cards, subscribers and orders.
#[derive(Debug)]
pub struct SimulatedCableView {
    checked: Checked,
    state: State,
    sessions: BTreeMap<String, OpenSession>,
    logins: VecDeque<Tick>,
    /// Functions that the account may not call, by the spelling that is denied.
    denied: BTreeSet<String>,
    /// Work in pieces: the product that is taken away, and how many pieces are done.
    fragments: BTreeMap<i64, (i64, i64)>,
    numbers: i64,
}

#[derive(Debug)]
struct OpenSession {
    used: Tick,
    /// The radio side's work for the last call, and when it is done.
    tasks: Vec<(Tick, RadioTask)>,
}

impl SimulatedCableView {
    /// A platform with that stock, whose operator account is that of the settings.
    #[must_use]
    pub fn new(checked: Checked, stock: &Stock) -> Self {
        Self {
            state: State::new(&checked, stock),
            checked,
            sessions: BTreeMap::new(),
            logins: VecDeque::new(),
            denied: BTreeSet::new(),
            fragments: BTreeMap::new(),
            numbers: 0,
        }
    }

    /// Takes the right to a function away, in the spelling given: `addSmartcardToSubscriber`, or with `cv` before it.
    pub fn deny(&mut self, spelling: &str) {
        self.denied.insert(spelling.to_owned());
    }

    fn reply(&mut self, now: Now, call: Call, spelling: &str, refuse: Option<Fault>) -> Reply {
        let (session, parameters) = without_session(&call);
        let session = session.unwrap_or_default();
        let known = self.session(now, &session);
        if call.function == LOGGED_IN.function() {
            return Ok(Value::Bool(known));
        }
        // An expired session looks like a missing right \[S2,S10\].
        if !known || self.denied.contains(spelling) {
            return Err(error("no_access_to_function"));
        }
        if refuse == Some(Fault::UnknownCard) {
            self.state.holdings.applied += 1;
            return Err(error("not_a_smartcard"));
        }
        let operation = match Operation::read(&call.function, parameters, self.checked.binding.zone()) {
            Ok(Some(operation)) => operation,
            Ok(None) => return Err(error("function_not_available")),
            Err(misfit) => return Err(ServiceError::new("malformed_parameter", &misfit.to_string())),
        };
        if operation.is_unstable() && !call.unstable && matches!(self.checked.binding, Binding::Soap(_)) {
            return Err(error("function_not_available"));
        }
        match operation {
            Operation::Logout {} => {
                self.sessions.remove(&session);
                Ok(Value::Bool(true))
            }
            Operation::GetTasksOfLastCall {} => Ok(self.tasks(now, &session).write()),
            Operation::DeleteProduct { product_id } => {
                self.numbers += 1;
                self.fragments.insert(self.numbers, (product_id, 0));
                self.continue_work(self.numbers)
            }
            Operation::ContinueFragmentedTask { id } => self.continue_work(id),
            other => self.apply(now, &session, &other),
        }
    }

    fn apply(&mut self, now: Now, session: &str, operation: &Operation) -> Reply {
        let reply = self.state.apply(now, operation);
        if operation.is_harmless() {
            return reply;
        }
        self.state.holdings.applied += 1;
        // The radio side can not refresh a card that is switched off: a task that fails later.
        let fails =
            matches!(operation, Operation::RefreshSmartcard { smartcard_id } if self.state.is_off(smartcard_id));
        self.numbers += 1;
        let task = RadioTask {
            task_id: self.numbers,
            status: 1,
            return_code: fails.then_some(17),
            message: fails.then(|| "the box does not answer".to_owned()),
        };
        if let Some(open) = self.sessions.get_mut(session) {
            open.tasks = if reply.is_ok() { vec![(now.tick + RADIO_TIME, task)] } else { Vec::new() };
        }
        reply
    }

    /// The session's tasks as they stand: running, then done or failed, by the first numbers of the settings.
    fn tasks(&self, now: Now, session: &str) -> Vec<RadioTask> {
        let settings = &self.checked.settings;
        let [done, failed] = [&settings.task_done, &settings.task_failed].map(|all| all.first().copied());
        let Some(open) = self.sessions.get(session) else { return Vec::new() };
        let as_it_stands = |(ready, task): &(Tick, RadioTask)| {
            if *ready > now.tick {
                return RadioTask { return_code: None, message: None, ..task.clone() };
            }
            let end = if task.return_code.is_some() { failed.unwrap_or(3) } else { done.unwrap_or(2) };
            RadioTask { status: end, ..task.clone() }
        };
        open.tasks.iter().map(as_it_stands).collect()
    }

    fn continue_work(&mut self, id: i64) -> Reply {
        let Some((product, worked)) = self.fragments.get_mut(&id) else { return Err(error("not_a_fragmented_task")) };
        *worked += 1;
        let (product, worked) = (*product, *worked);
        let finished = worked >= PIECES;
        if finished {
            self.fragments.remove(&id);
            self.state.delete_product(product);
            self.state.holdings.applied += 1;
        }
        let (total_work, worked) = (Some(PIECES), Some(worked));
        Ok(FragmentedTask { fragmented_task_id: id, finished, total_work, worked }.write())
    }

    // ---- sessions

    /// Whether the session is known; it is used.
    fn session(&mut self, now: Now, id: &str) -> bool {
        self.sessions.retain(|_, open| now.tick.since(open.used) < SESSION_LIFE);
        match self.sessions.get_mut(id) {
            Some(open) => {
                open.used = now.tick;
                true
            }
            None => false,
        }
    }

    fn log_in(&mut self, now: Now, call: &Call, refuse: Option<Fault>) -> Reply {
        while self.logins.front().is_some_and(|at| now.tick.since(*at) >= LOGIN_WINDOW) {
            self.logins.pop_front();
        }
        if self.logins.len() >= LOGINS {
            return Err(ServiceError::new("", "too many logins, rate limit reached"));
        }
        self.logins.push_back(now.tick);
        let given = |name: &str| {
            let found = call.parameters.iter().find(|(known, _)| known == name);
            found.and_then(|(_, value)| String::read(value.clone(), self.checked.binding.zone()).ok())
        };
        let settings = &self.checked.settings;
        let hashed = login::digest(settings.password.reveal(), &settings.password_salt);
        let expected = match (&self.checked.binding, settings.soap_password) {
            (Binding::Json(_), _) => vec![
                ("username", settings.user.clone()),
                ("password", hashed),
                ("apiToken", settings.api_token.reveal().to_owned()),
            ],
            (Binding::Soap(_), SoapPassword::Hashed) => vec![("login", settings.user.clone()), ("password", hashed)],
            (Binding::Soap(_), SoapPassword::Plain) => {
                vec![("login", settings.user.clone()), ("password", settings.password.reveal().to_owned())]
            }
        };
        let right = expected.into_iter().all(|(name, text)| given(name).unwrap_or_default() == text);
        if refuse.is_some() || !right {
            return Err(ServiceError::new("access_denied", "wrong user or password"));
        }
        self.state.holdings.logins += 1;
        let id = format!("9f2c{:028x}", self.state.holdings.logins);
        self.sessions.insert(id.clone(), OpenSession { used: now.tick, tasks: Vec::new() });
        Ok(Value::Text(id))
    }

    /// The function's name as the caller spelled it.
    fn spelling(&self, request: &HttpRequest, call: &Call) -> String {
        match self.checked.binding {
            Binding::Json(_) => {
                let query = form::parse(request.query().as_bytes());
                query.into_iter().find(|(name, _)| name == "f").map(|(_, value)| value).unwrap_or_default()
            }
            Binding::Soap(_) => prefixed(&call.function),
        }
    }
}

impl Backend for SimulatedCableView {
    fn answer(&mut self, now: Now, request: &HttpRequest, refuse: Option<Fault>) -> HttpAnswer {
        let call = match self.checked.binding.read_call(request) {
            Ok(call) => call,
            Err(text) => {
                let reply = Err(ServiceError::new("malformed_call", &text));
                return self.checked.binding.write_reply("malformed", &reply);
            }
        };
        let function = call.function.clone();
        let reply = if function == FUNCTION {
            self.log_in(now, &call, refuse)
        } else {
            let spelling = self.spelling(request, &call);
            self.reply(now, call, &spelling, refuse)
        };
        self.checked.binding.write_reply(&function, &reply)
    }

    fn is_login(&self, request: &HttpRequest) -> bool {
        match self.checked.binding {
            Binding::Json(_) => {
                let query = form::parse(request.query().as_bytes());
                query.iter().any(|(name, value)| name == "f" && super::wire::plain(value) == FUNCTION)
            }
            Binding::Soap(_) => request.header("soapaction").is_some_and(|action| action.contains("#cvLogin\"")),
        }
    }

    fn lose_sessions(&mut self) {
        self.sessions.clear();
    }

    fn has_sessions(&self) -> bool {
        true
    }

    fn holdings(&self) -> &Holdings {
        &self.state.holdings
    }
}

/// A refusal by that name.
fn error(name: &str) -> ServiceError {
    ServiceError::new(name, "")
}
