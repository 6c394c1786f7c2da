//! Generations A and B: the Service Delivery Platform of 2.x, SOAP; subscribers sign on by JSON.

mod check;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use headgate_core::Now;
use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::command::{Address, Command, Subscriber};
use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::{Answer, Authenticated, KnownSubscriber, RawAnswer, Verdict};
use headgate_core::request::Request;
use headgate_core::text::{AccountNumber, PersonalText, PlatformReference, Secret, Serial};
use serde::Deserialize;
use serde_json::Value;

pub(super) use self::check::check;
use self::check::raw_call;
use self::settings::SignonMethod;
use self::wire::{Operation, Reply, User, account, is_card, is_empty, reply};
use super::capabilities::MediaLiveRules;
use super::members::{self, Object};
use crate::http::form::{self, Form};
use crate::http::tally::Tally;
use crate::http::{Begun, Dialogue, End, Step, answer};
use crate::xml;
use crate::xml::write::Unwritable;

/// How the platform is talked to.
pub struct Sdp {
    settings: Arc<super::Settings>,
    rules: Arc<MediaLiveRules>,
}

/// A request being carried out.
pub enum Task {
    /// An account is made.
    Create {
        /// How.
        operation: Operation,
        /// Its number.
        number: String,
        /// It was refused, which may be because it was made already: the account is asked for to find out.
        refused: Option<Failure>,
    },
    /// An account is asked for.
    Account {
        /// Its number.
        number: AccountNumber,
    },
    /// Something done with each of some devices.
    Devices(Devices),
    /// A subscriber signs on.
    SignOn {
        /// As whom.
        login: String,
        /// With what.
        password: Secret,
    },
    /// The description of the service is asked for, to see whether it is there.
    Description,
    /// The caller's own call.
    Raw(HttpCall),
}

/// Something done with each of some devices.
pub struct Devices {
    left: VecDeque<(Serial, Operation)>,
    tally: Tally,
}

impl Sdp {
    /// By these settings.
    #[must_use]
    pub const fn new(settings: Arc<super::Settings>, rules: Arc<MediaLiveRules>) -> Self {
        Self { settings, rules }
    }

    fn task(&self, request: &Request) -> Result<Task, Refusal> {
        let number = || request.account_number().unwrap_or_default().to_owned();
        Ok(match &request.command {
            Command::CreateSubscriber(subscriber) => {
                let operation = self.new_account(number(), request, subscriber);
                Task::Create { operation, number: number(), refused: None }
            }
            Command::GetSubscriber => {
                Task::Account { number: AccountNumber::new(&number()).map_err(|_| unspeakable())? }
            }
            Command::EnableDevice(devices) => {
                each(&devices.smartcards, |card| Operation::CreateSmartCard { card: card.as_str().to_owned() })
            }
            Command::RemoveDevice(devices) => {
                each(&devices.smartcards, |card| Operation::DeleteSmartCard { card: card.as_str().to_owned() })
            }
            Command::Pair(devices) => {
                let device = devices.stbs.first().ok_or_else(unspeakable)?.as_str();
                each(&devices.smartcards, |card| Operation::Pair {
                    device: device.to_owned(),
                    card: card.as_str().to_owned(),
                })
            }
            Command::Unpair(devices) => {
                each(&devices.stbs, |device| Operation::Unpair { device: device.as_str().to_owned() })
            }
            Command::Authenticate(credentials) => {
                let login = credentials.login.as_ref().map_or_else(number, |login| login.as_str().to_owned());
                Task::SignOn { login, password: credentials.password.clone().ok_or_else(unspeakable)? }
            }
            Command::TestConnection => Task::Description,
            Command::Raw(raw) => Task::Raw(raw_call(&self.settings.sdp, &raw.payload)?),
            _ => return Err(unspeakable()),
        })
    }

    fn new_account(&self, number: String, request: &Request, subscriber: &Subscriber) -> Operation {
        let settings = &self.settings.sdp;
        let Address { street, city, country, .. } = subscriber.address.clone().unwrap_or_default();
        let told = [
            ("firstName", subscriber.first_name.as_ref()),
            ("lastname", subscriber.last_name.as_ref()),
            ("address1", street.as_ref()),
            ("city", city.as_ref()),
            ("country", country.as_ref()),
        ];
        let mut account = settings.account_defaults.clone();
        account.extend(told.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.as_str().to_owned()))));
        account.extend(subscriber.attributes.iter().map(|(name, text)| (name.clone(), text.as_str().to_owned())));
        let first = [("accountNumber".to_owned(), number.clone()), ("status".to_owned(), "ACTIVE".to_owned())];
        let hashed =
            subscriber.password.as_ref().map(|password| settings.password_hash.of_request(password, request.id));
        let (password, salt) = hashed.map_or((None, None), |(hash, salt)| (Some(hash), salt));
        let login = subscriber.login.as_ref().or(subscriber.email.as_ref()).map(PersonalText::as_str);
        let names = [&subscriber.first_name, &subscriber.last_name].into_iter().flatten().map(PersonalText::as_str);
        let name = names.collect::<Vec<_>>().join(" ");
        let login = login.map_or(number, str::to_owned);
        let name = if name.is_empty() { login.clone() } else { name };
        let user = User { name, login, password, salt, pin: subscriber.pin.clone() };
        Operation::CreateAccount { account: first.into_iter().chain(account).collect(), user: Box::new(user) }
    }

    fn signon(&self, login: &str, password: &Secret) -> HttpCall {
        let settings = &self.settings.sdp;
        let arguments = Form::new().field("arg0", login).field("arg1", password.reveal()).finish();
        match settings.signon_method {
            SignonMethod::Get => HttpCall::get(format!("{}?{arguments}", settings.signon_path)),
            SignonMethod::Post => {
                HttpCall::post(settings.signon_path.clone(), form::CONTENT_TYPE, arguments).harmless()
            }
        }
    }

    fn created(&self, number: &str, refused: &mut Option<Failure>, answer: &HttpAnswer) -> Result<Step, Failure> {
        let reply = reply(answer)?;
        let unreadable = |why: String| answer::unreadable(answer, why);
        Ok(match (&reply, refused.take()) {
            (Reply::No(failure), None) => {
                *refused = Some(failure.clone());
                Step::Next
            }
            (Reply::No(_), Some(before)) => Step::rejected(before),
            (_, before) => match (account(&self.settings.sdp, &reply).map_err(unreadable)?, before) {
                (Some(account), None) => {
                    let reference = account.child("uid").and_then(|uid| PlatformReference::new(uid.text.trim()).ok());
                    Step::End(End { verdict: Verdict::Completed(None), reference })
                }
                (Some(account), Some(before)) => {
                    let is_it = account.child("accountNumber").is_some_and(|it| it.text.trim() == number);
                    if is_it { Step::completed() } else { Step::rejected(before) }
                }
                (None, Some(before)) => Step::rejected(before),
                (None, None) => return Err(unreadable("there is no account in it".into())),
            },
        })
    }

    fn told(&self, number: &AccountNumber, answer: &HttpAnswer) -> Result<Step, Failure> {
        let reply = reply(answer)?;
        if let Reply::No(failure) = reply {
            return Ok(Step::rejected(failure));
        }
        let found = account(&self.settings.sdp, &reply).map_err(|why| answer::unreadable(answer, why))?;
        Ok(match found {
            None => Step::rejected(Failure::refused("unknown_account", "the platform knows no such account")),
            Some(account) => Step::answered(Answer::Subscriber(known(number, account))),
        })
    }

    fn device_answered(&self, devices: &mut Devices, answer: &HttpAnswer) -> Result<Step, Failure> {
        let reply = reply(answer)?;
        let Some((part, operation)) = devices.left.front() else { return Ok(devices.tally.end()) };
        let done = match operation {
            Operation::CreateSmartCard { .. } => is_card(&self.settings.sdp, &reply),
            _ => is_empty(&reply),
        };
        match reply {
            Reply::No(failure) => devices.tally.refused(part, failure),
            _ if done => devices.tally.done(),
            _ => {
                return Err(answer::unreadable(
                    answer,
                    "the element in the Body is another one; check `sdp.namespaces`",
                ));
            }
        }
        devices.left.pop_front();
        Ok(if devices.left.is_empty() { devices.tally.end() } else { Step::Next })
    }
}

impl Dialogue for Sdp {
    type Session = ();
    type Task = Task;

    fn begin(&mut self, _: Now, request: &Request) -> Result<Begun<Task>, Refusal> {
        self.rules.check(request)?;
        Ok(Begun::Task(self.task(request)?))
    }

    fn call(&mut self, _: Now, _: Option<&()>, task: &Task) -> Result<HttpCall, Failure> {
        let settings = &self.settings.sdp;
        let unwritable = |error: Unwritable| Failure::unspeakable("bad_character", error.to_string());
        match task {
            Task::Create { operation, refused: None, .. } => operation.call(settings).map_err(unwritable),
            Task::Create { number, refused: Some(_), .. } => ask(number).call(settings).map_err(unwritable),
            Task::Account { number } => ask(number.as_str()).call(settings).map_err(unwritable),
            Task::Devices(devices) => match devices.left.front() {
                Some((_, operation)) => operation.call(settings).map_err(unwritable),
                None => Err(Failure::unspeakable("unspeakable", "there is nothing left to do")),
            },
            Task::SignOn { login, password } => Ok(self.signon(login, password)),
            Task::Description => Ok(HttpCall::get(format!("{}?wsdl", settings.account_service))),
            Task::Raw(call) => Ok(call.clone()),
        }
    }

    fn read(&mut self, _: Now, task: &mut Task, answer: &HttpAnswer) -> Step {
        let step = match task {
            Task::Create { number, refused, .. } => self.created(number, refused, answer),
            Task::Account { number } => self.told(number, answer),
            Task::Devices(devices) => self.device_answered(devices, answer),
            Task::SignOn { .. } => signed_on(answer),
            Task::Description => described(answer),
            Task::Raw(_) => reply(answer).map(|reply| match reply {
                Reply::No(failure) => Step::rejected(failure),
                _ => Step::answered(Answer::Raw(RawAnswer(answer.body.clone()))),
            }),
        };
        step.unwrap_or_else(Step::failed)
    }

    fn confidential(&self, task: &Task, answer: Option<&HttpAnswer>) -> Vec<String> {
        let hash = match task {
            Task::Create { operation: Operation::CreateAccount { user, .. }, .. } => user.password.as_ref(),
            _ => None,
        };
        let mut secrets: Vec<_> = hash.map(|hash| hash.reveal().to_owned()).into_iter().collect();
        if let (Task::SignOn { .. }, Some(answer)) = (task, answer)
            && let Ok(members) = serde_json::from_slice::<Object>(&answer.body)
        {
            secrets.extend(members::secrets_of(&members));
        }
        secrets
    }
}

fn each(devices: &[Serial], operation: impl Fn(&Serial) -> Operation) -> Task {
    let left = devices.iter().map(|device| (device.clone(), operation(device))).collect();
    Task::Devices(Devices { left, tally: Tally::default() })
}

fn ask(number: &str) -> Operation {
    Operation::GetByAccountNumber { number: number.to_owned() }
}

fn known(number: &AccountNumber, account: &xml::Element) -> KnownSubscriber {
    let single = account.children.iter().filter(|child| child.children.is_empty());
    let told = |child: &xml::Element| {
        let is_told = !members::is_secret(&child.name) && !["accountNumber", "status"].contains(&child.name.as_str());
        Some((child.name.to_string(), PersonalText::new(child.text.trim()).ok().filter(|_| is_told)?))
    };
    KnownSubscriber {
        account: number.clone(),
        state: account.child("status").map(|status| status.text.trim().to_owned()),
        devices: Vec::new(),
        services: Vec::new(),
        attributes: single.filter_map(told).collect::<BTreeMap<_, _>>(),
    }
}

/// The answer to a sign-on \[S-code a, b\].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signon {
    result_code: Value,
    #[serde(default)]
    token: Option<Secret>,
}

fn signed_on(answer: &HttpAnswer) -> Result<Step, Failure> {
    match answer.status {
        200..=299 => {}
        401 | 403 => return Ok(Step::rejected(bad_credentials(answer.status.to_string()))),
        _ => return Err(answer::server_error(answer)),
    }
    let signon: Signon = answer::json(answer)?;
    let code = match &signon.result_code {
        Value::String(code) if code.len() <= 64 && code.bytes().all(|b| b.is_ascii_graphic()) => code.clone(),
        Value::Number(code) => code.to_string(),
        _ => return Err(answer::unreadable(answer, "resultCode is neither a number nor a short text")),
    };
    if code != "0" {
        return Ok(Step::rejected(bad_credentials(code)));
    }
    let token = signon.token.filter(|token| !token.reveal().is_empty());
    let token = token.ok_or_else(|| answer::unreadable(answer, "there is no token"))?;
    Ok(Step::answered(Answer::Authenticated(Authenticated { account: None, token: Some(token) })))
}

fn bad_credentials(code: String) -> Failure {
    Failure::refused(code, "the platform does not accept these credentials")
}

fn described(answer: &HttpAnswer) -> Result<Step, Failure> {
    match answer.status {
        200..=299 => {
            let root =
                xml::parse(&answer.body, answer.body.len()).map_err(|error| answer::unreadable(answer, error))?;
            match root.name.as_str() {
                "definitions" => Ok(Step::completed()),
                _ => Err(answer::unreadable(answer, "it is no description of a service")),
            }
        }
        401 | 403 => Err(answer::not_admitted(answer)),
        500.. => Err(answer::server_error(answer)),
        status => Ok(Step::rejected(Failure::refused(
            status.to_string(),
            "there is no such service; check `sdp.account_service`",
        ))),
    }
}

fn unspeakable() -> Refusal {
    Refusal::new("command", "unspeakable", "can not be put into the platform's words")
}
