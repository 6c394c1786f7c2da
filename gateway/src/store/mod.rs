//! The durable store: what is acknowledged is on disk.
//!
//! One writer applies the engines' changes in order, many to a commit; readers work beside it.

use std::pin::Pin;
use std::sync::Arc;

use headgate_core::body::RequestBody;
use headgate_core::command::CommandKind;
use headgate_core::dispatch::store::{ChangeId, Recovered, StoreCall};
use headgate_core::failure::Failure;
use headgate_core::outcome::{Answer, Exchange};
use headgate_core::request::{Body, Idempotency, Priority, Process, Request, RequestId, Source, State};
use headgate_core::text::{PlatformReference, ProviderName, Reference, SubscriptionNumber};
use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc};

use self::subscriptions::{
    OutOfSyncCount, StoredSubscription, SubscriptionChange, SubscriptionFilter, SubscriptionListing, SubscriptionPage,
};
use crate::config::StoreConfig;

#[cfg(test)]
mod conformance;
pub mod sqlite;
pub mod subscriptions;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where changes are reported once they are stored. One for each provider's task.
pub type ReportSender = mpsc::UnboundedSender<StoreReport>;

/// Opens the store that the configuration names.
///
/// # Errors
/// See [`sqlite::SqliteStore::open`].
pub async fn open(config: &StoreConfig) -> Result<Arc<dyn Store>, StoreError> {
    let config = config.clone();
    let opened = tokio::task::spawn_blocking(move || sqlite::SqliteStore::open(&config)).await;
    Ok(Arc::new(opened.map_err(|error| StoreError::Failed(error.to_string()))??))
}

/// The request that has an idempotency key, and the SHA-256 digest of the body it came with.
pub type KeyHolder = (RequestId, [u8; 32]);

/// What became of changes.
#[derive(Debug)]
pub enum StoreReport {
    /// These are stored, durably where that was asked. In order.
    Stored(Vec<ChangeId>),
    /// This [`headgate_core::dispatch::store::Change::Accept`] could not be stored; the request never was.
    Refused(ChangeId, RefusedBy),
}

/// Why an accept was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    /// The disk is full or broken; the text is for operators.
    Disk(String),
    /// Another request has the idempotency key.
    KeyTaken,
}

/// A store. Every implementation passes the same tests.
pub trait Store: Send + Sync + 'static {
    /// Hands changes to the writer and returns at once. They are applied in order, and reported to `report`
    /// in order, with those of other callers in the same commit where possible.
    fn write(&self, calls: Vec<StoreCall>, report: &ReportSender);

    /// One request, with everything known of it.
    fn request(&self, id: RequestId) -> BoxFuture<'_, Result<Option<StoredRequest>, StoreError>>;

    /// Requests, newest first, one page.
    fn requests(&self, filter: Filter, page: Page) -> BoxFuture<'_, Result<Listing, StoreError>>;

    /// The request an idempotency key was accepted with, and the digest of the body it came with.
    fn by_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<KeyHolder>, StoreError>>;

    /// The requests of a provider that have not ended, by number: what an engine recovers. Every change that was
    /// handed over before counts.
    fn unfinished(&self, provider: ProviderName) -> BoxFuture<'_, Result<Vec<Recovered>, StoreError>>;

    /// How many requests of each provider have not ended, for providers that have any.
    fn unfinished_counts(&self) -> BoxFuture<'_, Result<Vec<(ProviderName, u64)>, StoreError>>;

    /// The number of the newest request; zero if there is none.
    fn last_number(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// State changes after `after`, oldest first, at most `limit`. Their sequences follow each other; where the
    /// first is not the next after `after`, those between are kept no longer.
    fn changes(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<StateChange>, StoreError>>;

    /// The sequence of the newest state change; zero if there is none.
    fn last_sequence(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// State changes from now on. A receiver that lags asks [`Store::changes`] for what it missed.
    fn subscribe(&self) -> broadcast::Receiver<StateChange>;

    /// One subscription, with what the platforms are believed to hold of it and what is on its way, as of one moment.
    fn subscription(&self, number: SubscriptionNumber)
    -> BoxFuture<'_, Result<Option<StoredSubscription>, StoreError>>;

    /// Subscriptions by number, one page; without what is on its way.
    fn subscriptions(
        &self,
        filter: SubscriptionFilter,
        page: SubscriptionPage,
    ) -> BoxFuture<'_, Result<SubscriptionListing, StoreError>>;

    /// Changes a subscription, durably; false: nothing was changed, because it is not as the change expects any more.
    fn change_subscription(&self, change: SubscriptionChange) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Subscriptions that something is to be done about: they change by themselves by `now`, or their requests are
    /// still to be made. At most `limit`.
    fn due_subscriptions(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<SubscriptionNumber>, StoreError>>;

    /// How many subscriptions are out of step, by provider and reason.
    fn out_of_sync(&self) -> BoxFuture<'_, Result<Vec<OutOfSyncCount>, StoreError>>;

    /// Waits until everything handed over is on disk, then closes the store.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A request with its fate, as the store holds it.
#[derive(Clone, Debug)]
pub struct StoredRequest {
    /// Its id.
    pub id: RequestId,
    /// Its human number.
    pub number: u64,
    /// Its provider.
    pub provider: ProviderName,
    /// Its subscription.
    pub subscription: Option<SubscriptionNumber>,
    /// Its command.
    pub command: CommandKind,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether it goes out by itself.
    pub process: Process,
    /// Who made it.
    pub source: Source,
    /// The CRM's own reference.
    pub reference: Option<Reference>,
    /// Not before this time.
    pub not_before: Option<Timestamp>,
    /// Not after this time.
    pub expires: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// How often it was sent.
    pub attempts: u32,
    /// It waits until this time for its next attempt.
    pub retry_at: Option<Timestamp>,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it last went out.
    pub sent_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The JSON it came as. Holds secrets: mask it before showing.
    pub body: bytes::Bytes,
    /// Why it did not work, last time.
    pub failure: Option<Failure>,
    /// What the platform told.
    pub answer: Option<Answer>,
    /// The platform's own number for it.
    pub platform_reference: Option<PlatformReference>,
    /// What went out and what came back.
    pub exchange: Exchange,
    /// The key it was posted with.
    pub idempotency: Option<Idempotency>,
}

impl StoredRequest {
    /// The request again, as it was accepted.
    ///
    /// # Errors
    /// Why its JSON can not be read by this program. Quotes nothing of it.
    pub fn request(&self) -> Result<Request, String> {
        let body: RequestBody = serde_json::from_slice(&self.body).map_err(|error| {
            format!("its JSON can not be read (column {} of line {})", error.column(), error.line())
        })?;
        let command = body.command().map_err(|refusal| refusal.to_string())?;
        Ok(Request {
            id: self.id,
            number: self.number,
            provider: self.provider.clone(),
            subscription: self.subscription.clone(),
            account: body.account,
            command,
            priority: self.priority,
            process: self.process,
            not_before: self.not_before,
            expires: self.expires,
            reference: self.reference.clone(),
            source: self.source,
            created: self.created,
            body: Body(self.body.clone()),
            idempotency: self.idempotency.clone(),
        })
    }
}

/// Which requests.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this provider.
    pub provider: Option<ProviderName>,
    /// Of this subscription.
    pub subscription: Option<SubscriptionNumber>,
    /// In this state.
    pub state: Option<State>,
    /// With this command.
    pub command: Option<CommandKind>,
    /// Made by this.
    pub source: Option<Source>,
    /// With this reference of the CRM.
    pub reference: Option<Reference>,
    /// Accepted at or after this time.
    pub from: Option<Timestamp>,
    /// Accepted before this time.
    pub to: Option<Timestamp>,
}

/// Which part of a listing.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Only requests with a smaller number; absent: from the newest.
    pub before: Option<u64>,
    /// At most so many, 1 to 1,000.
    pub limit: usize,
}

/// One page of a listing.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The requests, newest first.
    pub requests: Vec<StoredRequest>,
    /// [`Page::before`] of the next page; absent: this is the last.
    pub next: Option<u64>,
}

/// A request changed its state.
#[derive(Clone, Debug)]
pub struct StateChange {
    /// Its place among all changes, growing.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Which request.
    pub id: RequestId,
    /// Its number.
    pub number: u64,
    /// Its provider.
    pub provider: ProviderName,
    /// Its subscription.
    pub subscription: Option<SubscriptionNumber>,
    /// Its command.
    pub command: CommandKind,
    /// The CRM's reference.
    pub reference: Option<Reference>,
    /// The state it has now.
    pub state: State,
    /// The code of its failure, if it has one.
    pub code: Option<String>,
}

/// Why the store did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It was written by a newer Headgate.
    #[error(
        "{path} was written by a newer Headgate (schema {found}, this program knows up to {known}); use that version, or restore a backup"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Another process has it open for writing.
    #[error("{path} is in use by another Headgate; stop it first, or use another store")]
    Locked {
        /// The file.
        path: String,
    },
    /// What it holds can not be understood.
    #[error("the store holds something this program can not read: {0}")]
    Damaged(String),
    /// It failed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// It is closed.
    #[error("the store is closed")]
    Closed,
}
