//! A request's JSON form: one flat object, read in one pass, refused with the name of the field at fault.

mod fields;
mod write;

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::fields::Fields;
use crate::command::{Command, CommandKind, DisableReason, Subscriber};
use crate::request::{Priority, Process};
use crate::text::{
    AccountNumber, CaId, PersonalText, ProviderName, Reference, Secret, Serial, ServiceCode, SubscriptionNumber,
};

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
    /// The platform's number of the subscription's account, where it is not the subscription's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountNumber>,
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
    /// The smartcard that comes in the other's place, for `swap_device`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_smartcard: Option<Serial>,
    /// The set-top box that comes in the other's place, for `swap_device`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_stb: Option<Serial>,
    /// Start of the period, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// End of the period, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// The new PIN, for `set_pin`: 1 to 16 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Secret>,
    /// What the platform is told of the subscriber, for `create_subscriber` and `update_subscriber`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber: Option<Box<Subscriber>>,
    /// The name to sign in with, for `authenticate`. Default: the platform's account number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<PersonalText>,
    /// The password to sign in with, for `authenticate`, where the platform checks one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The CRM's id of a use, for `add_usage` and `cancel_usage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Reference>,
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
    /// Who sees it. Default: the devices that the request names.
    #[serde(default, skip_serializing_if = "AudienceBody::is_devices")]
    pub to: AudienceBody,
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

/// Who sees a message, as a CRM writes it: `"subscriber"`, `{"holders_of": "SPORT"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AudienceBody {
    /// The devices that the request names.
    #[default]
    Devices,
    /// Every device of the subscription's account.
    Subscriber,
    /// Every device that holds this service, by the CRM's code.
    HoldersOf(ServiceCode),
    /// Every device of a part of the network, by the platform's own id of it.
    Region(CaId),
    /// Every device.
    Everybody,
}

impl AudienceBody {
    const fn is_devices(&self) -> bool {
        matches!(self, Self::Devices)
    }
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
        let mut fields = Fields::of(self);
        let command = fields.command()?;
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
        if self.password.is_some() {
            self.password = Some(Secret::new("***"));
        }
        if let Some(subscriber) = &mut self.subscriber {
            subscriber.mask();
        }
        if self.payload.is_some() && self.command == CommandKind::Raw {
            self.payload = Some("***".into());
        }
        self
    }
}

#[cfg(test)]
mod tests;
