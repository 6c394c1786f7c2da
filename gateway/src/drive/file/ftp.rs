//! Files over FTP, plain or with explicit TLS.
//!
//! The control connection and the data connections of a session share one TLS configuration, and so one cache of
//! TLS sessions: servers may demand that a data connection resumes the control connection's session
//! (vsftpd's `require_ssl_reuse`). Each session starts with an empty cache, so that nothing older is offered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{FileError, FileErrorKind};
use headgate_core::failure::Sent;
use rustls::client::Resumption;
use suppaftp::tokio::{AsyncRustlsConnector, AsyncRustlsStream, ImplAsyncFtpStream, TransferStream};
use suppaftp::types::{FileType, FormatControl};
use suppaftp::{FtpError, Mode, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{FileResult, FileSession, FileTransport, LISTING_LIMIT, below, failed};
use crate::drive::connection::{Ftp, FtpTransfer};
use crate::drive::tls;

/// Most characters of a server's words that are kept.
const WORDS_LIMIT: usize = 200;

/// An FTP server.
pub(crate) struct FtpTransport {
    settings: Arc<Ftp>,
    tls: Option<tls::Client>,
}

impl FtpTransport {
    /// The server that `settings` name.
    pub(crate) const fn new(settings: Arc<Ftp>, tls: Option<tls::Client>) -> Self {
        Self { settings, tls }
    }
}

impl FileTransport for FtpTransport {
    type Session = Session;

    async fn open(&self) -> FileResult<Session> {
        let limit = self.settings.connect_timeout;
        let opening = async {
            let control = connect(&self.settings, self.tls.as_ref()).await?;
            let mut session = Session { control, settings: Arc::clone(&self.settings) };
            session.log_in().await?;
            Ok(session)
        };
        let error = match tokio::time::timeout(limit, opening).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => ftp_error(error, Sent::No),
            Err(_) => failed(FileErrorKind::Link, format!("no session within {limit:?}"), Sent::No),
        };
        let text = match self.settings.password.reveal() {
            "" => error.text,
            // A server may repeat what it was sent.
            password => error.text.replace(password, "<secret>"),
        };
        Err(FileError { text: format!("{}:{}: {text}", self.settings.host, self.settings.port), ..error })
    }

    fn idle(&self) -> Duration {
        self.settings.idle
    }
}

type Control = ImplAsyncFtpStream<AsyncRustlsStream>;
type Transfer = TransferStream<AsyncRustlsStream>;

/// A session that is logged in.
pub(crate) struct Session {
    control: Control,
    settings: Arc<Ftp>,
}

impl FileSession for Session {
    async fn list(&mut self, directory: &str) -> FileResult<Vec<String>> {
        let path = self.path(directory);
        let command = if path.is_empty() { "NLST".to_owned() } else { format!("NLST {path}") };
        let listing = match self.download(&command, LISTING_LIMIT).await {
            Ok(listing) => listing,
            // Many servers say so when a directory is empty.
            Err(error) if error.kind == FileErrorKind::NotFound => Bytes::new(),
            Err(error) => return Err(error),
        };
        let names = parse_names(&listing);
        if names.is_empty() && !path.is_empty() {
            self.check_directory(&path).await?;
        }
        Ok(names)
    }

    async fn read(&mut self, path: &str, limit: usize) -> FileResult<Bytes> {
        let contents = self.download(&format!("RETR {}", self.path(path)), limit).await?;
        Ok(match self.settings.transfer {
            FtpTransfer::Binary => contents,
            FtpTransfer::Ascii => from_network_lines(&contents),
        })
    }

    async fn put(&mut self, path: &str, temporary: &str, contents: &Bytes) -> FileResult<()> {
        self.upload(&self.path(temporary), contents).await?;
        if self.exists(path).await? {
            self.delete(temporary).await?;
            return Err(failed(FileErrorKind::Exists, "there is already a file of that name", Sent::No));
        }
        self.rename(temporary, path).await
    }

    async fn rename(&mut self, from: &str, to: &str) -> FileResult<()> {
        let (from, to) = (self.path(from), self.path(to));
        let limit = self.settings.timeout;
        let naming = self.control.custom_command(format!("RNFR {from}"), &[Status::RequestFilePending]);
        within(limit, naming).await.map_err(|error| ftp_error(error, Sent::No))?;
        // Some servers answer 200 instead of 250.
        let done = &[Status::RequestedFileActionOk, Status::CommandOk];
        let renaming = self.control.custom_command(format!("RNTO {to}"), done);
        within(limit, renaming).await.map_err(|error| match refused(&error) {
            // What is missing is not the file: it was there a moment ago.
            Some(_) => FileError { kind: FileErrorKind::Other, ..ftp_error(error, Sent::No) },
            None => ftp_error(error, Sent::Maybe),
        })?;
        Ok(())
    }

    async fn delete(&mut self, path: &str) -> FileResult<()> {
        let path = self.path(path);
        match within(self.settings.timeout, self.control.rm(&path)).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let sent = if refused(&error).is_some() { Sent::No } else { Sent::Maybe };
                let error = ftp_error(error, sent);
                match error.kind {
                    FileErrorKind::NotFound if !self.exists_at(&path).await? => Ok(()),
                    FileErrorKind::NotFound => Err(FileError { kind: FileErrorKind::Denied, ..error }),
                    _ => Err(error),
                }
            }
        }
    }

    async fn close(mut self) {
        // Not every server answers; it is only a courtesy.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.control.quit()).await;
    }
}

impl Session {
    async fn log_in(&mut self) -> Result<(), FtpError> {
        let settings = Arc::clone(&self.settings);
        self.control.login(settings.user.as_str(), settings.password.reveal()).await?;
        let file_type = match settings.transfer {
            FtpTransfer::Binary => FileType::Binary,
            FtpTransfer::Ascii => FileType::Ascii(FormatControl::NonPrint),
        };
        self.control.transfer_type(file_type).await
    }

    /// A path of ours as one of the server's.
    fn path(&self, path: &str) -> String {
        below(&self.settings.home, path)
    }

    async fn exists(&mut self, path: &str) -> FileResult<bool> {
        let path = self.path(path);
        self.exists_at(&path).await
    }

    /// Asks for the size, which is cheap; where that can not tell, looks through the directory.
    async fn exists_at(&mut self, path: &str) -> FileResult<bool> {
        if self.settings.transfer == FtpTransfer::Binary {
            match within(self.settings.timeout, self.control.size(path)).await {
                Ok(_) => return Ok(true),
                Err(error) => match refused(&error) {
                    Some(Status::FileUnavailable) => return Ok(false),
                    None => return Err(ftp_error(error, Sent::No)),
                    Some(_) => {}
                },
            }
        }
        let (command, name) = match path.rsplit_once('/') {
            Some(("", name)) => ("NLST /".to_owned(), name),
            Some((directory, name)) => (format!("NLST {directory}"), name),
            None => ("NLST".to_owned(), path),
        };
        match self.download(&command, LISTING_LIMIT).await {
            Ok(listing) => Ok(parse_names(&listing).iter().any(|listed| listed == name)),
            Err(error) if error.kind == FileErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells an empty directory from one that is not there; not every server does so when it lists.
    async fn check_directory(&mut self, path: &str) -> FileResult<()> {
        let limit = self.settings.timeout;
        let not_done = |error| ftp_error(error, Sent::No);
        let here = within(limit, self.control.pwd()).await.map_err(not_done)?;
        within(limit, self.control.cwd(path)).await.map_err(not_done)?;
        within(limit, self.control.cwd(here)).await.map_err(not_done)
    }

    /// Runs a command that answers with data.
    async fn download(&mut self, command: &str, limit: usize) -> FileResult<Bytes> {
        let time = self.settings.timeout;
        let not_done = |error| ftp_error(error, Sent::No);
        let starting = self.control.custom_data_command(command, &[Status::AboutToSend, Status::AlreadyOpen]);
        let (_, mut transfer) = within(time, starting).await.map_err(not_done)?;
        let mut contents = Vec::new();
        let reading = async {
            let most = (limit as u64).saturating_add(1);
            (&mut transfer).take(most).read_to_end(&mut contents).await.map_err(FtpError::ConnectionError)
        };
        let read = within(time, reading).await;
        if contents.len() > limit {
            return Err(failed(FileErrorKind::TooLarge, format!("longer than {limit} bytes"), Sent::No));
        }
        self.finish(transfer, read).await.map_err(not_done)?;
        Ok(contents.into())
    }

    async fn upload(&mut self, path: &str, contents: &Bytes) -> FileResult<()> {
        let time = self.settings.timeout;
        let not_done = |error| ftp_error(error, Sent::No);
        let lines;
        let contents: &[u8] = match self.settings.transfer {
            FtpTransfer::Binary => contents,
            FtpTransfer::Ascii => {
                lines = to_network_lines(contents);
                &lines
            }
        };
        let mut transfer = within(time, self.control.put_with_stream(path)).await.map_err(|error| {
            let error = not_done(error);
            // The file is new: it is its directory that is missing, or not to be written.
            if error.kind == FileErrorKind::NotFound {
                FileError { kind: FileErrorKind::Other, ..error }
            } else {
                error
            }
        })?;
        let writing = async {
            transfer.write_all(contents).await.map_err(FtpError::ConnectionError)?;
            transfer.flush().await.map_err(FtpError::ConnectionError)
        };
        let written = within(time, writing).await;
        self.finish(transfer, written).await.map_err(not_done)
    }

    /// Ends a transfer. What the server says of it tells more than how the data connection broke.
    async fn finish<T>(&self, transfer: Transfer, moved: Result<T, FtpError>) -> Result<(), FtpError> {
        let finished = within(self.settings.timeout, transfer.finish()).await;
        match (moved, finished) {
            (Ok(_), finished) => finished,
            (Err(_), Err(error)) if refused(&error).is_some() => Err(error),
            (Err(error), _) => Err(error),
        }
    }
}

async fn connect(settings: &Ftp, tls: Option<&tls::Client>) -> Result<Control, FtpError> {
    let stream =
        TcpStream::connect((settings.host.as_str(), settings.port)).await.map_err(FtpError::ConnectionError)?;
    stream.set_nodelay(true).map_err(FtpError::ConnectionError)?;
    let is_ipv6 = stream.peer_addr().map_err(FtpError::ConnectionError)?.is_ipv6();
    let mut control = Control::connect_with_stream(stream).await?;
    if let Some(tls) = tls {
        let mut config = (*tls.config).clone();
        config.resumption = Resumption::in_memory_sessions(16);
        let connector = AsyncRustlsConnector::from(TlsConnector::from(Arc::new(config)));
        let name = tls.server_name(&settings.host).map_err(|error| FtpError::SecureError(error.to_string()))?;
        control = control.into_secure(connector, &name.to_str()).await?;
    }
    let limit = settings.connect_timeout;
    if !settings.passive {
        return Ok(control.active_mode(limit));
    }
    control.set_mode(if is_ipv6 { Mode::ExtendedPassive } else { Mode::Passive });
    // Data goes to the host we are connected to, whatever address the server believes to have.
    control.set_passive_nat_workaround(true);
    Ok(control.passive_stream_builder(move |address| {
        Box::pin(async move {
            let connecting = async { TcpStream::connect(address).await.map_err(FtpError::ConnectionError) };
            within(limit, connecting).await
        })
    }))
}

async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, FtpError>>) -> Result<T, FtpError> {
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| {
        let text = format!("no answer within {limit:?}");
        Err(FtpError::ConnectionError(std::io::Error::new(std::io::ErrorKind::TimedOut, text)))
    })
}

/// The server's code, if it was the server that said no; not if it said goodbye.
const fn refused(error: &FtpError) -> Option<Status> {
    match error {
        FtpError::UnexpectedResponse(response) if !matches!(response.status, Status::NotAvailable) => {
            Some(response.status)
        }
        _ => None,
    }
}

fn ftp_error(error: FtpError, sent: Sent) -> FileError {
    match error {
        FtpError::UnexpectedResponse(response) => {
            let text = words(&response.body);
            failed(kind(response.status, &text), text, sent)
        }
        FtpError::ConnectionError(error) => failed(FileErrorKind::Link, tls::describe(&error), sent),
        FtpError::SecureError(text) => failed(FileErrorKind::Link, format!("TLS: {text}"), sent),
        other => failed(FileErrorKind::Link, other.to_string(), sent),
    }
}

fn kind(status: Status, words: &str) -> FileErrorKind {
    match status {
        Status::NotAvailable | Status::CannotOpenDataConnection | Status::TransferAborted => FileErrorKind::Link,
        Status::NotLoggedIn | Status::InvalidCredentials | Status::LoginNeedAccount | Status::StoringNeedAccount => {
            FileErrorKind::Denied
        }
        Status::FileUnavailable | Status::RequestFileActionIgnored => {
            let words = words.to_ascii_lowercase();
            let denied = ["denied", "permission", "not allowed"].iter().any(|word| words.contains(word));
            if denied { FileErrorKind::Denied } else { FileErrorKind::NotFound }
        }
        _ => FileErrorKind::Other,
    }
}

/// A server's words on one line.
fn words(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(WORDS_LIMIT).collect()
}

/// The names in a listing, without their directories.
fn parse_names(listing: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(listing)
        .lines()
        .filter_map(|line| line.trim_end_matches('\r').rsplit(['/', '\\']).next())
        .filter(|name| !matches!(*name, "" | "." | "..") && !name.chars().any(char::is_control))
        .map(str::to_owned)
        .collect()
}

fn to_network_lines(contents: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(contents.len() + contents.len() / 32);
    let mut previous = 0;
    for &byte in contents {
        if byte == b'\n' && previous != b'\r' {
            lines.push(b'\r');
        }
        lines.push(byte);
        previous = byte;
    }
    lines
}

fn from_network_lines(contents: &[u8]) -> Bytes {
    let mut lines = Vec::with_capacity(contents.len());
    for &byte in contents {
        if byte == b'\n' && lines.last() == Some(&b'\r') {
            lines.pop();
        }
        lines.push(byte);
    }
    lines.into()
}
