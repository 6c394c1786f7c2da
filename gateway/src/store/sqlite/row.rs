//! Rows and the values they stand for.

use bytes::Bytes;
use headgate_core::command::CommandKind;
use headgate_core::outcome::Exchange;
use headgate_core::request::{Idempotency, Priority, Process, RequestId, Source, State};
use headgate_core::text::TextError;
use jiff::Timestamp;
use rusqlite::Row;
use uuid::Uuid;

use super::failed;
use super::fate::{Fate, Known, Subject};
use crate::store::{StateChange, StoreError, StoredRequest};

/// Reads whole requests; a `WHERE` goes behind it. The order of the columns is that of [`stored`].
pub(super) const SELECT_REQUEST: &str = "
    SELECT r.id, r.number, p.name, r.subscription, c.name, r.reference,
           r.state, r.attempts, r.retry_at, r.sent_at, r.finished_at, r.failure, r.answer, r.platform_reference,
           r.priority, r.process, r.source, r.not_before, r.expires, r.created, r.body, r.request, r.response,
           k.key, k.digest
    FROM requests r
    JOIN names p ON p.code = r.provider
    JOIN names c ON c.code = r.command
    LEFT JOIN keys k ON k.number = r.number";

/// Reads what the writer needs of one request, in the order of [`known`]: the first columns of [`SELECT_REQUEST`].
pub(super) const SELECT_KNOWN: &str = "
    SELECT r.id, r.number, p.name, r.subscription, c.name, r.reference,
           r.state, r.attempts, r.retry_at, r.sent_at, r.finished_at, r.failure, r.answer, r.platform_reference
    FROM requests r
    JOIN names p ON p.code = r.provider
    JOIN names c ON c.code = r.command
    WHERE r.id = ?1";

/// Reads state changes, in the order of [`change`]. The cross join keeps SQLite from starting at the names.
pub(super) const SELECT_CHANGES: &str = "
    SELECT r.id, r.number, p.name, r.subscription, c.name, r.reference, h.sequence, h.at, h.state, h.code
    FROM changes h
    CROSS JOIN requests r ON r.number = h.number
    CROSS JOIN names p ON p.code = r.provider
    CROSS JOIN names c ON c.code = r.command
    WHERE h.sequence > ?1
    ORDER BY h.sequence
    LIMIT ?2";

pub(super) fn stored(row: &Row<'_>) -> Result<StoredRequest, StoreError> {
    let Known { subject, fate } = known(row)?;
    let number = subject.number;
    let failure = fate.failure.as_deref().map(serde_json::from_str).transpose();
    let answer = fate.answer.as_deref().map(serde_json::from_str).transpose();
    Ok(StoredRequest {
        id: subject.id,
        number,
        provider: subject.provider,
        subscription: subject.subscription,
        command: subject.command,
        priority: priority(row.get(14).map_err(failed)?).ok_or_else(|| damaged(number, "priority"))?,
        process: process(row.get(15).map_err(failed)?).ok_or_else(|| damaged(number, "process"))?,
        source: source(row.get(16).map_err(failed)?).ok_or_else(|| damaged(number, "source"))?,
        reference: subject.reference,
        not_before: time(row, 17, number)?,
        expires: time(row, 18, number)?,
        state: fate.state,
        attempts: fate.attempts,
        retry_at: fate.retry_at,
        created: time(row, 19, number)?.ok_or_else(|| damaged(number, "created"))?,
        sent_at: fate.sent_at,
        finished_at: fate.finished_at,
        body: bytes(row, 20)?,
        // The JSON's own errors may quote what they met, which may be a subscriber's.
        failure: failure.map_err(|_| damaged(number, "failure"))?,
        answer: answer.map_err(|_| damaged(number, "answer"))?,
        platform_reference: fate.reference,
        exchange: Exchange { request: bytes(row, 21)?, response: bytes(row, 22)? },
        idempotency: idempotency(row)?,
    })
}

pub(super) fn known(row: &Row<'_>) -> Result<Known, StoreError> {
    let subject = subject(row)?;
    let number = subject.number;
    let fate = Fate {
        state: state(row.get(6).map_err(failed)?).ok_or_else(|| damaged(number, "state"))?,
        // If it was, its row says so by what is not there.
        reopened: false,
        attempts: row.get(7).map_err(failed)?,
        retry_at: time(row, 8, number)?,
        sent_at: time(row, 9, number)?,
        finished_at: time(row, 10, number)?,
        failure: row.get(11).map_err(failed)?,
        answer: row.get(12).map_err(failed)?,
        reference: text(row, 13, number)?,
        exchange: None,
    };
    Ok(Known { subject, fate })
}

pub(super) fn change(row: &Row<'_>) -> Result<StateChange, StoreError> {
    let subject = subject(row)?;
    let number = subject.number;
    Ok(StateChange {
        sequence: unsigned(row.get(6).map_err(failed)?),
        at: time(row, 7, number)?.ok_or_else(|| damaged(number, "time of change"))?,
        id: subject.id,
        number,
        provider: subject.provider,
        subscription: subject.subscription,
        command: subject.command,
        reference: subject.reference,
        state: state(row.get(8).map_err(failed)?).ok_or_else(|| damaged(number, "state"))?,
        code: row.get(9).map_err(failed)?,
    })
}

fn subject(row: &Row<'_>) -> Result<Subject, StoreError> {
    let number = unsigned(row.get(1).map_err(failed)?);
    let command: String = row.get(4).map_err(failed)?;
    Ok(Subject {
        id: id(row, 0)?,
        number,
        provider: text(row, 2, number)?.ok_or_else(|| damaged(number, "provider"))?,
        subscription: text(row, 3, number)?,
        command: CommandKind::from_name(&command).ok_or_else(|| damaged(number, "command"))?,
        reference: text(row, 5, number)?,
    })
}

pub(super) fn id(row: &Row<'_>, column: usize) -> Result<RequestId, StoreError> {
    row.get(column).map(Uuid::from_bytes).map(RequestId).map_err(failed)
}

fn idempotency(row: &Row<'_>) -> Result<Option<Idempotency>, StoreError> {
    let key: Option<String> = row.get(23).map_err(failed)?;
    key.map(|key| Ok(Idempotency { key, digest: row.get(24).map_err(failed)? })).transpose()
}

fn text<T: TryFrom<String, Error = TextError>>(
    row: &Row<'_>,
    column: usize,
    number: u64,
) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.get(column).map_err(failed)?;
    text.map(T::try_from).transpose().map_err(|_| damaged(number, row.as_ref().column_name(column).unwrap_or("text")))
}

fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes, StoreError> {
    row.get::<_, Vec<u8>>(column).map(Bytes::from).map_err(failed)
}

fn time(row: &Row<'_>, column: usize, number: u64) -> Result<Option<Timestamp>, StoreError> {
    let micros: Option<i64> = row.get(column).map_err(failed)?;
    micros.map(Timestamp::from_microsecond).transpose().map_err(|_| damaged(number, "a time"))
}

fn damaged(number: u64, what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} of request {number}"))
}

/// A number as SQLite keeps it. Numbers and sequences are counted up from one, so none reaches the end.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The same, back.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) const fn state_code(state: State) -> i64 {
    match state {
        State::Waiting => 0,
        State::Sent => 1,
        State::Completed => 2,
        State::Rejected => 3,
        State::Failed => 4,
        State::Unknown => 5,
        State::Cancelled => 6,
        State::Expired => 7,
    }
}

pub(super) fn state(code: i64) -> Option<State> {
    State::ALL.into_iter().find(|state| state_code(*state) == code)
}

pub(super) const fn priority_code(priority: Priority) -> i64 {
    match priority {
        Priority::Express => 0,
        Priority::Regular => 1,
    }
}

fn priority(code: i64) -> Option<Priority> {
    [Priority::Express, Priority::Regular].into_iter().find(|priority| priority_code(*priority) == code)
}

pub(super) const fn process_code(process: Process) -> i64 {
    match process {
        Process::Now => 0,
        Process::WithRun => 1,
    }
}

fn process(code: i64) -> Option<Process> {
    [Process::Now, Process::WithRun].into_iter().find(|process| process_code(*process) == code)
}

pub(super) const fn source_code(source: Source) -> i64 {
    match source {
        Source::Api => 0,
        Source::Utility => 1,
        Source::Pull => 2,
        Source::Action => 3,
    }
}

fn source(code: i64) -> Option<Source> {
    let all = [Source::Api, Source::Utility, Source::Pull, Source::Action];
    all.into_iter().find(|source| source_code(*source) == code)
}
