//! The states of subscriptions and services, in CRM.COM's words \[S:EXS, SUB\], and what they mean for a platform.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a subscription stands in its life.
///
/// ```text
/// draft -> effective <-> not_effective -> terminated   (from every state)
///            |    |          '-> short_term_effective      -> not_effective
///            |    '------------> short_term_not_effective  -> effective
///            '-----------------> in_resting                -> effective
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// Being prepared: no platform knows of it.
    Draft,
    /// It runs.
    #[default]
    Effective,
    /// It is switched off, and may come back.
    NotEffective,
    /// The subscriber put it to rest for a while.
    InResting,
    /// It is switched off, but runs for a short time.
    ShortTermEffective,
    /// It runs, but is switched off for a short time.
    ShortTermNotEffective,
    /// It is over, for good.
    Terminated,
}

/// Where one service of a subscription stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Added, but not started.
    Draft,
    /// It runs.
    #[default]
    Effective,
    /// It is stopped, and may be started again.
    NotEffective,
    /// It rests for a while.
    InResting,
    /// It is stopped, but runs for a short time.
    ShortTermEffective,
    /// It runs, but is stopped for a short time.
    ShortTermNotEffective,
    /// The subscriber changed their mind about it.
    Regretted,
    /// Another service came in its place.
    Swapped,
    /// It was taken out.
    Removed,
    /// It was cancelled.
    Cancelled,
    /// Its time is over.
    Expired,
}

/// What a platform should do with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Switch {
    /// Not show it.
    Off,
    /// Not show it for a while: a platform that can suspend keeps it, others switch it off.
    Paused,
    /// Show it.
    On,
}

impl SubscriptionState {
    /// What it makes of the services that run by themselves.
    #[must_use]
    pub const fn switch(self) -> Switch {
        match self {
            Self::Effective | Self::ShortTermEffective => Switch::On,
            Self::InResting | Self::ShortTermNotEffective => Switch::Paused,
            Self::Draft | Self::NotEffective | Self::Terminated => Switch::Off,
        }
    }

    /// Whether a platform should know the subscriber and the devices.
    #[must_use]
    pub const fn is_known_to_platforms(self) -> bool {
        !matches!(self, Self::Draft | Self::Terminated)
    }

    /// Whether it ends by itself, at an end that was given.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::InResting | Self::ShortTermEffective | Self::ShortTermNotEffective)
    }

    /// Its name, as in `not_effective`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Effective => "effective",
            Self::NotEffective => "not_effective",
            Self::InResting => "in_resting",
            Self::ShortTermEffective => "short_term_effective",
            Self::ShortTermNotEffective => "short_term_not_effective",
            Self::Terminated => "terminated",
        }
    }
}

impl ServiceState {
    /// What it makes of the service while the subscription runs.
    #[must_use]
    pub const fn switch(self) -> Switch {
        match self {
            Self::Effective | Self::ShortTermEffective => Switch::On,
            Self::InResting | Self::ShortTermNotEffective => Switch::Paused,
            _ => Switch::Off,
        }
    }

    /// Whether it is over: the subscription keeps it only to tell why.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Regretted | Self::Swapped | Self::Removed | Self::Cancelled | Self::Expired)
    }

    /// Its name, as in `not_effective`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Effective => "effective",
            Self::NotEffective => "not_effective",
            Self::InResting => "in_resting",
            Self::ShortTermEffective => "short_term_effective",
            Self::ShortTermNotEffective => "short_term_not_effective",
            Self::Regretted => "regretted",
            Self::Swapped => "swapped",
            Self::Removed => "removed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
