//! Requests put into operations.

mod messages;
mod services;

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::command::{Command, Devices, DisableReason, Period};
use headgate_core::request::Request;
use headgate_core::text::{Secret, Serial};

use super::orders::Aim;
use super::raw;
use super::rules::Speech;
use super::settings::{Mode, pin};
use super::subscriber;
use super::task::{BLOCK, Despite, Findings, Part, Task, Telling, Then, Words};
use super::wire::{LOGGED_IN, Operation, ServiceError};

/// How the platform says that there is no such subscriber.
const NO_SUBSCRIBER: &[&str] = &["subscriber_does_not_exist", "not_a_subscriber"];

impl Speech {
    /// The parts of a request.
    ///
    /// # Errors
    /// [`Refusal`] if it can not be said; [`headgate_core::adapter::Rules::check`] has the same reasons.
    pub fn task(&self, now: Now, request: &Request) -> Result<Task, Refusal> {
        let account = || {
            let missing = || Refusal::new("subscription", "missing_field", "name the subscription, or its account");
            request.account_number().map(str::to_owned).ok_or_else(missing)
        };
        let each = |devices: &Devices, operation: &dyn Fn(String) -> Operation| {
            changes(devices.smartcards.iter().map(|card| Part::new(operation(text(card))).about(Some(card.clone()))))
        };
        Ok(match &request.command {
            Command::ActivateServices(e) if self.settings().mode == Mode::Orders => {
                self.orders(now, Aim::Activate, account()?, self.numbers(&e.services)?, &e.devices, e.period)
            }
            Command::SetServices(e) if self.settings().mode == Mode::Orders => {
                self.orders(now, Aim::Set, account()?, self.numbers(&e.services)?, &e.devices, e.period)
            }
            Command::DeactivateServices(s) if self.settings().mode == Mode::Orders => {
                self.orders(now, Aim::Deactivate, account()?, self.selected(s)?, &s.devices, Period::default())
            }
            Command::Suspend(s) if self.settings().mode == Mode::Orders => {
                self.orders(now, Aim::Suspend, account()?, self.selected(s)?, &s.devices, Period::default())
            }
            Command::Resume(s) if self.settings().mode == Mode::Orders => {
                self.orders(now, Aim::Resume, account()?, self.selected(s)?, &s.devices, Period::default())
            }
            Command::ActivateServices(entitlement) => self.add_products(now, entitlement)?,
            Command::SetServices(entitlement) => self.set_whole(now, entitlement)?,
            Command::DeactivateServices(selection) => self.remove_products(selection)?,
            Command::Suspend(selection) => self.switch_on_cards(selection, true)?,
            Command::Resume(selection) => self.switch_on_cards(selection, false)?,
            Command::RefreshServices(devices) => {
                each(devices, &|smartcard_id| Operation::RefreshSmartcard { smartcard_id })
            }
            Command::CreateSubscriber(told) => {
                let code = account()?;
                let record = subscriber::new_record(&code, told, self.settings());
                let exists = Part::new(Operation::SubscriberExists { code }).then(Then::Confirm(unknown()));
                step_by_step([
                    Part::new(Operation::AddSubscriber { subscriber: record }).or_ask(&["not_unique"], exists)
                ])
            }
            Command::UpdateSubscriber(told) => {
                let read = Part::new(Operation::GetSubscriber { code: account()? });
                step_by_step([read.then(Then::Change(Box::new(told.clone())))])
            }
            Command::RemoveSubscriber => {
                let code = account()?;
                let orders =
                    Operation::GetOrdersOfSubscriber { subscriber_code: code.clone(), include_expired_orders: false };
                step_by_step([Part::new(orders).then(Then::CloseOrders(code)).unless(NO_SUBSCRIBER)])
            }
            Command::AddDevice(devices) => {
                let code = account()?;
                changes(devices.smartcards.iter().map(|card| {
                    let add = Operation::AddSmartcardToSubscriber { smartcard_id: text(card), code: code.clone() };
                    let part = Part::new(add).about(Some(card.clone()));
                    part.or_ask(&["smartcard_assigned_already"], owned(&code, card, None))
                }))
            }
            Command::RemoveDevice(devices) => {
                each(devices, &|smartcard_id| Operation::RemoveSmartcardFromSubscriber { smartcard_id })
            }
            Command::SwapDevice { devices, replacement } => self.swap(account()?, devices, replacement)?,
            Command::EnableDevice(devices) => changes(devices.smartcards.iter().map(|card| {
                let info = Operation::GetSmartcardInfo { smartcard_id: text(card) };
                Part::new(info).about(Some(card.clone())).then(Then::Enable(text(card)))
            })),
            Command::DisableDevice { devices, reason: DisableReason::Damaged } => {
                each(devices, &|smartcard_id| Operation::MarkSmartcardAsDefect { smartcard_id })
            }
            Command::DisableDevice { devices, .. } => {
                each(devices, &|smartcard_id| Operation::DisableSmartcard { smartcard_id })
            }
            Command::Pair(devices) => {
                let (card, stb_id) = (one_card(devices)?, devices.stbs.first().map(text));
                let stb_id = stb_id.ok_or_else(|| Refusal::new("stb", "missing_field", "name the box"))?;
                let pair = Operation::PairSmartcard { smartcard_id: text(card), stb_id };
                changes([Part::new(pair).about(Some(card.clone()))])
            }
            Command::Unpair(devices) => {
                let card = one_card(devices)?;
                let smartcard_id = text(card);
                let part = match devices.stbs.first() {
                    Some(stb) => Part::new(Operation::UnpairSmartcard { smartcard_id, stb_id: text(stb) }),
                    None => Part::new(Operation::GetSmartcardInfo { smartcard_id }).then(Then::Unpair(text(card))),
                };
                changes([part.about(Some(card.clone()))])
            }
            Command::SetPin { devices, pin } => self.set_pin(devices, Some(pin))?,
            Command::ResetPin(devices) => self.set_pin(devices, None)?,
            Command::SendMessage { devices, message } => self.message(now, request, devices, message)?,
            Command::Fingerprint { devices, duration } => {
                let missing = || Refusal::new("command", "unsupported_command", "set `settings.fingerprint`");
                let wanted = self.settings().fingerprint.ok_or_else(missing)?;
                let config = |card: &Serial, config_id| Operation::SetSmartcardConfigOfSmartcard {
                    smartcard_id: text(card),
                    config_id,
                    protected: wanted.protected,
                };
                let task = changes(devices.smartcards.iter().map(|card| {
                    let part = Part::new(config(card, wanted.on)).about(Some(card.clone()));
                    part.then(Then::EndFingerprint(config(card, wanted.off)))
                }));
                Task { afterwards: Some((*duration, std::collections::VecDeque::new())), ..task }
            }
            Command::GetServices(devices) => self.get_services(request, devices)?,
            Command::GetPairing(devices) => infos(devices, Telling::Pairings),
            Command::GetDevice(devices) => infos(devices, Telling::Devices),
            Command::GetSubscriber => get_subscriber(account()?),
            Command::AddUsage(usage) => {
                let order = Operation::AddPpvOrderToSubscriber {
                    ppv_id: self.number(&usage.service)?,
                    subscriber_code: account()?,
                };
                step_by_step([Part::new(order)])
            }
            Command::TestConnection => questions(Telling::Alive, None, [(None, LOGGED_IN)]),
            Command::Raw(message) => {
                let call = raw::read(&self.checked.binding, &message.payload)
                    .map_err(|detail| Refusal::new("payload", "out_of_range", detail))?;
                let words = Words::Raw(call);
                let then = Then::Tell(Telling::Raw);
                let mut task = step_by_step([Part { words, about: Vec::new(), then, despite: Despite::No }]);
                task.findings.telling = Some(Telling::Raw);
                task
            }
            other => {
                let detail = format!("this platform has no words for {}", other.kind());
                return Err(Refusal::new("command", "unsupported_command", detail));
            }
        })
    }

    fn swap(&self, account: String, devices: &Devices, replacement: &Devices) -> Result<Task, Refusal> {
        let (old, new) = (one_card(devices)?, one_card(replacement)?);
        let operation = Operation::ReplaceSmartcardOfSubscriber {
            subscriber_code: account.clone(),
            old_smartcard_id: text(old),
            new_smartcard_id: text(new),
            allow_exchange: self.settings().allow_exchange,
        };
        // A repeat finds the old card gone, and the new one there.
        let done = &["subscriber_does_not_own_smartcard", "smartcard_assigned_already"];
        let swapped = owned(&account, new, Some(text(old)));
        Ok(changes([Part::new(operation).about(Some(old.clone())).or_ask(done, swapped)]))
    }

    fn set_pin(&self, devices: &Devices, wanted: Option<&Secret>) -> Result<Task, Refusal> {
        let pin = match wanted {
            Some(wanted) => {
                pin(wanted.reveal()).ok_or_else(|| Refusal::new("pin", "out_of_range", "must be 4 digits"))?
            }
            None => self.checked.default_pin,
        };
        Ok(changes(devices.smartcards.iter().map(|card| {
            Part::new(Operation::ChangePinOfSmartcard { smartcard_id: text(card), pin }).about(Some(card.clone()))
        })))
    }
}

/// Independent changes: each is tried, whatever becomes of the others.
fn changes(parts: impl IntoIterator<Item = Part>) -> Task {
    Task { parts: parts.into_iter().collect(), ..Task::default() }
}

/// Changes that build on each other.
fn step_by_step(parts: impl IntoIterator<Item = Part>) -> Task {
    Task { strict: true, ..changes(parts) }
}

/// Questions, with the card that each is about.
fn questions(
    telling: Telling,
    account: Option<String>,
    asked: impl IntoIterator<Item = (Option<String>, Operation)>,
) -> Task {
    let parts = asked.into_iter().map(|(card, operation)| {
        let about = card.and_then(|card| Serial::new(&card).ok());
        Part::new(operation).about(about).then(Then::Tell(telling))
    });
    let mut task = step_by_step(parts);
    task.findings = Findings { telling: Some(telling), account, ..Findings::default() };
    task
}

fn infos(devices: &Devices, telling: Telling) -> Task {
    let each = devices.smartcards.iter();
    questions(
        telling,
        None,
        each.map(|card| (Some(text(card)), Operation::GetSmartcardInfo { smartcard_id: text(card) })),
    )
}

fn get_subscriber(account: String) -> Task {
    let orders = Operation::GetOrdersOfSubscriber { subscriber_code: account.clone(), include_expired_orders: false };
    let mut task = questions(
        Telling::Subscriber,
        Some(account.clone()),
        [(None, Operation::GetSubscriber { code: account.clone() })],
    );
    let cards = Operation::GetSmartcardsOfSubscriber { code: account };
    task.parts.push_back(Part::new(cards).then(Then::Tell(Telling::SubscriberCards)));
    task.parts.push_back(Part::new(orders).then(Then::Tell(Telling::SubscriberOrders)));
    task
}

/// One part for every block of cards.
fn blocks(devices: &Devices, operation: impl Fn(Vec<String>) -> Operation) -> Vec<Part> {
    let part = |block: &[Serial]| Part::new(operation(block.iter().map(text).collect())).about(block.iter().cloned());
    devices.smartcards.chunks(BLOCK).map(part).collect()
}

/// Whether the subscriber owns the card, and not the other: what a refusal hides, when a request is repeated.
fn owned(code: &str, card: &Serial, without: Option<String>) -> Part {
    let read = Operation::GetSmartcardsOfSubscriber { code: code.to_owned() };
    Part::new(read).about(Some(card.clone())).then(Then::Listed { card: text(card), without, refusal: unknown() })
}

/// Stands where the refusal will stand that is being looked into.
fn unknown() -> ServiceError {
    ServiceError::new("", "")
}

fn cards(devices: &Devices) -> Vec<String> {
    devices.smartcards.iter().map(text).collect()
}

fn one_card(devices: &Devices) -> Result<&Serial, Refusal> {
    devices.smartcards.first().ok_or_else(|| Refusal::new("smartcard", "missing_field", "name the card"))
}

fn text(serial: &Serial) -> String {
    serial.as_str().to_owned()
}
