//! The one thread that writes: it takes everything that waits, applies it in one transaction, and reports.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use headgate_core::dispatch::store::{Change, ChangeId, StoreCall};
use headgate_core::failure::Failure;
use headgate_core::request::{RequestId, State};
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::{broadcast, oneshot};

use super::failed;
use super::fate::Known;
use super::group::{Group, Names, Place, Written};
use super::row::{self, signed, unsigned};
use super::schema::Lock;
use super::subscription;
use crate::store::subscriptions::SubscriptionChange;
use crate::store::{RefusedBy, ReportSender, StateChange, StoreError, StoreReport};

/// Most calls in one transaction, but for the rest of the batch that reaches it. More would make those wait who
/// came first, and gain nothing.
pub(super) const GROUP_LIMIT: usize = 4096;

/// How long to wait before what could not be stored is tried again: doubled from the first to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// How long closing waits for a disk that is full or broken.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// What the writer is asked to do.
pub(super) enum Job {
    /// Store these.
    Write(Batch),
    /// Give up requests that can not be read any more.
    GiveUp(Vec<Unreadable>, oneshot::Sender<Result<(), StoreError>>),
    /// Change a subscription.
    Subscription(Box<SubscriptionChange>, oneshot::Sender<Result<bool, StoreError>>),
    /// Store everything, then end, and say so to whoever waits for it.
    Close(Option<oneshot::Sender<Result<(), StoreError>>>),
}

/// What follows the batches that were collected.
enum Then {
    Collect,
    GiveUp(Vec<Unreadable>, oneshot::Sender<Result<(), StoreError>>),
    Subscription(Box<SubscriptionChange>, oneshot::Sender<Result<bool, StoreError>>),
    Close(Option<oneshot::Sender<Result<(), StoreError>>>),
}

/// Calls of one caller.
pub(super) struct Batch {
    pub(super) calls: Vec<StoreCall>,
    pub(super) report: ReportSender,
}

/// A request that had not ended and can not be read, so that no engine can go on with it.
pub(super) struct Unreadable {
    pub(super) number: u64,
    /// How it ends.
    pub(super) state: State,
    pub(super) failure: Failure,
}

/// What the writer keeps for how long.
pub(super) struct Keep {
    /// State changes, at least one.
    pub(super) changes: u64,
    /// Idempotency keys.
    pub(super) keys: Duration,
}

/// The writer's state. It lives on its own thread.
pub(super) struct Writer {
    conn: Connection,
    jobs: Receiver<Job>,
    followers: broadcast::Sender<StateChange>,
    keep: Keep,
    names: Names,
    /// The requests that have not ended, as far as this writer met them.
    known: HashMap<RequestId, Known>,
    /// The newest state change.
    sequence: u64,
    /// The newest state change that was removed.
    trimmed: u64,
    /// Whether commits wait for the disk at present.
    synchronous: bool,
    /// Whether the last group failed, so that a full disk is logged once.
    troubled: bool,
    backlog: Backlog,
    _lock: Lock,
}

/// What could not be stored and must be: everything but accepts.
#[derive(Default)]
struct Backlog {
    batches: VecDeque<Batch>,
    delay: Duration,
    retry: Option<Instant>,
    /// Why, for accepts that come meanwhile.
    why: String,
}

impl Writer {
    /// A writer over a migrated file.
    pub(super) fn new(
        conn: Connection,
        lock: Lock,
        jobs: Receiver<Job>,
        followers: broadcast::Sender<StateChange>,
        keep: Keep,
    ) -> rusqlite::Result<Self> {
        let bound = |sql: &str| conn.query_row(sql, [], |row| row.get(0)).map(unsigned);
        let sequence = bound("SELECT coalesce(max(sequence), 0) FROM changes")?;
        let oldest = bound("SELECT coalesce(min(sequence), 1) FROM changes")?;
        conn.set_prepared_statement_cache_capacity(64);
        conn.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self {
            conn,
            jobs,
            followers,
            keep,
            names: Names::default(),
            known: HashMap::new(),
            sequence,
            trimmed: oldest.saturating_sub(1),
            synchronous: true,
            troubled: false,
            backlog: Backlog::default(),
            _lock: lock,
        })
    }

    /// Works until it is told to close, or nobody is left who could.
    pub(super) fn run(mut self) {
        loop {
            let (batches, then) = self.collect();
            if self.backlog.batches.is_empty() {
                self.store(batches);
            } else {
                self.set_aside(batches);
                self.retry_when_due();
            }
            match then {
                Then::Collect => {}
                Then::GiveUp(unreadable, reply) => {
                    let result = self.give_up(&unreadable).map_err(failed);
                    // Whoever asked may have gone meanwhile, here and below.
                    let _ = reply.send(result);
                }
                Then::Subscription(change, reply) => {
                    let result = self.change_subscription(&change);
                    let _ = reply.send(result);
                }
                Then::Close(reply) => {
                    let result = self.flush();
                    // The file is closed and unlocked before anybody is told so.
                    drop(self);
                    if let Some(reply) = reply {
                        let _ = reply.send(result);
                    }
                    return;
                }
            }
        }
    }

    /// Waits for work, then takes all that is there, up to a group.
    fn collect(&self) -> (Vec<Batch>, Then) {
        let mut batches = Vec::new();
        let mut calls = 0;
        let mut next = self.wait();
        loop {
            match next {
                Some(Job::Write(batch)) => {
                    calls += batch.calls.len();
                    batches.push(batch);
                }
                Some(Job::GiveUp(unreadable, reply)) => return (batches, Then::GiveUp(unreadable, reply)),
                Some(Job::Subscription(change, reply)) => return (batches, Then::Subscription(change, reply)),
                Some(Job::Close(reply)) => return (batches, Then::Close(reply)),
                None => return (batches, Then::Collect),
            }
            if calls >= GROUP_LIMIT {
                return (batches, Then::Collect);
            }
            next = match self.jobs.try_recv() {
                Ok(job) => Some(job),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Job::Close(None)),
            };
        }
    }

    /// The next job; none if the backlog is due first.
    fn wait(&self) -> Option<Job> {
        let Some(retry) = self.backlog.retry else {
            return Some(self.jobs.recv().unwrap_or(Job::Close(None)));
        };
        match self.jobs.recv_timeout(retry.saturating_duration_since(Instant::now())) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Job::Close(None)),
        }
    }

    fn store(&mut self, batches: Vec<Batch>) {
        if batches.is_empty() {
            return;
        }
        match self.apply(&batches) {
            Ok(refused) => report(&batches, refused),
            Err(error) => {
                self.put_off(&error);
                self.set_aside(batches);
            }
        }
    }

    /// Applies a group in one transaction: all of it, or nothing.
    fn apply(&mut self, batches: &[Batch]) -> rusqlite::Result<BTreeMap<Place, RefusedBy>> {
        let durable = batches.iter().flat_map(|batch| &batch.calls).any(|call| call.durable);
        self.set_synchronous(durable)?;
        let transaction = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        let mut refused = BTreeMap::new();
        let mut group = Group::new(&transaction, &mut self.names, &self.known);
        for (outer, batch) in batches.iter().enumerate() {
            for (inner, call) in batch.calls.iter().enumerate() {
                if let Some(by) = group.take((outer, inner), &call.change)? {
                    refused.insert((outer, inner), by);
                }
            }
        }
        let mut written = group.write(self.sequence)?;
        let trimmed = trim(&transaction, &self.keep, &written, self.trimmed)?;
        transaction.commit()?;

        refused.extend(written.refused.drain(..));
        self.trimmed = trimmed;
        self.publish(written);
        if std::mem::take(&mut self.troubled) {
            tracing::info!("the store can be written again");
        }
        Ok(refused)
    }

    /// A commit waits for the disk only when somebody asked for it. The log is written in order, so a later commit
    /// that waits makes those before it durable too.
    fn set_synchronous(&mut self, wanted: bool) -> rusqlite::Result<()> {
        if self.synchronous != wanted {
            self.conn.pragma_update(None, "synchronous", if wanted { "FULL" } else { "NORMAL" })?;
            self.synchronous = wanted;
        }
        Ok(())
    }

    /// Takes over what was committed. Followers are counted only now: one who comes later finds it in the store.
    fn publish(&mut self, written: Written) {
        if self.followers.receiver_count() > 0 {
            for change in written.changes() {
                let _ = self.followers.send(change);
            }
        }
        self.sequence = written.sequence;
        for known in written.known {
            if known.fate.state.is_final() {
                self.known.remove(&known.subject.id);
            } else {
                self.known.insert(known.subject.id, known);
            }
        }
    }

    /// Notes that the disk does not take anything at present, and when to try again.
    fn put_off(&mut self, error: &rusqlite::Error) {
        self.names.forget();
        let delay = self.backlog.delay;
        self.backlog.delay = if delay.is_zero() { FIRST_DELAY } else { (delay * 2).min(LONGEST_DELAY) };
        self.backlog.why = error.to_string();
        if !std::mem::replace(&mut self.troubled, true) {
            tracing::error!(%error, "the store can not be written; new requests are refused until it can");
        }
    }

    /// Refuses the accepts at once, and keeps everything else until it goes through.
    fn set_aside(&mut self, batches: Vec<Batch>) {
        for mut batch in batches {
            let why = &self.backlog.why;
            batch.calls.retain(|call| {
                let accept = matches!(call.change, Change::Accept(..));
                if accept {
                    let _ = batch.report.send(StoreReport::Refused(call.id, RefusedBy::Disk(why.clone())));
                }
                !accept
            });
            if !batch.calls.is_empty() {
                self.backlog.batches.push_back(batch);
            }
        }
        if self.backlog.batches.is_empty() {
            // Nothing has to be kept, so the next accept may try its luck.
            self.backlog = Backlog::default();
        } else if self.backlog.retry.is_none() {
            self.backlog.retry = Some(Instant::now() + self.backlog.delay);
        }
    }

    fn retry_when_due(&mut self) {
        if self.backlog.retry.is_none_or(|retry| Instant::now() < retry) {
            return;
        }
        while let Some(batches) = self.backlog.group() {
            match self.apply(&batches) {
                Ok(refused) => report(&batches, refused),
                Err(error) => {
                    self.put_off(&error);
                    for batch in batches.into_iter().rev() {
                        self.backlog.batches.push_front(batch);
                    }
                    self.backlog.retry = Some(Instant::now() + self.backlog.delay);
                    return;
                }
            }
        }
        self.backlog = Backlog::default();
    }

    /// Ends requests that can not be read. Their rows are not looked at, for those are what is wrong.
    fn give_up(&mut self, unreadable: &[Unreadable]) -> rusqlite::Result<()> {
        self.set_synchronous(true)?;
        let transaction = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        let now = Timestamp::now().as_microsecond();
        let mut sequence = self.sequence;
        for Unreadable { number, state, failure } in unreadable {
            sequence += 1;
            let (number, state) = (signed(*number), row::state_code(*state));
            let text = serde_json::to_string(failure).ok();
            transaction.execute(
                "UPDATE requests SET state = ?2, finished_at = ?3, failure = ?4, retry_at = NULL WHERE number = ?1",
                params![number, state, now, text],
            )?;
            transaction.execute(
                "INSERT INTO changes (sequence, at, number, state, code) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![signed(sequence), now, number, state, failure.code],
            )?;
        }
        transaction.commit()?;
        self.sequence = sequence;
        Ok(())
    }

    /// Changes a subscription in a transaction of its own.
    fn change_subscription(&mut self, change: &SubscriptionChange) -> Result<bool, StoreError> {
        self.set_synchronous(true).map_err(failed)?;
        let transaction = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate).map_err(failed)?;
        let done = subscription::change(&transaction, change)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    /// Gets everything onto the disk, the log included.
    fn flush(&mut self) -> Result<(), StoreError> {
        let patience = Instant::now() + CLOSE_PATIENCE;
        while let Some(retry) = self.backlog.retry {
            if retry > patience {
                let calls: usize = self.backlog.batches.iter().map(|batch| batch.calls.len()).sum();
                let why = &self.backlog.why;
                return Err(StoreError::Failed(format!("{calls} changes could not be stored before closing: {why}")));
            }
            std::thread::sleep(retry.saturating_duration_since(Instant::now()));
            self.retry_when_due();
        }
        self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)
    }
}

impl Backlog {
    /// Takes the oldest batches, up to a group.
    fn group(&mut self) -> Option<Vec<Batch>> {
        let mut batches = Vec::new();
        let mut calls = 0;
        while calls < GROUP_LIMIT
            && let Some(batch) = self.batches.pop_front()
        {
            calls += batch.calls.len();
            batches.push(batch);
        }
        (!batches.is_empty()).then_some(batches)
    }
}

/// Removes state changes and keys that are kept no longer; returns the newest state change that is gone. Changes
/// are removed many at a time, so up to a tenth more than `keep` may be there.
fn trim(conn: &Connection, keep: &Keep, written: &Written, trimmed: u64) -> rusqlite::Result<u64> {
    if written.keys > 0 {
        // More than were added, so that it catches up, and never so many that the group is held up.
        let limit = i64::try_from(2 * written.keys + 16).unwrap_or(i64::MAX);
        let oldest = Timestamp::now().saturating_sub(keep.keys).map_or(i64::MIN, Timestamp::as_microsecond);
        conn.prepare_cached(
            "DELETE FROM keys WHERE created < ?1 AND number IN (SELECT number FROM keys ORDER BY number LIMIT ?2)",
        )?
        .execute([oldest, limit])?;
    }
    let last = written.sequence.saturating_sub(keep.changes);
    if last <= trimmed + (keep.changes / 10).min(4096) {
        return Ok(trimmed);
    }
    conn.prepare_cached("DELETE FROM changes WHERE sequence <= ?1")?.execute([signed(last)])?;
    Ok(last)
}

/// Tells each caller what became of its calls, in order.
fn report(batches: &[Batch], mut refused: BTreeMap<Place, RefusedBy>) {
    for (outer, batch) in batches.iter().enumerate() {
        let mut stored = Vec::with_capacity(batch.calls.len());
        for (inner, call) in batch.calls.iter().enumerate() {
            let Some(by) = refused.remove(&(outer, inner)) else {
                stored.push(call.id);
                continue;
            };
            send_stored(&batch.report, &mut stored);
            let _ = batch.report.send(StoreReport::Refused(call.id, by));
        }
        send_stored(&batch.report, &mut stored);
    }
}

/// A caller that is gone does not want to know any more.
fn send_stored(report: &ReportSender, stored: &mut Vec<ChangeId>) {
    if !stored.is_empty() {
        let _ = report.send(StoreReport::Stored(std::mem::take(stored)));
    }
}
