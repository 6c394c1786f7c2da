//! SQLite: a table in a file of this machine. Each statement runs on a thread that may block.

use headgate_codecs::sql::{Bound, Statement};
use headgate_core::table::{Row, TableError, Value, ValueKind};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};

use super::session::{Database, SqlError};
use super::values;

/// A session with a file.
pub(super) struct SqliteSession {
    /// Absent while a statement runs, and if one was given up.
    connection: Option<Connection>,
}

impl SqliteSession {
    pub(super) async fn open(database: &Database) -> Result<Self, SqlError> {
        let (file, patience) = (database.settings.file.clone().unwrap_or_default(), database.settings.timeout);
        let makes_file = database.makes_file;
        let connection = blocking(move || {
            let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            flags.set(OpenFlags::SQLITE_OPEN_CREATE, makes_file);
            let connection = Connection::open_with_flags(&file, flags).map_err(|error| sql_error(&error))?;
            connection.busy_timeout(patience).map_err(|error| sql_error(&error))?;
            if makes_file {
                // Readers and a writer do not wait for each other. The file keeps this.
                connection.pragma_update(None, "journal_mode", "wal").map_err(|error| sql_error(&error))?;
            }
            Ok(connection)
        })
        .await?;
        Ok(Self { connection: Some(connection) })
    }

    pub(super) async fn query(&mut self, statement: &Statement, kinds: &[ValueKind]) -> Result<Vec<Row>, SqlError> {
        let (statement, kinds) = (statement.clone(), kinds.to_vec());
        self.with(move |connection| {
            let mut prepared = connection.prepare_cached(&statement.text).map_err(|error| sql_error(&error))?;
            let parameters = params_from_iter(statement.values.iter().map(Parameter));
            let mut rows = prepared.query(parameters).map_err(|error| sql_error(&error))?;
            let mut all = Vec::new();
            while let Some(row) = rows.next().map_err(|error| sql_error(&error))? {
                let value = |(index, kind): (usize, &ValueKind)| {
                    value_of(row.get_ref(index).map_err(|error| sql_error(&error))?, *kind)
                };
                all.push(kinds.iter().enumerate().map(value).collect::<Result<Row, SqlError>>()?);
            }
            Ok(all)
        })
        .await
    }

    pub(super) async fn execute(&mut self, statement: &Statement) -> Result<u64, SqlError> {
        let statement = statement.clone();
        self.with(move |connection| {
            let mut prepared = connection.prepare_cached(&statement.text).map_err(|error| sql_error(&error))?;
            let parameters = params_from_iter(statement.values.iter().map(Parameter));
            prepared.execute(parameters).map(|count| count as u64).map_err(|error| sql_error(&error))
        })
        .await
    }

    pub(super) async fn command(&mut self, text: &'static str) -> Result<(), SqlError> {
        self.with(move |connection| connection.execute_batch(text).map_err(|error| sql_error(&error))).await
    }

    pub(super) async fn close(self) {
        let _ = blocking(move || {
            drop(self);
            Ok(())
        })
        .await;
    }

    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let Some(connection) = self.connection.take() else {
            return Err(SqlError::lost("the session was given up"));
        };
        let (connection, result) = blocking(move || {
            let result = work(&connection);
            Ok((connection, result))
        })
        .await?;
        self.connection = Some(connection);
        result
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SqlError> + Send + 'static,
) -> Result<T, SqlError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(SqlError::lost("the database thread failed")),
    }
}

struct Parameter<'a>(&'a Bound);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match &self.0.value {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Integer(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Timestamp(time) => ToSqlOutput::Owned(time.to_string().into()),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Bool(yes) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*yes))),
        })
    }
}

fn value_of(value: ValueRef<'_>, kind: ValueKind) -> Result<Value, SqlError> {
    Ok(match (value, kind) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(number), ValueKind::Integer) => Value::Integer(number),
        (ValueRef::Integer(number), ValueKind::Bool) => Value::Bool(number != 0),
        (ValueRef::Integer(number), ValueKind::Text) => Value::Text(number.to_string()),
        (ValueRef::Blob(bytes), ValueKind::Bytes) => Value::Bytes(bytes.to_vec().into()),
        (ValueRef::Text(bytes), kind) => {
            values::from_text(kind, std::str::from_utf8(bytes).map_err(|_| values::unreadable(kind))?)?
        }
        _ => return Err(values::unreadable(kind)),
    })
}

/// What happened; SQLite puts no values in its messages.
fn sql_error(error: &rusqlite::Error) -> SqlError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => match error.sqlite_error().map(|told| told.extended_code) {
            Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                SqlError::said_no(TableError::CONFLICT, "a unique value is there already")
            }
            _ => SqlError::said_no(TableError::REFUSED, "the table's rules forbid the row"),
        },
        Some(ErrorCode::TooBig | ErrorCode::TypeMismatch) => SqlError::said_no(TableError::UNWRITABLE, text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SqlError::said_no(TableError::NO_ANSWER, text),
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::DiskFull,
        ) => SqlError::lost(text),
        _ => SqlError::said_no(TableError::REFUSED, text),
    }
}
