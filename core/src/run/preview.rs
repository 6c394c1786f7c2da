//! What a run would do, with counts and a sample, changing nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::body::RequestBody;
use crate::command::CommandKind;
use crate::text::ItemKey;

/// What a run would do. Fed item by item, so it needs no more memory for many than for few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Preview {
    /// Subscriptions that match the filter.
    pub matching: u64,
    /// Those of them for which nothing would be sent.
    pub in_step: u64,
    /// How many requests would be sent, by command.
    pub requests: BTreeMap<CommandKind, u64>,
    /// The first for which something would be sent, at most [`Preview::SAMPLE`].
    pub sample: Vec<PreviewItem>,
}

/// What would be sent for one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PreviewItem {
    /// Which.
    pub item: ItemKey,
    /// The commands, in order.
    pub commands: Vec<CommandKind>,
}

impl Preview {
    /// Most items of the sample.
    pub const SAMPLE: usize = 20;

    /// Counts an item and what would be sent for it.
    pub fn add(&mut self, item: &ItemKey, bodies: &[RequestBody]) {
        self.matching += 1;
        if bodies.is_empty() {
            self.in_step += 1;
            return;
        }
        for body in bodies {
            *self.requests.entry(body.command).or_default() += 1;
        }
        if self.sample.len() < Self::SAMPLE {
            let commands = bodies.iter().map(|body| body.command).collect();
            self.sample.push(PreviewItem { item: item.clone(), commands });
        }
    }
}
