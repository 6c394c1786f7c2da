//! Who is next: lanes keep the order within a subscription, two sets keep the order between them.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::request::{LaneKey, Priority};

/// Names a request in the dispatcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(pub(super) u32);

/// The waiting room.
///
/// A *lane* holds the requests of one subscription in the order of acceptance. Only its first may go out, and
/// it stays first until it has ended, so a retry never lets a later one pass. The firsts that may
/// go out now are *ready*: the express ones before the regular ones, each in the order of their
/// numbers. A lane with an express request anywhere in it is express as a whole: its earlier requests
/// have to go first, so they are what the express request waits for.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: HashMap<LaneKey, Lane>,
    express: BTreeSet<(u64, Slot)>,
    regular: BTreeSet<(u64, Slot)>,
}

#[derive(Debug, Default)]
struct Lane {
    slots: VecDeque<Slot>,
    express: usize,
    /// The number under which the first is ready.
    ready: Option<u64>,
}

impl Queue {
    /// Puts a request at the end of its lane. Returns whether it is the first there.
    pub(super) fn join(&mut self, lane: Option<&LaneKey>, slot: Slot, priority: Priority) -> bool {
        let Some(key) = lane else { return true };
        let lane = match self.lanes.get_mut(key) {
            Some(lane) => lane,
            None => self.lanes.entry(key.clone()).or_default(),
        };
        lane.slots.push_back(slot);
        if priority == Priority::Express {
            lane.express += 1;
            if let (1, Some(number), Some(first)) = (lane.express, lane.ready, lane.slots.front()) {
                self.regular.remove(&(number, *first));
                self.express.insert((number, *first));
            }
        }
        lane.slots.len() == 1
    }

    /// Takes a request out of its lane. Returns the request that is first now, if that changed.
    pub(super) fn leave(
        &mut self,
        lane: Option<&LaneKey>,
        slot: Slot,
        number: u64,
        priority: Priority,
    ) -> Option<Slot> {
        self.unready(lane, slot, number);
        let key = lane?;
        let lane = self.lanes.get_mut(key)?;
        let was_first = lane.slots.front() == Some(&slot);
        if was_first {
            lane.slots.pop_front();
        } else {
            lane.slots.retain(|other| *other != slot);
        }
        if priority == Priority::Express {
            lane.express = lane.express.saturating_sub(1);
        }
        if lane.slots.is_empty() {
            self.lanes.remove(key);
            return None;
        }
        if was_first {
            return lane.slots.front().copied();
        }
        // The last express request may have left from behind a first that is ready: it is regular again.
        if let (0, Some(number), Some(first)) = (lane.express, lane.ready, lane.slots.front()) {
            let ready = (number, *first);
            if self.express.remove(&ready) {
                self.regular.insert(ready);
            }
        }
        None
    }

    /// Whether a request is the first of its lane.
    pub(super) fn is_first(&self, lane: Option<&LaneKey>, slot: Slot) -> bool {
        lane.is_none_or(|key| self.lanes.get(key).is_some_and(|lane| lane.slots.front() == Some(&slot)))
    }

    /// Whether a lane is empty: a request that joined it now would be its first.
    pub(super) fn is_free(&self, lane: Option<&LaneKey>) -> bool {
        lane.is_none_or(|key| !self.lanes.contains_key(key))
    }

    /// The first of a lane may go out now.
    pub(super) fn ready(&mut self, lane: Option<&LaneKey>, slot: Slot, number: u64, priority: Priority) {
        let mut priority = priority;
        if let Some(lane) = lane.and_then(|key| self.lanes.get_mut(key)) {
            lane.ready = Some(number);
            if lane.express > 0 {
                priority = Priority::Express;
            }
        }
        match priority {
            Priority::Express => self.express.insert((number, slot)),
            Priority::Regular => self.regular.insert((number, slot)),
        };
    }

    /// It may not, or it is on its way.
    pub(super) fn unready(&mut self, lane: Option<&LaneKey>, slot: Slot, number: u64) {
        if let Some(lane) = lane.and_then(|key| self.lanes.get_mut(key))
            && lane.slots.front() == Some(&slot)
        {
            lane.ready = None;
        }
        let ready = (number, slot);
        if !self.regular.remove(&ready) {
            self.express.remove(&ready);
        }
    }

    /// The one that goes next.
    pub(super) fn next(&self) -> Option<Slot> {
        self.express.first().or_else(|| self.regular.first()).map(|(_, slot)| *slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::SubscriptionNumber;

    fn lane(number: &str) -> LaneKey {
        LaneKey::Subscription(SubscriptionNumber::new(number).unwrap())
    }

    #[test]
    fn express_lifts_its_whole_lane() {
        let (a, b) = (lane("a"), lane("b"));
        let mut queue = Queue::default();
        assert!(queue.join(Some(&a), Slot(1), Priority::Regular));
        queue.ready(Some(&a), Slot(1), 1, Priority::Regular);
        assert!(queue.join(Some(&b), Slot(2), Priority::Regular));
        queue.ready(Some(&b), Slot(2), 2, Priority::Regular);
        assert!(!queue.join(Some(&b), Slot(3), Priority::Express));
        assert_eq!(queue.next(), Some(Slot(2)), "b holds an express request, so b goes first");
        queue.unready(Some(&b), Slot(2), 2);
        assert_eq!(queue.next(), Some(Slot(1)), "the express request waits for its own lane");
        assert_eq!(queue.leave(Some(&b), Slot(2), 2, Priority::Regular), Some(Slot(3)));
        queue.ready(Some(&b), Slot(3), 3, Priority::Express);
        assert_eq!(queue.next(), Some(Slot(3)));
    }

    #[test]
    fn a_cancelled_express_request_lowers_its_lane_again() {
        let (a, b) = (lane("a"), lane("b"));
        let mut queue = Queue::default();
        queue.join(Some(&a), Slot(1), Priority::Regular);
        queue.ready(Some(&a), Slot(1), 1, Priority::Regular);
        queue.join(Some(&b), Slot(2), Priority::Regular);
        queue.ready(Some(&b), Slot(2), 2, Priority::Regular);
        queue.join(Some(&b), Slot(3), Priority::Express);
        queue.leave(Some(&b), Slot(3), 3, Priority::Express);
        assert_eq!(queue.next(), Some(Slot(1)));
    }
}
