//! What lies between an adapter and a platform: links that carry bytes with delays and break, or a file server or a
//! database that is slow and sometimes away.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headgate_codecs::memory_files::MemoryFiles;
use headgate_codecs::memory_table::MemoryTables;
use headgate_core::adapter::{Done, Effect, EffectId, FileAnswer, FileCall, FileError, FileErrorKind, LinkId};
use headgate_core::failure::Sent;
use headgate_core::table::{TableAnswer, TableCall, TableError, TableShape};

/// Which side of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The gateway's.
    Adapter,
    /// The vendor's.
    Platform,
}

/// Something on its way to a side.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// A link opens.
    Connected(LinkId),
    /// Bytes.
    Bytes(LinkId, Bytes),
    /// A link closed; why.
    Closed(LinkId, &'static str),
    /// A file call reaches the server.
    Call(EffectId, FileCall),
    /// A table call reaches the database.
    Table(EffectId, TableCall),
    /// The result of either.
    Result(EffectId, Done),
}

/// The wire's own state: which links are open, and under which name the platform knows them.
///
/// A link that is opened again has a new name on the platform's side, as a socket would.
#[derive(Debug, Default)]
pub struct Wire {
    open: BTreeMap<LinkId, LinkId>,
    closing: BTreeSet<LinkId>,
    accepted: u32,
    /// The file server.
    pub files: MemoryFiles,
    /// The database.
    pub tables: MemoryTables,
}

impl Wire {
    /// A wire to a file server with these directories, and to a database with these tables.
    #[must_use]
    pub fn new(directories: &[&str], tables: Vec<TableShape>) -> Self {
        let files = MemoryFiles::new(directories.iter().copied());
        Self { files, tables: MemoryTables::new(tables), ..Self::default() }
    }

    /// What becomes of an effect of one side: parcels, and to whom they go.
    pub fn carry(&mut self, from: Side, id: EffectId, effect: Effect, platform_up: bool) -> Vec<(Side, Parcel)> {
        match effect {
            Effect::Connect(link) if !platform_up => vec![(Side::Adapter, Parcel::Closed(link, "connection refused"))],
            Effect::Connect(link) => {
                self.accepted += 1;
                let there = LinkId(self.accepted);
                self.open.insert(link, there);
                vec![(Side::Platform, Parcel::Connected(there)), (Side::Adapter, Parcel::Connected(link))]
            }
            Effect::Send(link, bytes) => match from {
                Side::Adapter => self.there(link).map(|link| (Side::Platform, Parcel::Bytes(link, bytes))),
                Side::Platform => self.here(link).map(|link| (Side::Adapter, Parcel::Bytes(link, bytes))),
            }
            .into_iter()
            .collect(),
            Effect::Close(link) => {
                let here = match from {
                    Side::Adapter => Some(link),
                    Side::Platform => self.here(link),
                };
                here.map(|here| self.close(here, Some(from))).unwrap_or_default()
            }
            Effect::File(call) => vec![(from, Parcel::Call(id, call))],
            Effect::Table(call) => vec![(from, Parcel::Table(id, call))],
            other => unreachable!("the wire does not carry {other:?}"),
        }
    }

    /// Breaks every link: both sides learn it.
    pub fn break_links(&mut self) -> Vec<(Side, Parcel)> {
        let links: Vec<_> = self.open.keys().copied().collect();
        links.into_iter().flat_map(|link| self.close(link, None)).collect()
    }

    /// Carries out a file call.
    pub fn call(&mut self, call: &FileCall, up: bool) -> Result<FileAnswer, FileError> {
        if !up {
            let text = "connection refused".to_owned();
            return Err(FileError { kind: FileErrorKind::Link, text, sent: Sent::No });
        }
        self.files.call(call)
    }

    /// Carries out a table call.
    pub fn table_call(&mut self, call: &TableCall, up: bool) -> Result<TableAnswer, TableError> {
        if !up {
            return Err(TableError::not_done(TableError::CONNECT_FAILED, "connection refused"));
        }
        self.tables.call(call)
    }

    /// Whether a parcel still has somebody to go to.
    #[must_use]
    pub fn delivers(&self, to: Side, parcel: &Parcel) -> bool {
        match parcel {
            Parcel::Connected(link) | Parcel::Bytes(link, _) => match to {
                Side::Adapter => self.open.contains_key(link),
                // What was sent before a link closed still arrives.
                Side::Platform => self.here(*link).is_some() || self.closing.contains(link),
            },
            Parcel::Closed(..) | Parcel::Call(..) | Parcel::Table(..) | Parcel::Result(..) => true,
        }
    }

    fn close(&mut self, here: LinkId, by: Option<Side>) -> Vec<(Side, Parcel)> {
        let Some(there) = self.open.remove(&here) else { return Vec::new() };
        self.closing.insert(there);
        let mut parcels = Vec::new();
        if by != Some(Side::Platform) {
            parcels.push((Side::Platform, Parcel::Closed(there, "closed by the peer")));
        }
        if by != Some(Side::Adapter) {
            parcels.push((Side::Adapter, Parcel::Closed(here, "closed by the peer")));
        }
        parcels
    }

    fn there(&self, here: LinkId) -> Option<LinkId> {
        self.open.get(&here).copied()
    }

    fn here(&self, there: LinkId) -> Option<LinkId> {
        self.open.iter().find(|(_, name)| **name == there).map(|(here, _)| *here)
    }
}
