//! Listings: which requests a filter means, by an index or in the order of the numbers.

use headgate_core::request::State;
use headgate_core::text::ProviderName;
use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::failed;
use super::row::{self, signed, unsigned};
use crate::store::{Filter, Listing, Page, StoreError, StoredRequest};

/// Numbers grow with time but for requests accepted at the same moment, and for a clock that was set. So far off
/// may a request's time be from its neighbours' and still be found by a filter of times.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_hours(1);

/// Most requests of one page.
const LONGEST_PAGE: usize = 1_000;

/// One page, newest first. A request that can not be read is left out, and logged.
pub(super) fn page(conn: &Connection, filter: &Filter, page: Page) -> Result<Listing, StoreError> {
    let limit = page.limit.clamp(1, LONGEST_PAGE);
    let select = Select::new(conn, filter, page.before, limit + 1)?;
    let mut numbers = select.numbers(conn).map_err(failed)?;
    let more = numbers.len() > limit;
    numbers.truncate(limit);
    let next = numbers.last().filter(|_| more).map(|number| unsigned(*number));
    let mut requests = Vec::with_capacity(numbers.len());
    let sql = format!("{} WHERE r.number = ?1", row::SELECT_REQUEST);
    let mut statement = conn.prepare_cached(&sql).map_err(failed)?;
    for number in numbers {
        let mut rows = statement.query([number]).map_err(failed)?;
        if let Some(row) = rows.next().map_err(failed)? {
            requests.extend(readable(row::stored(row))?);
        }
    }
    Ok(Listing { requests, next })
}

/// Passes over what is damaged, so that one bad row does not hide all others.
pub(super) fn readable<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Damaged(what)) => {
            tracing::error!(what, "left out of a listing: the store holds something this program can not read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A request that has not ended.
pub(super) struct Unfinished {
    pub(super) number: u64,
    /// Whether it had gone out.
    pub(super) sent: bool,
    /// The request, or what of it is damaged.
    pub(super) request: Result<StoredRequest, StoreError>,
}

/// The requests of a provider that have not ended, by number.
pub(super) fn unfinished(conn: &Connection, provider: &str) -> Result<Vec<Unfinished>, StoreError> {
    let numbers = "SELECT number, state FROM requests INDEXED BY requests_unfinished
        WHERE state < 2 AND state IN (0, 1) AND provider = (SELECT code FROM names WHERE name = ?1) ORDER BY number";
    let numbers = conn
        .prepare_cached(numbers)
        .and_then(|mut select| {
            select.query_map([provider], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, i64)>, _>>()
        })
        .map_err(failed)?;
    let sql = format!("{} WHERE r.number = ?1", row::SELECT_REQUEST);
    let mut select = conn.prepare_cached(&sql).map_err(failed)?;
    let mut all = Vec::with_capacity(numbers.len());
    for (number, state) in numbers {
        let mut rows = select.query([number]).map_err(failed)?;
        let request = match rows.next().map_err(failed)? {
            Some(row) => row::stored(row),
            None => Err(StoreError::Damaged(format!("the command of request {number}"))),
        };
        let sent = state == row::state_code(State::Sent);
        all.push(Unfinished { number: unsigned(number), sent, request });
    }
    Ok(all)
}

/// How many requests of each provider have not ended, for providers that have any.
pub(super) fn unfinished_counts(conn: &Connection) -> Result<Vec<(ProviderName, u64)>, StoreError> {
    let counts =
        "SELECT n.name, count(*) FROM requests r INDEXED BY requests_unfinished JOIN names n ON n.code = r.provider
        WHERE r.state < 2 GROUP BY n.name ORDER BY n.name";
    let mut select = conn.prepare_cached(counts).map_err(failed)?;
    let counts = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).map_err(failed)?;
    let mut found = Vec::new();
    for count in counts {
        let (name, count) = count.map_err(failed)?;
        let name = ProviderName::new(&name).map_err(|_| StoreError::Damaged("the name of a provider".into()))?;
        found.push((name, unsigned(count)));
    }
    Ok(found)
}

/// A query for the numbers of the requests that a filter means.
pub(super) struct Select {
    sql: String,
    values: Vec<Value>,
}

impl Select {
    /// A query for at most `limit` numbers below `before`, the largest first.
    pub(super) fn new(
        conn: &Connection,
        filter: &Filter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Self, StoreError> {
        let mut select = Self { sql: String::new(), values: Vec::new() };
        select.and_name("provider", filter.provider.as_ref().map(|provider| provider.as_str()));
        select.and_name("command", filter.command.map(|command| command.name()));
        select.and("subscription =", filter.subscription.as_ref().map(|subscription| subscription.as_str().to_owned()));
        select.and("reference =", filter.reference.as_ref().map(|reference| reference.as_str().to_owned()));
        select.and("state =", filter.state.map(row::state_code));
        select.and("source =", filter.source.map(row::source_code));
        select.and("created >=", filter.from.map(Timestamp::as_microsecond));
        select.and("created <", filter.to.map(Timestamp::as_microsecond));
        select.and("number <", before.map(signed));
        select.and("number >=", first_since(conn, filter.from, -CLOCK_SLACK)?);
        select.and("number <", first_since(conn, filter.to, CLOCK_SLACK)?);
        let (index, implied) = index(filter);
        select.sql = format!(
            "SELECT number FROM requests {index} WHERE {implied}{} ORDER BY number DESC LIMIT {limit}",
            select.sql
        );
        Ok(select)
    }

    /// The numbers, the largest first.
    fn numbers(&self, conn: &Connection) -> rusqlite::Result<Vec<i64>> {
        let mut statement = conn.prepare_cached(&self.sql)?;
        let numbers = statement.query_map(params_from_iter(&self.values), |row| row.get(0))?;
        numbers.collect()
    }

    /// How SQLite goes about it.
    #[cfg(test)]
    pub(super) fn plan(&self, conn: &Connection) -> String {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", self.sql)).unwrap();
        let steps = statement.query_map(params_from_iter(&self.values), |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    fn and(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            self.sql += &format!(" AND {condition} ?{}", self.values.len());
        }
    }

    fn and_name(&mut self, column: &str, name: Option<&str>) {
        if let Some(name) = name {
            self.values.push(Value::from(name.to_owned()));
            self.sql += &format!(" AND {column} = (SELECT code FROM names WHERE name = ?{})", self.values.len());
        }
    }
}

/// The index that leads to the fewest requests, and what a query must say to use it. Said outright, because SQLite
/// would have to guess.
fn index(filter: &Filter) -> (&'static str, &'static str) {
    if filter.reference.is_some() {
        return ("INDEXED BY requests_reference", "reference IS NOT NULL");
    }
    if filter.subscription.is_some() {
        return ("INDEXED BY requests_subscription", "subscription IS NOT NULL");
    }
    match filter.state {
        Some(State::Waiting | State::Sent) => ("INDEXED BY requests_unfinished", "state < 2"),
        Some(state) if state != State::Completed => ("INDEXED BY requests_unsuccessful", "state > 2"),
        _ if filter.provider.is_some() => ("INDEXED BY requests_provider", "TRUE"),
        _ => ("NOT INDEXED", "TRUE"),
    }
}

/// The first number whose request was accepted at or after `time` plus `slack`, found by halving.
fn first_since(conn: &Connection, time: Option<Timestamp>, slack: SignedDuration) -> Result<Option<i64>, StoreError> {
    let Some(time) = time else { return Ok(None) };
    let time = time.saturating_add(slack).unwrap_or(time).as_microsecond();
    let mut probe = conn
        .prepare_cached("SELECT number, created FROM requests WHERE number >= ?1 ORDER BY number LIMIT 1")
        .map_err(failed)?;
    let mut low = 0;
    let mut high = last_number(conn)?.saturating_add(1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> =
            probe.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(failed)?;
        match found {
            Some((number, created)) if created < time => low = number + 1,
            _ => high = middle,
        }
    }
    Ok(Some(low))
}

/// The largest number; zero if there is none.
pub(super) fn last_number(conn: &Connection) -> Result<i64, StoreError> {
    conn.query_row("SELECT coalesce(max(number), 0) FROM requests", [], |row| row.get(0)).map_err(failed)
}

/// The sequence of the newest state change; zero if there is none.
pub(super) fn last_sequence(conn: &Connection) -> Result<i64, StoreError> {
    conn.query_row("SELECT coalesce(max(sequence), 0) FROM changes", [], |row| row.get(0)).map_err(failed)
}
