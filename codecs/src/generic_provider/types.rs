//! What a command becomes for a worker: one item, or one for each service or device, each with a request type.
//!
//! CRM.COM has eleven types \[S:GR\]; which command each stands for is inferred from its name \[I\]. The other commands keep
//! their own names in capitals.

use std::collections::BTreeMap;

use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::{
    Address, Audience, Command, CommandKind, Devices, DisableReason, Entitlement, Message, MessageKind, Period,
    Selection, Services, Subscriber,
};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::text::{AccountNumber, CaId, PersonalText, Reference, Secret, Serial, ServiceCode, to_hex};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::settings::{Activation, Settings};

/// Most services or devices of one request.
const MOST: usize = 1_000;

/// Most bytes of a message's text: a limit of ours; the worker's platform has its own.
const TEXT_LIMIT: usize = 4_096;

/// Something for a worker to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    /// The request type: `ACTIVATE_SERVICE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The CRM's number of the subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// The platform's number of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountNumber>,
    /// The services it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceItem>,
    /// It is about every service that is held.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_services: bool,
    /// The devices it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceItem>,
    /// The devices that come in their place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub new_devices: Vec<DeviceItem>,
    /// The subscriber.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriber: Option<Subscriber>,
    /// The PIN to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<Secret>,
    /// Why a device is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DisableReason>,
    /// The message to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageItem>,
    /// For how long a fingerprint is shown, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u64>,
    /// The name to sign in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<PersonalText>,
    /// The password to sign in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The CRM's id of a use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Reference>,
    /// The platform's own message, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

/// A service, both names of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceItem {
    /// The CRM's code.
    pub code: ServiceCode,
    /// The platform's id.
    pub ca_id: CaId,
    /// From when; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Until when; absent: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceItem {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: DeviceKind,
    /// Its serial number.
    pub serial_number: Serial,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// A smartcard.
    Smartcard,
    /// A set-top box.
    Stb,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageItem {
    /// `mail`, `bark`, `repeating_bark`.
    pub kind: String,
    /// Who sees it: `devices`, `subscriber`, `everybody`, or `holders_of` and `region` with an id.
    pub to: String,
    /// The CA ID of the service, or the id of the region, that `to` speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_id: Option<String>,
    /// The words.
    pub text: String,
    /// When it is shown; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// For how long, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u64>,
    /// How many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_count: Option<u8>,
    /// How far apart, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_interval_seconds: Option<u64>,
}

impl std::fmt::Debug for MessageItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {} <{} characters>", self.kind, self.to, self.text.chars().count())
    }
}

/// What commands are called, and what may be asked.
#[derive(Debug)]
pub struct Vocabulary {
    activation: Activation,
    types: BTreeMap<CommandKind, String>,
    services: ServiceMap,
    capabilities: Capabilities,
}

impl Vocabulary {
    /// The vocabulary that the settings make.
    #[must_use]
    pub fn new(settings: &Settings, services: ServiceMap) -> Self {
        let capabilities = capabilities(settings.crm_com_types_only, services.iter().count());
        Self { activation: settings.activation, types: settings.types.clone(), services, capabilities }
    }

    /// What a worker has to do for a request; more than one piece of work where a type is of one service or one device.
    ///
    /// # Errors
    /// [`Refusal`], if a service has no CA ID.
    pub fn work(&self, request: &Request) -> Result<Vec<Work>, Refusal> {
        let command = &request.command;
        let whole = self.activation == Activation::WholeSubscription;
        let services = self.services(command)?;
        let base = Work {
            kind: self.name(command),
            subscription: request.subscription.as_ref().map(|number| number.as_str().to_owned()),
            account: request.account.clone(),
            devices: command.devices().map(device_items).unwrap_or_default(),
            ..Work::default()
        };
        let each_service = |services: Vec<ServiceItem>| {
            services.into_iter().map(|service| Work { services: vec![service], ..base.clone() }).collect()
        };
        Ok(match command {
            Command::ActivateServices(_) if !whole => each_service(services),
            Command::DeactivateServices(Selection { services: Services::These(_), .. }) if !whole => {
                each_service(services)
            }
            Command::AddDevice(_) | Command::RemoveDevice(_) => {
                let devices = base.devices.clone().into_iter();
                devices.map(|device| Work { devices: vec![device], ..base.clone() }).collect()
            }
            _ => vec![self.whole(command, services, base)],
        })
    }

    /// What a command's items are called.
    fn name(&self, command: &Command) -> String {
        let kind = command.kind();
        if let Some(name) = self.types.get(&kind) {
            return name.clone();
        }
        let whole = self.activation == Activation::WholeSubscription;
        let all = matches!(command, Command::DeactivateServices(Selection { services: Services::All, .. }));
        match command {
            Command::CreateSubscriber(_) => "BECOME_SUBSCRIBER".to_owned(),
            Command::UpdateSubscriber(subscriber) if is_address(subscriber) => "UPDATE_ADDRESS".to_owned(),
            Command::ActivateServices(_) if whole => "ACTIVATE_SUBSCRIBER".to_owned(),
            Command::ActivateServices(_) => "ACTIVATE_SERVICE".to_owned(),
            Command::DeactivateServices(_) if whole || all => "DEACTIVATE_SUBSCRIBER".to_owned(),
            Command::DeactivateServices(_) => "DEACTIVATE_SERVICE".to_owned(),
            Command::AddDevice(_) => "ADD_INSTALLED_ITEM".to_owned(),
            Command::RemoveDevice(_) => "REMOVE_INSTALLED_ITEM".to_owned(),
            Command::AddUsage(_) => "ADD_UDR".to_owned(),
            Command::CancelUsage(_) => "CANCEL_UDR".to_owned(),
            _ => kind.name().to_ascii_uppercase(),
        }
    }

    fn services(&self, command: &Command) -> Result<Vec<ServiceItem>, Refusal> {
        let period = match command {
            Command::ActivateServices(Entitlement { period, .. })
            | Command::SetServices(Entitlement { period, .. }) => *period,
            Command::AddUsage(usage) => usage.period,
            Command::SendMessage { .. } => return Ok(Vec::new()),
            _ => Period::default(),
        };
        let item = |(index, code): (usize, &ServiceCode)| {
            let unknown = || Refusal::new(format!("services/{index}"), "unknown_service", "has no CA ID");
            let ca_id = self.services.ca_id(code).cloned().ok_or_else(unknown)?;
            Ok(ServiceItem { code: code.clone(), ca_id, start: period.start, end: period.end })
        };
        command.services().iter().enumerate().map(item).collect()
    }

    fn whole(&self, command: &Command, services: Vec<ServiceItem>, base: Work) -> Work {
        let all_services = matches!(
            command,
            Command::DeactivateServices(Selection { services: Services::All, .. })
                | Command::Suspend(Selection { services: Services::All, .. })
                | Command::Resume(Selection { services: Services::All, .. })
        );
        let base = Work { services, all_services, ..base };
        match command {
            Command::CreateSubscriber(subscriber) | Command::UpdateSubscriber(subscriber) => {
                Work { subscriber: Some(subscriber.clone()), ..base }
            }
            Command::SwapDevice { replacement, .. } => Work { new_devices: device_items(replacement), ..base },
            Command::SetPin { pin, .. } => Work { pin: Some(pin.clone()), ..base },
            Command::DisableDevice { reason, .. } => Work { reason: Some(*reason), ..base },
            Command::SendMessage { message, .. } => Work { message: Some(self.message(message)), ..base },
            Command::Fingerprint { duration, .. } => Work { duration_seconds: Some(duration.as_secs()), ..base },
            Command::Authenticate(credentials) => {
                Work { login: credentials.login.clone(), password: credentials.password.clone(), ..base }
            }
            Command::AddUsage(usage) => Work { usage: Some(usage.usage.clone()), ..base },
            Command::CancelUsage(usage) => Work { usage: Some(usage.usage.clone()), ..base },
            Command::Raw(raw) => Work { payload: Some(to_hex(&raw.payload)), ..base },
            _ => base,
        }
    }

    fn message(&self, message: &Message) -> MessageItem {
        let (to, to_id) = match &message.audience {
            Audience::Devices => ("devices", None),
            Audience::Subscriber => ("subscriber", None),
            Audience::HoldersOf(code) => ("holders_of", self.services.ca_id(code).map(|id| id.as_str().to_owned())),
            Audience::Region(region) => ("region", Some(region.as_str().to_owned())),
            Audience::Everybody => ("everybody", None),
        };
        let item = MessageItem {
            kind: "mail".into(),
            to: to.into(),
            to_id,
            text: message.text.clone(),
            start: message.start,
            duration_seconds: None,
            repeat_count: None,
            repeat_interval_seconds: None,
        };
        match message.kind {
            MessageKind::Mail => item,
            MessageKind::Bark { duration } => {
                MessageItem { kind: "bark".into(), duration_seconds: Some(duration.as_secs()), ..item }
            }
            MessageKind::RepeatingBark { duration, count, interval } => MessageItem {
                kind: "repeating_bark".into(),
                duration_seconds: Some(duration.as_secs()),
                repeat_count: Some(count),
                repeat_interval_seconds: Some(interval.as_secs()),
                ..item
            },
        }
    }
}

impl Rules for Vocabulary {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        if let Command::SendMessage { message, .. } = &request.command
            && let Audience::HoldersOf(code) = &message.audience
            && self.services.ca_id(code).is_none()
        {
            return Err(Refusal::new("message/to/holders_of", "unknown_service", "has no CA ID at this provider"));
        }
        self.work(request).map(drop)
    }
}

/// Whether an update is of the address alone.
fn is_address(subscriber: &Subscriber) -> bool {
    let address_alone = Subscriber { address: subscriber.address.clone(), ..Subscriber::default() };
    subscriber.address.as_ref().is_some_and(|address| *address != Address::default()) && *subscriber == address_alone
}

fn device_items(devices: &Devices) -> Vec<DeviceItem> {
    let item = |kind| move |serial: &Serial| DeviceItem { kind, serial_number: serial.clone() };
    let cards = devices.smartcards.iter().map(item(DeviceKind::Smartcard));
    cards.chain(devices.stbs.iter().map(item(DeviceKind::Stb))).collect()
}

/// A worker that keeps the rule (a number is done once) makes every command safe to offer again.
fn capabilities(crm_com_types_only: bool, services: usize) -> Capabilities {
    use CommandKind as Kind;
    let products = Count { min: 1, max: services.max(1) };
    let any = Count::optional(MOST);
    let account = CommandRules::new().account();
    let devices = CommandRules::new().smartcards(any).stbs(any);
    let confirmed = [
        (Kind::CreateSubscriber, account.clone()),
        (Kind::UpdateSubscriber, account.clone()),
        (Kind::ActivateServices, account.clone().services(products).smartcards(any).stbs(any)),
        (Kind::DeactivateServices, account.clone().services(products).smartcards(any).stbs(any)),
        (Kind::AddDevice, account.clone().smartcards(any).stbs(any)),
        (Kind::RemoveDevice, account.clone().smartcards(any).stbs(any)),
        (Kind::AddUsage, account.clone().services(Count::ONE).smartcards(any).stbs(any)),
        (Kind::CancelUsage, account.clone()),
    ];
    let ours = [
        (Kind::SetServices, devices.clone().services(Count::optional(services))),
        (Kind::RefreshServices, devices.clone()),
        (Kind::Suspend, devices.clone().services(Count::optional(services))),
        (Kind::Resume, devices.clone().services(Count::optional(services))),
        (Kind::RemoveSubscriber, account.clone()),
        (Kind::SwapDevice, CommandRules::new().smartcards(Count::optional(1)).stbs(Count::optional(1))),
        (Kind::EnableDevice, devices.clone()),
        (Kind::DisableDevice, devices.clone()),
        (Kind::Pair, devices.clone()),
        (Kind::AddToPairing, devices.clone()),
        (Kind::Unpair, devices.clone()),
        (Kind::SetPin, devices.clone()),
        (Kind::ResetPin, devices.clone()),
        (Kind::ClearPin, devices.clone()),
        (Kind::SendMessage, devices.clone()),
        (Kind::Fingerprint, devices.clone()),
        (Kind::GetServices, devices.clone()),
        (Kind::GetPairing, devices.clone()),
        (Kind::GetDevice, devices.clone()),
        (Kind::GetSubscriber, account.clone()),
        (Kind::RemoveSessions, devices),
        (Kind::Authenticate, account),
        (Kind::Raw, CommandRules::new().unsafe_to_repeat()),
    ];
    let mut commands: BTreeMap<_, _> = confirmed.into_iter().map(|(kind, rules)| (kind, rules.confirmed())).collect();
    commands.insert(Kind::TestConnection, CommandRules::new());
    let mut messages = MessageLimits::default();
    if !crm_com_types_only {
        commands.extend(ours);
        messages = MessageLimits {
            mail: Some(TEXT_LIMIT),
            bark: Some(TEXT_LIMIT),
            repeating_bark: Some(TEXT_LIMIT),
            to_subscriber: true,
            to_holders: true,
            to_region: true,
            to_everybody: true,
        };
    }
    Capabilities { commands, messages, resumes: false }
}
