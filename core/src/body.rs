//! A request's JSON form: one flat object, read in one pass, refused with the name of the field at fault.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::command::{
    Command, CommandKind, Devices, DisableReason, Entitlement, Message, MessageKind, Period, RawMessage, Selection,
    Services,
};
use crate::request::{Priority, Process};
use crate::text::{ProviderName, Reference, Secret, Serial, ServiceCode, SubscriptionNumber, from_hex};

/// How long a bark is shown where the request does not say: CRM.COM's default \[S:CWS\].
const DEFAULT_BARK_SECONDS: u32 = 20;

/// A request was not accepted: the field at fault, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct Refusal {
    /// The field, as a path into the JSON: `services/0`.
    pub field: Cow<'static, str>,
    /// Short and stable: `unsupported_command`, `missing_field`.
    pub code: &'static str,
    /// What is wrong and what would be right. Holds no secrets and no subscriber data.
    pub detail: String,
}

impl Refusal {
    /// A refusal of `field`.
    #[must_use]
    pub fn new(field: impl Into<Cow<'static, str>>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { field: field.into(), code, detail: detail.into() }
    }
}

/// A request as a CRM writes it.
///
/// `smartcard` and `stb` are short for lists of one. Which fields a command needs is told by
/// [`RequestBody::command`]'s errors and by `headgate providers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestBody {
    /// The provider that carries it out.
    pub provider: ProviderName,
    /// What to do.
    pub command: CommandKind,
    /// The subscription it is for. Requests of one subscription go out in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionNumber>,
    /// The services: a list of the CRM's codes, or `"all"` where a command takes services away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<ServicesBody>,
    /// One smartcard, by serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smartcard: Option<Serial>,
    /// Several smartcards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub smartcards: Vec<Serial>,
    /// One set-top box, by serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stb: Option<Serial>,
    /// Several set-top boxes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stbs: Vec<Serial>,
    /// Start of the period, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// End of the period, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// The new PIN, for `set_pin`: 1 to 16 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Secret>,
    /// Why, for `disable_device`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<DisableReason>,
    /// The message, for `send_message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageBody>,
    /// How long a fingerprint is shown, in seconds, 1 to 65535.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,
    /// The platform's own message in hexadecimal, for `raw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// For `raw`: whether sending it twice does no harm. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub safe_to_repeat: bool,
    /// How urgent it is. Default `regular`.
    #[serde(default)]
    pub priority: Priority,
    /// Whether it goes out now or with a run. Default `now`.
    #[serde(default)]
    pub process: Process,
    /// It does not go out before this time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// It does not go out after this time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The CRM's own reference, given back with the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// A message as a CRM writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageBody {
    /// How it is shown.
    pub kind: MessageKindBody,
    /// The words.
    pub text: MessageText,
    /// When it is shown, RFC 3339; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// For how long a bark is shown, in seconds, 1 to 65535. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,
    /// How many times a repeating bark is shown, 1 to 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_count: Option<u8>,
    /// How far apart, in seconds, 10 to 2550 in steps of 10 \[S:CWS\].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_interval_seconds: Option<u32>,
}

/// A message's words. Subscriber data: `Debug` shows only their length.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct MessageText(pub String);

impl fmt::Debug for MessageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} characters>", self.0.chars().count())
    }
}

/// How a message is shown, as a CRM writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKindBody {
    /// Over the picture.
    Bark,
    /// Into the mailbox.
    Mail,
    /// Over the picture, again and again.
    RepeatingBark,
}

/// `"all"`, or a list of codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServicesBody {
    /// Every service held.
    All,
    /// These.
    These(Vec<ServiceCode>),
}

impl Serialize for ServicesBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::These(services) => services.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ServicesBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrList;

        impl<'de> Visitor<'de> for AllOrList {
            type Value = ServicesBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of service codes, or \"all\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ServicesBody, E> {
                if text == "all" {
                    Ok(ServicesBody::All)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ServicesBody, A::Error> {
                let mut services = Vec::new();
                while let Some(service) = seq.next_element()? {
                    services.push(service);
                }
                Ok(ServicesBody::These(services))
            }
        }

        deserializer.deserialize_any(AllOrList)
    }
}

impl schemars::JsonSchema for ServicesBody {
    fn schema_name() -> Cow<'static, str> {
        "Services".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let list = generator.subschema_for::<Vec<ServiceCode>>();
        schemars::json_schema!({ "oneOf": [{ "const": "all" }, list] })
    }
}

impl RequestBody {
    /// The command these fields make.
    ///
    /// # Errors
    /// A [`Refusal`] that names the first field that is missing, superfluous or out of its range.
    pub fn command(&self) -> Result<Command, Refusal> {
        let mut fields = Fields { body: self, used: 0 };
        let command = match self.command {
            CommandKind::ActivateServices => Command::ActivateServices(fields.entitlement(true)?),
            CommandKind::DeactivateServices => {
                let services = fields
                    .services_or_all()?
                    .ok_or_else(|| missing("services", "list the services to switch off, or say \"all\""))?;
                Command::DeactivateServices(Selection { services, devices: fields.devices()? })
            }
            CommandKind::SetServices => Command::SetServices(fields.entitlement(false)?),
            CommandKind::RefreshServices => Command::RefreshServices(fields.devices()?),
            CommandKind::Suspend => Command::Suspend(fields.selection()?),
            CommandKind::Resume => Command::Resume(fields.selection()?),
            CommandKind::EnableDevice => Command::EnableDevice(fields.devices()?),
            CommandKind::DisableDevice => {
                Command::DisableDevice { devices: fields.devices()?, reason: fields.reason()? }
            }
            CommandKind::Pair => Command::Pair(fields.devices()?),
            CommandKind::AddToPairing => Command::AddToPairing(fields.devices()?),
            CommandKind::Unpair => Command::Unpair(fields.devices()?),
            CommandKind::SetPin => Command::SetPin { devices: fields.devices()?, pin: fields.pin()? },
            CommandKind::ResetPin => Command::ResetPin(fields.devices()?),
            CommandKind::ClearPin => Command::ClearPin(fields.devices()?),
            CommandKind::SendMessage => Command::SendMessage { devices: fields.devices()?, message: fields.message()? },
            CommandKind::Fingerprint => {
                Command::Fingerprint { devices: fields.devices()?, duration: fields.duration()? }
            }
            CommandKind::GetServices => Command::GetServices(fields.devices()?),
            CommandKind::GetPairing => Command::GetPairing(fields.devices()?),
            CommandKind::GetDevice => Command::GetDevice(fields.devices()?),
            CommandKind::TestConnection => Command::TestConnection,
            CommandKind::Raw => Command::Raw(fields.raw()?),
        };
        fields.no_others()?;
        if let (Some(not_before), Some(expires)) = (self.not_before, self.expires)
            && expires <= not_before
        {
            return Err(Refusal::new("expires", "out_of_range", "must be after not_before"));
        }
        Ok(command)
    }

    /// A refusal of the command, told of the fields that this body has: `smartcard` where that was written for a list
    /// of one.
    #[must_use]
    pub fn locate(&self, mut refusal: Refusal) -> Refusal {
        let written = match refusal.field.as_ref() {
            "smartcards" | "smartcards/0" if self.smartcard.is_some() => "smartcard",
            "stbs" | "stbs/0" if self.stb.is_some() => "stb",
            _ => return refusal,
        };
        refusal.field = written.into();
        refusal
    }

    /// The same body with secrets replaced by `***`, for showing to people.
    #[must_use]
    pub fn mask(mut self) -> Self {
        if self.pin.is_some() {
            self.pin = Some(Secret::new("***"));
        }
        if self.payload.is_some() && self.command == CommandKind::Raw {
            self.payload = Some("***".into());
        }
        self
    }
}

fn missing(field: &'static str, remedy: &str) -> Refusal {
    Refusal::new(field, "missing_field", remedy)
}

/// The argument fields of a body, and which of them the command has taken.
struct Fields<'a> {
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
}

impl Fields<'_> {
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
        let digits = pin.reveal();
        if digits.is_empty() || digits.len() > 16 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::new("pin", "out_of_range", "must be 1 to 16 digits"));
        }
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
        Ok(Message { kind, text: message.text.0.clone(), start: message.start })
    }

    /// Refuses argument fields that the command did not take: a CRM that sends one means something by it.
    fn no_others(&self) -> Result<(), Refusal> {
        let body = self.body;
        let given = [
            (body.services.is_some(), bit::SERVICES, "services"),
            (body.smartcard.is_some(), bit::DEVICES, "smartcard"),
            (!body.smartcards.is_empty(), bit::DEVICES, "smartcards"),
            (body.stb.is_some(), bit::DEVICES, "stb"),
            (!body.stbs.is_empty(), bit::DEVICES, "stbs"),
            (body.start.is_some(), bit::PERIOD, "start"),
            (body.end.is_some(), bit::PERIOD, "end"),
            (body.pin.is_some(), bit::PIN, "pin"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn command(json: &str) -> Result<Command, Refusal> {
        serde_json::from_str::<RequestBody>(json).unwrap().command()
    }

    fn refused_field(json: &str) -> String {
        command(json).unwrap_err().field.into_owned()
    }

    #[test]
    fn a_single_smartcard_is_a_list_of_one() {
        let one = command(r#"{"provider":"p","command":"reset_pin","smartcard":"1"}"#);
        let list = command(r#"{"provider":"p","command":"reset_pin","smartcards":["1"]}"#);
        assert_eq!(one, list);
    }

    #[test]
    fn switching_everything_off_must_be_said() {
        assert_eq!(refused_field(r#"{"provider":"p","command":"deactivate_services","smartcard":"1"}"#), "services");
        let all =
            command(r#"{"provider":"p","command":"deactivate_services","smartcard":"1","services":"all"}"#).unwrap();
        assert!(matches!(all, Command::DeactivateServices(Selection { services: Services::All, .. })));
    }

    #[test]
    fn a_field_the_command_does_not_take_is_refused() {
        assert_eq!(refused_field(r#"{"provider":"p","command":"pair","smartcard":"1","stb":"2","pin":"1"}"#), "pin");
    }

    #[test]
    fn repeating_barks_say_how_often_and_how_far_apart() {
        let body = |rest: &str| {
            format!(
                r#"{{"provider":"p","command":"send_message","smartcard":"1","message":{{"kind":"repeating_bark","text":"x"{rest}}}}}"#
            )
        };
        assert_eq!(refused_field(&body("")), "message/repeat_count");
        assert_eq!(refused_field(&body(r#","repeat_count":3"#)), "message/repeat_interval_seconds");
        assert_eq!(
            refused_field(&body(r#","repeat_count":3,"repeat_interval_seconds":15"#)),
            "message/repeat_interval_seconds"
        );
        assert!(command(&body(r#","repeat_count":3,"repeat_interval_seconds":60"#)).is_ok());
    }

    #[test]
    fn periods_and_lifetimes_run_forwards() {
        let json = r#"{"provider":"p","command":"activate_services","services":["A"],"start":"2026-02-01T00:00:00Z","end":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(refused_field(json), "end");
        let json = r#"{"provider":"p","command":"test_connection","not_before":"2026-02-01T00:00:00Z","expires":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(refused_field(json), "expires");
    }

    #[test]
    fn a_masked_body_shows_no_pin() {
        let body: RequestBody =
            serde_json::from_str(r#"{"provider":"p","command":"set_pin","smartcard":"1","pin":"9876"}"#).unwrap();
        assert!(!serde_json::to_string(&body.mask()).unwrap().contains("9876"));
    }
}
