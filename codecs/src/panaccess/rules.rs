//! What can be asked of the platform, and what only this protocol knows of a request's form.

use std::time::Duration;

use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::{Audience, Command, CommandKind, Devices, Message, MessageKind, Period, Services};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::text::{Serial, ServiceCode};
use jiff::Timestamp;

use super::settings::{Checked, Mode, Settings, pin};
use super::subscriber;

/// Most cards of one request; more than 100 go out in blocks.
const MOST_CARDS: usize = 1_000;
/// Most services of one request.
const MOST_SERVICES: usize = 100;
/// The longest fingerprint: a later call ends it, and until then the request is not done.
const LONGEST_FINGERPRINT: Duration = Duration::from_hours(1);

/// The rules of one provider, and what its requests need to be put into words.
#[derive(Clone, Debug)]
pub struct Speech {
    /// The settings.
    pub checked: Checked,
    /// The services and their CA IDs.
    pub services: ServiceMap,
    capabilities: Capabilities,
}

impl Speech {
    /// The rules of a provider with these settings and services.
    #[must_use]
    pub fn new(checked: Checked, services: ServiceMap) -> Self {
        let capabilities = capabilities(&checked.settings);
        Self { checked, services, capabilities }
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.checked.settings
    }

    /// The number of a product, a package or an event.
    ///
    /// # Errors
    /// [`Refusal`] naming the service if its CA ID is no number.
    pub fn number(&self, service: &ServiceCode) -> Result<i64, Refusal> {
        let number = self.services.ca_id(service).and_then(|ca_id| ca_id.as_str().parse().ok());
        number.ok_or_else(|| {
            let detail = format!("service {service:?} must have a number as its CA ID at this provider");
            Refusal::new("services", "bad_ca_id", detail)
        })
    }

    /// The package by which the holders of a service are reached.
    ///
    /// # Errors
    /// [`Refusal`] if there is none.
    pub fn package(&self, service: &ServiceCode) -> Result<i64, Refusal> {
        let settings = self.settings();
        if settings.mode == Mode::Packages {
            return self.number(service);
        }
        let package = self.services.ca_id(service).and_then(|ca_id| settings.packages.get(ca_id));
        package.copied().ok_or_else(|| {
            let detail = format!(
                "service {service:?} is a product, and messages reach packages: name its package in `settings.packages`"
            );
            Refusal::new("message/to/holders_of", "unknown_package", detail)
        })
    }
}

/// What these settings allow.
fn capabilities(settings: &Settings) -> Capabilities {
    let rules = || CommandRules::new().confirmed();
    let cards = || rules().smartcards(Count::up_to(MOST_CARDS));
    let one_card = || rules().smartcards(Count::ONE);
    let services = || match settings.mode {
        Mode::Orders => rules().account().smartcards(Count::optional(MOST_CARDS)).services(Count::up_to(MOST_SERVICES)),
        Mode::Packages | Mode::Products => cards().services(Count::up_to(MOST_SERVICES)),
    };
    let mut commands = std::collections::BTreeMap::from([
        (CommandKind::DeactivateServices, services()),
        (CommandKind::SetServices, services().services(Count::optional(MOST_SERVICES))),
        (CommandKind::RefreshServices, cards()),
        (CommandKind::CreateSubscriber, rules().account()),
        (CommandKind::UpdateSubscriber, rules().account()),
        (CommandKind::RemoveSubscriber, rules().account()),
        (CommandKind::AddDevice, cards().account()),
        (CommandKind::RemoveDevice, cards()),
        (CommandKind::SwapDevice, one_card().account()),
        (CommandKind::EnableDevice, cards()),
        (CommandKind::DisableDevice, cards()),
        (CommandKind::Pair, one_card().stbs(Count::ONE)),
        (CommandKind::Unpair, one_card().stbs(Count::optional(1))),
        (CommandKind::SetPin, cards()),
        (CommandKind::ResetPin, cards()),
        (CommandKind::SendMessage, cards().unsafe_to_repeat()),
        (CommandKind::GetServices, services().services(Count::NONE)),
        (CommandKind::GetPairing, cards()),
        (CommandKind::GetDevice, cards()),
        (CommandKind::GetSubscriber, rules().account()),
        (CommandKind::AddUsage, rules().account().services(Count::ONE).unsafe_to_repeat()),
        (CommandKind::TestConnection, rules()),
        (CommandKind::Raw, rules().unsafe_to_repeat()),
    ]);
    // A card's packages can only be set as a whole: an end of its own for one of them would be everybody's.
    if settings.mode != Mode::Packages {
        commands.insert(CommandKind::ActivateServices, services());
        commands.insert(CommandKind::Suspend, services());
        commands.insert(CommandKind::Resume, services());
    }
    if settings.fingerprint.is_some() {
        commands.insert(CommandKind::Fingerprint, cards());
    }
    let messages = MessageLimits {
        mail: None,
        bark: Some(settings.message_limit),
        repeating_bark: Some(settings.message_limit),
        to_subscriber: true,
        to_holders: true,
        to_region: true,
        to_everybody: true,
    };
    Capabilities { commands, messages, resumes: false }
}

impl Rules for Speech {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let command = &request.command;
        if let Some(devices) = command.devices() {
            check_devices(devices)?;
        }
        // The holders of a service are reached by its package.
        if !matches!(command, Command::SendMessage { .. }) {
            for service in command.services() {
                self.number(service)?;
            }
        }
        match command {
            Command::ActivateServices(entitlement) | Command::SetServices(entitlement) => {
                self.check_period(entitlement.period, request.created)
            }
            Command::DeactivateServices(selection)
                if self.settings().mode == Mode::Packages && matches!(selection.services, Services::These(_)) =>
            {
                let detail = "a card's packages are set as a whole: say \"all\", or use set_services";
                Err(Refusal::new("services", "out_of_range", detail))
            }
            Command::CreateSubscriber(told) => subscriber::check_new(told, self.settings()),
            Command::UpdateSubscriber(told) => subscriber::check_change(told),
            Command::SwapDevice { replacement, .. } => {
                replacement.smartcards.first().map_or(Ok(()), |card| check_card(card, "new_smartcard"))
            }
            Command::SetPin { pin: given, .. } if pin(given.reveal()).is_none() => {
                Err(Refusal::new("pin", "out_of_range", "must be 4 digits"))
            }
            Command::SendMessage { message, .. } => self.check_message(message, request.created),
            Command::Fingerprint { duration, .. } if *duration > LONGEST_FINGERPRINT => {
                Err(Refusal::new("duration_seconds", "out_of_range", "must be 1 to 3600: a later call ends it"))
            }
            Command::AddUsage(usage) if usage.period.start.is_some() || usage.period.end.is_some() => {
                Err(Refusal::new("start", "superfluous_field", "the event has its own times at the platform"))
            }
            Command::Raw(raw) => super::raw::read(&self.checked.binding, &raw.payload)
                .map(|_| ())
                .map_err(|detail| Refusal::new("payload", "out_of_range", detail)),
            _ => Ok(()),
        }
    }
}

impl Speech {
    /// Only orders and packages can begin later.
    fn check_period(&self, period: Period, created: Timestamp) -> Result<(), Refusal> {
        if period.end.is_some_and(|end| end <= created) {
            return Err(Refusal::new("end", "out_of_range", "is past"));
        }
        if self.settings().mode == Mode::Products && period.start.is_some_and(|start| start > created) {
            let detail = "products begin at once on cards; leave it out, or use not_before";
            return Err(Refusal::new("start", "out_of_range", detail));
        }
        Ok(())
    }

    fn check_message(&self, message: &Message, created: Timestamp) -> Result<(), Refusal> {
        if let Audience::HoldersOf(service) = &message.audience {
            self.package(service)?;
        }
        if let MessageKind::RepeatingBark { interval, .. } = message.kind
            && !interval.as_secs().is_multiple_of(60)
        {
            let detail = "must be whole minutes: the platform counts cycles in them";
            return Err(Refusal::new("message/repeat_interval_seconds", "out_of_range", detail));
        }
        let later = message.start.is_some_and(|start| start > created);
        if later && self.settings().message_delay.is_none() {
            let detail =
                "the unit of the platform's delay is not published: set `settings.message_delay`, or use not_before";
            return Err(Refusal::new("message/start", "out_of_range", detail));
        }
        super::wire::check_text(&self.checked.binding, &message.text)
            .map_err(|detail| Refusal::new("message/text", "out_of_range", detail))
    }
}

fn check_devices(devices: &Devices) -> Result<(), Refusal> {
    for (index, card) in devices.smartcards.iter().enumerate() {
        check_card(card, format!("smartcards/{index}"))?;
    }
    for (index, stb) in devices.stbs.iter().enumerate() {
        let digits = stb.as_str();
        if digits.len() != 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Refusal::new(format!("stbs/{index}"), "bad_serial", "must be 16 hexadecimal digits"));
        }
    }
    Ok(())
}

fn check_card(card: &Serial, field: impl Into<std::borrow::Cow<'static, str>>) -> Result<(), Refusal> {
    let digits = card.as_str();
    if digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(Refusal::new(field, "bad_serial", "must be 10 digits, without the check digit"))
}
