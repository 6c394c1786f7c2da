//! What waits for workers: leased out, extended, answered. Each item has a number that never changes, so that a worker
//! that gets it twice can tell.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use headgate_core::adapter::SubmissionId;
use headgate_core::{Now, Tick};
use jiff::Timestamp;

use super::types::Work;

/// How many numbers that were answered are remembered, so that an answer that comes twice is told from a wrong one.
const REMEMBERED: usize = 10_000;

/// What waits, oldest first.
#[derive(Debug, Default)]
pub struct Queue {
    items: BTreeMap<u64, Item>,
    by_number: BTreeMap<String, u64>,
    last: u64,
    leases: u64,
    answered: BTreeMap<String, Verdict>,
    answered_order: VecDeque<String>,
}

/// Something to do, until it is answered.
#[derive(Debug)]
pub struct Item {
    /// Its number: the request's, with a part's number behind a dot where it has several.
    pub number: String,
    /// The submission it is a part of.
    pub submission: SubmissionId,
    /// What is to be done.
    pub work: Work,
    /// When the CRM's request was accepted.
    pub created: Timestamp,
    /// Since when workers can have it.
    pub offered: Tick,
    /// How often a worker got it.
    pub deliveries: u32,
    /// Who has it now.
    pub lease: Option<Lease>,
}

/// A worker's right to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Names it.
    pub token: String,
    /// Until when.
    pub until: Tick,
    /// The same on the wall.
    pub until_wall: Timestamp,
}

/// How an item was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Completed,
    /// It is refused.
    Rejected,
}

/// Why an answer or an extension was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No item has that number, or it ended long ago.
    #[error("no request of that number waits for an answer")]
    UnknownNumber,
    /// It was answered otherwise.
    #[error("it was answered before, otherwise")]
    Answered,
    /// Another worker has it, or will get it.
    #[error("the lease has run out, and another worker has the request or will get it")]
    LeaseLost,
}

impl QueueError {
    /// Short and stable.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownNumber => "unknown_number",
            Self::Answered => "already_answered",
            Self::LeaseLost => "lease_lost",
        }
    }
}

impl Lease {
    fn holds(&self, now: Tick) -> bool {
        now < self.until
    }
}

impl Item {
    /// Whether a worker has it now.
    #[must_use]
    pub fn is_leased(&self, now: Tick) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.holds(now))
    }
}

impl Queue {
    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Every item, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// Adds an item at the end. One of the same number is replaced: the request was sent again.
    pub fn push(&mut self, item: Item) {
        self.last += 1;
        self.answered.remove(&item.number);
        if let Some(old) = self.by_number.insert(item.number.clone(), self.last) {
            self.items.remove(&old);
        }
        self.items.insert(self.last, item);
    }

    /// Leases up to `most` items that nobody has, oldest first.
    pub fn lease(&mut self, now: Now, most: usize, duration: Duration) -> Vec<&Item> {
        let free = self.items.iter_mut().filter(|(_, item)| !item.is_leased(now.tick)).take(most);
        let mut taken = Vec::new();
        for (place, item) in free {
            self.leases += 1;
            item.deliveries += 1;
            // Tells one lease from the next; it protects nothing.
            let token = format!("{}-{}", item.number, self.leases);
            let (until, until_wall) = (now.tick + duration, now.wall_after(duration));
            item.lease = Some(Lease { token, until, until_wall });
            taken.push(*place);
        }
        taken.iter().filter_map(|place| self.items.get(place)).collect()
    }

    /// Extends a lease that has not run out, or whose item nobody else got. Returns its new end.
    ///
    /// # Errors
    /// [`QueueError`] if it is not to be had.
    pub fn extend(&mut self, now: Now, number: &str, token: &str, duration: Duration) -> Result<Timestamp, QueueError> {
        let item = self.find(number)?;
        match &mut item.lease {
            Some(lease) if lease.token == token => {
                lease.until = now.tick + duration;
                lease.until_wall = now.wall_after(duration);
                Ok(lease.until_wall)
            }
            _ => Err(QueueError::LeaseLost),
        }
    }

    /// Takes an item out: a worker answered it. With a `token`, it must be that of the item's last lease. Nothing: it was
    /// answered so before.
    ///
    /// # Errors
    /// [`QueueError`] if it is not to be had.
    pub fn answer(&mut self, number: &str, token: Option<&str>, verdict: Verdict) -> Result<Option<Item>, QueueError> {
        if let Some(before) = self.answered.get(number) {
            return if *before == verdict { Ok(None) } else { Err(QueueError::Answered) };
        }
        let item = self.find(number)?;
        if let (Some(token), Some(lease)) = (token, &item.lease)
            && lease.token != token
        {
            return Err(QueueError::LeaseLost);
        }
        let item = self.remove(number);
        self.remember(number.to_owned(), verdict);
        Ok(item)
    }

    /// Takes out every item of a submission.
    pub fn withdraw(&mut self, submission: SubmissionId) {
        let of_it = |item: &&Item| item.submission == submission;
        let numbers: Vec<_> = self.items.values().filter(of_it).map(|item| item.number.clone()).collect();
        for number in numbers {
            self.remove(&number);
        }
    }

    /// When the next lease runs out, if one does.
    #[must_use]
    pub fn next_free(&self, now: Tick) -> Option<Tick> {
        self.items.values().filter_map(|item| item.lease.as_ref()).map(|lease| lease.until).filter(|at| *at > now).min()
    }

    /// Whether a worker could have something now.
    #[must_use]
    pub fn has_free(&self, now: Tick) -> bool {
        self.items.values().any(|item| !item.is_leased(now))
    }

    fn find(&mut self, number: &str) -> Result<&mut Item, QueueError> {
        let place = self.by_number.get(number).ok_or(QueueError::UnknownNumber)?;
        self.items.get_mut(place).ok_or(QueueError::UnknownNumber)
    }

    fn remove(&mut self, number: &str) -> Option<Item> {
        let place = self.by_number.remove(number)?;
        self.items.remove(&place)
    }

    fn remember(&mut self, number: String, verdict: Verdict) {
        if self.answered_order.len() >= REMEMBERED
            && let Some(oldest) = self.answered_order.pop_front()
        {
            self.answered.remove(&oldest);
        }
        self.answered_order.push_back(number.clone());
        self.answered.insert(number, verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{later, start};

    const MINUTE: Duration = Duration::from_mins(1);

    fn queue(numbers: &[&str]) -> Queue {
        let mut queue = Queue::default();
        for number in numbers {
            queue.push(Item {
                number: (*number).to_owned(),
                submission: SubmissionId(1),
                work: Work::default(),
                created: start().wall,
                offered: start().tick,
                deliveries: 0,
                lease: None,
            });
        }
        queue
    }

    fn leased(queue: &mut Queue, now: Now, most: usize) -> Vec<(String, String)> {
        let items = queue.lease(now, most, MINUTE);
        items.iter().map(|item| (item.number.clone(), item.lease.as_ref().unwrap().token.clone())).collect()
    }

    #[test]
    fn what_one_worker_has_no_other_gets_until_the_lease_runs_out() {
        let mut queue = queue(&["1", "2", "3"]);
        let first = leased(&mut queue, start(), 2);
        assert_eq!(first.iter().map(|(number, _)| number.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(leased(&mut queue, start(), 5).len(), 1);
        assert!(!queue.has_free(start().tick));
        let now = later(start(), MINUTE);
        assert_eq!(queue.next_free(start().tick), Some(now.tick));
        queue.extend(later(start(), MINUTE / 2), "1", &first[0].1, MINUTE).unwrap();
        let again = leased(&mut queue, now, 5);
        assert_eq!(again.iter().map(|(number, _)| number.as_str()).collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(queue.iter().map(|item| item.deliveries).collect::<Vec<_>>(), [1, 2, 2]);

        // The worker that lost its lease answers too late; the one that has it answers, twice.
        assert_eq!(queue.answer("2", Some(&first[1].1), Verdict::Completed).unwrap_err(), QueueError::LeaseLost);
        assert_eq!(queue.extend(now, "2", &first[1].1, MINUTE), Err(QueueError::LeaseLost));
        assert!(queue.answer("2", Some(&again[0].1), Verdict::Completed).unwrap().is_some());
        assert!(queue.answer("2", Some(&again[0].1), Verdict::Completed).unwrap().is_none());
        assert_eq!(queue.answer("2", None, Verdict::Rejected).unwrap_err(), QueueError::Answered);
        assert_eq!(queue.answer("9", None, Verdict::Rejected).unwrap_err(), QueueError::UnknownNumber);
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn an_answer_without_a_lease_is_taken() {
        let mut queue = queue(&["1"]);
        assert!(queue.answer("1", None, Verdict::Rejected).unwrap().is_some());
        assert!(queue.is_empty());
    }

    #[test]
    fn answered_numbers_are_forgotten_in_the_end() {
        let mut queue = Queue::default();
        for number in 0..=REMEMBERED {
            queue.remember(number.to_string(), Verdict::Completed);
        }
        assert_eq!(queue.answer("0", None, Verdict::Completed).unwrap_err(), QueueError::UnknownNumber);
        assert!(queue.answer("1", None, Verdict::Completed).unwrap().is_none());
    }
}
