//! The third party, for simulations: a worker that fetches what is to be done, does it to cards and accounts it keeps
//! itself, and answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use headgate_core::adapter::{Done, Effect, EffectId, Input};
use headgate_core::http::{HttpAnswer, HttpCall, HttpError};
use headgate_core::outcome::{Answer, HeldService, HeldServices, KnownDevice, KnownSubscriber, Pairing, RawAnswer};
use headgate_core::platform::{Account, Card, Fault, Holding, Holdings, Platform, PlatformOutput};
use headgate_core::text::{AccountNumber, CaId, PlatformReference, Serial};
use headgate_core::{Deadline, Now, Tick};

use super::settings::Settings;
use super::types::{DeviceKind, ServiceItem, Work};
use super::wire::{AnswerState, AnswersCall, Offer, PullCall, Pulled, WorkerAnswer};
use crate::registry::Stock;

/// How long it waits after a call that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a worker refuses something: a code, and words.
type Refused = (&'static str, &'static str);

/// A worker with the system behind it.
#[derive(Debug)]
pub struct Worker {
    holdings: Holdings,
    /// It knows every card that is asked for.
    any_card: bool,
    products: BTreeSet<String>,
    wait_seconds: u64,
    /// What was done for a number, so that one that comes again is answered and not done again.
    done: BTreeMap<String, WorkerAnswer>,
    faults: VecDeque<Fault>,
    pull: Option<EffectId>,
    answers: BTreeMap<EffectId, Vec<WorkerAnswer>>,
    next_pull: Option<Tick>,
    late: Vec<(Tick, Vec<WorkerAnswer>)>,
    outputs: VecDeque<(EffectId, Effect)>,
    effects: EffectId,
}

impl Worker {
    /// A worker whose system holds the stock.
    #[must_use]
    pub fn new(settings: &Settings, stock: &Stock) -> Self {
        let cards = stock.cards.iter().map(|card| (card.clone(), Card::default())).collect();
        Self {
            holdings: Holdings { cards, ..Holdings::default() },
            any_card: stock.cards.is_empty(),
            products: stock.products.iter().cloned().collect(),
            wait_seconds: settings.longest_wait.as_secs(),
            done: BTreeMap::new(),
            faults: VecDeque::new(),
            pull: None,
            answers: BTreeMap::new(),
            next_pull: None,
            late: Vec::new(),
            outputs: VecDeque::new(),
            effects: EffectId::default(),
        }
    }

    // ---- calls

    fn pull(&mut self) {
        self.next_pull = None;
        let call = PullCall { wait_seconds: self.wait_seconds, ..PullCall::default() };
        let timeout = Duration::from_secs(self.wait_seconds + 10);
        self.pull = Some(self.call("/pull", &call, timeout));
    }

    fn send(&mut self, answers: Vec<WorkerAnswer>) {
        if answers.is_empty() {
            return;
        }
        let call = AnswersCall { answers };
        let id = self.call("/answers", &call, Duration::from_secs(10));
        self.answers.insert(id, call.answers);
    }

    fn call(&mut self, target: &str, body: &impl serde::Serialize, timeout: Duration) -> EffectId {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let call = HttpCall { timeout: Some(timeout), ..HttpCall::post(target, "application/json", body) };
        let id = self.effects.next();
        self.outputs.push_back((id, Effect::Http(call)));
        id
    }

    fn called(&mut self, now: Now, id: EffectId, result: Result<HttpAnswer, HttpError>) {
        let answer = result.ok().filter(HttpAnswer::is_success);
        if self.pull == Some(id) {
            self.pull = None;
            match answer.and_then(|answer| serde_json::from_slice::<Pulled>(&answer.body).ok()) {
                Some(pulled) => {
                    self.take(now, pulled.requests);
                    self.pull();
                }
                None => self.next_pull = Some(now.tick + PAUSE),
            }
        } else if let Some(answers) = self.answers.remove(&id)
            && answer.is_none()
        {
            // Answers may be given twice.
            self.late.push((now.tick + PAUSE, answers));
        }
    }

    fn take(&mut self, now: Now, offers: Vec<Offer>) {
        let mut answers = Vec::new();
        for offer in offers {
            let fault = self.faults.pop_front();
            if fault == Some(Fault::CloseBefore) {
                // It dies before it does anything; another one gets it when the lease runs out.
                continue;
            }
            let answer = self.carry_out(&offer, fault == Some(Fault::UnknownCard));
            match fault {
                Some(Fault::Silence | Fault::CloseInstead) => {}
                Some(fault @ Fault::Delay(_)) => self.late.push((now.tick + fault.delay(), vec![answer])),
                Some(Fault::WrongNumber) => answers.push(WorkerAnswer { number: "0".into(), ..answer }),
                Some(Fault::DuplicateAnswer) => answers.extend([answer.clone(), answer]),
                _ => answers.push(answer),
            }
        }
        self.send(answers);
    }

    // ---- work

    /// Does it once, and answers it as often as it is asked.
    fn carry_out(&mut self, offer: &Offer, refuse: bool) -> WorkerAnswer {
        if let Some(before) = self.done.get(&offer.number) {
            return WorkerAnswer { lease: Some(offer.lease.clone()), ..before.clone() };
        }
        let mut answer = WorkerAnswer {
            number: offer.number.clone(),
            lease: Some(offer.lease.clone()),
            state: AnswerState::Completed,
            code: None,
            text: None,
            reference: PlatformReference::new(&format!("W{}", offer.number)).ok(),
            account: None,
            answer: None,
        };
        let done = if refuse { Err(("unknown_device", "the device is not known")) } else { self.work(&offer.work) };
        self.holdings.applied += 1;
        match done {
            Ok(told) => {
                let made = offer.work.kind == "BECOME_SUBSCRIBER";
                answer.account = account(&offer.work).filter(|_| made).and_then(|name| AccountNumber::new(&name).ok());
                answer.answer = told;
            }
            Err((code, text)) => {
                answer.state = AnswerState::Rejected;
                answer.code = Some(code.to_owned());
                answer.text = Some(text.to_owned());
            }
        }
        self.done.insert(offer.number.clone(), answer.clone());
        answer
    }

    fn work(&mut self, work: &Work) -> Result<Option<Answer>, Refused> {
        for service in &work.services {
            if !self.products.is_empty() && !self.products.contains(service.ca_id.as_str()) {
                return Err(("unknown_service", "the service is not known"));
            }
        }
        for device in work.devices.iter().chain(&work.new_devices).filter(|d| d.kind == DeviceKind::Smartcard) {
            self.card(&device.serial_number)?;
        }
        match work.kind.as_str() {
            "BECOME_SUBSCRIBER" | "UPDATE_SUBSCRIBER" | "UPDATE_ADDRESS" => self.subscriber(work)?,
            "REMOVE_SUBSCRIBER" => {
                let name = account(work).unwrap_or_default();
                self.holdings.accounts.remove(&name).ok_or(("unknown_account", "the account is not known"))?;
            }
            "ADD_INSTALLED_ITEM" | "REMOVE_INSTALLED_ITEM" => self.installed_item(work)?,
            "ADD_UDR" | "CANCEL_UDR" => self.usage(work)?,
            "SEND_MESSAGE" => self.message(work)?,
            "SWAP_DEVICE" => self.swap(work)?,
            "GET_SERVICES" => return Ok(Some(self.services(work))),
            "GET_PAIRING" => return Ok(Some(self.pairings(work))),
            "GET_DEVICE" => return Ok(Some(self.devices(work))),
            "GET_SUBSCRIBER" => return self.known_subscriber(work).map(Some),
            "RAW" => {
                let bytes = headgate_core::text::from_hex(work.payload.as_deref().unwrap_or_default());
                return Ok(Some(Answer::Raw(RawAnswer(bytes.unwrap_or_default().into()))));
            }
            "AUTHENTICATE" | "REMOVE_SESSIONS" => self.session(work)?,
            _ => self.each_device(work)?,
        }
        Ok(None)
    }

    fn card(&mut self, serial: &Serial) -> Result<&mut Card, Refused> {
        if self.any_card {
            return Ok(self.holdings.cards.entry(serial.as_str().to_owned()).or_default());
        }
        self.holdings.cards.get_mut(serial.as_str()).ok_or(("unknown_device", "the device is not known"))
    }

    fn account(&mut self, work: &Work) -> Result<&mut Account, Refused> {
        let name = account(work).ok_or(("no_account", "the request names no account"))?;
        self.holdings.accounts.get_mut(&name).ok_or(("unknown_account", "the account is not known"))
    }

    fn subscriber(&mut self, work: &Work) -> Result<(), Refused> {
        let name = account(work).ok_or(("no_account", "the request names no account"))?;
        if work.kind == "BECOME_SUBSCRIBER" {
            self.holdings.accounts.entry(name).or_default();
        }
        let account = self.account(work)?;
        let Some(subscriber) = &work.subscriber else { return Ok(()) };
        let address = subscriber.address.clone().unwrap_or_default();
        for (name, value) in [
            ("first_name", &subscriber.first_name),
            ("last_name", &subscriber.last_name),
            ("email", &subscriber.email),
            ("phone", &subscriber.phone),
            ("street", &address.street),
            ("city", &address.city),
        ] {
            if let Some(value) = value {
                account.attributes.insert(name.to_owned(), value.as_str().to_owned());
            }
        }
        Ok(())
    }

    fn installed_item(&mut self, work: &Work) -> Result<(), Refused> {
        let add = work.kind == "ADD_INSTALLED_ITEM";
        let account = self.account(work)?;
        for device in &work.devices {
            let serial = device.serial_number.as_str().to_owned();
            if add {
                account.devices.insert(serial)
            } else {
                account.devices.remove(&serial)
            };
        }
        Ok(())
    }

    fn usage(&mut self, work: &Work) -> Result<(), Refused> {
        let id = work.usage.as_ref().map(|usage| usage.as_str().to_owned()).unwrap_or_default();
        let service = work.services.first().map(|service| service.ca_id.as_str().to_owned());
        let add = work.kind == "ADD_UDR";
        let account = self.account(work)?;
        if add {
            account.usages.insert(id, service.unwrap_or_default());
        } else {
            account.usages.remove(&id).ok_or(("unknown_usage", "the use is not known"))?;
        }
        Ok(())
    }

    fn session(&mut self, work: &Work) -> Result<(), Refused> {
        let end = work.kind == "REMOVE_SESSIONS";
        if work.devices.is_empty() || !end {
            let account = self.account(work)?;
            account.sessions_removed += u32::from(end);
        }
        Ok(())
    }

    fn message(&mut self, work: &Work) -> Result<(), Refused> {
        let Some(message) = work.message.clone() else { return Err(("no_message", "the request has no message")) };
        match message.to.as_str() {
            "subscriber" => self.account(work)?.messages.push(message.text),
            "devices" => {
                for device in &work.devices {
                    self.card(&device.serial_number)?.messages.push(message.text.clone());
                }
            }
            _ => self.holdings.broadcasts.push(message.text),
        }
        Ok(())
    }

    fn swap(&mut self, work: &Work) -> Result<(), Refused> {
        let cards = |devices: &[super::types::DeviceItem]| {
            devices
                .iter()
                .find(|device| device.kind == DeviceKind::Smartcard)
                .map(|device| device.serial_number.clone())
        };
        if let (Some(old), Some(new)) = (cards(&work.devices), cards(&work.new_devices)) {
            let card = self.card(&old)?;
            let (services, stbs) = (std::mem::take(&mut card.services), std::mem::take(&mut card.stbs));
            let card = self.card(&new)?;
            card.services.extend(services);
            card.stbs.extend(stbs);
        }
        // The registration goes along.
        for (old, new) in work.devices.iter().zip(&work.new_devices) {
            for account in self.holdings.accounts.values_mut() {
                if account.devices.remove(old.serial_number.as_str()) {
                    account.devices.insert(new.serial_number.as_str().to_owned());
                }
            }
        }
        Ok(())
    }

    /// What is done to every card that the work names, or, where it names none, to the account.
    fn each_device(&mut self, work: &Work) -> Result<(), Refused> {
        if work.devices.is_empty() {
            let account = self.account(work)?;
            return switch(&mut account.services, work);
        }
        let boxes: Vec<String> = work
            .devices
            .iter()
            .filter(|device| device.kind == DeviceKind::Stb)
            .map(|device| device.serial_number.as_str().to_owned())
            .collect();
        for device in work.devices.iter().filter(|device| device.kind == DeviceKind::Smartcard) {
            let card = self.card(&device.serial_number)?;
            match work.kind.as_str() {
                "PAIR" => card.stbs = boxes.iter().cloned().collect(),
                "ADD_TO_PAIRING" => card.stbs.extend(boxes.iter().cloned()),
                "UNPAIR" => card.stbs.clear(),
                "ENABLE_DEVICE" => card.disabled = None,
                "DISABLE_DEVICE" => card.disabled = work.reason.map(|reason| reason.name().to_owned()),
                "SET_PIN" => card.pin = work.pin.as_ref().map(|pin| pin.reveal().to_owned()),
                "RESET_PIN" => card.pin = Some("default".into()),
                "CLEAR_PIN" => card.pin = None,
                "REFRESH_SERVICES" => card.refreshes += 1,
                "FINGERPRINT" => card.fingerprints += 1,
                _ => switch(&mut card.services, work)?,
            }
        }
        Ok(())
    }

    // ---- reading

    fn serials(work: &Work) -> impl Iterator<Item = &Serial> {
        work.devices.iter().map(|device| &device.serial_number)
    }

    fn services(&self, work: &Work) -> Answer {
        let of_card = |serial: &Serial| {
            let services = self.holdings.cards.get(serial.as_str()).map(|card| held(&card.services));
            HeldServices { smartcard: Some(serial.clone()), account: None, services: services.unwrap_or_default() }
        };
        Answer::Services(Self::serials(work).map(of_card).collect())
    }

    fn pairings(&self, work: &Work) -> Answer {
        let of_card = |serial: &Serial| {
            let stbs = self.holdings.cards.get(serial.as_str()).map(|card| serials(&card.stbs));
            Pairing { smartcard: serial.clone(), stbs: stbs.unwrap_or_default() }
        };
        Answer::Pairings(Self::serials(work).map(of_card).collect())
    }

    fn devices(&self, work: &Work) -> Answer {
        let of_device = |serial: &Serial| {
            let card = self.holdings.cards.get(serial.as_str());
            // A card in stock that no account has is not registered.
            let owner = self.holdings.accounts.iter().find(|(_, account)| account.devices.contains(serial.as_str()))?;
            Some(KnownDevice {
                serial: serial.clone(),
                enabled: card.map(|card| card.disabled.is_none()),
                account: AccountNumber::new(owner.0).ok(),
                paired: card.map(|card| serials(&card.stbs)).unwrap_or_default(),
                attributes: BTreeMap::new(),
            })
        };
        Answer::Devices(Self::serials(work).filter_map(of_device).collect())
    }

    fn known_subscriber(&mut self, work: &Work) -> Result<Answer, Refused> {
        let number = account(work).and_then(|name| AccountNumber::new(&name).ok());
        let account = self.account(work)?;
        let number = number.ok_or(("no_account", "the request names no account"))?;
        Ok(Answer::Subscriber(KnownSubscriber {
            account: number,
            state: None,
            devices: serials(&account.devices),
            services: held(&account.services),
            attributes: BTreeMap::new(),
        }))
    }
}

impl Platform for Worker {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Start => self.pull(),
            Input::Done(id, Done::Http(result)) => self.called(now, id, result),
            _ => {}
        }
        if self.next_pull.is_some_and(|at| at <= now.tick) {
            self.pull();
        }
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now.tick);
        self.late = later;
        let due: Vec<(Tick, Vec<WorkerAnswer>)> = due;
        for (_, answers) in due {
            self.send(answers);
        }
    }

    fn poll_output(&mut self) -> PlatformOutput {
        if let Some((id, effect)) = self.outputs.pop_front() {
            return PlatformOutput::Do(id, effect);
        }
        let pull = self.next_pull.map(|at| Deadline { at, why: "ask again" });
        let late = self.late.iter().map(|(at, _)| Deadline { at: *at, why: "answer late" }).min();
        PlatformOutput::Wait(Deadline::earliest(pull, late))
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        match fault {
            Fault::CloseBefore
            | Fault::CloseInstead
            | Fault::Silence
            | Fault::WrongNumber
            | Fault::DuplicateAnswer
            | Fault::UnknownCard
            | Fault::Delay(_) => {
                self.faults.push_back(fault);
                Ok(())
            }
            _ => Err(fault),
        }
    }
}

/// The account that work is for.
fn account(work: &Work) -> Option<String> {
    work.account.as_ref().map(|number| number.as_str().to_owned()).or_else(|| work.subscription.clone())
}

/// Switches services as a type says.
fn switch(held: &mut BTreeMap<String, Holding>, work: &Work) -> Result<(), Refused> {
    let name = |service: &ServiceItem| service.ca_id.as_str().to_owned();
    let holding = |service: &ServiceItem| Holding { start: service.start, end: service.end, suspended: false };
    match work.kind.as_str() {
        "ACTIVATE_SERVICE" | "ACTIVATE_SUBSCRIBER" => {
            held.extend(work.services.iter().map(|service| (name(service), holding(service))));
        }
        "SET_SERVICES" => *held = work.services.iter().map(|service| (name(service), holding(service))).collect(),
        "DEACTIVATE_SERVICE" | "DEACTIVATE_SUBSCRIBER" => {
            held.retain(|id, _| {
                !work.all_services && !work.services.iter().any(|service| service.ca_id.as_str() == id)
            });
        }
        kind @ ("SUSPEND" | "RESUME") => {
            for (id, holding) in held {
                let named = work.services.iter().any(|service| service.ca_id.as_str() == id);
                if work.all_services || named {
                    holding.suspended = kind == "SUSPEND";
                }
            }
        }
        _ => return Err(("unknown_type", "the request type is not known")),
    }
    Ok(())
}

fn held(services: &BTreeMap<String, Holding>) -> Vec<HeldService> {
    let held = |(id, holding): (&String, &Holding)| {
        Some(HeldService {
            code: None,
            ca_id: CaId::new(id).ok()?,
            start: holding.start,
            end: holding.end,
            suspended: holding.suspended,
        })
    };
    services.iter().filter_map(held).collect()
}

fn serials(names: &BTreeSet<String>) -> Vec<Serial> {
    names.iter().filter_map(|name| Serial::new(name).ok()).collect()
}
