//! How a command of several parts ends: each device, each service, each of two platforms.

use headgate_core::failure::{FailedPart, Failure};
use headgate_core::text::Serial;

use crate::http::Step;

/// What became of the parts so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    parts: usize,
    refused: Vec<(Serial, Failure)>,
}

impl Tally {
    pub(super) const fn done(&mut self) {
        self.parts += 1;
    }

    pub(super) fn refused(&mut self, part: &Serial, failure: Failure) {
        self.parts += 1;
        self.refused.push((part.clone(), failure));
    }

    /// The end, when no part is left.
    pub(super) fn end(&mut self) -> Step {
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
