//! What a pull is told, and what it asks for.

use std::time::Duration;

use headgate_core::Deadline;
use headgate_core::http::{HttpAnswer, HttpCall, HttpError};
use jiff::Timestamp;

use super::mapping::Part;
use super::wire::Verdict;

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The call ended.
    Called(Result<HttpAnswer, HttpError>),
    /// The part of this number is in the store since then.
    Begun(String, Timestamp),
    /// The part of this number has no outcome that is known: an operator decides.
    Unknown(String),
    /// The part of this number ended.
    Ended(String, Verdict),
    /// The deadline has come.
    Deadline,
    /// Begin nothing more. What has ended may still be posted; see [`super::Pull::is_done`].
    Stop,
}

/// What should happen next.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Make this call, and tell of its end. There is never more than one.
    Call(HttpCall),
    /// Carry this part out, for the CRM's request of this number, and tell when it is stored and when it ended. A part
    /// that was begun before is not begun again: what became of it is told.
    Begin(String, Box<Part>),
    /// Take note.
    Event(Event),
    /// Nothing more, until something happens or the deadline comes.
    Wait(Option<Deadline>),
}

/// Something that people and metrics should know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A look ended: so many are pending at the CRM, so many of them are new.
    Looked {
        /// Pending at the CRM.
        pending: usize,
        /// Not known before.
        new: usize,
        /// How many can not be read, and are left alone.
        unreadable: usize,
    },
    /// The CRM took an answer.
    Answered {
        /// Its number.
        number: String,
        /// Whether it was carried out.
        accepted: bool,
    },
    /// The CRM did not take an answer, or did not say so; it is posted again if the request is still pending.
    NotTaken {
        /// Its number.
        number: String,
        /// The CRM's code, where it told one.
        code: Option<String>,
    },
    /// The CRM did not take an answer however often it was posted. It is not posted any more.
    GivenUp {
        /// Its number.
        number: String,
    },
    /// A request is nearly too old: after seven days the CRM shows it no more.
    Old {
        /// Its number.
        number: String,
        /// Since when the CRM waits.
        since: Timestamp,
        /// Whether it waits for an operator.
        unknown: bool,
    },
    /// No look worked for nearly seven days: what the CRM asked before is shown no more.
    Blind {
        /// When the last one did.
        since: Timestamp,
    },
    /// The CRM can not be reached, or does not do what is asked; the next call comes so much later.
    Down {
        /// Why. No secrets, no subscriber data.
        why: String,
        /// How long it is left alone.
        wait: Duration,
    },
    /// It works again.
    Up,
}

/// How a pull stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Waiting for their turn.
    pub waiting: usize,
    /// Being carried out.
    pub running: usize,
    /// Waiting for an operator.
    pub unknown: usize,
    /// Ended, and not answered yet.
    pub unanswered: usize,
    /// Since when the oldest of all of them is pending.
    pub oldest: Option<Timestamp>,
}
