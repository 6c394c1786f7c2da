//! Runs: the same for many subscriptions, in the background, going on after a crash where they were.
//!
//! A [`Definition`] says what, for whom and when. Each time it is due, a [`Run`] is made: a state machine that reads no
//! clock and no store. A driver pages the subscriptions, makes each one's requests ([`requests`]), and hands them in as
//! items; the run says what to post next, never more than its window at once.
//!
//! # Driving a run
//!
//! 1. [`Run::new`], save it, [`Run::begin`]. After a restart: read it back from the store, [`Run::take_up`].
//! 2. While [`Run::wants`] is not zero, read so many items after [`Run::cursor`], hand each in with [`Run::take`], and
//!    call [`Run::no_more`] when there are none.
//! 3. Drain [`Run::poll_output`]: save the run durably at [`Output::Save`] and call [`Run::handle_saved`]; post each
//!    [`Output::Post`] with its idempotency key; stop at [`Output::Wait`] or [`Output::Ended`].
//! 4. Tell how each request ended with [`Run::handle_outcome`], and go on at 2.
//!
//! # Why nothing is repeated
//!
//! An item is saved, with the requests it is made of, before any of them is posted; and each is posted under a key made
//! of the run, the item and its place. A run that is taken up again posts the requests of its open items once more,
//! under the same keys with the same bodies, so the gateway knows them and answers with the requests that are there.
//! Requests are made once per item, never again after a crash, so a message is never shown twice.
//!
//! ```
//! use headgate_core::body::RequestBody;
//! use headgate_core::request::State;
//! use headgate_core::run::{Item, Output, Run, RunId, RunState};
//! # use headgate_core::text::{DefinitionName, ItemKey};
//!
//! let now = "2026-11-24T12:00:00Z".parse().unwrap();
//! let mut run = Run::new(RunId(uuid::Uuid::nil()), DefinitionName::new("nightly").unwrap(), "ops", 10, now);
//! run.begin(now);
//! let body: RequestBody =
//!     serde_json::from_str(r#"{"provider":"conax","command":"refresh_services","smartcard":"1"}"#).unwrap();
//! run.take(Item { key: ItemKey::new("S1").unwrap(), bodies: vec![body] });
//! run.no_more();
//!
//! assert_eq!(run.poll_output(now), Output::Save); // first it is safe
//! run.handle_saved();
//! let Output::Post(post) = run.poll_output(now) else { panic!() };
//! run.handle_outcome(&post.item, post.step, State::Completed, None);
//! assert_eq!(run.poll_output(now), Output::Save);
//! run.handle_saved();
//! assert_eq!(run.poll_output(now), Output::Ended);
//! assert_eq!((run.state, run.counters.completed), (RunState::Completed, 1));
//! ```

mod definition;
mod items;
mod preview;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::definition::{Definition, DefinitionState, Filter, RunKind};
pub use self::items::{Packer, broadcast, requests};
pub use self::preview::{Preview, PreviewItem};
use crate::body::RequestBody;
use crate::request::State;
use crate::text::{DefinitionName, ItemKey};

/// The id of a run: a UUID of version 7, made by the driver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Most errors a run keeps; more are only counted.
pub const ERRORS_LIMIT: usize = 1_000;

/// One run. See the [module](self) for how to drive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it is a run of.
    pub definition: DefinitionName,
    /// Who started it: a person, or the schedule.
    pub started_by: String,
    /// Where it stands.
    pub state: RunState,
    /// When it was made.
    pub created: Timestamp,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Most items that are open at once.
    pub window: usize,
    /// How many items there will be, where the driver counted them: for the progress bar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What became of the items so far.
    pub counters: Counters,
    /// The first errors, at most [`ERRORS_LIMIT`].
    pub errors: Vec<ItemError>,
    /// The last item that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<ItemKey>,
    /// There are no more items.
    exhausted: bool,
    /// Items that were taken and did not end, with what is still to be posted of them.
    open: BTreeMap<ItemKey, Open>,
    /// Changes that must be saved before anything else is posted.
    #[serde(skip)]
    unsaved: bool,
    /// Requests that may be posted.
    #[serde(skip)]
    due: VecDeque<(ItemKey, u32)>,
}

/// An item that did not end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
struct Open {
    /// All its requests.
    bodies: Vec<RequestBody>,
    /// Which of them is due or on its way.
    step: u32,
}

/// Where a run stands.
///
/// ```text
/// queued -> running <-> paused
///    |         |--> completed       every item ended
///    |         |--> failed          the driver could not go on
///    '---------'--> cancelled       somebody stopped it; what was posted ends by itself
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It has not begun.
    Queued,
    /// It runs.
    Running,
    /// It takes and posts nothing until it is resumed.
    Paused,
    /// Somebody stopped it.
    Cancelled,
    /// Every item ended, some perhaps with errors.
    Completed,
    /// The driver could not go on.
    Failed,
}

impl RunState {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Completed | Self::Failed)
    }

    /// Its name, as in `completed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// What became of the items of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Counters {
    /// Items taken.
    pub items: u64,
    /// Items for which nothing was to be sent.
    pub in_step: u64,
    /// Requests that ended, of all items.
    pub requests: u64,
    /// Items of which every request was completed.
    pub completed: u64,
    /// Items of which a request was rejected by the platform.
    pub rejected: u64,
    /// Items of which a request could not be carried out.
    pub failed: u64,
    /// Items of which nobody knows what became of a request.
    pub unknown: u64,
    /// Items of which a request was cancelled or expired before it went out, or that the run left when it was stopped.
    pub cancelled: u64,
    /// Items that the gateway refused: they can not be asked of this provider.
    pub refused: u64,
    /// Errors that are not kept one by one any more.
    pub errors_not_kept: u64,
}

/// What went wrong with one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemError {
    /// Which.
    pub item: ItemKey,
    /// How its request ended; absent: it was refused before it became one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The platform's code, or one of ours.
    pub code: String,
    /// What happened, for people. No secrets, no subscriber data.
    pub text: String,
}

/// One item: what is to be sent for one subscription, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its place in the order of the run; greater than that of every item before it.
    pub key: ItemKey,
    /// The requests; each is posted when the one before it is completed. None: nothing is to be sent.
    pub bodies: Vec<RequestBody>,
}

/// What a run wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Save the run durably, then call [`Run::handle_saved`].
    Save,
    /// Post this request.
    Post(Box<Post>),
    /// Nothing more, until something ends or is handed in.
    Wait,
    /// It ended. Nothing more, ever.
    Ended,
}

/// A request to post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Whose it is.
    pub item: ItemKey,
    /// Its place among the item's requests, from 0.
    pub step: u32,
    /// The key under which a repeat of it is known.
    pub idempotency_key: String,
    /// What to post.
    pub body: RequestBody,
}

impl Run {
    /// A run that has not begun. `window` is the most items that are open at once, at least one.
    #[must_use]
    pub fn new(id: RunId, definition: DefinitionName, started_by: &str, window: usize, now: Timestamp) -> Self {
        Self {
            id,
            definition,
            started_by: started_by.to_owned(),
            state: RunState::Queued,
            created: now,
            begun: None,
            ended: None,
            failure: None,
            window: window.max(1),
            total: None,
            counters: Counters::default(),
            errors: Vec::new(),
            cursor: None,
            exhausted: false,
            open: BTreeMap::new(),
            unsaved: false,
            due: VecDeque::new(),
        }
    }

    /// Begins. Without effect unless it is queued.
    pub fn begin(&mut self, now: Timestamp) {
        if self.state == RunState::Queued {
            self.state = RunState::Running;
            self.begun = Some(now);
            self.unsaved = true;
        }
    }

    /// Goes on after a restart with what was saved: open items are posted again under their old keys.
    pub fn take_up(&mut self) {
        self.due = self.open.iter().map(|(key, open)| (key.clone(), open.step)).collect();
    }

    /// Takes and posts nothing more until it is resumed. Without effect unless it runs.
    pub fn pause(&mut self) {
        if self.state == RunState::Running {
            self.state = RunState::Paused;
            self.unsaved = true;
        }
    }

    /// Goes on. Without effect unless it is paused.
    pub fn resume(&mut self) {
        if self.state == RunState::Paused {
            self.state = RunState::Running;
            self.unsaved = true;
        }
    }

    /// Stops: nothing more is taken or posted. Requests that were posted end by themselves; they are not counted any
    /// more.
    pub fn cancel(&mut self, now: Timestamp) {
        self.stop(RunState::Cancelled, now);
    }

    /// Stops because the driver can not go on; says why.
    pub fn fail(&mut self, why: &str, now: Timestamp) {
        if !self.state.is_final() {
            self.failure = Some(why.to_owned());
        }
        self.stop(RunState::Failed, now);
    }

    /// How many more items it would take now.
    #[must_use]
    pub fn wants(&self) -> usize {
        if self.state == RunState::Running && !self.exhausted { self.window.saturating_sub(self.open.len()) } else { 0 }
    }

    /// The last item that was taken: the driver reads on after it.
    #[must_use]
    pub const fn cursor(&self) -> Option<&ItemKey> {
        self.cursor.as_ref()
    }

    /// Items that were taken and did not end.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes an item. Ignored, with `false`, if it does not come after [`Run::cursor`] or the run takes none.
    pub fn take(&mut self, item: Item) -> bool {
        let Item { key, bodies } = item;
        if self.wants() == 0 || self.cursor.as_ref().is_some_and(|cursor| key <= *cursor) {
            return false;
        }
        self.counters.items += 1;
        self.cursor = Some(key.clone());
        if bodies.is_empty() {
            // Not saved for its own sake: read again after a crash, it is in step again.
            self.counters.in_step += 1;
        } else {
            self.due.push_back((key.clone(), 0));
            self.open.insert(key, Open { bodies, step: 0 });
            self.unsaved = true;
        }
        true
    }

    /// Takes an item that can not be asked of the provider, with the reason.
    pub fn take_refused(&mut self, key: ItemKey, code: &str, text: &str) -> bool {
        let taken = self.take(Item { key: key.clone(), bodies: Vec::new() });
        if taken {
            self.counters.in_step -= 1;
            self.counters.refused += 1;
            self.keep_error(ItemError { item: key, state: None, code: code.to_owned(), text: text.to_owned() });
        }
        taken
    }

    /// There are no more items.
    pub const fn no_more(&mut self) {
        self.exhausted = true;
    }

    /// What it wants next. Drain until [`Output::Wait`] or [`Output::Ended`].
    #[must_use = "an output that is not carried out is lost"]
    pub fn poll_output(&mut self, now: Timestamp) -> Output {
        if self.state == RunState::Running && self.exhausted && self.open.is_empty() {
            self.stop(RunState::Completed, now);
        }
        if self.unsaved {
            return Output::Save;
        }
        if self.state.is_final() {
            return Output::Ended;
        }
        if self.state != RunState::Running {
            return Output::Wait;
        }
        while let Some((item, step)) = self.due.pop_front() {
            let body = self.open.get(&item).and_then(|open| open.bodies.get(usize::try_from(step).ok()?));
            if let Some(body) = body.cloned() {
                let idempotency_key = format!("run/{}/{}/{step}", self.id, item.as_str());
                return Output::Post(Box::new(Post { item, step, idempotency_key, body }));
            }
        }
        Output::Wait
    }

    /// The run is on disk as it was at the last [`Output::Save`].
    pub const fn handle_saved(&mut self) {
        self.unsaved = false;
    }

    /// A request ended. `error` is its code and text, unless it was completed. A report about anything but the request
    /// that is on its way is ignored.
    pub fn handle_outcome(&mut self, item: &ItemKey, step: u32, state: State, error: Option<(&str, &str)>) {
        let Some(open) = self.on_its_way(item, step) else { return };
        let more = usize::try_from(step).is_ok_and(|step| step + 1 < open.bodies.len());
        if state == State::Completed && more {
            open.step = step + 1;
            self.counters.requests += 1;
            self.due.push_back((item.clone(), step + 1));
            return;
        }
        self.open.remove(item);
        let counters = &mut self.counters;
        counters.requests += 1;
        *match state {
            State::Completed => &mut counters.completed,
            State::Rejected => &mut counters.rejected,
            State::Unknown => &mut counters.unknown,
            State::Cancelled | State::Expired => &mut counters.cancelled,
            State::Failed | State::Waiting | State::Sent => &mut counters.failed,
        } += 1;
        if state != State::Completed {
            let (code, text) = error.unwrap_or_else(|| (state.name(), ""));
            let (code, text) = (code.to_owned(), text.to_owned());
            self.keep_error(ItemError { item: item.clone(), state: Some(state), code, text });
        }
    }

    /// The gateway did not accept a request: the item ends.
    pub fn handle_refused(&mut self, item: &ItemKey, step: u32, code: &str, text: &str) {
        if self.on_its_way(item, step).is_some() {
            self.open.remove(item);
            self.counters.refused += 1;
            let (code, text) = (code.to_owned(), text.to_owned());
            self.keep_error(ItemError { item: item.clone(), state: None, code, text });
        }
    }

    /// The gateway is full: the request is posted again when the run is next polled, so wait before that.
    pub fn handle_busy(&mut self, item: &ItemKey, step: u32) {
        if self.on_its_way(item, step).is_some() {
            self.due.push_front((item.clone(), step));
        }
    }

    fn on_its_way(&mut self, item: &ItemKey, step: u32) -> Option<&mut Open> {
        self.open.get_mut(item).filter(|open| open.step == step)
    }

    fn stop(&mut self, state: RunState, now: Timestamp) {
        if self.state.is_final() {
            return;
        }
        self.state = state;
        self.ended = Some(now);
        self.counters.cancelled += u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        self.open.clear();
        self.due.clear();
        self.unsaved = true;
    }

    fn keep_error(&mut self, error: ItemError) {
        if self.errors.len() < ERRORS_LIMIT {
            self.errors.push(error);
        } else {
            self.counters.errors_not_kept += 1;
        }
    }
}

#[cfg(test)]
mod tests;
