//! Connections that read beside the writer, on threads that may block.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::schema;
use crate::store::StoreError;

/// Most reads at once. More would only compete for the same disk.
const CONNECTIONS: usize = 4;

/// A pool of read-only connections, opened as they are needed.
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// A pool over the file at `path`, which the writer has opened.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, permits: Arc::new(Semaphore::new(CONNECTIONS)), idle: Arc::default() }
    }

    /// Does `work` with one of the connections, within one snapshot of the store.
    ///
    /// # Errors
    /// What `work` returns; [`StoreError::Closed`] after [`Readers::close`].
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let path = self.path.clone();
        let task = tokio::task::spawn_blocking(move || {
            let ready = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut conn = match ready {
                Some(conn) => conn,
                None => schema::open_reader(&path)?,
            };
            let snapshot = conn.transaction().map_err(super::failed)?;
            let result = work(&snapshot);
            drop(snapshot);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            drop(permit);
            result
        });
        task.await.map_err(|error| StoreError::Failed(error.to_string()))?
    }

    /// Waits for reads under way, refuses new ones, closes the connections.
    pub(super) async fn close(&self) {
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        let permits = self.permits.acquire_many(all).await;
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(permits);
    }
}
