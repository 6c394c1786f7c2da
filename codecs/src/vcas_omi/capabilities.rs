//! What a provider of this protocol can do.

use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::CommandKind;

use super::settings::{Settings, Version};

/// Most devices of each kind in one request: list calls take them in blocks.
const MOST_DEVICES: usize = 1_000;
/// Most services of one request.
const MOST_SERVICES: usize = 100;

/// What these settings can do. Which call carries a command is our reading \[I\]; `confirmed` says that the form of
/// the call is public \[S:FIM\].
pub(super) fn capabilities(settings: &Settings) -> Capabilities {
    let rules = CommandRules::new;
    let devices = || rules().smartcards(Count::optional(MOST_DEVICES)).stbs(Count::optional(MOST_DEVICES));
    let services = || devices().services(Count::up_to(MOST_SERVICES));
    let pair = || rules().smartcards(Count::ONE).stbs(Count::ONE);
    let mut table = vec![
        (CommandKind::ActivateServices, services().confirmed()),
        (CommandKind::DeactivateServices, services().confirmed()),
        (CommandKind::SetServices, services().services(Count::optional(MOST_SERVICES))),
        // Of the whole device: OMI can not suspend a service.
        (CommandKind::Suspend, devices().confirmed()),
        (CommandKind::Resume, devices().confirmed()),
        (CommandKind::AddDevice, devices().confirmed()),
        (CommandKind::RemoveDevice, devices().confirmed()),
        (CommandKind::EnableDevice, devices().confirmed()),
        (CommandKind::DisableDevice, devices().confirmed()),
        (CommandKind::Pair, pair()),
        (CommandKind::AddToPairing, pair().confirmed()),
        (CommandKind::Unpair, devices().confirmed()),
        (CommandKind::SetPin, devices().confirmed()),
        (CommandKind::ResetPin, devices().confirmed()),
        (CommandKind::SendMessage, devices().unsafe_to_repeat().confirmed()),
        (CommandKind::GetServices, devices()),
        (CommandKind::GetPairing, devices()),
        (CommandKind::GetDevice, devices()),
        (CommandKind::TestConnection, rules().confirmed()),
        (CommandKind::Raw, rules().unsafe_to_repeat().confirmed()),
    ];
    if settings.version >= Version::V3_6 {
        table.push((CommandKind::RefreshServices, devices().confirmed()));
    }
    if settings.accounts_are_domains {
        table.extend([
            (CommandKind::CreateSubscriber, rules().account()),
            (CommandKind::RemoveSubscriber, rules().account()),
            (CommandKind::GetSubscriber, rules().account()),
        ]);
    }
    let limit = Some(settings.osm.text_limit);
    let messages = MessageLimits {
        bark: limit,
        // Only later versions have a cycle.
        repeating_bark: limit.filter(|_| settings.version == Version::Later),
        to_subscriber: settings.accounts_are_domains,
        to_holders: true,
        to_everybody: true,
        ..MessageLimits::default()
    };
    Capabilities { commands: table.into_iter().collect(), messages, resumes: false }
}
