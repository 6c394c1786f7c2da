//! File calls carried out, one after another, over whatever carries files.

pub(crate) mod ftp;
pub(crate) mod local;
mod session;
#[cfg(feature = "sftp")]
pub(crate) mod sftp;

use std::time::Duration;

use headgate_core::adapter::{EffectId, FileCall, FileError, FileErrorKind};
use headgate_core::failure::Sent;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::DriverEvent;
use session::Sessions;
pub(crate) use session::{FileSession, FileTransport};

/// What a file call gives.
pub(crate) type FileResult<T> = Result<T, FileError>;

/// Most bytes that a directory's listing may have: 16 MiB.
pub(crate) const LISTING_LIMIT: usize = 16 << 20;

const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// One of the transports there are.
pub(crate) enum AnyTransport {
    /// A directory of this machine.
    Local(local::LocalDirectory),
    /// FTP, plain or with TLS.
    Ftp(Box<ftp::FtpTransport>),
    /// SFTP.
    #[cfg(feature = "sftp")]
    Sftp(Box<sftp::SftpTransport>),
}

/// The task that carries out one provider's file calls.
pub(crate) struct FileTask {
    work: mpsc::UnboundedSender<Work>,
    task: JoinHandle<()>,
}

enum Work {
    Call(EffectId, FileCall),
    Replace(AnyTransport),
}

impl FileTask {
    /// Starts it.
    pub(crate) fn spawn<M>(transport: AnyTransport, sink: mpsc::Sender<M>) -> Self
    where
        M: From<DriverEvent> + Send + 'static,
    {
        let (work, work_out) = mpsc::unbounded_channel();
        Self { work, task: tokio::spawn(run_any(transport, work_out, sink)) }
    }

    /// Queues a call. The adapter bounds how many wait: it gets an answer to each.
    pub(crate) fn call(&self, id: EffectId, call: FileCall) {
        // The task ends only when this sender is gone or nobody reads its answers.
        let _ = self.work.send(Work::Call(id, call));
    }

    /// Uses another transport for the calls after this.
    pub(crate) fn replace(&self, transport: AnyTransport) {
        let _ = self.work.send(Work::Replace(transport));
    }

    /// Ends the task after the calls that are queued.
    pub(crate) async fn shutdown(self) {
        let Self { work, mut task } = self;
        drop(work);
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn run_any<M>(mut transport: AnyTransport, mut work: mpsc::UnboundedReceiver<Work>, sink: mpsc::Sender<M>)
where
    M: From<DriverEvent> + Send + 'static,
{
    loop {
        let next = match transport {
            AnyTransport::Local(transport) => run(transport, &mut work, &sink).await,
            AnyTransport::Ftp(transport) => run(*transport, &mut work, &sink).await,
            #[cfg(feature = "sftp")]
            AnyTransport::Sftp(transport) => run(*transport, &mut work, &sink).await,
        };
        match next {
            Some(next) => transport = next,
            None => return,
        }
    }
}

/// Carries out calls until another transport is to do so, or none.
async fn run<M: From<DriverEvent>>(
    transport: impl FileTransport,
    work: &mut mpsc::UnboundedReceiver<Work>,
    sink: &mpsc::Sender<M>,
) -> Option<AnyTransport> {
    let mut sessions = Sessions::new(transport);
    let next = loop {
        let next = match sessions.idle() {
            Some(idle) => tokio::time::timeout(idle, work.recv()).await,
            None => Ok(work.recv().await),
        };
        match next {
            Ok(Some(Work::Call(id, call))) => {
                let result = match check(&call) {
                    Ok(()) => sessions.call(&call).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = &result {
                    tracing::debug!(?call, ?error, "a file call failed");
                }
                if sink.send(DriverEvent::File(id, result).into()).await.is_err() {
                    break None;
                }
            }
            Ok(Some(Work::Replace(next))) => break Some(next),
            Ok(None) => break None,
            Err(_) => sessions.close().await,
        }
    };
    sessions.close().await;
    next
}

/// Refuses paths that lead out of the home directory or can not be a line of a protocol.
fn check(call: &FileCall) -> FileResult<()> {
    let paths: &[&str] = match call {
        FileCall::List { directory } if directory.is_empty() => &[],
        FileCall::List { directory } => &[directory],
        FileCall::Read { path, .. } | FileCall::Delete { path } => &[path],
        FileCall::Put { path, temporary, .. } => &[path, temporary],
        FileCall::Rename { from, to } => &[from, to],
    };
    for path in paths {
        let wrong = |what: &str| Err(failed(FileErrorKind::Other, format!("path {path:?} {what}"), Sent::No));
        if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return wrong("must be relative, without empty parts, `.` and `..`");
        }
        if path.chars().any(char::is_control) {
            return wrong("must not contain control characters");
        }
    }
    Ok(())
}

/// A path of ours, seen from where a server's own paths start.
pub(crate) fn below(home: &str, path: &str) -> String {
    match (home, path) {
        ("", path) => path.to_owned(),
        (home, "") => home.to_owned(),
        (home, path) => format!("{}/{path}", home.trim_end_matches('/')),
    }
}

/// A file error.
pub(crate) fn failed(kind: FileErrorKind, text: impl Into<String>, sent: Sent) -> FileError {
    FileError { kind, text: text.into(), sent }
}
