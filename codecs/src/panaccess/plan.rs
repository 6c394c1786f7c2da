//! Requests put into operations.

use headgate_core::Now;
use headgate_core::body::Refusal;
use headgate_core::command::{
    Audience, Command, Devices, DisableReason, Entitlement, Message, MessageKind, Period, Selection,
};
use headgate_core::request::Request;
use headgate_core::text::{Secret, Serial};
use jiff::{Timestamp, ToSpan};

use super::orders::{Aim, OrderGoal};
use super::raw;
use super::rules::Speech;
use super::settings::{DelayUnit, Mode, pin};
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

    fn numbers(&self, services: &[headgate_core::text::ServiceCode]) -> Result<Vec<i64>, Refusal> {
        services.iter().map(|service| self.number(service)).collect()
    }

    fn selected(&self, selection: &Selection) -> Result<Vec<i64>, Refusal> {
        self.numbers(selection.services.listed())
    }

    /// When services without an end of their own end.
    fn end_of(&self, now: Now, period: Period) -> Timestamp {
        let months = i64::from(self.settings().default_period_months).months();
        let start = period.start.unwrap_or(now.wall).max(now.wall);
        let end = || start.to_zoned(jiff::tz::TimeZone::UTC).checked_add(months).map(|end| end.timestamp());
        period.end.unwrap_or_else(|| end().unwrap_or(Timestamp::MAX))
    }

    fn orders(
        &self,
        now: Now,
        aim: Aim,
        subscriber: String,
        products: Vec<i64>,
        devices: &Devices,
        period: Period,
    ) -> Task {
        let days = self.settings().resume_days;
        let goal = OrderGoal {
            aim,
            subscriber: subscriber.clone(),
            products,
            cards: cards(devices),
            start: period.start,
            end: self.end_of(now, period),
            resume_until: days.map(|days| now.wall_after(std::time::Duration::from_hours(24 * u64::from(days)))),
        };
        let read = Operation::GetOrdersOfSubscriber { subscriber_code: subscriber, include_expired_orders: false };
        changes([Part::new(read).then(Then::Orders(goal))])
    }

    /// Every product to every block of cards.
    fn add_products(&self, now: Now, entitlement: &Entitlement) -> Result<Task, Refusal> {
        let end = self.end_of(now, entitlement.period);
        let mut parts = Vec::new();
        for product_id in self.numbers(&entitlement.services)? {
            parts.extend(blocks(&entitlement.devices, |smartcards| Operation::AddProductToSmartcards {
                smartcards,
                product_id,
                hc_id: self.settings().headcontrol.clone(),
                expiry_time: Some(end),
            }));
        }
        Ok(changes(parts))
    }

    /// The whole list to every card. Nothing at all is said with words of its own.
    fn set_whole(&self, now: Now, entitlement: &Entitlement) -> Result<Task, Refusal> {
        let Entitlement { devices, period, .. } = entitlement;
        let ids = self.numbers(&entitlement.services)?;
        let end = Some(self.end_of(now, *period));
        let hc_id = self.settings().headcontrol.clone();
        let packages = self.settings().mode == Mode::Packages;
        if ids.is_empty() && !packages {
            return Ok(changes(blocks(devices, |smartcards| Operation::CleanSmartcards { smartcards })));
        }
        Ok(changes(devices.smartcards.iter().map(|card| {
            let operation = if packages {
                Operation::SetSmartcardPackages {
                    smartcard_id: text(card),
                    packages: ids.clone(),
                    hc_id: hc_id.clone(),
                    activation_time: period.start,
                    expiry_time: end,
                }
            } else {
                let (sn, product_ids) = (text(card), ids.clone());
                Operation::SetSmartcardProducts { sn, product_ids, hc_id: hc_id.clone(), expiry_time: end }
            };
            Part::new(operation).about(Some(card.clone()))
        })))
    }

    fn remove_products(&self, selection: &Selection) -> Result<Task, Refusal> {
        let Selection { services, devices } = selection;
        let listed = self.numbers(services.listed())?;
        if !listed.is_empty() {
            let mut parts = Vec::new();
            for product_id in listed {
                let remove = |smartcards| Operation::RemoveProductFromSmartcards { smartcards, product_id };
                parts.extend(blocks(devices, remove));
            }
            return Ok(changes(parts));
        }
        if self.settings().mode == Mode::Packages {
            return Ok(changes(devices.smartcards.iter().map(|card| {
                let operation = Operation::SetSmartcardPackages {
                    smartcard_id: text(card),
                    packages: Vec::new(),
                    hc_id: self.settings().headcontrol.clone(),
                    activation_time: None,
                    expiry_time: None,
                };
                Part::new(operation).about(Some(card.clone()))
            })));
        }
        Ok(changes(blocks(devices, |smartcards| Operation::CleanSmartcards { smartcards })))
    }

    /// Products on cards are orders too, which can be switched off and on.
    fn switch_on_cards(&self, selection: &Selection, off: bool) -> Result<Task, Refusal> {
        let products = self.selected(selection)?;
        Ok(changes(selection.devices.smartcards.iter().map(|card| {
            let read = Operation::GetOrdersOnSmartcard { smartcard_id: text(card) };
            let then = Then::CardOrders { products: products.clone(), off };
            Part::new(read).about(Some(card.clone())).then(then)
        })))
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

    fn message(&self, now: Now, request: &Request, devices: &Devices, message: &Message) -> Result<Task, Refusal> {
        let settings = self.settings();
        let later = message.start.map(|start| start.duration_since(now.wall).as_secs().max(0));
        let delay =
            later.filter(|seconds| *seconds > 0).zip(settings.message_delay).map(|(seconds, unit)| match unit {
                DelayUnit::Seconds => seconds,
                DelayUnit::Minutes => seconds.saturating_add(59) / 60,
            });
        let minutes = match message.kind {
            MessageKind::RepeatingBark { interval, .. } => i64::try_from(interval.as_secs() / 60).unwrap_or(i64::MAX),
            _ => 0,
        };
        let broad = matches!(message.audience, Audience::Region(_) | Audience::Everybody);
        let cycle = if broad { settings.broadcast_cycle } else { settings.message_cycle };
        let (cycle_time, cycle_id) = (Some(minutes), (minutes > 0).then_some(i64::from(cycle)));
        let text_of_message = message.text.clone();
        let (target_type, target_id) = match &message.audience {
            Audience::Devices => match devices.smartcards.as_slice() {
                [card] => ("osm_sn", Some(text(card))),
                _ => {
                    return Ok(changes(blocks(devices, |smartcards| Operation::SendBulkOsm {
                        smartcards,
                        delay,
                        text: text_of_message.clone(),
                        cycle_time,
                        cycle_id,
                    })));
                }
            },
            Audience::Subscriber => ("osm_sns", request.account_number().map(str::to_owned)),
            Audience::HoldersOf(service) => ("osm_pkg", Some(self.package(service)?.to_string())),
            Audience::Region(region) => ("osm_hc", Some(region.as_str().to_owned())),
            Audience::Everybody => ("osm_op", None),
        };
        let target_type = target_type.to_owned();
        let send = Operation::SendOsm { target_type, target_id, delay, text: text_of_message, cycle_time, cycle_id };
        Ok(step_by_step([Part::new(send)]))
    }

    fn get_services(&self, request: &Request, devices: &Devices) -> Result<Task, Refusal> {
        let asked = |card: &Serial, operation| (Some(text(card)), operation);
        let each = devices.smartcards.iter();
        match self.settings().mode {
            Mode::Products => {
                let parts = each.map(|c| asked(c, Operation::GetOrdersOnSmartcard { smartcard_id: text(c) }));
                Ok(questions(Telling::CardOrders, None, parts))
            }
            Mode::Packages => {
                let parts = each.map(|c| asked(c, Operation::GetSmartcardPackages { smartcard_id: text(c) }));
                let mut task = questions(Telling::CardPackages, None, parts);
                // Packages are told by name.
                let names = Part::new(Operation::GetPackages {}).then(Then::Tell(Telling::PackageNames));
                task.parts.push_front(names);
                Ok(task)
            }
            Mode::Orders => {
                let missing = || Refusal::new("subscription", "missing_field", "name the subscription, or its account");
                let subscriber_code = request.account_number().map(str::to_owned).ok_or_else(missing)?;
                let account = Some(subscriber_code.clone());
                let read = Operation::GetOrdersOfSubscriber { subscriber_code, include_expired_orders: false };
                let mut task = questions(Telling::SubscriberOrders, account, [(None, read)]);
                task.findings.cards = cards(devices);
                Ok(task)
            }
        }
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
