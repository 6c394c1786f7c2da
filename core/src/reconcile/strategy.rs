//! How a provider is kept in step: its model and trigger rules, as an operator may change them.

use serde::{Deserialize, Serialize};

/// When requests arise, and how a platform wants things told. The defaults fit a platform that is told of each
/// service; what a platform can not do at all is read from its capabilities, and need not be said here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Strategy {
    /// When requests arise. Default `hybrid`.
    pub model: Model,
    /// Whether smartcards and boxes are paired before services are switched on; else after. Default true.
    pub pair_before_entitle: bool,
    /// Whether smartcards and boxes of one viewing point are paired at all. Default true.
    pub pair: bool,
    /// Whether the pairing of a device that leaves is ended. Default true.
    pub unpair_on_remove: bool,
    /// Whether the account is made and kept up to date. Default true.
    pub create_subscriber: bool,
    /// Whether the account is removed when the subscription is terminated. Default true.
    pub remove_subscriber_on_terminate: bool,
    /// Whether a device gets the whole list of its services whenever one comes or goes, with `set_services`
    /// \[S:PAN\]. Default false; a platform that takes nothing else gets the list anyway.
    pub whole_list: bool,
    /// What becomes of services while a subscription rests or is off for a short time. Default `suspend`.
    pub pause: Pause,
    /// Who holds services. Default `auto`.
    pub holder: HolderRule,
    /// Whether services of type usage are left to `add_usage` \[S:EXS\]. Default true.
    pub skip_usage: bool,
    /// Whether the platform ends a service by itself when its period is over: then nothing is sent for it. Default
    /// false, which is safe for platforms that do not look at periods.
    pub expires_by_itself: bool,
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            model: Model::Hybrid,
            pair_before_entitle: true,
            pair: true,
            unpair_on_remove: true,
            create_subscriber: true,
            remove_subscriber_on_terminate: true,
            whole_list: false,
            pause: Pause::Suspend,
            holder: HolderRule::Auto,
            skip_usage: true,
            expires_by_itself: false,
        }
    }
}

/// When requests arise: CRM.COM's three models \[S:P1, P2\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// An action only marks the subscription; the processing run makes and sends the requests. Conax Contego SMS,
    /// EXSET SMS, Panaccess \[S:CSMS, EXS, PAN\].
    Batch,
    /// An action becomes requests at once, and runs repair what is out of step. Most platforms.
    #[default]
    Hybrid,
    /// An action becomes requests at once; no runs. Icareus, Nagra Media Live \[S:ICA, NML\].
    RealTime,
}

impl Model {
    /// Whether an action becomes requests at once.
    #[must_use]
    pub const fn sends_on_action(self) -> bool {
        matches!(self, Self::Hybrid | Self::RealTime)
    }

    /// Whether the processing run makes requests.
    #[must_use]
    pub const fn sends_with_run(self) -> bool {
        matches!(self, Self::Batch)
    }

    /// Whether reset runs are offered. The reset of one subscription always is.
    #[must_use]
    pub const fn has_reset_runs(self) -> bool {
        matches!(self, Self::Batch | Self::Hybrid)
    }
}

/// What becomes of services for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// They are suspended, where the platform can; else switched off.
    #[default]
    Suspend,
    /// They are switched off, and on again afterwards.
    SwitchOff,
}

/// Who holds services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HolderRule {
    /// What the command's capabilities say: smartcards where it takes them and the viewing point has one, else boxes,
    /// else the account.
    #[default]
    Auto,
    /// The account.
    Account,
    /// Smartcards only.
    Smartcards,
    /// Boxes only.
    Stbs,
}
