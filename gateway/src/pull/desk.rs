//! The way of one part of a CRM's request: accepted or found again, then followed until its outcome is known.

use std::sync::Arc;
use std::time::Duration;

use headgate_codecs::crm_com::pull::{Part, Verdict};
use headgate_core::body::Refusal;
use headgate_core::command::CommandKind;
use headgate_core::dispatch::store::Finish;
use headgate_core::failure::Failure;
use headgate_core::outcome::Answer;
use headgate_core::request::{Idempotency, RequestId, Source, State};
use headgate_core::text::AccountNumber;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::task::Message;
use crate::gateway::{AcceptError, Origin, WeakGateway};
use crate::store::{Filter, Page, Store, StoreError, StoredRequest};

/// How long to wait when the store or the provider can not take a part now.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a part is looked at that nobody tells about.
const LOOK: Duration = Duration::from_secs(30);

/// Carries a part out for the CRM's request of this number, and tells the pull's task. Ends early only with the gateway.
pub(super) async fn carry_out(gateway: WeakGateway, number: String, part: Arc<Part>, task: mpsc::Sender<Message>) {
    let desk = Desk { number, part, task };
    while let Some(wait) = desk.once(&gateway).await {
        tokio::time::sleep(wait).await;
    }
}

struct Desk {
    number: String,
    part: Arc<Part>,
    task: mpsc::Sender<Message>,
}

impl Desk {
    /// Tries once; returns how long to wait before the next attempt, or nothing when it is done.
    async fn once(&self, gateway: &WeakGateway) -> Option<Duration> {
        // Only for a moment: a gateway that nobody else holds must be able to go.
        let gateway = gateway.upgrade()?;
        let store = Arc::clone(gateway.store());
        match self.earlier(&*store).await {
            Ok(None) => {}
            Ok(Some(id)) => {
                drop(gateway);
                return self.follow(store, id).await;
            }
            Err(error) => return self.later(&error),
        }
        let digest = Sha256::digest(&self.part.json.0).into();
        let idempotency = Some(Idempotency { key: self.part.key.clone(), digest });
        let origin = Origin { source: Source::Pull, idempotency };
        let accepted = match gateway.accept(self.part.body.clone(), self.part.json.0.clone(), origin).await {
            Ok(accepted) => accepted,
            Err(AcceptError::Refused(Refusal { code: "unknown_provider", .. })) => return Some(PATIENCE),
            Err(AcceptError::Refused(refusal)) => {
                let verdict = Verdict::Rejected(refusal.code.to_owned(), refusal.to_string());
                self.tell(Message::Ended(self.number.clone(), verdict)).await;
                return None;
            }
            Err(AcceptError::Busy { retry_after }) => return Some(retry_after),
            // Another attempt was stored after all: the next look finds it.
            Err(error @ (AcceptError::KeyTaken | AcceptError::Stopping | AcceptError::Store(_))) => {
                return self.later(&error);
            }
        };
        drop(gateway);
        self.tell(Message::Begun(self.number.clone(), accepted.id.made_at())).await;
        match accepted.finish.await {
            Ok(finish) if finish.state == State::Unknown => self.follow(store, accepted.id).await,
            Ok(finish) => {
                let Finish { state, failure, answer, .. } = &*finish;
                self.end(*state, failure.as_ref(), answer.as_ref()).await;
                None
            }
            // Its provider was stopped, perhaps to be started anew.
            Err(_) => self.follow(store, accepted.id).await,
        }
    }

    /// The request that was accepted for this part before: by its key, or, once that is forgotten, by its reference.
    async fn earlier(&self, store: &dyn Store) -> Result<Option<RequestId>, StoreError> {
        if let Some((id, _)) = store.by_key(&self.part.key).await? {
            return Ok(Some(id));
        }
        let filter = Filter {
            source: Some(Source::Pull),
            reference: Some(self.part.reference.clone()),
            command: Some(self.part.body.command),
            ..Filter::default()
        };
        let found = store.requests(filter, Page { before: None, limit: 1 }).await?;
        Ok(found.requests.first().map(|request| request.id))
    }

    /// Waits until the outcome of a stored request is known.
    async fn follow(&self, store: Arc<dyn Store>, id: RequestId) -> Option<Duration> {
        // Subscribed before the first look: a change after it is not missed.
        let mut changes = store.subscribe();
        let mut told = None;
        loop {
            let stored = match store.request(id).await {
                Ok(Some(stored)) => stored,
                // It was taken out of the store while it was followed: it can only be begun anew.
                Ok(None) => return Some(PATIENCE),
                Err(error) => return self.later(&error),
            };
            if told.is_none() {
                self.tell(Message::Begun(self.number.clone(), stored.created)).await;
            }
            if stored.state == State::Unknown && told != Some(State::Unknown) {
                self.tell(Message::Unknown(self.number.clone())).await;
            } else if stored.state.is_final() && stored.state != State::Unknown {
                let StoredRequest { state, failure, answer, .. } = &stored;
                self.end(*state, failure.as_ref(), answer.as_ref()).await;
                return None;
            }
            told = Some(stored.state);
            let next = async {
                loop {
                    match changes.recv().await {
                        Ok(change) if change.id != id => {}
                        Ok(_) | Err(RecvError::Lagged(_)) => return true,
                        Err(RecvError::Closed) => return false,
                    }
                }
            };
            if timeout(LOOK, next).await == Ok(false) {
                return None;
            }
        }
    }

    async fn end(&self, state: State, failure: Option<&Failure>, answer: Option<&Answer>) {
        let verdict = match (state, failure) {
            (State::Completed, _) => Verdict::Accepted(self.account(answer)),
            (_, Some(failure)) => Verdict::Rejected(failure.code.to_string(), failure.text.clone()),
            (state, None) => Verdict::Rejected(state.name().to_owned(), format!("the request was {state} at Headgate")),
        };
        self.tell(Message::Ended(self.number.clone(), verdict)).await;
    }

    /// The platform's number of the account that was made.
    fn account(&self, answer: Option<&Answer>) -> Option<String> {
        if self.part.body.command != CommandKind::CreateSubscriber {
            return None;
        }
        match answer {
            Some(Answer::Subscriber(known)) => Some(known.account.as_str().to_owned()),
            _ => self.part.body.account.as_ref().map(AccountNumber::as_str).map(str::to_owned),
        }
    }

    fn later(&self, why: &dyn std::fmt::Display) -> Option<Duration> {
        tracing::debug!(number = self.number, "a request of the CRM is tried again in a moment: {why}");
        Some(PATIENCE)
    }

    async fn tell(&self, message: Message) {
        // The task may be gone: the next start finds the request again.
        let _ = self.task.send(message).await;
    }
}
