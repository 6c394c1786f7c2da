//! One session with a database, whichever it is.

use std::time::Duration;

use headgate_codecs::sql::{Dialect, Statement};
use headgate_core::table::{Row, TableError, ValueKind};

use super::mariadb::MariaDbSession;
use super::postgres::PostgresSession;
use super::sqlite::SqliteSession;
use crate::drive::connection::{DatabaseKind, DatabaseSettings};
use crate::drive::tls;

/// How a database is reached: settings that were checked, with the certificates and keys they name.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// As written.
    pub(crate) settings: DatabaseSettings,
    /// PostgreSQL: what is trusted and shown.
    pub(crate) tls: Option<tls::Client>,
    /// SQLite: a file that is not there is made. For who owns the place.
    pub(crate) makes_file: bool,
}

/// A session.
pub(super) enum Session {
    Postgres(Box<PostgresSession>),
    MariaDb(Box<MariaDbSession>),
    Sqlite(SqliteSession),
}

/// A statement that failed.
#[derive(Debug)]
pub(super) struct SqlError {
    /// One of [`TableError`]'s constants.
    pub(super) code: &'static str,
    /// For people; no secrets, no values.
    pub(super) text: String,
    /// The session can not be used any more.
    pub(super) broken: bool,
}

/// The steps of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Begin,
    Commit,
    Rollback,
}

impl Session {
    /// Opens one.
    pub(super) async fn open(database: &Database) -> Result<Self, TableError> {
        let open = async {
            match database.settings.kind {
                DatabaseKind::Postgres => PostgresSession::open(database).await.map(|s| Self::Postgres(Box::new(s))),
                DatabaseKind::MariaDb => MariaDbSession::open(database).await.map(|s| Self::MariaDb(Box::new(s))),
                DatabaseKind::Sqlite => SqliteSession::open(database).await.map(Self::Sqlite),
            }
        };
        let connect_timeout = database.settings.connect_timeout;
        let opened = tokio::time::timeout(connect_timeout, open).await;
        let text = match opened {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => error.text,
            Err(_) => format!("no answer within {connect_timeout:?}"),
        };
        Err(TableError::not_done(TableError::CONNECT_FAILED, text))
    }

    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::MariaDb(_) => Dialect::MariaDb,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Reads rows whose values are of these kinds.
    pub(super) async fn query(&mut self, statement: &Statement, kinds: &[ValueKind]) -> Result<Vec<Row>, SqlError> {
        match self {
            Self::Postgres(session) => session.query(statement, kinds).await,
            Self::MariaDb(session) => session.query(statement, kinds).await,
            Self::Sqlite(session) => session.query(statement, kinds).await,
        }
    }

    /// Changes rows; tells how many there were.
    pub(super) async fn execute(&mut self, statement: &Statement) -> Result<u64, SqlError> {
        match self {
            Self::Postgres(session) => session.execute(statement).await,
            Self::MariaDb(session) => session.execute(statement).await,
            Self::Sqlite(session) => session.execute(statement).await,
        }
    }

    /// Begins or ends a transaction.
    pub(super) async fn step(&mut self, step: Step) -> Result<(), SqlError> {
        let text = match (step, self.dialect()) {
            // So that no other writer comes between reading the keys and putting rows in.
            (Step::Begin, Dialect::Sqlite) => "BEGIN IMMEDIATE",
            (Step::Begin, Dialect::Postgres) => "BEGIN",
            (Step::Begin, Dialect::MariaDb) => "START TRANSACTION",
            (Step::Commit, _) => "COMMIT",
            (Step::Rollback, _) => "ROLLBACK",
        };
        match self {
            Self::Postgres(session) => session.command(text).await,
            Self::MariaDb(session) => session.command(text).await,
            Self::Sqlite(session) => session.command(text).await,
        }
    }

    /// Takes leave.
    pub(super) async fn close(self) {
        const LEAVE: Duration = Duration::from_secs(1);
        let close = async {
            match self {
                Self::Postgres(session) => session.close().await,
                Self::MariaDb(session) => session.close().await,
                Self::Sqlite(session) => session.close().await,
            }
        };
        // What does not answer is dropped, which closes it too.
        let _ = tokio::time::timeout(LEAVE, close).await;
    }
}

impl SqlError {
    /// The session broke.
    pub(super) fn lost(text: impl Into<String>) -> Self {
        Self { code: TableError::CONNECTION_LOST, text: text.into(), broken: true }
    }

    /// The database said no.
    pub(super) fn said_no(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), broken: false }
    }
}
