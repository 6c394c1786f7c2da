//! A request on its way through the dispatcher.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::queue::Slot;
use crate::failure::{Failure, Sent};
use crate::request::{LaneKey, Request, RequestId};
use crate::text::PlatformReference;
use crate::time::Tick;

/// A request that has not ended.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) request: Arc<Request>,
    pub(super) lane: Option<LaneKey>,
    pub(super) stage: Stage,
    /// How often it was sent, the attempt under way included.
    pub(super) attempts: u32,
    /// When the last attempt began.
    pub(super) sent_at: Option<Timestamp>,
    /// It does not go out before this instant: its own time, or the next attempt's.
    pub(super) not_before: Option<Tick>,
    /// It ends at this instant if it still waits.
    pub(super) expires: Option<Tick>,
    /// Whether it may go out by itself; one that waits for a run may not.
    pub(super) released: bool,
    /// Whether the attempt under way is the breaker's probe.
    pub(super) probe: bool,
    /// What an earlier life of the gateway recorded for it before sending; see [`crate::adapter::Submission::resume`].
    pub(super) resume: Option<PlatformReference>,
    /// Why the last attempt did not work.
    pub(super) failure: Option<Failure>,
}

impl Entry {
    /// Whether the attempts that are over may have reached the platform.
    pub(super) fn sent_before(&self) -> Sent {
        // What failed before a restart is not known.
        let unknown = if self.attempts == 0 { Sent::No } else { Sent::Maybe };
        self.failure.as_ref().map_or(unknown, |failure| failure.sent)
    }
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Being stored for the first time; then it goes out at once, or waits.
    Accepting { goes_out: bool },
    /// In its lane.
    Waiting,
    /// Being marked as sent.
    Marking,
    /// With the adapter.
    Submitted,
}

/// Entries by slot and by request.
#[derive(Debug, Default)]
pub(super) struct Entries {
    slots: Vec<Option<Entry>>,
    free: Vec<Slot>,
    by_id: HashMap<RequestId, Slot>,
}

impl Entries {
    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        let id = entry.request.id;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                // The queue limit keeps the count far below u32::MAX.
                Slot(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
            }
        };
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            *place = Some(entry);
        }
        self.by_id.insert(id, slot);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.slots.get_mut(slot.0 as usize)?.take()?;
        self.by_id.remove(&entry.request.id);
        self.free.push(slot);
        Some(entry)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.slots.get_mut(slot.0 as usize)?.as_mut()
    }

    pub(super) fn slot_of(&self, id: RequestId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}
