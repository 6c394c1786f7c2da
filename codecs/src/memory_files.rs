//! A file server in memory: answers [`FileCall`]s for simulations and tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use headgate_core::adapter::{FileAnswer, FileCall, FileError, FileErrorKind};
use headgate_core::failure::Sent;

/// Directories and the files in them. Paths are relative, with `/` between their parts.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    directories: BTreeSet<String>,
    files: BTreeMap<String, Bytes>,
    down: bool,
}

impl MemoryFiles {
    /// A server with these directories, empty. The home directory is always there.
    #[must_use]
    pub fn new<'a>(directories: impl IntoIterator<Item = &'a str>) -> Self {
        Self { directories: directories.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    /// Whether the server can not be reached.
    pub const fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// Carries out a call as a file server would.
    ///
    /// # Errors
    /// [`FileError`], as from a server: not found, exists, too large, or a link that is down.
    pub fn call(&mut self, call: &FileCall) -> Result<FileAnswer, FileError> {
        if self.down {
            return Err(error(FileErrorKind::Link, "connection refused"));
        }
        match call {
            FileCall::List { directory } => self.list(directory).map(FileAnswer::Names),
            FileCall::Read { path, limit } => {
                let contents = self.files.get(path).ok_or_else(not_found)?;
                if contents.len() > *limit {
                    return Err(error(FileErrorKind::TooLarge, "file too large"));
                }
                Ok(FileAnswer::Contents(contents.clone()))
            }
            FileCall::Put { path, contents, .. } => {
                self.free(path)?;
                self.files.insert(path.clone(), contents.clone());
                Ok(FileAnswer::Done)
            }
            FileCall::Rename { from, to } => {
                if !self.files.contains_key(from) {
                    return Err(not_found());
                }
                self.free(to)?;
                if let Some(contents) = self.files.remove(from) {
                    self.files.insert(to.clone(), contents);
                }
                Ok(FileAnswer::Done)
            }
            FileCall::Delete { path } => {
                self.files.remove(path);
                Ok(FileAnswer::Done)
            }
        }
    }

    /// Writes a file as somebody else would: at once, over an existing one.
    pub fn write(&mut self, path: &str, contents: impl Into<Bytes>) {
        self.files.insert(path.to_owned(), contents.into());
    }

    /// What a file holds.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path)
    }

    /// Every file with its contents, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files.iter().map(|(path, contents)| (path.as_str(), contents))
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, FileError> {
        if !self.is_directory(directory) {
            return Err(not_found());
        }
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let from = self.files.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let below = from.map_while(|(path, _)| path.strip_prefix(&prefix));
        Ok(below.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn free(&self, path: &str) -> Result<(), FileError> {
        if self.files.contains_key(path) {
            return Err(error(FileErrorKind::Exists, "file exists"));
        }
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        if self.is_directory(directory) { Ok(()) } else { Err(not_found()) }
    }

    fn is_directory(&self, directory: &str) -> bool {
        directory.is_empty() || self.directories.contains(directory)
    }
}

fn not_found() -> FileError {
    error(FileErrorKind::NotFound, "no such file or directory")
}

fn error(kind: FileErrorKind, text: &str) -> FileError {
    FileError { kind, text: text.to_owned(), sent: Sent::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &str) -> FileCall {
        FileCall::Put { path: path.into(), temporary: format!("{path}.tmp"), contents: Bytes::from_static(b"x") }
    }

    #[test]
    fn lists_only_the_files_of_a_directory() {
        let mut files = MemoryFiles::new(["a", "a/b"]);
        for path in ["a/1", "a/b/2", "a/3"] {
            assert_eq!(files.call(&put(path)), Ok(FileAnswer::Done));
        }
        let list = FileCall::List { directory: "a".into() };
        assert_eq!(files.call(&list), Ok(FileAnswer::Names(vec!["1".into(), "3".into()])));
        assert_eq!(files.call(&put("c/1")).unwrap_err().kind, FileErrorKind::NotFound);
    }

    #[test]
    fn never_overwrites_and_deletes_twice() {
        let mut files = MemoryFiles::new(["a"]);
        assert!(files.call(&put("a/1")).is_ok());
        assert_eq!(files.call(&put("a/1")).unwrap_err().kind, FileErrorKind::Exists);
        let delete = FileCall::Delete { path: "a/1".into() };
        assert_eq!((files.call(&delete), files.call(&delete)), (Ok(FileAnswer::Done), Ok(FileAnswer::Done)));
    }

    #[test]
    fn a_server_that_is_down_answers_nothing() {
        let mut files = MemoryFiles::new([]);
        files.set_down(true);
        assert_eq!(files.call(&FileCall::List { directory: String::new() }).unwrap_err().kind, FileErrorKind::Link);
    }
}
