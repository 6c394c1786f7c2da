//! The calls of CRM.COM V4's Web API that are served: one table.
//!
//! Paths and parameters are CRM.COM's \[S:A-CMN, A-CWS, A-PAIR, A-CSMS, A-NAG, A-NDS, A-RST\]; what each call asks of a
//! provider is told in a command.

use headgate_core::command::CommandKind;

/// The form of a call.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Call {
    /// Its path, without the leading slash. The first part says which provider it is for.
    pub(in crate::api) path: &'static str,
    /// What it does.
    pub(super) does: Does,
}

/// What a call does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    /// `GET`: one request.
    Show,
    /// `GET`: requests.
    List,
    /// `POST`: makes a request, and shows it.
    Make(CommandKind, &'static [Takes]),
    /// `POST`: makes a request and waits for it; its data is empty.
    Carry(CommandKind, &'static [Takes]),
    /// `POST`: asks for a token, which stands under these names.
    Authenticate(&'static [Takes], &'static [&'static str]),
    /// `POST`: nothing that Headgate could do; why.
    Nothing(&'static str),
}

/// A parameter, or several of which some must be there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    /// It must be there.
    Needs(Parameter),
    /// It may be there.
    May(Parameter),
    /// At least one of them must be there.
    OneOf(&'static [Parameter]),
    /// It may be there, and changes nothing.
    Ignores(&'static str),
}

/// What parameters say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// `subscription_identifier` {number}.
    Subscription,
    /// `accounts_receivable_identifier`: who owns the subscription; only looked at.
    Owner,
    /// `smartcard_identifier` {serial_number}.
    Smartcard,
    /// `stb_identifier` {serial_number}.
    Stb,
    /// `installed_item_identifier` {serial_number}.
    Item,
    /// `smartcard_set`: a list of cards.
    Smartcards,
    /// `stb_set`: a list of boxes.
    Stbs,
    /// `service_identifier` {code}.
    Service,
    /// `services_set`: a list of services.
    Services,
    /// A PIN under this name.
    Pin(&'static str),
    /// `reset_pin`: the PIN goes back to its default.
    ResetPin,
    /// `access_token_identifier` {identifier, pass_code}.
    AccessToken,
    /// `process_immediately`: wait for the outcome.
    Immediately,
    /// `scheduled_date`: not before this time.
    Scheduled,
    /// `start_date`: likewise.
    Start,
    /// `priority`: REGULAR, EXPRESS.
    Priority,
}

use Parameter::{
    AccessToken, Immediately, Item, Owner, Pin, Priority, ResetPin, Scheduled, Service, Services, Smartcard,
    Smartcards, Start, Stb, Stbs, Subscription,
};
use Takes::{Ignores, May, Needs, OneOf};

/// Why a reset does nothing.
const NO_RESET: &str = "Headgate keeps no desired state of subscriptions that it could reset a platform to; send the services as \
    they should be, with the command set_services of POST /v1/requests";

/// What most calls may carry.
const USUAL: [Takes; 3] = [May(Immediately), May(Scheduled), May(Priority)];

const ADD: &[Takes] =
    &[Needs(Subscription), Needs(Service), Needs(Smartcard), USUAL[0], USUAL[1], USUAL[2], Ignores("end_date")];
const CANCEL: &[Takes] =
    &[Needs(Subscription), Needs(Service), Needs(Smartcard), May(Start), USUAL[0], USUAL[1], USUAL[2]];
const PAIR_SETS: &[Takes] = &[May(Subscription), Needs(Smartcards), Needs(Stbs), USUAL[0], USUAL[1], USUAL[2]];
const PRODUCTS: &[Takes] = &[May(Subscription), Needs(Services), Needs(Smartcard), USUAL[0], USUAL[1], USUAL[2]];
const CANCEL_PRODUCTS: &[Takes] = &[Needs(Subscription), Needs(Services), May(Smartcard), USUAL[0], USUAL[1], USUAL[2]];
const CARD_PIN: &[Takes] = &[May(Subscription), OneOf(&[Smartcard, Item, Subscription]), USUAL[0], USUAL[1], USUAL[2]];

/// Every call.
pub(in crate::api) const CALLS: &[Call] = &[
    call("provisioning/provisioning_requests/show", Does::Show),
    call("provisioning/provisioning_requests/list", Does::List),
    call("provisioning/subscriptions/reset", Does::Nothing(NO_RESET)),
    call("conax_web_services/provisioning_requests/show", Does::Show),
    call("conax_web_services/provisioning_requests/list", Does::List),
    call("conax_web_services/provisioning_requests/add_subscriptions", Does::Make(CommandKind::ActivateServices, ADD)),
    call(
        "conax_web_services/provisioning_requests/cancel_subscriptions",
        Does::Make(CommandKind::DeactivateServices, CANCEL),
    ),
    call("conax_web_services/provisioning_requests/create_pairing", Does::Make(CommandKind::Pair, PAIR_SETS)),
    call("conax_sms_sas/provisioning_requests/show", Does::Show),
    call("conax_sms_sas/provisioning_requests/list", Does::List),
    call("conax_sms_sas/provisioning_requests/add_subscriptions", Does::Make(CommandKind::ActivateServices, ADD)),
    call(
        "conax_sms_sas/provisioning_requests/cancel_subscriptions",
        Does::Make(CommandKind::DeactivateServices, CANCEL),
    ),
    call("conax_sms_sas/provisioning_requests/create_pairing", Does::Make(CommandKind::Pair, PAIR_SETS)),
    call(
        "nagravision/provisioning_requests/add_enhanced_list_of_products",
        Does::Make(CommandKind::ActivateServices, PRODUCTS),
    ),
    // Its name was not seen: inferred from its counterpart [I].
    call(
        "nagravision/provisioning_requests/cancel_enhanced_list_of_products",
        Does::Make(CommandKind::DeactivateServices, CANCEL_PRODUCTS),
    ),
    // Without a box it takes the pairing away.
    call(
        "nagravision/provisioning_requests/pair_smartcard_decoder",
        Does::Make(CommandKind::Pair, &[May(Subscription), Needs(Smartcard), May(Stb), USUAL[0], USUAL[1], USUAL[2]]),
    ),
    call("nagravision/provisioning_requests/set_pin_to_default_value", Does::Make(CommandKind::ResetPin, CARD_PIN)),
    call("nagravision/provisioning_requests/clear_pin", Does::Make(CommandKind::ClearPin, CARD_PIN)),
    call(
        "perception/provisioning_requests/remove_sessions",
        Does::Carry(CommandKind::RemoveSessions, &[Needs(Subscription)]),
    ),
    call(
        "perception/provisioning_requests/set_subscriber_pin_number",
        Does::Carry(CommandKind::SetPin, &[Needs(Subscription), Needs(Pin("pin_number"))]),
    ),
    call(
        "perception/provisioning_requests/reset_subscriber_pin_number",
        Does::Carry(CommandKind::ResetPin, &[Needs(Subscription), Ignores("pin_number")]),
    ),
    call(
        "vcas_omi_dvb/provisioning_requests/set_device_pins",
        Does::Carry(
            CommandKind::SetPin,
            &[Needs(Item), OneOf(&[Pin("pin_0_value"), Pin("pin_1_value"), Pin("pin_2_value"), Pin("pin_3_value")])],
        ),
    ),
    call("vcas_omi_dvb/provisioning_requests/reset_device_pins", Does::Carry(CommandKind::ResetPin, &[Needs(Item)])),
    call("vcas_omi_dvb/provisioning_requests/reset_subscription", Does::Nothing(NO_RESET)),
    call(
        "tucano/subscriber/authenticate",
        Does::Authenticate(
            &[OneOf(&[Subscription, AccessToken, Item]), Ignores("subscription_type_identifier")],
            &["jwt"],
        ),
    ),
    call(
        "nagra_media_platform/authenticate",
        // The field table says nagra_token, an example key.
        Does::Authenticate(&[Needs(Owner), Needs(Subscription)], &["nagra_token", "key"]),
    ),
    call(
        "nds/provisioning_requests/set_user_parameters",
        Does::Make(
            CommandKind::SetPin,
            &[OneOf(&[Subscription, Smartcard]), OneOf(&[ResetPin, Pin("new_pin")]), USUAL[0], USUAL[1], USUAL[2]],
        ),
    ),
    call(
        "nds/provisioning_requests/reauthorise_all_services",
        Does::Make(CommandKind::RefreshServices, &[OneOf(&[Subscription, Smartcard])]),
    ),
];

const fn call(path: &'static str, does: Does) -> Call {
    Call { path, does }
}

impl Call {
    /// The part of its path that says which provider it is for; nothing where it is for all.
    pub(super) fn prefix(&self) -> Option<&'static str> {
        self.path.split('/').next().filter(|prefix| *prefix != "provisioning")
    }

    /// Whether it is a `GET`.
    pub(in crate::api) const fn reads(&self) -> bool {
        matches!(self.does, Does::Show | Does::List)
    }
}

impl Parameter {
    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Subscription => "subscription_identifier",
            Self::Owner => "accounts_receivable_identifier",
            Self::Smartcard => "smartcard_identifier",
            Self::Stb => "stb_identifier",
            Self::Item => "installed_item_identifier",
            Self::Smartcards => "smartcard_set",
            Self::Stbs => "stb_set",
            Self::Service => "service_identifier",
            Self::Services => "services_set",
            Self::Pin(name) => name,
            Self::ResetPin => "reset_pin",
            Self::AccessToken => "access_token_identifier",
            Self::Immediately => "process_immediately",
            Self::Scheduled => "scheduled_date",
            Self::Start => "start_date",
            Self::Priority => "priority",
        }
    }
}
