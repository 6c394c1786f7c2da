//! The file: who may open it, how its connections are set up, and how an older file is brought up to date.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::failed;
use crate::store::StoreError;

/// What turns a file of schema `n` into one of schema `n + 1`, in order. Never change one that was released: add one.
const MIGRATIONS: &[&str] =
    &[include_str!("migrations/0001_requests.sql"), include_str!("migrations/0002_subscriptions.sql")];

/// The schema this program writes.
pub(super) const SCHEMA: u32 = MIGRATIONS.len() as u32;

/// How long a connection waits for another: only while the log is being reset or recovered.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of write-ahead log before it is copied into the file: 64 MiB. Copying less often writes a page that
/// changed many times only once.
const CHECKPOINT_PAGES: u32 = 16_384;

/// Keeps other processes from writing, as long as it lives. Readers of the file are not kept out.
pub(super) struct Lock {
    /// The operating system releases the lock when this is closed, also when the process is killed.
    _file: File,
}

impl Lock {
    /// Takes the lock that goes with the store at `path`: the file beside it with `.lock` behind its name.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let beside = PathBuf::from(beside);
        let file = private_file(&beside)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.display().to_string() }),
            Err(TryLockError::Error(error)) => Err(StoreError::Failed(format!("{}: {error}", beside.display()))),
        }
    }
}

/// Opens the one connection that writes; makes the file if there is none, migrates it if it is older.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    // Made here first, so that the file and those SQLite puts beside it are for the owner only.
    drop(private_file(path)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags).map_err(|error| at(path, &error))?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    refuse_newer(&conn, path)?;
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA journal_size_limit = 134217728;
         PRAGMA cache_size = -65536;
         PRAGMA temp_store = MEMORY;
         PRAGMA foreign_keys = OFF;"
    ))
    .map_err(|error| at(path, &error))?;
    migrate(&mut conn).map_err(|error| at(path, &error))?;
    Ok(conn)
}

/// Opens a connection that only reads, beside the writer.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| at(path, &error))?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    Ok(conn)
}

fn private_file(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))
}

fn refuse_newer(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = version(conn).map_err(|error| at(path, &error))?;
    if found > SCHEMA {
        return Err(StoreError::Newer { path: path.display().to_string(), found, known: SCHEMA });
    }
    Ok(())
}

fn migrate(conn: &mut Connection) -> rusqlite::Result<()> {
    let found = version(conn)?;
    for (step, sql) in (1..=SCHEMA).zip(MIGRATIONS).filter(|(step, _)| *step > found) {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", step)?;
        transaction.commit()?;
    }
    Ok(())
}

fn version(conn: &Connection) -> rusqlite::Result<u32> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn at(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Failed(format!("{}: {error}", path.display()))
}
