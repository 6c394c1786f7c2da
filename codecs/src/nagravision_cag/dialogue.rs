//! Commands as calls: one for each device, one after the other.

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::command::{Command, Devices};
use headgate_core::failure::{FailedPart, Failure};
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::{Answer, RawAnswer};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::text::{PlatformReference, Serial, ServiceCode};

use super::rules::CagRules;
use super::settings::{DeviceId, DeviceType, Settings};
use super::wire::{
    CommandResult, Deed, DeviceSpecification, Entitlement, Entitlements, Metadata, Recovery, Reply,
    SetTopBoxSpecification, SmartCardSpecification,
};
use crate::http::oauth::{Token, TokenClient};
use crate::http::raw::RawCall;
use crate::http::tally::Tally;
use crate::http::{Begun, Dialogue, LoginRules, OpenedSession, Step, answer};

/// Most characters that are kept of the platform's words.
const LONGEST_TEXT: usize = 300;

/// How the gateway is talked to.
pub struct Cag {
    settings: Arc<Settings>,
    services: ServiceMap,
    rules: CagRules,
    /// Absent: the connection identifies Headgate.
    tokens: Option<TokenClient>,
}

/// A request being carried out.
pub struct Task {
    /// The value of `x-correlation-id`: the request's id.
    correlation: String,
    work: Work,
}

enum Work {
    Devices(DeviceWork),
    Raw(RawCall),
}

/// The same on several devices.
struct DeviceWork {
    /// Those that are left, the next one last.
    left: Vec<(Serial, Deed)>,
    /// Whether there was only one.
    alone: bool,
    tally: Tally,
    /// The number of the first of the CAS's commands.
    reference: Option<PlatformReference>,
}

impl Cag {
    /// By these settings, with the CRM's services and the platform's products.
    #[must_use]
    pub fn new(settings: Arc<Settings>, services: ServiceMap) -> Self {
        let client = |token: &_| TokenClient::new(settings.token_path.clone(), Clone::clone(token));
        let tokens = settings.token.as_ref().map(client);
        Self { rules: CagRules::new(Arc::clone(&settings)), tokens, settings, services }
    }

    fn work(&self, command: &Command) -> Result<Work, Refusal> {
        let each = |devices: &Devices, deed: &dyn Fn(&Serial) -> Result<Deed, Refusal>| {
            let devices = self.ids(devices).iter().rev().map(|device| Ok((device.clone(), deed(device)?)));
            let left = devices.collect::<Result<Vec<_>, Refusal>>()?;
            let alone = left.len() == 1;
            Ok(Work::Devices(DeviceWork { left, alone, tally: Tally::default(), reference: None }))
        };
        match command {
            Command::ActivateServices(entitlement) => each(&entitlement.devices, &|device| {
                Ok(Deed::Add(self.added(device, &entitlement.devices, &entitlement.services)?))
            }),
            Command::SetServices(entitlement) => {
                each(&entitlement.devices, &|_| Ok(Deed::Replace(self.replaced(&entitlement.services)?)))
            }
            Command::DeactivateServices(selection) => {
                each(&selection.devices, &|_| Ok(Deed::Replace(self.replaced(&[])?)))
            }
            Command::RefreshServices(devices) => each(devices, &|_| {
                let years = self.settings.recovery_years.ok_or_else(unspeakable)?;
                Ok(Deed::Recover(Recovery { years: years.to_string() }))
            }),
            Command::Pair(devices) => {
                let chipset = devices.stbs.first().ok_or_else(unspeakable)?;
                each(devices, &|_| Ok(Deed::Pair(chipset.clone())))
            }
            Command::SetPin { devices, pin } => each(devices, &|_| Ok(Deed::SetPin(pin.clone()))),
            Command::Raw(raw) => Ok(Work::Raw(RawCall::read(&raw.payload)?)),
            _ => Err(unspeakable()),
        }
    }

    /// The numbers that are device ids.
    fn ids<'a>(&self, devices: &'a Devices) -> &'a [Serial] {
        match self.settings.device_id {
            DeviceId::Smartcard => &devices.smartcards,
            DeviceId::Stb => &devices.stbs,
        }
    }

    fn added(&self, device: &Serial, devices: &Devices, services: &[ServiceCode]) -> Result<Entitlements, Refusal> {
        let mut body = self.replaced(services)?;
        body.device_specification.device_id = Some(device.as_str().to_owned());
        let card = match self.settings.device_id {
            DeviceId::Smartcard => Some(device),
            DeviceId::Stb => devices.smartcards.first(),
        };
        let card = card.filter(|_| self.settings.device_type == DeviceType::CardBased);
        let chipset = match self.settings.device_id {
            DeviceId::Smartcard => devices.stbs.first(),
            DeviceId::Stb => Some(device),
        };
        let text = |number: &Serial| number.as_str().to_owned();
        body.smart_card_specification = card.map(text).map(|smart_card_id| SmartCardSpecification { smart_card_id });
        body.set_top_box_specification =
            chipset.map(text).map(|chipset_serial_number| SetTopBoxSpecification { chipset_serial_number });
        let field =
            |(name, value): (&String, &String)| Metadata { field_name: name.clone(), field_value: value.clone() };
        body.metadata_set = self.settings.metadata.iter().map(field).collect();
        Ok(body)
    }

    fn replaced(&self, services: &[ServiceCode]) -> Result<Entitlements, Refusal> {
        let mut entitlements: Vec<Entitlement> = Vec::new();
        for service in services {
            let product_id = self.services.ca_id(service).ok_or_else(unspeakable)?.as_str().to_owned();
            // Two codes may share a product.
            if !entitlements.iter().any(|known| known.product_id == product_id) {
                entitlements.push(Entitlement { product_id });
            }
        }
        Ok(Entitlements {
            device_specification: DeviceSpecification {
                device_type: self.settings.device_type.into(),
                device_id: None,
            },
            smart_card_specification: None,
            set_top_box_specification: None,
            entitlements,
            metadata_set: Vec::new(),
        })
    }

    /// How an answer ends the task that says neither yes nor no to the call itself.
    fn ended(&self, answer: &HttpAnswer) -> Option<Step> {
        match answer.status {
            401 | 403 if self.tokens.is_some() => Some(Step::SessionLost(answer::not_admitted(answer))),
            401 | 403 => Some(Step::failed(answer::not_admitted(answer))),
            200..=299 | 400..=499 => None,
            _ => Some(Step::failed(answer::server_error(answer))),
        }
    }

    /// What the gateway says of one device: its reply, or why it refuses.
    ///
    /// # Errors
    /// That nobody can tell.
    fn reply(&self, answer: &HttpAnswer) -> Result<Result<Reply, Failure>, Failure> {
        let reply = match answer::json::<Reply>(answer) {
            Ok(reply) => reply,
            // Only of a success must it be known which.
            Err(_) if !answer.is_success() => return Ok(Err(refused(answer))),
            Err(failure) => return Err(failure),
        };
        let results = reply.command_results.iter().enumerate();
        let bad: Vec<_> = results.filter(|(_, result)| !self.is_good(result)).collect();
        let Some((_, first)) = bad.first() else {
            let good = answer.is_success() && reply.is_success();
            return Ok(if good { Ok(reply) } else { Err(refused_as_a_whole(answer, &reply)) });
        };
        if bad.len() == reply.command_results.len() {
            return Ok(Err(Failure::refused(first.response_code.to_string(), words(&first.response_text))));
        }
        let parts = bad.iter().filter_map(|(index, result)| failed_part(*index, result)).collect();
        Ok(Err(Failure::partial(parts, reply.command_results.len())))
    }

    fn is_good(&self, result: &CommandResult) -> bool {
        let code = result.response_code.to_string();
        self.settings.success_codes.contains(&code) || result.response_text.eq_ignore_ascii_case("ok")
    }

    fn read_device(&self, work: &mut DeviceWork, answer: &HttpAnswer) -> Step {
        let Some((device, _)) = work.left.last() else { return Step::failed(answer::server_error(answer)) };
        match self.reply(answer) {
            Ok(Ok(reply)) => {
                work.tally.done();
                if work.reference.is_none() {
                    let number = reply.command_results.first().and_then(CommandResult::number);
                    work.reference = number.and_then(|number| PlatformReference::new(&number).ok());
                }
            }
            // The parts of one device are told; of several devices, which of them.
            Ok(Err(failure)) if work.alone => return Step::rejected(failure),
            Ok(Err(failure)) => work.tally.refused(device, failure),
            Err(failure) => return Step::failed(failure),
        }
        work.left.pop();
        if !work.left.is_empty() {
            return Step::Next;
        }
        match work.tally.end() {
            Step::End(mut end) => {
                end.reference = work.reference.take();
                Step::End(end)
            }
            step => step,
        }
    }
}

impl Dialogue for Cag {
    type Session = Token;
    type Task = Task;

    fn login_rules(&self) -> Option<LoginRules> {
        self.tokens.is_some().then(LoginRules::default)
    }

    fn login(&mut self, now: Now, previous: Option<&Token>) -> HttpCall {
        let call = self.tokens.as_ref().map(|tokens| tokens.ask(now, previous));
        let endpoint = self.settings.token_endpoint.clone().into();
        HttpCall { endpoint, ..call.unwrap_or_else(|| HttpCall::get("/")) }
    }

    fn logged_in(&mut self, now: Now, answer: &HttpAnswer) -> Result<OpenedSession<Token>, Failure> {
        match &self.tokens {
            Some(tokens) => tokens.opened(now, answer),
            None => Err(Failure::not_sent("no_login", "no tokens are asked for")),
        }
    }

    fn begin(&mut self, _: Now, request: &Request) -> Result<Begun<Task>, Refusal> {
        self.rules.check(request)?;
        Ok(Begun::Task(Task { correlation: request.id.to_string(), work: self.work(&request.command)? }))
    }

    fn call(&mut self, _: Now, session: Option<&Token>, task: &Task) -> Result<HttpCall, Failure> {
        let call = match &task.work {
            Work::Devices(work) => match work.left.last() {
                Some((device, deed)) => deed.call(&self.settings.cas_instance, device.as_str()),
                None => return Err(Failure::unspeakable("unspeakable", "no device is left")),
            },
            Work::Raw(raw) => raw.call(),
        };
        let call = match session {
            Some(token) => token.authorize(call),
            None => call,
        };
        let call = call.header("nv-tenant-id", self.settings.tenant.clone());
        let call = call.header("operator", self.settings.operator.clone());
        Ok(call.header("x-correlation-id", task.correlation.clone()))
    }

    fn read(&mut self, _: Now, task: &mut Task, answer: &HttpAnswer) -> Step {
        if let Some(step) = self.ended(answer) {
            return step;
        }
        match &mut task.work {
            Work::Devices(work) => self.read_device(work, answer),
            Work::Raw(_) if answer.is_success() => Step::answered(Answer::Raw(RawAnswer(answer.body.clone()))),
            Work::Raw(_) => Step::rejected(refused(answer)),
        }
    }

    fn secrets<'a>(&'a self, session: Option<&'a Token>) -> Vec<&'a str> {
        self.tokens.as_ref().map(|tokens| tokens.secrets(session)).unwrap_or_default()
    }
}

/// A refusal by its HTTP status alone.
fn refused(answer: &HttpAnswer) -> Failure {
    Failure::refused(answer.status.to_string(), format!("the platform refuses the call (HTTP {})", answer.status))
}

/// A refusal that blames no command.
fn refused_as_a_whole(answer: &HttpAnswer, reply: &Reply) -> Failure {
    let is_code = !reply.status.is_empty() && !reply.is_success() && reply.status.len() <= 64;
    let code = if is_code { words(&reply.status) } else { answer.status.to_string() };
    Failure::refused(code, format!("the platform refuses the call as a whole (HTTP {})", answer.status))
}

/// One of the CAS's commands that it refused, by its name, or else by its place.
fn failed_part(index: usize, result: &CommandResult) -> Option<FailedPart> {
    let name = Serial::new(&result.command_name).or_else(|_| Serial::new(&format!("command {}", index + 1)));
    let code = result.response_code.to_string().into();
    Some(FailedPart { part: name.ok()?, code, text: words(&result.response_text) })
}

/// The platform's words, on one line, of a length.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

fn unspeakable() -> Refusal {
    Refusal::new("command", "unspeakable", "this platform has no call for it")
}
