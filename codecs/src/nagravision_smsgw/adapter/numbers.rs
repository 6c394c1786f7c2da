//! Transaction numbers: 1 to the highest the header's field can say, then from 1 again.

/// The next transaction number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    last: u64,
    highest: u64,
}

impl Numbers {
    /// Starts at a number that `seed` chooses, so that a restart is unlikely to use the numbers of just before.
    pub(super) fn new(seed: u64, highest: u64) -> Self {
        Self { last: seed.checked_rem(highest).unwrap_or_default(), highest }
    }

    /// The next number that is not `taken`. The settings see to it that there always is one.
    pub(super) fn next(&mut self, taken: impl Fn(u64) -> bool) -> u64 {
        loop {
            self.last = if self.last >= self.highest { 1 } else { self.last + 1 };
            if !taken(self.last) {
                return self.last;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_and_pass_over_those_in_use() {
        let mut numbers = Numbers::new(999_999_998, 999_999_999);
        let taken = |number| number == 1 || number == 3;
        assert_eq!([(); 4].map(|()| numbers.next(taken)), [999_999_999, 2, 4, 5]);
    }
}
