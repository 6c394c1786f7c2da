//! A store in memory that behaves as the contract says, and loses in a crash what was not committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use headgate_core::dispatch::store::{Change, ChangeId, Finish, Recovered, StoreCall};
use headgate_core::failure::Sent;
use headgate_core::request::{Request, RequestId, State};
use headgate_core::text::PlatformReference;
use jiff::Timestamp;

/// Requests, committed or not.
#[derive(Debug, Default)]
pub struct SimStore {
    rows: BTreeMap<RequestId, Row>,
    /// Handed over and not committed, oldest first.
    pending: VecDeque<StoreCall>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Row {
    /// The request.
    pub request: Arc<Request>,
    /// Where it stands.
    pub state: State,
    /// How often it was sent.
    pub attempts: u32,
    /// It waits until then.
    pub retry_at: Option<Timestamp>,
    /// The last reference recorded.
    pub reference: Option<PlatformReference>,
    /// How it ended.
    pub finish: Option<Arc<Finish>>,
    /// Whether it was put back or sent again when nobody knew if the attempt before had arrived.
    pub repeated_in_doubt: bool,
}

impl SimStore {
    /// Takes changes over.
    pub fn write(&mut self, call: StoreCall) {
        self.pending.push_back(call);
    }

    /// Whether something waits for a commit.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Commits all that was handed over; returns what to report.
    ///
    /// # Errors
    /// The change that can not follow what is there: a rule is broken.
    pub fn commit(&mut self) -> Result<Vec<ChangeId>, String> {
        let calls: Vec<_> = self.pending.drain(..).collect();
        calls.into_iter().map(|call| self.apply(call.change).map(|()| call.id)).collect()
    }

    /// The disk is full: the first new request among those handed over is refused.
    pub fn refuse_one(&mut self) -> Option<ChangeId> {
        let position =
            self.pending.iter().position(|call| call.durable && matches!(call.change, Change::Accept(..)))?;
        self.pending.remove(position).map(|call| call.id)
    }

    /// The process dies: of what was not committed, the first `kept` changes had reached the disk.
    ///
    /// # Errors
    /// As [`SimStore::commit`].
    pub fn crash(&mut self, kept: usize) -> Result<(), String> {
        self.pending.truncate(kept);
        self.commit().map(drop)
    }

    /// What had not ended, by number.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Recovered> {
        let mut found: Vec<_> = self
            .rows
            .values()
            .filter(|row| !row.state.is_final())
            .map(|row| Recovered {
                request: Arc::clone(&row.request),
                state: row.state,
                attempts: row.attempts,
                retry_at: row.retry_at,
                reference: row.reference.clone(),
            })
            .collect();
        found.sort_by_key(|found| found.request.number);
        found
    }

    /// Nothing but a query goes out before it is stored that it does.
    ///
    /// # Errors
    /// If this request did.
    pub fn check_sent(&self, request: &Request) -> Result<(), String> {
        let stored = self.rows.get(&request.id).is_some_and(|row| row.state == State::Sent);
        match stored || request.command.kind().is_query() {
            true => Ok(()),
            false => Err(format!("request {} was submitted before it was stored as sent", request.number)),
        }
    }

    /// Every request, by id.
    #[must_use]
    pub const fn rows(&self) -> &BTreeMap<RequestId, Row> {
        &self.rows
    }

    /// How many are still to be committed.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn apply(&mut self, change: Change) -> Result<(), String> {
        match change {
            Change::Accept(request, state) => {
                let attempts = u32::from(state == State::Sent);
                let row = Row {
                    request: Arc::clone(&request),
                    state,
                    attempts,
                    retry_at: None,
                    reference: None,
                    finish: None,
                    repeated_in_doubt: false,
                };
                if self.rows.insert(request.id, row).is_some() {
                    return Err(format!("request {} was accepted twice", request.number));
                }
                self.one_under_way(&request)
            }
            Change::Sent { id, attempt, .. } => {
                let row = self.open(id, "sent")?;
                row.repeated_in_doubt |= row.state == State::Sent;
                row.state = State::Sent;
                row.attempts = attempt;
                let request = Arc::clone(&row.request);
                self.one_under_way(&request)
            }
            Change::References(references) => {
                for (id, reference) in references {
                    self.open(id, "recorded")?.reference = Some(reference);
                }
                Ok(())
            }
            Change::Again { id, retry_at, failure } => {
                let row = self.open(id, "put back")?;
                row.repeated_in_doubt |= failure.sent == Sent::Maybe;
                row.state = State::Waiting;
                row.retry_at = Some(retry_at);
                Ok(())
            }
            Change::Finish(finish) => {
                let row = self.open(finish.id, "ended")?;
                row.state = finish.state;
                row.finish = Some(finish);
                Ok(())
            }
            Change::Reopen { id } => {
                let row = self.rows.get_mut(&id).ok_or("a request was reopened that is not here")?;
                row.state = State::Waiting;
                row.finish = None;
                Ok(())
            }
        }
    }

    /// The row of a request that has not ended.
    fn open(&mut self, id: RequestId, what: &str) -> Result<&mut Row, String> {
        let row = self.rows.get_mut(&id).ok_or_else(|| format!("a request was {what} that was never accepted"))?;
        match row.state.is_final() {
            false => Ok(row),
            true => Err(format!("request {} was {what} although it had ended as {}", row.request.number, row.state)),
        }
    }

    /// Within a lane, one request at a time is under way, and none that came before it waits.
    fn one_under_way(&self, sent: &Request) -> Result<(), String> {
        let (Some(lane), Some(row)) = (sent.lane(), self.rows.get(&sent.id)) else { return Ok(()) };
        if row.state != State::Sent {
            return Ok(());
        }
        let earlier = self.rows.values().find(|other| {
            !other.state.is_final()
                && other.request.number < sent.number
                && other.request.lane().as_ref() == Some(&lane)
        });
        match earlier {
            None => Ok(()),
            Some(earlier) => {
                let (number, state) = (earlier.request.number, earlier.state);
                Err(format!("request {} was sent while {number} of its subscription was {state}", sent.number))
            }
        }
    }
}
