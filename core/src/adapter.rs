//! The contract between the engine and a protocol.
//!
//! An [`Adapter`] is one conversation with one platform, over as many links as the platform wants.
//! It does no I/O: it is told what happened ([`Input`]) and says what should happen ([`Output`]).
//!
//! # Calling an adapter
//!
//! 1. Call [`Adapter::handle_input`] with [`Input::Start`], once, before anything else.
//! 2. Whenever something happened (a link opened, bytes came, an effect is done, the deadline passed), call
//!    [`Adapter::handle_input`]. When a command is to be carried out and [`Adapter::capacity`] is not
//!    zero, call [`Adapter::submit`]. Several of these calls may follow each other.
//! 3. Then call [`Adapter::poll_output`] until it returns [`Output::Wait`]. Carry out each
//!    [`Output::Do`] in the order given, and report back with [`Input::Done`] where the effect
//!    has a result.
//! 4. When the deadline of the last [`Output::Wait`] has passed, call [`Adapter::handle_input`]
//!    with [`Input::Deadline`].
//! 5. To stop: call [`Adapter::drain`], go on as before until every submission is finished,
//!    and drop the adapter.
//!
//! # What an adapter promises
//!
//! * Every submission gets exactly one [`Event::Finished`], also when links close: then it says with
//!   [`crate::failure::Sent`] whether the platform may have seen it.
//! * No input makes it panic. Bytes it can not read become an [`Event::Noise`] that carries them, and a
//!   [`Effect::Close`] where the framing is lost.
//! * An answer is matched by the protocol's own number, or the link is closed; it is never guessed.
//! * The order of outputs depends on nothing but the inputs: a run is a transcript.
//!
//! The smallest one that keeps these promises, with its platform, is `codecs/examples/minimal_protocol.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::body::Refusal;
use crate::capabilities::Capabilities;
use crate::failure::{Failure, Sent};
use crate::http::{CallId, HttpAnswer, HttpCall, HttpError, HttpReply, HttpRequest};
use crate::outcome::Outcome;
use crate::request::Request;
use crate::table::{TableAnswer, TableCall, TableError};
use crate::text::PlatformReference;
use crate::time::{Deadline, Now};

/// One conversation with one platform. See the [module](self) for how to call it.
pub trait Adapter: Send {
    /// How many more submissions it takes now. Zero while it can not carry out any, as a rule because no link is
    /// up. Never an estimate: when it says *n*, the next *n* submissions are taken.
    fn capacity(&self) -> usize;

    /// Takes a command to carry out.
    ///
    /// The engine has stored the request as sent before it calls this. A submission beyond
    /// [`Adapter::capacity`] ends at once as a failure that was not sent.
    fn submit(&mut self, now: Now, submission: Submission);

    /// Takes note of something that happened.
    fn handle_input(&mut self, now: Now, input: Input<'_>);

    /// No more submissions will come: send now what was being gathered, take leave when all is answered.
    fn drain(&mut self, now: Now);

    /// What should happen next. Drain until [`Output::Wait`].
    #[must_use = "an output that is not carried out is lost"]
    fn poll_output(&mut self) -> Output;
}

/// What can be asked of a provider without talking to it: used at acceptance, by many threads at once.
pub trait Rules: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> &Capabilities;

    /// Checks what only this protocol knows: the form of a card number or an account number, its character set.
    /// [`Capabilities::check`] has already passed.
    ///
    /// # Errors
    /// A [`Refusal`] that names the field at fault.
    fn check(&self, request: &Request) -> Result<(), Refusal>;

    /// The end points that the settings name: the connection must have them, or calls would go to the main one.
    fn end_points(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A command to carry out, once.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Names it in [`Event::Finished`]. Never used twice by one engine.
    pub id: SubmissionId,
    /// The request, with its command.
    pub request: Arc<Request>,
    /// Set after a restart, for adapters that resume: what [`Effect::Record`] last recorded for the
    /// request. Part of it may have been sent under this reference.
    pub resume: Option<PlatformReference>,
}

/// Names one submission of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId(pub u64);

/// Names one link of one adapter, which chooses the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// Names one effect of one adapter; numbers grow and are never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

impl EffectId {
    /// The next id, for the adapter that hands them out.
    pub const fn next(&mut self) -> Self {
        self.0 += 1;
        *self
    }
}

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The engine runs; the adapter may open links.
    Start,
    /// A link that [`Effect::Connect`] asked for is open. On the platform's side: somebody connected.
    Connected(LinkId),
    /// Bytes came in on a link.
    Received(LinkId, &'a [u8]),
    /// A link could not be opened, or is closed; the text says why, for people. Nothing more comes from it.
    Closed(LinkId, &'a str),
    /// An effect is done.
    Done(EffectId, Done),
    /// On the side that is called: a call came. Answered by [`Effect::Reply`].
    Called(CallId, HttpRequest),
    /// The deadline of the last [`Output::Wait`] has passed.
    Deadline,
}

/// What should happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Carry this out. Effects are carried out in order; those without a result are not reported back.
    Do(EffectId, Effect),
    /// Take note of this.
    Event(Event),
    /// Nothing more, until something happens or the deadline passes.
    Wait(Option<Deadline>),
}

/// A side effect, as data.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Open the link. Answered by [`Input::Connected`] or [`Input::Closed`].
    Connect(LinkId),
    /// Send these bytes on the link. Not answered: a link that fails is [`Input::Closed`].
    Send(LinkId, Bytes),
    /// Close the link, after what was sent before. Not answered: nothing more comes from this link, not even
    /// [`Input::Closed`], until [`Effect::Connect`] opens it again.
    Close(LinkId),
    /// Do this with a file. Answered by [`Done::File`].
    File(FileCall),
    /// Make this HTTP call. Answered by [`Done::Http`]. Calls run side by side, in any order.
    Http(HttpCall),
    /// On the side that is called: answer a call that came. Not answered.
    Reply(CallId, HttpReply),
    /// Do this with a table of a database. Answered by [`Done::Table`]. Calls run side by side, in any order.
    Table(TableCall),
    /// Record durably which reference each submission is about to be sent under. Answered by
    /// [`Done::Recorded`], and only then may it be sent.
    Record(Vec<(SubmissionId, PlatformReference)>),
}

impl fmt::Debug for Effect {
    /// Shows lengths, not contents: frames and files hold subscriber data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(link) => write!(f, "Connect({})", link.0),
            Self::Send(link, bytes) => write!(f, "Send({}, <{} bytes>)", link.0, bytes.len()),
            Self::Close(link) => write!(f, "Close({})", link.0),
            Self::File(call) => fmt::Debug::fmt(call, f),
            Self::Http(call) => write!(f, "Http({call:?})"),
            Self::Reply(call, reply) => write!(f, "Reply({}, {reply:?})", call.0),
            Self::Table(call) => write!(f, "Table({call:?})"),
            Self::Record(references) => write!(f, "Record({references:?})"),
        }
    }
}

/// Something to do with a file on the platform's side. Paths are relative to the provider's home
/// directory, with `/` between their parts.
#[derive(Clone, PartialEq, Eq)]
pub enum FileCall {
    /// The names of the files in a directory, in any order.
    List {
        /// The directory.
        directory: String,
    },
    /// The contents of a file.
    Read {
        /// The file.
        path: String,
        /// Refuse a longer one, in bytes.
        limit: usize,
    },
    /// Write a file so that nobody sees half of it: write `temporary`, then rename it to `path`.
    Put {
        /// Where it ends up. An existing file there is an error, not overwritten, where the transport can tell.
        path: String,
        /// Where it is written first, in the same directory; an existing file there is overwritten.
        temporary: String,
        /// What it holds.
        contents: Bytes,
    },
    /// Rename a file.
    Rename {
        /// Its name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Delete a file. One that is not there is a success: it is gone.
    Delete {
        /// The file.
        path: String,
    },
}

impl fmt::Debug for FileCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List { directory } => write!(f, "List({directory})"),
            Self::Read { path, limit } => write!(f, "Read({path}, at most {limit})"),
            Self::Put { path, temporary, contents } => {
                write!(f, "Put({path} by {temporary}, <{} bytes>)", contents.len())
            }
            Self::Rename { from, to } => write!(f, "Rename({from}, {to})"),
            Self::Delete { path } => write!(f, "Delete({path})"),
        }
    }
}

/// The result of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Done {
    /// A file call ended.
    File(Result<FileAnswer, FileError>),
    /// A HTTP call ended.
    Http(Result<HttpAnswer, HttpError>),
    /// A table call ended.
    Table(Result<TableAnswer, TableError>),
    /// [`Effect::Record`] is on disk.
    Recorded,
}

/// What a file call gave.
#[derive(Clone, PartialEq, Eq)]
pub enum FileAnswer {
    /// [`FileCall::List`]: the names, without their directory.
    Names(Vec<String>),
    /// [`FileCall::Read`]: the contents.
    Contents(Bytes),
    /// Done; nothing to tell.
    Done,
}

impl fmt::Debug for FileAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names(names) => write!(f, "Names({names:?})"),
            Self::Contents(contents) => write!(f, "Contents(<{} bytes>)", contents.len()),
            Self::Done => f.write_str("Done"),
        }
    }
}

/// Why a file call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// What kind of failure.
    pub kind: FileErrorKind,
    /// The server's or the system's own words. No credentials.
    pub text: String,
    /// Whether the call may have taken effect nevertheless.
    pub sent: Sent,
}

/// What kind of failure a file call had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileErrorKind {
    /// No such file or directory.
    NotFound,
    /// There is already one of that name.
    Exists,
    /// Not allowed, or the login was refused.
    Denied,
    /// The server could not be reached, or the connection broke.
    Link,
    /// Longer than the limit.
    TooLarge,
    /// Anything else the server said.
    Other,
}

/// Something the engine has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The link can carry commands: connected, and logged in where the protocol has a login.
    LinkUp(LinkId),
    /// The link can not carry commands any more, or could not be brought up. What was on it still ends by its own
    /// [`Event::Finished`].
    LinkDown(LinkId, Failure),
    /// A submission ended. Exactly one for each; after it nothing else is said of that submission.
    Finished(SubmissionId, Outcome),
    /// The platform asked us to slow down: nothing more goes out for that long.
    SlowDown {
        /// For how long.
        pause: Duration,
        /// The platform's words.
        why: String,
    },
    /// Something that belongs to no submission: bytes that can not be read, an answer to a request
    /// that ended long ago.
    Noise(Noise),
}

/// Something from the platform that belongs to no submission.
#[derive(Clone, PartialEq, Eq)]
pub struct Noise {
    /// What is wrong, without subscriber data.
    pub text: String,
    /// The bytes, kept for `headgate decode`.
    pub raw: Bytes,
}

impl fmt::Debug for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Noise({}, <{} bytes>)", self.text, self.raw.len())
    }
}
