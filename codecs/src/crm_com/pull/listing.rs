//! One look at what is pending: pages from offset 0 to the last, and how to tell that the set moved under them.

use std::collections::BTreeSet;

use super::settings::PageCounts;
use super::wire::{Page, Pending};

/// Most requests that one look takes up; the others are there at the next.
const MOST_HELD: usize = 20_000;

/// How often a look starts anew because results went away under it.
const MOST_RESTARTS: u32 = 5;

/// A look that is going on.
#[derive(Debug)]
pub struct Listing {
    page_size: usize,
    counts: PageCounts,
    /// What the offset counts, so far.
    counted: Vec<String>,
    /// The same, to look one up.
    seen: BTreeSet<String>,
    requests: Vec<Pending>,
    numbers: BTreeSet<String>,
    unreadable: usize,
    restarts: u32,
}

/// What a page means for the look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// Another page is needed, from [`Listing::offset`] on.
    Further,
    /// It has ended. Unless it is whole, nothing follows from what it does not show.
    Done {
        /// It showed everything that was there.
        whole: bool,
    },
}

impl Listing {
    /// A look that begins.
    #[must_use]
    pub const fn new(page_size: usize, counts: PageCounts) -> Self {
        Self {
            page_size,
            counts,
            counted: Vec::new(),
            seen: BTreeSet::new(),
            requests: Vec::new(),
            numbers: BTreeSet::new(),
            unreadable: 0,
            restarts: 0,
        }
    }

    /// Where the next page begins: at the last result of the one before, so that a set that shrank is noticed.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.counted.len().saturating_sub(1)
    }

    /// Takes a page.
    pub fn take(&mut self, page: Page) -> Looked {
        if let Some(last) = self.counted.last()
            && page.counted.first() != Some(last)
        {
            return self.moved(page);
        }
        self.add(page)
    }

    /// Results went away, or came in between: what was at the border is elsewhere now.
    fn moved(&mut self, page: Page) -> Looked {
        // Something new pushed the rest further back: nothing was missed.
        let pushed_back = page.counted.first().is_some_and(|first| self.seen.contains(first));
        if pushed_back {
            return self.add(page);
        }
        if self.restarts == MOST_RESTARTS {
            return Looked::Done { whole: false };
        }
        *self = Self { restarts: self.restarts + 1, ..Self::new(self.page_size, self.counts) };
        Looked::Further
    }

    fn add(&mut self, page: Page) -> Looked {
        let length = page.counted.len();
        let before = self.counted.len();
        for one in page.counted {
            // Those that the pages overlap by are known already.
            if self.seen.insert(one.clone()) {
                self.counted.push(one);
            }
        }
        let grew = self.counted.len() > before;
        for request in page.requests {
            if self.numbers.insert(request.number.clone()) {
                self.requests.push(request);
            }
        }
        self.unreadable += page.unreadable;
        if length < self.page_size {
            return Looked::Done { whole: true };
        }
        if !grew || self.requests.len() >= MOST_HELD {
            return Looked::Done { whole: false };
        }
        Looked::Further
    }

    /// How many requests could not be read.
    #[must_use]
    pub const fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// What was found, in the CRM's order.
    #[must_use]
    pub fn into_requests(self) -> Vec<Pending> {
        self.requests
    }
}
