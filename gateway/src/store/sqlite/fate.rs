//! What changes about a request, and how each change of the contract changes it.

use headgate_core::command::CommandKind;
use headgate_core::dispatch::store::Finish;
use headgate_core::failure::Failure;
use headgate_core::outcome::Exchange;
use headgate_core::request::{Request, RequestId, State};
use headgate_core::text::{PlatformReference, ProviderName, Reference, SubscriptionNumber};
use jiff::Timestamp;

/// A request that the writer knows: what of it is needed to update its row and to tell of its changes.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) subject: Subject,
    pub(super) fate: Fate,
}

/// What never changes. Cheap to clone.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) id: RequestId,
    pub(super) number: u64,
    pub(super) provider: ProviderName,
    pub(super) subscription: Option<SubscriptionNumber>,
    pub(super) command: CommandKind,
    pub(super) reference: Option<Reference>,
}

impl Subject {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            id: request.id,
            number: request.number,
            provider: request.provider.clone(),
            subscription: request.subscription.clone(),
            command: request.command.kind(),
            reference: request.reference.clone(),
        }
    }
}

/// What changes, as the row holds it.
#[derive(Clone)]
pub(super) struct Fate {
    pub(super) state: State,
    /// Somebody sent it again: its own times and its run do not hold it any more.
    pub(super) reopened: bool,
    pub(super) attempts: u32,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    /// JSON of the [`Failure`].
    pub(super) failure: Option<String>,
    /// JSON of the answer.
    pub(super) answer: Option<String>,
    pub(super) reference: Option<PlatformReference>,
    /// Absent: the row keeps what it has, which is not read only to be written again.
    pub(super) exchange: Option<Exchange>,
}

impl Fate {
    /// A new request. One that is accepted as `sent` is at its first attempt since it was accepted.
    pub(super) fn accepted(request: &Request, state: State) -> Self {
        let sent = state == State::Sent;
        Self {
            state,
            reopened: false,
            attempts: u32::from(sent),
            retry_at: None,
            sent_at: sent.then_some(request.created),
            finished_at: None,
            failure: None,
            answer: None,
            reference: None,
            exchange: None,
        }
    }

    pub(super) fn sent(&mut self, attempt: u32, at: Timestamp) {
        self.state = State::Sent;
        self.attempts = attempt;
        self.sent_at = Some(at);
        self.retry_at = None;
    }

    pub(super) fn again(&mut self, retry_at: Timestamp, failure: &Failure) {
        self.state = State::Waiting;
        self.retry_at = Some(retry_at);
        self.failure = json(failure);
    }

    /// What an earlier end told is kept where this one tells nothing: an operator who resolves an unknown
    /// request does not wipe out what went over the wire.
    pub(super) fn finish(&mut self, finish: &Finish) {
        self.state = finish.state;
        self.attempts = finish.attempts;
        self.sent_at = finish.sent_at.or(self.sent_at);
        self.retry_at = None;
        self.finished_at = Some(finish.finished_at);
        self.failure = finish.failure.as_ref().and_then(json);
        if let Some(answer) = &finish.answer {
            self.answer = json(answer);
        }
        if let Some(reference) = &finish.reference {
            self.reference = Some(reference.clone());
        }
        if finish.exchange != Exchange::default() {
            self.exchange = Some(finish.exchange.clone());
        }
    }

    /// It starts anew: all attempts are before it, and nothing of its earlier end is left.
    pub(super) fn reopen(&mut self) {
        *self = Self {
            state: State::Waiting,
            reopened: true,
            attempts: 0,
            retry_at: None,
            sent_at: None,
            finished_at: None,
            failure: None,
            answer: None,
            reference: None,
            exchange: Some(Exchange::default()),
        };
    }
}

/// Neither a [`Failure`] nor an answer has anything JSON can not say.
fn json(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}
