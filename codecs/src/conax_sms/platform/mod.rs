//! The platform's side: reads order files, applies them, and answers by moving them.
//!
//! Works on the same directories as the adapter, through the same kind of effects. It keeps what a real
//! one keeps, and refuses what a real one would refuse, with the fact sheet's codes: one bad card
//! sinks the whole file.

mod apply;
mod work;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use headgate_core::adapter::{Effect, EffectId, FileCall, Input};
use headgate_core::platform::{Fault, Holdings, Platform, PlatformOutput};
use headgate_core::{Deadline, Now, Tick};

use crate::registry::{SettingsError, Stock};

use super::settings::{Directories, Site};
use super::wire::{DeviceNumber, FileName, ProductId};
use work::Work;

/// A simulated platform.
pub struct ConaxPlatform {
    site: Site,
    /// The cards it knows; empty: every well-formed one.
    known_cards: BTreeSet<DeviceNumber>,
    /// The products it knows; empty: every well-formed one.
    known_products: BTreeSet<ProductId>,
    holdings: Holdings,
    /// The card each box is paired with.
    paired: BTreeMap<String, String>,
    faults: VecDeque<Fault>,
    /// Files it is done with, or will never answer, that may lie in `req` still.
    passed_over: BTreeSet<FileName>,
    /// Steps of the answers that are being given, one after the other.
    work: VecDeque<Work>,
    /// Steps that wait for their time.
    later: Vec<(Tick, Vec<Work>)>,
    /// The step under way.
    doing: Option<(EffectId, Work)>,
    next_look: Option<Tick>,
    last_effect: EffectId,
    outputs: VecDeque<(EffectId, Effect)>,
}

impl ConaxPlatform {
    /// A platform at this site that holds `stock`.
    ///
    /// # Errors
    /// [`SettingsError`] if a card or a product of the stock can not be.
    pub fn new(site: Site, stock: &Stock) -> Result<Self, SettingsError> {
        let wrong = |what| SettingsError::new("", format!("the simulated platform's stock: {what}"));
        let card =
            |text: &String| site.numbers.card(text).map_err(|error| wrong(format!("a card can not be: {error}")));
        let product =
            |text: &String| ProductId::parse(text).ok_or_else(|| wrong("a product must have 1 to 8 digits".to_owned()));
        let known_cards = stock.cards.iter().map(card).collect::<Result<BTreeSet<_>, _>>()?;
        let known_products = stock.products.iter().map(product).collect::<Result<_, _>>()?;
        let mut holdings = Holdings::default();
        for card in &known_cards {
            holdings.cards.entry(card.as_str().to_owned()).or_default();
        }
        Ok(Self {
            site,
            known_cards,
            known_products,
            holdings,
            paired: BTreeMap::new(),
            faults: VecDeque::new(),
            passed_over: BTreeSet::new(),
            work: VecDeque::new(),
            later: Vec::new(),
            doing: None,
            next_look: None,
            last_effect: EffectId::default(),
            outputs: VecDeque::new(),
        })
    }

    fn tick(&mut self, now: Now) {
        let due;
        (due, self.later) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now.tick);
        self.work.extend(due.into_iter().flat_map(|(_, work)| work));
        if self.next_look.is_some_and(|at| at <= now.tick) {
            self.next_look = Some(now.tick + self.site.settings.poll_interval);
            if !self.work.iter().any(|work| matches!(work, Work::Look)) {
                self.work.push_back(Work::Look);
            }
        }
        self.go_on();
    }

    /// Begins the next step, if none is under way.
    fn go_on(&mut self) {
        if self.doing.is_some() {
            return;
        }
        if let Some(work) = self.work.pop_front() {
            let id = self.last_effect.next();
            let call = self.call(&work);
            self.doing = Some((id, work));
            self.outputs.push_back((id, Effect::File(call)));
        }
    }

    fn call(&self, work: &Work) -> FileCall {
        let directories = &self.site.settings.directories;
        let limit = self.site.settings.answer_limit;
        match work {
            Work::Look => FileCall::List { directory: directories.req.clone() },
            Work::ReadOrder(name) => FileCall::Read { path: format!("{}/{name}", directories.req), limit },
            Work::Move { from, to } => FileCall::Rename { from: from.clone(), to: to.clone() },
            Work::Write { path, contents } => {
                let temporary = format!("{path}{}", self.site.settings.temporary_suffix);
                FileCall::Put { path: path.clone(), temporary, contents: contents.clone() }
            }
            Work::Delete { path } => FileCall::Delete { path: path.clone() },
            Work::ReadErrors { .. } => FileCall::Read { path: directories.errors_file.clone(), limit },
        }
    }
}

impl Platform for ConaxPlatform {
    fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Start => self.next_look = Some(now.tick),
            Input::Done(id, done) => {
                if let Some((_, work)) = self.doing.take_if(|(doing, _)| *doing == id) {
                    self.did(now, work, done);
                }
            }
            _ => {}
        }
        self.tick(now);
    }

    fn poll_output(&mut self) -> PlatformOutput {
        if let Some((id, effect)) = self.outputs.pop_front() {
            return PlatformOutput::Do(id, effect);
        }
        let look = self.next_look.map(|at| Deadline { at, why: "look for orders" });
        let later = self.later.iter().map(|(at, _)| Deadline { at: *at, why: "answer late" }).min();
        PlatformOutput::Wait(Deadline::earliest(look, later))
    }

    fn directories(&self) -> Vec<String> {
        let Directories { req, ok, err, .. } = &self.site.settings.directories;
        vec![req.clone(), ok.clone(), err.clone()]
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// Faults of links and logins make no sense for files: the file server has those.
    fn inject(&mut self, fault: Fault) -> Result<(), Fault> {
        match fault {
            Fault::Garbage
            | Fault::WrongNumber
            | Fault::HalfFrame
            | Fault::DuplicateAnswer
            | Fault::Silence
            | Fault::Delay(_)
            | Fault::UnknownCard => {
                self.faults.push_back(fault);
                Ok(())
            }
            _ => Err(fault),
        }
    }
}
