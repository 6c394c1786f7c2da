//! What a run does, for whom and when, as an operator defined it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::body::{MessageBody, Refusal};
use crate::schedule::{Look, Schedule};
use crate::subscription::{Authorised, Subscription, SubscriptionState};
use crate::text::{DefinitionName, ProviderName, SubscriptionKind};

/// The definition of a run.
///
/// ```text
/// draft -> effective <-> not_effective      edited in every state but while a run is active
///              '--> submitted               runs are made as the schedule says, one at a time
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name, by which it is known.
    pub name: DefinitionName,
    /// Where it stands. Default `draft`.
    #[serde(default)]
    pub state: DefinitionState,
    /// What its runs do.
    pub run: RunKind,
    /// For whom.
    #[serde(default)]
    pub filter: Filter,
    /// When. Default: once, when it is submitted.
    #[serde(default)]
    pub schedule: Schedule,
    /// Most subscriptions at once, 1 to 10,000. Default 100.
    #[serde(default = "default_window")]
    pub window: usize,
    /// When it was submitted last; absent: it makes no runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted: Option<Timestamp>,
    /// Up to when the schedule was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Timestamp>,
}

const fn default_window() -> usize {
    100
}

/// Where a definition stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionState {
    /// Being prepared; may be deleted.
    #[default]
    Draft,
    /// May be submitted.
    Effective,
    /// Makes no runs.
    NotEffective,
}

/// What the runs of a definition do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RunKind {
    /// Finds subscriptions that differ, makes and sends their requests; sends what waits for the run \[S:P4\].
    ProcessRequests {},
    /// Brings subscriptions that are out of step into step \[S:RST\].
    Reset {},
    /// Shows a message.
    Message {
        /// What, and to whom: to devices unless it says otherwise.
        message: MessageBody,
    },
    /// Shows a fingerprint.
    Fingerprint {
        /// For how long, in seconds, 1 to 65535.
        duration_seconds: u32,
    },
    /// Collects the answers of platforms that are reached by files or tables.
    ErrorHandling {},
    /// Extends services that run for good.
    Renewal {
        /// Until so many months after the run began, 1 to 10 \[S:R9a\].
        months: u8,
    },
    /// Moves old finished requests to a file.
    Archive {
        /// Those that ended so many days ago or earlier, 1 to 36500.
        older_than_days: u32,
    },
    /// Asks platforms what they hold and reports what differs; changes nothing.
    Audit {
        /// A sample: one subscription out of so many, at least 1. 1: all of them.
        every: u32,
    },
}

/// For which subscriptions. Everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// At these providers; empty: at all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub providers: BTreeSet<ProviderName>,
    /// Created at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_from: Option<Timestamp>,
    /// Created before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Timestamp>,
    /// Of these types; empty: of all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub kinds: BTreeSet<SubscriptionKind>,
    /// In these states; empty: in all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub states: BTreeSet<SubscriptionState>,
    /// Only those that are marked as out of step. Default false.
    pub out_of_sync_only: bool,
}

impl Filter {
    /// Whether a subscription is meant, as it stands at one provider.
    #[must_use]
    pub fn matches(&self, subscription: &Subscription, provider: &ProviderName, authorised: &Authorised) -> bool {
        (self.providers.is_empty() || self.providers.contains(provider))
            && self.created_from.is_none_or(|from| from <= subscription.created)
            && self.created_before.is_none_or(|before| subscription.created < before)
            && (self.kinds.is_empty() || subscription.kind.as_ref().is_some_and(|kind| self.kinds.contains(kind)))
            && (self.states.is_empty() || self.states.contains(&subscription.state))
            && (!self.out_of_sync_only || authorised.out_of_sync.is_some())
    }

    /// Whether every subscription of its providers is meant: then a platform's broadcast reaches the right ones.
    #[must_use]
    pub fn means_everybody(&self) -> bool {
        *self == Self { providers: self.providers.clone(), ..Self::default() }
    }
}

impl RunKind {
    /// Whether its items are subscriptions; else the driver has its own work to do.
    #[must_use]
    pub const fn is_per_subscription(&self) -> bool {
        !matches!(self, Self::ErrorHandling {} | Self::Archive { .. })
    }

    /// Its name, as in `process_requests`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ProcessRequests {} => "process_requests",
            Self::Reset {} => "reset",
            Self::Message { .. } => "message",
            Self::Fingerprint { .. } => "fingerprint",
            Self::ErrorHandling {} => "error_handling",
            Self::Renewal { .. } => "renewal",
            Self::Archive { .. } => "archive",
            Self::Audit { .. } => "audit",
        }
    }
}

impl Definition {
    /// Checks what was written.
    ///
    /// # Errors
    /// A [`Refusal`] that names the first field that is out of its range.
    pub fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        let range = |field: &'static str, given: u32, least: u32, most: u32| {
            let detail = format!("must be {least} to {most}");
            if (least..=most).contains(&given) { Ok(()) } else { Err(Refusal::new(field, "out_of_range", detail)) }
        };
        range("window", u32::try_from(self.window).unwrap_or(u32::MAX), 1, 10_000)?;
        match &self.run {
            RunKind::Fingerprint { duration_seconds } => range("run/duration_seconds", *duration_seconds, 1, 65_535)?,
            RunKind::Renewal { months } => range("run/months", u32::from(*months), 1, 10)?,
            RunKind::Archive { older_than_days } => range("run/older_than_days", *older_than_days, 1, 36_500)?,
            RunKind::Audit { every } => range("run/every", *every, 1, u32::MAX)?,
            RunKind::Message { message } if message.text.0.is_empty() => {
                return Err(Refusal::new("run/message/text", "out_of_range", "must not be empty"));
            }
            _ => {}
        }
        if let (Some(from), Some(before)) = (self.filter.created_from, self.filter.created_before)
            && before <= from
        {
            return Err(Refusal::new("filter/created_before", "out_of_range", "must be after created_from"));
        }
        if let Schedule::Once(when) = &self.schedule {
            when.later(now).map_err(|refusal| Refusal { field: "schedule/once".into(), ..refusal })?;
        }
        Ok(())
    }

    /// The same as it may be submitted, or not any more. Without effect on runs that are active.
    ///
    /// # Errors
    /// A [`Refusal`] if it would be a draft again.
    pub fn turn(&mut self, state: DefinitionState) -> Result<(), Refusal> {
        if state == DefinitionState::Draft && self.state != DefinitionState::Draft {
            return Err(Refusal::new("state", "wrong_state", "a definition that was effective is no draft any more"));
        }
        self.state = state;
        if state != DefinitionState::Effective {
            self.submitted = None;
        }
        Ok(())
    }

    /// Lets it make runs from now on, as its schedule says.
    ///
    /// # Errors
    /// A [`Refusal`] if it is not effective, or its time has passed in the meantime.
    pub fn submit(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.state != DefinitionState::Effective {
            return Err(Refusal::new("state", "wrong_state", "make the definition effective before it is submitted"));
        }
        self.check(now)?;
        self.submitted = Some(now);
        // Just before, so that "now" is still to come.
        self.looked = now.checked_sub(jiff::SignedDuration::from_nanos(1)).ok();
        Ok(())
    }

    /// Whether a run is due, or was missed; to be saved with the run that is made of it. While a run of it is active
    /// nothing is due, and what comes due is looked at when that has ended.
    pub fn look(&mut self, active: bool, now: Timestamp) -> Look {
        let (Some(submitted), Some(looked), false) = (self.submitted, self.looked, active) else {
            return Look::Nothing;
        };
        let look = self.schedule.look(submitted, looked, now);
        self.looked = Some(now);
        look
    }

    /// When to look next.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.schedule.next(self.submitted?, self.looked?)
    }

    /// Whether it may be deleted: it never made a run, or was taken out of use.
    #[must_use]
    pub const fn may_be_deleted(&self) -> bool {
        !matches!(self.state, DefinitionState::Effective)
    }
}
