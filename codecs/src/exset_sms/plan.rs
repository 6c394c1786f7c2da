//! Commands as entries: which entries a command needs, and what may be asked at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::{Audience, Command, CommandKind, Message, MessageKind, Services};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::table::Value;
use headgate_core::text::{CaId, Serial, ServiceCode};
use jiff::Timestamp;

use super::profile::{CommandName, ParameterName as P};
use super::settings::Site;
use super::wire::{Entry, WriteError};

/// Most entries of one request.
pub const MOST_ENTRIES: usize = 1_000;
/// Most characters of a message where the profile sets no limit.
const TEXT_LIMIT: usize = 4_000;

/// One part of a command: one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The entry.
    pub entry: Entry,
    /// What a failure names, if others are done: the card, or of one card the service.
    pub about: Option<Serial>,
}

/// What may be asked of a provider, and how it is put into entries.
pub struct Plan {
    /// The provider's settings.
    pub site: Site,
    services: ServiceMap,
    capabilities: Capabilities,
}

impl Plan {
    /// A plan for a provider with these services.
    #[must_use]
    pub fn new(site: Site, services: ServiceMap) -> Self {
        let capabilities = capabilities(&site);
        Self { site, services, capabilities }
    }

    /// The entries that carry a request, in their order.
    ///
    /// # Errors
    /// [`Refusal`] if there are none for it, or one can not be written.
    pub fn parts(&self, request: &Request) -> Result<Vec<Part>, Refusal> {
        let parts = match &request.command {
            Command::ActivateServices(entitlement) => {
                let times = [(P::Start, entitlement.period.start), (P::End, entitlement.period.end)];
                self.each(
                    request,
                    CommandName::AddSubscription,
                    &entitlement.services,
                    &entitlement.devices.smartcards,
                    &times,
                )?
            }
            Command::DeactivateServices(selection) => match &selection.services {
                Services::These(services) => {
                    self.each(request, CommandName::RemoveSubscription, services, &selection.devices.smartcards, &[])?
                }
                Services::All => {
                    let text = "this platform takes services away one by one; name them";
                    return Err(Refusal::new("services", "unsupported_command", text));
                }
            },
            Command::RefreshServices(devices) => {
                self.of_cards(request, CommandName::Recall, &devices.smartcards, &[])?
            }
            Command::Pair(devices) => {
                let stbs = devices.stbs.first().map(|stb| (P::Stb, Value::text(stb.as_str())));
                self.of_cards(request, CommandName::Pair, &devices.smartcards, stbs.as_slice())?
            }
            Command::Unpair(devices) => {
                let stbs = devices.stbs.first().map(|stb| (P::Stb, Value::text(stb.as_str())));
                self.of_cards(request, CommandName::Unpair, &devices.smartcards, stbs.as_slice())?
            }
            Command::SendMessage { devices, message } => {
                let (command, cards): (_, &[_]) = match message.audience {
                    Audience::Everybody => (CommandName::MessageAll, &[]),
                    _ => (CommandName::Message, &devices.smartcards),
                };
                let parameters = self.message(command, message)?;
                if command == CommandName::MessageAll {
                    vec![self.part(request, command, None, None, &parameters)?]
                } else {
                    self.of_cards(request, command, cards, &parameters)?
                }
            }
            Command::Fingerprint { devices, duration } => {
                let duration = (P::Duration, seconds(*duration));
                self.of_cards(request, CommandName::Fingerprint, &devices.smartcards, &[duration])?
            }
            other => {
                let text = format!("this provider does not support {}", other.kind());
                return Err(Refusal::new("command", "unsupported_command", text));
            }
        };
        if parts.len() > MOST_ENTRIES {
            let text = format!("would need {} entries; at most {MOST_ENTRIES} go with one request", parts.len());
            return Err(Refusal::new("services", "out_of_range", text));
        }
        Ok(parts)
    }

    /// Whether a command may be sent again when nobody knows if it arrived.
    #[must_use]
    pub fn is_safe_to_repeat(&self, command: &Command) -> bool {
        self.capabilities.safe_to_repeat(command)
    }

    /// An entry for each service on each card.
    fn each(
        &self,
        request: &Request,
        command: CommandName,
        services: &[ServiceCode],
        cards: &[Serial],
        times: &[(P, Option<Timestamp>)],
    ) -> Result<Vec<Part>, Refusal> {
        let mut parameters = Vec::new();
        for (parameter, time) in times {
            let Some(time) = time else { continue };
            if !self.site.profile.takes(command, *parameter) {
                let text = format!("this provider's profile sends no {}; leave it out", parameter.name());
                return Err(Refusal::new(parameter.field(), "unsupported_command", text));
            }
            parameters.push((*parameter, Value::Timestamp(*time)));
        }
        let mut parts = Vec::with_capacity(services.len() * cards.len());
        for card in cards {
            for (index, code) in services.iter().enumerate() {
                let ca_id = self.services.ca_id(code).ok_or_else(|| {
                    Refusal::new(format!("services/{index}"), "unknown_service", format!("{code:?} has no CA ID here"))
                })?;
                let mut part = self.part(request, command, Some(card), Some((code, ca_id)), &parameters)?;
                if cards.len() == 1 {
                    part.about = Serial::new(code.as_str()).ok();
                }
                parts.push(part);
            }
        }
        Ok(parts)
    }

    /// An entry for each card.
    fn of_cards(
        &self,
        request: &Request,
        command: CommandName,
        cards: &[Serial],
        parameters: &[(P, Value)],
    ) -> Result<Vec<Part>, Refusal> {
        cards.iter().map(|card| self.part(request, command, Some(card), None, parameters)).collect()
    }

    fn part(
        &self,
        request: &Request,
        command: CommandName,
        card: Option<&Serial>,
        service: Option<(&ServiceCode, &CaId)>,
        others: &[(P, Value)],
    ) -> Result<Part, Refusal> {
        let text = |parameter, text: &str| (parameter, Value::text(text));
        let mut parameters: BTreeMap<P, Value> = others.iter().cloned().collect();
        parameters.extend(request.account_number().map(|account| text(P::Subscription, account)));
        parameters.extend([text(P::Distributor, self.site.distributor(service.map(|(code, _)| code)))]);
        parameters.extend(service.map(|(_, ca_id)| text(P::Service, ca_id.as_str())));
        parameters.extend(card.map(|card| text(P::Card, card.as_str())));
        parameters.retain(|parameter, _| self.site.profile.takes(command, *parameter));
        let part = Part { entry: Entry { command, parameters }, about: card.cloned() };
        // The id is left out of account: it is ours, and fits.
        part.entry.write(&self.site.profile, &Value::Null, Timestamp::UNIX_EPOCH).map_err(|error| refusal(&error))?;
        Ok(part)
    }

    fn message(&self, command: CommandName, message: &Message) -> Result<Vec<(P, Value)>, Refusal> {
        let mut parameters = vec![(P::Text, Value::text(&message.text))];
        let word = match message.kind {
            MessageKind::Mail => "mail",
            MessageKind::Bark { duration } => {
                parameters.push((P::Duration, seconds(duration)));
                "bark"
            }
            MessageKind::RepeatingBark { duration, count, interval } => {
                parameters.push((P::Duration, seconds(duration)));
                parameters.push((P::RepeatCount, Value::Integer(i64::from(count))));
                parameters.push((P::RepeatInterval, seconds(interval)));
                "repeating_bark"
            }
        };
        parameters.push((P::MessageKind, Value::text(word)));
        if let Some(start) = message.start {
            if !self.site.profile.takes(command, P::Start) {
                let text = "this provider's profile sends no start; leave it out";
                return Err(Refusal::new("message/start", "unsupported_command", text));
            }
            parameters.push((P::Start, Value::Timestamp(start)));
        }
        Ok(parameters)
    }
}

impl Rules for Plan {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        match &request.command {
            Command::TestConnection => Ok(()),
            _ => self.parts(request).map(drop),
        }
    }
}

fn capabilities(site: &Site) -> Capabilities {
    let profile = &site.profile;
    let mut commands = BTreeMap::from([(CommandKind::TestConnection, CommandRules::new())]);
    let many = Count::up_to(MOST_ENTRIES);
    for (name, form) in profile.commands() {
        let plain = CommandRules::new().smartcards(many);
        let (kind, rules) = match name {
            CommandName::AddSubscription => (CommandKind::ActivateServices, plain.services(many)),
            CommandName::RemoveSubscription => (CommandKind::DeactivateServices, plain.services(many)),
            CommandName::Recall => (CommandKind::RefreshServices, plain),
            CommandName::Pair => (CommandKind::Pair, plain.smartcards(Count::ONE).stbs(Count::ONE)),
            CommandName::Unpair => {
                let stbs = if form.parameters.contains(&P::Stb) { Count::ONE } else { Count::NONE };
                (CommandKind::Unpair, plain.smartcards(Count::ONE).stbs(stbs))
            }
            CommandName::Message => (CommandKind::SendMessage, plain.unsafe_to_repeat()),
            CommandName::MessageAll if profile.command(CommandName::Message).is_some() => continue,
            CommandName::MessageAll => {
                (CommandKind::SendMessage, CommandRules::new().smartcards(Count::optional(0)).unsafe_to_repeat())
            }
            CommandName::Fingerprint => (CommandKind::Fingerprint, plain.unsafe_to_repeat()),
        };
        // A message needs no subscription; a right does, where the platform is told it.
        let entitles =
            matches!(name, CommandName::AddSubscription | CommandName::RemoveSubscription | CommandName::Recall);
        let rules = if entitles && form.parameters.contains(&P::Subscription) { rules.account() } else { rules };
        commands.insert(kind, if form.confirmed { rules.confirmed() } else { rules });
    }
    Capabilities { commands, messages: messages(site), resumes: true }
}

/// A kind of message can be sent if the profile's command has all the parameters that tell it.
fn messages(site: &Site) -> MessageLimits {
    let profile = &site.profile;
    let Some((_, form)) =
        profile.commands().find(|(name, _)| matches!(name, CommandName::Message | CommandName::MessageAll))
    else {
        return MessageLimits::default();
    };
    // A character has at most four bytes; the exact check is that of the column.
    let limit = Some(profile.text_limit().unwrap_or(TEXT_LIMIT).saturating_mul(4));
    let has = |needed: &[P]| limit.filter(|_| needed.iter().all(|parameter| form.parameters.contains(parameter)));
    MessageLimits {
        mail: limit,
        bark: has(&[P::MessageKind, P::Duration]),
        repeating_bark: has(&[P::MessageKind, P::Duration, P::RepeatCount, P::RepeatInterval]),
        to_everybody: profile.command(CommandName::MessageAll).is_some(),
        ..MessageLimits::default()
    }
}

fn seconds(duration: Duration) -> Value {
    Value::Integer(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
}

fn refusal(error: &WriteError) -> Refusal {
    Refusal::new(error.parameter.field(), "out_of_range", error.text.clone())
}

/// A plan that is shared: by the adapter, and by the threads that accept requests.
pub type SharedPlan = Arc<Plan>;
