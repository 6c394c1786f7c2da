//! MariaDB and MySQL.

use headgate_codecs::sql::{Bound, Statement};
use headgate_core::table::{Row, TableError, Value, ValueKind};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, Error, Opts, OptsBuilder, Params, SslOpts};

use super::session::{Database, SqlError};
use super::values;
use crate::drive::connection::DatabaseSettings;

/// A session with MariaDB.
pub(super) struct MariaDbSession {
    connection: Conn,
}

impl MariaDbSession {
    pub(super) async fn open(database: &Database) -> Result<Self, SqlError> {
        let mut connection = Conn::new(options(&database.settings)).await.map_err(sql_error)?;
        // Strict: what does not fit is refused, never cut or replaced by question marks.
        let setup = "SET time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')";
        connection.query_drop(setup).await.map_err(sql_error)?;
        Ok(Self { connection })
    }

    pub(super) async fn query(&mut self, statement: &Statement, kinds: &[ValueKind]) -> Result<Vec<Row>, SqlError> {
        let rows: Vec<mysql_async::Row> =
            self.connection.exec(&statement.text, parameters(statement)).await.map_err(sql_error)?;
        rows.into_iter().map(|row| read(row, kinds)).collect()
    }

    pub(super) async fn execute(&mut self, statement: &Statement) -> Result<u64, SqlError> {
        let parameters = parameters(statement);
        self.connection.exec_drop(&statement.text, parameters).await.map_err(sql_error)?;
        Ok(self.connection.affected_rows())
    }

    pub(super) async fn command(&mut self, text: &str) -> Result<(), SqlError> {
        self.connection.query_drop(text).await.map_err(sql_error)
    }

    pub(super) async fn close(self) {
        // It is gone either way.
        let _ = self.connection.disconnect().await;
    }
}

fn options(settings: &DatabaseSettings) -> Opts {
    let options = OptsBuilder::default()
        .ip_or_hostname(settings.host.clone().unwrap_or_default())
        .tcp_port(settings.port())
        .user(settings.user.clone())
        .pass(Some(settings.password.reveal().to_owned()))
        .db_name(settings.name.clone())
        .prefer_socket(false)
        .tcp_keepalive(Some(std::time::Duration::from_secs(60)))
        // An update tells how many rows it found, not how many it changed.
        .client_found_rows(true)
        .ssl_opts(tls(settings));
    options.into()
}

/// TLS as this library does it: with authorities and a client certificate, by rustls.
fn tls(settings: &DatabaseSettings) -> Option<SslOpts> {
    let tls = settings.tls.as_ref()?;
    let mut options = SslOpts::default()
        .with_disable_built_in_roots(true)
        .with_root_certs(tls.ca.iter().map(|path| path.clone().into()).collect());
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        options =
            options.with_client_identity(Some(ClientIdentity::new(certificate.clone().into(), key.clone().into())));
    }
    if let Some(name) = &tls.server_name {
        options = options.with_danger_tls_hostname_override(Some(name.clone()));
    }
    Some(options)
}

fn parameters(statement: &Statement) -> Params {
    if statement.values.is_empty() {
        return Params::Empty;
    }
    Params::Positional(statement.values.iter().map(parameter).collect())
}

fn parameter(bound: &Bound) -> mysql_async::Value {
    match &bound.value {
        Value::Null => mysql_async::Value::NULL,
        Value::Integer(number) => mysql_async::Value::Int(*number),
        Value::Text(text) => mysql_async::Value::Bytes(text.clone().into_bytes()),
        Value::Bytes(bytes) => mysql_async::Value::Bytes(bytes.to_vec()),
        Value::Bool(yes) => mysql_async::Value::Int(i64::from(*yes)),
        Value::Timestamp(time) => date(TimeZone::UTC.to_datetime(*time)),
    }
}

fn date(time: DateTime) -> mysql_async::Value {
    let small = |number: i8| u8::try_from(number).unwrap_or_default();
    let micros = u32::try_from(time.subsec_nanosecond() / 1_000).unwrap_or_default();
    let year = u16::try_from(time.year()).unwrap_or_default();
    let (month, day) = (small(time.month()), small(time.day()));
    mysql_async::Value::Date(year, month, day, small(time.hour()), small(time.minute()), small(time.second()), micros)
}

fn read(row: mysql_async::Row, kinds: &[ValueKind]) -> Result<Row, SqlError> {
    row.unwrap().into_iter().zip(kinds).map(|(value, kind)| value_of(value, *kind)).collect()
}

fn value_of(value: mysql_async::Value, kind: ValueKind) -> Result<Value, SqlError> {
    use mysql_async::Value as Given;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| values::unreadable(kind));
    Ok(match (value, kind) {
        (Given::NULL, _) => Value::Null,
        (Given::Int(number), ValueKind::Integer) => Value::Integer(number),
        (Given::UInt(number), ValueKind::Integer) => {
            Value::Integer(i64::try_from(number).map_err(|_| values::unreadable(kind))?)
        }
        (Given::Int(number), ValueKind::Bool) => Value::Bool(number != 0),
        (Given::UInt(number), ValueKind::Bool) => Value::Bool(number != 0),
        (Given::Int(number), ValueKind::Text) => Value::Text(number.to_string()),
        (Given::Bytes(bytes), ValueKind::Bytes) => Value::Bytes(bytes.into()),
        (Given::Bytes(bytes), ValueKind::Bool) if matches!(*bytes, [0] | [1]) => Value::Bool(*bytes == [1]),
        (Given::Bytes(bytes), kind) => values::from_text(kind, &text(bytes)?)?,
        (Given::Date(year, month, day, hour, minute, second, micros), ValueKind::Timestamp) => {
            values::timestamp(&format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}"))
                .map(Value::Timestamp)
                .ok_or_else(|| values::unreadable(kind))?
        }
        _ => return Err(values::unreadable(kind)),
    })
}

/// What happened, without the values that the server puts in some of its messages.
fn sql_error(error: Error) -> SqlError {
    let told = match &error {
        Error::Server(told) => told,
        other => return SqlError::lost(other.to_string()),
    };
    let code = told.code;
    let in_its_words = || format!("{} ({code})", told.message);
    match code {
        1062 | 1586 => SqlError::said_no(TableError::CONFLICT, format!("a unique value is there already ({code})")),
        1406 => SqlError::said_no(TableError::UNWRITABLE, format!("a text is longer than its column takes ({code})")),
        1366 | 1300 | 3988 | 1977 => {
            let text = "a text holds characters that the column's character set does not have";
            SqlError::said_no(TableError::UNWRITABLE, format!("{text} ({code})"))
        }
        1264 | 1265 | 1292 | 1411 => {
            let text = "a value is out of its column's range, or not of its type";
            SqlError::said_no(TableError::UNWRITABLE, format!("{text} ({code})"))
        }
        // The server stops, or ended the session.
        1053 | 1077 | 1079 | 1080 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => SqlError::lost(in_its_words()),
        // Messages of these hold values, or words of the table's owner.
        1048 | 1364 | 1451 | 1452 | 1644 | 4025 => {
            SqlError::said_no(TableError::REFUSED, format!("the table's rules forbid the row ({code})"))
        }
        _ => SqlError::said_no(TableError::REFUSED, in_its_words()),
    }
}
