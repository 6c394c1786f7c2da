//! A call's statements, one after the other, and what has happened to the call when one of them fails.

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_codecs::sql;
use headgate_core::failure::Sent;
use headgate_core::table::{Insert, Row, Select, TableAnswer, TableCall, TableError, Update, ValueKind};

use super::session::{Session, SqlError, Step};

/// Most rows that one statement puts in; a power of two.
const ROWS: usize = 64;

/// Most keys that one statement looks for: below every database's limit of parameters.
const KEYS: usize = 8_192;

/// A call that failed.
pub(super) struct Failed {
    /// What the adapter is told.
    pub(super) error: TableError,
    /// The session can not be used any more.
    pub(super) broken: bool,
    /// Its first statement failed: nothing can have come of it.
    pub(super) at_once: bool,
}

/// Carries a call out. Each statement may take as long as `limit`.
pub(super) async fn carry_out(session: &mut Session, call: &TableCall, limit: Duration) -> Result<TableAnswer, Failed> {
    let mut run = Run { session, limit, statements: 0 };
    let result = match call {
        TableCall::Insert(insert) => run.insert(insert).await,
        TableCall::Select(select) => run.select(select).await,
        TableCall::Update(update) => run.update(update).await,
        TableCall::Watch { .. } => Err(Stop::Refused(TableError::UNSUPPORTED, "a session does not watch")),
    };
    let stop = match result {
        Ok(answer) => return Ok(answer),
        Err(stop) => stop,
    };
    let at_once = run.statements == 1;
    let (error, broken) = match stop {
        Stop::Refused(code, text) => (TableError::not_done(code, text), !run.rolled_back().await),
        Stop::Statement(error) => {
            let broken = error.broken || (!call.is_harmless() && !run.rolled_back().await);
            (TableError::not_done(error.code, error.text), broken)
        }
        // A database that says no to a commit has undone it; one that is gone may have carried it out.
        Stop::Commit(error) => {
            let error = TableError { code: error.code, text: error.text, sent: Sent::No };
            let unsure = error.is_link();
            (TableError { sent: if unsure { Sent::Maybe } else { Sent::No }, ..error }, true)
        }
    };
    Err(Failed { error, broken, at_once })
}

/// Why a call does not go on.
enum Stop {
    /// It must not, though no statement failed.
    Refused(&'static str, &'static str),
    /// A statement failed before anything was committed.
    Statement(SqlError),
    /// The commit failed.
    Commit(SqlError),
}

struct Run<'a> {
    session: &'a mut Session,
    limit: Duration,
    statements: usize,
}

impl Run<'_> {
    async fn insert(&mut self, insert: &Insert) -> Result<TableAnswer, Stop> {
        self.step(Step::Begin).await.map_err(Stop::Statement)?;
        let mut found = BTreeSet::new();
        let kinds: Vec<ValueKind> = insert.columns.get(insert.key).map(|key| key.kind).into_iter().collect();
        for rows in insert.rows.chunks(KEYS) {
            let statement = sql::existing(self.session.dialect(), insert, rows);
            let keys = self.timed(async |session| session.query(&statement, &kinds).await).await;
            found.extend(keys.map_err(Stop::Statement)?.into_iter().flatten());
        }
        if !found.is_empty() && !insert.again {
            return Err(Stop::Refused(TableError::CONFLICT, "a row with one of the ids is there already"));
        }
        let is_new = |row: &&Row| row.get(insert.key).is_none_or(|key| !found.contains(key));
        let fresh: Vec<Row> = insert.rows.iter().filter(is_new).cloned().collect();
        for rows in in_powers_of_two(&fresh) {
            let statement = sql::insert(self.session.dialect(), insert, rows);
            self.timed(async |session| session.execute(&statement).await).await.map_err(Stop::Statement)?;
        }
        self.step(Step::Commit).await.map_err(Stop::Commit)?;
        Ok(TableAnswer::Inserted { found: found.into_iter().collect() })
    }

    async fn select(&mut self, select: &Select) -> Result<TableAnswer, Stop> {
        let statement = sql::select(self.session.dialect(), select);
        let kinds: Vec<ValueKind> = select.columns.iter().map(|column| column.kind).collect();
        let rows = self.timed(async |session| session.query(&statement, &kinds).await).await;
        rows.map(TableAnswer::Rows).map_err(Stop::Statement)
    }

    async fn update(&mut self, update: &Update) -> Result<TableAnswer, Stop> {
        self.step(Step::Begin).await.map_err(Stop::Statement)?;
        let mut count = 0;
        for (key, row) in &update.rows {
            let statement = sql::update(self.session.dialect(), update, key, row);
            count += self.timed(async |session| session.execute(&statement).await).await.map_err(Stop::Statement)?;
        }
        self.step(Step::Commit).await.map_err(Stop::Commit)?;
        Ok(TableAnswer::Updated(count))
    }

    async fn step(&mut self, step: Step) -> Result<(), SqlError> {
        self.timed(async |session| session.step(step).await).await
    }

    /// Takes back what was not committed. Whether the session can be used again.
    async fn rolled_back(&mut self) -> bool {
        self.step(Step::Rollback).await.is_ok()
    }

    async fn timed<T>(&mut self, work: impl AsyncFnOnce(&mut Session) -> Result<T, SqlError>) -> Result<T, SqlError> {
        self.statements += 1;
        match tokio::time::timeout(self.limit, work(self.session)).await {
            Ok(result) => result,
            Err(_) => {
                let text = format!("the database did not answer within {:?}", self.limit);
                Err(SqlError { code: TableError::NO_ANSWER, text, broken: true })
            }
        }
    }
}

/// Slices whose lengths are powers of two, the longest first: so few different statements put any number of rows in,
/// and databases keep them prepared.
fn in_powers_of_two(mut rows: &[Row]) -> Vec<&[Row]> {
    let mut slices = Vec::new();
    while !rows.is_empty() {
        let length = ROWS.min(1 << rows.len().ilog2());
        let (slice, rest) = rows.split_at(length);
        slices.push(slice);
        rows = rest;
    }
    slices
}

#[cfg(test)]
mod tests {
    use headgate_core::table::Value;

    use super::*;

    #[test]
    fn rows_are_parted_in_powers_of_two() {
        let rows = vec![vec![Value::Null]; 203];
        let lengths: Vec<_> = in_powers_of_two(&rows).iter().map(|slice| slice.len()).collect();
        assert_eq!(lengths, [64, 64, 64, 8, 2, 1]);
        assert!(in_powers_of_two(&[]).is_empty());
    }
}
