//! Subscriptions in the file: read, changed, and told how their requests ended.

use std::collections::BTreeMap;

use headgate_core::body::RequestBody;
use headgate_core::command::Command;
use headgate_core::dispatch::store::Finish;
use headgate_core::failure::{Failure, Sent};
use headgate_core::outcome::Verdict;
use headgate_core::request::{Request, State};
use headgate_core::subscription::Subscription;
use headgate_core::text::{ProviderName, SubscriptionNumber};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::failed;
use super::fate::Subject;
use super::row::{signed, unsigned};
use crate::store::StoreError;
use crate::store::subscriptions::{
    Holding, OutOfSyncCount, Planned, StoredSubscription, SubscriptionChange, SubscriptionFilter, SubscriptionListing,
    SubscriptionPage,
};

/// Most subscriptions of one page.
const LONGEST_PAGE: usize = 1_000;

/// One subscription, with what is on its way.
pub(super) fn one(conn: &Connection, number: &SubscriptionNumber) -> Result<Option<StoredSubscription>, StoreError> {
    let Some(mut stored) = load(conn, number.as_str())? else { return Ok(None) };
    let sql = "SELECT p.name, r.body FROM requests r INDEXED BY requests_subscription
        JOIN names p ON p.code = r.provider
        WHERE r.subscription IS NOT NULL AND r.subscription = ?1 AND r.state < 2 ORDER BY r.number";
    let mut select = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = select.query([number.as_str()]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (provider, body): (String, Vec<u8>) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        let Some(holding) = ProviderName::new(&provider).ok().and_then(|name| stored.holdings.get_mut(&name)) else {
            continue;
        };
        // A request that can not be read is given up by its engine, which marks the subscription.
        holding.pending.extend(command(&body).filter(|command| !command.kind().is_query()));
    }
    Ok(Some(stored))
}

/// One page, by number. A subscription that can not be read is left out, and logged.
pub(super) fn page(
    conn: &Connection,
    filter: &SubscriptionFilter,
    page: &SubscriptionPage,
) -> Result<SubscriptionListing, StoreError> {
    let limit = page.limit.clamp(1, LONGEST_PAGE);
    let (sql, values) = select(filter, page.after.as_deref(), limit + 1);
    let mut statement = conn.prepare_cached(&sql).map_err(failed)?;
    let numbers = statement.query_map(params_from_iter(&values), |row| row.get(0)).map_err(failed)?;
    let mut numbers = numbers.collect::<Result<Vec<String>, _>>().map_err(failed)?;
    let more = numbers.len() > limit;
    numbers.truncate(limit);
    let mut subscriptions = Vec::with_capacity(numbers.len());
    for number in &numbers {
        subscriptions.extend(super::query::readable(load(conn, number))?.flatten());
    }
    Ok(SubscriptionListing { subscriptions, next: numbers.pop().filter(|_| more) })
}

/// Those that something is to be done about.
pub(super) fn due(conn: &Connection, now: Timestamp, limit: usize) -> Result<Vec<SubscriptionNumber>, StoreError> {
    let sql = "SELECT number FROM subscriptions INDEXED BY subscriptions_due
            WHERE next_change IS NOT NULL AND next_change <= ?1
        UNION SELECT subscription FROM holdings INDEXED BY holdings_unplanned WHERE unplanned = 1
        LIMIT ?2";
    let mut select = conn.prepare_cached(sql).map_err(failed)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let numbers = select.query_map(params![now.as_microsecond(), limit], |row| row.get::<_, String>(0));
    let numbers = numbers.and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?;
    Ok(numbers.iter().filter_map(|number| SubscriptionNumber::new(number).ok()).collect())
}

/// How many are out of step, by provider and reason.
pub(super) fn out_of_sync(conn: &Connection) -> Result<Vec<OutOfSyncCount>, StoreError> {
    let sql = "SELECT provider, out_of_sync, count(*) FROM holdings INDEXED BY holdings_out_of_sync
        WHERE out_of_sync IS NOT NULL GROUP BY provider, out_of_sync ORDER BY provider, out_of_sync";
    let count =
        |row: &Row<'_>| Ok(OutOfSyncCount { provider: row.get(0)?, reason: row.get(1)?, count: unsigned(row.get(2)?) });
    let mut select = conn.prepare_cached(sql).map_err(failed)?;
    let counts = select.query_map([], count).map_err(failed)?;
    counts.collect::<Result<_, _>>().map_err(failed)
}

/// Applies a change; false: it was not as the change expects, and the transaction holds nothing.
pub(super) fn change(conn: &Connection, change: &SubscriptionChange) -> Result<bool, StoreError> {
    match change {
        SubscriptionChange::Want { desired, next_change, plans } => {
            let mut holdings = Vec::with_capacity(plans.len());
            for plan in plans {
                let found = holding(conn, desired.number.as_str(), &plan.provider)?.unwrap_or_default();
                if found.revision != plan.seen {
                    return Ok(false);
                }
                holdings.push((plan, found));
            }
            want(conn, desired, *next_change)?;
            for (Planned { provider, out_of_sync, unplanned, .. }, mut found) in holdings {
                found.authorised.out_of_sync.clone_from(out_of_sync);
                found.unplanned = *unplanned;
                keep(conn, desired.number.as_str(), provider, &found)?;
            }
        }
        SubscriptionChange::Made { number, providers, at } => {
            for (provider, reason) in providers {
                let Some(mut found) = holding(conn, number.as_str(), provider)? else { continue };
                found.unplanned = false;
                if let Some(reason) = reason {
                    found.authorised.mark(reason.clone(), *at);
                }
                keep(conn, number.as_str(), provider, &found)?;
            }
        }
        SubscriptionChange::Adopt { number, provider, seen, authorised } => {
            let found = holding(conn, number.as_str(), provider)?.unwrap_or_default();
            if found.revision != *seen {
                return Ok(false);
            }
            keep(conn, number.as_str(), provider, &Holding { authorised: (**authorised).clone(), ..found })?;
        }
        SubscriptionChange::Forget { number } => {
            for sql in ["DELETE FROM holdings WHERE subscription = ?1", "DELETE FROM subscriptions WHERE number = ?1"] {
                conn.execute(sql, [number.as_str()]).map_err(failed)?;
            }
        }
    }
    Ok(true)
}

/// Takes note of how a request ended, if its subscription is kept here. `request` is the request itself, where it is
/// at hand.
pub(super) fn ended(
    conn: &Connection,
    subject: &Subject,
    request: Option<&Request>,
    finish: &Finish,
) -> rusqlite::Result<()> {
    let Some(subscription) = subject.subscription.as_ref().filter(|_| !subject.command.is_query()) else {
        return Ok(());
    };
    let Some(row) = holding_row(conn, subscription.as_str(), &subject.provider)? else { return Ok(()) };
    let mut found = match row.understood() {
        Ok(found) => found,
        Err(error) => {
            // The outcome itself must be stored all the same.
            tracing::error!(%error, "what a platform is believed to hold is not kept up to date");
            return Ok(());
        }
    };
    let told = match request {
        Some(request) => Some(request.command.clone()),
        None => {
            let mut select = conn.prepare_cached("SELECT body FROM requests WHERE number = ?1")?;
            let body: Option<Vec<u8>> = select.query_row([signed(subject.number)], |row| row.get(0)).optional()?;
            body.and_then(|body| command(&body))
        }
    };
    let Some(told) = told else { return Ok(()) };
    found.authorised.apply(&told, &verdict(finish), finish.finished_at);
    keep_row(conn, subscription.as_str(), &subject.provider, &found)
}

/// What the end of a request says about the platform.
fn verdict(finish: &Finish) -> Verdict {
    let failure = finish.failure.clone();
    match finish.state {
        State::Completed => Verdict::Completed(None),
        State::Rejected => Verdict::Rejected(failure.unwrap_or_else(|| Failure::refused("rejected", ""))),
        State::Unknown => {
            let failure = failure.unwrap_or_else(|| Failure::unanswered("unknown", ""));
            Verdict::Failed(Failure { sent: Sent::Maybe, ..failure })
        }
        State::Failed => Verdict::Failed(failure.unwrap_or_else(|| Failure::not_sent("failed", ""))),
        State::Cancelled | State::Expired | State::Waiting | State::Sent => {
            Verdict::Failed(Failure::not_sent(finish.state.name(), ""))
        }
    }
}

fn load(conn: &Connection, number: &str) -> Result<Option<StoredSubscription>, StoreError> {
    let mut select = conn.prepare_cached("SELECT desired FROM subscriptions WHERE number = ?1").map_err(failed)?;
    let desired: Option<String> = select.query_row([number], |row| row.get(0)).optional().map_err(failed)?;
    let Some(desired) = desired else { return Ok(None) };
    // The JSON's own errors may quote what they met, which may be a subscriber's.
    let desired = serde_json::from_str(&desired).map_err(|_| StoreError::Damaged("a subscription".into()))?;
    let sql = "SELECT provider, revision, unplanned, authorised FROM holdings WHERE subscription = ?1";
    let mut select = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = select.query([number]).map_err(failed)?;
    let mut holdings = BTreeMap::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let provider: String = row.get(0).map_err(failed)?;
        let provider = ProviderName::new(&provider).map_err(|_| StoreError::Damaged("a provider's name".into()))?;
        holdings.insert(provider, HoldingRow::read(row, 1).map_err(failed)?.understood()?);
    }
    Ok(Some(StoredSubscription { desired, holdings }))
}

fn holding(conn: &Connection, number: &str, provider: &ProviderName) -> Result<Option<Holding>, StoreError> {
    let row = holding_row(conn, number, provider).map_err(failed)?;
    row.map(HoldingRow::understood).transpose()
}

fn holding_row(conn: &Connection, number: &str, provider: &ProviderName) -> rusqlite::Result<Option<HoldingRow>> {
    let sql = "SELECT revision, unplanned, authorised FROM holdings WHERE subscription = ?1 AND provider = ?2";
    let mut select = conn.prepare_cached(sql)?;
    select.query_row([number, provider.as_str()], |row| HoldingRow::read(row, 0)).optional()
}

/// A row as it is, not yet understood.
struct HoldingRow {
    revision: i64,
    unplanned: bool,
    authorised: String,
}

impl HoldingRow {
    /// Reads the columns from `first` on.
    fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self { revision: row.get(first)?, unplanned: row.get(first + 1)?, authorised: row.get(first + 2)? })
    }

    fn understood(self) -> Result<Holding, StoreError> {
        let authorised = serde_json::from_str(&self.authorised)
            .map_err(|_| StoreError::Damaged("what a platform is believed to hold".into()))?;
        let (revision, unplanned) = (unsigned(self.revision), self.unplanned);
        Ok(Holding { authorised, revision, unplanned, pending: Vec::new() })
    }
}

fn want(conn: &Connection, desired: &Subscription, next_change: Option<Timestamp>) -> Result<(), StoreError> {
    let json = serde_json::to_string(desired).map_err(|error| StoreError::Failed(error.to_string()))?;
    let sql = "INSERT OR REPLACE INTO subscriptions (number, state, kind, created, next_change, desired)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = conn.prepare_cached(sql).map_err(failed)?;
    let kind = desired.kind.as_ref().map(|kind| kind.as_str());
    let (created, next_change) = (desired.created.as_microsecond(), next_change.map(Timestamp::as_microsecond));
    let values = params![desired.number.as_str(), desired.state.name(), kind, created, next_change, json];
    insert.execute(values).map(drop).map_err(failed)
}

fn keep(conn: &Connection, number: &str, provider: &ProviderName, holding: &Holding) -> Result<(), StoreError> {
    keep_row(conn, number, provider, holding).map_err(failed)
}

/// Writes a row under its next revision.
fn keep_row(conn: &Connection, number: &str, provider: &ProviderName, holding: &Holding) -> rusqlite::Result<()> {
    let Holding { authorised, revision, unplanned, .. } = holding;
    let json =
        serde_json::to_string(authorised).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let sql = "INSERT OR REPLACE INTO holdings (subscription, provider, revision, out_of_sync, unplanned, authorised)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let reason = authorised.out_of_sync.as_ref().map(|mark| mark.reason.name());
    let mut insert = conn.prepare_cached(sql)?;
    insert.execute(params![number, provider.as_str(), signed(revision + 1), reason, unplanned, json]).map(drop)
}

fn command(body: &[u8]) -> Option<Command> {
    serde_json::from_slice::<RequestBody>(body).ok()?.command().ok()
}

/// The numbers that a filter means, by the index that leads to the fewest.
fn select(filter: &SubscriptionFilter, after: Option<&str>, limit: usize) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = Vec::new();
    let mut conditions = String::new();
    let mut and = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.push(value);
            conditions += &format!(" AND {condition} ?{}", values.len());
        }
    };
    let text = |text: &str| Value::from(text.to_owned());
    and("s.number >", after.map(text));
    and("s.state =", filter.state.map(|state| text(state.name())));
    and("s.kind =", filter.kind.as_ref().map(|kind| text(kind.as_str())));
    and("s.created >=", filter.from.map(|from| Value::from(from.as_microsecond())));
    and("s.created <", filter.to.map(|to| Value::from(to.as_microsecond())));
    let provider = filter.provider.as_ref().map(|provider| text(provider.as_str()));
    let at = if provider.is_some() { format!(" AND h.provider = ?{}", values.len() + 1) } else { String::new() };
    values.extend(provider);
    let marked = "EXISTS (SELECT 1 FROM holdings h WHERE h.subscription = s.number AND h.out_of_sync IS NOT NULL";
    let known = match at.is_empty() {
        true => "TRUE".to_owned(),
        false => format!("EXISTS (SELECT 1 FROM holdings h WHERE h.subscription = s.number{at})"),
    };
    let (from, rule) = match filter.out_of_sync {
        Some(true) => (
            "holdings h INDEXED BY holdings_out_of_sync CROSS JOIN subscriptions s ON s.number = h.subscription",
            format!("h.out_of_sync IS NOT NULL{at}"),
        ),
        Some(false) => ("subscriptions s", format!("{known} AND NOT {marked}{at})")),
        None => ("subscriptions s", known),
    };
    let sql = format!("SELECT DISTINCT s.number FROM {from} WHERE {rule}{conditions} ORDER BY s.number LIMIT {limit}");
    (sql, values)
}
