//! What a provider can do, read from its profile.

use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::CommandKind;

use super::profile::{Charset, CommandName, FieldName, Kind, Profile, find};

/// Most smartcards of one request, for commands that may safely be repeated.
const MOST_CARDS: usize = 100;
/// Most services of one request.
const MOST_SERVICES: usize = 100;

/// What the profile can say.
pub(super) fn capabilities(profile: &Profile) -> Capabilities {
    let rules = CommandRules::new;
    let cards = || rules().smartcards(Count::up_to(MOST_CARDS));
    let services = || cards().services(Count::up_to(MOST_SERVICES));
    let one_card = || rules().smartcards(Count::ONE);
    let table = [
        (CommandKind::ActivateServices, services(), [CommandName::AddProduct, CommandName::AddProducts].as_slice()),
        (CommandKind::DeactivateServices, services(), &[CommandName::CancelProduct]),
        (
            CommandKind::SetServices,
            services().services(Count::optional(MOST_SERVICES)),
            &[CommandName::ReplaceProducts, CommandName::CancelAll],
        ),
        (CommandKind::RefreshServices, cards(), &[CommandName::Refresh]),
        (CommandKind::Suspend, services(), &[CommandName::SuspendProduct]),
        (CommandKind::Resume, services(), &[CommandName::ReactivateProduct]),
        (CommandKind::EnableDevice, cards(), &[CommandName::EnableCard]),
        (CommandKind::DisableDevice, cards(), &[CommandName::DisableCard]),
        (CommandKind::Pair, one_card().stbs(Count::ONE), &[CommandName::Pair]),
        (CommandKind::Unpair, cards(), &[CommandName::Unpair]),
        (CommandKind::SetPin, cards(), &[CommandName::SetPin]),
        (CommandKind::ResetPin, cards(), &[CommandName::ResetPin]),
        (CommandKind::ClearPin, cards(), &[CommandName::ClearPin]),
        // One card each: after a part that went through, the rest could not be repeated without showing it twice.
        (
            CommandKind::SendMessage,
            one_card().unsafe_to_repeat(),
            &[CommandName::Mail, CommandName::Bark, CommandName::RepeatingBark],
        ),
        (CommandKind::Fingerprint, one_card().unsafe_to_repeat(), &[CommandName::Fingerprint]),
        (CommandKind::GetServices, cards(), &[CommandName::HeldProducts]),
        (CommandKind::GetPairing, cards(), &[CommandName::HeldPairing]),
        (CommandKind::TestConnection, rules(), &[CommandName::ConnectionTest]),
    ];
    let mut commands: std::collections::BTreeMap<_, _> = table
        .into_iter()
        .filter_map(|(kind, mut rules, names)| {
            let mut forms = names.iter().filter_map(|name| profile.command(*name)).peekable();
            forms.peek()?;
            rules.confirmed = forms.all(|form| form.confirmed);
            Some((kind, rules))
        })
        .collect();
    commands.insert(CommandKind::Raw, rules().unsafe_to_repeat());
    let messages = MessageLimits {
        mail: text_limit(profile, CommandName::Mail),
        bark: text_limit(profile, CommandName::Bark),
        repeating_bark: text_limit(profile, CommandName::RepeatingBark),
        ..MessageLimits::default()
    };
    Capabilities { commands, messages, resumes: false }
}

/// Most UTF-8 bytes that could fit. A character of Latin-1 has at most two of them; the exact count is
/// taken when the text is written.
fn text_limit(profile: &Profile, name: CommandName) -> Option<usize> {
    let field = find(&profile.command(name)?.body, FieldName::Text)?;
    let bytes = match field.kind {
        Kind::Text { width, .. } => width,
        Kind::Counted { max, .. } => max,
        _ => return None,
    };
    Some(if profile.charset == Charset::Latin1 { bytes * 2 } else { bytes })
}
