//! What a request is made of: parts, each an operation with what its answer leads to.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use headgate_core::Tick;
use headgate_core::command::Subscriber;
use headgate_core::failure::FailedPart;
use headgate_core::text::Serial;

use super::orders::OrderGoal;
use super::raw::RawCall;
use super::wire::value::Value;
use super::wire::{Operation, ServiceError};

/// Most cards of one call \[S1\].
pub const BLOCK: usize = 100;

/// A request that is being carried out.
#[derive(Debug, Default)]
pub struct Task {
    /// What is still to be done; the first part is under way.
    pub parts: VecDeque<Part>,
    /// What follows all parts after a while.
    pub afterwards: Option<(Duration, VecDeque<Part>)>,
    /// The first refusal ends it: the parts build on each other.
    pub strict: bool,
    /// What was found out, to be told in the end.
    pub findings: Findings,
    /// The parts that were refused.
    pub failed: Vec<FailedPart>,
    /// How many were done.
    pub done: usize,
    /// The numbers of the orders that were made.
    pub orders: Vec<i64>,
    /// Where the part under way stands.
    pub stage: Stage,
    /// A refusal that may only mean that the session is lost: the session is being checked.
    pub doubt: Option<ServiceError>,
    /// Whether the part under way was repeated in a new session.
    pub renewed: bool,
    /// Whether the part under way is tried in the function's other spelling.
    pub respelled: bool,
    /// In which session the part under way was asked, and in which the session was checked: calls side by side find
    /// the same session lost, and the check of one must not be taken for that of another. Noted when a call is made;
    /// a call that is made again notes it again.
    pub asked_in: Cell<u64>,
    /// See [`Task::asked_in`].
    pub checked_in: Cell<u64>,
}

/// Where a part stands.
#[derive(Debug, Default)]
pub enum Stage {
    /// Its operation is called.
    #[default]
    Calling,
    /// The platform works on it in pieces: the number of the work.
    Continuing(i64),
    /// The change is stored, and the radio side works on it.
    Following {
        /// Since when.
        since: Tick,
        /// What the operation answered.
        value: Value,
    },
}

/// An operation and what its answer leads to.
#[derive(Clone, Debug)]
pub struct Part {
    /// What is called.
    pub words: Words,
    /// Which devices or services it is for: they failed, if it is refused.
    pub about: Vec<Serial>,
    /// What its answer leads to.
    pub then: Then,
    /// What a refusal may mean other than no.
    pub despite: Despite,
}

/// What is called.
#[derive(Clone)]
pub enum Words {
    /// An operation.
    Operation(Operation),
    /// A function that only the caller knows.
    Raw(RawCall),
}

impl std::fmt::Debug for Words {
    /// Subscriber data: only the name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.function())
    }
}

impl Words {
    /// The function's name.
    #[must_use]
    pub fn function(&self) -> &str {
        match self {
            Self::Operation(operation) => operation.function(),
            Self::Raw(raw) => &raw.function,
        }
    }
}

/// What an answer leads to.
#[derive(Clone, Debug)]
pub enum Then {
    /// Nothing: it is done.
    Done,
    /// It is true, or the check failed and that refusal stands.
    Confirm(ServiceError),
    /// The card is among those listed, or that refusal stands.
    Listed {
        /// The card.
        card: String,
        /// One that must not be among them any more.
        without: Option<String>,
        /// The refusal.
        refusal: ServiceError,
    },
    /// It is the number of an order.
    Order,
    /// The subscriber's orders, of which this is to be made.
    Orders(OrderGoal),
    /// The orders on a card; those of these products (none named: all) are switched off or on.
    CardOrders {
        /// The products.
        products: Vec<i64>,
        /// Off, or on.
        off: bool,
    },
    /// What is known of a card, which shall be switched on.
    Enable(String),
    /// What is known of a card, which shall be untied from its box.
    Unpair(String),
    /// The fingerprint is shown; this ends it.
    EndFingerprint(Operation),
    /// The subscriber's record, of which this shall change.
    Change(Box<Subscriber>),
    /// The orders of a subscriber that shall be closed.
    CloseOrders(String),
    /// The cards of a subscriber that shall be closed.
    CloseCards(String),
    /// Something to be told.
    Tell(Telling),
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// That the session is known.
    Alive,
    /// What cards hold, by their orders.
    CardOrders,
    /// What cards hold, by their packages.
    CardPackages,
    /// The packages' names.
    PackageNames,
    /// What subscribers hold, by their orders.
    SubscriberOrders,
    /// What is known of cards.
    Devices,
    /// What cards are paired with.
    Pairings,
    /// What is known of a subscriber.
    Subscriber,
    /// Its cards.
    SubscriberCards,
    /// The answer as it came.
    Raw,
}

/// What a refusal may mean other than no.
#[derive(Clone, Debug, Default)]
pub enum Despite {
    /// Nothing.
    #[default]
    No,
    /// One of these: it is so already.
    Already(&'static [&'static str]),
    /// One of these: it may be so already, and this finds out. The refusal is filled in.
    Ask(&'static [&'static str], Box<Part>),
    /// Whatever it is, it does not matter.
    Anything,
}

/// What was found out.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is being told, if anything.
    pub telling: Option<Telling>,
    /// The account that was asked about.
    pub account: Option<String>,
    /// The cards that were asked about; empty: all.
    pub cards: Vec<String>,
    /// What was answered, with the card that it was asked of.
    pub values: Vec<(Telling, Option<String>, Value)>,
    /// The bytes of a raw answer.
    pub raw: bytes::Bytes,
}

impl Part {
    /// An operation without devices or services.
    #[must_use]
    pub const fn new(operation: Operation) -> Self {
        Self { words: Words::Operation(operation), about: Vec::new(), then: Then::Done, despite: Despite::No }
    }

    /// The same for these devices or services.
    #[must_use]
    pub fn about(mut self, parts: impl IntoIterator<Item = Serial>) -> Self {
        self.about = parts.into_iter().collect();
        self
    }

    /// The same, whose answer leads to this.
    #[must_use]
    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// The same, done already if it is refused with one of these.
    #[must_use]
    pub fn unless(mut self, codes: &'static [&'static str]) -> Self {
        self.despite = Despite::Already(codes);
        self
    }

    /// The same; if it is refused with one of these, `part` finds out whether it is so already.
    #[must_use]
    pub fn or_ask(mut self, codes: &'static [&'static str], part: Self) -> Self {
        self.despite = Despite::Ask(codes, Box::new(part));
        self
    }

    /// Its two halves, if it is about several cards of which one may be the cause of a refusal.
    #[must_use]
    pub fn halves(&self) -> Option<[Self; 2]> {
        let Words::Operation(operation) = &self.words else { return None };
        let cards = operation.clone().block()?.clone();
        let (first, second) = cards.split_at_checked(cards.len() / 2).filter(|(first, _)| !first.is_empty())?;
        Some([self.with_cards(first), self.with_cards(second)])
    }

    fn with_cards(&self, cards: &[String]) -> Self {
        let mut part = self.clone();
        if let Words::Operation(operation) = &mut part.words
            && let Some(block) = operation.block()
        {
            *block = cards.to_vec();
        }
        part.about.retain(|part| cards.iter().any(|card| card == part.as_str()));
        part
    }
}
