//! How a command of several parts ends: each device, each service, each block of cards.

use headgate_core::failure::{FailedPart, Failure};
use headgate_core::text::Serial;

use super::Step;

/// What became of the parts so far.
#[derive(Debug, Default)]
pub struct Tally {
    parts: usize,
    refused: Vec<(Serial, Failure)>,
}

impl Tally {
    /// One more part was done.
    pub const fn done(&mut self) {
        self.parts += 1;
    }

    /// The platform said no to one more part.
    pub fn refused(&mut self, part: &Serial, failure: Failure) {
        self.parts += 1;
        self.refused.push((part.clone(), failure));
    }

    /// The end, when no part is left: done; refused, in the words of the first; or refused in part.
    pub fn end(&mut self) -> Step {
        let refused = std::mem::take(&mut self.refused);
        match refused.first() {
            None => Step::completed(),
            Some((_, first)) if refused.len() == self.parts => Step::rejected(first.clone()),
            Some(_) => {
                let part =
                    |(part, failure): (Serial, Failure)| FailedPart { part, code: failure.code, text: failure.text };
                Step::rejected(Failure::partial(refused.into_iter().map(part).collect(), self.parts))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use headgate_core::outcome::Verdict;

    use super::super::End;
    use super::*;

    fn rejected(tally: &mut Tally) -> Option<Failure> {
        match tally.end() {
            Step::End(End { verdict: Verdict::Rejected(failure), .. }) => Some(failure),
            Step::End(End { verdict: Verdict::Completed(None), .. }) => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_others_did_is_refused_in_part() {
        let card = |number| Serial::new(number).unwrap();
        let mut tally = Tally::default();
        tally.done();
        assert_eq!(rejected(&mut tally), None);
        tally.refused(&card("7"), Failure::refused("E1", "no"));
        let failure = rejected(&mut tally).unwrap();
        assert_eq!((failure.code.as_ref(), failure.parts.len()), ("E1", 1));
        assert!(failure.text.starts_with("1 of 2 were refused"), "{failure}");
        let mut none = Tally::default();
        none.refused(&card("7"), Failure::refused("E1", "no"));
        none.refused(&card("8"), Failure::refused("E2", "never"));
        let failure = rejected(&mut none).unwrap();
        assert_eq!((failure.code.as_ref(), failure.text.as_str(), failure.parts.len()), ("E1", "no", 0));
    }
}
