//! One submission: its entries, where each stands, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use headgate_core::Tick;
use headgate_core::failure::{Blame, FailedPart, Failure};
use headgate_core::outcome::{Exchange, Outcome, Verdict};
use headgate_core::request::Request;
use headgate_core::table::Value;
use headgate_core::text::PlatformReference;

use super::super::plan::Part;
use super::ids::Ids;

/// A submission on its way.
pub(super) struct Job {
    pub(super) request: Arc<Request>,
    pub(super) parts: Vec<Part>,
    pub(super) ids: Ids,
    /// Where it stands.
    pub(super) stage: Stage,
    /// Its rows may be there from an earlier try.
    pub(super) repeated: bool,
    /// It is taken up from an earlier life of the gateway.
    pub(super) resumed: bool,
    /// It is put in by itself, because others in its transaction, or it, were refused.
    pub(super) alone: bool,
    /// How often its ids were taken already.
    pub(super) collisions: u32,
    /// Since when its entries are open.
    pub(super) since: Tick,
    /// How long it is left alone before it is asked for again.
    pub(super) wait: Duration,
    /// When it is asked for next.
    pub(super) due: Option<Tick>,
    stands: Vec<Stand>,
    references: String,
    request_bytes: Vec<u8>,
    response_bytes: Vec<u8>,
}

/// Where a submission stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its entries wait to be put in.
    Waiting,
    /// Its ids are being recorded.
    Recording,
    /// Its entries are being put in.
    Inserting,
    /// Nobody knows whether its entries are there: they are looked for.
    Unsure,
    /// Its entries are there.
    Open,
}

/// Where one entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Not processed yet, as far as we know.
    Open,
    /// Done.
    Done,
    /// Refused: the platform's code and words.
    Refused(String, String),
    /// Not in the table any more, and nobody saw how it ended.
    Gone,
}

impl Job {
    pub(super) fn new(request: Arc<Request>, parts: Vec<Part>, ids: Ids, now: Tick) -> Self {
        Self {
            request,
            ids,
            stage: Stage::Waiting,
            repeated: false,
            resumed: false,
            alone: false,
            collisions: 0,
            since: now,
            wait: Duration::ZERO,
            due: None,
            stands: vec![Stand::Open; parts.len()],
            parts,
            references: String::new(),
            request_bytes: Vec::new(),
            response_bytes: Vec::new(),
        }
    }

    /// The entries that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> + '_ {
        self.stands.iter().enumerate().filter(|(_, stand)| **stand == Stand::Open).map(|(index, _)| index)
    }

    /// Whether none is.
    pub(super) fn has_ended(&self) -> bool {
        self.open().next().is_none()
    }

    pub(super) fn set(&mut self, part: usize, stand: Stand) {
        if let Some(slot) = self.stands.get_mut(part) {
            *slot = stand;
        }
    }

    /// Its rows as sent; those of an earlier try are forgotten.
    pub(super) fn sent(&mut self, bytes: Vec<u8>) {
        self.request_bytes = bytes;
    }

    pub(super) fn received(&mut self, bytes: &[u8]) {
        self.response_bytes.extend_from_slice(bytes);
    }

    /// The platform's own number of an entry.
    pub(super) fn refer(&mut self, number: &Value) {
        let text = match number {
            Value::Text(text) => text.trim().to_owned(),
            Value::Integer(number) => number.to_string(),
            _ => return,
        };
        if !text.is_empty() && self.references.len() + 1 + text.len() <= PlatformReference::LIMIT {
            if !self.references.is_empty() {
                self.references.push(',');
            }
            self.references.push_str(&text);
        }
    }

    /// Its outcome, once no entry is open.
    pub(super) fn outcome(&mut self) -> Outcome {
        let verdict = self.verdict();
        self.outcome_of(verdict)
    }

    /// An outcome with what went out and what came back.
    pub(super) fn outcome_of(&mut self, verdict: Verdict) -> Outcome {
        Outcome {
            verdict,
            reference: PlatformReference::new(&self.references).ok(),
            exchange: Exchange {
                request: std::mem::take(&mut self.request_bytes).into(),
                response: std::mem::take(&mut self.response_bytes).into(),
            },
        }
    }

    fn verdict(&self) -> Verdict {
        if self.stands.contains(&Stand::Gone) {
            let text = "is not in the table any more, and nobody saw how it ended";
            let failure = Failure { blame: Blame::Platform, ..Failure::unanswered("entry_gone", text) };
            return Verdict::Failed(Failure { parts: self.failed_parts(), ..failure });
        }
        let refused = self.stands.iter().find_map(|stand| match stand {
            Stand::Refused(code, text) => Some((code, text)),
            _ => None,
        });
        match refused {
            None => Verdict::Completed(None),
            Some(_) if self.stands.contains(&Stand::Done) => {
                Verdict::Rejected(Failure::partial(self.failed_parts(), self.parts.len()))
            }
            Some((code, text)) => Verdict::Rejected(Failure::refused(code.clone(), text.clone())),
        }
    }

    fn failed_parts(&self) -> Vec<FailedPart> {
        let failed = |(stand, part): (&Stand, &Part)| match stand {
            Stand::Refused(code, text) => {
                Some(FailedPart { part: part.about.clone()?, code: code.clone().into(), text: text.clone() })
            }
            _ => None,
        };
        self.stands.iter().zip(&self.parts).filter_map(failed).collect()
    }
}
