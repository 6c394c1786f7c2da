//! Transaction numbers: which are free.

use std::collections::BTreeSet;

use super::super::settings::NumberRange;
use super::super::wire::TransactionNumber;

/// Hands out numbers, cycling through the range. A number is in use while a file of ours has it, and
/// while any file in the directories or any line of `errors.txt` names it.
pub(super) struct Numbers {
    range: NumberRange,
    next: u32,
    /// Of our files.
    ours: BTreeSet<u32>,
    /// Seen at the last look.
    seen: BTreeSet<u32>,
    /// Handed out since the start: a reference of an earlier life that names one means another file.
    born: BTreeSet<u32>,
    /// None was free at the last look.
    exhausted: bool,
}

impl Numbers {
    /// Begins at a place that `seed` chooses, so that two starts rarely use the same numbers.
    pub(super) fn new(range: NumberRange, seed: u64) -> Self {
        let length = u64::from(range.last.saturating_sub(range.first)) + 1;
        let next = range.first + u32::try_from(seed % length).unwrap_or(0);
        let (ours, seen, born) = Default::default();
        Self { range, next, ours, seen, born, exhausted: false }
    }

    /// A free number; none if every one of the range is in use.
    pub(super) fn take(&mut self) -> Option<TransactionNumber> {
        if self.exhausted {
            return None;
        }
        for _ in self.range.first..=self.range.last {
            let number = self.next;
            self.next = if number >= self.range.last { self.range.first } else { number + 1 };
            if !self.ours.contains(&number) && !self.seen.contains(&number) {
                self.ours.insert(number);
                self.born.insert(number);
                return TransactionNumber::new(number);
            }
        }
        self.exhausted = true;
        None
    }

    /// A file of an earlier life has this number.
    pub(super) fn adopt(&mut self, number: TransactionNumber) {
        self.ours.insert(number.value());
    }

    /// Our file of this number is gone; the number is free once a look does not see it.
    pub(super) fn release(&mut self, number: TransactionNumber) {
        self.ours.remove(&number.value());
    }

    /// Somebody else uses this number.
    pub(super) fn occupied(&mut self, number: TransactionNumber) {
        self.seen.insert(number.value());
    }

    /// What a look at the directories saw.
    pub(super) fn look(&mut self, seen: BTreeSet<u32>) {
        self.seen = seen;
        self.exhausted = false;
    }

    /// Whether it was handed out since the start.
    pub(super) fn is_born(&self, number: TransactionNumber) -> bool {
        self.born.contains(&number.value())
    }

    /// Whether none was free at the last look.
    pub(super) const fn are_exhausted(&self) -> bool {
        self.exhausted
    }
}
