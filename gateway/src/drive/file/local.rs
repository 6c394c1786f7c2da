//! Files in a directory of this machine: the platform's own disk, or one that is mounted here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{FileError, FileErrorKind};
use headgate_core::failure::Sent;

use super::{FileResult, FileSession, FileTransport, failed};

/// A home directory. Each call runs on a thread that may block.
#[derive(Clone, Debug)]
pub(crate) struct LocalDirectory {
    home: PathBuf,
    makes_directories: bool,
}

impl LocalDirectory {
    /// Files below `home`, in directories that are there.
    pub(crate) const fn new(home: PathBuf) -> Self {
        Self { home, makes_directories: false }
    }

    /// Files below `home`, in directories that are made when they are first named: for who owns the place.
    pub(crate) const fn making_directories(home: PathBuf) -> Self {
        Self { home, makes_directories: true }
    }

    async fn blocking<T, F>(&self, path: &str, work: F) -> FileResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Path) -> FileResult<T> + Send + 'static,
    {
        let path = self.home.join(path);
        match tokio::task::spawn_blocking(move || work(&path)).await {
            Ok(result) => result,
            Err(_) => Err(failed(FileErrorKind::Other, "the file thread failed", Sent::Maybe)),
        }
    }
}

impl FileTransport for LocalDirectory {
    type Session = Self;

    async fn open(&self) -> FileResult<Self> {
        Ok(self.clone())
    }

    fn idle(&self) -> Duration {
        Duration::MAX
    }
}

impl FileSession for LocalDirectory {
    async fn list(&mut self, directory: &str) -> FileResult<Vec<String>> {
        let makes_directories = self.makes_directories;
        self.blocking(directory, move |directory| {
            if makes_directories {
                fs::create_dir_all(directory).map_err(not_done)?;
            }
            list(directory)
        })
        .await
    }

    async fn read(&mut self, path: &str, limit: usize) -> FileResult<Bytes> {
        self.blocking(path, move |path| read(path, limit)).await
    }

    async fn put(&mut self, path: &str, temporary: &str, contents: &Bytes) -> FileResult<()> {
        let temporary = self.home.join(temporary);
        let contents = contents.clone();
        let makes_directories = self.makes_directories;
        self.blocking(path, move |path| {
            if makes_directories {
                make_parent(&temporary)?;
                make_parent(path)?;
            }
            put(path, &temporary, &contents)
        })
        .await
    }

    async fn rename(&mut self, from: &str, to: &str) -> FileResult<()> {
        let to = self.home.join(to);
        let makes_directories = self.makes_directories;
        self.blocking(from, move |from| {
            if makes_directories {
                make_parent(&to)?;
            }
            rename(from, &to)
        })
        .await
    }

    async fn delete(&mut self, path: &str) -> FileResult<()> {
        self.blocking(path, delete).await
    }

    async fn close(self) {}
}

fn make_parent(path: &Path) -> FileResult<()> {
    path.parent().map_or(Ok(()), |parent| fs::create_dir_all(parent).map_err(not_done))
}

fn list(directory: &Path) -> FileResult<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(not_done)? {
        let entry = entry.map_err(not_done)?;
        if entry.file_type().map_err(not_done)?.is_dir() {
            continue;
        }
        // A name that is no text can not be one of a protocol's.
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

fn read(path: &Path, limit: usize) -> FileResult<Bytes> {
    let file = File::open(path).map_err(not_done)?;
    let mut contents = Vec::new();
    file.take((limit as u64).saturating_add(1)).read_to_end(&mut contents).map_err(not_done)?;
    if contents.len() > limit {
        return Err(failed(FileErrorKind::TooLarge, format!("the file is longer than {limit} bytes"), Sent::No));
    }
    Ok(contents.into())
}

fn put(path: &Path, temporary: &Path, contents: &[u8]) -> FileResult<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(temporary).map_err(not_done)?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(not_done)?;
    drop(file);
    if fs::symlink_metadata(path).is_ok() {
        // The failure to tell is that of the call; a temporary file left behind is overwritten next time.
        let _ = fs::remove_file(temporary);
        return Err(failed(FileErrorKind::Exists, "there is already a file of that name", Sent::No));
    }
    rename(temporary, path)
}

fn rename(from: &Path, to: &Path) -> FileResult<()> {
    fs::rename(from, to).map_err(not_done)?;
    sync_parent(to)?;
    if from.parent() != to.parent() { sync_parent(from) } else { Ok(()) }
}

fn delete(path: &Path) -> FileResult<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(not_done(error)),
    }
}

/// Makes a change of names durable. The change itself is done and seen by others.
fn sync_parent(path: &Path) -> FileResult<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    match File::open(parent).and_then(|directory| directory.sync_all()) {
        Ok(()) => Ok(()),
        // Some network file systems can not do that to a directory; they look after it themselves.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        Err(error) => Err(failed(kind(&error), error.to_string(), Sent::Yes)),
    }
}

fn not_done(error: io::Error) -> FileError {
    failed(kind(&error), error.to_string(), Sent::No)
}

fn kind(error: &io::Error) -> FileErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => FileErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => FileErrorKind::Exists,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FileErrorKind::Denied,
        _ => FileErrorKind::Other,
    }
}
