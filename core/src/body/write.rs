//! The way back: the body that a command is read from.

use super::{AudienceBody, MessageBody, MessageKindBody, MessageText, RequestBody, ServicesBody};
use crate::command::{Audience, Command, CommandKind, Devices, Entitlement, Message, MessageKind, Selection, Services};
use crate::request::{Priority, Process};
use crate::text::{ProviderName, ServiceCode, to_hex};

impl RequestBody {
    /// A body without arguments: of regular priority, going out at once.
    #[must_use]
    pub const fn new(provider: ProviderName, command: CommandKind) -> Self {
        Self {
            provider,
            command,
            subscription: None,
            account: None,
            services: None,
            smartcard: None,
            smartcards: Vec::new(),
            stb: None,
            stbs: Vec::new(),
            new_smartcard: None,
            new_stb: None,
            start: None,
            end: None,
            pin: None,
            subscriber: None,
            login: None,
            password: None,
            usage: None,
            reason: None,
            message: None,
            duration_seconds: None,
            payload: None,
            safe_to_repeat: false,
            priority: Priority::Regular,
            process: Process::Now,
            not_before: None,
            expires: None,
            reference: None,
        }
    }

    /// The body that says `command`: [`RequestBody::command`] reads the same command from it.
    #[must_use]
    pub fn of(provider: ProviderName, command: &Command) -> Self {
        let mut body = Self::new(provider, command.kind());
        if let Some(devices) = command.devices() {
            body.name(devices);
        }
        match command {
            Command::ActivateServices(entitlement) | Command::SetServices(entitlement) => body.entitle(entitlement),
            Command::DeactivateServices(selection) | Command::Suspend(selection) | Command::Resume(selection) => {
                body.select(selection);
            }
            Command::CreateSubscriber(subscriber) | Command::UpdateSubscriber(subscriber) => {
                body.subscriber = Some(Box::new(subscriber.clone()));
            }
            Command::SwapDevice { replacement, .. } => {
                body.new_smartcard = replacement.smartcards.first().cloned();
                body.new_stb = replacement.stbs.first().cloned();
            }
            Command::DisableDevice { reason, .. } => body.reason = Some(*reason),
            Command::SetPin { pin, .. } => body.pin = Some(pin.clone()),
            Command::SendMessage { message, .. } => body.message = Some(MessageBody::of(message)),
            Command::Fingerprint { duration, .. } => body.duration_seconds = Some(seconds(*duration)),
            Command::Authenticate(credentials) => {
                body.login.clone_from(&credentials.login);
                body.password.clone_from(&credentials.password);
            }
            Command::AddUsage(usage) => {
                body.services = Some(ServicesBody::These(vec![usage.service.clone()]));
                (body.start, body.end) = (usage.period.start, usage.period.end);
                body.usage = Some(usage.usage.clone());
            }
            Command::CancelUsage(usage) => body.usage = Some(usage.usage.clone()),
            Command::Raw(raw) => {
                body.payload = Some(to_hex(&raw.payload));
                body.safe_to_repeat = raw.safe_to_repeat;
            }
            Command::RefreshServices(_)
            | Command::RemoveSubscriber
            | Command::AddDevice(_)
            | Command::RemoveDevice(_)
            | Command::EnableDevice(_)
            | Command::Pair(_)
            | Command::AddToPairing(_)
            | Command::Unpair(_)
            | Command::ResetPin(_)
            | Command::ClearPin(_)
            | Command::GetServices(_)
            | Command::GetPairing(_)
            | Command::GetDevice(_)
            | Command::GetSubscriber
            | Command::RemoveSessions(_)
            | Command::TestConnection => {}
        }
        body
    }

    fn name(&mut self, devices: &Devices) {
        match devices.smartcards.as_slice() {
            [one] => self.smartcard = Some(one.clone()),
            many => self.smartcards = many.to_vec(),
        }
        match devices.stbs.as_slice() {
            [one] => self.stb = Some(one.clone()),
            many => self.stbs = many.to_vec(),
        }
    }

    fn entitle(&mut self, entitlement: &Entitlement) {
        self.services = Some(ServicesBody::These(entitlement.services.clone()));
        (self.start, self.end) = (entitlement.period.start, entitlement.period.end);
    }

    fn select(&mut self, selection: &Selection) {
        self.services = Some(match &selection.services {
            Services::All => ServicesBody::All,
            Services::These(services) => ServicesBody::These(Vec::<ServiceCode>::clone(services)),
        });
    }
}

impl MessageBody {
    fn of(message: &Message) -> Self {
        let mut body = Self {
            to: match &message.audience {
                Audience::Devices => AudienceBody::Devices,
                Audience::Subscriber => AudienceBody::Subscriber,
                Audience::HoldersOf(service) => AudienceBody::HoldersOf(service.clone()),
                Audience::Region(region) => AudienceBody::Region(region.clone()),
                Audience::Everybody => AudienceBody::Everybody,
            },
            kind: MessageKindBody::Mail,
            text: MessageText(message.text.clone()),
            start: message.start,
            duration_seconds: None,
            repeat_count: None,
            repeat_interval_seconds: None,
        };
        match message.kind {
            MessageKind::Mail => {}
            MessageKind::Bark { duration } => {
                body.kind = MessageKindBody::Bark;
                body.duration_seconds = Some(seconds(duration));
            }
            MessageKind::RepeatingBark { duration, count, interval } => {
                body.kind = MessageKindBody::RepeatingBark;
                body.duration_seconds = Some(seconds(duration));
                body.repeat_count = Some(count);
                body.repeat_interval_seconds = Some(seconds(interval));
            }
        }
        body
    }
}

fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
