//! PostgreSQL.
//!
//! Parameters go out as text, and columns are read as text (see `headgate_codecs::sql`): so the server turns every value
//! into its column's own type, whichever that is.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use headgate_codecs::sql::{Bound, Statement};
use headgate_core::table::{Row, TableError, Value, ValueKind};
use headgate_core::text::to_hex;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, Connection, NoTls, Socket, error::SqlState};
use tokio_rustls::TlsConnector;

use super::session::{Database, SqlError};
use super::values;
use crate::drive::tls;

/// Most prepared statements that a session keeps. They are few: see `headgate_codecs::sql`.
const MOST_PREPARED: usize = 64;

/// A session with PostgreSQL.
pub(super) struct PostgresSession {
    client: Client,
    /// Carries its bytes.
    carrier: JoinHandle<()>,
    prepared: HashMap<String, tokio_postgres::Statement>,
}

impl PostgresSession {
    pub(super) async fn open(database: &Database) -> Result<Self, SqlError> {
        let (client, carrier) = match &database.tls {
            None => {
                let (client, connection) = config(database).connect(NoTls).await.map_err(sql_error)?;
                (client, tokio::spawn(carry(connection)))
            }
            Some(tls) => {
                let tls = MakeTls(tls.clone());
                let (client, connection) = config(database).connect(tls).await.map_err(sql_error)?;
                (client, tokio::spawn(carry(connection)))
            }
        };
        let session = Self { client, carrier, prepared: HashMap::new() };
        let limit = database.settings.timeout.as_millis();
        let setup = format!(
            "SET TIME ZONE 'UTC'; SET datestyle = 'ISO'; SET bytea_output = 'hex'; SET statement_timeout = {limit}"
        );
        session.client.batch_execute(&setup).await.map_err(sql_error)?;
        Ok(session)
    }

    pub(super) async fn query(&mut self, statement: &Statement, kinds: &[ValueKind]) -> Result<Vec<Row>, SqlError> {
        let prepared = self.prepare(statement).await?;
        let parameters: Vec<Parameter<'_>> = statement.values.iter().map(Parameter).collect();
        let rows = self.client.query(&prepared, &by_reference(&parameters)).await.map_err(sql_error)?;
        rows.iter().map(|row| read(row, kinds)).collect()
    }

    pub(super) async fn execute(&mut self, statement: &Statement) -> Result<u64, SqlError> {
        let prepared = self.prepare(statement).await?;
        let parameters: Vec<Parameter<'_>> = statement.values.iter().map(Parameter).collect();
        self.client.execute(&prepared, &by_reference(&parameters)).await.map_err(sql_error)
    }

    pub(super) async fn command(&self, text: &str) -> Result<(), SqlError> {
        self.client.batch_execute(text).await.map_err(sql_error)
    }

    pub(super) async fn close(mut self) {
        let (closed, _) = (std::mem::replace(&mut self.carrier, tokio::spawn(async {})), drop(self));
        let _ = closed.await;
    }

    async fn prepare(&mut self, statement: &Statement) -> Result<tokio_postgres::Statement, SqlError> {
        let nul = |bound: &Bound| matches!(&bound.value, Value::Text(text) if text.contains('\0'));
        if statement.values.iter().any(nul) {
            return Err(SqlError::said_no(TableError::UNWRITABLE, "PostgreSQL's texts can not hold the character NUL"));
        }
        if let Some(prepared) = self.prepared.get(&statement.text) {
            return Ok(prepared.clone());
        }
        let prepared = self.client.prepare(&statement.text).await.map_err(sql_error)?;
        if self.prepared.len() >= MOST_PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(statement.text.clone(), prepared.clone());
        Ok(prepared)
    }
}

impl Drop for PostgresSession {
    fn drop(&mut self) {
        // A session that does not answer any more is not waited for.
        self.carrier.abort();
    }
}

/// How to connect.
pub(super) fn config(database: &Database) -> Config {
    let settings = &database.settings;
    let mut config = Config::new();
    config
        .host(settings.host.as_deref().unwrap_or_default())
        .port(settings.port())
        .user(settings.user.as_deref().unwrap_or_default())
        .password(settings.password.reveal())
        .dbname(settings.name.as_deref().unwrap_or_default())
        .application_name("headgate")
        .connect_timeout(settings.connect_timeout)
        .keepalives_idle(Duration::from_secs(60))
        .ssl_mode(if database.tls.is_some() { SslMode::Require } else { SslMode::Disable });
    config
}

async fn carry<S, T>(connection: Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        tracing::debug!(error = sql_error(error).text, "a session with PostgreSQL ended");
    }
}

/// One parameter, as text.
#[derive(Debug)]
struct Parameter<'a>(&'a Bound);

impl ToSql for Parameter<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0.value {
            Value::Null => return Ok(IsNull::Yes),
            Value::Integer(number) => write!(out, "{number}")?,
            Value::Text(text) => out.write_str(text)?,
            Value::Timestamp(time) => write!(out, "{time}")?,
            Value::Bytes(bytes) => write!(out, "\\x{}", to_hex(bytes))?,
            Value::Bool(yes) => write!(out, "{yes}")?,
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

fn by_reference<'a>(parameters: &'a [Parameter<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| -> &(dyn ToSql + Sync) { parameter }).collect()
}

fn read(row: &tokio_postgres::Row, kinds: &[ValueKind]) -> Result<Row, SqlError> {
    let value = |(index, kind): (usize, &ValueKind)| match row.try_get::<_, Option<&str>>(index) {
        Ok(Some(text)) => values::from_text(*kind, text),
        Ok(None) => Ok(Value::Null),
        Err(_) => Err(values::unreadable(*kind)),
    };
    kinds.iter().enumerate().map(value).collect()
}

/// What happened, without the values that PostgreSQL puts in some of its messages.
pub(super) fn sql_error(error: tokio_postgres::Error) -> SqlError {
    let Some(told) = error.as_db_error() else {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        return SqlError::lost(format!("{error}{cause}"));
    };
    let state = told.code();
    let class = state.code().get(..2).unwrap_or_default();
    let in_its_words = || format!("{} ({})", told.message(), state.code());
    if *state == SqlState::UNIQUE_VIOLATION {
        SqlError::said_no(TableError::CONFLICT, "a unique value is there already (23505)")
    } else if *state == SqlState::QUERY_CANCELED {
        SqlError::said_no(TableError::NO_ANSWER, in_its_words())
    } else if class == "22" {
        let what = match state.code() {
            "22001" => "a text is longer than its column takes",
            "22021" | "22P05" => "a text holds characters that the database's character set does not have",
            "22003" => "a number is out of its column's range",
            _ => "a value is not of its column's type",
        };
        SqlError::said_no(TableError::UNWRITABLE, format!("{what} ({})", state.code()))
    } else if class == "08" || matches!(state.code(), "57P01" | "57P02" | "57P03" | "57P04" | "57P05") {
        SqlError::lost(in_its_words())
    } else if matches!(class, "23" | "P0") {
        // Messages of these hold values, or words of the table's owner.
        SqlError::said_no(TableError::REFUSED, format!("the table's rules forbid the row ({})", state.code()))
    } else {
        SqlError::said_no(TableError::REFUSED, in_its_words())
    }
}

/// Makes TLS for sessions, by our own settings.
#[derive(Clone)]
pub(super) struct MakeTls(pub(super) tls::Client);

/// TLS for one session.
pub(super) struct OpenTls {
    connector: TlsConnector,
    name: Result<ServerName<'static>, String>,
}

impl MakeTlsConnect<Socket> for MakeTls {
    type Stream = TlsSocket;
    type TlsConnect = OpenTls;
    type Error = std::convert::Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<OpenTls, Self::Error> {
        let connector = TlsConnector::from(std::sync::Arc::clone(&self.0.config));
        Ok(OpenTls { connector, name: self.0.server_name(host).map_err(|error| error.to_string()) })
    }
}

impl TlsConnect<Socket> for OpenTls {
    type Stream = TlsSocket;
    type Error = Box<dyn Error + Sync + Send>;
    type Future = Pin<Box<dyn Future<Output = Result<TlsSocket, Self::Error>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let stream = self.connector.connect(self.name?, socket).await;
            stream.map(TlsSocket).map_err(|error| tls::describe(&error).into())
        })
    }
}

/// A socket within TLS.
pub(super) struct TlsSocket(tokio_rustls::client::TlsStream<Socket>);

impl TlsStream for TlsSocket {
    /// Passwords are not tied to the TLS session; the certificate is checked.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for TlsSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
