//! One session with whatever carries files, opened when a call needs it and there is none.

use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{FileAnswer, FileCall, FileErrorKind};
use headgate_core::failure::Sent;

use super::FileResult;

/// Something that carries files, and how a session with it is opened.
pub(crate) trait FileTransport: Send + Sync {
    /// A session with it.
    type Session: FileSession;

    /// Opens a session, logged in and ready for calls.
    fn open(&self) -> impl Future<Output = FileResult<Self::Session>> + Send;

    /// A session that was not used for this long is closed.
    fn idle(&self) -> Duration;
}

/// A session. Paths are those of [`FileCall`], already checked.
pub(crate) trait FileSession: Send {
    /// The names of the files in a directory.
    fn list(&mut self, directory: &str) -> impl Future<Output = FileResult<Vec<String>>> + Send;

    /// The contents of a file of at most `limit` bytes.
    fn read(&mut self, path: &str, limit: usize) -> impl Future<Output = FileResult<Bytes>> + Send;

    /// Writes `temporary`, then renames it to `path`, which must not exist where that can be told.
    fn put(&mut self, path: &str, temporary: &str, contents: &Bytes) -> impl Future<Output = FileResult<()>> + Send;

    /// Renames a file.
    fn rename(&mut self, from: &str, to: &str) -> impl Future<Output = FileResult<()>> + Send;

    /// Deletes a file; one that is not there is a success.
    fn delete(&mut self, path: &str) -> impl Future<Output = FileResult<()>> + Send;

    /// Takes leave.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// A transport with the session to it, if there is one.
///
/// A call that meets a session which the server has dropped meanwhile is repeated once in a new session, if
/// it can not have taken effect or may be repeated.
pub(crate) struct Sessions<T: FileTransport> {
    transport: T,
    session: Option<T::Session>,
}

impl<T: FileTransport> Sessions<T> {
    /// No session yet.
    pub(crate) const fn new(transport: T) -> Self {
        Self { transport, session: None }
    }

    /// Carries out a call.
    pub(crate) async fn call(&mut self, call: &FileCall) -> FileResult<FileAnswer> {
        let is_reused = self.session.is_some();
        let is_repeatable = matches!(call, FileCall::List { .. } | FileCall::Read { .. } | FileCall::Delete { .. });
        match self.once(call).await {
            Err(error)
                if is_reused && error.kind == FileErrorKind::Link && (is_repeatable || error.sent == Sent::No) =>
            {
                self.once(call).await
            }
            result => result,
        }
    }

    /// After how long without a call [`Sessions::close`] is due; absent: there is no session.
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.session.as_ref().map(|_| self.transport.idle())
    }

    /// Ends the session, if there is one.
    pub(crate) async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    async fn once(&mut self, call: &FileCall) -> FileResult<FileAnswer> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.transport.open().await?,
        };
        let result = match call {
            FileCall::List { directory } => session.list(directory).await.map(FileAnswer::Names),
            FileCall::Read { path, limit } => session.read(path, *limit).await.map(FileAnswer::Contents),
            FileCall::Put { path, temporary, contents } => {
                session.put(path, temporary, contents).await.map(|()| FileAnswer::Done)
            }
            FileCall::Rename { from, to } => session.rename(from, to).await.map(|()| FileAnswer::Done),
            FileCall::Delete { path } => session.delete(path).await.map(|()| FileAnswer::Done),
        };
        // Kept unless it is broken, or half a transfer is still in it.
        if !matches!(&result, Err(error) if matches!(error.kind, FileErrorKind::Link | FileErrorKind::TooLarge)) {
            self.session = Some(session);
        }
        result
    }
}
