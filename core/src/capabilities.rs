//! What one provider can do: which commands, with how many arguments, and which may be repeated.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::Serialize;

use crate::body::Refusal;
use crate::command::{Audience, Command, CommandKind, MessageKind};
use crate::provider::ServiceMap;
use crate::request::Request;

/// What a provider can do. Built once by its protocol from the profile and the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Capabilities {
    /// The commands it carries out, and the rules of each.
    pub commands: BTreeMap<CommandKind, CommandRules>,
    /// How long a message may be.
    pub messages: MessageLimits,
    /// Whether the adapter can take up, after a restart, what was sent and not answered: it finds
    /// the answer by the reference that was recorded before sending.
    pub resumes: bool,
}

/// The rules of one command at one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct CommandRules {
    /// How many services it takes.
    pub services: Count,
    /// How many smartcards it takes.
    pub smartcards: Count,
    /// How many set-top boxes it takes.
    pub stbs: Count,
    /// Whether the request must name the subscription, or its account at the platform.
    pub account: bool,
    /// Whether sending it twice does what sending it once does.
    pub safe_to_repeat: bool,
    /// Whether the vendor's wire form is known, or only our profile's guess.
    pub confirmed: bool,
}

impl CommandRules {
    /// A command without arguments: safe to repeat, unconfirmed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            services: Count::NONE,
            smartcards: Count::NONE,
            stbs: Count::NONE,
            account: false,
            safe_to_repeat: true,
            confirmed: false,
        }
    }

    /// The same with that many services.
    #[must_use]
    pub const fn services(mut self, count: Count) -> Self {
        self.services = count;
        self
    }

    /// The same with that many smartcards.
    #[must_use]
    pub const fn smartcards(mut self, count: Count) -> Self {
        self.smartcards = count;
        self
    }

    /// The same with that many set-top boxes.
    #[must_use]
    pub const fn stbs(mut self, count: Count) -> Self {
        self.stbs = count;
        self
    }

    /// The same for an account: the request must name it.
    #[must_use]
    pub const fn account(mut self) -> Self {
        self.account = true;
        self
    }

    /// The same, but sending it twice can do harm.
    #[must_use]
    pub const fn unsafe_to_repeat(mut self) -> Self {
        self.safe_to_repeat = false;
        self
    }

    /// The same, with the vendor's wire form known from a source.
    #[must_use]
    pub const fn confirmed(mut self) -> Self {
        self.confirmed = true;
        self
    }
}

impl Default for CommandRules {
    fn default() -> Self {
        Self::new()
    }
}

/// How many of something a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Count {
    /// At least.
    pub min: usize,
    /// At most.
    pub max: usize,
}

impl Count {
    /// None at all.
    pub const NONE: Self = Self { min: 0, max: 0 };
    /// Exactly one.
    pub const ONE: Self = Self { min: 1, max: 1 };

    /// From one to `max`.
    #[must_use]
    pub const fn up_to(max: usize) -> Self {
        Self { min: 1, max }
    }

    /// From none to `max`.
    #[must_use]
    pub const fn optional(max: usize) -> Self {
        Self { min: 0, max }
    }

    const fn range(self) -> RangeInclusive<usize> {
        self.min..=self.max
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, max) if min == max => write!(f, "{min}"),
            (min, max) => write!(f, "{min} to {max}"),
        }
    }
}

/// Whom messages reach, how long their text may be, and in what it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct MessageLimits {
    /// Most bytes of a mail, as encoded for the platform; absent: no mail.
    pub mail: Option<usize>,
    /// Most bytes of a bark, likewise; absent: no barks.
    pub bark: Option<usize>,
    /// Most bytes of a repeating bark, likewise; absent: no repeating barks.
    pub repeating_bark: Option<usize>,
    /// Whether one message reaches every device of an account.
    pub to_subscriber: bool,
    /// Whether one message reaches every holder of a service.
    pub to_holders: bool,
    /// Whether one message reaches a part of the network.
    pub to_region: bool,
    /// Whether one message reaches every device.
    pub to_everybody: bool,
}

impl MessageLimits {
    const fn reaches(&self, audience: &Audience) -> bool {
        match audience {
            Audience::Devices => true,
            Audience::Subscriber => self.to_subscriber,
            Audience::HoldersOf(_) => self.to_holders,
            Audience::Region(_) => self.to_region,
            Audience::Everybody => self.to_everybody,
        }
    }

    fn of(&self, kind: &MessageKind) -> Option<usize> {
        match kind {
            MessageKind::Mail => self.mail,
            MessageKind::Bark { .. } => self.bark,
            MessageKind::RepeatingBark { .. } => self.repeating_bark,
        }
    }
}

impl Capabilities {
    /// Checks a command against the rules that every protocol shares: is it supported, are there
    /// enough and not too many arguments, is every service mapped, is the text short enough?
    ///
    /// Text is counted in UTF-8 bytes here; a protocol with another character set counts again in its
    /// own [`crate::adapter::Rules::check`].
    ///
    /// # Errors
    /// A [`Refusal`] that names the field at fault.
    pub fn check(&self, request: &Request, services: &ServiceMap) -> Result<(), Refusal> {
        let command = &request.command;
        let kind = command.kind();
        let Some(rules) = self.commands.get(&kind) else {
            let supported = self.commands.keys().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
            return Err(Refusal::new(
                "command",
                "unsupported_command",
                format!("this provider does not support {kind}; it supports {supported}"),
            ));
        };
        let audience = command.audience();
        if (rules.account || audience == Some(&Audience::Subscriber)) && request.account_number().is_none() {
            return Err(Refusal::new("subscription", "missing_field", "name the subscription, or its account"));
        }
        let listed = command.services();
        if !matches!(command.services_are_all(), Some(true)) && audience.is_none() {
            count(listed.len(), rules.services, "services")?;
        }
        if let Some(devices) = command.devices() {
            let named = matches!(audience, None | Some(Audience::Devices));
            let [smartcards, stbs] = if named { [rules.smartcards, rules.stbs] } else { [Count::NONE; 2] };
            count(devices.smartcards.len(), smartcards, "smartcards")?;
            count(devices.stbs.len(), stbs, "stbs")?;
        }
        for (index, service) in listed.iter().enumerate() {
            if services.ca_id(service).is_none() {
                let field =
                    if audience.is_some() { "message/to/holders_of".to_owned() } else { format!("services/{index}") };
                let detail =
                    format!("service {service:?} has no CA ID at this provider; add it under the provider's services");
                return Err(Refusal::new(field, "unknown_service", detail));
            }
        }
        if let Command::SendMessage { message, .. } = command {
            if !self.messages.reaches(&message.audience) {
                return Err(Refusal::new(
                    "message/to",
                    "unsupported_message",
                    "this provider can not reach them at once",
                ));
            }
            let Some(limit) = self.messages.of(&message.kind) else {
                return Err(Refusal::new(
                    "message/kind",
                    "unsupported_message",
                    "this provider can not show this kind of message",
                ));
            };
            if message.text.len() > limit {
                let detail = format!("is {} bytes long; this provider takes at most {limit}", message.text.len());
                return Err(Refusal::new("message/text", "text_too_long", detail));
            }
        }
        Ok(())
    }

    /// Whether `command` may be sent again when nobody knows if it arrived.
    #[must_use]
    pub fn safe_to_repeat(&self, command: &Command) -> bool {
        match command {
            Command::Raw(raw) => raw.safe_to_repeat,
            other => {
                other.kind().is_query() || self.commands.get(&other.kind()).is_some_and(|rules| rules.safe_to_repeat)
            }
        }
    }
}

impl Command {
    /// Who sees it, if it is a message.
    const fn audience(&self) -> Option<&Audience> {
        match self {
            Self::SendMessage { message, .. } => Some(&message.audience),
            _ => None,
        }
    }

    /// Whether it means all services held; nothing if it takes no services.
    const fn services_are_all(&self) -> Option<bool> {
        match self {
            Self::DeactivateServices(s) | Self::Suspend(s) | Self::Resume(s) => {
                Some(matches!(s.services, crate::command::Services::All))
            }
            _ => None,
        }
    }
}

fn count(given: usize, allowed: Count, field: &'static str) -> Result<(), Refusal> {
    if allowed.range().contains(&given) {
        return Ok(());
    }
    let code = if given < allowed.min { "missing_field" } else { "out_of_range" };
    Err(Refusal::new(field, code, format!("{given} given; this command takes {allowed}")))
}
