//! What lies between an adapter and a platform: links that carry bytes with delays and break, a file server or a
//! database that is slow and sometimes away, or HTTP calls that are refused, cut and lost.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headgate_codecs::memory_files::MemoryFiles;
use headgate_codecs::memory_table::MemoryTables;
use headgate_core::adapter::{Done, Effect, EffectId, FileAnswer, FileCall, FileError, FileErrorKind, LinkId};
use headgate_core::failure::Sent;
use headgate_core::http::{CallId, HttpAnswer, HttpCall, HttpError, HttpReply, HttpRequest};
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
    /// The result of a file call or a table call.
    Result(EffectId, Done),
    /// An HTTP call reaches the platform's machine.
    Called(CallId, HttpCall),
    /// An HTTP call's result. The first that arrives counts.
    Answered(CallId, Result<HttpAnswer, HttpError>),
}

/// An HTTP call without a result.
#[derive(Clone, Copy, Debug)]
struct OpenCall {
    id: EffectId,
    answer_limit: usize,
    is_cut: bool,
}

/// The wire's own state: which links are open, and under which name the platform knows them.
///
/// A link that is opened again has a new name on the platform's side, as a socket would.
#[derive(Debug, Default)]
pub struct Wire {
    open: BTreeMap<LinkId, LinkId>,
    closing: BTreeSet<LinkId>,
    accepted: u32,
    calls: BTreeMap<CallId, OpenCall>,
    called: u64,
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
            Effect::Http(call) => {
                self.called += 1;
                let name = CallId(self.called);
                self.calls.insert(name, OpenCall { id, answer_limit: call.answer_limit, is_cut: false });
                vec![(Side::Platform, Parcel::Called(name, call))]
            }
            Effect::Reply(name, reply) => match self.calls.get(&name) {
                Some(call) => vec![(Side::Adapter, Parcel::Answered(name, answered(reply, call.answer_limit)))],
                None => Vec::new(),
            },
            Effect::Table(call) => vec![(from, Parcel::Table(id, call))],
            other => unreachable!("the wire does not carry {other:?}"),
        }
    }

    /// Breaks every link: both sides learn it. Calls without a result are cut, wherever they are.
    pub fn break_links(&mut self) -> Vec<(Side, Parcel)> {
        let links: Vec<_> = self.open.keys().copied().collect();
        let mut parcels: Vec<_> = links.into_iter().flat_map(|link| self.close(link, None)).collect();
        for (name, call) in &mut self.calls {
            call.is_cut = true;
            parcels.push((Side::Adapter, Parcel::Answered(*name, Err(unanswered("the connection broke")))));
        }
        parcels
    }

    /// Forgets the calls of a gateway that died: nobody waits for their results.
    pub fn forget_calls(&mut self) {
        self.calls.clear();
    }

    /// Whether a call certainly reaches the platform; of one that was cut or forgotten on its way nobody knows.
    #[must_use]
    pub fn is_whole(&self, name: CallId) -> bool {
        self.calls.get(&name).is_some_and(|call| !call.is_cut)
    }

    /// Ends a call; returns the effect it was, unless it has ended already.
    pub fn end_call(&mut self, name: CallId) -> Option<EffectId> {
        self.calls.remove(&name).map(|call| call.id)
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
            Parcel::Answered(name, _) => self.calls.contains_key(name),
            Parcel::Closed(..) | Parcel::Call(..) | Parcel::Table(..) | Parcel::Result(..) | Parcel::Called(..) => true,
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

/// A call as the platform sees it.
#[must_use]
pub fn request(call: HttpCall) -> HttpRequest {
    let headers = call.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
    HttpRequest { method: call.method, target: call.target, headers, body: call.body }
}

/// The result of a call that was not even begun.
#[must_use]
pub fn refused() -> HttpError {
    HttpError { code: "connect_failed", text: "connection refused".to_owned(), sent: Sent::No }
}

/// The result of a call whose answer nobody has seen.
#[must_use]
pub fn unanswered(why: &str) -> HttpError {
    HttpError { code: "no_answer", text: why.to_owned(), sent: Sent::Maybe }
}

/// What a driver makes of a platform's reply.
fn answered(reply: HttpReply, limit: usize) -> Result<HttpAnswer, HttpError> {
    let failed = |code| Err(HttpError { code, text: "the answer can not be used".to_owned(), sent: Sent::Maybe });
    match reply {
        HttpReply::Whole(answer) | HttpReply::AndClose(answer) if answer.body.len() <= limit => Ok(answer),
        HttpReply::Whole(_) | HttpReply::AndClose(_) => failed("answer_too_long"),
        HttpReply::Cut(_, declared) if declared > limit as u64 => failed("answer_too_long"),
        HttpReply::Cut(..) => failed("answer_broken"),
        HttpReply::Close => Err(unanswered("the connection was closed before an answer came")),
    }
}
