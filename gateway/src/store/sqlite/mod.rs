//! The store in one SQLite file: one thread writes (`writer`), a few connections read beside it (`reader`).
//!
//! `schema` opens and migrates the file; `group` and `fate` tell what a group of changes does to it; `row` and
//! `query` read it.

use std::sync::{Arc, mpsc};

use headgate_core::dispatch::store::{Change, Recovered, StoreCall};
use headgate_core::failure::{Blame, Failure, Retry, Sent};
use headgate_core::request::{RequestId, State};
use headgate_core::text::{ProviderName, SubscriptionNumber};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{broadcast, oneshot};

use self::query::Unfinished;
use self::reader::Readers;
use self::writer::{Batch, GROUP_LIMIT, Job, Keep, Unreadable, Writer};
use super::subscriptions::{
    OutOfSyncCount, StoredSubscription, SubscriptionChange, SubscriptionFilter, SubscriptionListing, SubscriptionPage,
};
use super::{
    BoxFuture, Filter, KeyHolder, Listing, Page, RefusedBy, ReportSender, StateChange, Store, StoreError, StoreReport,
    StoredRequest,
};
use crate::config::StoreConfig;

mod fate;
mod group;
mod query;
mod reader;
mod row;
mod schema;
mod subscription;
#[cfg(test)]
mod tests;
mod writer;

/// How many state changes a follower may lag before it has to ask for what it missed.
const FOLLOWERS_LAG: usize = 8192;

/// A store in a SQLite file.
pub struct SqliteStore {
    jobs: mpsc::Sender<Job>,
    readers: Readers,
    followers: broadcast::Sender<StateChange>,
}

impl SqliteStore {
    /// Opens the file, makes or migrates it, and starts the writer. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another store has it open, [`StoreError::Newer`] if a newer program wrote it,
    /// [`StoreError::Failed`] if it can not be read or written.
    pub fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        Self::open_limited(config, None)
    }

    /// The same with a file that can not grow over so many pages: a full disk, for tests.
    fn open_limited(config: &StoreConfig, pages: Option<u32>) -> Result<Self, StoreError> {
        let lock = schema::Lock::take(&config.path)?;
        let conn = schema::open_writer(&config.path)?;
        if let Some(pages) = pages {
            conn.pragma_update(None, "max_page_count", pages).map_err(failed)?;
        }
        let (jobs, queue) = mpsc::channel();
        let followers = broadcast::Sender::new(FOLLOWERS_LAG);
        let keep = Keep { changes: config.keep_changes.max(1), keys: config.keep_keys };
        let writer = Writer::new(conn, lock, queue, followers.clone(), keep).map_err(failed)?;
        std::thread::Builder::new()
            .name("store".into())
            .spawn(|| writer.run())
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Self { jobs, readers: Readers::new(config.path.clone()), followers })
    }

    /// Waits until everything handed over before is written: to give up nothing waits behind it.
    async fn written(&self) -> Result<(), StoreError> {
        self.ask(|reply| Job::GiveUp(Vec::new(), reply)).await
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Store for SqliteStore {
    fn write(&self, mut calls: Vec<StoreCall>, report: &ReportSender) {
        while !calls.is_empty() {
            let rest = if calls.len() > GROUP_LIMIT { calls.split_off(GROUP_LIMIT) } else { Vec::new() };
            let batch = Batch { calls, report: report.clone() };
            if let Err(mpsc::SendError(Job::Write(batch))) = self.jobs.send(Job::Write(batch)) {
                refuse(batch);
            }
            calls = rest;
        }
    }

    fn request(&self, id: RequestId) -> BoxFuture<'_, Result<Option<StoredRequest>, StoreError>> {
        let read = move |conn: &Connection| {
            let sql = format!("{} WHERE r.id = ?1", row::SELECT_REQUEST);
            let mut select = conn.prepare_cached(&sql).map_err(failed)?;
            select.query_row([id.0.as_bytes()], |row| Ok(row::stored(row))).optional().map_err(failed)?.transpose()
        };
        Box::pin(async move {
            match self.readers.read(read).await? {
                Some(request) => Ok(Some(request)),
                // It may be on its way to the file.
                None => {
                    self.written().await?;
                    self.readers.read(read).await
                }
            }
        })
    }

    fn requests(&self, filter: Filter, page: Page) -> BoxFuture<'_, Result<Listing, StoreError>> {
        Box::pin(async move {
            self.written().await?;
            self.readers.read(move |conn| query::page(conn, &filter, page)).await
        })
    }

    fn by_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<KeyHolder>, StoreError>> {
        let key = key.to_owned();
        Box::pin(self.readers.read(move |conn| {
            let sql = "SELECT r.id, k.digest FROM keys k JOIN requests r ON r.number = k.number WHERE k.key = ?1";
            let mut select = conn.prepare_cached(sql).map_err(failed)?;
            let found = select.query_row([key], |row| Ok((row::id(row, 0), row.get(1)?))).optional().map_err(failed)?;
            found.map(|(id, digest)| Ok((id?, digest))).transpose()
        }))
    }

    fn unfinished(&self, provider: ProviderName) -> BoxFuture<'_, Result<Vec<Recovered>, StoreError>> {
        Box::pin(async move {
            // An engine that was given up may have left changes.
            self.written().await?;
            let rows = self.readers.read(move |conn| query::unfinished(conn, provider.as_str())).await?;
            let mut readable = Vec::with_capacity(rows.len());
            let mut unreadable = Vec::new();
            for Unfinished { number, sent, request } in rows {
                let request = match request {
                    Ok(request) => recovered(&request),
                    Err(StoreError::Damaged(what)) => Err(what),
                    Err(error) => return Err(error),
                };
                match request {
                    Ok(request) => readable.push(request),
                    Err(why) => unreadable.push(given_up(number, sent, &why)),
                }
            }
            if !unreadable.is_empty() {
                self.ask(|reply| Job::GiveUp(unreadable, reply)).await?;
            }
            Ok(readable)
        })
    }

    fn unfinished_counts(&self) -> BoxFuture<'_, Result<Vec<(ProviderName, u64)>, StoreError>> {
        Box::pin(self.readers.read(query::unfinished_counts))
    }

    fn last_number(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.readers.read(|conn| query::last_number(conn).map(row::unsigned)))
    }

    fn changes(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<StateChange>, StoreError>> {
        Box::pin(self.readers.read(move |conn| {
            let mut select = conn.prepare_cached(row::SELECT_CHANGES).map_err(failed)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = select.query([row::signed(after), limit]).map_err(failed)?;
            let mut changes = Vec::new();
            while let Some(row) = rows.next().map_err(failed)? {
                changes.extend(query::readable(row::change(row))?);
            }
            Ok(changes)
        }))
    }

    fn last_sequence(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.readers.read(|conn| query::last_sequence(conn).map(row::unsigned)))
    }

    fn subscribe(&self) -> broadcast::Receiver<StateChange> {
        self.followers.subscribe()
    }

    fn subscription(
        &self,
        number: SubscriptionNumber,
    ) -> BoxFuture<'_, Result<Option<StoredSubscription>, StoreError>> {
        Box::pin(async move {
            // What was handed over may be about it.
            self.written().await?;
            self.readers.read(move |conn| subscription::one(conn, &number)).await
        })
    }

    fn subscriptions(
        &self,
        filter: SubscriptionFilter,
        page: SubscriptionPage,
    ) -> BoxFuture<'_, Result<SubscriptionListing, StoreError>> {
        Box::pin(async move {
            self.written().await?;
            self.readers.read(move |conn| subscription::page(conn, &filter, &page)).await
        })
    }

    fn change_subscription(&self, change: SubscriptionChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.ask(|reply| Job::Subscription(Box::new(change), reply)))
    }

    fn due_subscriptions(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<SubscriptionNumber>, StoreError>> {
        Box::pin(self.readers.read(move |conn| subscription::due(conn, now, limit)))
    }

    fn out_of_sync(&self) -> BoxFuture<'_, Result<Vec<OutOfSyncCount>, StoreError>> {
        Box::pin(self.readers.read(subscription::out_of_sync))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.readers.close().await;
            self.ask(|reply| Job::Close(Some(reply))).await
        })
    }
}

/// Answers for a writer that is gone. Only accepts can be refused; whoever makes other changes has stopped before.
fn refuse(batch: Batch) {
    for call in batch.calls.into_iter().filter(|call| matches!(call.change, Change::Accept(..))) {
        let _ = batch.report.send(StoreReport::Refused(call.id, RefusedBy::Disk(StoreError::Closed.to_string())));
    }
}

/// What an engine takes up. The error is for operators, and quotes nothing of the request.
fn recovered(stored: &StoredRequest) -> Result<Recovered, String> {
    Ok(Recovered {
        request: Arc::new(stored.request()?),
        state: stored.state,
        attempts: stored.attempts,
        retry_at: stored.retry_at,
        reference: stored.platform_reference.clone(),
    })
}

/// How a request ends that nobody can go on with: as failed if it had not gone out, else as unknown.
fn given_up(number: u64, sent: bool, why: &str) -> Unreadable {
    tracing::error!(number, why, "a request that had not ended can not be read; it is given up");
    let failure = Failure {
        code: "unreadable".into(),
        text: format!("this version of Headgate can not read the stored request ({why}); send it again"),
        blame: Blame::Gateway,
        retry: Retry::Never,
        sent: if sent { Sent::Maybe } else { Sent::No },
        parts: Vec::new(),
    };
    Unreadable { number, state: if sent { State::Unknown } else { State::Failed }, failure }
}

/// What SQLite says, in the store's words. Its texts name columns and types, never values.
fn failed(error: rusqlite::Error) -> StoreError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    match error {
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => {
            StoreError::Damaged(error.to_string())
        }
        _ => StoreError::Failed(error.to_string()),
    }
}
