//! Files over SFTP (version 3, as OpenSSH speaks it). The server is known by its host key's fingerprint.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{FileError, FileErrorKind};
use headgate_core::failure::Sent;
use headgate_core::text::Secret;
use russh::client::{self, AuthResult, Handle};
use russh::keys::ssh_key::Fingerprint;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{FileResult, FileSession, FileTransport, below, failed};
use crate::drive::connection::{ConnectionError, Sftp};

/// An SFTP server.
pub(crate) struct SftpTransport {
    settings: Arc<Sftp>,
    credential: Credential,
    host_key: Fingerprint,
}

#[derive(Clone)]
enum Credential {
    Password(Secret),
    Key(Arc<PrivateKey>),
}

impl SftpTransport {
    /// The server that `settings` name. Reads the private key.
    pub(crate) fn new(settings: &Sftp) -> Result<Self, ConnectionError> {
        let credential = match (&settings.password, &settings.key) {
            (Some(password), None) => Credential::Password(password.clone()),
            (None, Some(path)) => {
                let key = load_secret_key(path, None).map_err(|error| {
                    ConnectionError::new("sftp.key", format!("{} can not be used: {error}", path.display()))
                })?;
                Credential::Key(Arc::new(key))
            }
            _ => return Err(ConnectionError::new("sftp", "give exactly one of `password` and `key`")),
        };
        let host_key =
            settings.host_key.parse().ok().filter(|print: &Fingerprint| print.is_sha256()).ok_or_else(|| {
                ConnectionError::new(
                    "sftp.host_key",
                    "must be \"SHA256:\" and 43 characters; `ssh-keyscan HOST | ssh-keygen -lf -` prints it",
                )
            })?;
        Ok(Self { settings: Arc::new(settings.clone()), credential, host_key })
    }

    async fn log_in(&self) -> Result<Session, FileError> {
        let settings = &self.settings;
        let link = |error: russh::Error| failed(FileErrorKind::Link, error.to_string(), Sent::No);
        let config = client::Config { nodelay: true, ..client::Config::default() };
        let known = KnownHost(self.host_key);
        let server = (settings.host.as_str(), settings.port);
        let mut ssh = client::connect(Arc::new(config), server, known).await.map_err(|error| match error {
            russh::Error::UnknownKey => failed(FileErrorKind::Link, "the host key is not `sftp.host_key`", Sent::No),
            error => link(error),
        })?;
        let user = settings.user.as_str();
        let result = match &self.credential {
            Credential::Password(password) => ssh.authenticate_password(user, password.reveal()).await,
            Credential::Key(key) => {
                ssh.authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::clone(key), None)).await
            }
        };
        if !matches!(result.map_err(link)?, AuthResult::Success) {
            return Err(failed(FileErrorKind::Denied, "the login was refused", Sent::No));
        }
        let channel = ssh.channel_open_session().await.map_err(link)?;
        channel.request_subsystem(true, "sftp").await.map_err(link)?;
        let config = russh_sftp::client::Config {
            request_timeout_secs: settings.timeout.as_secs().max(1),
            ..russh_sftp::client::Config::default()
        };
        let sftp = SftpSession::new_with_config(channel.into_stream(), config)
            .await
            .map_err(|error| sftp_error(error, Sent::No))?;
        Ok(Session { sftp, ssh, settings: Arc::clone(settings) })
    }
}

impl FileTransport for SftpTransport {
    type Session = Session;

    async fn open(&self) -> FileResult<Session> {
        let limit = self.settings.connect_timeout;
        let error = match tokio::time::timeout(limit, self.log_in()).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => error,
            Err(_) => failed(FileErrorKind::Link, format!("no session within {limit:?}"), Sent::No),
        };
        Err(FileError { text: format!("{}:{}: {}", self.settings.host, self.settings.port, error.text), ..error })
    }

    fn idle(&self) -> Duration {
        self.settings.idle
    }
}

/// Accepts the one host key it knows.
struct KnownHost(Fingerprint);

impl client::Handler for KnownHost {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.fingerprint(HashAlg::Sha256) == self.0,
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }
}

/// A session that is logged in.
pub(crate) struct Session {
    sftp: SftpSession,
    ssh: Handle<KnownHost>,
    settings: Arc<Sftp>,
}

impl FileSession for Session {
    async fn list(&mut self, directory: &str) -> FileResult<Vec<String>> {
        let path = self.path(directory);
        let path = if path.is_empty() { ".".to_owned() } else { path };
        let entries = self.within(self.sftp.read_dir(path), Sent::No).await?;
        Ok(entries.filter(|entry| !entry.file_type().is_dir()).map(|entry| entry.file_name()).collect())
    }

    async fn read(&mut self, path: &str, limit: usize) -> FileResult<Bytes> {
        let reading = async {
            let mut file = self.sftp.open(self.path(path)).await?;
            let mut contents = Vec::new();
            (&mut file).take((limit as u64).saturating_add(1)).read_to_end(&mut contents).await?;
            file.close().await?;
            Ok(contents)
        };
        let contents = self.within(reading, Sent::No).await?;
        if contents.len() > limit {
            return Err(failed(FileErrorKind::TooLarge, format!("longer than {limit} bytes"), Sent::No));
        }
        Ok(contents.into())
    }

    async fn put(&mut self, path: &str, temporary: &str, contents: &Bytes) -> FileResult<()> {
        let writing = async {
            let mut file = self.sftp.create(self.path(temporary)).await?;
            file.write_all(contents).await?;
            file.flush().await?;
            // Passed over by servers that do not know it.
            file.sync_all().await?;
            file.close().await?;
            Ok(())
        };
        self.within(writing, Sent::No).await.map_err(|error| match error.kind {
            // The file is new: it is its directory that is missing.
            FileErrorKind::NotFound => FileError { kind: FileErrorKind::Other, ..error },
            _ => error,
        })?;
        if self.within(self.sftp.try_exists(self.path(path)), Sent::No).await? {
            self.delete(temporary).await?;
            return Err(failed(FileErrorKind::Exists, "there is already a file of that name", Sent::No));
        }
        self.rename(temporary, path).await
    }

    async fn rename(&mut self, from: &str, to: &str) -> FileResult<()> {
        self.within(self.sftp.rename(self.path(from), self.path(to)), Sent::Maybe).await
    }

    async fn delete(&mut self, path: &str) -> FileResult<()> {
        match self.within(self.sftp.remove_file(self.path(path)), Sent::Maybe).await {
            Err(error) if error.kind == FileErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    async fn close(self) {
        let leaving = self.ssh.disconnect(russh::Disconnect::ByApplication, "", "");
        let _ = tokio::time::timeout(Duration::from_secs(1), leaving).await;
    }
}

impl Session {
    fn path(&self, path: &str) -> String {
        below(&self.settings.home, path)
    }

    /// One step; `sent` says whether it may have taken effect if no answer comes.
    async fn within<T>(&self, step: impl Future<Output = Result<T, Error>>, sent: Sent) -> FileResult<T> {
        let limit = self.settings.timeout;
        match tokio::time::timeout(limit, step).await {
            Ok(result) => result.map_err(|error| sftp_error(error, sent)),
            Err(_) => Err(failed(FileErrorKind::Link, format!("no answer within {limit:?}"), sent)),
        }
    }
}

fn sftp_error(error: Error, sent: Sent) -> FileError {
    match error {
        Error::Status(status) => {
            let text = if status.error_message.is_empty() {
                status.status_code.to_string()
            } else {
                status.error_message.chars().filter(|c| !c.is_control()).take(200).collect()
            };
            let (kind, sent) = match status.status_code {
                StatusCode::NoSuchFile => (FileErrorKind::NotFound, Sent::No),
                StatusCode::PermissionDenied => (FileErrorKind::Denied, Sent::No),
                StatusCode::NoConnection | StatusCode::ConnectionLost => (FileErrorKind::Link, sent),
                _ => (FileErrorKind::Other, Sent::No),
            };
            failed(kind, text, sent)
        }
        other => failed(FileErrorKind::Link, other.to_string(), sent),
    }
}
