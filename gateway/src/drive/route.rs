//! A connection's settings, checked and made ready: what opens links, what carries files, or what
//! makes calls.

use std::sync::Arc;

use headgate_codecs::registry::Transport;

use super::connection::{
    Connection, ConnectionError, DatabaseKind, DatabaseSettings, Ftp, FtpSecurity, Sftp, TlsVersion,
};
use super::file::AnyTransport;
use super::file::ftp::FtpTransport;
use super::file::local::LocalDirectory;
use super::http::Client;
use super::stream::{Address, Dialer, Opener};
use super::table::Database;
use super::{http, tls};

/// The way to a platform.
pub(crate) enum Route {
    /// Over links.
    Stream(Dialer),
    /// By files.
    Files(AnyTransport),
    /// By HTTP calls.
    Http(Arc<Client>),
    /// It calls us.
    Served,
    /// By a table.
    Table(Box<Database>),
}

impl Route {
    /// Checks `connection` against what the protocol needs, and reads the certificates and keys it names.
    pub(crate) fn new(transport: Transport, connection: &Connection) -> Result<Self, ConnectionError> {
        match transport {
            Transport::Stream => dialer(connection).map(Self::Stream),
            Transport::Files => files(connection).map(Self::Files),
            Transport::Served => served(connection),
            Transport::Http => client(connection).map(|client| Self::Http(Arc::new(client))),
            Transport::Table => table(connection).map(|database| Self::Table(Box::new(database))),
        }
    }
}

fn served(connection: &Connection) -> Result<Route, ConnectionError> {
    if *connection == Connection::default() {
        return Ok(Route::Served);
    }
    Err(ConnectionError::new(
        "",
        "the platform's side calls the gateway: this protocol needs no connection, leave it out",
    ))
}

fn dialer(connection: &Connection) -> Result<Dialer, ConnectionError> {
    refuse(&given_for_files(connection), "this protocol speaks over links: give `address` instead")?;
    refuse(&given_for_tables(connection), "this protocol speaks over links: give `address` instead")?;
    refuse(&given_for_calls(connection), "this protocol speaks over links: give `address` instead")?;
    let Some(addresses) = &connection.address else {
        return Err(ConnectionError::new("address", "missing: give the platform's \"host:port\""));
    };
    let addresses = addresses
        .as_slice()
        .iter()
        .map(|text| text.parse().map_err(|text: &str| ConnectionError::new("address", text)))
        .collect::<Result<Vec<Address>, _>>()?;
    if addresses.is_empty() {
        return Err(ConnectionError::new("address", "the list is empty: give at least one \"host:port\""));
    }
    positive("connect_timeout", connection.connect_timeout)?;
    let tls = match &connection.tls {
        Some(settings) => Some(tls::Client::new("tls", settings, false)?),
        None => None,
    };
    if let Some(tls) = &tls {
        for address in &addresses {
            tls.server_name(&address.host)?;
        }
    }
    Ok(Dialer { addresses, opener: opener(connection, tls) })
}

fn files(connection: &Connection) -> Result<AnyTransport, ConnectionError> {
    const INSTEAD: &str = "this protocol exchanges files: give `directory`, `ftp` or `sftp` instead";
    refuse(&[("address", connection.address.is_some()), ("tls", connection.tls.is_some())], INSTEAD)?;
    refuse(&given_for_tables(connection), INSTEAD)?;
    refuse(&given_for_calls(connection), INSTEAD)?;
    match (&connection.directory, &connection.ftp, &connection.sftp) {
        (Some(home), None, None) => Ok(AnyTransport::Local(LocalDirectory::new(home.clone()))),
        (None, Some(settings), None) => ftp(settings),
        (None, None, Some(settings)) => sftp(settings),
        (None, None, None) => {
            Err(ConnectionError::new("", "give exactly one of `directory`, `ftp` and `sftp`; there is none"))
        }
        _ => Err(ConnectionError::new("", "give exactly one of `directory`, `ftp` and `sftp`; there are several")),
    }
}

fn client(connection: &Connection) -> Result<Client, ConnectionError> {
    const INSTEAD: &str = "this protocol makes HTTP calls: give `url` instead";
    refuse(&[("address", connection.address.is_some())], INSTEAD)?;
    refuse(&given_for_files(connection), INSTEAD)?;
    refuse(&given_for_tables(connection), INSTEAD)?;
    positive("connect_timeout", connection.connect_timeout)?;
    positive("call_timeout", connection.call_timeout)?;
    http::settings::client(connection)
}

/// How `connection` opens streams, with or without TLS.
pub(super) fn opener(connection: &Connection, tls: Option<tls::Client>) -> Opener {
    let Connection { connect_timeout, nodelay, keepalive, .. } = *connection;
    Opener { connect_timeout, nodelay, keepalive, tls }
}

const fn given_for_files(connection: &Connection) -> [(&'static str, bool); 3] {
    let Connection { directory, ftp, sftp, .. } = connection;
    [("directory", directory.is_some()), ("ftp", ftp.is_some()), ("sftp", sftp.is_some())]
}

const fn given_for_tables(connection: &Connection) -> [(&'static str, bool); 1] {
    [("database", connection.database.is_some())]
}

fn given_for_calls(connection: &Connection) -> [(&'static str, bool); 5] {
    let Connection { url, endpoints, basic, bearer, headers, .. } = connection;
    [
        ("url", url.is_some()),
        ("endpoints", !endpoints.is_empty()),
        ("basic", basic.is_some()),
        ("bearer", bearer.is_some()),
        ("headers", !headers.is_empty()),
    ]
}

/// Refuses the first setting that is given and has no place here.
fn refuse(settings: &[(&str, bool)], remedy: &str) -> Result<(), ConnectionError> {
    match settings.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(ConnectionError::new(*name, remedy)),
        None => Ok(()),
    }
}

fn ftp(settings: &Ftp) -> Result<AnyTransport, ConnectionError> {
    check_server("ftp", &settings.host, &settings.user, &settings.home)?;
    if settings.password.reveal().chars().any(char::is_control) {
        return Err(ConnectionError::new("ftp.password", "must not contain control characters"));
    }
    positive("ftp.connect_timeout", settings.connect_timeout)?;
    positive("ftp.timeout", settings.timeout)?;
    let tls = match (settings.security, &settings.tls) {
        (FtpSecurity::ExplicitTls, Some(tls)) => {
            let client = tls::Client::new("ftp.tls", tls, settings.tls_1_2_only)?;
            client.server_name(&settings.host)?;
            Some(client)
        }
        (FtpSecurity::ExplicitTls, None) => {
            return Err(ConnectionError::new(
                "ftp.tls",
                "missing: say by what the server's certificate is trusted, with `ca` or `pinned_sha256`",
            ));
        }
        (FtpSecurity::None, Some(_)) => {
            return Err(ConnectionError::new("ftp.security", "must be \"explicit_tls\" where `ftp.tls` is given"));
        }
        (FtpSecurity::None, None) => None,
    };
    Ok(AnyTransport::Ftp(Box::new(FtpTransport::new(Arc::new(settings.clone()), tls))))
}

#[cfg(feature = "sftp")]
fn sftp(settings: &Sftp) -> Result<AnyTransport, ConnectionError> {
    check_server("sftp", &settings.host, &settings.user, &settings.home)?;
    positive("sftp.connect_timeout", settings.connect_timeout)?;
    positive("sftp.timeout", settings.timeout)?;
    super::file::sftp::SftpTransport::new(settings).map(|transport| AnyTransport::Sftp(Box::new(transport)))
}

#[cfg(not(feature = "sftp"))]
fn sftp(_: &Sftp) -> Result<AnyTransport, ConnectionError> {
    Err(ConnectionError::new(
        "sftp",
        "this Headgate was built without SFTP: build it with `cargo build --features sftp`, or use `ftp` or `directory`",
    ))
}

fn table(connection: &Connection) -> Result<Database, ConnectionError> {
    const INSTEAD: &str = "this protocol works on a table: give `database` instead";
    refuse(&[("address", connection.address.is_some()), ("tls", connection.tls.is_some())], INSTEAD)?;
    refuse(&given_for_files(connection), INSTEAD)?;
    refuse(&given_for_calls(connection), INSTEAD)?;
    let Some(settings) = &connection.database else {
        return Err(ConnectionError::new("database", "missing: say what the platform's database is, and where"));
    };
    if !(1..=32).contains(&settings.connections) {
        return Err(ConnectionError::new("database.connections", "must be 1 to 32"));
    }
    positive("database.connect_timeout", settings.connect_timeout)?;
    positive("database.timeout", settings.timeout)?;
    positive("database.idle", settings.idle)?;
    let tls = match settings.kind {
        DatabaseKind::Sqlite => {
            sqlite(settings)?;
            None
        }
        DatabaseKind::Postgres => {
            database_server(settings)?;
            database_tls(settings)?
        }
        DatabaseKind::MariaDb => {
            database_server(settings)?;
            // Read here to be checked: the library for MariaDB reads these files itself.
            mariadb_tls(settings)?;
            database_tls(settings)?.and(None)
        }
    };
    Ok(Database { settings: settings.clone(), tls, makes_file: false })
}

fn sqlite(settings: &DatabaseSettings) -> Result<(), ConnectionError> {
    for (name, given) in [
        ("host", settings.host.is_some()),
        ("port", settings.port.is_some()),
        ("user", settings.user.is_some()),
        ("password", !settings.password.reveal().is_empty()),
        ("name", settings.name.is_some()),
        ("tls", settings.tls.is_some()),
    ] {
        if given {
            return Err(ConnectionError::new(format!("database.{name}"), "SQLite has only a `file`; remove it"));
        }
    }
    match &settings.file {
        Some(_) => Ok(()),
        None => Err(ConnectionError::new("database.file", "missing: give the file that SQLite keeps the table in")),
    }
}

fn database_server(settings: &DatabaseSettings) -> Result<(), ConnectionError> {
    if settings.file.is_some() {
        return Err(ConnectionError::new("database.file", "is only for SQLite; remove it"));
    }
    for (name, text) in [("host", &settings.host), ("user", &settings.user), ("name", &settings.name)] {
        let path = format!("database.{name}");
        match text {
            None => return Err(ConnectionError::new(path, "missing")),
            Some(text) if text.is_empty() => return Err(ConnectionError::new(path, "must not be empty")),
            Some(text) if text.chars().any(char::is_control) => {
                return Err(ConnectionError::new(path, "must not contain control characters"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn database_tls(settings: &DatabaseSettings) -> Result<Option<tls::Client>, ConnectionError> {
    let Some(tls) = &settings.tls else { return Ok(None) };
    let client = tls::Client::new("database.tls", tls, false)?;
    client.server_name(settings.host.as_deref().unwrap_or_default())?;
    Ok(Some(client))
}

/// What the library for MariaDB can not do.
fn mariadb_tls(settings: &DatabaseSettings) -> Result<(), ConnectionError> {
    let Some(tls) = &settings.tls else { return Ok(()) };
    if tls.pinned_sha256.is_some() {
        return Err(ConnectionError::new("database.tls.pinned_sha256", "not for MariaDB: give `ca` instead"));
    }
    if tls.min_version == TlsVersion::V1_3 {
        return Err(ConnectionError::new("database.tls.min_version", "not for MariaDB: it takes TLS 1.2 and 1.3"));
    }
    Ok(())
}

fn check_server(table: &str, host: &str, user: &str, home: &str) -> Result<(), ConnectionError> {
    for (name, text, may_be_empty) in [("host", host, false), ("user", user, false), ("home", home, true)] {
        if text.is_empty() && !may_be_empty {
            return Err(ConnectionError::new(format!("{table}.{name}"), "must not be empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(ConnectionError::new(format!("{table}.{name}"), "must not contain control characters"));
        }
    }
    Ok(())
}

fn positive(path: &str, duration: std::time::Duration) -> Result<(), ConnectionError> {
    if duration.is_zero() {
        return Err(ConnectionError::new(path, "must be longer than zero"));
    }
    Ok(())
}
