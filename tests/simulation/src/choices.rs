//! Where a plan's choices come from: a seed's random numbers, or the bytes of a fuzzer.

use arbitrary::Unstructured;
use rand::RngExt;
use rand::rngs::StdRng;

/// A source of choices.
pub trait Choices {
    /// A number below `bound`, which is not zero.
    fn below(&mut self, bound: usize) -> usize;

    /// Whether choices still come; without any, [`Choices::below`] gives zero.
    fn are_left(&self) -> bool;

    /// True in so many of a hundred cases.
    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of several.
    ///
    /// # Panics
    /// If there are none.
    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

impl Choices for StdRng {
    fn below(&mut self, bound: usize) -> usize {
        self.random_range(0..bound)
    }

    fn are_left(&self) -> bool {
        true
    }
}

/// Each choice takes as few bytes as its bound needs, so that a changed byte changes one choice.
impl Choices for Unstructured<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.int_in_range(0..=bound - 1).unwrap_or_default()
    }

    fn are_left(&self) -> bool {
        !self.is_empty()
    }
}
