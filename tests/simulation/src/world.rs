//! One provider's life: an event loop over a clock that jumps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{Done, Input, LinkId, Rules};
use headgate_core::body::RequestBody;
use headgate_core::dispatch::store::Finish;
use headgate_core::engine::{Engine, Output};
use headgate_core::failure::Sent;
use headgate_core::http::{CallId, HttpCall};
use headgate_core::platform::{Platform, PlatformOutput};
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::request::{Body, Request, RequestId, State};
use headgate_core::table::{TableAnswer, TableCall, TableError};
use headgate_core::text::{CaId, ProviderName, ServiceCode};
use headgate_core::{Deadline, Now, Tick};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use uuid::Uuid;

use super::kinds::Kind;
use super::plan::{Plan, Step};
use super::store::SimStore;
use super::watched::Watched;
use super::wire::{self, Parcel, Side, Wire};

/// How long an HTTP call waits for its answer where it does not say so itself: the drivers' default.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Far more events than any plan needs: a world that turns in circles is stopped.
const MOST_EVENTS: u64 = 2_000_000;

/// One provider's life. See [`super`].
pub struct World<'a> {
    kind: &'a Kind,
    plan: Plan,
    rng: StdRng,
    now: Now,
    agenda: BTreeMap<(Tick, u64), Event>,
    scheduled: u64,
    /// Which life of the gateway this is: what belongs to an earlier one is void.
    life: u32,
    provider: Provider,
    rules: Arc<dyn Rules>,
    engine: Option<Engine>,
    /// What the engine hands to the adapter.
    submitted: Option<Receiver<Arc<Request>>>,
    engine_deadline: Option<Deadline>,
    platform: Box<dyn Platform>,
    platform_deadline: Option<Deadline>,
    platform_up: bool,
    wire: Wire,
    /// The session with the database breaks at the gateway's next call.
    session_broken: bool,
    /// The last arrival on each way, so that nothing overtakes.
    last_arrival: BTreeMap<(Side, Option<LinkId>), Tick>,
    store: SimStore,
    commit_planned: bool,
    disk_full: bool,
    numbers: u64,
    /// The request of each place in the plan, if that was one and was taken.
    requests: BTreeMap<usize, Arc<Request>>,
    /// Requests that were acknowledged.
    acknowledged: BTreeSet<RequestId>,
    /// Outcomes that were told.
    told: BTreeMap<RequestId, Arc<Finish>>,
    steps_left: usize,
}

enum Event {
    Step(usize),
    Deliver { to: Side, parcel: Parcel, life: u32 },
    Commit { life: u32 },
    Restart,
    PlatformUp,
}

impl<'a> World<'a> {
    /// A world at its beginning.
    ///
    /// # Panics
    /// If the kind's settings are wrong.
    #[must_use]
    pub fn new(kind: &'a Kind, plan: Plan, seed: u64) -> Self {
        let services: BTreeMap<_, _> = kind
            .services
            .iter()
            .map(|(code, ca_id)| (ServiceCode::new(code).expect("a code"), CaId::new(ca_id).expect("an id")))
            .collect();
        let provider = Provider {
            name: ProviderName::new("p").expect("a name"),
            services: ServiceMap::from(services),
            limits: Limits { window: plan.window, ..Limits::default() },
            retry: RetryPolicy { attempts: 6, longest_delay: Duration::from_secs(60), ..RetryPolicy::default() },
            breaker: BreakerPolicy { failures: 5, open_for: Duration::from_secs(5) },
        };
        let stock = headgate_codecs::registry::Stock::default();
        let opened = (kind.protocol.open)(&provider, &kind.settings, seed).expect("settings that can be");
        let platform = (kind.protocol.platform)(&kind.settings, &stock).expect("settings that can be");
        let now = Now {
            tick: Tick::new(Duration::from_secs(1)),
            wall: "2026-11-24T12:00:00Z".parse::<Timestamp>().expect("a time"),
        };
        let tables = platform.tables();
        let mut world = Self {
            kind,
            rng: StdRng::seed_from_u64(seed.wrapping_add(0x5eed)),
            now,
            agenda: BTreeMap::new(),
            scheduled: 0,
            life: 1,
            rules: opened.rules,
            engine: None,
            submitted: None,
            engine_deadline: None,
            platform,
            platform_deadline: None,
            platform_up: true,
            wire: Wire::new(kind.directories, tables),
            session_broken: false,
            last_arrival: BTreeMap::new(),
            store: SimStore::default(),
            commit_planned: false,
            disk_full: false,
            numbers: 0,
            requests: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            told: BTreeMap::new(),
            steps_left: plan.steps.len(),
            provider,
            plan,
        };
        world.platform.handle_input(now, Input::Start);
        world
    }

    /// Plays the plan, then lets everything end.
    ///
    /// # Errors
    /// The rule that was broken, or what has not ended in time.
    pub fn run(mut self) -> Result<Self, String> {
        self.start_engine();
        let mut at = self.now.tick;
        for place in 0..self.plan.steps.len() {
            at = at + self.plan.steps[place].0;
            self.schedule(at, Event::Step(place));
        }
        let mut events = 0;
        let mut last_step = self.now.tick;
        loop {
            self.settle()?;
            if self.steps_left > 0 {
                last_step = self.now.tick;
            } else if self.has_ended() {
                return Ok(self);
            }
            if self.now.tick.since(last_step) > self.kind.patience {
                return Err(format!("not ended {:?} after the last step: {}", self.kind.patience, self.unended()));
            }
            events += 1;
            if events > MOST_EVENTS {
                return Err(format!("the world turns in circles: {}", self.unended()));
            }
            if !self.turn()? {
                return Err(format!("nothing more happens, but this has not ended: {}", self.unended()));
            }
        }
    }

    /// The store, at the end.
    #[must_use]
    pub const fn store(&self) -> &SimStore {
        &self.store
    }

    /// What the platform holds.
    #[must_use]
    pub fn holdings(&self) -> &headgate_core::platform::Holdings {
        self.platform.holdings()
    }

    /// Requests that were acknowledged.
    #[must_use]
    pub const fn acknowledged(&self) -> &BTreeSet<RequestId> {
        &self.acknowledged
    }

    /// Outcomes that were told.
    #[must_use]
    pub const fn told(&self) -> &BTreeMap<RequestId, Arc<Finish>> {
        &self.told
    }

    /// The provider.
    #[must_use]
    pub const fn provider(&self) -> &Provider {
        &self.provider
    }

    /// What it can do.
    #[must_use]
    pub fn rules(&self) -> &dyn Rules {
        &*self.rules
    }

    // ---- the loop

    /// Lets the next thing happen. Returns whether there was one.
    fn turn(&mut self) -> Result<bool, String> {
        let deadline = Deadline::earliest(self.engine_deadline, self.platform_deadline).map(|deadline| deadline.at);
        let event = self.agenda.keys().next().copied();
        match (event, deadline) {
            (None, None) => return Ok(false),
            (Some((at, _)), Some(deadline)) if deadline < at => self.jump(deadline),
            (None, Some(deadline)) => self.jump(deadline),
            (Some(key), _) => {
                self.jump(key.0);
                if let Some(event) = self.agenda.remove(&key) {
                    self.handle(event)?;
                }
                return Ok(true);
            }
        }
        if self.platform_deadline.is_some_and(|deadline| deadline.at <= self.now.tick) {
            self.platform_deadline = None;
            self.platform.handle_input(self.now, Input::Deadline);
        }
        Ok(true)
    }

    fn jump(&mut self, to: Tick) {
        let ahead = to.since(self.now.tick);
        self.now = Now { tick: self.now.tick + ahead, wall: self.now.wall_after(ahead) };
    }

    fn schedule(&mut self, at: Tick, event: Event) {
        self.scheduled += 1;
        self.agenda.insert((at, self.scheduled), event);
    }

    fn after(&mut self, most: Duration) -> Tick {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        self.now.tick + Duration::from_micros(self.rng.random_range(0..micros))
    }

    fn handle(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Step(place) => {
                self.steps_left -= 1;
                self.step(place)
            }
            Event::Deliver { to, parcel, life } => {
                self.deliver(to, parcel, life);
                Ok(())
            }
            Event::Commit { life } if life == self.life => {
                self.commit_planned = false;
                let stored = self.store.commit()?;
                if let Some(engine) = &mut self.engine {
                    engine.handle_stored(self.now, &stored);
                }
                Ok(())
            }
            Event::Commit { .. } => Ok(()),
            Event::Restart => {
                self.start_engine();
                Ok(())
            }
            Event::PlatformUp => {
                self.platform_up = true;
                Ok(())
            }
        }
    }

    fn step(&mut self, place: usize) -> Result<(), String> {
        match self.plan.steps[place].1.clone() {
            Step::Request(body) => self.offer(place, &body),
            Step::Fault(fault) => {
                // A fault that this platform can not have is no fault.
                let _ = self.platform.inject(fault);
            }
            Step::Break => {
                self.session_broken = true;
                let parcels = self.wire.break_links();
                self.dispatch(parcels);
            }
            Step::Away(time) => {
                self.platform_up = false;
                let parcels = self.wire.break_links();
                self.dispatch(parcels);
                self.schedule(self.now.tick + time, Event::PlatformUp);
            }
            Step::Crash(share) => return self.crash(share),
            Step::Cancel(place) => {
                if let (Some(engine), Some(request)) = (&mut self.engine, self.requests.get(&place)) {
                    // Too late, often: then it is not cancelled.
                    let _ = engine.cancel(self.now, request.id);
                }
            }
            Step::DiskFull => self.disk_full = true,
        }
        Ok(())
    }

    // ---- the CRM

    fn offer(&mut self, place: usize, body: &Value) {
        let Some(engine) = &mut self.engine else { return };
        let text = body.to_string();
        let parsed: RequestBody = serde_json::from_str(&text).expect("a body of the plan");
        let command = parsed.command().expect("a command of the plan");
        self.numbers += 1;
        let request = Arc::new(Request {
            number: self.numbers,
            created: self.now.wall,
            body: Body(Bytes::from(text)),
            ..Request::new(RequestId(Uuid::from_u128(u128::from(self.numbers))), &parsed, command)
        });
        self.rules.capabilities().check(&request, &self.provider.services).expect("a command the provider takes");
        self.rules.check(&request).expect("a command the protocol takes");
        if engine.offer(self.now, Arc::clone(&request)).is_ok() {
            self.requests.insert(place, request);
        }
    }

    // ---- the gateway's life

    fn start_engine(&mut self) {
        let seed = self.rng.random();
        let opened =
            (self.kind.protocol.open)(&self.provider, &self.kind.settings, seed).expect("settings that can be");
        let (adapter, submitted) = Watched::new(opened.adapter);
        self.submitted = Some(submitted);
        let mut engine = Engine::new(self.provider.clone(), opened.rules, Box::new(adapter), seed);
        engine.start(self.now, self.store.unfinished());
        self.engine = Some(engine);
    }

    fn crash(&mut self, share: usize) -> Result<(), String> {
        if self.engine.take().is_none() {
            return Ok(());
        }
        self.life += 1;
        self.engine_deadline = None;
        self.commit_planned = false;
        self.store.crash(self.store.pending() * share / 100)?;
        self.wire.forget_calls();
        let parcels = self.wire.break_links();
        self.dispatch(parcels);
        let back = self.after(Duration::from_secs(3));
        self.schedule(back, Event::Restart);
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.engine.is_some() && !self.store.is_dirty() && self.store.rows().values().all(|row| row.state.is_final())
    }

    fn unended(&self) -> String {
        let open = self.store.rows().values().filter(|row| !row.state.is_final());
        let rows: Vec<_> =
            open.map(|row| format!("{} {} {}", row.request.number, row.request.command.kind(), row.state)).collect();
        let load = self.engine.as_ref().map(|engine| engine.load(self.now));
        format!("{rows:?}, {load:?}")
    }

    // ---- outputs

    fn settle(&mut self) -> Result<(), String> {
        loop {
            let engine_moved = self.settle_engine()?;
            let platform_moved = self.settle_platform();
            if !engine_moved && !platform_moved {
                return Ok(());
            }
        }
    }

    fn settle_engine(&mut self) -> Result<bool, String> {
        let mut moved = false;
        while let Some(engine) = &mut self.engine {
            let output = engine.poll_output(self.now);
            self.submitted
                .iter()
                .flat_map(Receiver::try_iter)
                .try_for_each(|request| self.store.check_sent(&request))?;
            match output {
                Output::Store(call) => {
                    self.store.write(call);
                    if std::mem::take(&mut self.disk_full)
                        && let Some(refused) = self.store.refuse_one()
                    {
                        engine.handle_refused(self.now, refused);
                    }
                    if !std::mem::replace(&mut self.commit_planned, true) {
                        let at = self.after(Duration::from_millis(5));
                        self.schedule(at, Event::Commit { life: self.life });
                    }
                }
                Output::Do(id, effect) => {
                    let parcels = self.wire.carry(Side::Adapter, id, effect, self.platform_up);
                    self.dispatch(parcels);
                }
                Output::Accepted(id, _) => {
                    let query = |request: &Arc<Request>| request.id == id && request.command.kind().is_query();
                    if !self.requests.values().any(query) {
                        self.acknowledged.insert(id);
                    }
                }
                Output::Ended(finish) => self.ended(finish)?,
                Output::Reopened(_) | Output::Notice(_) => {}
                Output::Wait(deadline) => {
                    self.engine_deadline = deadline;
                    return Ok(moved);
                }
            }
            moved = true;
        }
        Ok(moved)
    }

    fn ended(&mut self, finish: Arc<Finish>) -> Result<(), String> {
        if finish.state != State::Completed && finish.failure.is_none() {
            return Err(format!("a request ended as {} without a reason", finish.state));
        }
        let query = self.requests.values().any(|request| request.id == finish.id && request.command.kind().is_query());
        match self.told.insert(finish.id, finish) {
            Some(before) if !query => Err(format!("the end of a request ({}) was told twice", before.state)),
            _ => Ok(()),
        }
    }

    fn settle_platform(&mut self) -> bool {
        let mut moved = false;
        loop {
            match self.platform.poll_output() {
                PlatformOutput::Do(id, effect) => {
                    let parcels = self.wire.carry(Side::Platform, id, effect, true);
                    self.dispatch(parcels);
                    moved = true;
                }
                PlatformOutput::Wait(deadline) => {
                    self.platform_deadline = deadline;
                    return moved;
                }
            }
        }
    }

    // ---- the wire

    /// Sends parcels on their way: none overtakes another of the same way. HTTP calls run side by side.
    fn dispatch(&mut self, parcels: Vec<(Side, Parcel)>) {
        for (to, parcel) in parcels {
            let mut arrival = self.after(Duration::from_millis(3));
            let way = match &parcel {
                Parcel::Connected(link) | Parcel::Bytes(link, _) | Parcel::Closed(link, _) => Some(Some(*link)),
                Parcel::Call(..) | Parcel::Table(..) | Parcel::Result(..) => Some(None),
                Parcel::Called(name, call) => {
                    let patience = call.timeout.unwrap_or(CALL_TIMEOUT);
                    let given_up = Parcel::Answered(*name, Err(wire::unanswered("no answer in time")));
                    let event = Event::Deliver { to: Side::Adapter, parcel: given_up, life: self.life };
                    self.schedule(self.now.tick + patience, event);
                    None
                }
                Parcel::Answered(..) => None,
            };
            if let Some(way) = way {
                arrival = arrival.max(self.last_arrival.get(&(to, way)).copied().unwrap_or_default());
                self.last_arrival.insert((to, way), arrival);
            }
            self.schedule(arrival, Event::Deliver { to, parcel, life: self.life });
        }
    }

    fn deliver(&mut self, to: Side, parcel: Parcel, life: u32) {
        let void = to == Side::Adapter && (life != self.life || self.engine.is_none());
        // A file call of a gateway that died may have reached the server, or not.
        if let Parcel::Call(id, call) = parcel {
            if void && self.rng.random_bool(0.5) {
                return;
            }
            let up = to == Side::Platform || self.platform_up;
            let result = self.wire.call(&call, up);
            self.dispatch_result(to, id, Done::File(result), life);
            return;
        }
        if let Parcel::Table(id, call) = parcel {
            if void && self.rng.random_bool(0.5) {
                return;
            }
            let result = self.table_call(to, &call);
            self.dispatch_result(to, id, Done::Table(result), life);
            return;
        }
        if let Parcel::Called(name, call) = parcel {
            return self.deliver_call(name, call);
        }
        if void || !self.wire.delivers(to, &parcel) {
            return;
        }
        let input = match &parcel {
            Parcel::Connected(link) => Input::Connected(*link),
            Parcel::Bytes(link, bytes) => Input::Received(*link, bytes),
            Parcel::Closed(link, why) => Input::Closed(*link, why),
            Parcel::Call(..) | Parcel::Table(..) | Parcel::Called(..) => return,
            Parcel::Result(id, done) => Input::Done(*id, done.clone()),
            Parcel::Answered(name, result) => match self.wire.end_call(*name) {
                Some(id) => Input::Done(id, Done::Http(result.clone())),
                None => return,
            },
        };
        match (to, &mut self.engine) {
            (Side::Adapter, Some(engine)) => engine.handle_input(self.now, input),
            (Side::Adapter, None) => {}
            (Side::Platform, _) => self.platform.handle_input(self.now, input),
        }
    }

    /// A call comes to the platform's machine. One that was cut, or whose gateway died, may have been lost before.
    fn deliver_call(&mut self, name: CallId, call: HttpCall) {
        if !self.wire.is_whole(name) && self.rng.random_bool(0.5) {
            return;
        }
        if self.platform_up {
            self.platform.handle_input(self.now, Input::Called(name, wire::request(call)));
        } else if self.wire.is_whole(name) {
            self.dispatch(vec![(Side::Adapter, Parcel::Answered(name, Err(wire::refused())))]);
        }
    }

    /// Carries out a table call. If the gateway's session breaks under it, it may have been carried out.
    fn table_call(&mut self, to: Side, call: &TableCall) -> Result<TableAnswer, TableError> {
        let up = to == Side::Platform || self.platform_up;
        if to == Side::Platform || !std::mem::take(&mut self.session_broken) {
            return self.wire.table_call(call, up);
        }
        if self.rng.random_bool(0.5) {
            let _ = self.wire.table_call(call, up);
        }
        let sent = if call.is_harmless() { Sent::No } else { Sent::Maybe };
        Err(TableError { code: TableError::CONNECTION_LOST, text: "connection reset".into(), sent })
    }

    fn dispatch_result(&mut self, to: Side, id: headgate_core::adapter::EffectId, done: Done, life: u32) {
        let arrival =
            self.after(Duration::from_millis(1)).max(self.last_arrival.get(&(to, None)).copied().unwrap_or_default());
        self.last_arrival.insert((to, None), arrival);
        self.schedule(arrival, Event::Deliver { to, parcel: Parcel::Result(id, done), life });
    }
}
