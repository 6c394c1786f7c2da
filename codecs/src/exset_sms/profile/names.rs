//! Headgate's own names for the platform's commands and their parameters.

/// A command of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommandName {
    /// Authorise one service on one card \[S:E3\].
    AddSubscription,
    /// Take it away again \[S:E3\].
    RemoveSubscription,
    /// Authorise again what a card holds \[S:E3\].
    Recall,
    /// Tie a card to a box \[S:E1\].
    Pair,
    /// Undo that \[I\].
    Unpair,
    /// Show a text on a card's box \[S:E1\].
    Message,
    /// Show a text on every box \[S:E1\].
    MessageAll,
    /// Show a mark that identifies the card \[I: the module's piracy check\].
    Fingerprint,
}

use ParameterName as P;

impl CommandName {
    /// Every command.
    pub const ALL: [Self; 8] = [
        Self::AddSubscription,
        Self::RemoveSubscription,
        Self::Recall,
        Self::Pair,
        Self::Unpair,
        Self::Message,
        Self::MessageAll,
        Self::Fingerprint,
    ];

    /// Its name in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddSubscription => "add_subscription",
            Self::RemoveSubscription => "remove_subscription",
            Self::Recall => "recall",
            Self::Pair => "pair",
            Self::Unpair => "unpair",
            Self::Message => "message",
            Self::MessageAll => "message_all",
            Self::Fingerprint => "fingerprint",
        }
    }

    /// The command of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.name() == name)
    }

    /// Parameters without which it means nothing.
    #[must_use]
    pub const fn required(self) -> &'static [ParameterName] {
        match self {
            Self::AddSubscription | Self::RemoveSubscription => &[P::Service, P::Card],
            Self::Recall | Self::Unpair | Self::Fingerprint => &[P::Card],
            Self::Pair => &[P::Card, P::Stb],
            Self::Message => &[P::Card, P::Text],
            Self::MessageAll => &[P::Text],
        }
    }

    /// Parameters that it may have besides.
    #[must_use]
    pub const fn optional(self) -> &'static [ParameterName] {
        match self {
            Self::AddSubscription => &[P::EntryId, P::Subscription, P::Distributor, P::Start, P::End],
            Self::RemoveSubscription | Self::Recall | Self::Pair => &[P::EntryId, P::Subscription, P::Distributor],
            Self::Unpair => &[P::EntryId, P::Subscription, P::Distributor, P::Stb],
            Self::Message => &[
                P::EntryId,
                P::Subscription,
                P::Distributor,
                P::MessageKind,
                P::Start,
                P::Duration,
                P::RepeatCount,
                P::RepeatInterval,
            ],
            Self::MessageAll => {
                &[P::EntryId, P::Distributor, P::MessageKind, P::Start, P::Duration, P::RepeatCount, P::RepeatInterval]
            }
            Self::Fingerprint => &[P::EntryId, P::Subscription, P::Distributor, P::Duration],
        }
    }
}

/// A parameter of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParameterName {
    /// The entry's own id, where commands repeat it \[S:E3\].
    EntryId,
    /// The CRM's number of the subscription \[S:E3\].
    Subscription,
    /// The distributor linked with the service \[S:E3\].
    Distributor,
    /// The service's CA ID \[S:E3\].
    Service,
    /// The smartcard's CA ID \[S:E3\].
    Card,
    /// The set-top box.
    Stb,
    /// `mail`, `bark` or `repeating_bark`.
    MessageKind,
    /// The words.
    Text,
    /// From when on.
    Start,
    /// Until when.
    End,
    /// For how many seconds.
    Duration,
    /// How many times.
    RepeatCount,
    /// How many seconds apart.
    RepeatInterval,
}

impl ParameterName {
    /// Every parameter.
    pub const ALL: [Self; 13] = [
        Self::EntryId,
        Self::Subscription,
        Self::Distributor,
        Self::Service,
        Self::Card,
        Self::Stb,
        Self::MessageKind,
        Self::Text,
        Self::Start,
        Self::End,
        Self::Duration,
        Self::RepeatCount,
        Self::RepeatInterval,
    ];

    /// Its name in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EntryId => "entry_id",
            Self::Subscription => "subscription",
            Self::Distributor => "distributor",
            Self::Service => "service",
            Self::Card => "card",
            Self::Stb => "stb",
            Self::MessageKind => "message_kind",
            Self::Text => "text",
            Self::Start => "start",
            Self::End => "end",
            Self::Duration => "duration",
            Self::RepeatCount => "repeat_count",
            Self::RepeatInterval => "repeat_interval",
        }
    }

    /// The parameter of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.name() == name)
    }

    /// Where it stands in a request, for refusals.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::EntryId => "command",
            Self::Subscription => "subscription",
            Self::Distributor | Self::Service => "services",
            Self::Card => "smartcards",
            Self::Stb => "stbs",
            Self::MessageKind => "message/kind",
            Self::Text => "message/text",
            Self::Start => "start",
            Self::End => "end",
            Self::Duration => "duration_seconds",
            Self::RepeatCount => "message/repeat_count",
            Self::RepeatInterval => "message/repeat_interval_seconds",
        }
    }
}
