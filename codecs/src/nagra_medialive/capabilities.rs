//! What each generation can do, and what is refused before anything is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::capabilities::{Capabilities, CommandRules, Count, MessageLimits};
use headgate_core::command::{Address, Command, CommandKind, Credentials, Services, Subscriber};
use headgate_core::request::Request;

use super::sdp;
use super::settings::{AccountForm, Generation, OWN_MEMBERS, Settings};
use crate::http::raw::RawCall;

/// Most services, and most devices, of one request: each of them is a call.
const MOST: usize = 100;

/// What may be asked of a provider.
pub struct MediaLiveRules {
    settings: Arc<Settings>,
    capabilities: Capabilities,
}

impl MediaLiveRules {
    /// By these settings.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        let commands = match settings.generation {
            Generation::OpenTv3 => opentv(&settings),
            Generation::Sdp => sdp(),
        };
        let capabilities = Capabilities { commands, messages: MessageLimits::default(), resumes: false };
        Self { settings, capabilities }
    }
}

fn opentv(settings: &Settings) -> BTreeMap<CommandKind, CommandRules> {
    let account = || CommandRules::new().account();
    let services = || account().services(Count::up_to(MOST)).stbs(Count::optional(MOST));
    let confirmed_if = |rules: CommandRules, yes| if yes { rules.confirmed() } else { rules };
    let plain = settings.accounts == AccountForm::Plain;
    let mut commands = BTreeMap::from([
        (CommandKind::ActivateServices, services().confirmed()),
        (CommandKind::DeactivateServices, services().confirmed()),
        (CommandKind::SetServices, account().services(Count::optional(MOST)).stbs(Count::optional(1))),
        (CommandKind::Suspend, services().confirmed()),
        (CommandKind::Resume, services().confirmed()),
        (CommandKind::CreateSubscriber, confirmed_if(account(), plain)),
        (CommandKind::UpdateSubscriber, confirmed_if(account(), !plain)),
        (CommandKind::RemoveSubscriber, account().confirmed()),
        (CommandKind::AddDevice, account().stbs(Count::up_to(MOST)).confirmed()),
        (CommandKind::GetServices, account()),
        (CommandKind::GetSubscriber, account()),
        (CommandKind::Authenticate, CommandRules::new()),
        (CommandKind::AddUsage, account().services(Count::ONE).stbs(Count::optional(1)).confirmed()),
        (CommandKind::CancelUsage, CommandRules::new().confirmed()),
        (CommandKind::TestConnection, CommandRules::new().confirmed()),
        (CommandKind::Raw, CommandRules::new().unsafe_to_repeat().confirmed()),
    ]);
    if settings.devices.by_id {
        let devices = || CommandRules::new().stbs(Count::up_to(MOST));
        commands.extend([
            (CommandKind::RemoveDevice, devices().account()),
            (CommandKind::EnableDevice, devices()),
            (CommandKind::DisableDevice, devices()),
            (CommandKind::GetDevice, devices()),
        ]);
    }
    commands
}

/// Nothing of it is confirmed: the namespaces are not published.
fn sdp() -> BTreeMap<CommandKind, CommandRules> {
    let rules = CommandRules::new;
    BTreeMap::from([
        (CommandKind::CreateSubscriber, rules().account()),
        (CommandKind::GetSubscriber, rules().account()),
        (CommandKind::EnableDevice, rules().smartcards(Count::up_to(MOST))),
        (CommandKind::RemoveDevice, rules().smartcards(Count::up_to(MOST))),
        (CommandKind::Pair, rules().smartcards(Count::ONE).stbs(Count::ONE)),
        (CommandKind::Unpair, rules().stbs(Count::up_to(MOST))),
        (CommandKind::Authenticate, rules()),
        (CommandKind::TestConnection, rules()),
        (CommandKind::Raw, rules().unsafe_to_repeat()),
    ])
}

impl Rules for MediaLiveRules {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn end_points(&self) -> Vec<String> {
        self.settings.twin_endpoint.iter().cloned().collect()
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        if let Command::Authenticate(credentials) = &request.command {
            return check_credentials(request, credentials);
        }
        match self.settings.generation {
            Generation::OpenTv3 => self.check_opentv(request),
            Generation::Sdp => sdp::check(&self.settings.sdp, request),
        }
    }
}

impl MediaLiveRules {
    fn check_opentv(&self, request: &Request) -> Result<(), Refusal> {
        match &request.command {
            Command::CreateSubscriber(subscriber) => {
                self.check_subscriber(subscriber)?;
                self.check_sign_on(subscriber)
            }
            Command::UpdateSubscriber(subscriber) => {
                self.check_subscriber(subscriber)?;
                if *subscriber == Subscriber::default() {
                    return Err(Refusal::new("subscriber", "missing_field", "say what is to be changed"));
                }
                Ok(())
            }
            Command::RemoveSubscriber if !self.settings.allow_cancel && !self.settings.remove_suspends => {
                let detail = "cancelling an account can never be undone at this platform, and its number stays taken; \
                              suspend it, or have the operator set `allow_cancel` or `remove_suspends`";
                Err(Refusal::new("command", "unsupported_command", detail))
            }
            Command::Suspend(selection) | Command::Resume(selection)
                if selection.services == Services::All && !selection.devices.stbs.is_empty() =>
            {
                let detail = "an account is suspended as a whole: name services, or disable the device";
                Err(Refusal::new("stb", "superfluous_field", detail))
            }
            Command::Raw(raw) => RawCall::read(&raw.payload).map(drop),
            _ => Ok(()),
        }
    }

    fn check_subscriber(&self, subscriber: &Subscriber) -> Result<(), Refusal> {
        let keeps_passwords = self.settings.accounts == AccountForm::PreHashed;
        let kept = if keeps_passwords { ["email", "login", "password"].as_slice() } else { &[] };
        only(subscriber, kept)?;
        for name in subscriber.attributes.keys() {
            if OWN_MEMBERS.contains(&name.as_str()) {
                let detail = "is written by Headgate: status by commands, the sign-on from login, email and password";
                return Err(Refusal::new(format!("subscriber/attributes/{name}"), "conflicting_fields", detail));
            }
        }
        Ok(())
    }

    /// Both are mandatory \[S11\].
    fn check_sign_on(&self, subscriber: &Subscriber) -> Result<(), Refusal> {
        if self.settings.accounts == AccountForm::Plain {
            return Ok(());
        }
        if subscriber.email.is_none() && subscriber.login.is_none() {
            let detail = "is what the subscriber signs in with at this platform";
            return Err(Refusal::new("subscriber/email", "missing_field", detail));
        }
        if subscriber.password.is_none() {
            return Err(Refusal::new(
                "subscriber/password",
                "missing_field",
                "every account needs one at this platform",
            ));
        }
        Ok(())
    }
}

fn check_credentials(request: &Request, credentials: &Credentials) -> Result<(), Refusal> {
    if credentials.password.is_none() {
        return Err(Refusal::new("password", "missing_field", "this platform gives a token only for the password"));
    }
    if credentials.login.is_none() && request.account_number().is_none() {
        return Err(Refusal::new("login", "missing_field", "give the name to sign in with, or name the subscription"));
    }
    Ok(())
}

/// Refuses what the platform has no place for, beside attributes by its own names.
pub(super) fn only(subscriber: &Subscriber, kept: &[&str]) -> Result<(), Refusal> {
    let Address { street, postal_code, city, country } = subscriber.address.clone().unwrap_or_default();
    let given = [
        ("first_name", subscriber.first_name.is_some()),
        ("last_name", subscriber.last_name.is_some()),
        ("login", subscriber.login.is_some()),
        ("password", subscriber.password.is_some()),
        ("pin", subscriber.pin.is_some()),
        ("email", subscriber.email.is_some()),
        ("phone", subscriber.phone.is_some()),
        ("address/street", street.is_some()),
        ("address/postal_code", postal_code.is_some()),
        ("address/city", city.is_some()),
        ("address/country", country.is_some()),
        ("language", subscriber.language.is_some()),
        ("region", subscriber.region.is_some()),
        ("since", subscriber.since.is_some()),
    ];
    match given.into_iter().find(|(name, given)| *given && !kept.contains(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let detail =
                "this platform has no such field that is known; give what it has under attributes, by its own names";
            Err(Refusal::new(format!("subscriber/{name}"), "superfluous_field", detail))
        }
    }
}
