//! One group of changes: many calls, one transaction, one write for each request however often it changed.

use std::collections::HashMap;
use std::sync::Arc;

use headgate_core::dispatch::store::{Change, Finish};
use headgate_core::failure::Failure;
use headgate_core::outcome::Exchange;
use headgate_core::request::{Process, Request, RequestId, State};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, named_params, params};

use super::fate::{Fate, Known, Subject};
use super::row::{self, signed};
use super::subscription;
use crate::store::{RefusedBy, StateChange};

/// Where a call stands in its group: the batch, and the call in the batch.
pub(super) type Place = (usize, usize);

/// What is applied in one transaction. Calls are taken in order ([`Group::take`]), then everything is written
/// at once ([`Group::write`]). If either fails, the transaction must be rolled back and the group dropped.
pub(super) struct Group<'a> {
    conn: &'a Connection,
    names: &'a mut Names,
    known: &'a HashMap<RequestId, Known>,
    slots: Vec<Slot>,
    by_id: HashMap<RequestId, usize>,
    moves: Vec<Option<Move>>,
    keys: usize,
    /// The ends of requests, for what their platforms are believed to hold.
    ends: Vec<(usize, Arc<Finish>)>,
}

/// One request that this group changes.
struct Slot {
    known: Known,
    /// The request and its call, if it was accepted in this very group.
    accepted: Option<(Arc<Request>, Place)>,
    last_move: Option<usize>,
}

/// One state change, to be told to those who follow them.
struct Move {
    slot: usize,
    state: State,
    at: Timestamp,
    code: Option<String>,
}

/// What a group did.
pub(super) struct Written {
    /// Every request it changed, as it stands now; those refused too, which no row has.
    pub(super) known: Vec<Known>,
    /// Accepts that could not be stored for what they are themselves.
    pub(super) refused: Vec<(Place, RefusedBy)>,
    /// How many idempotency keys it added.
    pub(super) keys: usize,
    /// The sequence of the last state change.
    pub(super) sequence: u64,
    moves: Vec<Move>,
}

impl Written {
    /// The state changes, in order. Made only when somebody follows them.
    pub(super) fn changes(&self) -> impl Iterator<Item = StateChange> {
        let first = self.sequence - self.moves.len() as u64 + 1;
        (first..).zip(&self.moves).map(|(sequence, told)| {
            let subject = self.known[told.slot].subject.clone();
            StateChange {
                sequence,
                at: told.at,
                id: subject.id,
                number: subject.number,
                provider: subject.provider,
                subscription: subject.subscription,
                command: subject.command,
                reference: subject.reference,
                state: told.state,
                code: told.code.clone(),
            }
        })
    }
}

impl<'a> Group<'a> {
    /// A group within the transaction that is open on `conn`. `known` is what is known of requests without asking.
    pub(super) fn new(conn: &'a Connection, names: &'a mut Names, known: &'a HashMap<RequestId, Known>) -> Self {
        Self {
            conn,
            names,
            known,
            slots: Vec::new(),
            by_id: HashMap::new(),
            moves: Vec::new(),
            keys: 0,
            ends: Vec::new(),
        }
    }

    /// Takes one change. Changes of a request that is not in the store do nothing: its accept was refused.
    pub(super) fn take(&mut self, place: Place, change: &Change) -> rusqlite::Result<Option<RefusedBy>> {
        match change {
            Change::Accept(request, state) => return self.accept(place, request, *state),
            Change::Sent { id, attempt, at } => {
                if let Some(slot) = self.slot(*id)? {
                    self.fate(slot).sent(*attempt, *at);
                    self.moved(slot, State::Sent, *at, None);
                }
            }
            Change::References(references) => {
                for (id, reference) in references {
                    if let Some(slot) = self.slot(*id)? {
                        self.fate(slot).reference = Some(reference.clone());
                    }
                }
            }
            Change::Again { id, retry_at, failure } => {
                if let Some(slot) = self.slot(*id)? {
                    self.fate(slot).again(*retry_at, failure);
                    self.moved(slot, State::Waiting, Timestamp::now(), Some(failure));
                }
            }
            Change::Finish(finish) => {
                if let Some(slot) = self.slot(finish.id)? {
                    self.fate(slot).finish(finish);
                    self.moved(slot, finish.state, finish.finished_at, finish.failure.as_ref());
                    self.ends.push((slot, Arc::clone(finish)));
                }
            }
            Change::Reopen { id } => {
                if let Some(slot) = self.slot(*id)? {
                    self.fate(slot).reopen();
                    self.moved(slot, State::Waiting, Timestamp::now(), None);
                }
            }
        }
        Ok(None)
    }

    /// Writes every request once, then what its end tells of its subscription, then the state changes, whose sequence goes on after `sequence`.
    pub(super) fn write(mut self, mut sequence: u64) -> rusqlite::Result<Written> {
        let mut refused = Vec::new();
        for index in 0..self.slots.len() {
            if let Some(collision) = self.write_slot(index)? {
                refused.push(collision);
                self.forget_moves(index);
            }
        }
        for (slot, finish) in &self.ends {
            let Slot { known, accepted, .. } = &self.slots[*slot];
            subscription::ended(self.conn, &known.subject, accepted.as_ref().map(|(request, _)| &**request), finish)?;
        }
        let mut insert = self
            .conn
            .prepare_cached("INSERT INTO changes (sequence, at, number, state, code) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        let moves: Vec<Move> = self.moves.into_iter().flatten().collect();
        for Move { slot, state, at, code } in &moves {
            sequence += 1;
            let number = signed(self.slots[*slot].known.subject.number);
            insert.execute(params![signed(sequence), at.as_microsecond(), number, row::state_code(*state), code])?;
        }
        let known = self.slots.into_iter().map(|slot| slot.known).collect();
        Ok(Written { known, refused, keys: self.keys, sequence, moves })
    }

    fn accept(&mut self, place: Place, request: &Arc<Request>, state: State) -> rusqlite::Result<Option<RefusedBy>> {
        if self.by_id.contains_key(&request.id) {
            return Ok(Some(collision()));
        }
        if let Some(idempotency) = &request.idempotency {
            let mut insert = self.conn.prepare_cached(
                "INSERT INTO keys (number, key, digest, created) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO NOTHING",
            )?;
            let created = request.created.as_microsecond();
            match insert.execute(params![signed(request.number), idempotency.key, idempotency.digest, created]) {
                Ok(0) => return Ok(Some(RefusedBy::KeyTaken)),
                Ok(_) => self.keys += 1,
                Err(error) if is_constraint(&error) => return Ok(Some(collision())),
                Err(error) => return Err(error),
            }
        }
        let slot = self.slots.len();
        let known = Known { subject: Subject::of(request), fate: Fate::accepted(request, state) };
        self.slots.push(Slot { known, accepted: Some((Arc::clone(request), place)), last_move: None });
        self.by_id.insert(request.id, slot);
        self.moved(slot, state, request.created, None);
        Ok(None)
    }

    /// The slot of a request: one that this group has, or a new one for a request that the store has.
    fn slot(&mut self, id: RequestId) -> rusqlite::Result<Option<usize>> {
        if let Some(slot) = self.by_id.get(&id) {
            return Ok(Some(*slot));
        }
        let known = match self.known.get(&id) {
            Some(known) => Some(known.clone()),
            None => self.look_up(id)?,
        };
        Ok(known.map(|known| {
            let slot = self.slots.len();
            self.slots.push(Slot { known, accepted: None, last_move: None });
            self.by_id.insert(id, slot);
            slot
        }))
    }

    fn look_up(&self, id: RequestId) -> rusqlite::Result<Option<Known>> {
        let mut select = self.conn.prepare_cached(row::SELECT_KNOWN)?;
        match select.query_row([id.0.as_bytes()], |found| Ok(row::known(found))).optional()?.transpose() {
            Ok(known) => Ok(known),
            Err(error) => {
                tracing::error!(%id, %error, "a change to a request that can not be read is left out");
                Ok(None)
            }
        }
    }

    fn fate(&mut self, slot: usize) -> &mut Fate {
        &mut self.slots[slot].known.fate
    }

    /// Notes a state change. One that is not final is passed over if another follows in the same group.
    fn moved(&mut self, slot: usize, state: State, at: Timestamp, failure: Option<&Failure>) {
        if let Some(last) = self.slots[slot].last_move
            && self.moves[last].as_ref().is_some_and(|last| !last.state.is_final())
        {
            self.moves[last] = None;
        }
        self.slots[slot].last_move = Some(self.moves.len());
        self.moves.push(Some(Move { slot, state, at, code: failure.map(|failure| failure.code.to_string()) }));
    }

    fn write_slot(&mut self, index: usize) -> rusqlite::Result<Option<(Place, RefusedBy)>> {
        let Slot { known: Known { subject, fate }, accepted, .. } = &self.slots[index];
        let Some((request, place)) = accepted else {
            update(self.conn, subject.number, fate)?;
            return Ok(None);
        };
        let provider = self.names.code(self.conn, subject.provider.as_str())?;
        let command = self.names.code(self.conn, subject.command.name())?;
        match insert(self.conn, request, provider, command, fate) {
            Ok(()) => Ok(None),
            Err(error) if is_constraint(&error) => {
                if let Some(idempotency) = &request.idempotency {
                    self.conn.execute("DELETE FROM keys WHERE key = ?1", [&idempotency.key])?;
                }
                Ok(Some((*place, collision())))
            }
            Err(error) => Err(error),
        }
    }

    fn forget_moves(&mut self, index: usize) {
        for told in &mut self.moves {
            if told.as_ref().is_some_and(|told| told.slot == index) {
                *told = None;
            }
        }
    }
}

fn insert(conn: &Connection, request: &Request, provider: i64, command: i64, fate: &Fate) -> rusqlite::Result<()> {
    let none = Exchange::default();
    let exchange = fate.exchange.as_ref().unwrap_or(&none);
    let mut insert = conn.prepare_cached(
        "INSERT INTO requests (number, id, provider, command, state, priority, process, source, attempts, created,
             not_before, expires, retry_at, sent_at, finished_at, subscription, reference, platform_reference,
             failure, answer, body, request, response)
         VALUES (:number, :id, :provider, :command, :state, :priority, :process, :source, :attempts, :created,
             :not_before, :expires, :retry_at, :sent_at, :finished_at, :subscription, :reference, :platform_reference,
             :failure, :answer, :body, :request, :response)",
    )?;
    insert.execute(named_params! {
        ":number": signed(request.number),
        ":id": request.id.0.as_bytes(),
        ":provider": provider,
        ":command": command,
        ":state": row::state_code(fate.state),
        ":priority": row::priority_code(request.priority),
        ":process": row::process_code(if fate.reopened { Process::Now } else { request.process }),
        ":source": row::source_code(request.source),
        ":attempts": fate.attempts,
        ":created": request.created.as_microsecond(),
        ":not_before": micros(request.not_before.filter(|_| !fate.reopened)),
        ":expires": micros(request.expires.filter(|_| !fate.reopened)),
        ":retry_at": micros(fate.retry_at),
        ":sent_at": micros(fate.sent_at),
        ":finished_at": micros(fate.finished_at),
        ":subscription": request.subscription.as_ref().map(|subscription| subscription.as_str()),
        ":reference": request.reference.as_ref().map(|reference| reference.as_str()),
        ":platform_reference": fate.reference.as_ref().map(|reference| reference.as_str()),
        ":failure": fate.failure,
        ":answer": fate.answer,
        ":body": &request.body.0[..],
        ":request": &exchange.request[..],
        ":response": &exchange.response[..],
    })?;
    Ok(())
}

fn update(conn: &Connection, number: u64, fate: &Fate) -> rusqlite::Result<()> {
    let mut update = conn.prepare_cached(
        "UPDATE requests SET state = :state, attempts = :attempts, retry_at = :retry_at, sent_at = :sent_at,
             finished_at = :finished_at, failure = :failure, answer = :answer, platform_reference = :platform_reference,
             request = coalesce(:request, request), response = coalesce(:response, response),
             process = iif(:reopened, :now, process), not_before = iif(:reopened, NULL, not_before),
             expires = iif(:reopened, NULL, expires)
         WHERE number = :number",
    )?;
    update.execute(named_params! {
        ":number": signed(number),
        ":state": row::state_code(fate.state),
        ":reopened": fate.reopened,
        ":now": row::process_code(Process::Now),
        ":attempts": fate.attempts,
        ":retry_at": micros(fate.retry_at),
        ":sent_at": micros(fate.sent_at),
        ":finished_at": micros(fate.finished_at),
        ":failure": fate.failure,
        ":answer": fate.answer,
        ":platform_reference": fate.reference.as_ref().map(|reference| reference.as_str()),
        ":request": fate.exchange.as_ref().map(|exchange| &exchange.request[..]),
        ":response": fate.exchange.as_ref().map(|exchange| &exchange.response[..]),
    })?;
    Ok(())
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_microsecond)
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

/// Ids and numbers are made once each, so this tells of two programs that share a store, or of a clock and a
/// store that were both set back.
fn collision() -> RefusedBy {
    RefusedBy::Disk("the store already has a request with this id or number".into())
}

/// The codes of names, as the table `names` has them.
#[derive(Default)]
pub(super) struct Names {
    codes: HashMap<String, i64>,
}

impl Names {
    /// The code of a name, which gets one if it has none.
    fn code(&mut self, conn: &Connection, name: &str) -> rusqlite::Result<i64> {
        if let Some(code) = self.codes.get(name) {
            return Ok(*code);
        }
        conn.execute("INSERT INTO names (name) VALUES (?1) ON CONFLICT DO NOTHING", [name])?;
        let code = conn.query_row("SELECT code FROM names WHERE name = ?1", [name], |row| row.get(0))?;
        self.codes.insert(name.to_owned(), code);
        Ok(code)
    }

    /// Forgets what a transaction that was rolled back may have added.
    pub(super) fn forget(&mut self) {
        self.codes.clear();
    }
}
