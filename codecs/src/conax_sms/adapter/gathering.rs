//! Requests that ask the same, waiting to go out in one file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use headgate_core::Tick;
use headgate_core::adapter::SubmissionId;

use super::super::plan::Ask;

/// One part of one submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) job: SubmissionId,
    pub(super) part: usize,
}

/// Parts that go into one file.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) ask: Ask,
    pub(super) members: Vec<Member>,
}

/// A batch that still grows.
struct Growing {
    members: Vec<Member>,
    numbers: usize,
    due: (Tick, u64),
}

/// Batches that grow, by what they ask, and those that are ready to go out, in order.
#[derive(Default)]
pub(super) struct Gathering {
    growing: BTreeMap<Ask, Growing>,
    due: BTreeMap<(Tick, u64), Ask>,
    ready: VecDeque<Batch>,
    made: u64,
}

/// A part to be gathered.
pub(super) struct Entry<'a> {
    pub(super) ask: &'a Ask,
    pub(super) member: Member,
    /// How many numbers it has, and how many fit in a file.
    pub(super) numbers: usize,
    pub(super) limit: usize,
    /// When its file goes out at the latest.
    pub(super) due: Tick,
}

impl Gathering {
    /// Adds a part to the batch that asks the same; a batch that is full is ready.
    pub(super) fn add(&mut self, entry: &Entry<'_>) {
        let Entry { ask, member, numbers, limit, due } = *entry;
        if !ask.gathers() {
            self.ready.push_back(Batch { ask: ask.clone(), members: vec![member] });
            return;
        }
        if self.growing.get(ask).is_some_and(|batch| batch.numbers + numbers > limit) {
            self.release(ask);
        }
        let made = &mut self.made;
        let batch = self.growing.entry(ask.clone()).or_insert_with(|| {
            *made += 1;
            Growing { members: Vec::new(), numbers: 0, due: (due, *made) }
        });
        if due < batch.due.0 || batch.members.is_empty() {
            self.due.remove(&batch.due);
            batch.due.0 = due;
            self.due.insert(batch.due, ask.clone());
        }
        batch.members.push(member);
        batch.numbers += numbers;
        if batch.numbers >= limit {
            self.release(ask);
        }
    }

    /// What is left of a refused file goes out before anything else.
    pub(super) fn add_first(&mut self, batch: Batch) {
        self.ready.push_front(batch);
    }

    /// Batches whose time has come are ready.
    pub(super) fn release_due(&mut self, now: Tick) {
        while let Some((&(at, _), ask)) = self.due.first_key_value()
            && at <= now
        {
            let ask = ask.clone();
            self.release(&ask);
        }
    }

    /// Every batch is ready.
    pub(super) fn release_all(&mut self) {
        while let Some((_, ask)) = self.due.first_key_value() {
            let ask = ask.clone();
            self.release(&ask);
        }
    }

    /// When the next batch is due.
    pub(super) fn next_due(&self) -> Option<Tick> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn take_ready(&mut self) -> Option<Batch> {
        self.ready.pop_front()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the submissions named out of every batch.
    pub(super) fn forget(&mut self, gone: &BTreeSet<SubmissionId>) {
        self.release_all();
        for batch in &mut self.ready {
            batch.members.retain(|member| !gone.contains(&member.job));
        }
        self.ready.retain(|batch| !batch.members.is_empty());
    }

    fn release(&mut self, ask: &Ask) {
        if let Some(batch) = self.growing.remove(ask) {
            self.due.remove(&batch.due);
            self.ready.push_back(Batch { ask: ask.clone(), members: batch.members });
        }
    }
}
