//! What can be asked of the gateway, and what is refused before anything is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::{Command, CommandKind, Devices, Entitlement, Selection, Services};
use headgate_core::request::Request;

use super::settings::{DeviceId, DeviceType, Settings, is_segment};
use crate::http::raw::RawCall;

/// Most devices of one request: each of them is a call.
const MOST_DEVICES: usize = 100;

/// Most services of one request.
const MOST_SERVICES: usize = 100;

/// What may be asked of a provider.
pub struct CagRules {
    settings: Arc<Settings>,
    capabilities: Capabilities,
}

impl CagRules {
    /// By these settings.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        let commands = commands(&settings);
        let capabilities = Capabilities { commands, messages: MessageLimits::default(), resumes: false };
        Self { settings, capabilities }
    }
}

/// The calls that only the documentation's internal variant shows are unconfirmed \[S11\]. No call reads anything,
/// so there are no queries, no test of the connection, and no way to take away one product of several.
fn commands(settings: &Settings) -> BTreeMap<CommandKind, CommandRules> {
    let services = |rules: CommandRules| rules.services(Count::up_to(MOST_SERVICES));
    let fewest = usize::from(!settings.replace_with_nothing);
    let replaced = Count { min: fewest, max: MOST_SERVICES };
    let mut commands = BTreeMap::from([
        (CommandKind::ActivateServices, services(granted(settings)).confirmed()),
        (CommandKind::SetServices, devices(settings).services(replaced).confirmed()),
        (CommandKind::Pair, paired(settings)),
        (CommandKind::SetPin, devices(settings)),
        (CommandKind::Raw, CommandRules::new().unsafe_to_repeat()),
    ]);
    if settings.replace_with_nothing {
        commands.insert(CommandKind::DeactivateServices, services(devices(settings)));
    }
    if settings.recovery_years.is_some() {
        commands.insert(CommandKind::RefreshServices, devices(settings).confirmed());
    }
    commands
}

/// A command that names devices by their ids.
const fn devices(settings: &Settings) -> CommandRules {
    match settings.device_id {
        DeviceId::Smartcard => CommandRules::new().smartcards(Count::up_to(MOST_DEVICES)),
        DeviceId::Stb => CommandRules::new().stbs(Count::up_to(MOST_DEVICES)),
    }
}

/// One that tells more of them: the chipset, the card.
const fn granted(settings: &Settings) -> CommandRules {
    match (settings.device_id, settings.device_type) {
        (DeviceId::Smartcard, _) => devices(settings).stbs(Count::optional(1)),
        (DeviceId::Stb, DeviceType::CardLess) => devices(settings),
        (DeviceId::Stb, DeviceType::CardBased) => CommandRules::new().stbs(Count::ONE).smartcards(Count::ONE),
    }
}

/// One about a device and a chipset, whose number is the box's.
const fn paired(settings: &Settings) -> CommandRules {
    match settings.device_id {
        DeviceId::Smartcard => CommandRules::new().smartcards(Count::ONE).stbs(Count::ONE),
        DeviceId::Stb => CommandRules::new().stbs(Count::ONE),
    }
}

impl Rules for CagRules {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn end_points(&self) -> Vec<String> {
        let name = &self.settings.token_endpoint;
        if self.settings.token.is_some() && !name.is_empty() { vec![name.clone()] } else { Vec::new() }
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        if let Some(devices) = request.command.devices() {
            check_numbers(devices)?;
        }
        match &request.command {
            Command::ActivateServices(entitlement) => {
                self.check_period(entitlement)?;
                let Devices { smartcards, stbs } = &entitlement.devices;
                if smartcards.len() > 1 && !stbs.is_empty() {
                    let detail = "is the chipset of one device: leave it out, or name one smartcard";
                    return Err(Refusal::new("stb", "superfluous_field", detail));
                }
                Ok(())
            }
            Command::SetServices(entitlement) => self.check_period(entitlement),
            Command::DeactivateServices(Selection { services: Services::These(_), .. }) => {
                let detail = "must be \"all\": this platform can not take away one product of several, and does not \
                              tell which there are; use set_services with those that remain";
                Err(Refusal::new("services", "out_of_range", detail))
            }
            Command::Raw(raw) => RawCall::read(&raw.payload).map(drop),
            _ => Ok(()),
        }
    }
}

impl CagRules {
    fn check_period(&self, entitlement: &Entitlement) -> Result<(), Refusal> {
        let field = match (entitlement.period.start, entitlement.period.end) {
            _ if self.settings.ignore_period => return Ok(()),
            (Some(_), _) => "start",
            (_, Some(_)) => "end",
            (None, None) => return Ok(()),
        };
        let detail = "this platform keeps no period: leave it out and switch the service on and off when it is time, or \
                      have the operator set `ignore_period`";
        Err(Refusal::new(field, "superfluous_field", detail))
    }
}

/// Numbers stand in paths.
fn check_numbers(devices: &Devices) -> Result<(), Refusal> {
    for (field, numbers) in [("smartcards", &devices.smartcards), ("stbs", &devices.stbs)] {
        if let Some(index) = numbers.iter().position(|number| !is_segment(number.as_str())) {
            return Err(Refusal::new(format!("{field}/{index}"), "bad_number", "can not be \".\" or \"..\""));
        }
    }
    Ok(())
}
