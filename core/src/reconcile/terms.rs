//! The terms on which a platform is kept in step: what it can do, how it wants to be told, what it calls the services.

use super::strategy::{HolderRule, Pause, Strategy};
use crate::capabilities::{Capabilities, CommandRules};
use crate::command::{CommandKind, Devices};
use crate::provider::ServiceMap;
use crate::subscription::{DeviceKind, Holder, Subscription};
use crate::text::{DistributorName, ProviderName, Serial};

/// All that is known of a provider here.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Its name.
    pub provider: &'a ProviderName,
    /// What it can do.
    pub capabilities: &'a Capabilities,
    /// What it calls the services.
    pub services: &'a ServiceMap,
    /// How it wants to be told.
    pub strategy: &'a Strategy,
}

impl Terms<'_> {
    pub(super) fn rules(&self, kind: CommandKind) -> Option<&CommandRules> {
        self.capabilities.commands.get(&kind)
    }

    /// Whether it keeps accounts.
    pub(super) fn has_accounts(&self) -> bool {
        self.strategy.create_subscriber && self.rules(CommandKind::CreateSubscriber).is_some()
    }

    /// Whether it registers devices of that kind.
    pub(super) fn registers(&self, kind: &DeviceKind) -> bool {
        self.rules(CommandKind::AddDevice).is_some_and(|rules| match kind {
            DeviceKind::Smartcard => rules.smartcards.max > 0,
            DeviceKind::Stb => rules.stbs.max > 0,
            DeviceKind::Other(_) => false,
        })
    }

    /// Most boxes that one smartcard is paired with: zero where nothing is paired.
    pub(super) fn boxes_per_card(&self) -> usize {
        let pairs = |rules: &&CommandRules| self.strategy.pair && rules.smartcards.max > 0 && rules.stbs.max > 0;
        let Some(rules) = self.rules(CommandKind::Pair).filter(pairs) else { return 0 };
        let adds = self.rules(CommandKind::AddToPairing).is_some_and(|rules| rules.stbs.max > 0);
        if adds { usize::MAX } else { rules.stbs.max }
    }

    /// Whether it gets whole lists of services.
    pub(super) fn whole_list(&self) -> bool {
        let sets = self.rules(CommandKind::SetServices).is_some();
        sets && (self.strategy.whole_list || self.rules(CommandKind::ActivateServices).is_none())
    }

    /// How it suspends, if it does.
    pub(super) fn suspension(&self) -> Option<Suspension> {
        let (suspend, _) = (self.rules(CommandKind::Suspend)?, self.rules(CommandKind::Resume)?);
        if self.strategy.pause == Pause::SwitchOff || self.whole_list() {
            return None;
        }
        Some(if suspend.services.max == 0 { Suspension::Holders } else { Suspension::Services })
    }

    /// Who holds the services of a viewing point.
    pub(super) fn holders(&self, subscription: &Subscription, distributor: &DistributorName) -> Vec<Holder> {
        let kind = if self.whole_list() { CommandKind::SetServices } else { CommandKind::ActivateServices };
        let Some(rules) = self.rules(kind) else { return Vec::new() };
        let devices = |kind: &DeviceKind| {
            let devices = subscription.devices_at(distributor, kind);
            devices.filter_map(|device| Holder::device(kind, &device.serial)).collect::<Vec<_>>()
        };
        let on_cards = rules.smartcards.max > 0;
        let on_boxes = rules.stbs.max > 0;
        match self.strategy.holder {
            HolderRule::Account => vec![Holder::Account],
            HolderRule::Smartcards => devices(&DeviceKind::Smartcard),
            HolderRule::Stbs => devices(&DeviceKind::Stb),
            HolderRule::Auto if !on_cards && !on_boxes => vec![Holder::Account],
            HolderRule::Auto => {
                let cards = if on_cards { devices(&DeviceKind::Smartcard) } else { Vec::new() };
                if cards.is_empty() && on_boxes { devices(&DeviceKind::Stb) } else { cards }
            }
        }
    }

    /// Divides devices into as many commands of that kind as it takes; those that no command of this kind can name
    /// are left out.
    pub(super) fn batches(&self, kind: CommandKind, cards: &[Serial], stbs: &[Serial]) -> Vec<Devices> {
        let Some(rules) = self.rules(kind) else { return Vec::new() };
        let mut cards = cards.chunks(rules.smartcards.max.max(1)).filter(|_| rules.smartcards.max > 0);
        let mut stbs = stbs.chunks(rules.stbs.max.max(1)).filter(|_| rules.stbs.max > 0);
        let mut batches = Vec::new();
        loop {
            let smartcards = cards.next().unwrap_or_default().to_vec();
            let stbs = stbs.next().unwrap_or_default().to_vec();
            if smartcards.is_empty() && stbs.is_empty() {
                return batches;
            }
            if smartcards.len() >= rules.smartcards.min && stbs.len() >= rules.stbs.min {
                batches.push(Devices { smartcards, stbs });
            }
        }
    }
}

/// How a platform suspends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspension {
    /// Service by service.
    Services,
    /// A device or an account as a whole.
    Holders,
}
