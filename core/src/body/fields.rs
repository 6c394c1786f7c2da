//! The argument fields of a body, taken by the command that needs them; what nobody takes is refused.

use std::borrow::Cow;
use std::time::Duration;

use super::{AudienceBody, MessageKindBody, Refusal, RequestBody, ServicesBody};
use crate::command::{
    Address, Audience, Command, CommandKind, Credentials, Devices, DisableReason, Entitlement, Message, MessageKind,
    Period, RawMessage, Selection, Services, Subscriber, Usage, UsageRef,
};
use crate::text::{Reference, Secret, Serial, ServiceCode, from_hex};

/// How long a bark is shown where the request does not say: CRM.COM's default \[S:CWS\].
const DEFAULT_BARK_SECONDS: u32 = 20;

/// The argument fields of a body, and which of them the command has taken.
pub(super) struct Fields<'a> {
    body: &'a RequestBody,
    used: u16,
}

/// One bit per argument field, so that a field the command does not take is refused rather than ignored.
mod bit {
    pub(super) const SERVICES: u16 = 1;
    pub(super) const DEVICES: u16 = 1 << 1;
    pub(super) const PERIOD: u16 = 1 << 2;
    pub(super) const PIN: u16 = 1 << 3;
    pub(super) const REASON: u16 = 1 << 4;
    pub(super) const MESSAGE: u16 = 1 << 5;
    pub(super) const DURATION: u16 = 1 << 6;
    pub(super) const RAW: u16 = 1 << 7;
    pub(super) const REPLACEMENT: u16 = 1 << 8;
    pub(super) const SUBSCRIBER: u16 = 1 << 9;
    pub(super) const CREDENTIALS: u16 = 1 << 10;
    pub(super) const USAGE: u16 = 1 << 11;
}

impl<'a> Fields<'a> {
    pub(super) const fn of(body: &'a RequestBody) -> Self {
        Self { body, used: 0 }
    }

    /// The command that the body names, made of the fields it takes.
    pub(super) fn command(&mut self) -> Result<Command, Refusal> {
        Ok(match self.body.command {
            CommandKind::ActivateServices => Command::ActivateServices(self.entitlement(true)?),
            CommandKind::DeactivateServices => {
                let services = self
                    .services_or_all()?
                    .ok_or_else(|| missing("services", "list the services to switch off, or say \"all\""))?;
                Command::DeactivateServices(Selection { services, devices: self.devices()? })
            }
            CommandKind::SetServices => Command::SetServices(self.entitlement(false)?),
            CommandKind::RefreshServices => Command::RefreshServices(self.devices()?),
            CommandKind::Suspend => Command::Suspend(self.selection()?),
            CommandKind::Resume => Command::Resume(self.selection()?),
            CommandKind::CreateSubscriber => Command::CreateSubscriber(self.subscriber()?),
            CommandKind::UpdateSubscriber => Command::UpdateSubscriber(self.subscriber()?),
            CommandKind::RemoveSubscriber => Command::RemoveSubscriber,
            CommandKind::AddDevice => Command::AddDevice(self.devices()?),
            CommandKind::RemoveDevice => Command::RemoveDevice(self.devices()?),
            CommandKind::SwapDevice => self.swap()?,
            CommandKind::EnableDevice => Command::EnableDevice(self.devices()?),
            CommandKind::DisableDevice => Command::DisableDevice { devices: self.devices()?, reason: self.reason()? },
            CommandKind::Pair => Command::Pair(self.devices()?),
            CommandKind::AddToPairing => Command::AddToPairing(self.devices()?),
            CommandKind::Unpair => Command::Unpair(self.devices()?),
            CommandKind::SetPin => Command::SetPin { devices: self.devices()?, pin: self.pin()? },
            CommandKind::ResetPin => Command::ResetPin(self.devices()?),
            CommandKind::ClearPin => Command::ClearPin(self.devices()?),
            CommandKind::SendMessage => Command::SendMessage { devices: self.devices()?, message: self.message()? },
            CommandKind::Fingerprint => Command::Fingerprint { devices: self.devices()?, duration: self.duration()? },
            CommandKind::GetServices => Command::GetServices(self.devices()?),
            CommandKind::GetPairing => Command::GetPairing(self.devices()?),
            CommandKind::GetDevice => Command::GetDevice(self.devices()?),
            CommandKind::GetSubscriber => Command::GetSubscriber,
            CommandKind::RemoveSessions => Command::RemoveSessions(self.devices()?),
            CommandKind::Authenticate => Command::Authenticate(self.credentials()),
            CommandKind::AddUsage => Command::AddUsage(self.add_usage()?),
            CommandKind::CancelUsage => Command::CancelUsage(UsageRef { usage: self.usage()? }),
            CommandKind::TestConnection => Command::TestConnection,
            CommandKind::Raw => Command::Raw(self.raw()?),
        })
    }

    fn swap(&mut self) -> Result<Command, Refusal> {
        self.used |= bit::REPLACEMENT;
        let devices = self.devices()?;
        let replacement = Devices {
            smartcards: self.body.new_smartcard.iter().cloned().collect(),
            stbs: self.body.new_stb.iter().cloned().collect(),
        };
        for (old, new, field) in [
            (&devices.smartcards, &replacement.smartcards, "new_smartcard"),
            (&devices.stbs, &replacement.stbs, "new_stb"),
        ] {
            match (old.len(), new.len()) {
                (0, 0) | (1, 1) => {}
                (1, 0) => return Err(missing(field, "say which device comes in its place")),
                (0, _) => return Err(Refusal::new(field, "superfluous_field", "say which device it replaces")),
                _ => return Err(Refusal::new(field, "out_of_range", "one device of a kind is replaced at a time")),
            }
            if !old.is_empty() && old == new {
                return Err(Refusal::new(field, "out_of_range", "is the device that it replaces"));
            }
        }
        Ok(Command::SwapDevice { devices, replacement })
    }

    fn subscriber(&mut self) -> Result<Subscriber, Refusal> {
        self.used |= bit::SUBSCRIBER;
        let subscriber = self.body.subscriber.as_deref().cloned().unwrap_or_default();
        subscriber.check("subscriber")?;
        Ok(subscriber)
    }

    fn credentials(&mut self) -> Credentials {
        self.used |= bit::CREDENTIALS;
        Credentials { login: self.body.login.clone(), password: self.body.password.clone() }
    }

    fn add_usage(&mut self) -> Result<Usage, Refusal> {
        let Entitlement { services, devices, period } = self.entitlement(true)?;
        match <[ServiceCode; 1]>::try_from(services) {
            Ok([service]) => Ok(Usage { service, devices, period, usage: self.usage()? }),
            Err(_) => Err(Refusal::new("services", "out_of_range", "a use is of exactly one service")),
        }
    }

    fn usage(&mut self) -> Result<Reference, Refusal> {
        self.used |= bit::USAGE;
        self.body.usage.clone().ok_or_else(|| missing("usage", "give the CRM's id of the use"))
    }

    fn devices(&mut self) -> Result<Devices, Refusal> {
        self.used |= bit::DEVICES;
        let join = |one: &Option<Serial>, many: &[Serial], field: &'static str| match one {
            None => Ok(many.to_vec()),
            Some(one) if many.is_empty() => Ok(vec![one.clone()]),
            Some(_) => {
                Err(Refusal::new(field, "conflicting_fields", format!("give either {field} or {field}s, not both")))
            }
        };
        Ok(Devices {
            smartcards: join(&self.body.smartcard, &self.body.smartcards, "smartcard")?,
            stbs: join(&self.body.stb, &self.body.stbs, "stb")?,
        })
    }

    fn services_or_all(&mut self) -> Result<Option<Services>, Refusal> {
        self.used |= bit::SERVICES;
        match &self.body.services {
            None => Ok(None),
            Some(ServicesBody::All) => Ok(Some(Services::All)),
            Some(ServicesBody::These(list)) if list.is_empty() => {
                Err(Refusal::new("services", "out_of_range", "must name at least one service"))
            }
            Some(ServicesBody::These(list)) => Ok(Some(Services::These(list.clone()))),
        }
    }

    fn selection(&mut self) -> Result<Selection, Refusal> {
        let services = self.services_or_all()?.unwrap_or(Services::All);
        Ok(Selection { services, devices: self.devices()? })
    }

    fn entitlement(&mut self, at_least_one: bool) -> Result<Entitlement, Refusal> {
        self.used |= bit::SERVICES | bit::PERIOD;
        let services = match &self.body.services {
            None => return Err(missing("services", "list the services by the CRM's codes")),
            Some(ServicesBody::All) => {
                return Err(Refusal::new(
                    "services",
                    "out_of_range",
                    "\"all\" is only for switching off; list the services",
                ));
            }
            Some(ServicesBody::These(list)) if list.is_empty() && at_least_one => {
                return Err(Refusal::new("services", "out_of_range", "must name at least one service"));
            }
            Some(ServicesBody::These(list)) => list.clone(),
        };
        let period = Period { start: self.body.start, end: self.body.end };
        if let (Some(start), Some(end)) = (period.start, period.end)
            && end <= start
        {
            return Err(Refusal::new("end", "out_of_range", "must be after start"));
        }
        Ok(Entitlement { services, devices: self.devices()?, period })
    }

    fn pin(&mut self) -> Result<Secret, Refusal> {
        self.used |= bit::PIN;
        let pin = self.body.pin.as_ref().ok_or_else(|| missing("pin", "give the new PIN"))?;
        digits(pin, "pin")?;
        Ok(pin.clone())
    }

    fn reason(&mut self) -> Result<DisableReason, Refusal> {
        self.used |= bit::REASON;
        self.body.reason.ok_or_else(|| missing("reason", "say why: damaged, lost or stolen"))
    }

    fn duration(&mut self) -> Result<Duration, Refusal> {
        self.used |= bit::DURATION;
        seconds(self.body.duration_seconds.unwrap_or(DEFAULT_BARK_SECONDS), "duration_seconds", 1..=65535)
    }

    fn raw(&mut self) -> Result<RawMessage, Refusal> {
        self.used |= bit::RAW;
        let text = self
            .body
            .payload
            .as_deref()
            .ok_or_else(|| missing("payload", "give the platform's own message in hexadecimal"))?;
        let payload = from_hex(text).map_err(|error| Refusal::new("payload", "bad_hex", error.to_string()))?;
        if payload.is_empty() {
            return Err(Refusal::new("payload", "out_of_range", "must hold at least one byte"));
        }
        Ok(RawMessage { payload: payload.into(), safe_to_repeat: self.body.safe_to_repeat })
    }

    fn message(&mut self) -> Result<Message, Refusal> {
        self.used |= bit::MESSAGE;
        let message =
            self.body.message.as_ref().ok_or_else(|| missing("message", "give the message: kind and text"))?;
        if message.text.0.is_empty() {
            return Err(Refusal::new("message/text", "out_of_range", "must not be empty"));
        }
        let duration = || {
            let wanted = message.duration_seconds.unwrap_or(DEFAULT_BARK_SECONDS);
            seconds(wanted, "message/duration_seconds", 1..=65535)
        };
        let superfluous = |given: bool, field: &'static str, of: &str| match given {
            true => Err(Refusal::new(field, "superfluous_field", format!("a {of} does not take it"))),
            false => Ok(()),
        };
        let kind = match message.kind {
            MessageKindBody::Mail => {
                superfluous(message.duration_seconds.is_some(), "message/duration_seconds", "mail")?;
                superfluous(message.repeat_count.is_some(), "message/repeat_count", "mail")?;
                superfluous(message.repeat_interval_seconds.is_some(), "message/repeat_interval_seconds", "mail")?;
                MessageKind::Mail
            }
            MessageKindBody::Bark => {
                superfluous(message.repeat_count.is_some(), "message/repeat_count", "bark")?;
                superfluous(message.repeat_interval_seconds.is_some(), "message/repeat_interval_seconds", "bark")?;
                MessageKind::Bark { duration: duration()? }
            }
            MessageKindBody::RepeatingBark => {
                let count = message
                    .repeat_count
                    .ok_or_else(|| missing("message/repeat_count", "say how many times, 1 to 255"))?;
                if count == 0 {
                    return Err(Refusal::new("message/repeat_count", "out_of_range", "must be 1 to 255"));
                }
                let interval = message.repeat_interval_seconds.ok_or_else(|| {
                    missing("message/repeat_interval_seconds", "say how far apart, 10 to 2550 seconds")
                })?;
                if !interval.is_multiple_of(10) {
                    return Err(Refusal::new(
                        "message/repeat_interval_seconds",
                        "out_of_range",
                        "must be a multiple of 10",
                    ));
                }
                let interval = seconds(interval, "message/repeat_interval_seconds", 10..=2550)?;
                MessageKind::RepeatingBark { duration: duration()?, count, interval }
            }
        };
        let audience = match &message.to {
            AudienceBody::Devices => Audience::Devices,
            AudienceBody::Subscriber => Audience::Subscriber,
            AudienceBody::HoldersOf(service) => Audience::HoldersOf(service.clone()),
            AudienceBody::Region(region) => Audience::Region(region.clone()),
            AudienceBody::Everybody => Audience::Everybody,
        };
        Ok(Message { audience, kind, text: message.text.0.clone(), start: message.start })
    }

    /// Refuses argument fields that the command did not take: a CRM that sends one means something by it.
    pub(super) fn no_others(&self) -> Result<(), Refusal> {
        let body = self.body;
        let given = [
            (body.services.is_some(), bit::SERVICES, "services"),
            (body.smartcard.is_some(), bit::DEVICES, "smartcard"),
            (!body.smartcards.is_empty(), bit::DEVICES, "smartcards"),
            (body.stb.is_some(), bit::DEVICES, "stb"),
            (!body.stbs.is_empty(), bit::DEVICES, "stbs"),
            (body.new_smartcard.is_some(), bit::REPLACEMENT, "new_smartcard"),
            (body.new_stb.is_some(), bit::REPLACEMENT, "new_stb"),
            (body.start.is_some(), bit::PERIOD, "start"),
            (body.end.is_some(), bit::PERIOD, "end"),
            (body.pin.is_some(), bit::PIN, "pin"),
            (body.subscriber.is_some(), bit::SUBSCRIBER, "subscriber"),
            (body.login.is_some(), bit::CREDENTIALS, "login"),
            (body.password.is_some(), bit::CREDENTIALS, "password"),
            (body.usage.is_some(), bit::USAGE, "usage"),
            (body.reason.is_some(), bit::REASON, "reason"),
            (body.message.is_some(), bit::MESSAGE, "message"),
            (body.duration_seconds.is_some(), bit::DURATION, "duration_seconds"),
            (body.payload.is_some(), bit::RAW, "payload"),
            (body.safe_to_repeat, bit::RAW, "safe_to_repeat"),
        ];
        match given.iter().find(|(given, bit, _)| *given && self.used & bit == 0) {
            None => Ok(()),
            Some((_, _, field)) => {
                Err(Refusal::new(*field, "superfluous_field", format!("{} does not take it", body.command)))
            }
        }
    }
}

fn seconds(wanted: u32, field: &'static str, range: std::ops::RangeInclusive<u32>) -> Result<Duration, Refusal> {
    if range.contains(&wanted) {
        Ok(Duration::from_secs(u64::from(wanted)))
    } else {
        let detail = format!("must be {} to {} seconds", range.start(), range.end());
        Err(Refusal::new(field, "out_of_range", detail))
    }
}

fn digits(secret: &Secret, field: impl Into<Cow<'static, str>>) -> Result<(), Refusal> {
    let digits = secret.reveal();
    if digits.is_empty() || digits.len() > 16 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::new(field, "out_of_range", "must be 1 to 16 digits"));
    }
    Ok(())
}

fn missing(field: &'static str, remedy: &str) -> Refusal {
    Refusal::new(field, "missing_field", remedy)
}

impl Subscriber {
    /// Checks what every platform would refuse: a PIN that is not of digits, a country that is none.
    ///
    /// # Errors
    /// A [`Refusal`] of a field below `field`.
    pub(crate) fn check(&self, field: &str) -> Result<(), Refusal> {
        if let Some(pin) = &self.pin {
            digits(pin, format!("{field}/pin"))?;
        }
        if let Some(address) = &self.address {
            address.check(&format!("{field}/address"))?;
        }
        Ok(())
    }
}

impl Address {
    /// The same for an address.
    pub(crate) fn check(&self, field: &str) -> Result<(), Refusal> {
        match &self.country {
            Some(country)
                if !(country.as_str().len() == 2 && country.as_str().bytes().all(|b| b.is_ascii_alphabetic())) =>
            {
                Err(Refusal::new(format!("{field}/country"), "out_of_range", "must be two letters of ISO 3166"))
            }
            _ => Ok(()),
        }
    }
}
